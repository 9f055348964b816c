"""Endpoint (spec/transport.md): one UDP socket that accepts and dials QUIC and carries datagrams.

Rules of this file: a packet finds its connection by its destination id, so that its cost does not grow
with the number of connections. A connection has one timer, the earliest of all that it waits for.
A handler is never called from inside a call of its own: what happened is queued and told afterwards,
in order. Every table has a limit in `EndpointLimits`. What cannot become a connection leaves nothing
behind, and of what may become one, an unfinished ClientHello is given up first (RACE-8).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Self

from aioquic.quic import events

from reference.core.addresses import normalise_name
from reference.core.errors import REASONS, CloseCode, Misuse
from reference.core.wire import frame
from reference.handler import DatagramFate, EndpointLimits, Handler
from reference.notices import Notices
from reference.quic.connection import Connection, Ending
from reference.quic.credentials import Credentials
from reference.quic.packets import destination, first_destination, version_negotiation
from reference.quic.parameters import configuration
from reference.quic.selftest import self_test
from reference.session import Session
from reference.udp import UdpSocket

__all__ = ["Credentials", "DatagramFate", "Endpoint", "EndpointLimits", "Handler"]

_LONGEST_REASON = 256


class Endpoint:
    """One UDP socket that accepts and dials QUIC connections at once."""

    welcome: frozenset[str] | None = None
    """The server names, in lower case, that are accepted; None for every name and none at all.

    It may change at any time. Another name is refused with the alert unrecognized_name, and a
    handshake whose name is welcome no more when it completes is closed.
    """

    def __init__(self, handler: Handler, credentials: Credentials | None, limits: EndpointLimits) -> None:
        """Prepare an endpoint; `open` gets a working one. Other `limits` hold for newcomers from then on."""
        self._handler = handler
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self._socket = UdpSocket(self)
        self._shut = False
        self._numbers: Iterator[int] = itertools.count(1)
        self._routes: dict[bytes, Session] = {}
        self._sessions: dict[int, Session] = {}
        self._half_open: dict[Session, None] = {}
        self._ended: dict[Session, None] = {}
        self._notices = Notices(self._loop)
        self._server = None
        if credentials is not None:
            self._server = configuration(limits.idle_timeout, credentials=credentials, log=limits.log)

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        handler: Handler,
        credentials: Credentials | None,
        limits: EndpointLimits = EndpointLimits(),  # noqa: B008 - frozen
        *,
        numbers: Iterator[int] | None = None,
        six_only: bool = False,
    ) -> Self:
        """Bind a UDP socket to an IP literal and a port; without credentials it only dials.

        Endpoints of one owner take the numbers of their sessions, from 1, out of the same `numbers`.
        Raises OSError when the address cannot be bound, RuntimeError when the QUIC stack fails
        its self-test, Misuse for an IPv4 literal with `six_only`.
        """
        self_test()
        endpoint = cls(handler, credentials, limits)
        if numbers is not None:
            endpoint._numbers = numbers
        await endpoint._socket.open(host, port, six_only=six_only)
        return endpoint

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the socket is bound to."""
        return self._socket.address

    def dial(self, address: tuple[str, int], sni: str | None) -> int:
        """Start a connection to an IP literal and a port; return its session, never used again.

        Raises Misuse for an address that is none or of a family this socket cannot reach, a server
        name that is none, a full table and an endpoint that was shut down.
        """
        if self._shut or len(self._sessions) >= self.limits.connections:
            raise Misuse(f"this endpoint dials no more: {len(self._sessions)} connections")
        try:
            name, remote = normalise_name(sni), self._socket.reported(address)
        except ValueError as error:
            raise Misuse(f"cannot dial {address} as {sni!r}: {error}") from error
        now = time.monotonic()
        wanted = configuration(self.limits.idle_timeout, name=name, log=self.limits.log)
        connection = Connection(wanted, self.limits.datagrams)
        deadline = now + self.limits.handshake_timeout
        session = Session(connection, self.limits, deadline, next(self._numbers), dialled=True, sni=name)
        self._sessions[session.number] = session
        self._route(session, connection.host_cid)
        connection.connect(remote, now=now)
        self._service(session)
        self._notices.tell_soon()
        return session.number

    def send(self, session: int, payload: bytes, receipt: object | None = None) -> None:
        """Send `payload` as the one frame of a new stream, as far as the peer's credit goes.

        It goes out at once or, from a call of the handler, behind what else that call sends.
        With `unsent` frames waiting it is not taken and the handler told so; a session that is
        over takes nothing. Raises Misuse when the payload is over the limit of a frame.
        """
        data = frame(payload)
        found = self._sessions.get(session)
        if found is None:
            return
        if found.full(self.limits.unsent):
            self._service(found)  # what still waits for the handler's call to end
        if found.full(self.limits.unsent):
            self._notices.add(found, self._handler.slow, session)
        else:
            found.write(data, receipt)
            self._send_soon(found)
        self._notices.tell_soon()

    def send_datagram(self, session: int, data: bytes) -> DatagramFate:
        """Send one datagram as `send` does or, while the path is full, from a queue that drops its oldest."""
        found = self._sessions.get(session)
        if found is None or not found.live:
            return DatagramFate.CLOSED
        if len(data) > found.connection.largest_datagram:
            return DatagramFate.TOO_LARGE  # MEDIA-24
        if found.connection.datagrams_full:
            self._service(found)
        dropped = found.connection.push_datagram(data)
        self._send_soon(found)
        self._notices.tell_soon()
        return DatagramFate.DROPPED_OLDEST if dropped else DatagramFate.QUEUED

    def close(self, session: int, code: int, reason: str) -> None:
        """Close a session, handshaking or live; of it the handler hears only `lost` from now on.

        A session that is over already stays as it is. Raises Misuse when the reason is over
        256 bytes of UTF-8.
        """
        if len(reason.encode()) > _LONGEST_REASON:
            raise Misuse(f"a close reason of {len(reason.encode())} bytes is over {_LONGEST_REASON}")
        found = self._sessions.get(session)
        if found is None:
            return
        now = time.monotonic()
        found.connection.lift_pacing()  # the frames before the close go out before it
        self._transmit(found, now)
        found.silenced = True
        found.connection.close(error_code=code, reason_phrase=reason)
        self._end(found, Ending(code, reason, by_peer=False))
        self._service(found)
        self._notices.tell_soon()

    async def shutdown(self, code: int, reason: str) -> None:
        """Close every connection and the socket; returns within a second, after the last `lost`."""
        self._shut = True
        for number in list(self._sessions):
            self.close(number, code, reason)
        for session in list(self._half_open):
            session.connection.close(error_code=code, reason_phrase=reason)
            self._transmit(session, time.monotonic())
        for session in [*self._half_open, *self._ended]:
            self._forget(session)
        self._notices.tell()
        await self._socket.close()

    def stats(self) -> dict[str, int]:
        """Count what the endpoint holds; all zero when nothing is left."""
        everything = {*self._sessions.values(), *self._half_open, *self._ended}
        return {
            "connections": len(self._sessions),
            "half_open": len(self._half_open),
            "ended": len(self._ended),
            "routes": len(self._routes),
            "timers": sum(session.timer is not None for session in everything),
            "streams": sum(len(session.streams) for session in everything),
            "unsent": sum(len(session.unsent) for session in everything),
            "throttled": sum(session.resume_at > 0 for session in everything),
            "notices": len(self._notices),
        }

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Give one packet of the socket to its connection."""
        route = destination(data)
        if route is None:
            return
        session = self._routes.get(route) or self._newcomer(data, addr[:2])
        if session is None:
            return
        if session.over:
            for packet in session.reminder():
                self._socket.send(*packet)
            return
        now = time.monotonic()
        session.connection.receive_datagram(data, addr[:2], now=now)
        if not session.routes and not self._admit(session, route, now):
            return
        self._drain(session, now)
        self._notices.afterwards(session, self._service)
        self._notices.tell()

    def _newcomer(self, packet: bytes, remote: tuple[str, int]) -> Session | None:
        """Return a session for a packet that may open a connection, beside all others (TRANS-4)."""
        if self._server is None or self._shut or self.welcome == frozenset():
            return None  # who expects nobody is not to be found by an answer (PRIV-11)
        answer = version_negotiation(packet)
        if answer is not None:
            self._socket.send(answer, remote)
        first = first_destination(packet)
        if first is None:
            return None
        connection = Connection(self._server, self.limits.datagrams, first, self._welcomes)
        return Session(connection, self.limits, time.monotonic() + self.limits.handshake_timeout)

    def _welcomes(self, name: str | None) -> bool:
        return self.welcome is None or name in self.welcome

    def _admit(self, session: Session, route: bytes, now: float) -> bool:
        """Keep a newcomer unless its packet was unreadable or is refused, or there is no room for it."""
        refused = session.connection.ending is not None
        if refused:
            self._transmit(session, now)  # the close is all there will ever be of it
        if refused or session.connection.untouched:
            self._forget(session)
            return False
        self._half_open[session] = None
        self._route(session, route)
        self._route(session, session.connection.host_cid)
        if len(self._half_open) > self.limits.half_open:
            unfinished = (each for each in self._half_open if not each.connection.hello_seen)
            self._forget(next(unfinished, next(iter(self._half_open))))
        return session in self._half_open

    def _route(self, session: Session, route: bytes) -> None:
        self._routes[route] = session
        session.routes.add(route)

    def _send_soon(self, session: Session) -> None:
        if self._notices.telling:
            self._notices.afterwards(session, self._service)
        else:
            self._service(session)

    def _service(self, session: Session) -> None:
        """Take what the stack has to say, send what it has to send, and ask when to come again."""
        now = time.monotonic()
        self._drain(session, now)
        self._transmit(session, now)
        self._drain(session, now)  # connection ids are issued while sending
        if session.terminated:
            self._forget(session)
        else:
            self._arm(session, now)

    def _drain(self, session: Session, now: float) -> None:
        session.open_streams(now)
        if session.moved and not session.over:  # told before what came from there (REFL-3)
            self._notices.add(session, self._handler.moved, session.number, session.relocate())
        while (event := session.connection.next_event()) is not None:
            match event:
                case events.ConnectionIdIssued():
                    self._route(session, event.connection_id)
                case events.ConnectionIdRetired():
                    session.routes.discard(event.connection_id)
                    self._routes.pop(event.connection_id, None)
                case events.ConnectionTerminated():
                    session.terminated = True
                case events.HandshakeCompleted():
                    self._completed(session, now)
                case _ if session.live and not session.over:
                    self._take(session, event)
        if session.live and not session.over and session.streams:
            self._release(session, now)
        ending = session.connection.ending
        if ending is not None and not session.over:
            self._end(session, ending)

    def _release(self, session: Session, now: float) -> None:
        for outcome in session.release(now):
            call = self._handler.frame if isinstance(outcome, bytes) else self._handler.fault
            self._notices.add(session, call, session.number, outcome)

    def _completed(self, session: Session, now: float) -> None:
        connection = session.connection
        self._half_open.pop(session, None)
        if not session.dialled:
            if not connection.hello_seen:
                self._forget(session)
                raise RuntimeError("a handshake completed and its server name was not seen")
            full = len(self._sessions) >= self.limits.connections  # TRANS-5
            if full or not self._welcomes(connection.sni):
                code = CloseCode.TOO_MANY_CONNECTIONS if full else CloseCode.NO_SUCH_SERVICE
                connection.close(error_code=code, reason_phrase=REASONS[code])
                return
            session.sni = connection.sni
            session.number = next(self._numbers)
            self._sessions[session.number] = session
        session.live = True
        connection.keep_datagrams(self.limits.datagrams * session.share)
        session.ping_at = now + self.limits.keep_alive
        session.open_streams(now)
        told = session.number, session.sni, session.relocate()
        fingerprint = connection.peer_fingerprint if session.dialled else None
        self._notices.add(session, self._handler.connected, *told, fingerprint)

    def _take(self, session: Session, event: events.QuicEvent) -> None:
        match event:
            case events.StreamDataReceived():
                session.feed(event.stream_id, event.data, fin=event.end_stream)
            case events.StreamReset():
                session.cut_short(event.stream_id)
            case events.StopSendingReceived():
                session.unsent.pop(event.stream_id, None)  # it will not go out any more
            case events.DatagramFrameReceived():
                self._notices.add(session, self._handler.datagram, session.number, event.data)

    def _transmit(self, session: Session, now: float) -> None:
        connection = session.connection
        closing = connection.closing
        packets = connection.datagrams_to_send(now=now)
        if closing:
            session.farewell = [(data, (str(to[0]), int(to[1]))) for data, to in packets]
        for data, to in packets:
            self._socket.send(data, to)
        for receipt in session.progress() if session.unsent else ():
            self._notices.add(session, self._handler.flushed, session.number, receipt)

    def _end(self, session: Session, ending: Ending) -> None:
        """Tell the handler, if it knows the session, and keep the stack through its closing period."""
        session.over = True
        session.unsent.clear()
        session.streams.clear()
        if session in self._half_open:  # a handshake that failed: the close goes out, and that is all
            session.terminated = True
            return
        if self._sessions.pop(session.number, None) is not None:
            told = session.number, ending.code, ending.reason, ending.by_peer
            self._notices.add(session, self._handler.lost, *told, final=True)
        if len(self._ended) >= self.limits.half_open:
            self._forget(next(iter(self._ended)))
        self._ended[session] = None

    def _forget(self, session: Session) -> None:
        if session.timer is not None:
            session.timer.cancel()
            session.timer = None
        for route in session.routes:
            self._routes.pop(route, None)
        self._half_open.pop(session, None)
        self._ended.pop(session, None)
        self._notices.drop(session)
        session.connection.dissolve()

    def _arm(self, session: Session, now: float) -> None:
        at = session.wake_at()
        if session.timer is not None:
            if at is not None and session.wakes_at <= at:
                return  # it comes early and then asks again: cheaper than a new one for each packet
            session.timer.cancel()
            session.timer = None
        if at is not None:
            session.wakes_at = at
            session.timer = self._loop.call_later(max(0.0, at - now), self._wake, session)

    def _wake(self, session: Session) -> None:
        session.timer = None
        now = time.monotonic()
        session.connection.handle_wake(now)
        if session.over:
            pass
        elif session.live:
            session.expire(now)
        elif now >= session.handshake_by:
            if not session.dialled:
                self._forget(session)
                return
            session.connection.close()
            timeout = self.limits.handshake_timeout
            self._end(session, Ending(-1, f"no handshake within {timeout:g} s", by_peer=False))
        self._service(session)
        self._notices.tell()
