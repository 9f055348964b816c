"""Federation: calls between clients of relays of ours, as both ends see them."""

from __future__ import annotations

import pytest

from reference.core import wire
from reference.core.errors import CloseCode, HangupReason
from reference.core.messages import (
    CallSetup,
    DirectCallAnswer,
    Hangup,
    RoomUpdate,
)
from reference.core.phases import NEWEST, Phase
from reference.core.sessions import Limits
from tests.mesh import IDLE, Party, envelope
from tests.neighbours import (
    ALICE,
    AUDIO,
    BOB,
    GENERIC,
    HANGUP,
    MODES,
    OFFER,
    PHASES,
    REPORT,
    TRUSTED,
    Pair,
    end,
    register,
    seat,
)
from tests.world import identity, introduction, nothing_is_left, offer


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_a_call_across_two_relays(answer: DirectCallAnswer) -> None:
    """Both parties hear what they would hear at one relay, and a third relay hears the search alone."""
    pair = Pair()
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.bob.says(answer)
    pair.mesh.run()
    assert ["DirectCallOffer", "CallSetup"] == [type(one).__name__ for one in pair.bob.messages]
    assert ["CallRinging", "DirectCallAnswer", "CallSetup"] == pair.alice.hears()
    setup = pair.bob.messages[1]
    assert isinstance(setup, CallSetup)
    assert pair.south.address == setup.relay_addr
    assert ("192.0.2.1:4433" if answer is TRUSTED else None) == setup.peer_direct_addr
    assert ["[CallRinging]", "[DirectCallAnswer]"] == pair.north.hears("south")
    assert ["[DirectCallOffer]", "[CallSetup]"] == pair.south.hears("north")
    assert ["[DirectCallOffer]"] == pair.west.hears("north")
    assert ["[Hangup{Error}]"] == pair.north.hears("west")
    assert [] == pair.carol.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
@pytest.mark.parametrize("by", ["alice", "bob"])
@pytest.mark.parametrize("phase", PHASES, ids=str)
def test_a_hangup_reaches_the_other_end(by: str, state: str, phase: Phase) -> None:
    """Whoever hangs up, in whatever state and phase, the other one hears of it, and no relay remembers."""
    pair = Pair(phase=phase)
    pair.brings(state)
    one, other = (pair.alice, pair.bob) if by == "alice" else (pair.bob, pair.alice)
    one.says(HANGUP if phase is NEWEST else Hangup(reason=HangupReason.BUSY))
    pair.mesh.grant(pair.bob.wire)
    pair.mesh.run()
    assert ["Hangup{Busy}"] == [heard for heard in other.hears() if "Hangup" in heard]
    assert [] == [heard for heard in one.hears() if "Hangup" in heard]
    assert pair.empty()


def test_media_crosses_both_ways() -> None:
    """Each hears the other byte for byte, both are counted in both rooms, and the end empties the rooms."""
    pair = Pair()
    pair.brings("active")
    alice, bob = pair.room("alice"), pair.room("bob")
    alice.throws(AUDIO)
    bob.throws(AUDIO + b"!")
    pair.mesh.run()
    assert [[AUDIO + b"!"], [AUDIO]] == [alice.datagrams, bob.datagrams]
    assert (
        RoomUpdate(count=2, participants=[seat("alice", None, "alice"), seat("bob", "south", "bob")])
        == (alice.messages[-1])
    )
    assert (
        RoomUpdate(count=2, participants=[seat("bob", None, "bob"), seat("alice", "north", "alice")])
        == (bob.messages[-1])
    )
    assert not any(end is pair.west for end, data in pair.mesh.delivered if AUDIO in data)
    pair.alice.says(end())
    pair.mesh.run()
    assert [CloseCode.CALL_ENDED, CloseCode.CALL_ENDED] == [alice.code, bob.code]
    assert pair.empty()


