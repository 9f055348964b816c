"""Gate: everything that must hold before a change lands, one line a step, two steps at a time.

The tests go first, beside steps that are light; what uses the whole machine comes last and alone.

Rules of this file: every step runs whatever became of the others; a step that does not end in time
has failed; what a failed step said is printed whole, and of the tests in any case; what is skipped
is counted; the last line is `N passed, N failed`, and the exit status is 0 only when none failed.

    python -m tools.gate              all steps
    python -m tools.gate lint types   these steps
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 1200.0
"""Seconds that one step may take."""
THINKING, TRAFFIC = ("laws", "unit"), ("loopback", "processes")
PROOFS = ("scenarios", "suite", "independent", "adapters", "pages")
"""Rooms with a step of their own, which `make test` leaves to the gate: scenes and runs of the suite."""
ALONE = ("adapters",)
"""Rooms that leave nothing of the machine to others: compilers take every processor there is."""
ROOMS = (*THINKING, *TRAFFIC, *PROOFS)
"""The rooms of `tests/`, in the order in which the gate goes through them."""
SKIPPED = "SKIPPED"
"""How a line begins in which a step says what it cannot do on this machine."""
GRACE = 10.0
"""Seconds that a step may take to stop when its time is over."""


class Step(NamedTuple):
    """One thing to hold: its name, the arguments of Python, and whether its words are always shown."""

    name: str
    arguments: tuple[str, ...]
    talks: bool = False
    alone: bool = False


class Outcome(NamedTuple):
    """What became of a step."""

    step: Step
    status: int
    seconds: float
    output: str

    @property
    def skipped(self) -> int:
        """How many lines say that something was skipped: here it cannot be done, and that is told."""
        return sum(line.startswith(SKIPPED) for line in self.output.splitlines())


PARTS = 24
"""Into how many parts the checks are divided that a mutant is asked beside that of its rule."""


def turn() -> str:
    """Return whose turn it is by the commit that is judged, so that all are asked in some commits.

    Without a repository it is the first one's. All parts at once are `python -m conformance mutants`.
    """
    command = ("git", "rev-parse", "HEAD")
    number = 0
    with contextlib.suppress(OSError):  # no git, no turn
        head = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        number = int(head.stdout.strip() or "0", 16)
    return f"{number % PARTS + 1}/{PARTS}"


STEPS = (
    # One keeps a processor busy, the other one waits for programs and sound: beside each other they fit.
    Step("tests", ("-m", "pytest", *(f"tests/{room}" for room in THINKING)), talks=True),
    Step("traffic", ("-m", "pytest", *(f"tests/{room}" for room in TRAFFIC)), talks=True),
    Step("lab", ("-m", "tools.lab"), talks=True),
    Step("format", ("-m", "ruff", "format", "--check", ".")),
    Step("lint", ("-m", "ruff", "check", ".")),
    Step("types", ("-m", "mypy")),
    Step("imports", ("-c", "from importlinter.cli import lint_imports_command as run; run()")),
    Step("schemas", ("-m", "schemas.build", "--check")),
    Step("pins", ("-m", "tools.pins", "--check")),
    Step("docs", ("-m", "tools.site"), talks=True),
    Step("commands", ("-m", "tools.documented"), talks=True),
    Step(
        "suite",
        ("-m", "conformance", "run", "--role", "relay", "--target", "ref:", "--out", "out/conformance"),
        talks=True,
        alone=True,
    ),
    Step(
        "client",
        ("-m", "conformance", "run", "--role", "client", "--target", "ref:", "--out", "out/client"),
        talks=True,
        alone=True,
    ),
    Step("trace", ("-m", "conformance", "trace")),
    Step("kills", ("-m", "tools.kill_table", "--check")),
    *(
        Step(f"of {room}", ("-m", "pytest", f"tests/{room}"), talks=True, alone=room in ALONE)
        for room in PROOFS
    ),
    Step("wheel", ("-m", "tools.wheel")),
    Step(
        "mutants",
        ("-m", "conformance", "mutants", "--share", turn(), "--out", "out/mutants"),
        talks=True,
        alone=True,
    ),
)


def stop(process: subprocess.Popen[str]) -> None:
    """End a step that took too long: first it may stop what it started, then everything is killed."""
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def perform(step: Step) -> Outcome:
    """Run one step to its end, or to the end of its time."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *step.arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=LIMIT)
        status = process.returncode
    except subprocess.TimeoutExpired:
        stop(process)
        output, _ = process.communicate()
        output += f"\nstopped: not done after {LIMIT:.0f} seconds\n"
        status = -signal.SIGTERM
    return Outcome(step, status, time.monotonic() - began, output)


def report(outcome: Outcome) -> None:
    """Print the line of a step, and its words when they matter."""
    word = "ok" if outcome.status == 0 else f"FAILED (status {outcome.status})"
    word += f", {outcome.skipped} {SKIPPED}" if outcome.skipped else ""
    if outcome.step.talks or outcome.status != 0:
        print(f"\n--- {outcome.step.name}\n{outcome.output.rstrip()}\n---")
    print(f"{outcome.step.name:<15}{outcome.seconds:>7.1f} s  {word}", flush=True)


def follow(waiting: dict[Future[Outcome], Step]) -> list[Outcome]:
    """Report each step when it ends, and show on a terminal what still runs."""
    outcomes: list[Outcome] = []
    terminal = sys.stderr.isatty()
    began = time.monotonic()
    left = set(waiting)
    while left:
        ended, left = wait(left, timeout=1, return_when="FIRST_COMPLETED")
        if terminal:
            running = ", ".join(waiting[future].name for future in left if future.running())
            seconds = time.monotonic() - began
            sys.stderr.write(f"\r\x1b[2K{running} ({seconds:.0f} s)" if running else "\r\x1b[2K")
        for future in ended:
            if terminal:
                sys.stderr.write("\r\x1b[2K")
            outcomes.append(future.result())
            report(outcomes[-1])
    return outcomes


def chosen(names: list[str]) -> list[Step]:
    """Return the steps of these names, or all; a name that is none ends the command."""
    unknown = sorted(set(names) - {step.name for step in STEPS})
    if unknown:
        known = ", ".join(step.name for step in STEPS)
        sys.exit(f"no such step: {', '.join(unknown)} (there are: {known})")
    return [step for step in STEPS if not names or step.name in names]


def main(names: list[str]) -> int:
    """Run the steps; return the exit status."""
    steps, outcomes = chosen(names), []
    for alone, lanes_there in ((False, 2), (True, 1)):
        with ThreadPoolExecutor(max_workers=lanes_there) as lanes:
            outcomes += follow({lanes.submit(perform, step): step for step in steps if step.alone is alone})
    failed = [outcome.step.name for outcome in outcomes if outcome.status != 0]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    skipped = sum(outcome.skipped for outcome in outcomes)
    print(f"\n{skipped} {SKIPPED}" if skipped else "")
    print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
