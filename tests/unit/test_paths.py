"""The two paths of a call (spec/race.md, spec/agreement.md): which is tried, taken, left, and listened to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from reference.core import media
from reference.core.agreement import Path
from reference.core.effects import Close, Dial, Effect, Send, Tell, Welcome
from reference.core.errors import CloseCode
from reference.core.hearing import UNHEARD
from reference.core.line import Account, Alarm, Leg
from reference.core.media import GOOD
from reference.core.messages import CallAnswer, CallOffer, MediaPathReport, RoomUpdate
from reference.core.paths import ALARMS, Paths
from reference.core.phases import Phase
from reference.core.race import Door, Race, Role
from reference.core.seat import Over, Seat, Sitting
from reference.core.timers import Timers
from tests.world import RELAY, identity

LAN, WAN = "10.0.0.7:5000", "203.0.113.9:5000"
FIRST, SECOND = 2, 3
RELAYS = identity("relay")
PUBLIC = media.ephemeral_public(bytes(32))
ADMISSION = CallAnswer(
    identity_pub=RELAYS.public,
    ephemeral_pub=PUBLIC,
    signature=RELAYS.sign(PUBLIC + media.ANSWER),
    chosen_profile=GOOD,
)
DIAL = Dial(Leg.MEDIA, RELAY, "call-c1")
BEFORE_AGREEMENT = Phase.HOST_CANDIDATES
OF_CALLS = {*ALARMS, Alarm.MEDIA, Alarm.MEDIA_AGAIN, Alarm.HANGUP}
"""The alarms that paths and seat may set."""


def paths(role: Role, candidates: Sequence[str] = (LAN, WAN), **account: Any) -> Paths:  # noqa: ANN401 - of Account
    """Return paths that have not begun."""
    timers: Timers[Alarm] = Timers()
    own = Account(identity("alice"), RELAY, **account)
    dialled = candidates if role is Role.DIALER else ()
    race = Race("c1", role, dialled, itertools.count(FIRST).__next__)
    return Paths(race, Seat("c1", RELAY, own, timers, bytes), own, timers)


def begun(role: Role, candidates: Sequence[str] = (LAN, WAN), **account: Any) -> Paths:  # noqa: ANN401 - as above
    """Return paths that have begun at 0."""
    made = paths(role, candidates, **account)
    made.start(0.0, early=None)
    return made


def told(made: Paths, ok: bool, now: float = 0.0) -> list[Effect]:  # noqa: FBT001 - what is told
    """Let the other end report."""
    return made.report(MediaPathReport(call_id="c1", direct_ok=ok, race_winner="x"), now)


def direct(now: float = 0.0, **account: Any) -> Paths:  # noqa: ANN401 - as above
    """Return paths that have taken the direct one, as a dialer."""
    made = begun(Role.DIALER, **account)
    made.connected(FIRST, now)
    told(made, ok=True, now=now)
    assert Path.DIRECT is made.path
    return made


def together(made: Paths, now: float = 0.0) -> list[Effect]:
    """Let the room admit us, where the other end is."""
    return [*made.receive(ADMISSION, now), *made.receive(RoomUpdate(count=2, participants=[]), now)]


def alarms(made: Paths) -> set[Alarm]:
    """Return the alarms that are set."""
    return set(made._timers._at)


def reports(effects: Sequence[Effect]) -> list[tuple[bool, str]]:
    """Return what is reported to the other end."""
    sent = [effect.message for effect in effects if isinstance(effect, Send)]
    return [(one.direct_ok, one.race_winner) for one in sent if isinstance(one, MediaPathReport)]


def closes(effects: Sequence[Effect]) -> list[tuple[int, CloseCode]]:
    """Return the legs that are closed, with their codes."""
    return [(effect.session, effect.code) for effect in effects if isinstance(effect, Close)]


def test_without_a_role_the_relay_is_dialled_at_once() -> None:
    """Nothing is waited for: the failure is reported, the relay taken and dialled (RACE-13)."""
    made = paths(Role.NONE)
    effects = made.start(0.0, early=None)
    assert [(False, "Relay")] == reports(effects)
    assert DIAL in effects
    assert (Path.RELAY, {Alarm.MEDIA}) == (made.path, alarms(made))


@pytest.mark.parametrize("role", [Role.DIALER, Role.ACCEPTOR])
def test_a_direct_attempt_has_a_head_start_and_a_deadline(role: Role) -> None:
    """The room is dialled half a second later, and the attempt given up after two (RACE-11, RACE-12)."""
    made = paths(role)
    assert DIAL not in made.start(10.0, early=None)
    assert {Alarm.HEAD_START: 10.5, Alarm.DIRECT: 12.0} == {
        key: at for key, (at, _) in made._timers._at.items()
    }
    made._timers.due(10.5)
    assert [DIAL] == made.alarm(Alarm.HEAD_START, 10.5)
    made._timers.due(12.0)
    effects = made.alarm(Alarm.DIRECT, 12.0)
    given_up = {(FIRST, CloseCode.NOT_SELECTED), (SECOND, CloseCode.NOT_SELECTED)}
    assert (given_up if role is Role.DIALER else set()) == set(closes(effects))
    assert (Welcome(frozenset()) in effects) is (role is Role.ACCEPTOR)
    assert [(False, "Relay")] == reports(effects)
    assert Path.RELAY is made.path


def test_the_last_failed_attempt_leads_to_the_relay_at_once() -> None:
    """Until then the room is not dialled; then neither head start nor deadline is waited for."""
    made = begun(Role.DIALER)
    assert [Tell("attempt failed", {"address": LAN, "why": "x"})] == made.lost(FIRST, -1, "x", 0.1)
    effects = made.lost(SECOND, -1, "x", 0.2)
    assert DIAL in effects
    assert (Path.RELAY, {Alarm.MEDIA}) == (made.path, alarms(made))


def test_both_say_that_it_works() -> None:
    """After both good reports media may flow on the direct connection, and not before (AGREE-6, AGREE-10)."""
    made = begun(Role.DIALER)
    assert [(True, "Direct")] == reports(made.connected(FIRST, 0.1))
    assert (None, None) == (made.path, made.out)
    told(made, ok=True, now=0.2)
    assert (Path.DIRECT, FIRST, LAN) == (made.path, made.out, made.remote)
    assert {Alarm.DIRECT, Alarm.SILENCE, Alarm.UNHEARD} == alarms(made)


@pytest.mark.parametrize("waits", [0.0, 0.5])
def test_the_other_end_says_that_it_does_not(waits: float) -> None:
    """The direct connection is closed as not selected and the room dialled, if it is not yet (AGREE-11)."""
    made = begun(Role.DIALER)
    made.connected(FIRST, 0.0)
    if waits:
        assert [DIAL] == made.alarm(Alarm.HEAD_START, waits)
    effects = told(made, ok=False, now=waits)
    assert [(FIRST, CloseCode.NOT_SELECTED)] == closes(effects)
    assert (0 if waits else 1) == effects.count(DIAL)
    assert Path.RELAY is made.path


def test_a_bad_report_ends_the_own_attempt() -> None:
    """When the other end has not got a path there is none: dials are closed and the failure reported."""
    made = begun(Role.DIALER)
    effects = told(made, ok=False, now=0.1)
    assert {(FIRST, CloseCode.NOT_SELECTED), (SECOND, CloseCode.NOT_SELECTED)} == set(closes(effects))
    assert [(False, "Relay")] == reports(effects)
    assert (Path.RELAY, {Alarm.MEDIA}) == (made.path, alarms(made))


@pytest.mark.parametrize("early", [True, False])
def test_a_report_before_the_setup_is_one(early: bool) -> None:  # noqa: FBT001 - a parameter
    """What was kept counts from the start (AGREE-9)."""
    made = paths(Role.DIALER)
    effects = made.start(0.0, early=early)
    assert (None if early else Path.RELAY) is made.path
    assert ([] if early else [(False, "Relay")]) == reports(effects)
    made.connected(FIRST, 0.1)
    assert (Path.DIRECT if early else Path.RELAY) is made.path


@pytest.mark.parametrize("again", [True, False])
def test_the_first_report_counts(again: bool) -> None:  # noqa: FBT001 - a parameter
    """A second one says nothing, whatever it says, before the decision and behind it."""
    made = begun(Role.DIALER)
    told(made, ok=True)
    assert [] == told(made, ok=again)
    made.connected(FIRST, 0.1)
    assert [] == told(made, ok=again)
    assert Path.DIRECT is made.path


def test_a_missing_report_is_waited_for() -> None:
    """Three seconds after the own report the relay is taken (AGREE-7)."""
    made = begun(Role.DIALER)
    made.connected(FIRST, 1.0)
    assert 4.0 == made._timers._at[Alarm.REPORT][0]
    effects = made.alarm(Alarm.REPORT, 4.0)
    assert [(FIRST, CloseCode.NOT_SELECTED)] == closes(effects)
    assert Path.RELAY is made.path


def test_who_needs_no_report_waits_for_none() -> None:
    """When the own attempt has failed nothing is awaited that could still change the path."""
    assert Alarm.REPORT not in alarms(begun(Role.NONE))


def test_the_report_is_sent_once() -> None:
    """Whatever becomes of the direct path later, the other end is told no second time (AGREE-5)."""
    made = begun(Role.ACCEPTOR)
    sent = reports(made.accepted(9, "call-c1", WAN, 0.1))
    sent += reports(made.accepted(10, "call-c1", WAN, 0.2))
    for leg in (9, 10):
        sent += reports(made.lost(leg, 0, "closed", 0.3))
    for alarm in (Alarm.DIRECT, Alarm.REPORT):
        sent += reports(made.alarm(alarm, 5.0))
    assert [(True, "Direct")] == sent
    assert Path.RELAY is made.path


def test_a_direct_path_that_ended_before_the_decision_is_not_taken() -> None:
    """Both said that it works, and then it did not: the room is dialled and not left first (AGREE-12)."""
    made = begun(Role.DIALER)
    made.connected(FIRST, 0.1)
    made.alarm(Alarm.HEAD_START, 0.5)
    made.lost(FIRST, -1, "x", 0.6)
    effects = told(made, ok=True, now=0.7)
    assert ([], Path.RELAY) == (closes(effects), made.path)
    assert Sitting.JOINING is made.seat.sitting


def test_the_end_of_the_direct_path_leads_to_the_relay() -> None:
    """A dialer follows at once; the call goes on (AGREE-12)."""
    made = direct()
    assert DIAL in made.lost(FIRST, CloseCode.NOT_SELECTED, "x", 1.0)
    assert (Path.RELAY, Over.NO) == (made.path, made.over)
    assert {Alarm.MEDIA, Alarm.UNHEARD} == alarms(made)


def test_an_acceptor_waits_for_another_connection_until_the_deadline() -> None:
    """Its last connection may be a loser that the dialer closed; at the deadline it is none any more."""
    made = begun(Role.ACCEPTOR)
    made.accepted(9, "call-c1", WAN, 0.1)
    told(made, ok=True, now=0.2)
    made.lost(9, CloseCode.NOT_SELECTED, "x", 0.3)
    assert (Path.DIRECT, None) == (made.path, made.out)
    made.accepted(10, "call-c1", WAN, 0.4)
    assert 10 == made.out
    made.lost(10, -1, "x", 0.5)
    assert DIAL in made.alarm(Alarm.DIRECT, 2.0)
    assert Path.RELAY is made.path


def test_a_late_success_is_closed() -> None:
    """A handshake that completes after the decision for the relay is not selected."""
    made = begun(Role.DIALER)
    told(made, ok=False)
    assert [(FIRST, CloseCode.NOT_SELECTED)] == closes(made.connected(FIRST, 0.5))
    acceptor = begun(Role.ACCEPTOR)
    told(acceptor, ok=False)
    assert [(9, CloseCode.NO_SUCH_SERVICE)] == closes(acceptor.accepted(9, "call-c1", WAN, 0.5))


def test_a_silence_is_told_on_whichever_path() -> None:
    """The time runs from the last word, over a change of path too, and ends with the call (MEDIA-31)."""
    made = direct()
    made.heard(FIRST, 1.0)
    made.lost(FIRST, CloseCode.NOT_SELECTED, "x", 2.0)
    assert [] == made.alarm(Alarm.UNHEARD, UNHEARD)
    assert [Tell("unheard", {"seconds": UNHEARD})] == made.alarm(Alarm.UNHEARD, 1.0 + UNHEARD)
    together(made, 5.0)
    assert [Tell("heard again", {"path": Path.RELAY, "seconds": 5.0})] == made.heard(Leg.MEDIA, 6.0)
    made.close()
    assert set() == alarms(made)


def test_the_others_word_outweighs_what_is_heard() -> None:
    """A path that was taken because somebody spoke on it is left when the other end says it has none."""
    made = begun(Role.DIALER)
    made.connected(FIRST, 0.1)
    made.heard(FIRST, 0.2)
    assert [Path.DIRECT] == [made.path]
    told(made, ok=False)
    assert [Path.RELAY] == [made.path]


def test_a_path_that_dies_before_the_decision_is_not_waited_for() -> None:
    """The own report was good and the connection has gone: the relay is taken without the other's word."""
    made = begun(Role.DIALER)
    made.connected(FIRST, 0.1)
    made.lost(FIRST, -1, "x", 0.2)
    assert Path.RELAY is made.path


