"""Federation: two relays that have the callee, and relays that have nothing to do with a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.errors import HangupReason
from reference.core.messages import (
    GlobalRoomActive,
    GlobalRoomInactive,
    Message,
)
from tests.mesh import envelope
from tests.neighbours import (
    BOB,
    HANGUP,
    NOBODY,
    REJECT,
    REPORT,
    RINGING,
    SETUP,
    TRUSTED,
    Hub,
    end,
    nothing_remains,
)
from tests.world import offer


@pytest.mark.parametrize("first", [RINGING, TRUSTED], ids=["rings", "answers"])
def test_the_first_relay_that_rings_has_the_call(first: Message) -> None:
    """The others hear a Hangup, and what they say afterwards is not heard by the caller (FED-19, FED-20)."""
    hub = Hub("south", "west", "east")
    hub.calls()
    hub.forget()
    hub.says("south", first)
    for name in ("west", "east"):
        assert [envelope("north", end(), "c1")] == hub.relays[name].messages
    heard = hub.alice.hears()
    assert (["CallRinging"] if first is RINGING else ["DirectCallAnswer", "CallSetup"]) == heard
    hub.says("west", RINGING, TRUSTED, HANGUP)
    assert [] == hub.alice.hears()
    hub.says("south", HANGUP)
    assert ["Hangup{Busy}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
@pytest.mark.parametrize("state", ["ringing", "active"])
def test_a_third_relay_changes_nothing(way: str, state: str) -> None:
    """Nothing that comes over another link than the call's is heard by anybody, nor answered (FED-20)."""
    hub = Hub()
    hub.brings(way, state)
    hub.says("west", RINGING, REPORT, TRUSTED, REJECT, SETUP, HANGUP, replace(HANGUP, call_id=None))
    hub.west.says(GlobalRoomActive(room="call-c1"), GlobalRoomInactive(room="call-c1"))
    hub.mesh.run()
    everybody = (hub.alice, hub.bob, hub.south, hub.west)
    assert [[]] * 4 == [one.hears() for one in everybody]
    hub.says("south", HANGUP)
    assert ["Hangup{Busy}"] == (hub.alice if way == "outgoing" else hub.bob).hears()


def test_a_third_relay_does_not_take_a_call_over() -> None:
    """An offer of a call that is live comes in vain over another link: the call goes on (FED-20, CALL-13)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("west", offer(NOBODY, BOB, "c1"))
    assert ["[Hangup{Error}]"] == hub.west.hears()
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    assert ["[DirectCallAnswer]"] == hub.south.hears()
    assert [] == hub.west.hears()


WRONG_SIDE: list[tuple[str, Message]] = [
    ("outgoing", SETUP),
    ("incoming", RINGING),
    ("incoming", TRUSTED),
    ("incoming", REJECT),
]


@pytest.mark.parametrize(("way", "inner"), WRONG_SIDE, ids=lambda one: type(one).__name__)
def test_a_relay_speaks_for_its_own_party_only(way: str, inner: Message) -> None:
    """The caller's relay does not answer, the callee's relay does not set up (FED-20)."""
    for state in ("ringing", "active"):
        hub = Hub()
        hub.brings(way, state)
        hub.says("south", inner)
        everybody = (hub.alice, hub.bob, hub.south, hub.west)
        assert [[]] * 4 == [one.hears() for one in everybody]


@pytest.mark.parametrize(
    "inner", [RINGING, TRUSTED, REJECT, SETUP, REPORT], ids=lambda one: type(one).__name__
)
def test_a_word_of_a_call_that_is_over_is_answered(inner: Message) -> None:
    """Whoever believes in a call that is not live hears Hangup{Error} for it (FED-27)."""
    hub = Hub()
    hub.says("south", inner)
    assert [envelope("north", end(reason=HangupReason.ERROR), "c1")] == hub.south.messages


def test_a_hangup_of_a_call_that_is_over_is_not_answered() -> None:
    """A Hangup for a call that is not live, or for none, is heard by nobody (FED-27)."""
    hub = Hub()
    hub.says("south", HANGUP, replace(HANGUP, call_id=None))
    hub.says("south", replace(HANGUP, call_id=None), call_id="c1")
    everybody = (hub.alice, hub.bob, hub.south, hub.west)
    assert [[]] * 4 == [one.hears() for one in everybody]
