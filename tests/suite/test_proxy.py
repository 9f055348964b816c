"""Tests of the UDP proxy and of the record: what happens to packets, and what is written of them."""

from __future__ import annotations

import asyncio
import json
import struct
from collections import deque
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import cast

import pytest

from conformance import plan, record
from conformance import replay as replaying
from conformance.dialogue import Dialogue
from conformance.plan import Faults
from conformance.proxy import UNDERWAY, Proxy, Way
from conformance.record import Packet, Recorder
from conformance.tap import Address
from conformance.targets import Target

ROOT = Path(__file__).resolve().parents[2]
GUARD = 20.0
"""Seconds after which a wait is given up; a passing test never comes near."""
MANY = [number.to_bytes(2, "big") for number in range(200)]
SEAT, RELAY = ("127.0.0.1", 5000), ("127.0.0.1", 4433)


def through(faults: Faults, packets: list[bytes], seed: str = "1") -> list[bytes]:
    """Return what comes out of one direction, in order, when everything has arrived."""

    async def pass_by() -> list[bytes]:
        came: asyncio.Queue[bytes] = asyncio.Queue()
        way = Way(faults, Random(seed), came.put_nowait)
        for packet in packets:
            way.take(packet)
        expected = way.counts.duplicated + len(packets) - way.counts.lost - way.counts.overflowed
        async with asyncio.timeout(GUARD):
            return [await came.get() for _ in range(expected)]

    return asyncio.run(pass_by())


def test_without_faults_everything_passes() -> None:
    """What goes in comes out, at once and in order."""
    assert MANY == through(Faults(), MANY)


@pytest.mark.parametrize("faults", [Faults(loss=0.3), Faults(duplication=0.3), Faults(reordering=0.3)])
def test_chance_follows_from_the_seed(faults: Faults) -> None:
    """The same packets meet the same fate with the same seed, and another one with another."""
    first, again, other = (through(faults, MANY, seed) for seed in ("1", "1", "2"))
    assert first == again != other


def test_what_is_lost_does_not_come() -> None:
    """About that share of the packets is lost, and the others come in order."""
    came = through(Faults(loss=0.25), MANY)
    assert 120 < len(came) < 180
    assert sorted(came) == came


def test_what_is_duplicated_comes_twice() -> None:
    """About that share of the packets comes twice, and none is missing."""
    came = through(Faults(duplication=0.25), MANY)
    assert 220 < len(came) < 280
    assert MANY == sorted(set(came))


def test_what_is_reordered_comes_later() -> None:
    """Packets come in another order, and each of them once."""
    came = through(Faults(reordering=0.25), MANY)
    assert came != MANY
    assert MANY == sorted(came)


def test_too_much_on_its_way_is_lost() -> None:
    """No more than a bounded number of packets is on its way; the oldest make room."""
    packets = [number.to_bytes(2, "big") for number in range(UNDERWAY + 10)]
    assert packets[10:] == through(Faults(delay=0.05), packets)


class Echo(asyncio.DatagramProtocol):
    """Sends everything back to where it came from."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Send it back."""
        self.transport.sendto(data, addr)


class Ear(asyncio.DatagramProtocol):
    """Hears one packet."""

    def __init__(self) -> None:
        """Have heard nothing."""
        self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hear it."""
        del addr
        if not self.heard.done():
            self.heard.set_result(data)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_proxy_stands_between_two_sockets(host: str) -> None:
    """A packet goes there and back through it, and whoever listens hears of both."""
    seen: list[tuple[Address, Address, bytes]] = []

    async def pass_by() -> tuple[Address, Address, bytes]:
        loop = asyncio.get_running_loop()
        echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, 0))
        target = echo.get_extra_info("sockname")[:2]
        proxy = await Proxy.open(target, Faults(), "1", lambda *one: seen.append(one))
        seat, ear = await loop.create_datagram_endpoint(Ear, remote_addr=proxy.address)
        own = seat.get_extra_info("sockname")[:2]
        seat.sendto(b"there and back")
        async with asyncio.timeout(GUARD):
            heard = await ear.heard
        await proxy.close()
        for transport in (echo, seat):
            transport.close()
        return own, target, heard

    seat, target, heard = asyncio.run(pass_by())
    assert b"there and back" == heard
    assert [(seat, target, heard), (target, seat, heard)] == seen


def test_what_is_underway_arrives_before_a_proxy_closes() -> None:
    """The last words of a seat reach the relay, however long the way."""

    async def pass_by() -> bytes:
        loop = asyncio.get_running_loop()
        there, ear = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
        proxy = await Proxy.open(there.get_extra_info("sockname"), Faults(delay=0.2), "1")
        seat, _ = await loop.create_datagram_endpoint(Ear, remote_addr=proxy.address)
        seat.sendto(b"good-bye")
        await proxy.close()
        async with asyncio.timeout(GUARD):
            heard = await ear.heard
        for transport in (there, seat):
            transport.close()
        return heard

    assert b"good-bye" == asyncio.run(pass_by())


# The record


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the body of each block of a pcapng file."""
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert (length,) == struct.unpack_from("<I", data, length - 4)
        yield kind, data[8 : length - 4]
        data = data[length:]


def packets_of(data: bytes) -> list[tuple[float, bytes]]:
    """Return the time and the bytes of each packet of a pcapng file."""
    found = []
    for kind, body in blocks(data):
        if kind == 6:
            interface, high, low, kept, original = struct.unpack_from("<IIIII", body)
            assert (0, kept) == (interface, original)
            found.append(((high << 32 | low) / 1_000_000, body[20 : 20 + kept]))
    return found


def summed(data: bytes) -> int:
    """Return the sum of RFC 1071: 0xffff when a checksum within is right."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data + bytes(len(data) % 2)[: len(data) % 2]))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize(("source", "destination"), [(SEAT, RELAY), (("::1", 5000), ("2001:db8::1", 4433))])
@pytest.mark.parametrize("data", [b"even", b"odd"])
def test_a_packet_is_written_as_ip_carries_it(source: Address, destination: Address, data: bytes) -> None:
    """Addresses, ports, lengths and both checksums are right."""
    whole = record.in_ip(source, destination, data)
    six = whole[0] >> 4 == 6
    head = 40 if six else 20
    ends = whole[8:40] if six else whole[12:20]
    assert ip_address(source[0]).packed + ip_address(destination[0]).packed == ends
    assert (source[1], destination[1], 8 + len(data)) == struct.unpack_from("!HHH", whole, head)
    assert data == whole[head + 8 :]
    length = 8 + len(data)
    pseudo = ends + (struct.pack("!II", length, 17) if six else struct.pack("!HH", 17, length))
    segment = whole[head:] + bytes(len(data) % 2)
    assert 0xFFFF == summed(pseudo + segment)
    assert six or 0xFFFF == summed(whole[:20])
    assert (
        struct.unpack_from("!H", whole, 4)[0] if six else struct.unpack_from("!H", whole, 2)[0] - 20
    ) == length


def test_a_record_begins_with_what_opens_it() -> None:
    """The secrets stand before the packets, whose time is kept to the microsecond."""
    packets = deque(
        [Packet(1_700_000_000.25, SEAT, RELAY, b"one"), Packet(1_700_000_001.5, RELAY, SEAT, b"two")]
    )
    written = record.pcapng(packets, b"CLIENT_RANDOM 00 11\n")
    assert [0x0A0D0D0A, 1, 10, 6, 6] == [kind for kind, _ in blocks(written)]
    secrets = dict(blocks(written))[10]
    assert (0x544C534B, 20) == struct.unpack_from("<II", secrets)
    assert b"CLIENT_RANDOM 00 11\n" == secrets[8:28]
    assert [1_700_000_000.25, 1_700_000_001.5] == [at for at, _ in packets_of(written)]
    assert [b"one", b"two"] == [packet[28:] for _, packet in packets_of(written)]


def test_a_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many packets the first and the latest are kept, and it is said how many."""
    monkeypatch.setattr(record, "PACKETS", 3)
    monkeypatch.setattr(record, "FIRST", 2)
    recorder = Recorder()
    for data in MANY:
        recorder.witness(SEAT, RELAY, data)
    note = recorder.write(tmp_path, Dialogue())
    written = packets_of((tmp_path / "wire.pcapng").read_bytes())
    assert [*MANY[:2], *MANY[-3:]] == [packet[28:] for _, packet in written]
    assert f"of {len(MANY)} packets the first 2 and the last 3 are kept" == note