@pytest.mark.parametrize("phase", [Phase.FEDERATION, Phase.PATH_AGREEMENT, NEWEST], ids=str)
def test_reports_cross_since_phase_6(phase: Phase) -> None:
    """Both reports arrive at the other end where the relays know them, and nowhere before (FED-25)."""
    pair = Pair(phase=phase)
    pair.brings("active")
    for party in (pair.alice, pair.bob):
        if phase >= Phase.PATH_AGREEMENT:
            party.says(REPORT)
    for name, station in (("north", pair.south), ("south", pair.north)):
        wired = pair.mesh[name].wire(station.name)
        pair.mesh.send(wired, pair.mesh[name], wire.encode(envelope(name, REPORT), phase))
    pair.mesh.run()
    expected = ["MediaPathReport"] if phase >= Phase.PATH_AGREEMENT else []
    assert [expected, expected] == [pair.alice.hears(), pair.bob.hears()]
    assert all(station.link("west") for station in (pair.north, pair.south))


def test_an_offer_that_crosses_the_hangup_of_its_call() -> None:
    """A caller that hangs up at once stops a telephone that has begun to ring, and nothing is left."""
    pair = Pair()
    pair.alice.says(OFFER, end())
    pair.mesh.run()
    assert ["DirectCallOffer", "Hangup{Normal}"] == pair.bob.hears()
    assert [] == pair.alice.hears()
    assert pair.empty()


def test_an_answer_that_crosses_the_hangup_of_its_call() -> None:
    """An accept that meets the caller's Hangup on the way leaves no call, and nobody is set up."""
    pair = Pair()
    pair.brings("ringing")
    pair.alice.says(end())
    pair.bob.says(TRUSTED)
    pair.mesh.run()
    assert ["Hangup{Normal}"] == pair.bob.hears()
    assert [] == pair.alice.hears()
    assert pair.empty()


def test_two_hangups_that_cross() -> None:
    """Both parties hang up at once: neither hears of it, and no relay remembers (CALL-31)."""
    for state in ("ringing", "active"):
        pair = Pair()
        pair.brings(state)
        pair.alice.says(end())
        pair.bob.says(end())
        pair.mesh.run()
        assert [[], []] == [pair.alice.hears(), pair.bob.hears()]
        assert pair.empty()


def test_one_call_id_from_both_sides_at_once() -> None:
    """Two calls that share a call_id refuse each other, and nothing is left of either (CALL-12)."""
    pair = Pair()
    pair.alice.says(OFFER)
    pair.bob.says(offer(BOB, ALICE, "c1"))
    pair.mesh.run()
    assert [["Hangup{Error}"], ["Hangup{Error}"]] == [pair.alice.hears(), pair.bob.hears()]
    assert pair.empty()


def test_a_callee_at_two_relays_is_in_one_call() -> None:
    """Of two telephones of one person the first that rings goes on, and the other one stops (FED-19)."""
    pair = Pair()
    second = register(pair.mesh, "bob", pair.west)
    pair.west.wire("north").credit = False  # its CallRinging comes later
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.mesh.grant(pair.west.wire("north"))
    pair.mesh.run()
    assert ["DirectCallOffer", "Hangup{Normal}"] == second.hears()
    assert ["DirectCallOffer"] == pair.bob.hears()
    second.says(TRUSTED)
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()
    pair.bob.says(GENERIC)
    pair.mesh.run()
    assert ["DirectCallAnswer", "CallSetup"] == pair.alice.hears()
    assert ["CallSetup"] == pair.bob.hears()
    assert [] == second.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
def test_a_second_registration_has_nothing_to_do_with_a_call(state: str) -> None:
    """A call goes on whatever its party does at a relay that the call does not go over.

    It may be registered there too, lose that registration, hang up there and answer there.
    """
    pair = Pair()
    twin, other = register(pair.mesh, "alice", pair.south), register(pair.mesh, "bob", pair.west)
    pair.bob.wire.credit = state != "pending"
    pair.west.wire("north").credit = False
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.mesh.grant(pair.west.wire("north"))
    pair.mesh.run()
    if state == "active":
        pair.bob.says(TRUSTED)
        pair.mesh.run()
    pair.alice.hears()
    if state != "pending":
        other.leaves()
    twin.says(HANGUP, Hangup(reason=HangupReason.BUSY), TRUSTED, REPORT)
    pair.mesh.run()
    twin.leaves()
    pair.mesh.run()
    assert [] == [one for one in pair.alice.hears() if one != "CallRinging"]
    assert [] == [one for one in pair.bob.hears() if "Hangup" in one]
    assert None is not pair.north.core.calls.registry.get("c1")