def test_a_silent_direct_path_is_doubted_after_a_second() -> None:
    """A second after the decision, or after the last word heard, the room is joined as well (AGREE-13)."""
    made = direct(0.5)
    made.heard(FIRST, 1.2)
    assert [] == made.alarm(Alarm.SILENCE, 1.5)
    assert 2.2 == made._timers._at[Alarm.SILENCE][0]
    assert [DIAL] == made.alarm(Alarm.SILENCE, 2.2)
    assert (Path.DIRECT, FIRST) == (made.path, made.out)


def test_a_path_that_is_heard_is_never_doubted() -> None:
    """While a word comes in every second the room is not joined, whenever the alarm rings."""
    made = direct()
    for tenth in range(1, 100):
        now = tenth / 10
        if tenth % 9 == 0:
            made.heard(FIRST, now)
        assert [] == [effect for alarm in made._timers.due(now) for effect in made.alarm(alarm, now)]
    assert {Alarm.SILENCE, Alarm.UNHEARD} == alarms(made)


def test_a_peer_that_speaks_in_the_room_is_followed() -> None:
    """Its word there counts after a second without one on the direct path, and not before (AGREE-14)."""
    made = direct()
    made.heard(FIRST, 0.6)
    made.seat.join(0.7)
    made.receive(ADMISSION, 0.8)
    assert [] == closes(made.heard(Leg.MEDIA, 1.5))
    assert [Path.DIRECT] == [made.path]
    assert [(FIRST, CloseCode.NOT_SELECTED)] == closes(made.heard(Leg.MEDIA, 1.6))
    assert Path.RELAY is made.path


