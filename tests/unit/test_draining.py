"""Draining: a relay that is to stop begins no call, sends away who has none, and waits for the others."""

from __future__ import annotations

from random import Random

import pytest

from reference.core import draining
from reference.core.errors import CloseCode, HangupReason
from reference.core.messages import AcceptMode, DirectCallAnswer, Hangup, RegisterPresence
from reference.core.registration import ZERO_KEY, Policy
from reference.core.sessions import Limits
from tests.world import Puppet, World, identity, introduction, nothing_is_left, offer, registration

SECONDS = 30.0
HANGUP = Hangup(reason=HangupReason.NORMAL)
MEDIA = bytes(12) + b"audio"


def world(policy: Policy = Policy.SIGNED, ring_timeout: float = 60.0) -> World:
    """Return a world whose relay drains for 30 s."""
    return World(policy=policy, limits=Limits(drain=SECONDS, ring_timeout=ring_timeout))


def drain(here: World) -> None:
    """Tell the relay to drain."""
    here.relay_does(here.relay.drain(here.now))


def ringing(here: World, caller: str, callee: str, call_id: str) -> tuple[Puppet, Puppet]:
    """Bring a call to Ringing; return its parties, who have heard all of it."""
    one, two = here.puppet(caller), here.puppet(callee)
    one.says(offer(one.identity, two.identity, call_id))
    assert (["CallRinging"], ["DirectCallOffer"]) == (one.hears(), two.hears())
    return one, two


def active(here: World, caller: str, callee: str, call_id: str) -> tuple[Puppet, Puppet]:
    """Bring a call to Active; return its parties, who have heard all of it."""
    one, two = ringing(here, caller, callee, call_id)
    accept(two, call_id)
    assert (["DirectCallAnswer", "CallSetup"], ["CallSetup"]) == (one.hears(), two.hears())
    return one, two


def accept(callee: Puppet, call_id: str) -> None:
    """Accept a call."""
    callee.says(DirectCallAnswer(call_id=call_id, accept_mode=AcceptMode.ACCEPT_TRUSTED))


def test_a_relay_without_calls_has_drained_at_once() -> None:
    """Everybody is sent away, the probes of the zero key too, and nothing is waited for (ERR-8)."""
    here = world(Policy.OPEN)
    alice, probe = here.puppet("alice"), here.puppet("probe", registered=False)
    probe.says(RegisterPresence(identity_pub=ZERO_KEY, signature=b""))
    drain(here)
    assert here.stopped
    assert [CloseCode.SHUTDOWN] * 2 == [alice.code, probe.code]
    here.relay_does(here.relay.shutdown())
    assert nothing_is_left(here.relay)


def test_parties_of_live_calls_stay_and_others_go() -> None:
    """A Ringing and an Active call keep their four parties; who has no call is closed (ERR-8, ERR-9)."""
    here = world()
    parties = (*ringing(here, "alice", "bob", "c1"), *active(here, "carol", "dave", "c2"))
    erin = here.puppet("erin")
    drain(here)
    assert not here.stopped
    assert ([None] * 4, CloseCode.SHUTDOWN) == ([one.code for one in parties], erin.code)


