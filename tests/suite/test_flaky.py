"""Tests of checks that fail: they are performed again, and what fails now and then is told apart."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from conformance import attempts, cli, known, report, runner
from conformance.attempts import REPEATED, Attempt, repeatable
from conformance.checking import TABLE, Check, catalogue, everything
from conformance.dialogue import Dialogue
from conformance.judge import Judge
from conformance.report import Run
from conformance.runner import Order
from conformance.targets import Target
from conformance.verdicts import Exit, Outcome, Verdict

NOISY = Path(__file__).with_name("noisy.py")
OFTEN = "failed 2 of 3 times"


def judged(habit: str, out: Path | None = None, slow: float = 1.0) -> Run:
    """Judge the relay with this habit by CALL-10."""
    target = f"exec:{sys.executable} {NOISY} {habit} {{options}}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(NOISY.parents[2]))
        return runner.perform(Order(target, only=("CALL-10",), out=out, slow=slow))


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """Judge a relay that fails every other time; return the run and the folder of its reports."""
    folder = tmp_path_factory.mktemp("moody")
    return judged("moody", folder), folder


def test_what_fails_now_and_then_is_red_and_marked(
    moody: tuple[Run, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A relay that fails every other time fails, and everything that is made of it says how often it did."""
    done, folder = moody
    assert Exit.FAILED == done.exit_status
    assert [(Verdict.FAIL, 3, 2)] == [(one.verdict, one.performed, one.failed) for one in done.outcomes]
    results = report.load(folder)
    (rule,) = results["requirements"]
    (check,) = rule["checks"]
    assert (True, 3, 2) == (rule["flaky"], check["performed"], check["failed"])
    assert OFTEN in (folder / "report.html").read_text(encoding="utf-8")
    assert OFTEN in (folder / "summary.md").read_text(encoding="utf-8")
    failure = ET.parse(folder / "junit.xml").getroot().find(".//failure")  # noqa: S314 - our own file
    assert failure is not None
    assert OFTEN in str(failure.get("message"))
    cli.show(done)
    assert OFTEN in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.parametrize(
    ("flaky", "cause", "status", "words"),
    [
        ("true", "Hangup.Busy", Exit.PASSED, ""),
        ("false", "Hangup.Busy", Exit.STALE, f"fails differently: it {OFTEN}"),
        ("true", "Loss", Exit.STALE, "fails differently: alice waited"),
    ],
    ids=["known to be flaky", "not known to be", "flaky otherwise"],
)
def test_a_flaky_failure_is_known_as_such(
    flaky: str, cause: str, status: Exit, words: str, moody: tuple[Run, Path], tmp_path: Path
) -> None:
    """Only an entry that says so accepts a flaky check, and only with the cause that it names."""
    path = tmp_path / "known.toml"
    text = f'[CALL-10]\nreason = "it has moods"\ncause = "{cause}"\nflaky = {flaky}\n'
    path.write_text(text, encoding="utf-8")
    entries = known.read(path, frozenset())
    stale = known.stale(entries, moody[0].outcomes, {"CALL-10"}, {"CALL-10"})
    assert status == runner.status(replace(moody[0], known=entries, stale=stale))
    assert words in "".join(stale)


def test_a_flaky_entry_may_pass() -> None:
    """A check that passes leaves an entry good that says it is flaky, and makes any other stale."""
    passed = [Outcome("CALL-10", "t", Verdict.PASS)]
    for flaky, expected in ((True, []), (False, ["CALL-10 passes now"])):
        entry = known.parse({"CALL-10": {"reason": "x", "cause": "y", "flaky": flaky}})
        assert expected == known.stale(entry, passed, {"CALL-10"}, {"CALL-10"})


def test_each_cause_of_a_flaky_check_is_compared() -> None:
    """A check that failed for the known cause and for another one fails differently."""
    entry = known.parse({"CALL-10": {"reason": "x", "cause": "Busy", "flaky": True}})
    failed = Outcome("CALL-10", "t", Verdict.FAIL, "Busy", performed=3, failed=2, causes=("silence", "Busy"))
    stale = known.stale(entry, [failed], {"CALL-10"}, {"CALL-10"})
    assert ["CALL-10 fails differently: silence"] == stale