def test_a_word_in_the_room_is_remembered() -> None:
    """When the last word came through the relay, the alarm of the silence brings us after it."""
    made = direct()
    made.seat.join(0.1)
    made.receive(ADMISSION, 0.2)
    made.heard(Leg.MEDIA, 0.5)
    made.alarm(Alarm.SILENCE, 1.0)
    assert Path.RELAY is made.path


def test_company_in_the_room_ends_a_silent_path() -> None:
    """Both are in the room and neither hears anything: there they speak (AGREE-15)."""
    made = direct()
    made.alarm(Alarm.SILENCE, 1.0)
    effects = together(made, 1.1)
    assert (Path.RELAY, Leg.MEDIA) == (made.path, made.out)
    assert [(FIRST, CloseCode.NOT_SELECTED)] == closes(effects)


def test_company_in_the_room_does_not_end_a_path_that_is_heard() -> None:
    """While the direct path carries words, the room changes nothing."""
    made = direct()
    made.alarm(Alarm.SILENCE, 1.0)
    made.heard(FIRST, 1.05)
    together(made, 1.1)
    assert (Path.DIRECT, FIRST) == (made.path, made.out)


def test_both_legs_are_heard_while_they_are_open() -> None:
    """Before the decision and behind it, what is open is heard and nothing else (RACE-15)."""
    made = begun(Role.ACCEPTOR)
    assert [False] * 3 == [made.hears(leg) for leg in (Leg.SIGNAL, Leg.MEDIA, 9)]
    made.accepted(9, "call-c1", WAN, 0.1)
    made.alarm(Alarm.HEAD_START, 0.5)
    assert [True, True] == [made.hears(leg) for leg in (Leg.MEDIA, 9)]
    told(made, ok=True, now=0.6)
    assert [False, True] == [made.hears(leg) for leg in (Leg.MEDIA, 9)]
    made.alarm(Alarm.SILENCE, 1.6)
    assert [True, True] == [made.hears(leg) for leg in (Leg.MEDIA, 9)]
    together(made, 1.7)
    assert [True, False] == [made.hears(leg) for leg in (Leg.MEDIA, 9)]


