"""One call of a client: the whole table, and that no way leads past a decision."""

from __future__ import annotations

import itertools

import pytest

from reference.core.line import LINES, MODES, Account, Answer, Cue, Line, OwnCall
from reference.core.messages import AcceptMode
from tests.world import RELAY, identity

CELLS = list(itertools.product(Line, Cue))
IN_THE_ROOM = {Line.JOINING, Line.WAITING, Line.TALKING}


@pytest.mark.parametrize(("line", "cue"), CELLS, ids=str)
def test_a_cue_moves_a_call_by_the_table_alone(line: Line, cue: Cue) -> None:
    """In every state every cue leads where its row says; without a row the call stays where it was."""
    call = OwnCall("c1", "peer", line)
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


@pytest.mark.parametrize("cue", [Cue.SETUP])
def test_there_is_no_room_without_a_setup(cue: Cue) -> None:
    """Nothing but a CallSetup leads into the room."""
    assert set() == IN_THE_ROOM & reached({cue})


def test_there_is_no_room_without_a_decision() -> None:
    """A call that was neither placed nor accepted never leads into the room (CALL-35)."""
    assert {Line.INCOMING} == reached({Cue.PLACE, Cue.ACCEPT})


def test_nobody_talks_without_an_admission_and_a_peer() -> None:
    """The microphone opens when the relay has admitted us and the other end is there."""
    assert Line.TALKING not in reached({Cue.ADMITTED})
    assert Line.TALKING not in reached({Cue.TOGETHER})


def test_a_client_asks_its_user_by_default() -> None:
    """Without a policy the user decides, and every decision but to ask has its accept mode (CALL-39)."""
    assert Answer.ASK is Account(identity("alice"), RELAY).answer
    assert set(Answer) - {Answer.ASK} == set(MODES)
    assert set(AcceptMode) == set(MODES.values())