def test_a_target_that_dies_of_the_repetition_has_failed() -> None:
    """What it failed before it died is kept, and the run says that it died."""
    done = judged("brittle", slow=0.4)
    assert (Exit.BROKE_PROTOCOL, False) == (done.exit_status, done.complete)
    assert "ended" in done.fault
    assert [(Verdict.FAIL, 1, 1)] == [(one.verdict, one.performed, one.failed) for one in done.outcomes]


def check_of(rule: str) -> Check:
    """Return the check of a rule."""
    return next(one for one in catalogue() if one.id == rule)


def attempt(verdict: Verdict, message: str = "") -> Attempt:
    """Return a performance that ended so."""
    return Attempt(Outcome("CALL-10", "t", verdict, message, 1.0), Dialogue())


class Scripted(Judge):
    """A judge to whom checks end as a script says; at its end somebody interrupts."""

    script: list[Verdict]

    def _attempt(self, check: Check, number: int) -> Attempt:
        del check
        if not self.script:
            raise KeyboardInterrupt
        return attempt(self.script.pop(0), f"attempt {number}")


@pytest.fixture
def scripted() -> Scripted:
    """A judge without a target, who performs twice more what fails."""
    made = Scripted(Target("udp:127.0.0.1:1"), again=attempts.AGAIN)
    made.close()
    return made


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([Verdict.PASS], (Verdict.PASS, 1, 0, "attempt 0")),
        ([Verdict.UNTESTABLE], (Verdict.UNTESTABLE, 1, 0, "attempt 0")),
        ([Verdict.FAIL] * 3, (Verdict.FAIL, 3, 3, "attempt 2")),
        ([Verdict.FAIL, Verdict.PASS, Verdict.PASS], (Verdict.FAIL, 3, 1, "attempt 0")),
        ([Verdict.FAIL, Verdict.UNTESTABLE, Verdict.FAIL], (Verdict.FAIL, 3, 3, "attempt 2")),
        ([Verdict.FAIL, Verdict.ERROR, Verdict.PASS], (Verdict.FAIL, 2, 1, "attempt 0")),
    ],
)
def test_the_last_failure_speaks(
    scripted: Scripted, script: list[Verdict], expected: tuple[Verdict, int, int, str]
) -> None:
    """Only what fails is performed again; one failure is enough, and errors are no performance."""
    scripted.script = [*script]
    done = scripted.run(check_of("CALL-10"))
    assert expected == (done.verdict, done.performed, done.failed, done.message)
    assert ([], [done]) == (scripted.script, scripted.outcomes)


def test_an_interruption_keeps_the_failure(scripted: Scripted) -> None:
    """Who interrupts a check that is performed again finds that it has failed."""
    scripted.script = [Verdict.FAIL]
    with pytest.raises(KeyboardInterrupt):
        scripted.run(check_of("CALL-10"))
    assert [(Verdict.FAIL, 1)] == [(one.verdict, one.performed) for one in scripted.outcomes]


def test_so_many_checks_are_repeated_and_no_more(scripted: Scripted) -> None:
    """Of a target that fails very often nobody asks whether it is flaky."""
    scripted.script = [Verdict.FAIL] * (3 * REPEATED + 1)
    for _ in range(REPEATED + 1):
        scripted.run(check_of("CALL-10"))
    assert [3] * REPEATED + [1] == [one.performed for one in scripted.outcomes]


def test_what_cannot_be_repeated_is_not() -> None:
    """What stops the relay, and drawn dialogues, which are confirmed by themselves, are performed once."""
    once = {one.id for one in everything() if not repeatable(one)}
    assert {f"ERR-{number}" for number in range(5, 10)} == {one for one in once if not one.endswith("-PLANS")}
    assert {one.id for one in everything() if one.id.endswith("-PLANS")} <= once
    assert TABLE not in once


def test_how_often_a_check_failed_has_a_schema() -> None:
    """The published schema takes what a run says of a flaky check, and refuses half of it."""
    outcome = Outcome("CALL-10", "t", Verdict.FAIL, "x", performed=3, failed=2, record="CALL-10")
    results = report.build(Run("ref:", "7", 0, [outcome], exit_status=Exit.FAILED))
    validator = jsonschema.Draft202012Validator(report.schema())
    validator.validate(results)
    for name, value in (("failed", None), ("record", "../elsewhere"), ("performed", 1)):
        broken = json.loads(json.dumps(results))
        check = broken["requirements"][0]["checks"][0]
        check[name] = value
        assert not validator.is_valid(broken), name
