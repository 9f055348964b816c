"""SIGHUP, sent to a relay: it reads its configuration again and goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.processes.conftest import pinged
from tools.processes import GUARD, Event, Process, troupe


def logged(relay: Process, event: str) -> Event:
    """Return the line of a relay's log that tells of an event, once it is there."""
    until = time.monotonic() + GUARD
    while time.monotonic() < until:
        found = [line for line in relay.logged() if line.get("event") == event]
        if found:
            return found[0]
        assert 0 == pinged(relay)  # one handshake between two looks
    raise AssertionError(f"{relay.name} does not log {event!r}: {relay.errors()}")


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
