"""Rules of the client: the reports, and which path carries media (AGREE)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core import media
from reference.core.errors import CloseCode
from reference.core.line import Leg
from reference.core.messages import AcceptMode, DirectCallAnswer, MediaPathReport, RoomUpdate
from reference.core.phases import NEWEST
from tests.unit.rules import (
    FIRST,
    SMALL,
    acts,
    call_of,
    called,
    closed,
    completes,
    dialled,
    direct,
    ends,
    from_the_relay,
    joined,
    reported,
    reports,
    rooms,
    spoken,
)
from tests.world import World


@pytest.mark.rule("AGREE-5")
def test_the_outcome_is_reported_once(world: World) -> None:
    """An attempt that succeeded, one that failed and none at all are each reported, and never again."""
    cases: list[tuple[str | None, bool, bool]] = [
        (SMALL, True, True),
        (SMALL, False, False),
        (None, False, False),
    ]
    for reflexive, succeeds, expected in cases:
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        called(again, alice, reflexive)
        if succeeds:
            completes(alice)
        dialled(again, alice, done)
        again.advance(20)
        assert [expected] == reports(alice)


@pytest.mark.rule("AGREE-6")
def test_the_path_is_that_of_the_table(world: World) -> None:
    """Media goes direct when both say so, and through the relay in every other case."""
    cases: list[tuple[bool, bool | None, float]] = [
        *((True, True, 0), (True, False, 0), (True, None, 60)),
        *((False, True, 1), (False, False, 1), (False, None, 1)),
    ]
    for own, other, seconds in cases:
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        bob = called(again, alice, SMALL if own else None)
        if own:
            completes(alice)
        if other is not None:
            reported(alice, bob, ok=other)
        again.advance(seconds)
        joined(alice, bob)
        assert [FIRST if own and other else Leg.MEDIA] == spoken(alice, done), (own, other)


@pytest.mark.rule("AGREE-7")
def test_a_silent_peer_is_waited_for_three_seconds(world: World) -> None:
    """Three seconds after the own report media goes through the relay when the other end said nothing."""
    alice, bob, done = direct(world)
    world.advance(3)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-8")
def test_a_report_of_another_call_decides_nothing(world: World) -> None:
    """A report with another call_id is not counted, before CallSetup and behind it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    late = MediaPathReport(call_id="another", direct_ok=False, race_winner="Relay")
    from_the_relay(world, alice, late)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=SMALL))
    completes(alice)
    from_the_relay(world, alice, late)
    reported(alice, bob, ok=True)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-9")
def test_an_early_report_counts(world: World) -> None:
    """A report that comes while the own attempt is open decides as soon as this has succeeded."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, SMALL)
    reported(alice, bob, ok=True)
    completes(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-9")
def test_a_report_before_the_setup_counts(world: World) -> None:
    """A report that overtakes the CallSetup of its call is kept for it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    report = MediaPathReport(call_id=call_of(alice), direct_ok=True, race_winner="Direct")
    from_the_relay(world, alice, report)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=SMALL))
    completes(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-16")
def test_media_on_the_direct_path_decides_for_it(world: World) -> None:
    """The other end speaks on the direct path and no report of it has come: the client speaks there too."""
    alice, _, done = direct(world)
    alice.does(alice.core.heard(FIRST, world.now))
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-10")
def test_nobody_speaks_before_the_decision(world: World) -> None:
    """With both paths open and the other end's report missing, no datagram goes out."""
    alice, bob, done = direct(world)
    world.advance(1)
    joined(alice, bob)
    assert [] == spoken(alice, done)


@pytest.mark.rule("AGREE-11")
def test_the_room_is_left_for_the_direct_path(world: World) -> None:
    """A room that was dialled meanwhile is closed as not selected when the direct path is chosen."""
    alice, bob, done = direct(world)
    world.advance(1)
    assert Leg.MEDIA in alice.legs
    reported(alice, bob, ok=True)
    assert {int(Leg.MEDIA)} == closed(done)


@pytest.mark.rule("AGREE-11")
def test_the_direct_path_is_left_for_the_relay(world: World) -> None:
    """A direct connection is closed as not selected when the relay is chosen."""
    _, _, done = direct(world)
    world.advance(60)
    assert {FIRST} == closed(done)


@pytest.mark.rule("AGREE-12")
def test_the_end_of_the_direct_path_is_not_the_end(world: World) -> None:
    """When the direct connection ends, the room is dialled and media goes on there."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    assert 0 == rooms(alice)
    ends(alice)
    assert 1 == rooms(alice)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-12")
def test_who_has_hung_up_is_not_followed(world: World) -> None:
    """After a close with NORMAL the Hangup is waited for; when none comes in a second the room is dialled."""
    alice, bob, _ = direct(world)
    reported(alice, bob, ok=True)
    ends(alice, code=CloseCode.NORMAL)
    world.advance(0.9)
    assert 0 == rooms(alice)
    world.advance(0.1)
    assert 1 == rooms(alice)


@pytest.mark.rule("AGREE-13")
def test_a_silent_direct_path_is_doubted(world: World) -> None:
    """After a second without a word on the direct path the client is in the room as well, and not before."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.advance(0.5)
    alice._take(FIRST, media.Sender().datagram(b"a word"))
    world.advance(0.9)
    assert 0 == rooms(alice)
    world.advance(0.1)
    assert 1 == rooms(alice)
    assert [FIRST] == spoken(alice, done)


@pytest.mark.rule("AGREE-14")
def test_a_peer_is_followed_to_the_relay(world: World) -> None:
    """Who hears its peer through the relay, and not on the direct path, speaks there no more."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.rewrite = lambda said: replace(said, count=1) if isinstance(said, RoomUpdate) else said
    world.advance(5)
    room = joined(alice, bob)
    assert [FIRST] == spoken(alice, done)
    room.throws(media.Sender().datagram(b"here"))
    assert [] == spoken(alice, done)
    world.rewrite = lambda said: said
    world.relay_says(alice.legs[Leg.MEDIA], RoomUpdate(count=2, participants=[]))
    world.settle()
    assert [Leg.MEDIA] == spoken(alice, done)


@pytest.mark.rule("AGREE-15")
def test_two_in_the_room_leave_a_silent_path(world: World) -> None:
    """Who has heard nothing on the direct path for a second and meets its peer in the room speaks there."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    world.advance(5)
    assert [FIRST] == spoken(alice, done)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)
