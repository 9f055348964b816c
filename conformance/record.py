"""Record: what a performance leaves behind for people with tools.

    wire.pcapng      every packet of every seat, as the seat saw it, with the TLS secrets that open them
    NAME.qlog        what the connections of one person did (the qlog format)
    dialogue.jsonl   who said what, one step a line

Rules of this file: a record is bounded, and of too much the oldest goes; packets are kept as raw IP with
headers of our own, because a seat's socket sees none.
"""

from __future__ import annotations

import io
import json
import struct
import time
from collections import deque
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from aioquic.quic.logger import QuicLogger

from conformance.dialogue import Dialogue
from conformance.proxy import Address

PACKETS = 20_000
"""Packets that are kept."""
_SECTION, _INTERFACE, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 6, 10
_MAGIC = 0x1A2B3C4D
_RAW_IP = 101
_TLS_KEY_LOG = 0x544C534B
_WHOLE_PACKET = 0
_UDP = 17
_HOPS = 64
_MICROSECONDS = 1_000_000
_HALF = 32


class Packet(NamedTuple):
    """One packet: the seconds since 1970, from where to where, and its bytes."""

    at: float
    source: Address
    destination: Address
    data: bytes


class Recorder:
    """Keeps what passes by."""

    def __init__(self) -> None:
        """Start empty."""
        self.packets: deque[Packet] = deque(maxlen=PACKETS)
        self.secrets = io.StringIO()
        self._logs: dict[str, QuicLogger] = {}

    def witness(self, source: Address, destination: Address, data: bytes) -> None:
        """Keep a packet."""
        self.packets.append(Packet(time.time(), source, destination, data))

    def log(self, who: str) -> QuicLogger:
        """Return where the connections of a person write what they do."""
        return self._logs.setdefault(who, QuicLogger())

    def write(self, folder: Path, dialogue: Dialogue) -> None:
        """Write everything into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "wire.pcapng").write_bytes(pcapng(self.packets, self.secrets.getvalue().encode()))
        for who, log in self._logs.items():
            (folder / f"{who}.qlog").write_text(json.dumps(log.to_dict()), encoding="utf-8")
        lines = "".join(json.dumps(step, ensure_ascii=False) + "\n" for step in dialogue.steps())
        (folder / "dialogue.jsonl").write_text(lines, encoding="utf-8")


def pcapng(packets: deque[Packet], secrets: bytes) -> bytes:
    """Return packets and the TLS secrets that open them as a pcapng file (draft-ietf-opsawg-pcapng)."""
    blocks = [
        _block(_SECTION, struct.pack("<IHHq", _MAGIC, 1, 0, -1)),
        _block(_INTERFACE, struct.pack("<HHI", _RAW_IP, 0, _WHOLE_PACKET)),
        _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(secrets)) + secrets),
    ]
    return b"".join([*blocks, *map(_packet, packets)])


def _packet(packet: Packet) -> bytes:
    data = in_ip(packet.source, packet.destination, packet.data)
    at = int(packet.at * _MICROSECONDS)
    head = struct.pack("<IIIII", 0, at >> _HALF, at & 0xFFFFFFFF, len(data), len(data))
    return _block(_PACKET, head + data)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def in_ip(source: Address, destination: Address, data: bytes) -> bytes:
    """Return the payload of a UDP packet with headers of UDP (RFC 768) and IP (RFC 791, RFC 8200)."""
    ends = [ip_address(source[0]), ip_address(destination[0])]
    length = 8 + len(data)
    udp = struct.pack("!HHHH", source[1], destination[1], length, 0) + data
    packed = ends[0].packed + ends[1].packed
    six = ends[0].version == 6  # noqa: PLR2004
    pseudo = packed + (
        struct.pack("!IHBB", length, 0, 0, _UDP) if six else struct.pack("!BBH", 0, _UDP, length)
    )
    total = _checksum(pseudo + udp) or 0xFFFF
    udp = udp[:6] + total.to_bytes(2, "big") + udp[8:]
    if six:
        return struct.pack("!IHBB", 6 << 28, length, _UDP, _HOPS) + packed + udp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, _HOPS, _UDP, 0)
    head = head[:10] + _checksum(head + packed).to_bytes(2, "big")
    return head + packed + udp


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
