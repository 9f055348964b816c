"""Footprint: which checks a mutant has to be asked, because they run what it changes.

The project's mutants number the functions of the reference, tell which of them each mutant replaces, and
offer an unbroken relay that marks those that run (`python -m tests.mutants --touched`, `--footprint MAP`).
A check is performed against such a relay of its own, so that what runs once in the life of a relay counts
for every check, and twice, so that what runs now and then is seen.

Rules of this file: a mutant of more than functions is asked every check; so is every mutant a check that
the unbroken relay does not pass here; the check of a mutant's rule and its collateral are always asked.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from conformance.checking import RELAY, SWEEPING, Check, catalogue
from conformance.judge import Judge
from conformance.process import Launch
from conformance.targets import LINKS, PLACEHOLDER, Target
from conformance.trace import Mutant
from conformance.verdicts import UsageError, Verdict

MUTANTS = [sys.executable, "-m", "tests.mutants"]
"""The command of the project's mutants."""
STOPPED = "stopped"
_LISTING = 120.0


@dataclass(frozen=True)
class Touched:
    """How many functions there are, and the numbers of those that a mutant replaces; None is everything."""

    functions: int
    by: Mapping[str, frozenset[int] | None]


def touched() -> Touched:
    """Return what each mutant replaces; raises UsageError when that cannot be listed."""
    command = [*MUTANTS, "--touched"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=_LISTING, check=True
        )
        answer = json.loads(done.stdout)
        by = {name: None if those is None else frozenset(those) for name, those in answer["touched"].items()}
        return Touched(int(answer["functions"]), by)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"what the mutants replace cannot be listed with `{' '.join(command[1:])}`: {error}"
        raise UsageError(message) from None


def names(role: str = RELAY) -> tuple[str, ...]:
    """Return the names of the checks that a mutant of a role can be asked, in the order of running."""
    return tuple(one.name for one in catalogue(role) if one.id not in SWEEPING)


@cache
def _check(name: str, role: str = RELAY) -> Check:
    return next(one for one in catalogue(role) if one.name == name)


def measure(name: str, functions: int, launch: Launch) -> frozenset[int] | None:
    """Return the numbers of the functions that run in a relay from its start to the end of a check.

    None stands for all of them: the relay that marks them did not pass the check.
    """
    check = _check(name)
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
        marks = Path(folder) / "marks"
        marks.write_bytes(bytes(functions))
        command = shlex.join([*MUTANTS, "--footprint", str(marks)])
        with Target(f"exec:{command} {PLACEHOLDER} {LINKS}", launch=launch, ahead=False) as target:
            judge = Judge(target)
            try:
                verdicts = [judge.run(check).verdict]
                if check.variant == STOPPED:
                    process = target.relay(STOPPED).process
                    if process is not None:
                        process.wait()
                else:
                    verdicts.append(judge.run(check).verdict)
            finally:
                judge.close()
            ran = marks.read_bytes()
    return frozenset(place for place, mark in enumerate(ran) if mark) if Verdict.PASS in verdicts else None


class Share(NamedTuple):
    """Which part of the checks of other rules a mutant is asked: every `of`-th one, by turns."""

    turn: int = 0
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read `K/N`, the K-th of N parts; raises UsageError."""
        turn, _, of = text.partition("/")
        if not (turn.isdecimal() and of.isdecimal() and 1 <= int(turn) <= int(of)):
            message = f"{text!r} is no share of the checks: say K/N, such as 2/3"
            raise UsageError(message)
        return cls(int(turn) - 1, int(of))

    def has(self, place: int) -> bool:
        """Tell whether what stands at this place is in the share."""
        return place % self.of == self.turn


def asked(
    mutant: Mutant,
    touched: frozenset[int] | None,
    footprints: Mapping[str, frozenset[int] | None],
    share: Share = Share(),  # noqa: B008 - frozen
) -> tuple[str, ...]:
    """Return the names of the checks to perform against a mutant, in the order of running.

    Those of its own rule and of its collateral are always among them; of the others, as far as they run
    what it changes, the ones whose turn it is.
    """
    own = {mutant.rule, *mutant.collateral}
    first = zlib.crc32(mutant.id.encode())  # another part for each mutant, the same in every run
    chosen = []
    for place, name in enumerate(names(mutant.kind)):
        footprint, rule = footprints.get(name), _check(name, mutant.kind).id
        meets = touched is None or footprint is None or bool(touched & footprint)
        if rule in own or (meets and share.has(first + place)):
            chosen.append(name)
    return tuple(chosen)
