"""One call of a client: the whole table, and that no way leads past a decision."""

from __future__ import annotations

import itertools

import pytest

from reference.core.gathering import Gathering
from reference.core.line import FIRST_DIRECT, LINES, MODES, Account, Answer, Cue, Leg, Line, OwnCall, Way
from reference.core.messages import AcceptMode
from reference.core.phases import NEWEST
from reference.core.timers import Timers
from tests.world import RELAY, identity
from tools.chapters import table

CELLS = list(itertools.product(Line, Cue))
WITH_PATHS = {Line.CONNECTING, Line.TALKING}
ACCOUNT = Account(identity("alice"), RELAY)


@pytest.mark.parametrize(("line", "cue"), CELLS, ids=str)
def test_a_cue_moves_a_call_by_the_table_alone(line: Line, cue: Cue) -> None:
    """In every state every cue leads where its row says; without a row the call stays where it was."""
    call = OwnCall("c1", "peer", line, Gathering(ACCOUNT, Timers()))
    moved = call.cue(cue)
    assert ((line, cue) in LINES) == moved
    assert LINES.get((line, cue), line) == call.line


def reached(without: set[Cue]) -> set[Line]:
    """Return the states that can be reached when some cues never come."""
    found: set[Line | None] = {None}
    for _ in LINES:
        found |= {to for (line, cue), to in LINES.items() if line in found and cue not in without}
    return {line for line in found if line is not None}


def test_every_state_can_be_reached() -> None:
    """No state is there for nothing."""
    assert set(Line) == reached(set())


def test_there_is_no_media_without_a_setup() -> None:
    """Nothing but a CallSetup leads to where media is carried."""
    assert set() == WITH_PATHS & reached({Cue.SETUP})


def test_there_is_no_media_without_a_decision() -> None:
    """A call that was neither placed nor accepted never leads to where media is carried (CALL-35)."""
    assert {Line.INCOMING} == reached({Cue.PLACE, Cue.ACCEPT})


def test_nobody_talks_without_a_path() -> None:
    """The microphone opens when media can flow."""
    assert Line.TALKING not in reached({Cue.PATH})


def test_nothing_is_said_before_it_is_known_what_to_advertise() -> None:
    """Offer and answer wait until the own addresses are known, or nobody told them."""
    assert {Line.PREPARING, Line.INCOMING, Line.ACCEPTING} == reached({Cue.GATHERED})


def test_a_client_asks_its_user_by_default() -> None:
    """Without a policy the user decides, and every decision but to ask has its accept mode (CALL-39)."""
    assert Answer.ASK is ACCOUNT.answer
    assert set(Answer) - {Answer.ASK} == set(MODES)
    assert set(AcceptMode) == set(MODES.values())


def test_a_client_is_of_the_newest_phase_by_default() -> None:
    """Without a word of its user a client is of the newest phase and takes whichever path there is."""
    assert (NEWEST, Way.AUTO) == (ACCOUNT.phase, ACCOUNT.way)


def test_the_times_are_those_of_the_chapters() -> None:
    """What a client waits for, it waits for as long as spec/reflection.md to spec/agreement.md say."""
    assert (1.0, 0.1) == (ACCOUNT.reflect_timeout, ACCOUNT.hosts_timeout)
    assert (3.0, 1.0) == (ACCOUNT.report_timeout, ACCOUNT.silence)
    seconds = {row[0]: float(row[1].removesuffix(" s")) for row in table("race", "time", "default").rows}
    assert [ACCOUNT.direct_timeout, ACCOUNT.head_start, ACCOUNT.media_timeout] == list(seconds.values())


def test_a_leg_to_a_peer_is_none_to_the_relay() -> None:
    """The numbers of direct connections begin above those of the relay."""
    assert max(Leg) + 1 == FIRST_DIRECT
