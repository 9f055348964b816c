"""Kills: the suite proves itself: every mutant is rejected by the check of its rule, and by no other.

The checks that judge many rules at once (checking.SWEEPING) are left out: they say the rules once more, and
would be everybody's collateral.

A relay mutant is asked every check that runs what it changes, a client mutant all (footprint.py).
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from conformance import footprint, spec, trace, trial
from conformance.checking import RELAY
from conformance.interruption import INTERRUPTION, LOOKING
from conformance.trace import Mutant
from conformance.verdicts import UsageError, Verdict, worst

WORTHWHILE = 8
"""Relay mutants from which on to measure footprints takes less than to ask everybody everything."""


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of one mutant."""

    mutant: Mutant
    verdict: str
    unlisted: tuple[str, ...] = ()
    message: str = ""
    collateral: tuple[str, ...] = field(default=())
    asked: int = 0
    """Checks that were performed."""

    @property
    def killed(self) -> bool:
        """Whether the check of its rule rejected it, and no other but those it lists."""
        return self.verdict == Verdict.FAIL and not self.unlisted


def conclude(mutant: Mutant, outcomes: Sequence[trial.Said]) -> Kill:
    """Return what the outcomes of a run say of a mutant."""
    own = [(Verdict(verdict), message) for name, verdict, message in outcomes if name == mutant.rule]
    if not own:
        return Kill(mutant, "unchecked", message="its rule has no check")
    verdict = worst([one for one, _ in own])
    message = next(message for one, message in own if one is verdict)
    if verdict is Verdict.ERROR:
        return Kill(mutant, str(verdict), message=message, asked=len(outcomes))
    loud = {name for name, one, _ in outcomes if one in (Verdict.FAIL, Verdict.ERROR) and name != mutant.rule}
    return Kill(
        mutant,
        str(verdict),
        tuple(sorted(loud - mutant.collateral)),
        message,
        tuple(sorted(loud & mutant.collateral)),
        len(outcomes),
    )


def _judge(mutant: Mutant, names: Sequence[str]) -> Kill:
    return conclude(mutant, trial.judge(mutant, names))


def run(
    only: Sequence[str],
    jobs: int,
    told: Callable[[Kill], None],
    *,
    every: bool = False,
    share: footprint.Share = footprint.Share(),  # noqa: B008 - frozen
) -> list[Kill]:
    """Judge the mutants that `only` (ids and areas) selects, all by default; `told` hears of each.

    With `every`, each is asked every check; of a `share` less than all. Raises UsageError for a selector
    that selects nothing.
    """
    chosen = [one for one in trace.mutants() if not only or _selected(one, only)]
    for selector in only:
        if not any(_selected(one, [selector]) for one in chosen):
            message = f"{selector!r} selects no mutant"
            raise UsageError(message)
    kills: list[Kill] = []
    with _pool(jobs) as pool:
        names = _names(pool, chosen, every=every, share=share)
        waiting = {pool.submit(_judge, one, names[one]): one for one in chosen}
        for future in _done(waiting):
            kills.append(_result(future, waiting[future]))
            told(kills[-1])
    order = {one: place for place, one in enumerate(chosen)}
    return sorted(kills, key=lambda one: order[one.mutant])


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Run a pool of processes; begin nothing more in it when something goes wrong, and end what was begun."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=trial.begin) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()  # asks it to stop: interruption.py
            raise


def _done(futures: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
    """Yield these as they end; raises Interrupted when the run is to stop."""
    left = {*futures}
    while left:
        INTERRUPTION.check()
        done, left = wait(left, timeout=LOOKING, return_when=FIRST_COMPLETED)
        yield from done


def _names(
    pool: ProcessPoolExecutor, chosen: Sequence[Mutant], *, every: bool, share: footprint.Share
) -> Mapping[Mutant, tuple[str, ...]]:
    """Return which checks each mutant is asked."""
    relays = [one for one in chosen if one.kind == RELAY]
    names = {one: footprint.asked(one, None, {}, share) for one in chosen}
    if every:
        return {one: footprint.names(one.kind) for one in chosen}
    if len(relays) < WORTHWHILE:
        return names
    touched = footprint.touched()
    wanted = footprint.names() if any(touched.by.values()) else ()
    of = {pool.submit(trial.measure, name, touched.functions): name for name in wanted}
    footprints = {of[future]: future.result() for future in _done(of)}
    those = {one: footprint.asked(one, touched.by.get(one.id), footprints, share) for one in relays}
    return names | those


def _result(future: Future[Kill], mutant: Mutant) -> Kill:
    error = future.exception()
    return future.result() if error is None else Kill(mutant, str(Verdict.ERROR), message=_words(error))


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _selected(mutant: Mutant, only: Sequence[str]) -> bool:
    return any(one in (mutant.id, mutant.rule, mutant.rule.partition("-")[0]) for one in only)


def numbers(kills: Sequence[Kill]) -> dict[str, int]:
    """Return the four numbers that are published; of a rule for both roles both have to hold."""
    musts = [row for row in trace.rows() if row.rule.level.startswith("MUST")]
    observable = [row for row in musts if not row.rule.check_reason]
    checked = [row for row in observable if not any(one.startswith("check") for one in row.missing)]
    killed = {one.mutant.rule for one in kills if one.killed} - {
        one.mutant.rule for one in kills if not one.killed
    }
    broken = [row for row in checked if not any(one.startswith("mutant") for one in row.missing)]
    alone = [row for row in broken if row.rule.id in killed]
    counts = {"MUSTs": musts, "observable": observable, "checked": checked, "killed alone": alone}
    return {name: len(those) for name, those in counts.items()}


def headline(kills: Sequence[Kill]) -> str:
    """Return the one line that is published."""
    return " / ".join(f"{name} {count}" for name, count in numbers(kills).items())


def table(kills: Sequence[Kill]) -> list[dict[str, Any]]:
    """Return the kill table as JSON values."""
    known = spec.requirements()
    return [
        {
            "mutant": one.mutant.id,
            "role": one.mutant.kind,
            "rule": one.mutant.rule,
            "title": one.mutant.title,
            "level": known[one.mutant.rule].level if one.mutant.rule in known else "",
            "asked": one.asked,
            "verdict": one.verdict,
            "killed": one.killed,
            "unlisted": list(one.unlisted),
            "collateral": list(one.collateral),
            "message": one.message,
        }
        for one in kills
    ]
