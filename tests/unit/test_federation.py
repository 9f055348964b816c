"""Federation: envelopes, and offers that leave or reach one relay over its links."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.messages import (
    FederatedSignalForward,
    Message,
)
from reference.core.phases import NEWEST, Phase
from reference.core.strict_json import JsonObject
from tests.mesh import Mesh, Party, envelope, shown
from tests.neighbours import (
    ALICE,
    BOB,
    CALLER,
    HANGUP,
    NOBODY,
    OFFER,
    REPORT,
    RINGING,
    SETUP,
    TRUSTED,
    Hub,
    register,
)
from tests.world import offer, registration

# Envelopes.


def test_an_envelope_of_another_origin_does_nothing() -> None:
    """Whatever an envelope carries counts only when it names the relay that sends it (FED-10)."""
    hub = Hub()
    hub.south.says(envelope("west", OFFER), envelope("north", OFFER), envelope("nobody", OFFER))
    hub.mesh.run()
    assert [] == hub.bob.hears()
    hub.outgoing("ringing")
    hub.south.says(envelope("west", HANGUP), envelope("west", TRUSTED))
    hub.mesh.run()
    assert [] == hub.alice.hears()
    assert 5 == hub.north.counted["ignored", "origin"]


def test_an_origin_may_be_written_in_any_way() -> None:
    """The origin is compared as every TLS fingerprint is: without colons and case (FED-10)."""
    hub = Hub()
    bare = shown("south").replace(":", "").upper()
    hub.south.says(replace(envelope("south", offer(NOBODY, BOB, "c1")), origin_relay_fp=bare))
    hub.mesh.run()
    assert ["DirectCallOffer"] == hub.bob.hears()


STRANGE: dict[str, JsonObject] = {
    "unknown": {"CallTransferOffer": {"call_id": "c1"}},
    "malformed": {"CallRinging": {}},
    "of another type": {"CallRinging": "c1"},
    "no business there": {"RegisterPresence": {"identity_pub": [0] * 32, "signature": []}},
    "an envelope": {
        "FederatedSignalForward": {
            "inner": {"CallRinging": {"call_id": "c1"}},
            "origin_relay_fp": shown("south"),
        }
    },
}


@pytest.mark.parametrize("inner", STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_message_costs_nothing_but_itself(inner: JsonObject) -> None:
    """However many envelopes cannot be understood, the link stays up and the next one counts (FED-11)."""
    hub = Hub()
    strange = FederatedSignalForward(inner=inner, origin_relay_fp=shown("south"))
    hub.south.says(*[strange] * 200)
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert not hub.south.gone
    assert ["[CallRinging]"] == hub.south.hears()
    assert ["DirectCallOffer"] == hub.bob.hears()


PASSING: list[Message] = [OFFER, RINGING, TRUSTED, SETUP, REPORT, HANGUP]


@pytest.mark.parametrize("inner", PASSING, ids=lambda one: type(one).__name__)
def test_nothing_is_passed_on(inner: Message) -> None:
    """What came in an envelope, of a call that is live or of none, reaches no other relay (FED-12)."""
    for state in (None, "outgoing", "incoming"):
        hub = Hub()
        if state is not None:
            hub.brings(state, "ringing")
        hub.says("south", inner)
        if state is None:
            hub.says("south", offer(BOB, NOBODY, "c2"))
        assert [] == hub.west.hears()


# Offers.


def test_an_offer_asks_every_relay() -> None:
    """An offer whose target is not here goes over every link that is up (FED-13)."""
    hub = Hub("south", "west", "east")
    hub.relays["east"].leaves()
    hub.mesh.run(0.1)
    hub.calls()
    assert [["[DirectCallOffer]"]] * 2 == [hub.south.hears(), hub.west.hears()]
    assert [] == hub.relays["east"].hears()
    assert [] == hub.alice.hears()


def test_an_offer_to_somebody_here_asks_nobody() -> None:
    """A callee that is registered here rings here, and no other relay hears of it."""
    hub = Hub()
    hub.calls("bob")
    assert ["DirectCallOffer"] == hub.bob.hears()
    assert ["CallRinging"] == hub.alice.hears()
    assert [[], []] == [hub.south.hears(), hub.west.hears()]


def test_without_a_link_nobody_is_asked() -> None:
    """A relay without a link refuses at once what it cannot place, as it would without peers (CALL-10)."""
    mesh = Mesh("north", strangers=["south"])
    alice = register(mesh, "alice", mesh["north"])
    alice.says(OFFER)
    mesh.run(0.1)
    assert ["Hangup{Error}"] == alice.hears()


@pytest.mark.parametrize("phase", [Phase.HOST_CANDIDATES, NEWEST], ids=str)
def test_no_candidate_is_in_an_offer_on_a_link(phase: Phase) -> None:
    """The offer names its caller as registered, keeps what nobody knows, and has no candidate (FED-14)."""
    hub = Hub(phase=phase)
    forged = offer(BOB, NOBODY, "c1", **CALLER, caller_alias="A", rest={"newer": [1]})
    hub.alice.says(forged)
    hub.mesh.run(0.1)
    expected = offer(
        BOB, NOBODY, "c1", caller_fingerprint=ALICE.fingerprint, caller_alias="A", rest={"newer": [1]}
    )
    assert [[envelope("north", expected, phase=phase)]] * 2 == [hub.south.messages, hub.west.messages]


def test_an_offer_from_a_link_rings() -> None:
    """The callee hears the offer without candidates, and its relay says that it rings (FED-15)."""
    hub = Hub()
    named = offer(NOBODY, BOB, "c1", caller_alias="N", rest={"newer": [1]})
    hub.says("south", replace(named, **CALLER))  # type: ignore[arg-type]
    assert [named] == hub.bob.messages
    assert [envelope("north", RINGING)] == hub.south.messages
    assert [[], []] == [hub.west.hears(), hub.alice.hears()]


def test_ringing_waits_until_the_offer_has_left() -> None:
    """CallRinging crosses when the offer has left towards the callee, not before (FED-21)."""
    hub = Hub()
    hub.incoming("pending")
    hub.mesh.run(10)
    assert [[], []] == [hub.south.hears(), hub.bob.hears()]
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    assert ["DirectCallOffer"] == hub.bob.hears()
    assert ["[CallRinging]"] == hub.south.hears()


def test_a_repeated_offer_from_a_link_is_told_that_it_rings() -> None:
    """The same offer again is answered with CallRinging while it rings, and the callee hears it once."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert ["[CallRinging]"] == hub.south.hears()
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    hub.south.hears()
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert [] == hub.south.hears()


def test_a_repeated_offer_of_a_caller_does_not_cross() -> None:
    """The caller's own relay says again that it rings, and no relay is asked a second time."""
    hub = Hub()
    hub.outgoing("searching")
    hub.calls()
    assert [[], [], []] == [hub.alice.hears(), hub.south.hears(), hub.west.hears()]
    hub.says("south", RINGING)
    hub.forget()
    hub.calls()
    assert [["CallRinging"], [], []] == [hub.alice.hears(), hub.south.hears(), hub.west.hears()]


def test_a_callee_that_registers_again_is_rung_again() -> None:
    """A call from a link rings on the callee's new connection, and goes on (CALL-8)."""
    hub = Hub()
    hub.incoming("ringing")
    again = Party(hub.mesh, "bob", hub.north)
    again.says(registration(BOB))
    hub.mesh.run(0.1)
    assert ["RegisterPresenceAck", "DirectCallOffer"] == again.hears()
    again.says(TRUSTED)
    hub.mesh.run(0.1)
    assert ["[DirectCallAnswer]"] == hub.south.hears()
