"""Federation: offers that are refused, and searches that find nobody."""

from __future__ import annotations

import pytest

from reference.core.errors import HangupReason
from reference.core.messages import (
    DirectCallOffer,
)
from reference.core.sessions import SMALL_MESSAGE, Limits
from tests.mesh import envelope
from tests.neighbours import BOB, NOBODY, RING, SEARCH, Hub, end, nothing_remains
from tests.world import identity, offer

REFUSED: dict[str, tuple[DirectCallOffer, HangupReason]] = {
    "not registered": (offer(NOBODY, identity("zoe"), "c9"), HangupReason.ERROR),
    "to oneself": (offer(BOB, BOB, "c9"), HangupReason.ERROR),
    "the call_id of others": (offer(NOBODY, BOB, "here"), HangupReason.ERROR),
    "too large": (
        offer(NOBODY, BOB, "c9", rest={"padding": "x" * 2 * SMALL_MESSAGE}),
        HangupReason.ERROR,
    ),
}


@pytest.mark.parametrize(("refused", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_offer_is_answered(refused: DirectCallOffer, reason: HangupReason) -> None:
    """A refusal crosses as a Hangup that names the call, in the envelope too, and reaches nobody (FED-16)."""
    hub = Hub()
    hub.calls("bob", "here")
    hub.forget()
    hub.says("south", refused)
    call_id = refused.call_id
    assert [envelope("north", end(call_id, reason), call_id)] == hub.south.messages
    assert [[], [], []] == [hub.bob.hears(), hub.alice.hears(), hub.west.hears()]
    assert 1 == hub.north.counted["offers_refused", reason]
    assert 1 == len(hub.north.core.calls.registry)


def test_a_callee_with_too_many_calls_is_busy() -> None:
    """The limit of live calls holds for offers from links, and is told apart (FED-16, CALL-15)."""
    hub = Hub(limits=Limits(calls=2))
    for call_id in ("c1", "c2", "c3"):
        hub.says("south", offer(NOBODY, BOB, call_id))
    assert ["[CallRinging]", "[CallRinging]", "[Hangup{Busy}]"] == hub.south.hears()
    assert ["DirectCallOffer"] * 2 == hub.bob.hears()


def test_a_link_is_allowed_more_offers_than_a_client() -> None:
    """A link has its own allowance of offers, beyond which it is told Busy (FED-16, CALL-16)."""
    limits = Limits(offers_burst=1, link_offers_burst=3, link_offers_per_second=0.001)
    hub = Hub(limits=limits)
    hub.says("south", *(offer(NOBODY, identity("zoe"), f"c{at}") for at in range(4)))
    assert ["[Hangup{Error}]"] * 3 + ["[Hangup{Busy}]"] == hub.south.hears()
    hub.says("west", offer(NOBODY, BOB, "c1"))
    assert ["[CallRinging]"] == hub.west.hears()


def test_the_caller_is_refused_when_all_relays_refuse() -> None:
    """The last refusal of those that were asked ends the call, and not one before it (FED-17)."""
    hub = Hub()
    hub.calls()
    hub.forget()
    hub.says("west", end(reason=HangupReason.ERROR))
    assert [] == hub.alice.hears()
    hub.says("south", end(reason=HangupReason.ERROR))
    assert [end(reason=HangupReason.ERROR)] == hub.alice.messages
    assert [[], []] == [hub.south.hears(), hub.west.hears()]
    assert nothing_remains(hub.north)


def test_the_reason_of_a_single_relay_is_handed_on() -> None:
    """Where one relay was asked, its own reason is the caller's (FED-17)."""
    hub = Hub("south")
    hub.calls()
    hub.says("south", end(reason=HangupReason.BUSY))
    assert ["Hangup{Busy}"] == hub.alice.hears()


def test_a_link_that_ends_has_nothing_to_say_any_more() -> None:
    """While a callee is searched for, a relay that goes away counts as one that does not have it (FED-17)."""
    hub = Hub()
    hub.calls()
    hub.south.leaves()
    hub.mesh.run(0.1)
    assert [] == hub.alice.hears()
    hub.says("west", end(reason=HangupReason.ERROR))
    assert ["Hangup{Error}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


def test_a_search_has_its_time() -> None:
    """After 5 s without CallRinging the caller is told Error, and whoever was asked hears of it (FED-18)."""
    hub = Hub()
    hub.calls()
    hub.forget()
    hub.mesh.run(SEARCH - 0.2)
    assert [] == hub.alice.hears()
    hub.mesh.run(0.2)
    assert [end(reason=HangupReason.ERROR)] == hub.alice.messages
    assert [["[Hangup{Normal}]"]] * 2 == [hub.south.hears(), hub.west.hears()]
    assert nothing_remains(hub.north)


def test_a_call_that_was_found_has_the_time_of_every_call() -> None:
    """One that rings elsewhere is ended with Timeout, 60 s after its offer, at both ends (CALL-9, FED-18)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.mesh.run(RING - 0.3)
    assert [] == hub.alice.hears()
    hub.mesh.run(0.2)
    assert ["Hangup{Timeout}"] == hub.alice.hears()
    assert ["[Hangup{Timeout}]"] == hub.south.hears()
    assert [] == hub.west.hears()
    assert nothing_remains(hub.north)


def test_a_call_from_a_link_has_the_time_of_every_call() -> None:
    """One that nobody here answers ends with Timeout for both, whether its offer has left or not (CALL-9)."""
    for state in ("pending", "ringing"):
        hub = Hub()
        hub.incoming(state)
        hub.mesh.grant(hub.bob.wire)
        hub.mesh.run(RING + 1)
        assert "Hangup{Timeout}" == hub.bob.hears()[-1]
        assert "[Hangup{Timeout}]" == hub.south.hears()[-1]
        assert nothing_remains(hub.north)
