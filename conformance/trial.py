"""Trial: one mutant before the checks, in a process of the pool that kills.py runs.

A process of the pool keeps no state between two mutants but what is loaded, and the server that starts
its relays.
"""

from __future__ import annotations

import gc
import multiprocessing.util
from collections.abc import Sequence
from functools import cache

from conformance import footprint, warm
from conformance.checking import CLIENT, RELAY, catalogue, everything, selection
from conformance.clients import ClientTarget
from conformance.interruption import INTERRUPTION
from conformance.judge import Judge
from conformance.process import Launch, cold, piped
from conformance.targets import Target
from conformance.trace import Mutant
from conformance.verdicts import Outcome, Verdict

GARBAGE = 50_000
"""Objects between two looks for circles: the checks make many objects, and few circles."""

Said = tuple[str, str, str]
"""The id of a check, its verdict, and the message."""


def begin() -> None:
    """Begin a process of the pool: what is loaded is no garbage, and who interrupts stops it too."""
    INTERRUPTION.install()
    everything()
    gc.freeze()
    gc.set_threshold(GARBAGE)


LOADED = {RELAY: (), CLIENT: ("reference.subject", "tests.mutants.client")}
"""What the server of a role loads beside what it starts with; a relay's footprint counts what is loaded."""


@cache
def server(role: str) -> warm.Server | None:
    """Return what starts mutants of a role warm in this process; None where that cannot be done."""
    if not warm.offered():
        return None
    started = warm.Server(footprint.MUTANTS)
    if LOADED[role]:
        started.load(*LOADED[role])
    multiprocessing.util.Finalize(started, started.close, exitpriority=0)
    return started


def launcher() -> Launch:
    """Return how this process starts relays."""
    started = server(RELAY)
    return cold if started is None else started.launch


def measure(name: str, functions: int) -> frozenset[int] | None:
    """Return the footprint of the check of this name; None for everything."""
    return footprint.measure(name, functions, launcher())


def judge(mutant: Mutant, names: Sequence[str]) -> list[Said]:
    """Run the checks of these names against one mutant.

    A failure that nobody expects has to come twice, and so has it that the check of the rule could not be
    set up: several mutants share the machine, and a check that waited too briefly says nothing.
    """
    expected = {mutant.rule, *mutant.collateral}
    there = selection((), mutant.phase, mutant.kind)
    checks = [one for one in catalogue(mutant.kind) if one.name in names and one.id in there]
    outcomes: list[Outcome] = []
    target = _target(mutant)
    runner = Judge(target)
    try:
        target.start(*dict.fromkeys(one.variant for one in checks))
        for check in checks:
            outcomes.append(runner.run(check))
            once = outcomes[-1].verdict
            unset = once is Verdict.UNTESTABLE and check.id == mutant.rule
            if unset or (once is Verdict.FAIL and check.id not in expected):
                outcomes[-1] = runner.run(check)
    finally:
        runner.close()
        target.close()
    return [(one.id, str(one.verdict), one.message) for one in outcomes]


def _target(mutant: Mutant) -> Target | ClientTarget:
    if mutant.kind == CLIENT:
        started = server(CLIENT)
        launch = piped if started is None else started.piped
        return ClientTarget(f"mutant:{mutant.id}", phase=mutant.phase, launch=launch)
    return Target(f"mutant:{mutant.id}", phase=mutant.phase, launch=launcher())
