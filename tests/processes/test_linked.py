"""Calls between clients of different relays, all of them processes: what the users see of links and ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reference import identity
from reference.quic.credentials import Credentials
from tests.processes.conftest import (
    QUICK,
    THROUGH_THE_RELAY,
    TONE,
    TRUSTED,
    becomes,
    forwarded,
    named,
    tables,
)
from tools.cable import Cable, laid
from tools.linked import Linked, linked
from tools.processes import Process, troupe

RELAYS = ("north", "south", "west")


@dataclass
class Land:
    """Three relays, each linked with both others, and a callee at each; a cable goes from south to north."""

    linked: Linked
    cable: Cable
    callees: dict[str, tuple[str, Process]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def settle(self, name: str) -> None:
        """Let a callee register at a relay and take every call."""
        (fingerprint,) = named(self.linked.cast, f"callee-{name}")
        callee = self.linked.cast.client(f"callee-{name}", "listen", self.at(name), *TRUSTED)
        callee.event("registered")
        self.callees[name] = fingerprint, callee
        self.calls[name] = 0

    def at(self, name: str) -> str:
        """Return where a relay is."""
        return str(self.linked.running[name].ready()["addr"])

    def call(self, caller: str, callee: str, *arguments: object) -> Process:
        """Let somebody at one relay call the callee at another one, and wait until both talk."""
        who = f"caller-{sum(self.calls.values())}"
        named(self.linked.cast, who)
        fingerprint, there = self.callees[callee]
        made = self.linked.cast.client(who, "call", self.at(caller), fingerprint, *TONE, *arguments)
        self.calls[callee] += 1
        made.event("talking"), there.event("talking", self.calls[callee])
        return made

    def ended(self, callee: str) -> str:
        """Return how the newest call of a callee ended."""
        return str(self.callees[callee][1].event("ended", self.calls[callee])["reason"])


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Land]:
    """Give the tests of this file three relays, and let each find the tables as it leaves them."""
    with troupe(tmp_path_factory.mktemp("land")) as cast:
        relays = linked(cast, *RELAYS, options=QUICK, started=("north",))
        with laid(relays.address("north")) as cable:
            relays.start("south", through={"north": cable.address})
            relays.start("west")
            made = Land(relays, cable)
            for name in RELAYS:
                made.settle(name)
            yield made


def test_calls_across_each_pair_of_relays(land: Land) -> None:
    """A call for each pair, direct or over the one link of the call, unheard by the third relay."""
    quiet = {name: tables(land.linked.running[name]) for name in RELAYS}
    before = {name: forwarded(land.linked.running[name]) for name in RELAYS}
    direct = land.call("north", "south")
    carried = land.call("south", "west", *THROUGH_THE_RELAY)
    assert "direct" == direct.event("talking")["path"]
    assert "relay" == carried.event("talking")["path"]
    carried.event("heard"), land.callees["west"][1].event("heard", land.calls["west"])
    for caller, callee in ((direct, "south"), (carried, "west")):
        caller.send(signal.SIGINT)
        assert 0 == caller.end()
        assert "hung up" == caller.event("ended")["reason"]
        assert "Normal" == land.ended(callee)
    assert quiet == {name: becomes(land.linked.running[name], quiet[name]) for name in RELAYS}
    after = {name: forwarded(land.linked.running[name]) for name in RELAYS}
    assert after["north"] == before["north"]
    assert after["south"] > before["south"]
    assert after["west"] > before["west"]
    back = land.call("west", "north", *THROUGH_THE_RELAY)
    back.send(signal.SIGINT)
    assert 0 == back.end()
    assert "Normal" == land.ended("north")


def test_a_link_that_is_cut_and_mended(land: Land) -> None:
    """Both parties of a call are told of the end; when the link is back, the next call is made."""
    north, south = land.linked.running["north"], land.linked.running["south"]
    quiet = tables(north)
    caller = land.call("south", "north", *THROUGH_THE_RELAY)
    land.cable.cut = True
    assert "Normal" == caller.event("ended")["reason"]
    assert "Normal" == land.ended("north")
    assert [1, 1] == [
        relay.logs("link.down", peer=peer)["calls"] for relay, peer in ((north, "south"), (south, "north"))
    ]
    land.cable.cut = False
    south.logs("link.up", 2, peer="north"), north.logs("link.up", 2, peer="south")
    again = land.call("south", "north", *THROUGH_THE_RELAY)
    again.send(signal.SIGINT)
    assert 0 == again.end()
    assert "Normal" == land.ended("north")
    assert quiet == becomes(north, quiet)


def test_a_relay_that_is_killed_and_comes_back(land: Land) -> None:
    """The party at the other relay is told; at the same address the relay is linked and called again."""
    caller = land.call("north", "west")
    land.linked.running["west"].send(signal.SIGKILL)
    land.linked.running["west"].end()
    assert "Normal" == caller.event("ended")["reason"]
    assert "connection lost" == land.ended("west")
    land.linked.restart("west")
    land.callees["west"][1].event("registered", 2)
    again = land.call("north", "west")
    again.send(signal.SIGINT)
    assert 0 == again.end()
    assert "Normal" == land.ended("west")


def test_a_relay_is_no_peer_of_its_own(tmp_path: Path) -> None:
    """A relay that is told to trust its own fingerprint ends with status 2 and names file, line and key."""
    with troupe(tmp_path) as cast:
        seed = identity.create(tmp_path / "relay.identity").tls_private_seed()
        own = Credentials.from_private_seed(seed).fingerprint
        place = tmp_path / "relay.toml"
        place.write_text(f'[[trusted]]\nfingerprint = "{own}"\nlabel = "me"\n', encoding="utf-8")
        relay = cast.relay("--config", place)
        assert 2 == relay.end()
        assert f"line 1: trusted: {own} is this relay's own fingerprint" in relay.errors()
