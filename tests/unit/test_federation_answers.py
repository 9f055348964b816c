"""Federation: the answer of a call across a link, what follows it, and the end of its link."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.errors import HangupReason
from reference.core.messages import (
    CallSetup,
    DirectCallAnswer,
    FederatedSignalForward,
)
from reference.core.phases import NEWEST, Phase
from reference.core.strict_json import JsonObject
from tests.mesh import envelope, shown
from tests.neighbours import (
    BOB,
    HANGUP,
    MODES,
    NOBODY,
    PHASES,
    REJECT,
    REPORT,
    SETUP,
    STATES,
    TRUSTED,
    Hub,
    end,
    nothing_remains,
)
from tests.world import offer

# The answer and what follows.


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callees_relay_is_sent_its_setup(answer: DirectCallAnswer) -> None:
    """An accept sets up the caller here and crosses as CallSetup with what the callee may know (FED-22)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.says("south", answer)
    trusted = answer is TRUSTED
    base = CallSetup(call_id="c1", room="call-c1", relay_addr=hub.north.address)
    mine = replace(base, peer_direct_addr="198.51.100.9:4433", peer_local_addrs=("10.2.2.2:5000",))
    theirs = replace(base, peer_direct_addr="192.0.2.1:4433", peer_local_addrs=("10.1.1.1:5000",))
    bare = replace(answer, callee_reflexive_addr=None, callee_local_addrs=())
    assert [answer if trusted else bare, mine if trusted else base] == hub.alice.messages
    assert [envelope("north", theirs if trusted else base)] == hub.south.messages
    assert [] == hub.west.hears()
    hub.forget()
    hub.says("south", answer)
    assert [[], []] == [hub.alice.hears(), hub.south.hears()]


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_an_answer_crosses_as_the_caller_may_see_it(answer: DirectCallAnswer) -> None:
    """The callee's candidates cross with AcceptTrusted and stay here with AcceptGeneric (PRIV-3, PRIV-4)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.bob.says(answer)
    hub.mesh.run(0.1)
    bare = replace(answer, callee_reflexive_addr=None, callee_local_addrs=())
    assert [envelope("north", answer if answer is TRUSTED else bare)] == hub.south.messages
    assert [] == hub.bob.hears()


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callee_is_set_up_at_its_own_relay(answer: DirectCallAnswer) -> None:
    """A CallSetup from the link is handed on once, with our own address and the room's own name (FED-23).

    Candidates that the callee did not want are taken out (PRIV-6).
    """
    hub = Hub()
    hub.incoming("active", answer)
    hub.says("south", replace(SETUP, room="call-another"), SETUP)
    expected = replace(SETUP, relay_addr=hub.north.address)
    bare = replace(expected, peer_direct_addr=None, peer_local_addrs=())
    assert [expected if answer is TRUSTED else bare] == hub.bob.messages


def test_nobody_is_set_up_before_the_answer() -> None:
    """A CallSetup for a call that rings opens no microphone, and does not come later either (FED-23)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("south", SETUP)
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    assert [] == hub.bob.hears()
    hub.says("south", SETUP)
    assert ["CallSetup"] == hub.bob.hears()


def test_a_rejection_crosses_as_a_hangup() -> None:
    """The answer Reject stays here, and Hangup{Declined} crosses (CALL-28, CALL-29, FED-24)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.bob.says(REJECT)
    hub.mesh.run(0.1)
    assert [envelope("north", end(reason=HangupReason.DECLINED), "c1")] == hub.south.messages
    assert [] == hub.bob.hears()
    assert nothing_remains(hub.north)


def test_a_rejection_in_an_envelope_is_understood() -> None:
    """A relay that sends the answer Reject itself is understood, and the caller hears Declined."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.says("south", REJECT)
    assert ["Hangup{Declined}"] == hub.alice.hears()
    assert [] == hub.south.hears()
    assert nothing_remains(hub.north)


@pytest.mark.parametrize(("phase", "call_id"), [(Phase.FEDERATION, None), (NEWEST, None), (NEWEST, "c1")])
@pytest.mark.parametrize(("way", "state"), STATES)
def test_a_hangup_crosses(way: str, state: str, phase: Phase, call_id: str | None) -> None:
    """The Hangup of either party crosses in every state, in an envelope that names the call (FED-24).

    It does so in every phase, and over every link that was asked while the callee is searched for.
    """
    hub = Hub(phase=phase)
    hub.brings(way, state)
    party = hub.alice if way == "outgoing" else hub.bob
    party.says(replace(HANGUP, call_id=call_id))
    hub.mesh.run(0.1)
    inner = {"reason": "Busy", "call_id": "c1"} if phase is NEWEST else {"reason": "Busy"}
    expected = FederatedSignalForward(inner={"Hangup": inner}, origin_relay_fp=shown("north"), call_id="c1")
    assert [expected] == hub.south.messages
    assert ([expected] if state == "searching" else []) == hub.west.messages
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    assert [] == [one for one in party.hears() if "Hangup" in one]
    assert nothing_remains(hub.north)


