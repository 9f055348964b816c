"""Addresses that a client may tell or dial (spec/candidates.md), and the one socket that it uses."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from aioquic._buffer import Buffer
from aioquic.asyncio.server import QuicServer
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

from tests.independent.wire import (
    Identity,
    Link,
    address_text,
    certificate,
    read_address,
    settings,
)

PRIVATE = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
HOSTS = [*PRIVATE, ipaddress.ip_network("2000::/3")]
NOWHERE = [ipaddress.ip_network(net) for net in ("169.254.0.0/16", "fe80::/10", "255.255.255.255/32")]
NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def plain(text: str) -> str | None:
    """Return an address with a port in the one text form, or None when it cannot be read."""
    try:
        return address_text(*read_address(text))
    except ValueError:
        return None


def _inner(host: Address) -> Address:
    """Return the IPv4 address that a v4-mapped or NAT64 address stands for."""
    if isinstance(host, ipaddress.IPv6Address):
        if host.ipv4_mapped is not None:
            return host.ipv4_mapped
        if host in NAT64:
            return ipaddress.IPv4Address(int(host) & 0xFFFFFFFF)
    return host


def may_dial(text: str, *, loopback: bool) -> bool:
    """Tell whether a readable address may be dialled; `loopback` when the own relay is there too."""
    host, port = read_address(text)
    address = _inner(ipaddress.ip_address(host))
    if address.is_loopback and not (loopback and address == ipaddress.ip_address(host)):
        return False
    lost = address.is_unspecified or address.is_multicast or any(address in net for net in NOWHERE)
    return port > 0 and not lost


def verdict(observed: list[str | None]) -> str:
    """Classify a NAT by what the relays said (spec/reflection.md)."""
    public = [read_address(text) for text in observed if text is not None and _is_public(text)]
    if len(public) < 2:
        return "Unknown"
    if len({host for host, _ in public}) > 1:
        return "Multiple"
    return "Cone" if len(set(public)) == 1 else "SymmetricPort"


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(read_address(text)[0])
    near = address.is_unspecified or address.is_loopback or any(address in net for net in NOWHERE)
    return not near and not any(address in net for net in PRIVATE)


class Socket(QuicServer):
    """One UDP socket that dials, and answers only while `accepts` says so."""

    @classmethod
    async def open(cls, family: socket.AddressFamily, server: Callable[..., Link], idle: float) -> Socket:
        """Bind a free port on all addresses of a family."""
        configuration = settings(is_client=False, idle=idle)
        configuration.private_key = Identity(os.urandom(32)).tls_key
        configuration.certificate = certificate(configuration.private_key)
        loop = asyncio.get_running_loop()
        _, made = await loop.create_datagram_endpoint(
            lambda: cls(configuration=configuration, create_protocol=server),
            local_addr=("::" if family == socket.AF_INET6 else "0.0.0.0", 0),  # noqa: S104 - who calls may come
        )
        made.family, made.idle = family, idle
        return made

    family = socket.AF_INET
    idle = 30.0
    accepts: Callable[[], bool] = staticmethod(lambda: False)

    @property
    def port(self) -> int:
        """The port of this socket."""
        transport = self._transport
        return int(transport.get_extra_info("sockname")[1]) if transport is not None else 0

    def datagram_received(self, data: bytes | str, addr: Any) -> None:  # noqa: ANN401 - as asyncio has it
        """Take a packet of a known connection, and of a new one only while somebody is expected."""
        if isinstance(data, str) or (not self.accepts() and self._is_new(data)):
            return
        super().datagram_received(data, addr[:2])  # one shape for both families

    def _is_new(self, data: bytes) -> bool:
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
        except ValueError:
            return True
        return header.destination_cid not in self._protocols

    def dial(self, address: str, name: str, make: Callable[[QuicConnection], Link], patience: float) -> Link:
        """Begin a connection from this socket; its handshake is given up after `patience` seconds."""
        host, port = read_address(address)
        quic = QuicConnection(configuration=settings(is_client=True, name=name, idle=self.idle))
        link = make(quic)
        if self._transport is None:
            raise OSError("the socket is closed")
        link.connection_made(self._transport)
        link._connection_id_issued_handler = partial(self._connection_id_issued, protocol=link)
        link._connection_id_retired_handler = partial(self._connection_id_retired, protocol=link)
        link._connection_terminated_handler = partial(self._connection_terminated, protocol=link)
        self._protocols[quic.host_cid] = link
        mapped = self.family == socket.AF_INET6 and ":" not in host
        link.connect((f"::ffff:{host}" if mapped else host, port))
        asyncio.get_running_loop().call_later(patience, link.abandon)
        return link

    def reaches(self, address: str) -> bool:
        """Tell whether an address is of the family of this socket."""
        return self.family == socket.AF_INET6 or not address.startswith("[")


def family_of(host: str) -> socket.AddressFamily:
    """Return the family of an IP address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET
