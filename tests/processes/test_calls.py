"""Calls between real processes, and what becomes of them when a process dies."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference.core.addresses import parse_address
from tests.processes.company import Company
from tests.processes.conftest import (
    THROUGH_THE_RELAY,
    TONE,
    TRUSTED,
    becomes,
    flows,
    fresh,
    named,
    pinged,
    tables,
)
from tools.demo import CALLS
from tools.processes import Event, troupe


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Give the tests of this file one relay and one callee."""
    with troupe(tmp_path_factory.mktemp("company")) as cast:
        yield Company(cast, "trusted")


def assert_discreet(log: list[Event]) -> None:
    """Assert that each line of a relay's log that concerns a call names it, and no line a party's address."""
    alone = {"ready", "registered", "stopped", "link.up", "link.down"}
    (call_id,) = {line["call_id"] for line in log if line["event"] not in alone}
    assert call_id
    own = next(line["addr"] for line in log if line["event"] == "ready")
    said = json.dumps(log).replace(own, "")
    assert [] == re.findall(r"\b\d+\.\d+\.\d+\.\d+:\d+|\[[0-9a-f:]+\]:\d+", said)
    assert {"call.offer", "call.accept", "call.hangup"} <= {line["event"] for line in log}


@pytest.mark.parametrize(
    ("name", "path", "relays"),
    [
        ("direct", "direct", {"relay"}),
        ("relay", "relay", {"relay"}),
        ("linked", "relay", {"north", "south"}),
    ],
)
def test_the_demo_is_true(tmp_path: Path, name: str, path: str, relays: set[str]) -> None:
    """A call of the demo takes the path it should; every packet arrives and the recordings match."""
    with troupe(tmp_path) as cast:
        scene = CALLS[name](cast, lambda _: None)
        for relay in relays:
            log = (tmp_path / f"{relay}.log").read_text(encoding="utf-8").splitlines()
            assert_discreet([json.loads(line) for line in log])
    assert [path, path] == [one.path for one in scene.paths]
    assert [] == scene.faults
    assert [] == [fault for one in scene.flows for fault in one.faults()]
    assert {"caller", *relays, "callee"} == {who for _, who, _ in scene.moments}


def test_garbage_does_not_touch_a_call(company: Company) -> None:
    """While packets of any content fall on the relay's port, a call goes on until ctrl-C hangs it up."""
    callee = company.callees["trusted"]
    before = len(callee.events())
    caller = company.call("trusted", "patient", *THROUGH_THE_RELAY)
    caller.event("talking"), company.told("trusted", "talking")
    throw_garbage(parse_address(company.address))
    assert 0 == pinged(company.relay)
    assert flows(company.relay)
    caller.send(signal.SIGINT)
    assert 0 == caller.end()
    assert "hung up" == caller.event("ended")["reason"]
    assert "Normal" == company.told("trusted", "ended")["reason"]
    told = [*caller.events(), *callee.events()[before:]]
    gone = [one["reason"] for one in told if one["event"] in {"media lost", "offline"}]
    assert [] == [one for one in told if one["event"] == "error"]
    assert set() == set(gone) - {"call ended"}  # the room may be closed before the hangup is heard
    assert company.quiet == becomes(company.relay, company.quiet)


def throw_garbage(address: tuple[str, int]) -> None:
    """Send 300 packets: random bytes, and random bytes behind the first byte of every kind of QUIC packet."""
    dice = random.Random(4433)
    version_one = b"\x00\x00\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            noise = dice.randbytes(dice.choice((0, 1, 20, 40)))
            long_header = bytes([0xC0 | dice.randrange(64)]) + version_one + dice.randbytes(60)
            initial = bytes([0xC3]) + version_one + b"\x08" + dice.randbytes(1186)
            for packet in (noise, long_header, initial if number % 10 == 0 else bytes([0x40]) + noise):
                sender.sendto(packet, address)


def test_a_killed_caller(company: Company) -> None:
    """When the caller is killed, the callee is told, and the relay holds nothing of the call any more."""
    caller = company.call("trusted", "victim", *THROUGH_THE_RELAY)
    caller.event("talking"), company.told("trusted", "talking")
    during = tables(company.relay)
    assert {"calls": 1, "rooms": 1} == {name: during[name] for name in ("calls", "rooms")}
    caller.send(signal.SIGKILL)
    assert -signal.SIGKILL == caller.end()
    assert "Normal" == company.told("trusted", "ended")["reason"]
    assert company.quiet == becomes(company.relay, company.quiet)


def test_a_relay_that_dies_and_comes_back(tmp_path: Path) -> None:
    """When the relay is killed its clients say so; when it is back they register again, and a call is made.

    Told to stop in the middle of that call, the relay ends it for both and leaves with status 0.
    """
    with troupe(fresh(tmp_path, "scene")) as cast:
        impatient = ("--idle-timeout", 1)
        relay = cast.relay()
        address = relay.ready()["addr"]
        callee_name, _ = named(cast, "callee", "caller")
        callee = cast.client("callee", "listen", address, *TRUSTED, *impatient)
        callee.event("registered")
        first = cast.client("caller", "call", address, callee_name, *TONE, *impatient, "--stay")
        first.event("talking"), callee.event("talking")
        relay.send(signal.SIGKILL)
        relay.end()
        for client in (first, callee):
            assert "connection lost" == client.event("ended")["reason"]
            client.event("offline")
        relay = cast.relay(listen=address)
        assert address == relay.ready()["addr"]
        for client in (first, callee):
            client.event("registered", 2)
        first.send(signal.SIGINT)
        assert 1 == first.end()
        second = cast.client("caller", "call", address, callee_name, *TONE, *impatient)
        second.event("talking"), callee.event("talking", 2)
        relay.send(signal.SIGTERM)
        assert 0 == relay.end()
        assert "stopped" == relay.logged()[-1]["event"]
        assert callee.event("ended", 2)["reason"] == "Error"
        assert second.event("ended")["reason"] == "Error"
        assert second.end() == 1
        callee.send(signal.SIGINT)
        assert 0 == callee.end()
