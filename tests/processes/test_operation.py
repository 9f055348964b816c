"""Operation: a relay that is told to stop, with people in a call, and one that asks for tokens."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.service import Service
from tests.processes.conftest import QUICK, THROUGH_THE_RELAY, TONE, TRUSTED, named
from tools.processes import Process, Troupe, troupe

DRAINING = (*QUICK, "--drain", "60")


class Scene:
    """A relay that drains, a caller and a callee who talk by way of it, and a client who waits."""

    def __init__(self, cast: Troupe) -> None:
        """Bring them there, and tell the relay to stop."""
        self.relay = cast.relay(*DRAINING)
        address = self.relay.ready()["addr"]
        callee, *_ = named(cast, "callee", "caller", "idle")
        self.callee = cast.client("callee", "listen", address, *TRUSTED)
        self.idle = cast.client("idle", "listen", address, *TRUSTED)
        for one in (self.callee, self.idle):
            one.event("registered")
        self.caller = cast.client("caller", "call", address, callee, *TONE, *THROUGH_THE_RELAY)
        self.caller.event("talking")
        self.callee.event("talking")
        self.relay.send(signal.SIGTERM)
        assert "shutting down" == self.idle.event("offline")["reason"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give a test a relay that has been told to stop."""
    with troupe(tmp_path) as cast:
        yield Scene(cast)


def ending(client: Process) -> object:
    """Return why a client's call ended."""
    return client.event("ended")["reason"]


def test_a_relay_that_drains_waits_for_its_call(scene: Scene) -> None:
    """The call goes on until a party hangs up; then the relay has nothing to wait for and ends."""
    scene.caller.send(signal.SIGTERM)
    assert (0, "Normal") == (scene.caller.end(), ending(scene.callee))
    assert 0 == scene.relay.end()


def test_a_second_signal_ends_the_waiting(scene: Scene) -> None:
    """Who tells the relay twice means it: the call ends with Error, and the relay at once (ERR-5)."""
    scene.relay.send(signal.SIGTERM)
    assert 0 == scene.relay.end()
    assert ["Error", "Error"] == [ending(one) for one in (scene.caller, scene.callee)]


def test_a_relay_that_asks_for_tokens(tmp_path: Path) -> None:
    """Who has the right token registers, others learn why not; no token stands in any log (REG-27)."""
    service = Service()
    with contextlib.closing(service), troupe(tmp_path) as cast:
        relay = cast.relay("--auth-url", service.url, "--log-level", "debug")
        ready = relay.ready()
        assert True is ready["auth"]
        alice, bob = named(cast, "alice", "bob")
        right, lent = f"right:{alice}", f"right:{bob} of bob"
        (tmp_path / "token").write_text(f"{right}\n", encoding="utf-8")
        shown = {"alice": ("--token-file", tmp_path / "token"), "bob": (), "eve": ("--token", lent)}
        named(cast, "eve")
        clients = {name: cast.client(name, "listen", ready["addr"], *how) for name, how in shown.items()}
        clients["alice"].event("registered")
        assert "the token is missing" in str(clients["bob"].event("stopped")["why"])
        assert "the token is another's" in str(clients["eve"].event("stopped")["why"])
        assert [5, 5] == [clients[name].end() for name in ("bob", "eve")]
        said = relay.errors() + "".join(one.errors() + "".join(one.lines) for one in clients.values())
    assert "right:" not in said
