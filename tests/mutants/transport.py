"""Mutants of spec/transport.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aioquic.quic.configuration import QuicConfiguration

from reference import endpoint, switch
from reference.core import relay, wire
from reference.core.effects import Close, Effect
from reference.core.errors import CloseCode
from reference.endpoint import Endpoint
from reference.quic import connection
from reference.quic.connection import Connection
from reference.session import Session
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference.core.errors import BadFrame


def with_configuration(change: Callable[[QuicConfiguration], None]) -> None:
    """Make every server configuration with a change."""
    honest = endpoint.configuration

    def changed(*positional: Any, **named: Any) -> QuicConfiguration:
        made = honest(*positional, **named)
        if not made.is_client:
            change(made)
        return made

    endpoint.configuration = changed


def with_limits(**changed: float) -> None:
    """Open every endpoint with other limits than it was told."""
    honest = Endpoint.__init__

    def started(self: Endpoint, handler: Any, credentials: Any, limits: Any) -> None:
        honest(self, handler, credentials, replace(limits, **changed))

    Endpoint.__init__ = started


@breaks("TRANS-1")
def any_protocol() -> None:
    """Accepts clients that offer another protocol only."""
    with_configuration(lambda made: made.alpn_protocols.extend(["h3", "hq-interop", "other", "wzp/2", "WZP"]))


@breaks("TRANS-2")
def small_datagrams() -> None:
    """Advertises datagrams of 1199 bytes."""
    with_configuration(lambda made: setattr(made, "max_datagram_frame_size", 1199))


@breaks("TRANS-16")
def few_streams() -> None:
    """Lets a client open 99 bidirectional streams at first."""
    honest = Connection.__init__

    def started(self: Connection, *positional: Any, **named: Any) -> None:
        honest(self, *positional, **named)
        self._local_max_streams_bidi.value = self._local_max_streams_bidi.sent = 99

    Connection.__init__ = started


@breaks("TRANS-19")
def hears_everything() -> None:
    """Handles whatever a client says at once."""
    with_limits(said=1 << 62)


@breaks("TRANS-17")
def a_minute_of_silence() -> None:
    """Announces a max idle timeout of 60 s."""
    with_configuration(lambda made: setattr(made, "idle_timeout", 60.0))


@breaks("TRANS-18")
def another_protocol() -> None:
    """Accepts clients that offer another protocol than `wzp` only."""
    with_configuration(lambda made: setattr(made, "alpn_protocols", ["wzp/2"]))


@breaks("TRANS-3")
def silent() -> None:
    """Never sends a keep-alive."""
    with_limits(keep_alive=1e9)


@breaks("TRANS-4")
def one_handshake_at_a_time() -> None:
    """Takes no new connection while a handshake is unfinished."""
    honest = Endpoint._newcomer

    def newcomer(self: Endpoint, packet: bytes, remote: tuple[str, int]) -> Session | None:
        return None if self._half_open else honest(self, packet, remote)

    Endpoint._newcomer = newcomer


@breaks("TRANS-5")
def unlimited_connections() -> None:
    """Serves any number of connections."""
    with_limits(connections=1_000_000)


@breaks("TRANS-5-draining")
def counts_the_dead() -> None:
    """Counts up to eight connections that have been closed for as long as QUIC remembers them."""
    honest = Endpoint._completed

    def completed(self: Endpoint, session: Session, now: float) -> None:
        limits = self.limits
        self.limits = replace(limits, connections=limits.connections - min(8, len(self._ended)))
        try:
            honest(self, session, now)
        finally:
            self.limits = limits

    Endpoint._completed = completed


@breaks("TRANS-6")
def minds_case() -> None:
    """Takes a server name in capitals for another name."""
    connection.normalise_name = lambda name: name
    endpoint.self_test = lambda: None  # it would notice


@breaks("TRANS-7")
def serves_anything() -> None:
    """Keeps a connection open whose server name means nothing."""
    honest = relay.RelayCore.connected

    def connected(
        self: relay.RelayCore, number: int, sni: str | None, address: str, now: float, *others: str | None
    ) -> list[Effect]:
        effects = honest(self, number, sni, address, now, *others)
        return [it for it in effects if not (isinstance(it, Close) and it.code is CloseCode.NO_SUCH_SERVICE)]

    relay.RelayCore.connected = connected


@breaks("TRANS-8")
def ping_stays() -> None:
    """Leaves a connection to ping open."""
    honest = relay.RelayCore.connected

    def connected(
        self: relay.RelayCore, number: int, sni: str | None, address: str, now: float, *others: str | None
    ) -> list[Effect]:
        return [] if sni == "ping" else honest(self, number, sni, address, now, *others)

    relay.RelayCore.connected = connected


@breaks("TRANS-9")
def never_ends_its_half() -> None:
    """Leaves its half of every stream open after its message."""

    def write(self: Connection, data: bytes) -> int:
        stream_id = self.get_next_available_stream_id()
        self.send_stream_data(stream_id, data, end_stream=False)
        return stream_id

    Connection.write = write


@breaks("TRANS-10")
def order_of_arrival() -> None:
    """Handles messages in the order in which they become whole."""
    honest = Session.release

    def release(self: Session, now: float) -> Iterator[bytes | BadFrame]:
        early = sorted(self.streams, key=lambda stream_id: self.streams[stream_id].outcome is None)
        self.streams = {stream_id: self.streams[stream_id] for stream_id in early}
        yield from honest(self, now)

    Session.release = release


@breaks("TRANS-11")
def keeps_its_half() -> None:
    """Never ends its own half of the client's streams."""
    Connection.finish = lambda _self, _stream_id: None


