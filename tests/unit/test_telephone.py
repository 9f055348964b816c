"""The telephone of a client: every state against everything that can come, and the end of each call."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from reference.core import media
from reference.core.effects import Close, Dial, Effect, Gather, Send, SendDatagram, Tell, Welcome
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import FIRST_DIRECT, LINES, Account, Alarm, Answer, Cue, Leg, Line, Way
from reference.core.media import GOOD
from reference.core.messages import (
    AcceptMode,
    CallAnswer,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    Hangup,
    MediaPathReport,
    Message,
    Ping,
    Pong,
    Reflect,
    ReflectResponse,
    RoomUpdate,
)
from reference.core.phases import NEWEST, Phase
from reference.core.seat import AGAIN, ATTEMPTS
from reference.core.telephone import BEHIND, Telephone
from reference.core.timers import Timers
from tests.world import RELAY, World, entropy, identity, offer

ALICE, BOB, RELAYS = identity("alice"), identity("bob"), identity("relay")
OWN, SMALL, LARGE = "198.51.100.1:5000", "192.0.2.9:5000", "203.0.113.9:5000"
SETUP = CallSetup(call_id="c1", room="call-c1", relay_addr=RELAY)
HANGUP = Send(Leg.SIGNAL, Hangup(reason=HangupReason.NORMAL, call_id="c1"))
TOGETHER = RoomUpdate(count=2, participants=[])
PUBLIC = media.ephemeral_public(bytes(32))
ADMISSION = CallAnswer(
    identity_pub=RELAYS.public,
    ephemeral_pub=PUBLIC,
    signature=RELAYS.sign(PUBLIC + media.ANSWER),
    chosen_profile=GOOD,
)
ANSWER = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED)
NAMES = frozenset({"call-c1", "call-call-c1"})
WAYS: dict[Line, Sequence[Cue]] = {
    Line.PREPARING: [Cue.PLACE],
    Line.PLACED: [Cue.PLACE, Cue.GATHERED],
    Line.RINGING: [Cue.PLACE, Cue.GATHERED, Cue.RINGING],
    Line.ANSWERED: [Cue.PLACE, Cue.GATHERED, Cue.RINGING, Cue.ANSWER],
    Line.INCOMING: [Cue.OFFER],
    Line.ACCEPTING: [Cue.OFFER, Cue.ACCEPT],
    Line.ACCEPTED: [Cue.OFFER, Cue.ACCEPT, Cue.GATHERED],
    Line.CONNECTING: [Cue.OFFER, Cue.ACCEPT, Cue.GATHERED, Cue.SETUP],
    Line.TALKING: [Cue.OFFER, Cue.ACCEPT, Cue.GATHERED, Cue.SETUP, Cue.PATH],
}
"""How each state is reached."""


def telephone(line: Line | None = None, **account: Any) -> Telephone:  # noqa: ANN401 - members of Account
    """Return a telephone with a call c1 in some state, or without one."""
    made = Telephone(Account(ALICE, **{"relay": RELAY, **account}), Timers(), entropy("alice"))
    for cue in WAYS[line] if line else ():
        come(made, cue)
        if made.call is not None:
            made.call.call_id = "c1"
    assert line == (made.call.line if made.call else None)
    return made


def come(one: Telephone, cue: Cue) -> list[Effect]:
    """Let happen what a cue stands for."""
    match cue:
        case Cue.PLACE:
            return one.place(BOB.fingerprint, 0.0)
        case Cue.GATHERED:
            return gathers(one)
        case Cue.OFFER:
            return one.direct_call_offer(offer(BOB, ALICE, "c1"), 0.0)
        case Cue.RINGING:
            return one.call_ringing(CallRinging(call_id="c1"))
        case Cue.ANSWER:
            return one.direct_call_answer(ANSWER)
        case Cue.ACCEPT:
            return one.answer(Answer.TRUSTED, 0.0)
        case Cue.SETUP:
            return one.call_setup(SETUP, 0.0)
        case Cue.PATH:
            return [*in_room(one, ADMISSION), *in_room(one, TOGETHER)]


def gathers(one: Telephone) -> list[Effect]:
    """Let relay and shell answer what was asked."""
    if one.call is None:
        return one.prepared()
    told = one.call.gathering.reflected(ReflectResponse(observed_addr=OWN))
    one.call.gathering.listed(["192.168.1.1:5000"])
    return [*told, *one.prepared()]


def in_room(one: Telephone, message: Message) -> list[Effect]:
    """Let the room say something."""
    return [] if one.paths is None else one.follow(one.paths.receive(message, 0.0))


def ended(reason: str, line: Line = Line.TALKING) -> Tell:
    """Return what the user is told of an end."""
    return Tell("ended", {"reason": reason, "line": line})


def media_lost(one: Telephone, code: int, now: float = 0.0) -> list[Effect]:
    """Let the media connection end."""
    return one.lost(Leg.MEDIA, code, "x", now)


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


@pytest.mark.parametrize("line", [None, *Line])
def test_what_was_found_out_is_said_once(line: Line | None) -> None:
    """Offer and answer go out when the own addresses are known, and no second time (CAND-7, CAND-8)."""
    one = telephone(line)
    sent = [type(effect.message).__name__ for effect in gathers(one) if isinstance(effect, Send)]
    expected = {Line.PREPARING: ["DirectCallOffer"], Line.ACCEPTING: ["DirectCallAnswer"]}
    assert (expected.get(line, []) if line else []) == sent
    assert [] == gathers(one)


def test_relay_and_shell_are_asked_at_once() -> None:
    """A call that is placed, and one that is accepted with trust, asks for both kinds of addresses."""
    asked = [Gather(), Send(Leg.SIGNAL, Reflect())]
    assert asked == telephone().place(BOB.fingerprint, 0.0)
    assert asked == telephone(Line.INCOMING).answer(Answer.TRUSTED, 0.0)
    assert asked[1:] == telephone(phase=Phase.RACE).place(BOB.fingerprint, 0.0)


@pytest.mark.parametrize("account", [{"way": Way.RELAY}, {"phase": Phase.NAT_CLASSIFICATION}])
def test_nobody_asks_in_vain(account: dict[str, Any]) -> None:
    """Who wants no direct path, or is too old for one, offers and answers at once and lets nobody in."""
    one = telephone(**account)
    assert ["DirectCallOffer"] == [
        type(effect.message).__name__
        for effect in one.place(BOB.fingerprint, 0.0)
        if not isinstance(effect, Tell) and isinstance(effect, Send)
    ]
    two = telephone(Line.INCOMING, **account)
    effects = two.answer(Answer.TRUSTED, 0.0)
    assert [DirectCallAnswer] == [type(effect.message) for effect in effects if isinstance(effect, Send)]
    assert [] == [effect for effect in effects if isinstance(effect, Welcome | Gather)]


def test_an_undecided_call_is_not_set_up() -> None:
    """A CallSetup for a call that rings and that nobody accepted dials nothing (CALL-35)."""
    world = World(phase=NEWEST)
    bob, alice = world.client("bob"), world.puppet("alice")
    alice.says(offer(ALICE, BOB, "c1"))
    world.relay_says(bob.legs[Leg.SIGNAL], replace(SETUP, peer_direct_addr=LARGE))
    world.settle()
    assert [Leg.SIGNAL] == [leg for _, leg, _ in bob.links]
    assert ["registered", "incoming"] == bob.events
    assert frozenset() == bob.welcome


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
    one = telephone(Line.ACCEPTED)
    effects = one.call_setup(replace(SETUP, peer_direct_addr=SMALL, **changed), 0.0)
    assert [Tell("error", {"why": why}), HANGUP, Welcome(frozenset())] == effects[:3]
    assert [] == [effect for effect in effects if isinstance(effect, Dial)]
    assert (None, 0) == (one.call, len(one._timers))


def test_a_relay_on_loopback_may_name_itself() -> None:
    """Where the relay is this machine, its loopback address is dialled, and so is a peer's."""
    one = telephone(Line.ACCEPTED, relay="127.0.0.1:4433")
    setup = replace(SETUP, relay_addr="127.0.0.1:4433")
    assert Dial(Leg.MEDIA, "127.0.0.1:4433", "call-c1") in one.call_setup(setup, 0.0)
    two = telephone(Line.ACCEPTED, relay="127.0.0.1:4433")
    effects = two.call_setup(replace(setup, peer_direct_addr="127.0.0.1:5000"), 0.0)
    assert Dial(FIRST_DIRECT, "127.0.0.1:5000", "call-c1") in effects


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
    """Until the relay has handled our rejection an unnamed Hangup may be the other call's; the room tells."""
    one = telephone(Line.TALKING)
    one.direct_call_offer(offer(BOB, ALICE, "c2"), 0.0)
    hangup = Hangup(reason=HangupReason.NORMAL)
    assert [] == one.hangup_received(hangup)
    assert one.call is not None
    assert [] == one.pong(Pong(timestamp_ms=BEHIND))
    assert ended("Normal") == one.hangup_received(hangup)[-1]


