"""The telephone of a client: every state against everything that can come, and the end of each call."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from reference.core import media
from reference.core.effects import Close, Dial, Effect, Send, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import LINES, Account, Alarm, Answer, Cue, Leg, Line, OwnCall
from reference.core.messages import (
    GOOD,
    AcceptMode,
    CallAnswer,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    Hangup,
    Ping,
    Pong,
    RoomUpdate,
)
from reference.core.telephone import BEHIND, MEDIA_AGAIN, MEDIA_ATTEMPTS, Telephone
from reference.core.timers import Timers
from tests.world import RELAY, World, entropy, identity, offer

ALICE, BOB, RELAYS = identity("alice"), identity("bob"), identity("relay")
SETUP = CallSetup(call_id="c1", room="call-c1", relay_addr=RELAY)
HANGUP = Send(Leg.SIGNAL, Hangup(reason=HangupReason.NORMAL))
TOGETHER = RoomUpdate(count=2, participants=[])
PUBLIC = media.ephemeral_public(bytes(32))
ADMISSION = CallAnswer(
    identity_pub=RELAYS.public,
    ephemeral_pub=PUBLIC,
    signature=RELAYS.sign(PUBLIC + media.ANSWER),
    chosen_profile=GOOD,
)
ANSWER = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED)


def telephone(line: Line | None = None, answer: Answer = Answer.ASK, relay: str = RELAY) -> Telephone:
    """Return a telephone with a call c1 in some state, or without one."""
    made = Telephone(Account(ALICE, relay, answer=answer), Timers(), entropy("alice"))
    if line is not None:
        made.call = OwnCall("c1", BOB.fingerprint, line, RELAY)
    return made


def come(one: Telephone, cue: Cue) -> list[Effect]:
    """Let happen what a cue stands for."""
    match cue:
        case Cue.PLACE:
            return one.place(BOB.fingerprint, 0.0)
        case Cue.OFFER:
            return one.direct_call_offer(offer(BOB, ALICE, "c1"), 0.0)
        case Cue.RINGING:
            return one.call_ringing(CallRinging(call_id="c1"))
        case Cue.ANSWER:
            return one.direct_call_answer(ANSWER)
        case Cue.ACCEPT:
            return one.answer(Answer.TRUSTED)
        case Cue.SETUP:
            return one.call_setup(SETUP, 0.0)
        case Cue.ADMITTED:
            return one.in_room(ADMISSION)
        case Cue.TOGETHER:
            return one.in_room(TOGETHER)
        case Cue.MEDIA_LOST:
            return one.media_lost(-1, "x", 0.0)


@pytest.mark.parametrize(("line", "cue"), list(itertools.product([None, *Line], Cue)), ids=str)
def test_only_what_has_a_row_moves_a_call(line: Line | None, cue: Cue) -> None:
    """In every state all that comes leads where the table says; what has no row sends and dials nothing."""
    one = telephone(line)
    effects = come(one, cue)
    expected = LINES.get((line, cue), line)
    assert expected == (one.call.line if one.call else None)
    if (line, cue) not in LINES:
        assert [] == [effect for effect in effects if not isinstance(effect, Tell)]


@pytest.mark.parametrize("cue", [Cue.RINGING, Cue.ANSWER, Cue.SETUP])
@pytest.mark.parametrize("line", Line)
def test_a_message_for_another_call_does_nothing(line: Line, cue: Cue) -> None:
    """What names another call_id than ours is ignored in every state (CALL-35)."""
    one = telephone(line)
    assert one.call is not None
    one.call.call_id = "c2"
    assert [] == come(one, cue)
    assert line is one.call.line


def test_an_undecided_call_is_not_set_up() -> None:
    """A CallSetup for a call that rings and that nobody accepted dials nothing (CALL-35)."""
    world = World()
    bob, alice = world.client("bob"), world.puppet("alice")
    alice.says(offer(ALICE, BOB, "c1"))
    world.relay_says(bob.legs[Leg.SIGNAL], SETUP)
    world.settle()
    assert [Leg.SIGNAL] == [leg for _, leg, _ in bob.links]
    assert ["registered", "incoming"] == bob.events


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"room": "call-c2"}, "the relay names the room 'call-c2', not 'call-c1'"),
        ({"relay_addr": "127.0.0.1:1"}, "the relay sends us to 127.0.0.1:1: it is a loopback address"),
        ({"relay_addr": "0.0.0.0:1"}, "the relay sends us to 0.0.0.0:1: it is an unspecified address"),
        ({"relay_addr": "203.0.113.5:0"}, "the relay sends us to 203.0.113.5:0: port 0 is nobody's"),
    ],
)
def test_a_setup_that_leads_nowhere_ends_the_call(changed: dict[str, Any], why: str) -> None:
    """Another room, or an address that is never dialled, is told and hung up on."""
    effects = telephone(Line.ACCEPTED).call_setup(replace(SETUP, **changed), 0.0)
    assert [Tell("error", {"why": why}), HANGUP] == effects[:2]
    assert [] == [effect for effect in effects if isinstance(effect, Dial)]


def test_a_relay_on_loopback_may_name_itself() -> None:
    """Where the relay is this machine, its loopback address is dialled."""
    one = telephone(Line.ACCEPTED, relay="127.0.0.1:4433")
    effects = one.call_setup(replace(SETUP, relay_addr="127.0.0.1:4433"), 0.0)
    assert Dial(Leg.MEDIA, "127.0.0.1:4433", "call-c1") == effects[-1]


def test_a_second_call_is_rejected() -> None:
    """Whoever calls while a call is on is rejected, and the user learns of it; the call goes on."""
    one = telephone(Line.TALKING)
    reject = DirectCallAnswer(call_id="c2", accept_mode=AcceptMode.REJECT)
    missed = Tell("missed", {"peer": BOB.fingerprint})
    behind = Send(Leg.SIGNAL, Ping(timestamp_ms=BEHIND))
    assert [Send(Leg.SIGNAL, reject), behind, missed] == one.direct_call_offer(offer(BOB, ALICE, "c2"), 0.0)
    assert one.call is not None
    assert ("c1", Line.TALKING) == (one.call.call_id, one.call.line)


def test_the_hangup_of_a_rejected_call_does_not_end_ours() -> None:
    """Until the relay has handled our rejection a Hangup may be the other call's; the room tells ours."""
    one = telephone(Line.TALKING)
    one.direct_call_offer(offer(BOB, ALICE, "c2"), 0.0)
    hangup = Hangup(reason=HangupReason.NORMAL)
    assert [] == one.hangup_received(hangup)
    assert one.call is not None
    assert [] == one.pong(Pong(timestamp_ms=BEHIND))
    assert Tell("ended", {"reason": "Normal"}) == one.hangup_received(hangup)[-1]


