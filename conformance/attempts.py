"""Attempts: a check that fails is performed again, so that what fails now and then is told from the rest.

Rules of this file: a check that failed once is red, however often it passes afterwards; what is shown of it
is its last failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from conformance.archive import Archive
from conformance.checking import PAIR, SWEEPING, TABLE, Check
from conformance.dialogue import Dialogue
from conformance.record import Recorder
from conformance.verdicts import RED, Outcome, Verdict

AGAIN = 2
"""How often a check that failed is performed again."""
REPEATED = 40
"""Checks of a run that are performed again: of a target that fails more, nobody asks whether it is flaky."""
_COUNTED = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.UNTESTABLE})


@dataclass(frozen=True)
class Attempt:
    """One performance of a check: what became of it, who said what, and what passed on the wire."""

    outcome: Outcome
    dialogue: Dialogue
    recorder: Recorder | None = None


def repeatable(check: Check) -> bool:
    """Tell whether a check can be performed again.

    One that stops the relay cannot; those of plans have confirmed by themselves what they say.
    """
    return check.variant not in {"stopped", "draining"} and (
        check.id in {TABLE, PAIR} or check.id not in SWEEPING
    )


def conclude(check: Check, attempts: Sequence[Attempt], archive: Archive) -> Outcome:
    """Return the outcome of a check: its last failure, if it failed at first, with how often it did.

    A performance that ended in neither a pass nor a failure, since the target died, does not count.
    """
    first = attempts[0].outcome
    if first.verdict is not Verdict.FAIL:
        return first
    failures = [one for one in attempts if one.outcome.verdict is Verdict.FAIL]
    counted = [one.outcome.verdict for one in attempts if one.outcome.verdict in _COUNTED]
    shown = failures[-1]
    folder, note = archive.keep(check, shown.recorder, shown.dialogue)
    return replace(
        shown.outcome,
        seconds=sum(one.outcome.seconds for one in attempts),
        performed=len(counted),
        failed=sum(verdict in RED for verdict in counted),
        causes=tuple(one.outcome.message for one in failures),
        record=folder,
        record_note=note,
    )
