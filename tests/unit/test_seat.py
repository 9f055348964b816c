"""A seat in the room of a call (spec/media.md): joining, being let in, losing it, coming back, giving up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core import media
from reference.core.effects import Close, Dial, Send, Tell
from reference.core.errors import CloseCode
from reference.core.line import Account, Alarm, Leg
from reference.core.media import GOOD
from reference.core.messages import CallAnswer, CallOffer, Ping, RoomUpdate
from reference.core.seat import AGAIN, ATTEMPTS, EVICTED, HANGUP_WITHIN, Over, Seat, Sitting
from reference.core.timers import Timers
from tests.world import RELAY, identity

ALICE, RELAYS = identity("alice"), identity("relay")
PUBLIC = media.ephemeral_public(bytes(32))
ADMISSION = CallAnswer(
    identity_pub=RELAYS.public,
    ephemeral_pub=PUBLIC,
    signature=RELAYS.sign(PUBLIC + media.ANSWER),
    chosen_profile=GOOD,
)
DIAL = Dial(Leg.MEDIA, RELAY, "call-c1")
FINAL: dict[int, Over] = {
    CloseCode.CALL_ENDED: Over.ENDED,
    CloseCode.SEAT_TAKEN: Over.ELSEWHERE,
    **dict.fromkeys(EVICTED, Over.LOST),
}


def seat(sitting: Sitting = Sitting.AWAY) -> Seat:
    """Return a seat in some state, reached as it is in a call."""
    made = Seat("c1", RELAY, Account(ALICE, RELAY, alias="alice"), Timers(), bytes)
    if sitting is not Sitting.AWAY:
        made.join(0.0)
    if sitting in {Sitting.WAITING, Sitting.TOGETHER, Sitting.RESTING}:
        made.receive(ADMISSION)
    if sitting is Sitting.TOGETHER:
        made.receive(RoomUpdate(count=2, participants=[]))
    if sitting is Sitting.RESTING:
        made.lost(-1, "x", 0.0)
    assert sitting is made.sitting
    return made


def alarms(made: Seat) -> list[Alarm]:
    """Return the alarms that are set."""
    return sorted(made.timers._at)


@pytest.mark.parametrize("sitting", Sitting)
def test_a_room_is_joined_from_outside_alone(sitting: Sitting) -> None:
    """The media connection is opened once; while it is there, under way or lost just now, nothing happens."""
    made = seat(sitting)
    assert ([DIAL] if sitting is Sitting.AWAY else []) == made.join(1.0)
    assert (sitting in {Sitting.JOINING, Sitting.WAITING, Sitting.TOGETHER}) is seat(sitting).open


def test_joining_takes_its_time_and_no_longer() -> None:
    """Ten seconds after the dial the connection is closed, and tried again a second later."""
    made = seat(Sitting.JOINING)
    assert 10.0 == made.timers.next()
    assert [Close(Leg.MEDIA, CloseCode.NORMAL), "media lost"] == [
        one.event if isinstance(one, Tell) else one for one in made.expire(10.0)
    ]
    assert Sitting.RESTING is made.sitting
    assert {Alarm.MEDIA_AGAIN} <= set(alarms(made))
    assert [DIAL] == made.again(11.0)


def test_a_participant_introduces_itself() -> None:
    """CallOffer carries our key, a fresh one, the signature over it, and the name to show (MEDIA-29)."""
    (sent,) = seat(Sitting.JOINING).connected()
    assert isinstance(sent, Send)
    assert Leg.MEDIA == sent.session
    offer = sent.message
    assert isinstance(offer, CallOffer)
    assert (ALICE.public, PUBLIC, "alice") == (offer.identity_pub, offer.ephemeral_pub, offer.alias)
    assert media.introduced(offer.identity_pub, offer.ephemeral_pub, offer.signature, media.OFFER)


def test_an_admission_lets_in_and_company_lets_talk() -> None:
    """With CallAnswer nothing is awaited any more; with a second participant both are together."""
    made = seat(Sitting.JOINING)
    assert [Tell("joined")] == made.receive(ADMISSION)
    assert (Sitting.WAITING, []) == (made.sitting, alarms(made))
    assert [Tell("room", {"count": 1})] == made.receive(RoomUpdate(count=1, participants=[]))
    assert [Sitting.WAITING] == [made.sitting]
    assert [Tell("room", {"count": 2})] == made.receive(RoomUpdate(count=2, participants=[]))
    assert Sitting.TOGETHER is made.sitting


def test_company_without_an_admission_is_none() -> None:
    """A RoomUpdate in front of the CallAnswer opens no microphone, and other messages mean nothing."""
    made = seat(Sitting.JOINING)
    made.receive(RoomUpdate(count=2, participants=[]))
    assert [] == made.receive(Ping(timestamp_ms=1))
    assert Sitting.JOINING is made.sitting


@pytest.mark.parametrize("sitting", [one for one in Sitting if one is not Sitting.JOINING])
def test_an_admission_out_of_turn_does_nothing(sitting: Sitting) -> None:
    """A second CallAnswer, or one that nobody waits for, changes nothing, even one of another key."""
    made = seat(sitting)
    for answer in (ADMISSION, replace(ADMISSION, signature=bytes(64))):
        assert [] == made.receive(answer)
    assert (sitting, Over.NO) == (made.sitting, made.over)


def test_a_false_admission_is_the_end() -> None:
    """After a CallAnswer that another key signed the room is left for good (MEDIA-30)."""
    made = seat(Sitting.JOINING)
    effects = made.receive(replace(ADMISSION, signature=ALICE.sign(PUBLIC + media.ANSWER)))
    assert Close(Leg.MEDIA, CloseCode.NORMAL) == effects[0]
    assert (Over.LOST, Sitting.AWAY, []) == (made.over, made.sitting, alarms(made))
    assert [] == made.join(1.0)


@pytest.mark.parametrize("code", [-1, *CloseCode])
@pytest.mark.parametrize("sitting", [Sitting.JOINING, Sitting.WAITING, Sitting.TOGETHER])
def test_a_close_says_whether_to_come_back(sitting: Sitting, code: int) -> None:
    """Each code from each state: those of the table of close codes end it, every other loss is mended."""
    made = seat(sitting)
    assert [Tell("media lost", {"reason": "x"})] == made.lost(code, "x", 5.0)
    over = FINAL.get(code, Over.NO)
    assert over is made.over
    expected = {Over.NO: [Alarm.MEDIA_AGAIN], Over.ENDED: [Alarm.HANGUP]}
    assert expected.get(over, []) == alarms(made)
    assert ([] if over else [DIAL]) == made.again(6.0)


@pytest.mark.parametrize("sitting", [Sitting.AWAY, Sitting.RESTING])
def test_what_is_not_open_cannot_be_lost(sitting: Sitting) -> None:
    """A loss that is told twice counts once."""
    made = seat(sitting)
    losses = made.losses
    assert [] == made.lost(-1, "x", 0.0)
    assert losses == made.losses


def test_the_rest_is_a_second() -> None:
    """After a loss nothing is dialled before the alarm, whoever asks for the room."""
    made = seat(Sitting.TOGETHER)
    made.lost(-1, "x", 5.0)
    assert [] == made.join(5.0)
    assert 5.0 + AGAIN == made.timers.next()
    assert [DIAL] == made.again(6.0)


def test_a_room_is_given_up_after_some_losses() -> None:
    """The fifth loss of one call is the last."""
    made = seat()
    for loss in range(1, ATTEMPTS + 1):
        made.again(10.0 * loss)
        made.lost(-1, "x", 10.0 * loss)
        assert (Over.LOST if loss == ATTEMPTS else Over.NO) is made.over
    assert [] == alarms(made)


def test_the_hangup_of_a_closed_room_comes_within_a_second() -> None:
    """A room that is closed because the call has ended waits so long for the reason."""
    made = seat(Sitting.TOGETHER)
    made.lost(CloseCode.CALL_ENDED, "x", 5.0)
    assert 5.0 + HANGUP_WITHIN == made.timers.next()


@pytest.mark.parametrize("sitting", Sitting)
def test_leaving_closes_what_is_open(sitting: Sitting) -> None:
    """Whatever the state, the connection is closed with the code if there is one, and no alarm is left."""
    made = seat(sitting)
    was_open = sitting not in {Sitting.AWAY, Sitting.RESTING}
    assert ([Close(Leg.MEDIA, CloseCode.NOT_SELECTED)] if was_open else []) == made.leave(
        CloseCode.NOT_SELECTED
    )
    assert (Sitting.AWAY, []) == (made.sitting, alarms(made))
    assert [DIAL] == made.join(1.0)
