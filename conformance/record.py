"""Record: what a performance leaves behind for people with tools.

    wire.pcapng      every packet of every seat, as the seat saw it, with the TLS secrets that open them
    NAME.qlog        what the connections of one person did (the qlog format)
    dialogue.jsonl   who said what, one step a line

Rules of this file: a record is bounded; of too much the oldest goes, but for the first packets, without
which none can be opened, and the record says so. Packets are kept as raw IP with headers of our own, because
a seat's socket sees none.
"""

from __future__ import annotations

import io
import json
import re
import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from aioquic.quic.logger import QuicLogger, QuicLoggerTrace

from conformance.dialogue import Dialogue
from conformance.tap import Address, Witness

PACKETS = 20_000
"""Packets that are kept beside the first."""
FIRST = 64
"""Packets of the beginning, which are always kept."""
WIRE = 4 << 20
"""Bytes of packets that are kept beside the first."""
SECRETS = 1 << 18
"""Characters of secrets that are kept: some 250 connections."""
EVENTS = 2000
"""Events of one connection in its qlog."""
CONNECTIONS = 40
"""Connections of one person in its qlog."""
QLOG = 4 << 20
"""Bytes of all qlogs together."""
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


class _Secrets(io.StringIO):
    """Keeps so many secrets and no more."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out = 0

    def write(self, text: str, /) -> int:
        """Keep a line, if there is room for it."""
        if self.tell() + len(text) > SECRETS:
            self.left_out += 1
            return len(text)
        return super().write(text)


class _Log(QuicLogger):
    """What the connections of one person did last; of too many connections the first."""

    def start_trace(self, is_client: bool, odcid: bytes) -> QuicLoggerTrace:  # noqa: FBT001 - as aioquic has it
        """Return where a connection writes what it does."""
        trace = QuicLoggerTrace(is_client=is_client, odcid=odcid)
        trace._events = deque(maxlen=EVENTS)  # noqa: SLF001 - there is no other way to bound it
        if len(self._traces) < CONNECTIONS:
            self._traces.append(trace)
        return trace

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        """Keep what was written."""


class Recorder:
    """Keeps what passes by; with `logs` what the connections do too, which costs time."""

    def __init__(self, *, logs: bool = True) -> None:
        """Start empty."""
        self.seen = 0
        self.logs = logs
        self.secrets = _Secrets()
        self._first: list[Packet] = []
        self._packets: deque[Packet] = deque()
        self._bytes = 0
        self._logs: dict[str, QuicLogger] = {}

    def witness(self, source: Address, destination: Address, data: bytes) -> None:
        """Keep a packet."""
        self.seen += 1
        packet = Packet(time.time(), source, destination, data)
        if len(self._first) < FIRST:
            self._first.append(packet)
            return
        self._packets.append(packet)
        self._bytes += len(data)
        while len(self._packets) > PACKETS or self._bytes > WIRE:
            self._bytes -= len(self._packets.popleft().data)

    def log(self, who: str) -> QuicLogger | None:
        """Return where the connections of a person write what they do, if they are to."""
        return self._logs.setdefault(who, _Log()) if self.logs else None

    def options(self, who: str) -> dict[str, Any]:
        """Return what link.dial is to be told, so that a connection of this person is recorded."""
        witness: Witness = self.witness
        return {"log": self.log(who), "secrets": self.secrets, "witness": witness}

    def write(self, folder: Path, dialogue: Dialogue) -> str:
        """Write everything into a folder; return a sentence about what was left out, or nothing.

        Raises OSError when it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        packets = chain(self._first, self._packets)
        (folder / "wire.pcapng").write_bytes(pcapng(packets, self.secrets.getvalue().encode()))
        unlogged = self._write_logs(folder)
        lines = "".join(json.dumps(step, ensure_ascii=False) + "\n" for step in dialogue.steps())
        (folder / "dialogue.jsonl").write_text(lines, encoding="utf-8", errors="backslashreplace")
        return "; ".join([*self._cuts(), *([f"no room for the qlog of {unlogged}"] if unlogged else [])])

    def _write_logs(self, folder: Path) -> str:
        """Write the qlogs as far as there is room; return the names of those that were left out."""
        room, unlogged = QLOG, []
        for who, log in self._logs.items():
            text = json.dumps(log.to_dict())
            room -= len(text)
            if room < 0:
                unlogged.append(who)
                continue
            name = re.sub(r"[^A-Za-z0-9]+", "-", who).strip("-") or "somebody"
            (folder / f"{name}.qlog").write_text(text, encoding="utf-8")
        return ", ".join(unlogged)

    def _cuts(self) -> Iterator[str]:
        first, last = len(self._first), len(self._packets)
        if first + last < self.seen:
            yield f"of {self.seen} packets the first {first} and the last {last} are kept"
        if self.secrets.left_out:
            yield f"{self.secrets.left_out} lines of secrets had no room"


def pcapng(packets: Iterable[Packet], secrets: bytes) -> bytes:
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