@pytest.mark.parametrize("phase", PHASES, ids=str)
@pytest.mark.parametrize("where", ["inner", "envelope"])
@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_hangup_arrives(way: str, where: str, phase: Phase) -> None:
    """A Hangup over the link, which names its call in itself or in its envelope, ends the call (FED-24)."""
    for state in ("ringing", "active"):
        hub = Hub(phase=phase)
        hub.brings(way, state)
        inner: JsonObject = {"reason": "Busy", **({"call_id": "c1"} if where == "inner" else {})}
        hub.south.says(
            FederatedSignalForward(
                inner={"Hangup": inner},
                origin_relay_fp=shown("south"),
                call_id="c1" if where == "envelope" or phase is not NEWEST else None,
            )
        )
        hub.mesh.run(0.1)
        assert ["Hangup{Busy}"] == (hub.alice if way == "outgoing" else hub.bob).hears()
        assert [[], []] == [hub.south.hears(), hub.west.hears()]
        assert nothing_remains(hub.north)


def test_a_hangup_ends_only_the_call_that_it_names() -> None:
    """Of two calls over one link the other one goes on (CALL-44)."""
    hub = Hub()
    hub.outgoing("active")
    hub.says("south", offer(NOBODY, BOB, "c2"))
    hub.forget()
    hub.says("south", end("c2"))
    assert [[], ["Hangup{Normal}"]] == [hub.alice.hears(), hub.bob.hears()]
    assert ["c1"] == [call.call_id for call in hub.north.core.calls.registry]


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_lost_party_crosses_as_a_hangup(way: str) -> None:
    """Whose connection ends, ends its call at the other relay too (CALL-34, FED-24)."""
    for state in ("ringing", "active"):
        hub = Hub()
        hub.brings(way, state)
        (hub.alice if way == "outgoing" else hub.bob).leaves()
        hub.mesh.run(0.1)
        assert [envelope("north", end(), "c1")] == hub.south.messages
        assert nothing_remains(hub.north)


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_report_crosses(way: str) -> None:
    """The first report of a party of an Active call crosses, and the first of the other arrives (FED-25)."""
    hub = Hub()
    hub.brings(way, "active")
    party = hub.alice if way == "outgoing" else hub.bob
    party.says(REPORT, REPORT)
    hub.says("south", replace(REPORT, direct_ok=False), REPORT)
    assert [envelope("north", REPORT)] == hub.south.messages
    assert [replace(REPORT, direct_ok=False)] == party.messages
    assert [] == hub.west.hears()


def test_a_report_is_of_an_active_call() -> None:
    """A report of a call that rings crosses neither way (FED-25, AGREE-1)."""
    for way in ("outgoing", "incoming"):
        hub = Hub()
        hub.brings(way, "ringing")
        (hub.alice if way == "outgoing" else hub.bob).says(REPORT)
        hub.says("south", REPORT)
        everybody = (hub.alice, hub.bob, hub.south, hub.west)
        assert [[]] * 4 == [one.hears() for one in everybody]


# The end of a link.


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "closed"])
@pytest.mark.parametrize(("way", "state"), STATES)
def test_a_call_ends_when_its_link_does(way: str, state: str, cut: bool) -> None:  # noqa: FBT001 - two kinds
    """The party that is here hears of the end, whatever the state of the call (FED-26)."""
    hub = Hub("south")
    hub.brings(way, state)
    if cut:
        hub.mesh.notice = lambda: 3.0
        hub.mesh.cut(hub.south.wire)
    else:
        hub.south.leaves()
    hub.mesh.run(4)
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    party = hub.alice if way == "outgoing" else hub.bob
    heard = [one for one in party.hears() if one != "DirectCallOffer"]
    assert ["Hangup{Error}" if state == "searching" else "Hangup{Normal}"] == heard
    assert nothing_remains(hub.north)


def test_other_calls_outlive_a_link() -> None:
    """Calls over another link, and calls between two clients of one relay, go on (FED-26)."""
    hub = Hub()
    hub.outgoing("active")
    hub.says("west", offer(NOBODY, BOB, "c2"))
    hub.calls("bob", "c3")
    hub.forget()
    hub.south.leaves()
    hub.mesh.run(0.1)
    assert [["Hangup{Normal}"], []] == [hub.alice.hears(), hub.bob.hears()]
    assert {"c2", "c3"} == {call.call_id for call in hub.north.core.calls.registry}