@pytest.mark.parametrize("line", Line)
def test_a_hangup_ends_the_call_that_it_names(line: Line) -> None:
    """In every state a Hangup of our call, or an unnamed one, ends it, and one of another call does not."""
    for call_id in ("c1", None):
        one = telephone(line)
        assert [] == one.hangup_received(Hangup(reason=HangupReason.BUSY, call_id="c2"))
        effects = one.hangup_received(Hangup(reason=HangupReason.BUSY, call_id=call_id))
        assert ended("Busy", line) == effects[-1]
        assert [] == [effect for effect in effects if isinstance(effect, Send | Dial)]
        assert (None, 0) == (one.call, len(one._timers))


def test_a_named_hangup_is_believed_while_a_rejection_is_on_its_way() -> None:
    """A Hangup that names our call is no other's, whatever is in doubt (CALL-47)."""
    one = telephone(Line.TALKING)
    one.direct_call_offer(offer(BOB, ALICE, "c2"), 0.0)
    one.hangup_received(Hangup(reason=HangupReason.NORMAL, call_id="c1"))
    assert None is one.call


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
    one = telephone(answer=answer)
    effects = [*one.direct_call_offer(offer(BOB, ALICE, "c1"), 0.0), *gathers(one)]
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    (answered,) = [message for message in sent if isinstance(message, DirectCallAnswer)]
    trusts = mode is AcceptMode.ACCEPT_TRUSTED
    expected = DirectCallAnswer(
        call_id="c1",
        accept_mode=mode,
        chosen_profile=GOOD,
        callee_reflexive_addr=OWN if trusts else None,
        callee_local_addrs=("192.168.1.1:5000",) if trusts else (),
    )
    assert expected == answered
    events = [effect.event for effect in effects if isinstance(effect, Tell)]
    assert ["incoming", *(["reflexive"] if trusts else []), event] == events