def test_a_room_that_was_lost_is_not_heard() -> None:
    """Until it is joined again there is nothing to hear."""
    made = begun(Role.NONE)
    made.lost(Leg.MEDIA, -1, "x", 1.0)
    assert False is made.hears(Leg.MEDIA)


@pytest.mark.parametrize("role", Role)
def test_before_agreement_each_end_follows_its_own_race(role: Role) -> None:
    """No report is sent or believed, nothing is awaited, and both paths stay open."""
    made = paths(role, phase=BEFORE_AGREEMENT)
    effects = [*made.start(0.0, early=False), *told(made, ok=False)]
    match role:
        case Role.DIALER:
            effects += made.connected(FIRST, 0.1)
        case Role.ACCEPTOR:
            effects += made.accepted(9, "call-c1", WAN, 0.1)
    assert [] == reports(effects)
    assert (Path.RELAY if role is Role.NONE else Path.DIRECT) is made.path
    assert [] == [effect for effect in effects if isinstance(effect, Close) and effect.session == Leg.MEDIA]
    if role is not Role.NONE:
        assert [DIAL] == made.alarm(Alarm.HEAD_START, 0.5)
        assert True is made.hears(Leg.MEDIA)
        assert (FIRST if role is Role.DIALER else 9) == made.out


def test_before_agreement_a_direct_path_that_fails_leaves_the_relay() -> None:
    """Who cannot reach the other end takes the relay at the deadline, and still hears both."""
    made = begun(Role.DIALER, phase=BEFORE_AGREEMENT)
    made.alarm(Alarm.DIRECT, 2.0)
    assert Path.RELAY is made.path