@breaks("TRANS-12")
def second_frame_counts() -> None:
    """Handles a second frame of a stream too."""
    honest = Session.release

    def release(self: Session, now: float) -> Iterator[bytes | BadFrame]:
        for outcome in honest(self, now):
            if isinstance(outcome, bytes) and outcome.startswith(b"\0"):
                yield from split_frames(outcome)
            else:
                yield outcome

    def feed(self: wire.FrameReader, data: bytes, *, fin: bool) -> bytes | None:
        payload = honest_feed(self, data, fin=fin)
        if payload is None:
            return None
        rest = data[data.find(payload) + len(payload) :]
        return payload if len(rest) < 5 else b"\0" + wire.frame(payload) + rest

    honest_feed = wire.FrameReader.feed
    wire.FrameReader.feed = feed
    Session.release = release


def split_frames(joined: bytes) -> Iterator[bytes]:
    """Yield the payloads of whole frames behind one another."""
    joined = joined[1:]
    while len(joined) >= 4:
        size = int.from_bytes(joined[:4], "big")
        yield joined[4 : 4 + size]
        joined = joined[4 + size :]


@breaks("TRANS-13")
def waits_for_the_end() -> None:
    """Handles a frame only when its stream has ended."""
    honest = Session.feed
    held: dict[tuple[int, int], bytes | BadFrame] = {}

    def feed(self: Session, stream_id: int, data: bytes, *, fin: bool) -> None:
        honest(self, stream_id, data, fin=fin)
        inbound, key = self.streams.get(stream_id), (id(self), stream_id)
        if inbound is None:
            return
        if isinstance(inbound.outcome, bytes) and not fin:
            held[key], inbound.outcome = inbound.outcome, None
        elif fin and key in held:
            inbound.outcome = held.pop(key)

    Session.feed = feed


@breaks("TRANS-14")
def patient() -> None:
    """Waits for ever for a stream that stalls."""
    with_limits(stream_timeout=1e9)


@breaks("TRANS-15")
def no_datagrams_here() -> None:
    """Closes a signal connection on which a datagram arrives."""
    honest = switch.Switch.datagram

    def datagram(self: switch.Switch, number: int, data: bytes) -> None:
        if self.core.presence.registrant(number) is not None:
            self.endpoint.close(number, CloseCode.NORMAL, "no datagrams here")
        honest(self, number, data)

    switch.Switch.datagram = datagram
