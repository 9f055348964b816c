"""Signals, sent to a relay while it starts and later: SIGHUP is a reload, SIGTERM an end."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.processes.conftest import pinged
from tools.linked import linked
from tools.processes import GUARD, Event, Process, Troupe, troupe


def logged(relay: Process, event: str) -> Event:
    """Return the line of a relay's log that tells of an event, once it is there."""
    until = time.monotonic() + GUARD
    while time.monotonic() < until:
        found = [line for line in relay.logged() if line.get("event") == event]
        if found:
            return found[0]
        assert 0 == pinged(relay)  # one handshake between two looks
    raise AssertionError(f"{relay.name} does not log {event!r}: {relay.errors()}")


def test_peers_come_and_go(tmp_path: Path) -> None:
    """A relay parts from a peer that its file names no more, and links with it when it is named again."""
    with troupe(tmp_path) as cast:
        relays = linked(cast, "north", "south").running
        place = tmp_path / "south.toml"
        named = place.read_text(encoding="utf-8")
        place.write_text("", encoding="utf-8")
        relays["south"].send(signal.SIGHUP)
        for one, other in (("south", "north"), ("north", "south")):
            assert 0 == relays[one].logs("link.down", peer=other)["calls"]
        place.write_text(named, encoding="utf-8")
        relays["south"].send(signal.SIGHUP)
        for one, other in (("south", "north"), ("north", "south")):
            relays[one].logs("link.up", 2, peer=other)
        told = [line for line in relays["south"].logged() if line["event"] == "reloaded"]
        assert [(["north"], []), ([], ["north"])] == [(line["before"], line["now"]) for line in told]


def starting(cast: Troupe, number: signal.Signals, *arguments: object) -> Process:
    """Start a relay and send it a signal as soon as it holds that back, long before it is ready."""
    relay = cast.relay(*arguments)
    status = Path(f"/proc/{relay.pid}/status")
    until = time.monotonic() + GUARD
    while time.monotonic() < until:
        held = re.search(r"^SigBlk:\s*([0-9a-f]+)$", status.read_text(encoding="ascii"), re.MULTILINE)
        if held is not None and int(held[1], 16) >> (number - 1) & 1:
            relay.send(number)
            return relay
    raise AssertionError(f"{relay.name} never holds {number.name} back: {relay.errors()}")


def test_a_reload_is_remembered_while_a_relay_starts(tmp_path: Path) -> None:
    """A relay that gets SIGHUP before it is ready does not end: it reloads when it is."""
    with troupe(tmp_path) as cast:
        relay = starting(cast, signal.SIGHUP)
        assert relay.ready()
        assert "there is no --config" == logged(relay, "nothing to reload")["why"]
        relay.send(signal.SIGTERM)
        assert 0 == relay.end()


def test_an_end_is_remembered_while_a_relay_starts(tmp_path: Path) -> None:
    """A relay that is told to stop before it is ready stops as one that was told later, with status 0."""
    with troupe(tmp_path) as cast:
        relay = starting(cast, signal.SIGTERM)
        assert 0 == relay.end()
        assert ["ready", "stopped"] == [line["event"] for line in relay.logged()]
        told, own = relay.ready(), relay.logged()[0]
        short = {"addr": told["addr"], "tls_fingerprint": told["tls_fingerprint"], "phase": told["phase"]}
        assert short == {key: own[key] for key in own.keys() - {"event", "level", "timestamp"}}


@pytest.mark.parametrize("with_file", [True, False])
def test_a_hangup_is_a_reload(tmp_path: Path, with_file: bool) -> None:  # noqa: FBT001 - a parameter
    """A relay that gets SIGHUP reads its file again, or says that there is none, and serves on."""
    place = tmp_path / "relay.toml"
    place.write_text("max-calls = 3\n", encoding="utf-8")
    with troupe(tmp_path) as cast:
        relay = cast.relay(*(("--config", place) if with_file else ()))
        assert (3 if with_file else 8) == relay.ready()["limits"]["calls"]
        place.write_text("max-calls = 5\n", encoding="utf-8")
        relay.send(signal.SIGHUP)
        told = logged(relay, "reloaded" if with_file else "nothing to reload")
        if with_file:
            assert ("max-calls", 3, 5) == (told["key"], told["before"], told["now"])
        relay.send(signal.SIGTERM)
        assert 0 == relay.end()