def test_a_twin_is_not_let_into_the_room() -> None:
    """Who is a party at the other relay has no seat at this one (MEDIA-5)."""
    pair = Pair()
    twin = register(pair.mesh, "alice", pair.south)
    pair.brings("active")
    room = Party(pair.mesh, "alice", pair.south, "call-c1")
    room.says(introduction(ALICE))
    pair.mesh.run()
    assert CloseCode.NOT_ADMITTED is room.code
    assert [] == twin.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
def test_both_ends_hear_when_their_link_is_cut(state: str) -> None:
    """Each relay tells its own party, when it notices, and the next call goes over the new link (FED-26)."""
    pair = Pair()
    pair.brings(state)
    pair.mesh.cut(pair.north.wire("south"))
    pair.mesh.run(IDLE + 5)
    pair.mesh.grant(pair.bob.wire)
    pair.mesh.run()
    assert ["Hangup{Normal}" if state != "pending" else "Hangup{Error}"] == pair.alice.hears()
    assert "Hangup{Normal}" == pair.bob.hears()[-1]
    assert pair.empty()
    pair.alice.says(OFFER)
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
@pytest.mark.parametrize("name", ["north", "south"])
def test_a_relay_that_stops_ends_its_calls_at_both_ends(name: str, state: str) -> None:
    """The party at the other relay hears Hangup{Error} too, before the link ends (ERR-5)."""
    pair = Pair()
    pair.brings(state)
    pair.mesh.grant(pair.bob.wire)
    pair.mesh[name].stops()
    pair.mesh.run()
    assert "Hangup{Error}" == pair.alice.hears()[-1]
    assert "Hangup{Error}" == pair.bob.hears()[-1]
    assert ["[Hangup{Error}]"] == [
        one for one in pair.mesh["south" if name == "north" else "north"].hears(name) if "Hangup" in one
    ]
    assert pair.empty()


def test_a_relay_that_drains_takes_no_call_from_a_link() -> None:
    """Offers from a link are refused as those of clients are, and nobody is searched for (ERR-7, FED-16)."""
    pair = Pair(limits=Limits(drain=100.0))
    pair.brings("active")
    twin = register(pair.mesh, "bob", pair.north)
    pair.south.drains()
    pair.alice.says(offer(ALICE, identity("carol"), "c2"))
    pair.mesh.run()
    pair.carol.says(offer(identity("carol"), BOB, "c3"))
    pair.bob.says(offer(BOB, ALICE, "c4"))
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()
    assert ["Hangup{Error}"] == pair.bob.hears()
    assert ["DirectCallOffer"] == twin.hears()
    assert {"[Hangup{Error}]"} == {one for one in pair.west.hears("south") if "Hangup" in one}


def test_a_call_across_a_link_may_end_before_its_relay_stops() -> None:
    """A relay that drains waits for a call over a link too, and its link ends after the call (ERR-9)."""
    pair = Pair(limits=Limits(drain=100.0))
    pair.brings("active")
    pair.south.drains()
    pair.mesh.run(50)
    assert [[], []] == [pair.alice.hears(), pair.bob.hears()]
    assert ["north", "south", "west"] == pair.alive()
    pair.alice.says(HANGUP)
    pair.mesh.run()
    assert ["Hangup{Busy}"] == pair.bob.hears()
    assert ["north", "west"] == pair.alive()
    assert None is pair.north.link("south")
    assert pair.empty()


def test_nothing_is_left_of_two_relays() -> None:
    """When a call across a link has ended and everybody has gone, every table is empty."""
    pair = Pair()
    pair.brings("active")
    rooms = [pair.room("alice"), pair.room("bob")]
    for party in (pair.alice, pair.bob, pair.carol):
        party.leaves()
    pair.mesh.run()
    assert {CloseCode.CALL_ENDED} == {room.code for room in rooms}
    for station in (pair.north, pair.south, pair.west):
        station.stops()
        station.core.timers.clear()
        assert nothing_is_left(station.core)
