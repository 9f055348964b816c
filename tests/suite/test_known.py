"""Tests of known failures, of the reports, and of what the outcomes of a mutant mean."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from conformance import formats, kills, known, report
from conformance.checking import SWEEPING
from conformance.report import Run
from conformance.trace import Mutant
from conformance.verdicts import Exit, Outcome, UsageError, Verdict, worst

FAILED = Outcome(
    "CALL-9",
    "test_late",
    Verdict.FAIL,
    "no \x00 Hangup came",
    1.0,
    ({"who": "a", "direction": "->", "ms": 1, "what": "x"},),
)
PASSED = Outcome("CALL-3", "test_good", Verdict.PASS)
ENTRY = '[CALL-9]\nreason = "we like it"\ncause = "{}"\n'


def entries(tmp_path: Path, text: str) -> dict[str, known.Known]:
    """Read known failures from a text."""
    path = tmp_path / "known.toml"
    path.write_text(text, encoding="utf-8")
    return known.read(path, frozenset())


def test_an_accepted_failure_is_not_stale(tmp_path: Path) -> None:
    """A check that fails as expected leaves its entry good."""
    accepted = entries(tmp_path, ENTRY.format("Hangup"))
    assert [] == known.stale(accepted, [FAILED], {"CALL-9"}, {"CALL-9"})


@pytest.mark.parametrize(
    ("cause", "outcomes", "having"),
    [
        ("Ringing", [FAILED], {"CALL-9"}),
        ("Hangup", [Outcome("CALL-9", "t", Verdict.PASS)], {"CALL-9"}),
        ("Hangup", [], set()),
    ],
    ids=["differently", "passes", "gone"],
)
def test_a_stale_entry_is_named(
    tmp_path: Path, cause: str, outcomes: list[Outcome], having: set[str]
) -> None:
    """An entry whose check fails differently, passes or is gone gives one sentence."""
    accepted = entries(tmp_path, ENTRY.format(cause))
    assert 1 == len(known.stale(accepted, outcomes, {"CALL-9"}, having))


@pytest.mark.parametrize(
    "text",
    [
        *("[", "CALL-9 = 1", "[CALL-9]\nreason = 'x'", ENTRY.format("("), ENTRY.format("")),
        *(f"{ENTRY.format('x')}flaky = 1\n", f"{ENTRY.format('x')}flakey = true\n"),
    ],
)
def test_a_known_failures_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    """Bad TOML, a missing member and a bad expression are usage errors."""
    with pytest.raises(UsageError):
        entries(tmp_path, text)


def results() -> report.Results:
    """Return the results of a small run."""
    return report.build(Run("ref:", "0", 7, [FAILED, PASSED], exit_status=Exit.FAILED, seconds=2.0))


def test_results_obey_their_schema() -> None:
    """What a run writes is what results.schema.json publishes."""
    jsonschema.Draft202012Validator(report.schema()).validate(results())


@pytest.mark.parametrize("name", SWEEPING)
def test_the_schema_of_results_knows_every_pseudo_id(name: str) -> None:
    """A check that judges many rules at once can stand in the results too, with its record."""
    swept = Outcome(name, "test_sweep", Verdict.FAIL, "x", record=f"{name}-2")
    made = report.build(Run("ref:", "7", 7, [swept], exit_status=Exit.FAILED))
    jsonschema.Draft202012Validator(report.schema()).validate(made)


def test_a_dialogue_in_the_results_has_no_times() -> None:
    """Times stand under `timing` alone, so that the same seed gives the same results."""
    text = json.dumps({key: value for key, value in results().items() if key != "timing"})
    assert '"ms"' not in text


def test_junit_counts_what_failed(tmp_path: Path) -> None:
    """The failed check is a failure, and a control character does not break the document."""
    report.write(results(), tmp_path)
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    assert ("2", "1", "0") == (suite.get("tests"), suite.get("failures"), suite.get("errors"))


def test_the_badge_is_red_when_something_failed() -> None:
    """Colour and count follow the verdicts."""
    shown = json.loads(formats.badge(results()))
    assert ("1 of 2", "red") == (shown["message"], shown["color"])


def test_the_worst_verdict_speaks() -> None:
    """A failure outweighs everything, and a pass an unsupported variant."""
    assert worst([Verdict.PASS, Verdict.ERROR, Verdict.FAIL]) is Verdict.FAIL
    assert worst([Verdict.UNSUPPORTED, Verdict.PASS]) is Verdict.PASS


MUTANT = Mutant("CALL-9", "CALL-9", "rings for ever", frozenset({"CALL-4"}), "relay")


@pytest.mark.parametrize(
    ("outcomes", "killed"),
    [
        ([("CALL-9", "fail", "")], True),
        ([("CALL-9", "fail", ""), ("CALL-4", "fail", "")], True),
        ([("CALL-9", "fail", ""), ("CALL-5", "fail", "")], False),
        ([("CALL-9", "fail", ""), ("CALL-5", "error", "")], False),
        ([("CALL-9", "fail", ""), ("CALL-5", "untestable", "")], True),
        ([("CALL-9", "untestable", "")], False),
        ([("CALL-9", "pass", "")], False),
        ([("CALL-4", "fail", "")], False),
    ],
)
def test_a_mutant_is_killed_by_its_own_check_alone(
    outcomes: list[tuple[str, str, str]],
    killed: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Only fail by the check of its rule, and by no check that it does not list, is a kill."""
    assert killed == kills.conclude(MUTANT, outcomes).killed