@pytest.mark.parametrize("line", Line)
def test_the_end_leaves_nothing(line: Line) -> None:
    """In every state a hangup is sent before media is closed, nobody is let in, and no alarm is left."""
    one = telephone(line)
    welcomed = line in {Line.PLACED, Line.RINGING, Line.ANSWERED, Line.ACCEPTED}
    expected = [
        *([] if line is Line.PREPARING else [HANGUP]),
        *([Welcome(frozenset())] if welcomed else []),
        *([Close(Leg.MEDIA, CloseCode.NORMAL)] if line in {Line.CONNECTING, Line.TALKING} else []),
        ended("hung up", line),
    ]
    assert expected == one.hangup()
    assert (None, 0) == (one.call, len(one._timers))
    assert ([], []) == (one.hangup(), one.end("x"))


@pytest.mark.parametrize("reflexive", [SMALL, LARGE])
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 2.0, 3.0, 10.0])
def test_the_end_of_a_race_leaves_nothing(reflexive: str, seconds: float) -> None:
    """Whenever a call with a direct attempt ends, all that was dialled is closed and no alarm is left."""
    one = telephone(Line.ACCEPTED)
    effects = one.call_setup(replace(SETUP, peer_direct_addr=reflexive, peer_local_addrs=["10.0.0.7:1"]), 0.0)
    while (at := one._timers.next()) is not None and at <= seconds:
        for alarm in one._timers.due(at):
            effects += one.alarm(alarm, at)
    effects += one.hangup()
    opened = {effect.leg for effect in effects if isinstance(effect, Dial)}
    assert opened == {effect.session for effect in effects if isinstance(effect, Close)}
    assert 0 == len(one._timers)
    assert [frozenset()] == [effect.names for effect in effects if isinstance(effect, Welcome)][-1:]


