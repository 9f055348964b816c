"""Session (spec/transport.md, streams): one connection, its frames in order, its frames not yet sent.

Frames count in the order of their stream ids. The own half of a peer's stream is ended only when its
turn has come, so that no more streams can wait than were granted, and what waits is held against the
receive window. A stream that is not whole in time is reset, and the order goes on behind it.
A frame waits, too, until its sender may say so much (TRANS-19), and the credit that it holds waits with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from reference.allowance import Allowance
from reference.core.addresses import format_address
from reference.core.errors import BadFrame
from reference.core.wire import FrameReader
from reference.handler import EndpointLimits
from reference.quic.connection import Connection

_LENGTH_BYTES = 4  # in front of every frame
_LINK = "_federation"
_LINK_SHARE = 16  # as much as for so many clients may wait for another relay: many speak through it
_PEER_STREAMS = 256  # that wait; the stack grants 128 (TRANS-16), and more only after ended ones


@dataclass(slots=True)
class _Inbound:
    """A stream of the peer whose turn has not come; `outcome` is None until it is decided."""

    deadline: float
    reader: FrameReader = field(default_factory=FrameReader)
    came: int = 0
    outcome: bytes | BadFrame | None = None


@dataclass(slots=True, eq=False)
class Session:
    """One connection and what the endpoint keeps about it; `number` is 0 until the handler knows it."""

    connection: Connection
    limits: EndpointLimits
    handshake_by: float
    number: int = 0
    dialled: bool = False
    sni: str | None = None
    remote: tuple[str, int] | None = None  # where the handler was told that the peer is
    live: bool = False  # the handshake is complete
    over: bool = False  # an end is known; only the closing period of the stack is left
    terminated: bool = False  # that is over too
    silenced: bool = False  # closed by the handler, which is told of the loss only
    ping_at: float = 0.0
    timer: asyncio.TimerHandle | None = None
    wakes_at: float = 0.0
    routes: set[bytes] = field(default_factory=set)
    farewell: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)
    heard: int = 0  # packets that came after the farewell
    streams: dict[int, _Inbound] = field(default_factory=dict)
    seen: int = 0  # streams that the peer has opened
    said: Allowance = field(default_factory=Allowance)
    resume_at: float = 0.0  # when the next frame may be released that had to wait, 0 for none
    unsent: dict[int, tuple[int, object | None]] = field(default_factory=dict)  # size, receipt

    def relocate(self) -> str:
        """Note where the peer is now; return the address in its one text form."""
        self.remote = self.connection.get_peer_address()
        host, port = (self.remote or ("", 0))[:2]
        return format_address(host, port)

    @property
    def moved(self) -> bool:
        """Tell whether the peer is seen under another address than the handler knows."""
        return self.live and self.connection.get_peer_address() != self.remote

    @property
    def share(self) -> int:
        """How many times what may wait for a client may wait here."""
        return _LINK_SHARE if self.sni == _LINK else 1

    def full(self, unsent: int) -> bool:
        """Tell whether all the frames wait that may; `unsent` is how many may wait for a client."""
        return len(self.unsent) >= unsent * self.share

    def write(self, data: bytes, receipt: object | None) -> None:
        """Put one frame on a stream of its own (TRANS-9); it is unsent until `progress` finds it sent."""
        self.unsent[self.connection.write(data)] = len(data), receipt

    def progress(self) -> Iterator[object]:
        """Forget the frames that went out completely and yield their receipts."""
        for stream_id, (size, receipt) in list(self.unsent.items()):
            if self.connection.is_sent(stream_id, size):
                del self.unsent[stream_id]
                if receipt is not None:
                    yield receipt

    def open_streams(self, now: float) -> None:
        """Give every stream that the peer opened its place and its time, its bytes seen or not."""
        if self.over or not self.live:
            return
        for index in range(self.seen, self.connection.peer_streams):
            begins = max(now, self.resume_at)
            self.streams[self._stream_id(index)] = _Inbound(begins + self.limits.stream_timeout)
        self.seen = self.connection.peer_streams

    def feed(self, stream_id: int, data: bytes, *, fin: bool) -> None:
        """Take the next bytes of a stream of the peer; its first frame alone counts (TRANS-12, TRANS-13)."""
        inbound = self.streams.get(stream_id)
        if inbound is None or inbound.outcome is not None:
            return
        inbound.came += len(data)
        try:
            inbound.outcome = inbound.reader.feed(data, fin=fin)
        except BadFrame as fault:
            self._refuse(stream_id, inbound, fault)
        else:
            if inbound.outcome is not None:
                unread = inbound.came > _LENGTH_BYTES + len(inbound.outcome)
                self.connection.discard(stream_id, unread=unread)

    def cut_short(self, stream_id: int) -> None:
        """Take the reset of a stream: a fault unless its frame was whole."""
        inbound = self.streams.get(stream_id)
        if inbound is not None and inbound.outcome is None:
            self._refuse(stream_id, inbound, inbound.reader.cut_short())

    def expire(self, now: float) -> None:
        """Reset the streams that are not whole in time (TRANS-14); keep the connection alive (TRANS-3)."""
        if now >= self.ping_at:
            self.connection.send_ping(0)
            self.ping_at = now + self.limits.keep_alive
        for stream_id, inbound in self.streams.items():
            if inbound.deadline > now:
                break  # they stand in the order in which they were opened
            if inbound.outcome is None:
                self._refuse(stream_id, inbound, inbound.reader.cut_short())

    def release(self, now: float) -> Iterator[bytes | BadFrame]:
        """Yield what is due, in order; end its stream, slide the window (TRANS-10, TRANS-11, TRANS-19)."""
        while self.streams:
            stream_id, inbound = next(iter(self.streams.items()))
            if inbound.outcome is None:
                if len(self.streams) <= _PEER_STREAMS:
                    break
                self._refuse(stream_id, inbound, inbound.reader.cut_short())
                continue
            if isinstance(inbound.outcome, bytes) and not self._may_say(len(inbound.outcome), now):
                break
            del self.streams[stream_id]
            if isinstance(inbound.outcome, bytes):
                self.connection.finish(stream_id)
            yield inbound.outcome
        self.connection.turn = next(iter(self.streams), self._stream_id(self.seen))
        self.connection.grant(sum(map(self._held, self.streams, self.streams.values())))

    def wake_at(self) -> float | None:
        """Return the earliest time at which something is due here, in seconds of the endpoint's clock."""
        at = self.connection.wake_at()
        if self.over:
            return at
        own = self.ping_at if self.live else self.handshake_by
        if self.resume_at:
            own = min(own, self.resume_at)
        for inbound in self.streams.values():  # they stand in the order in which they were opened
            if inbound.outcome is None:
                own = min(own, inbound.deadline)
                break
        return own if at is None else min(at, own)

    def reminder(self) -> list[tuple[bytes, tuple[str, int]]]:
        """Return the close for a peer that seems not to have it, ever more rarely (RFC 9000 10.2.1)."""
        self.heard += 1
        return self.farewell if self.heard & (self.heard - 1) == 0 else []

    def _may_say(self, size: int, now: float) -> bool:
        """Count a message of a client or of a link; the time that it waits is no time of its streams."""
        free = self.dialled and self.share == 1  # a relay says to its client what it has to
        resume_at = 0.0 if free else self.said.take(size, self.limits, self.share, now)
        longer = resume_at - max(now, self.resume_at)
        for inbound in self.streams.values() if longer > 0 else ():
            inbound.deadline += longer
        self.resume_at = resume_at
        return not resume_at

    def _stream_id(self, index: int) -> int:
        return 4 * index + (1 if self.dialled else 0)

    def _refuse(self, stream_id: int, inbound: _Inbound, fault: BadFrame) -> None:
        inbound.outcome = fault
        self.connection.discard(stream_id, unread=True)
        self.connection.reset_stream(stream_id, 0)

    def _held(self, stream_id: int, inbound: _Inbound) -> int:
        if inbound.outcome is None:
            return self.connection.received(stream_id)
        return _LENGTH_BYTES + len(inbound.outcome) if isinstance(inbound.outcome, bytes) else 0
