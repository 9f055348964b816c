"""What the tests of deployed peers assert, by scenario: cross-wiring, reflection, race (spec/deployed.md).

Who is told which address, and at what second, is shown on the machines, whose clock is turned by hand; the
rest by real processes, each client limited to the loopback interface. Two clients that reflect at once, and
the races of calls, stand in tests/loopback/test_races_of_calls.py; the tables of roles and of verdicts in
tests/unit/test_race.py and tests/unit/test_reflection.py.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reference.core.agreement import Path as Way
from reference.core.line import Answer
from reference.core.messages import AcceptMode, CallSetup, DirectCallAnswer, DirectCallOffer, Message
from reference.core.phases import NEWEST, Phase
from tests.processes.company import Company
from tests.processes.conftest import (
    QUICK,
    THROUGH_THE_RELAY,
    TONE,
    TRUSTED,
    becomes,
    flows,
    forwarded,
    fresh,
    named,
    tables,
)
from tests.world import RELAY, Client, World, offer
from tools.processes import Event, Process, Troupe, troupe

CALLER_AT, CALLEE_AT = "192.0.2.1:4433", "198.51.100.9:4433"
TRUST, GENERIC = AcceptMode.ACCEPT_TRUSTED, AcceptMode.ACCEPT_GENERIC
DEAD = "127.0.0.1:1"
JUST_BEFORE = 0.999


def setups(mode: AcceptMode, caller_at: str | None, callee_at: str | None) -> list[CallSetup]:
    """Return what a relay sends caller and callee when they advertise these addresses."""
    world = World(phase=NEWEST)
    caller, callee = world.puppet("alice"), world.puppet("bob")
    caller.says(offer(caller.identity, callee.identity, "c1", caller_reflexive_addr=caller_at))
    callee.says(DirectCallAnswer(call_id="c1", accept_mode=mode, callee_reflexive_addr=callee_at))
    told = [*caller.messages, *callee.messages]
    return [message for message in told if isinstance(message, CallSetup)]


@pytest.mark.parametrize(
    ("mode", "caller_at", "callee_at", "told"),
    [
        pytest.param(TRUST, CALLER_AT, CALLEE_AT, [CALLEE_AT, CALLER_AT], id="both advertise"),
        pytest.param(GENERIC, CALLER_AT, None, [None, None], id="generic"),  # deployed: the caller's is told
        pytest.param(TRUST, None, CALLEE_AT, [CALLEE_AT, None], id="an older caller"),
        pytest.param(TRUST, None, None, [None, None], id="neither side advertises"),
    ],
)
def test_cross_wiring(
    mode: AcceptMode, caller_at: str | None, callee_at: str | None, told: list[str | None]
) -> None:
    """Each party's CallSetup has the other's address, if there is trust and an address, and the relay's."""
    both = setups(mode, caller_at, callee_at)
    assert told == [setup.peer_direct_addr for setup in both]
    assert [RELAY, RELAY] == [setup.relay_addr for setup in both]


def paths_of(*clients: Client) -> list[Way | None]:
    """Return the path that each has taken."""
    paths = [client.core.telephone.paths for client in clients]
    return [None if one is None else one.path for one in paths]


def test_a_caller_of_before_phase_3_talks_through_the_relay() -> None:
    """A caller of phase 2 advertises nothing, so the callee that trusts it has nobody to race with."""
    world = World(phase=NEWEST)
    alice, bob = world.client("alice", phase=Phase.NAT_CLASSIFICATION), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    world.advance(6.0)
    assert [Way.RELAY, Way.RELAY] == paths_of(alice, bob)
    assert [] == [line for line in world.journal if "dials 198." in line or "dials 192." in line]


def test_a_relay_that_never_answers_costs_one_second() -> None:
    """To a relay of phase 0 the offer goes out 1 s after it was asked for, without addresses."""
    world = World(phase=Phase.SIGNALLED_CALL)
    alice, bob = world.client("alice", phase=NEWEST), world.client("bob", Answer.TRUSTED, phase=NEWEST)
    alice.place(bob)
    world.advance(JUST_BEFORE)
    assert "alice -> relay DirectCallOffer" not in world.journal
    world.advance(1.0 - JUST_BEFORE)
    sent = [one for _, _, link in alice.links for one in link.sent if isinstance(one, DirectCallOffer)]
    assert [(None, ())] == [(one.caller_reflexive_addr, tuple(one.caller_local_addrs)) for one in sent]