@pytest.mark.parametrize("line", [Line.PLACED, Line.ANSWERED, Line.ACCEPTED])
def test_a_connection_before_the_setup_waits(line: Line) -> None:
    """What comes under a name of the call is kept until the role is known; a stranger is refused at once."""
    for reflexive, kept in ((LARGE, True), (SMALL, False), (None, False)):
        one = telephone(line)
        assert one.call is not None
        one.call.door.names = NAMES
        stranger = [Close(8, CloseCode.NO_SUCH_SERVICE)]
        assert ([], stranger) == tuple(
            one.call.door.accepted(leg, sni, LARGE) for leg, sni in ((7, "call-c1"), (8, "call-x"))
        )
        if line is Line.PLACED:
            one.direct_call_answer(ANSWER)
        effects = one.call_setup(replace(SETUP, peer_direct_addr=reflexive), 0.0)
        assert kept is (Close(7, CloseCode.NO_SUCH_SERVICE) not in effects)
        assert one.paths is not None
        assert ([7] if kept else []) == list(one.paths.race.open)
        welcome = [effect.names for effect in effects if isinstance(effect, Welcome)]
        assert [NAMES if kept else frozenset()] == welcome


def test_a_connection_before_the_setup_may_end() -> None:
    """What ended before the CallSetup is no direct path, and what still waits is closed with the call."""
    one = telephone(Line.ACCEPTED)
    assert one.call is not None
    one.call.door.names = NAMES
    for leg in (7, 8):
        one.call.door.accepted(leg, "call-c1", LARGE)
    assert [] == one.lost(7, -1, "x", 0.0)
    assert Close(8, CloseCode.NO_SUCH_SERVICE) in one.hangup()


def test_a_user_who_wants_a_direct_path_gets_no_other() -> None:
    """With the way direct a call that has to take the relay is told and hung up on."""
    one = telephone(Line.ACCEPTED, way=Way.DIRECT)
    effects = one.call_setup(SETUP, 0.0)
    assert HANGUP in effects
    assert Tell("error", {"why": "there is no direct path"}) in effects
    assert (None, 0) == (one.call, len(one._timers))


def test_a_report_is_kept_for_its_call() -> None:
    """The first report before CallSetup is kept; without a call, or of another one, none is."""
    late, early = (MediaPathReport(call_id="c1", direct_ok=ok) for ok in (False, True))
    assert [] == telephone().media_path_report(early, 0.0)
    one = telephone(Line.ACCEPTED)
    for report in (replace(late, call_id="c2"), early, late):
        assert [] == one.media_path_report(report, 0.0)
    one.call_setup(replace(SETUP, peer_direct_addr=SMALL), 0.0)
    assert one.paths is not None
    assert True is one.paths.agreement.peer


def test_a_lost_seat_ends_the_call_here_alone() -> None:
    """When another connection has taken the seat, no Hangup goes out that would end its call."""
    one = telephone(Line.TALKING)
    effects = media_lost(one, CloseCode.SEAT_TAKEN)
    assert ended("taken over") == effects[-1]
    assert [] == [effect for effect in effects if isinstance(effect, Send | Dial)]
    assert (None, None) == (one.call, one._timers.next())


def test_a_closed_room_waits_for_its_hangup() -> None:
    """The Hangup that follows the close of the room says why; without one the call ends after a second."""
    one = telephone(Line.TALKING)
    assert [Tell("media lost", {"reason": "x"})] == media_lost(one, CloseCode.CALL_ENDED)
    assert [] == one.speak(b"x")
    assert 1.0 == one._timers.next()
    assert ended("Normal") == one.alarm(Alarm.HANGUP, 1.0)[-1]
    assert (None, None) == (one.call, one._timers.next())


@pytest.mark.parametrize("code", [CloseCode.NOT_ADMITTED, CloseCode.NO_SUCH_SERVICE, CloseCode.BAD_MESSAGES])
def test_a_room_that_is_shut_is_not_tried_again(code: CloseCode) -> None:
    """When the room will not have us, the other end is told by a Hangup."""
    one = telephone(Line.CONNECTING)
    effects = media_lost(one, code)
    assert HANGUP in effects
    assert ended("no room", Line.CONNECTING) == effects[-1]
    assert (None, None) == (one.call, one._timers.next())


