"""Host: one UDP socket of the suite that others dial and that dials: that of a relay, or of a party.

Packets find their connection by destination connection id (RFC 9000 section 5.2). Rules of this file: every
packet that arrives is noted, whether or not anybody is meant to hear it; a host lets everybody in unless
the check says otherwise.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from conformance.link import Connection, Link, client_configuration
from conformance.record import Recorder
from conformance.tap import Address, plain, tapped

NOTED = 4000
"""Packets whose arrival is remembered, and held back at most."""
_ID_LENGTH = 8
_SMALLEST_INITIAL = 1200


class Packet(NamedTuple):
    """One packet that arrived: when (seconds of the loop's clock), from where, and whether it opens."""

    at: float
    source: Address
    initial: bool


@dataclass(frozen=True)
class Certificate:
    """What a host shows: a self-signed certificate and its key, and the TLS fingerprint of it."""

    certificate: x509.Certificate
    key: Ed25519PrivateKey
    fingerprint: str


@cache
def certificate(name: str) -> Certificate:
    """Return the certificate that this name always gives."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "puppet")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(key, None)
    )
    digest = hashlib.sha256(made.public_bytes(Encoding.DER)).digest()
    return Certificate(made, key, digest.hex(":"))


class _Unrecognized(tls.Alert):
    """The server name is none of ours (RFC 6066 section 3)."""

    description = tls.AlertDescription.unrecognized_name


class _Server(Connection):
    """The accepting end of a connection; hands the server name on before the handshake goes further."""

    def __init__(
        self, configuration: QuicConfiguration, original: bytes, named: Callable[[str | None], bool]
    ) -> None:
        self._named = named
        super().__init__(configuration, None, original_destination_connection_id=original)

    def _initialize(self, peer_cid: bytes) -> None:
        QuicConnection._initialize(self, peer_cid)  # noqa: SLF001 - a server answers with any group
        inner = self.tls._server_handle_hello  # noqa: SLF001

        def handle_hello(hello: Buffer, *rest: Buffer) -> None:
            start = hello.tell()
            name = tls.pull_client_hello(hello).server_name
            hello.seek(start)
            if not self._named(name):
                message = f"nobody is called {name!r} here"
                raise _Unrecognized(message)
            inner(hello, *rest)

        self.tls._server_handle_hello = handle_hello  # type: ignore[method-assign,assignment] # noqa: SLF001


class _Guest(Link):
    """A connection on a host's socket, which stays open when the connection has ended."""

    def __init__(self, quic: Connection, notice: Callable[[QuicEvent | None], None]) -> None:
        super().__init__(quic, notice)
        self.gone = False

    def drop(self) -> None:
        """Free the timer; packets for this connection are nobody's from now on."""
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abandon(self) -> None:
        """Say good-bye, without waiting for the other side."""
        if self.gone:
            return
        if self.quic.get_peer_address() is not None and self.quic.closed is None:
            self.quic.close(error_code=0, reason_phrase="the check is over")
            self.transmit()
        self.drop()

    def transmit(self) -> None:
        """Send what is to be sent, once it is known to whom."""
        if not self.gone and self.quic.get_peer_address() is not None:
            super().transmit()


Arrived = Callable[[Link, str | None, Address], Callable[[QuicEvent | None], None]]
"""Is told of a connection whose server name has been read; returns who is told what happens on it."""


class Host(asyncio.DatagramProtocol):
    """One socket; `refuses` tells which server names are refused, `held` keeps every packet back."""

    def __init__(self, name: str, arrived: Arrived, recorder: Recorder | None = None) -> None:
        """Prepare; `open` is the way to get one."""
        self.name = name
        self.packets: list[Packet] = []
        self.refuses: Callable[[str | None], bool] = lambda _: False
        self.deaf = False
        self.held = False
        self.certificate = certificate(name)
        self._arrived = arrived
        self._recorder = recorder
        self._kept: list[tuple[bytes, Address]] = []
        self._guests: dict[bytes, _Guest] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(
        cls,
        name: str,
        arrived: Arrived,
        address: Address = ("127.0.0.1", 0),
        recorder: Recorder | None = None,
    ) -> Host:
        """Bind a socket; raises OSError when there is none to be had. What passes is recorded, if need be."""
        loop = asyncio.get_running_loop()
        _, host = await loop.create_datagram_endpoint(
            lambda: cls(name, arrived, recorder), local_addr=address
        )
        return host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = tapped(transport, None if self._recorder is None else self._recorder.witness)

    @property
    def address(self) -> Address:
        """The IP address and port of the socket; raises RuntimeError when it is closed."""
        if self._transport is None:
            message = f"{self.name} has no socket"
            raise RuntimeError(message)
        host, port, *_ = self._transport.get_extra_info("sockname")
        return str(host), int(port)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Note a packet, and hand it to its connection or let a new one begin."""
        source = plain(addr)
        if self._recorder is not None:
            self._recorder.witness(source, self.address, data)
        self._take(data, source)

    def _take(self, data: bytes, source: Address) -> None:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=_ID_LENGTH)
        except ValueError:
            header = None
        initial = header is not None and header.packet_type == QuicPacketType.INITIAL
        opens = initial and header is not None and header.destination_cid not in self._guests
        if len(self.packets) < NOTED:
            self.packets.append(Packet(self._loop.time(), source, opens))
        if self.deaf:
            return
        if self.held:
            self._kept = [*self._kept, (data, source)][-NOTED:]
            return
        if header is None:
            return
        guest = self._guests.get(header.destination_cid)
        if guest is None and initial and len(data) >= _SMALLEST_INITIAL:
            guest = self._guests[header.destination_cid] = self._begin(header.destination_cid, source)
        if guest is not None and not guest.gone:
            guest.datagram_received(data, source)

    def release(self) -> None:
        """Take in what was held back."""
        self.held = False
        kept, self._kept = self._kept, []
        for data, source in kept:
            self._take(data, source)

    def dial(
        self,
        address: Address,
        notice: Callable[[QuicEvent | None], None],
        *,
        server_name: str | None,
        alpn: str = "wzp",
    ) -> Link:
        """Start a connection from this socket; the handshake is not awaited."""
        quic = Connection(self._watched(client_configuration(server_name, alpn)), None)
        guest = self._take_in(_Guest(quic, notice))
        self._guests[quic.host_cid] = guest
        guest.connect(address)
        return guest

    def attempts(self) -> list[Packet]:
        """Return the first packets of the handshakes that were begun here, one of each source."""
        first: dict[Address, Packet] = {}
        for packet in self.packets:
            if packet.initial:
                first.setdefault(packet.source, packet)
        return [*first.values()]

    def close(self) -> None:
        """End every connection and the socket."""
        for guest in {id(one): one for one in self._guests.values()}.values():
            guest.abandon()
        self._guests.clear()
        if self._transport is not None:
            self._transport.close()

    def _begin(self, original: bytes, source: Address) -> _Guest:
        configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=["wzp"],
            idle_timeout=30.0,
            max_datagram_frame_size=65535,
        )
        configuration.certificate = self.certificate.certificate
        configuration.private_key = self.certificate.key

        def named(name: str | None) -> bool:
            if self.refuses(name):
                return False
            guest._notice = self._arrived(guest, name, source)  # noqa: SLF001 - known only now
            return True

        quic = _Server(self._watched(configuration), original, named)
        guest = self._take_in(_Guest(quic, lambda _: None))
        self._guests[quic.host_cid] = guest
        return guest

    def _watched(self, configuration: QuicConfiguration) -> QuicConfiguration:
        """Let the connections of this host be recorded, if they are to be."""
        if self._recorder is not None:
            configuration.quic_logger = self._recorder.log(self.name)
            configuration.secrets_log_file = self._recorder.secrets
        return configuration

    def _take_in(self, guest: _Guest) -> _Guest:
        if self._transport is None:
            message = f"{self.name} has no socket"
            raise RuntimeError(message)
        guest.connection_made(self._transport)
        guest._connection_id_issued_handler = lambda cid: self._guests.__setitem__(cid, guest)  # noqa: SLF001
        guest._connection_id_retired_handler = lambda cid: self._guests.pop(cid, None)  # type: ignore[assignment] # noqa: SLF001
        return guest