def test_a_pong_of_the_user_is_told() -> None:
    """Any other number is the answer to a Ping that the user asked for."""
    assert [Tell("pong", {"timestamp_ms": 7})] == telephone().pong(Pong(timestamp_ms=7))


@pytest.mark.parametrize(
    ("answer", "mode", "event"),
    [
        (Answer.TRUSTED, AcceptMode.ACCEPT_TRUSTED, "accepted"),
        (Answer.GENERIC, AcceptMode.ACCEPT_GENERIC, "accepted"),
        (Answer.REJECT, AcceptMode.REJECT, "ended"),
    ],
)
def test_a_policy_answers_for_the_user(answer: Answer, mode: AcceptMode, event: str) -> None:
    """An incoming call is told first and then answered as the policy says (CALL-39)."""
    effects = telephone(answer=answer).direct_call_offer(offer(BOB, ALICE, "c1"), 0.0)
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    assert [DirectCallAnswer(call_id="c1", accept_mode=mode, chosen_profile=GOOD)] == sent
    assert ["incoming", event] == [effect.event for effect in effects if isinstance(effect, Tell)]


@pytest.mark.parametrize("line", Line)
def test_the_end_leaves_nothing(line: Line) -> None:
    """Whatever the state, a hangup is sent first, media that was begun is closed, and no alarm is left."""
    one = telephone(line)
    for alarm in (Alarm.ANSWER, Alarm.MEDIA, Alarm.MEDIA_AGAIN, Alarm.HANGUP):
        one._timers.set(alarm, 1.0)
    begun = line in {Line.JOINING, Line.WAITING, Line.TALKING}
    close = [Close(Leg.MEDIA, CloseCode.NORMAL)] if begun else []
    assert [HANGUP, *close, Tell("ended", {"reason": "hung up"})] == one.hangup()
    assert (None, 0) == (one.call, len(one._timers))
    assert ([], []) == (one.hangup(), one.end("x"))


def test_a_lost_seat_ends_the_call_here_alone() -> None:
    """When another connection has taken the seat, no Hangup goes out that would end its call."""
    one = telephone(Line.TALKING)
    effects = one.media_lost(CloseCode.SEAT_TAKEN, "x", 0.0)
    assert [] == [effect for effect in effects if isinstance(effect, Send | Dial)]
    assert (None, None) == (one.call, one._timers.next())


def test_a_closed_room_waits_for_its_hangup() -> None:
    """The Hangup that follows the close of the room says why; without one the call ends after a second."""
    one = telephone(Line.TALKING)
    assert [Tell("media lost", {"reason": "x"})] == one.media_lost(CloseCode.CALL_ENDED, "x", 0.0)
    assert [] == one.speak(b"x")
    assert 1.0 == one._timers.next()
    ended = one.alarm(Alarm.HANGUP, 1.0)
    assert Tell("ended", {"reason": "Normal"}) == ended[-1]
    assert (None, None) == (one.call, one._timers.next())


