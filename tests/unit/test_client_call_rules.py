"""Rules of the client: the calls that it places, answers and ends (CALL)."""

from __future__ import annotations

import pytest

from reference.core import media
from reference.core.errors import HangupReason
from reference.core.line import Answer, Leg
from reference.core.messages import AcceptMode, CallSetup, Hangup
from tests.unit.rules import CALL_ID, answers, call_of, called, datagrams, from_the_relay, offers, talking
from tests.world import RELAY, World, offer

SETUP = CallSetup(call_id=CALL_ID, room=f"call-{CALL_ID}", relay_addr=RELAY)


@pytest.mark.rule("CALL-35")
def test_a_setup_out_of_the_blue_is_ignored(world: World) -> None:
    """No connection follows a CallSetup when no call is on, and none when another call was placed."""
    alice, bob = world.client("alice"), world.puppet("bob")
    from_the_relay(world, alice, SETUP)
    alice.place(bob)
    from_the_relay(world, alice, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in alice.links]


@pytest.mark.rule("CALL-35")
def test_a_setup_of_a_rejected_call_is_ignored(world: World) -> None:
    """No connection follows a CallSetup for a call that the client rejected."""
    bob = world.client("bob", Answer.REJECT)
    alice = world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    assert "Hangup{Declined}" == alice.hears()[-1]
    from_the_relay(world, bob, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in bob.links]


@pytest.mark.rule("CALL-36")
def test_a_call_id_is_drawn(world: World) -> None:
    """Each call has a call_id of its own: 16 bytes from the source of randomness, as lowercase hex."""
    alice, bob = world.client("alice"), world.puppet("bob")
    for _ in range(3):
        alice.place(bob)
        alice.hangup()
    call_ids = [one.call_id for one in offers(alice)]
    assert 3 == len(set(call_ids))
    assert [16] * 3 == [len(bytes.fromhex(call_id)) for call_id in call_ids]
    assert set(call_ids) <= {drawn.hex() for drawn in alice.drawn}


@pytest.mark.rule("CALL-37")
def test_a_hangup_ends_the_media(world: World) -> None:
    """After a Hangup the client sends no datagram any more, though its connection would take it."""
    alice, _ = talking(world)
    alice.speaks(b"before")
    from_the_relay(world, alice, Hangup(reason=HangupReason.NORMAL))
    alice.speaks(b"after", b"after")
    assert [b"before"] == [media.split(one)[1] for one in datagrams(alice)]


@pytest.mark.rule("CALL-38")
def test_hangup_goes_first(world: World) -> None:
    """A client that ends its call sends Hangup and closes the media connection after it."""
    alice, _ = talking(world)
    mark = len(world.journal)
    alice.hangup()
    mine = [line for line in world.journal[mark:] if line.startswith("alice") and "relay" in line]
    assert ["alice -> relay Hangup{Normal}", "alice x> relay " + alice.links[-1][2].sni] == mine[:2]


@pytest.mark.rule("CALL-39")
def test_nobody_accepts_but_the_user(world: World) -> None:
    """A client that was told nothing lets it ring, and says nothing but what its user decides."""
    bob, alice = world.client("bob"), world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    world.advance(30)
    assert [] == answers(bob)
    assert "incoming" in bob.events
    bob.answer(Answer.GENERIC)
    assert [AcceptMode.ACCEPT_GENERIC] == [one.accept_mode for one in answers(bob)]


@pytest.mark.rule("CALL-46")
def test_a_hangup_names_its_call(world: World) -> None:
    """Every Hangup of a client names the call that it ends: while it rings, and when it is on."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    first = call_of(alice)
    alice.hangup()
    called(world, alice)
    second = call_of(alice)
    alice.does(alice.core.stop())
    hangups = [one.call_id for one in alice.sent(Leg.SIGNAL) if isinstance(one, Hangup)]
    assert [first, second] == hangups


@pytest.mark.rule("CALL-46")
def test_a_hangup_behind_a_lost_connection_names_its_call(world: World) -> None:
    """What a client that was cut off says when it is back names the call that it had."""
    alice = world.client("alice")
    called(world, alice)
    lost = call_of(alice)
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(5)
    assert [lost] == [one.call_id for one in alice.sent(Leg.SIGNAL) if isinstance(one, Hangup)]


@pytest.mark.rule("CALL-47")
def test_the_hangup_of_another_call_is_ignored(world: World) -> None:
    """A Hangup with another call_id ends nothing, while it rings and while two talk."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    ringing = call_of(alice)
    from_the_relay(world, alice, Hangup(reason=HangupReason.BUSY, call_id="another"))
    assert ringing == call_of(alice)
    alice.hangup()
    called(world, alice)
    on = call_of(alice)
    from_the_relay(world, alice, Hangup(reason=HangupReason.NORMAL, call_id=ringing))
    assert on == call_of(alice)