def test_a_dead_direct_path_is_given_up_at_its_deadline() -> None:
    """When nothing comes back from the peer's addresses, both go to the relay after 2 s."""
    world = World(phase=NEWEST)
    world.passes = lambda _dialer, _address: False
    alice, bob = world.client("alice"), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    world.advance(2 * JUST_BEFORE)
    assert [None, None] == paths_of(alice, bob)
    world.advance(2 - 2 * JUST_BEFORE)
    assert [Way.RELAY, Way.RELAY] == paths_of(alice, bob)
    assert [True, True] == ["talking" in one.events for one in (alice, bob)]


def test_both_paths_dead_end_the_call_in_bounded_time() -> None:
    """With no way to the peer and none to the room a call ends for both, within 10 s."""
    world = World(phase=NEWEST)
    world.passes = lambda _dialer, _address: False
    alice, bob = world.client("alice"), world.client("bob", Answer.TRUSTED)

    def astray(message: Message) -> Message:
        return replace(message, relay_addr="203.0.113.5:9") if isinstance(message, CallSetup) else message

    world.rewrite = astray
    alice.place(bob)
    world.advance(10.0)
    assert ["ended", "ended"] == [one.events[-1] for one in (alice, bob)]
    assert (0, 0) == (len(alice.core._timers), len(bob.core._timers))


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Give the tests of this file one relay and two callees."""
    with troupe(tmp_path_factory.mktemp("scenarios")) as cast:
        yield Company(cast, "trusted", "generic")


def words(client: Process) -> list[str]:
    """Return the names of the events that a client told."""
    return [one["event"] for one in client.events()]


def test_the_direct_path_wins_on_loopback(company: Company) -> None:
    """With live addresses both ends hear each other directly, and the relay forwards nothing."""
    before = forwarded(company.relay)
    caller = company.call("trusted", "winner")
    for heard in (caller.event("heard"), company.told("trusted", "heard")):
        assert "direct" == heard["path"]
    caller.send(signal.SIGINT)
    assert 0 == caller.end()
    assert "Normal" == company.told("trusted", "ended")["reason"]
    assert before == forwarded(company.relay)
    assert company.quiet == becomes(company.relay, company.quiet)


def test_a_generic_accept_stays_on_the_relay(company: Company) -> None:
    """Who accepts without trust asks for no address and dials nothing, and neither end leaves the relay."""
    caller = company.call("generic", "unknown")
    for heard in (caller.event("heard"), company.told("generic", "heard")):
        assert "relay" == heard["path"]
    caller.send(signal.SIGINT)
    assert 0 == caller.end()
    assert {"none"} == {one.event("setup")["role"] for one in (caller, company.callees["generic"])}
    assert set() == {"reflexive", "attempt", "direct"} & {*words(company.callees["generic"])}
    assert set() == {"attempt", "direct"} & {*words(caller)}


def test_a_caller_that_wants_the_relay_gets_it(company: Company) -> None:
    """With `--path relay` nothing is advertised or dialled, although the callee trusts the caller."""
    caller = company.call("trusted", "shy", *THROUGH_THE_RELAY)
    for heard in (caller.event("heard"), company.told("trusted", "heard")):
        assert "relay" == heard["path"]
    caller.send(signal.SIGINT)
    assert 0 == caller.end()
    assert set() == {"reflexive", "attempt", "direct"} & {*words(caller)}


def test_a_caller_that_wants_no_relay_says_so(company: Company) -> None:
    """With `--path direct` a call without a direct path ends with status 1 and a sentence."""
    caller = company.call("generic", "stubborn", "--path", "direct")
    assert 1 == caller.end()
    assert "there is no direct path" == caller.event("error")["why"]
    assert "hung up" == caller.event("ended")["reason"]
    assert "Normal" == company.told("generic", "ended")["reason"]


@pytest.mark.parametrize("victim", ["caller", "callee"])
def test_a_killed_end_of_a_direct_path(tmp_path: Path, victim: str) -> None:
    """When one end of a direct path is killed, the relay tells the other, and holds nothing of the call."""
    with troupe(fresh(tmp_path, "scene")) as cast:
        relay = cast.relay(*QUICK)
        address = relay.ready()["addr"]
        name, _ = named(cast, "callee", "caller")
        ends = {"callee": cast.client("callee", "listen", address, *TRUSTED)}
        ends["callee"].event("registered")
        alone = tables(relay)
        ends["caller"] = cast.client("caller", "call", address, name, *TONE, "--stay")
        for end in ends.values():
            assert "direct" == end.event("heard")["path"]
        killed = ends.pop(victim)
        killed.send(signal.SIGKILL)
        assert -signal.SIGKILL == killed.end()
        (survivor,) = ends.values()
        assert "Normal" == survivor.event("ended")["reason"]
        assert alone == becomes(relay, alone)


@pytest.mark.parametrize(
    ("caller", "between", "callee", "path"),
    [
        ("0", "7", "7", "relay"),
        ("7", "0", "7", "relay"),
        ("7", "7", "0", "relay"),
        ("5", "7", "7", "direct"),  # the callee's report is not answered
        ("5.5", "5.5", "5.5", "direct"),
        ("7", "3", "7", "relay"),  # the reports are not forwarded
    ],
)
def test_phases_meet(tmp_path: Path, caller: str, between: str, callee: str, path: str) -> None:
    """Clients and relays of different phases end in a call on the best path that all three can do."""
    with troupe(fresh(tmp_path, "scene")) as cast:
        relay = cast.relay(*QUICK, "--phase", between)
        address = relay.ready()["addr"]
        name, _ = named(cast, "callee", "caller")
        bob = cast.client("callee", "listen", address, *TRUSTED, "--phase", callee)
        bob.event("registered")
        alice = cast.client("caller", "call", address, name, *TONE, "--phase", caller)
        for end in (alice, bob):
            end.event("heard")
            end.event("path", path=path)
        if path == "relay":
            assert flows(relay)
        else:
            assert ["direct", "direct"] == [end.event("heard")["path"] for end in (alice, bob)]
            assert 0 == forwarded(relay)
        alice.send(signal.SIGINT)
        assert 0 == alice.end()
        assert "Normal" == bob.event("ended")["reason"]
        assert [] == [one for end in (alice, bob) for one in end.events() if one["event"] == "error"]
        if between == "0":
            assert [None] == [one["address"] for one in alice.events() if one["event"] == "reflexive"]


def test_two_real_relays_see_one_address(tmp_path: Path) -> None:
    """Asked by `nat`, two relays on loopback see one address, which says nothing: it is not public."""
    with troupe(fresh(tmp_path, "scene")) as cast:
        relays = [cast.relay(name=name).ready()["addr"] for name in ("one", "other")]
        found = survey(cast, "nat", *relays)
    seen = {probe["observed_addr"] for probe in found["probes"]}
    assert (1, True) == (len(seen), next(iter(seen)).startswith("127.0.0.1:"))
    assert ("Unknown", None) == (found["nat_type"], found["consensus_addr"])


def test_a_dead_relay_beside_a_real_one(tmp_path: Path) -> None:
    """A relay that nobody is at has an error and no address in the survey, and the other one is not lost."""
    with troupe(fresh(tmp_path, "scene")) as cast:
        alive, dead = survey(cast, "nat", cast.relay().ready()["addr"], DEAD)["probes"]
    assert (None, True) == (alive["error"], alive["observed_addr"].startswith("127.0.0.1:"))
    assert (None, True) == (dead["observed_addr"], bool(dead["error"]))


def survey(cast: Troupe, name: str, *relays: str) -> Event:
    """Run `nat` over relays; return what it printed."""
    asked = [word for relay in relays for word in ("--relay", relay)]
    client = cast.start(name, "reference.client", "nat", *asked, "--json")
    assert 0 == client.end()
    return client.events()[0]