@pytest.mark.parametrize("code", [CloseCode.NOT_ADMITTED, CloseCode.NO_SUCH_SERVICE, CloseCode.BAD_MESSAGES])
def test_a_room_that_is_shut_is_not_tried_again(code: CloseCode) -> None:
    """When the room will not have us, the other end is told by a Hangup."""
    one = telephone(Line.JOINING)
    assert HANGUP in one.media_lost(code, "x", 0.0)
    assert (None, None) == (one.call, one._timers.next())


@pytest.mark.parametrize("code", [-1, CloseCode.MEDIA_TIMEOUT, CloseCode.SHUTDOWN, CloseCode.TOO_SLOW])
def test_a_lost_room_is_tried_again_for_a_while(code: int) -> None:
    """A second after each loss the room is dialled again; the fifth loss ends the call."""
    one = telephone(Line.TALKING)
    for loss in range(1, MEDIA_ATTEMPTS):
        assert [Tell("media lost", {"reason": "x"})] == one.media_lost(code, "x", 10.0 * loss)
        assert [Alarm.MEDIA_AGAIN] == one._timers.due(10.0 * loss + MEDIA_AGAIN)
        assert [Dial(Leg.MEDIA, RELAY, "call-c1")] == one.alarm(Alarm.MEDIA_AGAIN, 10.0 * loss + 1)
    assert HANGUP in one.media_lost(code, "x", 100.0)
    assert None is one.call


def test_a_silent_room_is_closed_and_tried_again() -> None:
    """Without an answer in time the connection is closed; after the last attempt Hangup goes first."""
    one = telephone(Line.JOINING)
    for _ in range(MEDIA_ATTEMPTS - 1):
        assert Close(Leg.MEDIA, CloseCode.NORMAL) == one.alarm(Alarm.MEDIA, 0.0)[0]
    effects = one.alarm(Alarm.MEDIA, 0.0)
    assert HANGUP == next(effect for effect in effects if not isinstance(effect, Tell))
    assert 1 == sum(isinstance(effect, Close) for effect in effects)


def test_nobody_waits_for_an_answer_for_ever() -> None:
    """A placed call, and an incoming one, are given up when neither end nor relay says anything."""
    for begin in (Cue.PLACE, Cue.OFFER):
        one = telephone()
        come(one, begin)
        assert [Alarm.ANSWER] == one._timers.due(90.0)
        assert HANGUP == one.alarm(Alarm.ANSWER, 90.0)[0]
        assert None is one.call


def test_a_call_is_told_to_both_users() -> None:
    """Placing, ringing, accepting, meeting, talking and ending are told in order at both ends."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    alice.place(bob)
    bob.answer(Answer.TRUSTED)
    alice.speaks(b"hello")
    bob.speaks(b"hello yourself")
    alice.hangup()
    first = [
        "registered",
        "placed",
        "ringing",
        "answered",
        "setup",
        "joined",
        "room",
        "room",
        "talking",
        "ended",
    ]
    assert first == alice.events
    assert ["registered", "incoming", "accepted", "setup", "joined", "room", "talking", "ended"] == bob.events
    assert [b"hello"] == [media.split(one)[1] for one in bob.heard]
    assert [b"hello yourself"] == [media.split(one)[1] for one in alice.heard]
    assert ["hung up", "Normal"] == [one.told[-1].members["reason"] for one in (alice, bob)]


def test_nobody_speaks_alone() -> None:
    """Frames are sent only while both are in the room: not before, not after."""
    for line in Line:
        sent = telephone(line).speak(b"audio")
        assert (1 if line is Line.TALKING else 0) == len(sent)
    assert [] == telephone().speak(b"audio")


@pytest.mark.parametrize("line", [Line.PLACED, Line.RINGING])
def test_a_forwarded_reject_ends_the_call(line: Line) -> None:
    """A relay that forwards a rejecting answer, as it should not, leaves nobody waiting."""
    one = telephone(line)
    reject = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT)
    assert [Tell("ended", {"reason": "Declined"})] == one.direct_call_answer(reject)
    assert (None, None) == (one.call, one._timers.next())


def test_time_passes_while_the_room_is_joined_again() -> None:
    """The timestamp follows the frames of audio while nothing can be sent (MEDIA-27)."""
    one = telephone(Line.JOINING)
    assert one.call is not None
    assert [[], []] == [one.speak(b"audio"), one.speak(None)]
    assert (0, 40) == (one.call.sender.sequence, one.call.sender.timestamp)