@pytest.mark.parametrize("speaks", [True, False])
def test_who_left_the_direct_path_has_hung_up(speaks: bool) -> None:  # noqa: FBT001 - a parameter
    """When no Hangup follows its farewell and there is no room, the end is the other's, unless it spoke."""
    one = telephone(Line.ACCEPTED)
    one.call_setup(replace(SETUP, peer_direct_addr=LARGE), 0.0)
    assert one.paths is not None
    one.media_path_report(MediaPathReport(call_id="c1", direct_ok=True, race_winner="Direct"), 0.0)
    leg = one.new_leg()
    one.follow(one.paths.accepted(leg, "call-c1", LARGE, 0.1))
    one.lost(leg, CloseCode.NORMAL, "x", 0.2)
    one.alarm(Alarm.DIRECT, 2.0)
    one.alarm(Alarm.FAREWELL, 2.1)
    if speaks:
        one.heard(Leg.MEDIA, 2.2)
    assert ended("no room" if speaks else "Normal") == media_lost(one, CloseCode.NOT_ADMITTED)[-1]


@pytest.mark.parametrize("code", [-1, CloseCode.MEDIA_TIMEOUT, CloseCode.SHUTDOWN, CloseCode.TOO_SLOW])
def test_a_lost_room_is_tried_again_for_a_while(code: int) -> None:
    """A second after each loss the room is dialled again; the fifth loss ends the call."""
    one = telephone(Line.TALKING)
    for loss in range(1, ATTEMPTS):
        assert [Tell("media lost", {"reason": "x"})] == media_lost(one, code, 10.0 * loss)
        assert [Alarm.MEDIA_AGAIN] == [
            it for it in one._timers.due(10.0 * loss + AGAIN) if it != Alarm.UNHEARD
        ]
        assert [Dial(Leg.MEDIA, RELAY, "call-c1")] == one.alarm(Alarm.MEDIA_AGAIN, 10.0 * loss + 1)
    assert HANGUP in media_lost(one, code, 100.0)
    assert (None, 0) == (one.call, len(one._timers))


def test_a_silent_room_is_closed_and_tried_again() -> None:
    """Without an answer in time the connection is closed; after the last attempt Hangup goes first."""
    one = telephone(Line.CONNECTING)
    for _ in range(ATTEMPTS - 1):
        assert Close(Leg.MEDIA, CloseCode.NORMAL) == one.alarm(Alarm.MEDIA, 0.0)[0]
        assert [Dial(Leg.MEDIA, RELAY, "call-c1")] == one.alarm(Alarm.MEDIA_AGAIN, 1.0)
    effects = one.alarm(Alarm.MEDIA, 0.0)
    assert HANGUP == next(effect for effect in effects if not isinstance(effect, Tell))
    assert 1 == sum(isinstance(effect, Close) for effect in effects)


def test_a_false_answer_is_hung_up_on_before_the_room_is_left() -> None:
    """After a CallAnswer that another key signed, Hangup goes first and then the close (MEDIA-30)."""
    one = telephone(Line.CONNECTING)
    effects = in_room(one, replace(ADMISSION, signature=BOB.sign(PUBLIC + media.ANSWER)))
    kinds = [type(effect) for effect in effects if not isinstance(effect, Tell)]
    assert [Send, Close] == kinds
    assert (None, 0) == (one.call, len(one._timers))


def test_nobody_waits_for_an_answer_for_ever() -> None:
    """A placed call, and an incoming one, are given up when neither end nor relay says anything."""
    for line in (Line.PLACED, Line.INCOMING):
        one = telephone(line)
        assert [Alarm.ANSWER] == one._timers.due(90.0)
        effects = one.alarm(Alarm.ANSWER, 90.0)
        assert (HANGUP, ended("Timeout", line)) == (effects[0], effects[-1])
        assert (None, 0) == (one.call, len(one._timers))


@pytest.mark.parametrize("alarm", Alarm)
@pytest.mark.parametrize("line", [None, *Line])
def test_an_alarm_that_rings_late_breaks_nothing(line: Line | None, alarm: Alarm) -> None:
    """Every alarm in every state: either the call goes on with its alarms, or it is over and none is left."""
    one = telephone(line)
    one._timers.cancel(alarm)
    one.alarm(alarm, 5.0)
    one.hangup()
    assert (None, 0) == (one.call, len(one._timers))
    assert [] == one.alarm(alarm, 6.0)


