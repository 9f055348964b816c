"""Rules of the client: which addresses it advertises, and which it dials (CAND)."""

from __future__ import annotations

from collections import Counter

import pytest

from reference.core.addresses import parse_address
from reference.core.line import Answer
from reference.core.phases import NEWEST
from tests.unit.rules import LAN, NEXT, SMALL, acts, answers, called, dialled, offers, rings
from tests.world import World
from tools.chapters import table


@pytest.mark.rule("CAND-7")
def test_a_caller_advertises_what_its_relay_saw(world: World) -> None:
    """The offer carries the address of the ReflectResponse."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    assert [alice.address] == [one.caller_reflexive_addr for one in offers(alice)]


@pytest.mark.rule("CAND-8")
def test_a_trusting_callee_advertises_what_its_relay_saw(world: World) -> None:
    """An AcceptTrusted answer carries the address of the ReflectResponse."""
    alice = world.client("alice", Answer.TRUSTED)
    rings(world, alice, Answer.TRUSTED)
    assert [alice.address] == [one.callee_reflexive_addr for one in answers(alice)]


@pytest.mark.rule("CAND-9")
def test_only_hosts_of_the_table_are_advertised(world: World) -> None:
    """Of many addresses a client advertises those of the table, in offers and in answers."""
    alice, bob = world.client("alice", Answer.TRUSTED), world.puppet("bob")
    good = ["10.1.2.3", "172.31.0.1", "192.168.7.7", "100.127.0.1", "2001:db8::5", "fd00::5"]
    alice.interfaces = ["127.0.0.1", "169.254.3.4", "8.8.8.8", *good, "172.32.0.1", "::1", "fe80::1"]
    alice.ports = {4: 5000, 6: 6000}
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    (offered,), (answered,) = offers(alice), answers(alice)
    for named in (offered.caller_local_addrs, answered.callee_local_addrs):
        assert good == [parse_address(text)[0] for text in named]


@pytest.mark.rule("CAND-10")
def test_host_candidates_have_the_port_that_accepts(world: World) -> None:
    """Each host candidate has the port of the socket of its family, whatever port the relay saw."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.interfaces, alice.ports = ["10.1.2.3", "fd00::5"], {4: 5555, 6: 6666}
    alice.place(bob)
    (offered,) = offers(alice)
    assert {"10.1.2.3:5555", "[fd00::5]:6666"} <= set(offered.caller_local_addrs)


@pytest.mark.rule("CAND-11")
def test_slow_interfaces_are_not_waited_for(world: World) -> None:
    """When the interfaces are not listed 100 ms later, offer and answer go out without them."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice._list = lambda: None  # type: ignore[method-assign]
    alice.place(bob)
    world.advance(0.1)
    assert 1 == len(offers(alice))
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    world.advance(0.1)
    assert 1 == len(answers(alice))


@pytest.mark.rule("CAND-12")
def test_nobody_is_told_of_a_family_without_a_socket(world: World) -> None:
    """Without an IPv6 socket no IPv6 address of the interfaces is advertised."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.interfaces, alice.ports = ["192.168.1.1", "2001:db8::5"], {4: 5000}
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.TRUSTED)
    (offered,), (answered,) = offers(alice), answers(alice)
    named = [*offered.caller_local_addrs, *answered.callee_local_addrs]
    assert named
    assert [] == [text for text in named if text.startswith("[")]


@pytest.mark.rule("CAND-13")
def test_one_bad_candidate_costs_nobody_the_others(world: World) -> None:
    """Between entries that cannot be read or must not be dialled, the good ones are dialled."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, ["nonsense", LAN, "host.invalid:5000", "127.0.0.1:5000", "10.0.0.7", NEXT])
    assert {LAN, NEXT, SMALL} <= set(dialled(world, alice, done))


@pytest.mark.rule("CAND-14")
def test_forbidden_addresses_are_never_dialled(world: World) -> None:
    """No address of the table is dialled, whoever names it, as a host candidate or as the reflexive one."""
    rows = table("candidates", "never dialled, whoever names it", "example").rows
    forbidden = [text.strip(" `") for _, cell in rows for text in cell.split(",")]
    assert len(rows) <= len(forbidden)
    for reflexive in (SMALL, "0.0.0.0:4433", "127.0.0.1:4433"):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        alice.core.telephone.families = frozenset({4, 6})
        done = acts(alice)
        called(again, alice, reflexive, [*forbidden, LAN])
        found = dialled(again, alice, done)
        assert found or reflexive != SMALL
        assert set() == set(found) - {SMALL, LAN}


@pytest.mark.rule("CAND-15")
def test_a_list_of_many_is_no_weapon(world: World) -> None:
    """Of 40 candidates at most 16 are dialled."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [f"10.0.1.{host}:5000" for host in range(1, 40)])
    assert 1 <= len(set(dialled(world, alice, done))) <= 16


@pytest.mark.rule("CAND-16")
def test_a_candidate_is_dialled_once(world: World) -> None:
    """However often and in whatever form an address is named, it is dialled once."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, "[::ffff:10.0.0.7]:5000", LAN, SMALL, "[::ffff:a00:7]:5000"])
    assert {LAN: 1, SMALL: 1} == Counter(dialled(world, alice, done))


@pytest.mark.rule("CAND-17")
def test_a_client_with_both_sockets_dials_both_families(world: World) -> None:
    """An IPv6 candidate is dialled by a client that has an IPv6 socket, beside the IPv4 ones."""
    alice = world.client("alice")
    alice.core.telephone.families = frozenset({4, 6})
    done = acts(alice)
    called(world, alice, SMALL, ["[2001:db8::7]:5000"])
    assert "[2001:db8::7]:5000" in dialled(world, alice, done)
