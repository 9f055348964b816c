"""Packets (spec/transport.md): what a packet says before it has a connection (RFC 8999, RFC 9000)."""

from __future__ import annotations

import ipaddress
import socket

from aioquic._buffer import Buffer
from aioquic.quic.packet import QuicPacketType, encode_quic_version_negotiation, pull_quic_header

from reference.quic.parameters import ID_BYTES, VERSIONS

_FIXED_BIT = 0x40
_LONG_HEADER = 0x80
_SMALLEST_INITIAL = 1200  # RFC 9000 section 14.1


def destination(packet: bytes) -> bytes | None:
    """Return the connection id that a packet is for; None if it is no QUIC packet."""
    if len(packet) <= ID_BYTES or packet[0] < _FIXED_BIT:
        return None
    if packet[0] >= _LONG_HEADER:
        return packet[6 : 6 + packet[5]]
    return packet[1 : 1 + ID_BYTES]


def version_negotiation(packet: bytes) -> bytes | None:
    """Return the answer to a packet of a version that is not spoken here; None if it gets none.

    A version negotiation packet is never answered, nor one too short to open a connection
    (RFC 9000 section 5.2.2).
    """
    if len(packet) < _SMALLEST_INITIAL or packet[0] < _LONG_HEADER:
        return None
    if int.from_bytes(packet[1:5], "big") in (0, *VERSIONS):
        return None
    source_at = 6 + packet[5]
    source = packet[source_at + 1 : source_at + 1 + packet[source_at]]
    return encode_quic_version_negotiation(packet[6:source_at], source, VERSIONS)


def first_destination(packet: bytes) -> bytes | None:
    """Return the id that a client chose for its server; None if this opens no connection."""
    if len(packet) < _SMALLEST_INITIAL or packet[0] < _LONG_HEADER:
        return None
    try:
        header = pull_quic_header(Buffer(data=packet), host_cid_length=ID_BYTES)
    except ValueError:
        return None
    opens = header.packet_type == QuicPacketType.INITIAL and header.version in VERSIONS
    return header.destination_cid if opens and len(header.destination_cid) >= ID_BYTES else None


def as_reported(address: tuple[str, int], family: int, *, six_only: bool = False) -> tuple[str, int]:
    """Return the host and port of an IP literal as a socket of `family` will report its packets.

    The stack compares hosts as texts. Raises ValueError for a host that is no IP literal or not
    reachable through that family; an IPv6 socket reaches IPv4 unless it is `six_only`.
    """
    host, port = ipaddress.ip_address(address[0]), address[1]
    mapped = family == socket.AF_INET6 and not six_only and isinstance(host, ipaddress.IPv4Address)
    text = f"::ffff:{host}" if mapped else str(host)
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text)), port
    except OSError as error:
        raise ValueError(f"the socket does not reach {host}") from error