def test_a_room_that_cannot_be_had_ends_a_call_that_needs_it() -> None:
    """With a direct path the loss of the room is no loss; when that ends, it is."""
    made = direct()
    made.alarm(Alarm.SILENCE, 1.0)
    made.lost(Leg.MEDIA, CloseCode.NOT_ADMITTED, "x", 1.1)
    assert (Path.DIRECT, Over.NO) == (made.path, made.over)
    made.lost(FIRST, -1, "x", 1.2)
    assert (Path.RELAY, Over.LOST) == (made.path, made.over)


def test_a_lost_room_is_not_dialled_twice() -> None:
    """Whatever happens in the second after a loss, the room is dialled when the second is over."""
    made = begun(Role.NONE)
    effects = made.lost(Leg.MEDIA, -1, "x", 1.0)
    effects += [
        *told(made, ok=True, now=1.1),
        *made.lost(99, -1, "x", 1.2),
        *made.alarm(Alarm.HEAD_START, 1.3),
    ]
    assert DIAL not in effects
    assert [DIAL] == made.alarm(Alarm.MEDIA_AGAIN, 2.0)


def test_the_first_word_is_told_with_its_time() -> None:
    """Path and seconds since CallSetup, once (the time to first media)."""
    made = paths(Role.DIALER)
    made.start(10.0, early=True)
    made.connected(FIRST, 10.1)
    assert [Tell("heard", {"path": Path.DIRECT, "after": 0.25})] == made.heard(FIRST, 10.25)
    assert [] == made.heard(FIRST, 10.3)
    room = begun(Role.NONE)
    assert [Tell("heard", {"path": Path.RELAY, "after": 1.0})] == room.heard(Leg.MEDIA, 1.0)


