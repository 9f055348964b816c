"""Link (spec/transport.md): one QUIC connection of a puppet, bytes in and bytes out.

The puppet has to misbehave on purpose, which aioquic's public surface does not allow. The hooks into it
are all in this file: granting no further streams, reading a close when it arrives and not three
time-outs later, noticing ack-eliciting packets, offering few groups for the key exchange, seeing the
certificate of the other side, and going on from another port.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, TextIO

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import NetworkAddress, QuicConnection, QuicReceiveContext
from aioquic.quic.events import QuicEvent
from aioquic.quic.logger import QuicLogger
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.tap import Witness, plain, tapped

logging.getLogger("quic").setLevel(logging.CRITICAL)  # what a peer does wrong is a verdict, not a line

GROUPS = (tls.Group.SECP256R1, tls.Group.X25519)
"""What a puppet offers a key share of: the group that TLS 1.3 makes mandatory and the usual one.

The library would make shares of P-384 and X448 too, which takes longer than the rest of its hello.
"""


ACKNOWLEDGES_WITHIN = 0.008
"""Seconds after which a puppet acknowledges when it has nothing else to say; it has promised 25 ms.

Every packet less is work less on both sides, and acknowledgements are most of what a puppet sends.
"""


class Close(NamedTuple):
    """How the other side closed: with an application's code, or with one of QUIC's own."""

    code: int
    reason: str
    application: bool

    def __str__(self) -> str:
        """Say it for a person."""
        kind = "code" if self.application else "transport error"
        return f"{kind} {self.code} ({self.reason or 'no reason'})"


class Connection(QuicConnection):
    """A QUIC connection that can withhold stream credit and tells what it notices."""

    def __init__(self, configuration: QuicConfiguration, streams: int | None, **others: Any) -> None:  # noqa: ANN401
        """Grant the other side `streams` streams and not one more; None: as many as it likes."""
        super().__init__(configuration=configuration, **others)
        self._ack_delay = ACKNOWLEDGES_WITHIN
        self.frozen = streams is not None
        if streams is not None:
            self._local_max_streams_bidi.value = streams
            self._local_max_streams_bidi.sent = streams
        self.eliciting: list[float] = []
        self.closed: Close | None = None

    @property
    def datagram_limit(self) -> int:
        """The max datagram frame size that the other side advertised, in bytes; 0 when it did not."""
        return self._remote_max_datagram_frame_size or 0

    @property
    def streams_limit(self) -> int:
        """How many bidirectional streams the other side has let us open so far; 0 before it says so."""
        return self._remote_max_streams_bidi

    @property
    def idle_limit(self) -> float:
        """The max idle timeout that the other side announced, in seconds; 0 when it announced none."""
        return self._remote_max_idle_timeout or 0.0

    @property
    def peer_certificate(self) -> bytes:
        """The certificate that the other side has shown, in DER; nothing when it showed none."""
        shown = self.tls._peer_certificate  # noqa: SLF001
        return b"" if shown is None else shown.public_bytes(Encoding.DER)

    def grant(self, streams: int) -> None:
        """Grant `streams` further streams at last, and from then on as many as are used."""
        self.frozen = False
        self._local_max_streams_bidi.value += streams

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:  # noqa: FBT001, FBT002
        """Send bytes on a stream, and with them what there is to acknowledge."""
        super().send_stream_data(stream_id, data, end_stream)
        space = self._spaces[tls.Epoch.ONE_RTT]
        space.ack_at = space.ack_at and 0.0

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._supported_groups = [one for one in self.tls._supported_groups if one in GROUPS]  # noqa: SLF001

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        if not self.frozen:
            super()._write_connection_limits(builder, space)

    def _payload_received(
        self,
        context: QuicReceiveContext,
        plain: bytes,
        crypto_frame_required: bool = False,  # noqa: FBT001, FBT002
    ) -> tuple[bool, bool]:
        eliciting, probing = super()._payload_received(context, plain, crypto_frame_required)
        if eliciting:
            self.eliciting.append(context.time)
            del self.eliciting[:-64]
        return eliciting, probing

    def _handle_connection_close_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        super()._handle_connection_close_frame(context, frame_type, buf)
        event = self._close_event
        if event is not None and self.closed is None:
            application = event.frame_type is None
            self.closed = Close(event.error_code, event.reason_phrase, application)


class Link(QuicConnectionProtocol):
    """The socket and the timer of one connection; hands every event to `notice`."""

    def __init__(
        self,
        quic: Connection,
        notice: Callable[[QuicEvent | None], None],
        witness: Witness | None = None,
    ) -> None:
        """Serve `quic`; `notice` is called with every event, and with None after every packet.

        A witness is shown what passes through the socket.
        """
        super().__init__(quic)
        self._witness = witness
        self.quic = quic
        self.muted = False
        self.unreachable = False
        self._notice = notice
        self._held: list[tuple[bytes | str, NetworkAddress]] = []

    def quic_event_received(self, event: QuicEvent) -> None:
        """Hand an event on."""
        self._notice(event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Use a socket."""
        super().connection_made(tapped(transport, self._witness))

    def datagram_received(self, data: bytes | str, addr: NetworkAddress) -> None:
        """Take a packet, or hold it back while muted."""
        if self._witness is not None and isinstance(data, bytes):
            self._witness(plain(addr), self.own_address, data)
        if self.muted:
            self._held.append((data, addr))
            del self._held[:-64]
            return
        self._take_in(data, addr)

    def _take_in(self, data: bytes | str, addr: NetworkAddress) -> None:
        super().datagram_received(data, addr)
        self._notice(None)

    def unmute(self) -> None:
        """Take the packets that were held back."""
        self.muted = False
        held, self._held = self._held, []
        for data, addr in held:
            self._take_in(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Remember that nobody listens at the other side's address."""
        del exc
        self.unreachable = True
        self._notice(None)

    @property
    def own_address(self) -> tuple[str, int]:
        """The IP address and port of the socket; raises RuntimeError when there is none."""
        if self._transport is None:
            message = "the connection has no socket"
            raise RuntimeError(message)
        host, port, *_ = self._transport.get_extra_info("sockname")
        return str(host), int(port)

    async def move(self) -> None:
        """Go on from another port without a word to the other side, as a NAT makes a client do."""
        left = self._transport
        address = self.quic.get_peer_address()
        await self._loop.create_datagram_endpoint(lambda: self, remote_addr=address)
        if left is not None:
            left.close()

    def abandon(self) -> None:
        """Say good-bye and free the socket, without waiting for the other side."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.quic.get_peer_address() is not None and self.quic.closed is None:
            self.quic.close(error_code=0, reason_phrase="the check is over")
            self.transmit()
        self.drop()

    def drop(self) -> None:
        """Free the socket and the timer without a word."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()

    def transmit(self) -> None:
        """Send what is to be sent, unless the socket is gone."""
        if self._transport is not None and not self._transport.is_closing():
            super().transmit()


def client_configuration(server_name: str | None, alpn: str = "wzp", packet: int = 1200) -> QuicConfiguration:
    """Return how a puppet dials; `packet` is the UDP payload in bytes."""
    return QuicConfiguration(
        is_client=True,
        alpn_protocols=[alpn],
        server_name=server_name,
        verify_mode=ssl.CERT_NONE,
        idle_timeout=30.0,
        max_datagram_frame_size=65535,
        max_datagram_size=packet,
    )


async def dial(
    address: tuple[str, int],
    notice: Callable[[QuicEvent | None], None],
    *,
    server_name: str | None,
    alpn: str = "wzp",
    streams: int | None = None,
    packet: int = 1200,
    muted: bool = False,
    log: QuicLogger | None = None,
    secrets: TextIO | None = None,
    witness: Witness | None = None,
) -> Link:
    """Start a connection to `address` (IP, port); the handshake is not awaited.

    `streams` limits what the other side may open, `packet` is the UDP payload in bytes, `muted` holds
    every answer back until `unmute`. What the connection does goes into `log`, what opens its packets into
    `secrets`, in the format of NSS key logs, and `witness` is shown the packets.
    """
    configuration = client_configuration(server_name, alpn, packet)
    configuration.quic_logger = log
    configuration.secrets_log_file = secrets
    loop = asyncio.get_running_loop()
    _, link = await loop.create_datagram_endpoint(
        lambda: Link(Connection(configuration, streams), notice, witness), remote_addr=address
    )
    link.muted = muted
    link.connect(address)
    return link
