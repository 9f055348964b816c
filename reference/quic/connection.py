"""QUIC adapter (spec/transport.md): what aioquic neither tells nor bounds.

Rule of this room: private names of aioquic stay inside it; the self-test tries them before a socket opens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection, QuicConnectionState, stream_is_unidirectional
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from reference.core.addresses import normalise_name
from reference.core.errors import REASONS, CloseCode
from reference.core.wire import FRAME_LIMIT
from reference.quic.credentials import fingerprint_of
from reference.quic.flow import RECEIVE_WINDOW, Window, discard
from reference.quic.hello import AlertUnrecognizedName, watch

_PACKET_OVERHEAD = 22  # of a DATAGRAM frame alone in a packet, the connection id apart
_TURN_WINDOW = 2 * FRAME_LIMIT + 8  # a whole frame before aioquic would double it
_TIMER_STEP = 1e-6  # later than asked for, or its rounding brings the same timer for ever


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection is over; `code` is -1 for anything but an application close."""

    code: int
    reason: str
    by_peer: bool


class Connection(QuicConnection):
    """A QUIC connection with bounded queues, which tells the server name and its own end."""

    hello_seen = False
    sni: str | None = None
    turn: int | None = None  # the stream of the peer that is read now

    def __init__(
        self,
        configuration: QuicConfiguration,
        datagrams: int,
        first_destination: bytes | None = None,
        welcomes: Callable[[str | None], bool] = lambda _: True,
    ) -> None:
        """Keep at most `datagrams` outgoing ones; a server needs the first destination id it saw.

        It answers only a name that it `welcomes`; any other one ends in an alert (RACE-7).
        """
        super().__init__(configuration=configuration, original_destination_connection_id=first_destination)
        self._welcomes = welcomes
        self._datagrams_pending = deque(maxlen=datagrams)
        self._local_max_data = self._window = Window()

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        if not self._is_client:
            watch(self, self._take_name)

    def _take_name(self, name: str | None) -> None:
        self.sni = normalise_name(name)
        if not self._welcomes(self.sni):
            raise AlertUnrecognizedName(REASONS[CloseCode.NO_SUCH_SERVICE])
        self.hello_seen = True

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        stream = super()._get_or_create_stream(frame_type, stream_id)
        if stream_is_unidirectional(stream_id):
            discard(stream)
        return stream

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        if stream.stream_id == self.turn:
            stream.max_stream_data_local = max(stream.max_stream_data_local, _TURN_WINDOW)
            super()._write_stream_limits(builder, space, stream)

    @property
    def untouched(self) -> bool:
        """Tell whether no packet of the peer could be decrypted yet."""
        return self._state is QuicConnectionState.FIRSTFLIGHT

    @property
    def closing(self) -> bool:
        """Tell whether the next packets carry the close."""
        return self._close_pending

    @property
    def ending(self) -> Ending | None:
        """Why the connection is over, known as soon as the close is sent or received."""
        event = self._close_event
        if event is None:
            return None
        by_peer = self._state is QuicConnectionState.DRAINING
        if by_peer and event.frame_type is None:
            return Ending(event.error_code, event.reason_phrase, by_peer)
        reason = event.reason_phrase or "no reason given"
        return Ending(-1, f"{reason} (QUIC error 0x{event.error_code:x})", by_peer)

    @property
    def peer_fingerprint(self) -> str | None:
        """The fingerprint of the peer's certificate; None for a client without one."""
        certificate = self.tls._peer_certificate  # noqa: SLF001
        return None if certificate is None else fingerprint_of(certificate)

    @property
    def peer_streams(self) -> int:
        """How many bidirectional streams the peer has opened so far."""
        return self._local_max_streams_bidi.used

    @property
    def largest_datagram(self) -> int:
        """The most bytes one datagram carries; negative if the peer takes none (RFC 9221)."""
        room = self._max_datagram_size - _PACKET_OVERHEAD - len(self._peer_cid.cid)
        return min(room, (self._remote_max_datagram_frame_size or 0) - 3)

    def keep_datagrams(self, most: int) -> None:
        """Let `most` outgoing datagrams wait."""
        self._datagrams_pending = deque(self._datagrams_pending, maxlen=most)

    @property
    def datagrams_full(self) -> bool:
        """Tell whether the next datagram takes the place of the oldest that waits."""
        return len(self._datagrams_pending) == self._datagrams_pending.maxlen

    def push_datagram(self, data: bytes) -> bool:
        """Queue one datagram that is not too large; tell whether the oldest was dropped (MEDIA-25)."""
        full = self.datagrams_full
        self.send_datagram_frame(data)
        return full

    def dissolve(self) -> None:
        """Let go of everything; nothing else may be called from now on.

        The stack's objects refer to each other in circles, which Python looks for ever more rarely.
        """
        for space in self._spaces.values():
            space.sent_packets.clear()  # one that carried an acknowledgement leads back to its space
        self.__dict__.clear()

    def lift_pacing(self) -> None:
        """Let the next packets go as fast as the congestion window lets them."""
        self._loss._pacer.packet_time = None  # noqa: SLF001

    def wake_at(self) -> float | None:
        """Return when `handle_wake` is due, None for never."""
        at = self.get_timer()
        return None if at is None else at + _TIMER_STEP

    def handle_wake(self, now: float) -> None:
        """Handle the timer of the stack, if it is due."""
        at = self.wake_at()
        if at is not None and now >= at:
            self.handle_timer(now=now)

    def write(self, data: bytes) -> int:
        """Put `data` and FIN on a new stream, whose other half nobody reads; return its id."""
        stream_id = self.get_next_available_stream_id()
        self.send_stream_data(stream_id, data, end_stream=True)
        discard(self._streams[stream_id])
        return stream_id

    def is_sent(self, stream_id: int, size: int) -> bool:
        """Tell whether all `size` bytes of a stream were put into packets at least once."""
        stream = self._streams.get(stream_id)
        return stream is None or stream.sender.highest_offset >= size

    def received(self, stream_id: int) -> int:
        """The highest offset that a stream of the peer has reached, in bytes."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.receiver.highest_offset

    def grant(self, held: int) -> None:
        """Slide the receive window over all that came except the `held` bytes."""
        granted = self._window.used - held + RECEIVE_WINDOW
        if granted - self._window.granted >= RECEIVE_WINDOW // 4:
            self._window.granted = granted

    def discard(self, stream_id: int, *, unread: bool) -> None:
        """Keep no more bytes of a peer's stream; those that come, or `unread` ones, stop it."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        receiver = discard(stream)
        if unread and not receiver.is_finished:
            receiver.stop()

    def finish(self, stream_id: int) -> None:
        """End the own half of a peer's stream; if the peer stopped it, the stack has reset it."""
        stream = self._streams.get(stream_id)
        if stream is not None and stream.sender._reset_error_code is None:  # noqa: SLF001
            stream.sender.write(b"", end_stream=True)