def test_a_call_is_told_to_both_users() -> None:
    """Placing, ringing, accepting, meeting, talking and ending are told in order at both ends."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    alice.place(bob)
    bob.answer(Answer.TRUSTED)
    alice.speaks(b"hello")
    bob.speaks(b"hello yourself")
    alice.hangup()
    told = ["path", "joined", "room", "room", "talking", "heard", "ended"]
    assert ["registered", "placed", "ringing", "answered", "setup", *told] == alice.events
    told.remove("room")
    assert ["registered", "incoming", "accepted", "setup", *told] == bob.events
    assert [b"hello"] == [media.split(one)[1] for one in bob.heard]
    assert [b"hello yourself"] == [media.split(one)[1] for one in alice.heard]
    assert ["hung up", "Normal"] == [one.told[-1].members["reason"] for one in (alice, bob)]


def test_a_direct_call_is_told_to_both_users() -> None:
    """The own address, the attempts, the winner, both reports and the path are told as they come."""
    world = World(phase=NEWEST)
    alice, bob = world.client("alice"), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    agreed = ["direct", "report sent", "report heard", "path", "talking"]
    assert ["registered", "reflexive", "placed", "ringing", "answered", "setup", *agreed] == alice.events
    dialled = ["setup", "attempt", "attempt", *agreed]
    assert ["registered", "incoming", "reflexive", "accepted", *dialled] == bob.events


@pytest.mark.parametrize("caller_dials", [True, False])
def test_both_ends_take_the_direct_path(caller_dials: bool) -> None:  # noqa: FBT001 - a parameter
    """Whoever dials, and whoever hears of the setup first, both speak and hear on the direct path."""
    world = World(phase=NEWEST)
    first = world.client("alice", Answer.TRUSTED)
    second = world.client("bob", Answer.TRUSTED)
    caller, callee = (second, first) if caller_dials else (first, second)
    caller.place(callee)
    caller.speaks(b"over here")
    callee.speaks(b"over there")
    assert [b"over here"] == [media.split(one)[1] for one in callee.heard]
    assert [b"over there"] == [media.split(one)[1] for one in caller.heard]
    assert [Leg.SIGNAL] == [leg for _, leg, _ in caller.links]
    caller.hangup()
    assert [{}, {}] == [one.ties for one in (caller, callee)]
    assert [0, 0] == [len(one.core._timers) for one in (caller, callee)]
    assert [frozenset()] * 2 == [one.welcome for one in (caller, callee)]


def test_nobody_speaks_alone() -> None:
    """Frames are sent only while both are in the room: not before, not after."""
    for line in Line:
        sent = telephone(line).speak(b"audio")
        assert (1 if line is Line.TALKING else 0) == len(sent)
    assert [] == telephone().speak(b"audio")


def test_silence_is_marked_on_a_direct_path_alone() -> None:
    """Frames that pass unsent are marked with ComfortNoise on a direct path, and not in a room (MEDIA-33)."""
    room = telephone(Line.TALKING)
    assert [] == [effect for _ in range(100) for effect in room.speak(None)]
    one = telephone(Line.ACCEPTED)
    one.call_setup(replace(SETUP, peer_direct_addr=SMALL), 0.0)
    assert one.paths is not None
    one.follow(one.paths.connected(FIRST_DIRECT, 0.1))
    one.media_path_report(MediaPathReport(call_id="c1", direct_ok=True), 0.2)
    sent = [effect for _ in range(100) for effect in one.speak(None)]
    assert {FIRST_DIRECT} == {effect.session for effect in sent if isinstance(effect, SendDatagram)}


@pytest.mark.parametrize("line", [Line.PLACED, Line.RINGING])
def test_a_forwarded_reject_ends_the_call(line: Line) -> None:
    """A relay that forwards a rejecting answer, as it should not, leaves nobody waiting."""
    one = telephone(line)
    reject = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT)
    assert ended("Declined", Line.ANSWERED) == one.direct_call_answer(reject)[-1]
    assert (None, None) == (one.call, one._timers.next())


def test_time_passes_while_the_room_is_joined_again() -> None:
    """The timestamp follows the frames of audio while nothing can be sent (MEDIA-27)."""
    one = telephone(Line.CONNECTING)
    assert one.call is not None
    assert [[], []] == [one.speak(b"audio"), one.speak(None)]
    assert (0, 40) == (one.call.sender.sequence, one.call.sender.timestamp)
