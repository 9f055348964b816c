"""Runner: one run of the suite, from the target to the exit status.

pytest runs the checks (plugin.py); this file prepares, follows and concludes. A run that is interrupted
or loses its target still leaves its results, marked incomplete, and no process behind.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from conformance import known, report, spec, trace
from conformance.archive import Archive
from conformance.attempts import AGAIN
from conformance.checking import RELAY, Check, catalogue, selection
from conformance.clients import ClientTarget
from conformance.interruption import Interrupted
from conformance.judge import Judge
from conformance.report import Run
from conformance.targets import EXAMPLES, Exploring, Target
from conformance.verdicts import RED, Exit, Outcome, UsageError, Verdict, worst

SAYING = 30.0
"""Seconds after which a run tells how far it is where there is no terminal."""
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Order:
    """What a run is asked for."""

    target: str
    phase: str = spec.NEWEST
    only: Sequence[str] = ()
    known_failures: Path | None = None
    seed: int = 0
    slow: float = 1.0
    out: Path | None = None
    timers: Mapping[str, float] = field(default_factory=dict)
    advertise: str = ""
    role: str = RELAY
    examples: int = EXAMPLES
    linked: bool = False


class _Follower:
    """A pytest plugin of one run: hands the judge over, and tells how far the run is.

    On a terminal a bar moves; elsewhere a line is printed now and then.
    """

    def __init__(
        self, judge: Judge, bar: Progress, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.judge = judge
        self._bar = bar
        self._task = bar.add_task("checks", total=total)
        self._done, self._total = 0, total
        self._clock = clock
        self._began = self._said = clock()

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: Any) -> None:  # noqa: ANN401 - an attribute is added
        """Let plugin.py find the judge."""
        config.conformance_judge = self.judge

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Move the bar, or say where the run is when nothing was said for a while."""
        if report.when != "call":
            return
        self._bar.advance(self._task)
        self._done += 1
        now = self._clock()
        if self._bar.disable and now - self._said >= SAYING and self._done < self._total:
            self._said = now
            spent = f"{now - self._began:.0f} s"
            self._bar.console.print(f"{self._done} of {self._total} checks performed in {spent}")


def perform(order: Order) -> Run:
    """Run the suite; raises UsageError before anything is started when the order makes no sense."""
    if order.phase not in spec.REACHED:
        message = f"the suite does not judge phase {order.phase!r}: it judges {', '.join(spec.REACHED)}"
        raise UsageError(message)
    chosen = selection(order.only, order.phase, order.role)
    _sensible(order)
    having = frozenset(one.id for one in catalogue(order.role))
    accepted = known.read(order.known_failures, having)
    if order.out is not None:
        _writable(order.out)
    run = Run(order.target, order.phase, order.seed, known=accepted, only=order.only, selected=chosen)
    run.role, run.command = order.role, _command(order)
    began = time.monotonic()
    target = _target(order)
    checks = [one for one in catalogue(order.role) if one.id in chosen]
    try:
        _judge(order, run, target, checks)
    finally:
        target.close()
    run.seconds = time.monotonic() - began
    run.stale = known.stale(accepted, run.outcomes, chosen, set(having)) if run.complete else ()
    run.exit_status = status(run)
    if order.out is not None:
        report.write(report.build(run), order.out)
    return run


def _sensible(order: Order) -> None:
    """Raise UsageError for a target that is none, or that an option says nothing about."""
    trace.known_mutant(order.target, order.role)
    own = order.target.partition(":")[0] in ("ref", "mutant")
    if order.timers and (own or order.role != RELAY):
        why = (
            "its timers are the suite's"
            if order.role == RELAY
            else "a client tells its timers by its adapter"
        )
        message = f"--timers says nothing about the target {order.target!r}: {why}"
        raise UsageError(message)


def _target(order: Order) -> Target | ClientTarget:
    if order.role != RELAY:
        return ClientTarget(order.target, slow=order.slow, phase=order.phase)
    return Target(
        order.target,
        slow=order.slow,
        timers=order.timers,
        advertise=order.advertise,
        phase=order.phase,
        plans=Exploring(order.examples, order.seed, order.out),
        linked=order.linked,
    )


def _judge(order: Order, run: Run, target: Target | ClientTarget, checks: Sequence[Check]) -> None:
    judge = Judge(target, seed=order.seed, slow=order.slow, again=AGAIN, archive=Archive(order.out))
    run.outcomes = judge.outcomes
    arguments = ["-c", str(_HERE / "checks.ini"), f"--rootdir={_HERE}", f"--slow={order.slow}"]
    arguments += [
        f"--phase={order.phase}",
        f"--role={order.role}",
        *(f"--only={one}" for one in order.only),
        str(_HERE / "checks"),
    ]
    said = io.StringIO()
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar, _quiet(said):
            ended = pytest.main(arguments, plugins=[_Follower(judge, bar, len(checks))])
    finally:
        judge.close()
    if judge.fault is not None:
        run.complete, run.fault = False, str(judge.fault)
        run.exit_status = judge.fault.status
    elif ended is pytest.ExitCode.INTERRUPTED:
        run.complete, run.interrupted = False, True
        run.fault = "the run was interrupted; what had been judged until then is kept"
    elif len(judge.outcomes) != len(checks):
        run.complete = False
        last = said.getvalue().strip().splitlines()[-1:] or ["pytest said nothing"]
        run.fault = f"the suite is at fault: {len(judge.outcomes)} of {len(checks)} checks ran: {last[0]}"
    with contextlib.suppress(Exception, Interrupted):
        run.ready = target.relay("signed").ready if isinstance(target, Target) else target.ready


def _command(order: Order) -> list[str]:
    """Return the words after `python -m conformance` that judge this target so again, but for --only."""
    command = ["run", "--role", order.role, "--target", order.target, "--phase", order.phase]
    command += ["--seed", str(order.seed)]
    command += ["--slow", f"{order.slow:g}"] if order.slow != 1 else []
    timers = ",".join(f"{name}={seconds:g}" for name, seconds in order.timers.items())
    command += ["--timers", timers] if timers else []
    command += ["--examples", str(order.examples)] if order.examples != EXAMPLES else []
    command += ["--linked"] if order.linked else []
    return [*command, "--advertise", order.advertise] if order.advertise else command


@contextlib.contextmanager
def _quiet(said: io.StringIO) -> Iterator[None]:
    """Keep what pytest prints out of the way: the results are ours to show."""
    with contextlib.redirect_stdout(said):
        yield


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        message = (
            f"the results cannot be written to {folder}: {error.strerror}; name another folder with --out"
        )
        raise UsageError(message) from None


def verdicts(outcomes: Sequence[Outcome]) -> dict[str, Verdict]:
    """Return the verdict of every requirement that was judged."""
    found: dict[str, list[Verdict]] = {}
    for one in outcomes:
        found.setdefault(one.id, []).append(one.verdict)
    return {name: worst(those) for name, those in found.items()}


def status(run: Run) -> Exit:
    """Return the exit status of a run."""
    if not run.complete:
        return run.exit_status if run.exit_status is not Exit.PASSED else Exit.NOT_JUDGED
    judged = verdicts(run.outcomes)
    if any(verdict in RED and name not in run.known for name, verdict in judged.items()):
        return Exit.FAILED
    if run.stale:
        return Exit.STALE
    if Verdict.ERROR in judged.values() or not set(judged.values()) - {Verdict.UNSUPPORTED}:
        return Exit.NOT_JUDGED
    return Exit.PASSED
