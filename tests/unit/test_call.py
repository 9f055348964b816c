"""One call: its sides, its table, and the words of the table as messages."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import pytest

from reference.core.call import HANGUPS, LIVE, TRANSITIONS, By, Call, Event, Row, Says, State, room_name
from reference.core.errors import HangupReason, Misuse
from reference.core.messages import (
    AcceptMode,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    Hangup,
    MediaPathReport,
    Message,
)
from reference.core.privacy import Advertised
from tests.world import RELAY, identity, offer
from tools.chapters import table

ALICE, BOB, CAROL = (identity(name) for name in ("alice", "bob", "carol"))
OFFER = offer(ALICE, BOB, "c1")
ANSWER = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_GENERIC)
TRUSTED = DirectCallAnswer(
    call_id="c1",
    accept_mode=AcceptMode.ACCEPT_TRUSTED,
    callee_reflexive_addr="198.51.100.9:4433",
    callee_local_addrs=("192.168.1.3:5000", "no address"),
)
HANGUP = Hangup(reason=HangupReason.BUSY, rest={"note": 1})
REPORT = MediaPathReport(call_id="c1", direct_ok=True, race_winner="Direct")
FORWARDED: dict[Says, Message] = {Says.HANGUP: HANGUP, Says.REPORT: REPORT}
ROWS = {
    (start, event, by): to for start, event, by, to, *_ in table("call", "from", "event", "by", "to").rows
}
CELLS = list(itertools.product([None, *State], Event, By))


def call(state: State | None = None) -> Call:
    """Return the call of the examples in some state."""
    return Call("c1", ALICE.fingerprint, BOB.fingerprint, OFFER, state)


@pytest.mark.parametrize(("state", "event", "by"), CELLS, ids=str)
def test_a_call_goes_where_the_chapter_says(state: State | None, event: Event, by: By) -> None:
    """In every state, every event by every side leads where spec/call.md says, or nowhere without a row."""
    one = call(state)
    row = one.move(event, by)
    written = ROWS.get((str(state or "–"), str(event), str(by)))
    assert (written is None) == (row is None)
    assert (written or state) == one.state


def test_an_ended_call_goes_nowhere() -> None:
    """No row leads out of Ended, and none but the first offer leads out of nothing."""
    assert set() == {event for state, event, _ in TRANSITIONS if state is State.ENDED}
    assert {(Event.OFFER, By.CALLER)} == {(event, by) for state, event, by in TRANSITIONS if state is None}


def test_every_live_state_has_a_way_out() -> None:
    """A call ends in every live state by a hangup or a loss of either side, and by a shutdown."""
    for state, by in itertools.product(LIVE, (By.CALLER, By.CALLEE)):
        assert State.ENDED is TRANSITIONS[state, Event.HANGUP, by].to
        assert State.ENDED is TRANSITIONS[state, Event.LOSS, by].to
    assert {Row(State.ENDED, (Says.ERROR,), (Says.ERROR,))} == {
        TRANSITIONS[state, Event.SHUTDOWN, By.RELAY] for state in LIVE
    }


def test_the_party_that_ends_a_call_hears_nothing_of_it() -> None:
    """Whoever hangs up, rejects or is lost is told nothing about the end (CALL-31)."""
    for (_, event, by), row in TRANSITIONS.items():
        if event in {Event.HANGUP, Event.REJECT, Event.LOSS}:
            assert () == (row.caller if by is By.CALLER else row.callee)


def test_a_side_is_told_by_its_fingerprint() -> None:
    """The two fingerprints are the two sides; any other is a third party."""
    fingerprints = (ALICE.fingerprint, BOB.fingerprint, CAROL.fingerprint, "")
    assert [By.CALLER, By.CALLEE, None, None] == [call().side(one) for one in fingerprints]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (Says.OFFER, OFFER),
        (Says.RINGING, CallRinging(call_id="c1")),
        (Says.ANSWER, ANSWER),
        (Says.HANGUP, Hangup(reason=HangupReason.BUSY, call_id="c1", rest={"note": 1})),
        (Says.REPORT, REPORT),
        (Says.SETUP, CallSetup(call_id="c1", room="call-c1", relay_addr=RELAY)),
        (Says.DECLINED, Hangup(reason=HangupReason.DECLINED, call_id="c1")),
        (Says.TIMEOUT, Hangup(reason=HangupReason.TIMEOUT, call_id="c1")),
        (Says.NORMAL, Hangup(reason=HangupReason.NORMAL, call_id="c1")),
        (Says.ERROR, Hangup(reason=HangupReason.ERROR, call_id="c1")),
    ],
)
def test_a_word_of_the_table_is_a_message(says: Says, expected: object) -> None:
    """Each word stands for one message; a forwarded one is the message that moved the call."""
    assert {By.CALLER: expected, By.CALLEE: expected} == {
        to: call().spoken(says, to, FORWARDED.get(says, ANSWER), RELAY) for to in (By.CALLER, By.CALLEE)
    }


def test_each_setup_names_the_other_party() -> None:
    """A trusted call hands each party the candidates of the other one, in their order (CAND-1 to CAND-6)."""
    one = call(State.RINGING)
    one.advertised = Advertised("192.0.2.1:4433", ("192.168.1.2:4433", "192.168.1.2:4433"))
    setup = CallSetup(call_id="c1", room="call-c1", relay_addr=RELAY)
    callee, caller = (one.spoken(Says.SETUP, to, TRUSTED, RELAY) for to in (By.CALLEE, By.CALLER))
    assert callee == replace(
        setup, peer_direct_addr="192.0.2.1:4433", peer_local_addrs=("192.168.1.2:4433", "192.168.1.2:4433")
    )
    assert caller == replace(
        setup, peer_direct_addr="198.51.100.9:4433", peer_local_addrs=("192.168.1.3:5000", "no address")
    )


def test_a_hangup_that_names_its_call_is_forwarded_as_it_is() -> None:
    """What a party wrote about this call stays, and only a missing call_id is filled in (CALL-43)."""
    named = Hangup(reason=HangupReason.NORMAL, call_id="c1", rest={"note": 1})
    assert named == call(State.ACTIVE).spoken(Says.HANGUP, By.CALLEE, named, RELAY)


def test_every_word_has_a_message() -> None:
    """No word of the table is left without a meaning, and the made Hangups have their reasons in them."""
    for says in Says:
        spoken = call().spoken(says, By.CALLER, FORWARDED.get(says, ANSWER), RELAY)
        assert isinstance(spoken, get_args(Message))
    assert {f"Hangup{{{reason}}}" for reason in HANGUPS.values()} == {str(says) for says in HANGUPS}


@pytest.mark.parametrize("says", [Says.ANSWER, Says.SETUP, Says.HANGUP, Says.REPORT])
def test_nothing_cannot_be_forwarded(says: Says) -> None:
    """To forward without a message is a mistake of the caller of the function."""
    with pytest.raises(Misuse, match="nothing to forward"):
        call().spoken(says, By.CALLER, None, RELAY)


def test_calls_of_one_call_id_are_not_equal() -> None:
    """A later call with the same call_id is another one, so that a late receipt does not move it."""
    assert call() != call()


def test_the_room_is_named_for_the_call() -> None:
    """The room of a call is its call_id behind call- (CALL-21)."""
    assert "call-c1" == room_name("c1") == call().room