def test_a_crowd_is_sent_away_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time go, so that those in a call hear nothing of it; who has left meanwhile is left alone."""
    monkeypatch.setattr(draining, "AT_ONCE", 2)
    here = world()
    crowd = [here.puppet(f"idle {number}") for number in range(5)]
    parties = active(here, "carol", "dave", "c1")
    drain(here)
    assert [CloseCode.SHUTDOWN] * 2 + [None] * 3 == [one.code for one in crowd]
    crowd[2].leaves()
    here.advance(draining.PAUSE)
    assert [CloseCode.SHUTDOWN, None] == [one.code for one in crowd[3:]]
    here.advance(draining.PAUSE)
    assert CloseCode.SHUTDOWN is crowd[4].code
    here.advance(SECONDS - 3 * draining.PAUSE)
    assert ([None, None], False) == ([one.code for one in parties], here.stopped)
    here.advance(draining.PAUSE)
    assert here.stopped


def test_no_call_begins() -> None:
    """An offer of a party is refused with Error and reaches nobody; a repeated one still rings (ERR-7)."""
    here = world()
    alice, bob = ringing(here, "alice", "bob", "c1")
    carol, _ = active(here, "carol", "dave", "c2")
    drain(here)
    carol.says(offer(carol.identity, bob.identity, "c3"))
    assert (["Hangup{Error}"], []) == (carol.hears(), bob.hears())
    assert 1 == here.counted["offers_refused", "Error"]
    alice.says(offer(alice.identity, bob.identity, "c1"))
    assert (["CallRinging"], []) == (alice.hears(), bob.hears())


def test_a_call_that_rings_can_be_answered_and_has_its_media() -> None:
    """Draining changes nothing for a live call: answer, room, media and hangup (ERR-9)."""
    here = world()
    alice, bob = ringing(here, "alice", "bob", "c1")
    drain(here)
    accept(bob, "c1")
    assert (["DirectCallAnswer", "CallSetup"], ["CallSetup"]) == (alice.hears(), bob.hears())
    rooms = [here.puppet(name, "call-c1") for name in ("alice", "bob")]
    for room in rooms:
        room.says(introduction(room.identity))
    rooms[0].throws(MEDIA)
    assert [MEDIA] == rooms[1].datagrams
    alice.says(HANGUP)
    assert ["Hangup{Normal}"] == bob.hears()
    assert [CloseCode.CALL_ENDED] * 2 == [room.code for room in rooms]


@pytest.mark.parametrize("way", ["hangup", "reject", "leave", "time-out"])
def test_the_parties_go_with_their_last_call(way: str) -> None:
    """However the last call ends, its parties are sent away behind what they are told, and that was all."""
    here = world(ring_timeout=20.0)
    alice, bob = ringing(here, "alice", "bob", "c1")
    drain(here)
    match way:
        case "hangup":
            alice.says(HANGUP)
        case "reject":
            bob.says(DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT))
        case "leave":
            bob.leaves()
        case _:
            here.advance(20.0)
    assert here.stopped
    assert CloseCode.SHUTDOWN is (bob if way == "hangup" else alice).code
    assert here.journal[-1].endswith("<x relay SHUTDOWN")
    here.relay_does(here.relay.shutdown())
    assert nothing_is_left(here.relay)


def test_who_has_another_call_stays() -> None:
    """The end of one of two calls sends away the party that has no other one only (ERR-8)."""
    here = world()
    alice, bob = ringing(here, "alice", "bob", "c1")
    carol = here.puppet("carol")
    alice.says(offer(alice.identity, carol.identity, "c2"))
    drain(here)
    carol.says(DirectCallAnswer(call_id="c2", accept_mode=AcceptMode.REJECT))
    assert (None, None, CloseCode.SHUTDOWN, False) == (alice.code, bob.code, carol.code, here.stopped)


def test_only_parties_of_live_calls_may_register() -> None:
    """A stranger is closed without an acknowledgement; a party may replace its connection (ERR-8)."""
    here = world()
    alice, bob = ringing(here, "alice", "bob", "c1")
    drain(here)
    stranger = here.puppet("erin", registered=False)
    stranger.says(registration(stranger.identity))
    assert ([], CloseCode.SHUTDOWN) == (stranger.hears(), stranger.code)
    again = here.puppet("bob", registered=False)
    again.says(registration(again.identity))
    assert (CloseCode.REPLACED, None) == (bob.code, alice.code)
    accept(again, "c1")
    assert ["RegisterPresenceAck", "DirectCallOffer", "CallSetup"] == again.hears()


def test_a_refused_registration_is_refused_as_ever() -> None:
    """A wrong signature is told to its sender while the relay drains too (REG-5)."""
    here = world()
    ringing(here, "alice", "bob", "c1")
    drain(here)
    eve = here.puppet("eve", registered=False)
    eve.says(RegisterPresence(identity_pub=eve.identity.public, signature=bytes(64)))
    assert (["RegisterPresenceAck"], CloseCode.REGISTRATION_REFUSED) == (eve.hears(), eve.code)


def test_the_time_to_drain_has_an_end() -> None:
    """After 30 s the relay stops with the call that is left, whose parties are told (ERR-5, ERR-6)."""
    here = world()
    alice, bob = active(here, "alice", "bob", "c1")
    drain(here)
    here.advance(10.0)
    drain(here)  # a second time changes nothing
    here.advance(19.9)
    assert not here.stopped
    here.advance(0.1)
    assert (True, None) == (here.stopped, alice.code)
    here.relay_does(here.relay.shutdown())
    assert (["Hangup{Error}"], CloseCode.SHUTDOWN) == (alice.hears(), alice.code)
    assert (["Hangup{Error}"], CloseCode.SHUTDOWN) == (bob.hears(), bob.code)
    assert nothing_is_left(here.relay)


def test_a_client_comes_back_later() -> None:
    """A client that is sent away tries again with its back-off, as long as the relay drains (REG-16)."""
    here = world()
    active(here, "carol", "dave", "c1")
    client = here.client("alice")
    here.settle()
    drain(here)
    here.advance(4.0)
    assert ["registered", "offline", "offline", "offline"] == [told.event for told in client.told]
    assert 3 == here.journal.count("alice <x relay SHUTDOWN")


PEOPLE = ("alice", "bob", "carol", "dave", "erin")


def step(here: World, draw: Random, known: dict[str, list[Puppet]]) -> None:
    """Let somebody do something that people do: come, call, answer, hang up, leave, or let time pass."""
    name, other, call_id = draw.choice(PEOPLE), draw.choice(PEOPLE), f"c{draw.randrange(4)}"
    here.advance(draw.choice([0.0, 0.0, 1.0]))
    connected = [one for one in known.get(name, ()) if one.link.open]
    verb = draw.choice(["offer", "offer", "accept", "accept", "hangup", "leave", "come"])
    if not connected or verb == "come":
        newcomer = here.puppet(name, registered=False)
        newcomer.says(registration(newcomer.identity))
        known.setdefault(name, []).append(newcomer)
        return
    one = connected[-1]
    match verb:
        case "offer":
            one.says(offer(one.identity, identity(other), call_id))
        case "accept":
            accept(one, call_id)
        case "hangup":
            one.says(Hangup(reason=HangupReason.NORMAL, call_id=call_id))
        case _:
            one.leaves()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_people_do_a_relay_drains(seed: int) -> None:
    """No call begins, nobody stays without one, and in the end nothing is left (ERR-7, ERR-8)."""
    draw, here, known = Random(seed), world(), dict[str, list[Puppet]]()
    for _ in range(40):
        step(here, draw, known)
    live = {call.call_id: call for call in here.relay.calls.registry}
    said = len(here.journal)
    drain(here)
    for _ in range(40):
        if here.stopped:
            break
        step(here, draw, known)
        here.advance(draining.PAUSE)
        now = list(here.relay.calls.registry)
        assert all(live.get(call.call_id) is call for call in now)
        parties = {party for call in now for party in (call.caller, call.callee)}
        registered = {who.fingerprint for who in here.relay.presence._registrants.values()}
        assert registered <= parties
        assert here.stopped == (not now)
    here.advance(SECONDS)
    assert here.stopped
    here.relay_does(here.relay.shutdown())
    assert nothing_is_left(here.relay)
    assert not any("<x relay" in line and not line.endswith(ENDS) for line in here.journal[said:])


ENDS = ("SHUTDOWN", "REPLACED", "CALL_ENDED")
"""The codes of the closes that a relay that drains has a reason for."""
