"""UDP (spec/transport.md): one bound socket, its packets, and what it can reach."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

from reference.core.errors import Misuse
from reference.quic.packets import as_reported

_BUFFER = 4_194_304  # asked for; the system decides
_CLOSE_WITHIN = 0.9


class Receiver(Protocol):
    """Who takes the packets of a socket."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take one packet and its sender as the socket reports it."""


class UdpSocket(asyncio.DatagramProtocol):
    """One UDP socket of the event loop; what it does not take is dropped, as the network would."""

    def __init__(self, receiver: Receiver) -> None:
        """Prepare a socket that hands every packet to `receiver`."""
        self._receiver = receiver
        self._six_only = False
        self._closed = asyncio.Event()
        self._writable = True

    async def open(self, host: str, port: int, *, six_only: bool) -> None:
        """Bind to an IP literal and a port.

        An IPv6 socket reaches IPv4 hosts too, by their v4-mapped addresses, unless it is `six_only`.
        Raises OSError when the address cannot be bound, and on a host without IPv6 for an IPv6 one;
        Misuse for an IPv4 literal that is to be `six_only`.
        """
        if six_only and ":" not in host:
            raise Misuse(f"a socket at {host} is no IPv6 socket")
        self._six_only = six_only
        bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if bound.family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, six_only)
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                bound.setsockopt(socket.SOL_SOCKET, buffer, _BUFFER)
            bound.bind((host, port))
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)
        except BaseException:
            bound.close()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the socket is bound to."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def reported(self, address: tuple[str, int]) -> tuple[str, int]:
        """Return a host and a port as the packets from there will be reported.

        Raises ValueError for a host that is no IP literal and for one that this socket cannot reach.
        """
        return as_reported(address, self._family, six_only=self._six_only)

    def send(self, data: bytes, remote: tuple[str, int]) -> None:
        """Send one packet, or drop it: what does not go out is lost to QUIC, which repairs what it has to."""
        if self._writable and not self._transport.is_closing():
            self._transport.sendto(data, remote)

    async def close(self) -> None:
        """Send what the system has not taken yet and close; returns within a second."""
        self._transport.close()
        try:
            await asyncio.wait_for(self._closed.wait(), _CLOSE_WITHIN)
        except TimeoutError:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket from the event loop."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._family: int = transport.get_extra_info("socket").family

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a packet on."""
        self._receiver.datagram_received(data, addr)

    def pause_writing(self) -> None:
        """Learn that the socket takes no more: packets are dropped until it does."""
        self._writable = False

    def resume_writing(self) -> None:
        """Learn that the socket takes packets again."""
        self._writable = True

    def connection_lost(self, _error: Exception | None) -> None:
        """Learn from the event loop that the socket is closed."""
        self._closed.set()