def test_the_bytes_of_a_record_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large packets those are kept that have room, of secrets those that came first."""
    monkeypatch.setattr(record, "WIRE", 250)
    monkeypatch.setattr(record, "FIRST", 0)
    monkeypatch.setattr(record, "SECRETS", 20)
    recorder = Recorder()
    for number in range(9):
        recorder.witness(SEAT, RELAY, bytes([number]) * 100)
        recorder.secrets.write(f"SECRET {number} 00\n")
    note = recorder.write(tmp_path, Dialogue())
    written = (tmp_path / "wire.pcapng").read_bytes()
    assert [b"\7" * 100, b"\10" * 100] == [packet[28:] for _, packet in packets_of(written)]
    assert b"SECRET 0 00\n" == dict(blocks(written))[10][8:].rstrip(b"\0")
    assert "of 9 packets the first 0 and the last 2 are kept; 8 lines of secrets had no room" == note


def test_the_qlogs_of_a_record_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a connection the latest events are kept, of connections the first, and a file with room for it."""
    monkeypatch.setattr(record, "EVENTS", 2)
    monkeypatch.setattr(record, "CONNECTIONS", 1)
    recorder = Recorder()
    for who in ("alice", "alice's media"):
        log = recorder.log(who)
        assert log is not None
        for connection in (b"first", b"second"):
            trace = log.start_trace(is_client=True, odcid=connection)
            for number in range(5):
                trace.log_event(category="test", event=str(number), data={})
            log.end_trace(trace)
    room = len(json.dumps(recorder.options("alice")["log"].to_dict()))
    monkeypatch.setattr(record, "QLOG", room)
    assert "no room for the qlog of alice's media" == recorder.write(tmp_path, Dialogue())
    (trace_of_alice,) = json.loads((tmp_path / "alice.qlog").read_text(encoding="utf-8"))["traces"]
    assert b"first".hex() == trace_of_alice["common_fields"]["ODCID"]
    assert ["test:3", "test:4"] == [one["name"] for one in trace_of_alice["events"]]
    assert ["alice.qlog"] == [one.name for one in tmp_path.glob("*.qlog")]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Target]]:
    """Return the reference, which ends with the test."""
    monkeypatch.chdir(ROOT)
    with Target("ref:") as target:
        yield lambda: target


def test_a_dialogue_in_bad_weather_is_recorded(reference: Callable[[], Target], tmp_path: Path) -> None:
    """Every connection leaves its packets and the secrets of its handshake and of its packets."""
    value = {
        "people": {"alice": "7", "bob": "7"},
        "network": {"alice": {"delay": 0.001, "duplication": 0.3}},
        "seed": 1,
        "beats": [[{"who": "alice", "does": "offer", "call": "c1", "to": "bob"}]],
    }
    done = replaying.replay(plan.read(value), reference(), slow=2.0, out=tmp_path)
    assert [] == done.findings
    written = (tmp_path / "wire.pcapng").read_bytes()
    packets = [packet for _, packet in packets_of(written)]
    ports = {port for packet in packets for port in struct.unpack_from("!HH", packet, 20)}
    relay = reference().relay("signed").address[1]
    assert 2 == len(ports - {relay})
    assert relay in ports
    labels = [line.split()[0] for line in dict(blocks(written))[10][8:].split(b"\n") if line.strip(b"\0")]
    assert 2 == labels.count(b"CLIENT_HANDSHAKE_TRAFFIC_SECRET") == labels.count(b"SERVER_TRAFFIC_SECRET_0")
    assert any(packet[28] & 0xC0 == 0xC0 for packet in packets), (
        "the first packets have long headers (RFC 9000)"
    )