def test_the_room_is_greeted_and_a_peer_is_not() -> None:
    """CallOffer is said in the room alone (MEDIA-29, MEDIA-32)."""
    made = begun(Role.DIALER)
    direct_says = [effect.message for effect in made.connected(FIRST, 0.1) if isinstance(effect, Send)]
    assert [MediaPathReport] == [type(message) for message in direct_says]
    (sent,) = made.connected(Leg.MEDIA, 0.6)
    assert isinstance(sent, Send)
    assert isinstance(sent.message, CallOffer)


@pytest.mark.parametrize("role", Role)
def test_who_came_early_is_taken_in_by_an_acceptor(role: Role) -> None:
    """With another role the door is shut and those who waited are closed (RACE-7, RACE-16)."""
    made, door = paths(role), Door()
    door.open(frozenset({"call-c1"}))
    door.accepted(9, "call-c1", WAN)
    made.start(0.0, early=None)
    effects = made.let_in(door, 0.0)
    if role is Role.ACCEPTOR:
        assert ({9: WAN}, [(True, "Direct")]) == (made.race.open, reports(effects))
    else:
        assert [Welcome(frozenset()), Close(9, CloseCode.NO_SUCH_SERVICE)] == effects


@pytest.mark.parametrize("alarm", sorted(OF_CALLS))
@pytest.mark.parametrize("taken", [None, Path.DIRECT, Path.RELAY])
def test_an_alarm_that_rings_late_breaks_nothing(taken: Path | None, alarm: Alarm) -> None:
    """Each alarm in each state leaves paths that can be closed without a rest."""
    made = direct() if taken is Path.DIRECT else begun(Role.NONE if taken else Role.DIALER)
    made.alarm(alarm, 100.0)
    made.close()
    assert (set(), {}, {}) == (alarms(made), made.race.open, made.race.attempts)
    assert Sitting.AWAY is made.seat.sitting


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("phase", [BEFORE_AGREEMENT, Phase.DUAL_STACK])
def test_closing_closes_everything_once(role: Role, phase: Phase) -> None:
    """Dials, connections and the room are closed, the alarms with them; a second time nothing is left."""
    made = begun(role, phase=phase)
    made.alarm(Alarm.HEAD_START, 0.5)
    if role is Role.ACCEPTOR:
        made.accepted(9, "call-c1", WAN, 0.6)
    expected = {Role.DIALER: {FIRST, SECOND}, Role.ACCEPTOR: {9}, Role.NONE: set[int]()}[role]
    assert {Leg.MEDIA, *expected} == {leg for leg, _ in closes(made.close())}
    assert set() == alarms(made)
    assert [] == closes(made.close())
