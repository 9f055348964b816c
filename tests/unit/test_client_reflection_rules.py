"""Rules of the client: the address that its relay saw, and the verdict on its NAT (REFL)."""

from __future__ import annotations

import pytest

from reference.core.line import Answer, Leg
from reference.core.phases import NEWEST, Phase
from reference.core.reflection import Verdict
from tests.mutants.client_base import Parts
from tests.unit.rules import answers, offers, rings
from tests.world import World
from tools.chapters import table


@pytest.mark.rule("REFL-6")
def test_an_old_relay_is_not_waited_for(world: World) -> None:
    """A second after the call was placed the offer goes out without an address when no relay reflects."""
    world.phase = Phase.SIGNALLED_CALL
    alice, bob = world.client("alice", phase=NEWEST), world.puppet("bob")
    alice.place(bob)
    world.advance(1)
    assert [None] == [one.caller_reflexive_addr for one in offers(alice)]


@pytest.mark.rule("REFL-6")
def test_an_old_relay_does_not_hold_up_an_answer(world: World) -> None:
    """A second after the user accepted the answer goes out, without an address."""
    world.phase = Phase.SIGNALLED_CALL
    alice = world.client("alice", phase=NEWEST)
    rings(world, alice, Answer.TRUSTED)
    world.advance(1)
    assert [None] == [one.callee_reflexive_addr for one in answers(alice)]


@pytest.mark.rule("REFL-7")
def test_an_address_goes_with_its_connection(world: World) -> None:
    """On a new connection the client advertises what it is told there, or nothing at all."""
    alice, bob = world.client("alice"), world.puppet("bob")
    told = [f"198.51.100.{host}:4000" for host in (7, 8, 9)]
    for address, phase in zip(told, (NEWEST, NEWEST, Phase.SIGNALLED_CALL), strict=True):
        alice.address, world.phase = address, phase
        world.cut(alice.legs[Leg.SIGNAL])
        world.advance(10)
        alice.place(bob)
        world.advance(10)
        alice.hangup()
    _, second, third = (one.caller_reflexive_addr for one in offers(alice))
    assert told[0] not in {second, third}
    assert told[1] != third


@pytest.mark.rule("REFL-8")
def test_private_observations_say_nothing(parts: Parts) -> None:
    """However many private, shared or loopback addresses relays saw, one public address gives no verdict."""
    public = "192.0.2.1:4433"
    for hidden in ("10.0.0.1:1", "192.168.1.100:4433", "100.64.0.42:4433", "127.0.0.1:4433", "[fd00::1]:1"):
        assert (Verdict.UNKNOWN, None) == parts.classify([hidden, public])
        assert (Verdict.CONE, public) == parts.classify([hidden, public, public])


@pytest.mark.rule("REFL-9")
def test_a_verdict_is_that_of_the_table(parts: Parts) -> None:
    """Each row of the table of verdicts: fewer than two, different addresses, one mapping, several ports."""
    here = "192.0.2.1:4433"
    cases = {
        "fewer than two": [here],
        "different IP addresses": [here, "198.51.100.9:4433"],
        "one IP address and one port": [here, here],
        "one IP address and different ports": [here, "192.0.2.1:51234"],
    }
    expected = {row[0]: row[1] for row in table("reflection", "public observations", "verdict").rows}
    assert expected == {row: str(parts.classify(seen)[0]) for row, seen in cases.items()}
