"""Tests of the catalogue of checks: nothing is forgotten and nothing is counted twice."""

from __future__ import annotations

import pytest

from conformance import codec, model, spec, validation
from conformance.checking import SWEEPING, catalogue, selection
from conformance.verdicts import UsageError


def test_every_sentence_for_a_relay_has_a_check_or_a_reason() -> None:
    """What a relay has to do is judged, or the chapter says why it cannot be."""
    rules = spec.requirements().values()
    expected = {one.id for one in rules if "relay" in one.roles and not one.check_reason}
    assert expected == {one.id for one in catalogue()} - set(SWEEPING)


def test_every_check_has_a_name_of_its_own() -> None:
    """Seeds and results go by the id and the name."""
    names = [one.name for one in catalogue()]
    assert sorted(set(names)) == sorted(names)


def test_what_a_check_needs_is_judged_before_it() -> None:
    """A check that stands on another requirement comes behind its checks."""
    order = [one.id for one in catalogue()]
    for place, one in enumerate(catalogue()):
        for needed in one.needs:
            assert needed in order[:place], f"{one.name} comes before {needed}"


@pytest.mark.parametrize("phase", spec.REACHED)
def test_a_phase_is_judged_by_what_exists_in_it(phase: str) -> None:
    """Without a selector everything is judged that is no younger than the phase, and nothing else."""
    since = {name: rule.since for name, rule in spec.requirements().items()} | SWEEPING
    there = {one.id for one in catalogue() if float(since[one.id]) <= float(phase)}
    assert there == selection([], phase)


def test_the_newest_phase_is_judged_by_everything() -> None:
    """No check is younger than the newest phase."""
    assert {one.id for one in catalogue()} == selection([], spec.NEWEST)


@pytest.mark.parametrize("phase", spec.REACHED[:-1])
def test_of_every_older_phase_something_is_newer(phase: str) -> None:
    """PHASE-4 can be broken, and is judged, in each phase but the newest."""
    assert spec.younger(phase)


@pytest.mark.parametrize(
    "message", ["Later", {"Later": {}}, {"Hangup": {"reason": "Normal", "later": 1}}], ids=str
)
def test_of_the_newest_phase_nothing_is_newer(message: codec.Message) -> None:
    """Nobody of the newest phase can break PHASE-4: what it has not is refused by WIRE-10."""
    assert frozenset() == spec.younger(spec.NEWEST)
    assert [*validation.faults(message, spec.NEWEST, "emit")]


def test_an_area_selects_its_ids() -> None:
    """A selector is an id or an area."""
    assert selection(["SEC", "CALL-3"], "0") == {"SEC-1", "SEC-3", "CALL-3"}


def test_an_area_selects_what_exists_in_the_phase() -> None:
    """Of an area whose rules are of several ages, the younger ones are left out."""
    assert selection(["PRIV"], "3") == {"PRIV-1", "PRIV-3", "PRIV-5", "PRIV-6", "PRIV-7", "PRIV-PLANS"}


@pytest.mark.parametrize(
    "selector", ["CALL-none", "NOTHING", "MEDIA-25", "REG-1", "call-3", "REFL-1", "RACE"]
)
def test_a_selector_that_selects_nothing_is_refused(selector: str) -> None:
    """A misspelt id, one without a check, one of another role and a younger one are told, never skipped."""
    with pytest.raises(UsageError):
        selection(["CALL-3", selector], "0")


@pytest.mark.parametrize("phase", spec.REACHED)
def test_every_row_of_the_table_that_a_party_can_cause_is_played(phase: str) -> None:
    """No row with a sender from outside is left out of the cells of a phase that has its event."""
    played = {(cell.state, cell.event, cell.by) for cell in model.cells(phase)}
    rows = {(row.state, row.event, row.by) for row in spec.transitions() if row.by != "relay"}
    rows = {row for row in rows if spec.exists(model.SINCE.get(row[1], "0"), phase)}
    assert rows - played == {("–", "offer", "caller")}, "the first offer begins every other cell"


def test_a_report_is_played_where_it_may_not_pass() -> None:
    """By anybody in every state, also where there is no call, reports are played since phase 6 only."""
    reports = [cell for cell in model.cells("6") if cell.event == "report"]
    assert len(model.STATES) * len(model.SENDERS) == len(reports)
    assert [] == [cell for cell in model.cells("5.5") if cell.event == "report"]
