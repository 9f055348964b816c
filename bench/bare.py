"""Bare connections: what a client can do to a relay that no client of ours does.

aioquic alone, so that a stream may stay unfinished, credit may be withheld, and a handshake left half done.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Self

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NetworkAddress, QuicConnection
from aioquic.quic.events import QuicEvent
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace

from bench.process import LOOPBACK
from reference.core import messages, wire
from reference.core.phases import NEWEST
from reference.core.registration import Identity

_PREFIX = 4


def settings(sni: str) -> QuicConfiguration:
    """Return those of a client that asks for `sni`."""
    return QuicConfiguration(
        alpn_protocols=["wzp"], server_name=sni, verify_mode=ssl.CERT_NONE, max_datagram_frame_size=65_535
    )


def first_flight(relay: tuple[str, int], sni: str) -> list[bytes]:
    """Return the packets with which a connection begins."""
    connection = QuicConnection(configuration=settings(sni))
    connection.connect(relay, now=time.monotonic())
    return [packet for packet, _ in connection.datagrams_to_send(now=time.monotonic())]


class Grudging(QuicConnection):
    """A connection that lets its peer open `streams` streams and never one more."""

    def __init__(self, configuration: QuicConfiguration, streams: int) -> None:
        """Begin with so much credit."""
        super().__init__(configuration=configuration)
        self._local_max_streams_bidi.value = self._local_max_streams_bidi.sent = streams

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        """Grant nothing."""


class Bare(QuicConnectionProtocol):
    """A connection that says when it is over, and the code with which its peer closed it, or -1."""

    def __init__(self, quic: QuicConnection, over: Callable[[int], None]) -> None:
        """Call `over` once with the code."""
        super().__init__(quic)
        self._told = over
        self.over = asyncio.Event()

    @classmethod
    async def registered(
        cls, relay: tuple[str, int], over: Callable[[int], None], streams: int | None = None
    ) -> Self:
        """Connect and register somebody new; grant `streams` streams, or as many as are used."""
        wanted = settings("_signal")
        quic = QuicConnection(configuration=wanted) if streams is None else Grudging(wanted, streams)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_datagram_endpoint(lambda: cls(quic, over), local_addr=(LOOPBACK, 0))
        try:
            made.connect(relay)
            await made.wait_connected()
        except BaseException:
            made.let_go()
            raise
        who = Identity.from_seed(secrets.token_bytes(32))
        signature = who.registration_signature()
        made.say(messages.RegisterPresence(identity_pub=who.public, signature=signature))
        return made

    def let_go(self) -> None:
        """Close the connection, if it is not over, and its socket."""
        self.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        """Take a packet, and notice a close as soon as it is there: the event comes seconds later."""
        super().datagram_received(data, addr)
        close = self._quic._close_event  # noqa: SLF001 - it has no public name
        if close is not None and not self.over.is_set():
            self.over.set()
            self._told(close.error_code if close.frame_type is None else -1)

    def quic_event_received(self, event: QuicEvent) -> None:
        """Read nothing of what the relay says."""

    def say(self, message: messages.Message) -> None:
        """Send a whole message."""
        self._send(wire.frame(wire.encode(message, NEWEST)), end_stream=True)

    def begin(self, announced: int, sent: int) -> None:
        """Announce a frame, send a part of it and leave the stream as it is."""
        self._send(announced.to_bytes(_PREFIX, "big") + bytes(sent), end_stream=False)

    def _send(self, data: bytes, *, end_stream: bool) -> None:
        stream = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream, data, end_stream=end_stream)
        self.transmit()
