"""Trial: one mutant before the checks, in a process of the pool that kills.py runs.

A process of the pool keeps no state between two mutants but what is loaded, and the server that starts
its relays.
"""

from __future__ import annotations

import gc
import json
import multiprocessing.util
import subprocess
from collections.abc import Sequence
from functools import cache

from conformance import footprint, warm
from conformance.checking import catalogue
from conformance.judge import Judge
from conformance.process import Launch, cold
from conformance.targets import Target
from conformance.trace import Mutant
from conformance.verdicts import Exit, Outcome, Verdict

CLIENT_LIMIT = 120.0
"""Seconds that the command of client mutants may take."""
GARBAGE = 50_000
"""Objects between two looks for circles: the checks make many objects, and few circles."""

Said = tuple[str, str, str]
"""The id of a check, its verdict, and the message."""


def begin() -> None:
    """Begin a process of the pool: what is loaded is no garbage."""
    catalogue()
    gc.freeze()
    gc.set_threshold(GARBAGE)


@cache
def launcher() -> Launch:
    """Return how this process starts mutants: warm where that can be done, by one server of its own."""
    if not warm.offered():
        return cold
    server = warm.Server(footprint.MUTANTS)
    multiprocessing.util.Finalize(server, server.close, exitpriority=0)
    return server.launch


def measure(name: str, functions: int) -> frozenset[int] | None:
    """Return the footprint of the check of this name; None for everything."""
    return footprint.measure(name, functions, launcher())


def judge(mutant: Mutant, names: Sequence[str]) -> list[Said]:
    """Run the checks of these names against one relay mutant.

    A failure that nobody expects has to come twice, and what could not be set up is tried again: several
    relays share the machine, and a check that waited too briefly for one of them says nothing about the
    mutant.
    """
    expected = {mutant.rule, *mutant.collateral}
    checks = [one for one in catalogue() if one.name in names]
    outcomes: list[Outcome] = []
    with Target(f"mutant:{mutant.id}", launch=launcher()) as target:
        runner = Judge(target)
        target.start(*dict.fromkeys(one.variant for one in checks))
        try:
            for check in checks:
                outcomes.append(runner.run(check))
                once = outcomes[-1].verdict
                if once is Verdict.UNTESTABLE or (once is Verdict.FAIL and check.id not in expected):
                    outcomes[-1] = runner.run(check)
        finally:
            runner.close()
    return [(one.id, str(one.verdict), one.message) for one in outcomes]


def clients(mutants: Sequence[Mutant]) -> dict[str, tuple[Verdict, str]]:
    """Run the command that judges client mutants, for all of these at once; return what it says of each.

    It is the command of one of them with the ids of all; it prints a line of JSON for each, with the id and
    the exit status that it would have ended with for this one alone.
    """
    command = [*mutants[0].command[:-1], *(one.command[-1] for one in mutants)]
    try:
        done = subprocess.run(  # noqa: S603 - the project's own command
            command, capture_output=True, text=True, timeout=CLIENT_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {one.id: (Verdict.ERROR, str(error)) for one in mutants}
    words = done.stderr.strip().rpartition("\n")[2]
    said = {one["id"]: one["status"] for one in map(json.loads, done.stdout.splitlines())}
    verdicts = {int(Exit.PASSED): Verdict.PASS, int(Exit.FAILED): Verdict.FAIL}
    found = {one.id: verdicts.get(said.get(one.id, -1), Verdict.ERROR) for one in mutants}
    return {name: (verdict, words if verdict is Verdict.ERROR else "") for name, verdict in found.items()}
