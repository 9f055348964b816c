"""Kills: the suite proves itself: every mutant is rejected by the check of its rule, and by no other.

CALL-TABLE is left out: it says the rules of the call once more, all at once, and would be everybody's
collateral.

A relay mutant is a whole run of the suite; a client mutant is judged by the command that its entry names,
whose exit status 1 says that it was caught.
"""

from __future__ import annotations

import multiprocessing
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from conformance import spec, trace
from conformance.checking import TABLE, catalogue
from conformance.trace import Mutant
from conformance.verdicts import Exit, Outcome, UsageError, Verdict, worst

CLIENT_LIMIT = 120.0
"""Seconds that the command of a client mutant may take."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of one mutant."""

    mutant: Mutant
    verdict: str
    unlisted: tuple[str, ...] = ()
    message: str = ""
    collateral: tuple[str, ...] = field(default=())

    @property
    def killed(self) -> bool:
        """Whether the check of its rule rejected it, and no other but those it lists."""
        return self.verdict == Verdict.FAIL and not self.unlisted


def judge(mutant: Mutant) -> list[tuple[str, str, str]]:
    """Run every check against one relay mutant; return id, verdict and message of each.

    It runs in a process of its own and keeps no state between two mutants but the modules. A failure that
    nobody expects has to come twice, and what could not be set up is tried again: several relays share the
    machine, and a check that waited too briefly for one of them says nothing about the mutant.
    """
    from conformance.judge import Judge  # noqa: PLC0415 - the parent has no use for it
    from conformance.targets import Target  # noqa: PLC0415 - the same

    expected = {mutant.rule, *mutant.collateral}
    outcomes: list[Outcome] = []
    with Target(f"mutant:{mutant.id}") as target:
        runner = Judge(target)
        target.start(*dict.fromkeys(one.variant for one in catalogue()))
        try:
            for check in catalogue():
                if check.id == TABLE:
                    continue
                outcomes.append(runner.run(check))
                once = outcomes[-1].verdict
                if once is Verdict.UNTESTABLE or (once is Verdict.FAIL and check.id not in expected):
                    outcomes[-1] = runner.run(check)
        finally:
            runner.close()
    return [(one.id, str(one.verdict), one.message) for one in outcomes]


def conclude(mutant: Mutant, outcomes: Sequence[tuple[str, str, str]]) -> Kill:
    """Return what the outcomes of a run say of a mutant."""
    own = [(Verdict(verdict), message) for name, verdict, message in outcomes if name == mutant.rule]
    if not own:
        return Kill(mutant, "unchecked", message="its rule has no check")
    verdict = worst([one for one, _ in own])
    message = next(message for one, message in own if one is verdict)
    if verdict is Verdict.ERROR:
        return Kill(mutant, str(verdict), message=message)
    loud = {name for name, one, _ in outcomes if one in (Verdict.FAIL, Verdict.ERROR) and name != mutant.rule}
    return Kill(
        mutant,
        str(verdict),
        tuple(sorted(loud - mutant.collateral)),
        message,
        tuple(sorted(loud & mutant.collateral)),
    )


def _client(mutant: Mutant) -> Kill:
    try:
        done = subprocess.run(  # noqa: S603 - the project's own command
            mutant.command, capture_output=True, text=True, timeout=CLIENT_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Kill(mutant, str(Verdict.ERROR), message=str(error))
    words = (done.stdout or done.stderr).strip().splitlines()[-1:]
    verdict = {Exit.PASSED: Verdict.PASS, Exit.FAILED: Verdict.FAIL}.get(done.returncode, Verdict.ERROR)  # type: ignore[call-overload]
    return Kill(mutant, str(verdict), message="".join(words))


def _one(mutant: Mutant) -> Kill:
    return _client(mutant) if mutant.kind == "client" else conclude(mutant, judge(mutant))


def run(only: Sequence[str], jobs: int, told: Callable[[Kill], None]) -> list[Kill]:
    """Judge the mutants that `only` (ids and areas) selects, all by default; `told` hears of each.

    Raises UsageError for a selector that selects nothing.
    """
    chosen = [one for one in trace.mutants() if not only or _selected(one, only)]
    for selector in only:
        if not any(_selected(one, [selector]) for one in chosen):
            message = f"{selector!r} selects no mutant"
            raise UsageError(message)
    kills: list[Kill] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        waiting = {pool.submit(_one, one): one for one in chosen}
        try:
            for future in as_completed(waiting):
                kills.append(_result(future, waiting[future]))
                told(kills[-1])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    order = {one.id: place for place, one in enumerate(chosen)}
    return sorted(kills, key=lambda one: order[one.mutant.id])


def _result(future: Any, mutant: Mutant) -> Kill:  # noqa: ANN401 - a Future[Kill]
    error = future.exception()
    if error is None:
        kill: Kill = future.result()
        return kill
    return Kill(mutant, str(Verdict.ERROR), message=f"{type(error).__name__}: {error}")


def _selected(mutant: Mutant, only: Sequence[str]) -> bool:
    return any(one in (mutant.id, mutant.rule, mutant.rule.partition("-")[0]) for one in only)


def headline(kills: Sequence[Kill]) -> str:
    """Return the one line that is published."""
    musts = [row for row in trace.rows() if row.rule.level.startswith("MUST")]
    observable = [row for row in musts if not row.rule.check_reason]
    checked = [row for row in observable if row.checks]
    killed = {one.mutant.rule for one in kills if one.killed} - {
        one.mutant.rule for one in kills if not one.killed
    }
    alone = [row for row in checked if row.rule.id in killed]
    counts = {"MUSTs": musts, "observable": observable, "checked": checked, "killed alone": alone}
    return " / ".join(f"{name} {len(those)}" for name, those in counts.items())


def table(kills: Sequence[Kill]) -> list[dict[str, Any]]:
    """Return the kill table as JSON values."""
    known = spec.requirements()
    return [
        {
            "mutant": one.mutant.id,
            "rule": one.mutant.rule,
            "title": one.mutant.title,
            "level": known[one.mutant.rule].level if one.mutant.rule in known else "",
            "verdict": one.verdict,
            "killed": one.killed,
            "unlisted": list(one.unlisted),
            "collateral": list(one.collateral),
            "message": one.message,
        }
        for one in kills
    ]
