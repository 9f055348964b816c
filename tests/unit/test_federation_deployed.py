"""Federation: calls with clients of deployed relays, which prove nothing."""

from __future__ import annotations

import pytest

from reference.core.errors import HangupReason
from reference.core.messages import (
    CallSetup,
    DirectCallAnswer,
)
from reference.core.sessions import Trust
from tests.mesh import envelope
from tests.neighbours import (
    ALICE,
    BOB,
    CALLER,
    MODES,
    NOBODY,
    RING,
    RINGING,
    SETUP,
    TRUSTED,
    Hub,
    Pair,
    end,
    nothing_remains,
)
from tests.world import offer


def test_a_deployed_relay_is_sent_the_whole_offer() -> None:
    """It has the caller's candidates, as a relay that proves itself has not.

    The caller hears that it rings when the offer has left.
    """
    hub = Hub("south", "west", deployed=("south",))
    hub.south.wire.credit = False
    hub.calls()
    assert [] == hub.alice.hears()
    assert [envelope("north", offer(ALICE, NOBODY, "c1"))] == hub.west.messages
    hub.mesh.grant(hub.south.wire)
    hub.mesh.run(0.1)
    assert [envelope("north", offer(ALICE, NOBODY, "c1", **CALLER))] == hub.south.messages
    assert ["CallRinging"] == hub.alice.hears()


def test_a_deployed_relay_that_does_not_answer_is_waited_for() -> None:
    """It never refuses, so that the call ends with its ring time-out and not with the search."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.says("west", end(reason=HangupReason.ERROR))
    hub.mesh.run(RING - 0.5)
    assert ["CallRinging"] == hub.alice.hears()
    hub.mesh.run(1)
    assert ["Hangup{Timeout}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


def test_a_relay_that_rings_is_preferred_to_a_deployed_one() -> None:
    """Where a deployed relay was asked too, the one that says it rings has the call (FED-19)."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.forget()
    hub.says("west", RINGING)
    assert ["[Hangup{Normal}]"] == hub.south.hears()
    hub.says("south", TRUSTED)
    assert [] == hub.alice.hears()
    hub.says("west", TRUSTED)
    assert ["DirectCallAnswer", "CallSetup"] == hub.alice.hears()


def test_the_answer_of_a_deployed_relay_sets_its_caller_up() -> None:
    """The caller hears the answer and its setup, with the callee's candidates, as from any relay."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.forget()
    hub.says("south", TRUSTED)
    assert ["DirectCallAnswer", "CallSetup"] == [type(one).__name__ for one in hub.alice.messages]
    setup = hub.alice.messages[1]
    assert isinstance(setup, CallSetup)
    assert "198.51.100.9:4433" == setup.peer_direct_addr
    assert ["[Hangup{Normal}]"] == hub.west.hears()


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callee_of_a_deployed_relays_caller_is_set_up_here(answer: DirectCallAnswer) -> None:
    """The candidates of the offer, which the callee has not seen, are in its CallSetup if it trusts."""
    hub = Hub("south", deployed=("south",))
    hub.says("south", offer(NOBODY, BOB, "c1", **CALLER))
    assert [offer(NOBODY, BOB, "c1")] == hub.bob.messages
    hub.bob.says(answer)
    hub.mesh.run(0.1)
    trusted = answer is TRUSTED
    setup = CallSetup(
        call_id="c1",
        room="call-c1",
        relay_addr=hub.north.address,
        peer_direct_addr="192.0.2.1:4433" if trusted else None,
        peer_local_addrs=("10.1.1.1:5000",) if trusted else (),
    )
    assert setup == hub.bob.messages[-1]
    hub.south.hears()
    hub.bob.hears()
    hub.says("south", SETUP)
    assert [] == hub.bob.hears()


def test_two_relays_in_open_federation_prove_themselves() -> None:
    """Between two of ours nothing is different: no candidate is in an offer, and refusals count."""
    pair = Pair(trust=Trust.OPEN)
    pair.alice.says(offer(ALICE, NOBODY, "c9", **CALLER))
    pair.mesh.run()
    assert ["Hangup{Error}"] == pair.alice.hears()
    relays = {pair.south, pair.west}
    assert not any(b"192.0.2.1:4433" in data for end_, data in pair.mesh.delivered if end_ in relays)
