"""Gate: everything that must hold before a change lands, one line a step, two steps at a time.

The tests go first, beside steps that are light; what uses the whole machine comes last and alone.

Rules of this file: every step runs whatever became of the others; a step that does not end in time
has failed; what a failed step said is printed whole. Of a step that holds, its line says what it counted,
and above that stands what it could not do here, and how much the time machine played; only a step that
talks (the suite, the laboratory, the pages) is printed whole then too. What is skipped is counted; the last
line is `N passed, N failed`, and the exit status is 0 only when none failed, 2 when a step is named that is
none. While steps run, a terminal shows how far each is, and a log gets a line about that every half minute.
Ctrl-C, SIGTERM and SIGHUP end everything that was started, and the status is 128 and the number of the
signal.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tools.running import ROOT, News, Running, stop

LIMIT = 1200.0
"""Seconds that one step may take."""
THINKING, TRAFFIC = ("laws", "unit"), ("loopback", "processes")
PROOFS = ("scenarios", "suite", "independent", "adapters", "pages")
"""Rooms with a step of their own, which `make test` leaves to the gate: scenes and runs of the suite."""
ALONE = ("adapters", "pages")
"""Rooms that leave nothing of the machine to others: compilers and browsers take every processor there is."""
ROOMS = (*THINKING, *TRAFFIC, *PROOFS)
"""The rooms of `tests/`, in the order in which the gate goes through them."""
SKIPPED = "SKIPPED"
"""How a line begins in which a step says what it cannot do here; pytest adds how many there are."""
COUNTED = re.compile(r"^=+ (?P<counts>\d+ [a-z]+(?:, \d+ [a-z]+)*) in [\d.]+s(?: \([\d:]+\))? =+$")
"""The last line of pytest."""
SKIPS = re.compile(rf"^{SKIPPED}(?: \[(?P<times>\d+)\])?\b.*$", re.MULTILINE)
REMARKS = re.compile(rf"^(?:{SKIPPED}\b|time machine: ).*$", re.MULTILINE)
GRACE, HASTE = 10.0, 2.0
"""Seconds that a step may take to stop when its time is over, and when somebody wants to leave."""
PULSE = 30.0
"""Seconds between two lines in a log that tell how far the steps are."""
STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Step(NamedTuple):
    """One thing to hold: its name, the arguments of Python, whether it talks, and runs alone."""

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
    def remarks(self) -> list[str]:
        """The lines that are for everybody: what cannot be done here, and how much was tried."""
        return REMARKS.findall(self.output)

    @property
    def skipped(self) -> int:
        """How much was skipped."""
        return sum(int(found["times"] or 1) for found in SKIPS.finditer(self.output))

    @property
    def counted(self) -> str:
        """What pytest counted, if it came that far."""
        last = COUNTED.match(self.output.rstrip().rpartition("\n")[2])
        return last["counts"] if last else ""


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
    Step("tests", ("-m", "pytest", *(f"tests/{room}" for room in THINKING))),
    Step("traffic", ("-m", "pytest", *(f"tests/{room}" for room in TRAFFIC))),
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
    *(Step(f"of-{room}", ("-m", "pytest", f"tests/{room}"), alone=room in ALONE) for room in PROOFS),
    Step("wheel", ("-m", "tools.wheel")),
    Step(
        "mutants",
        ("-m", "conformance", "mutants", "--share", turn(), "--out", "out/mutants"),
        talks=True,
        alone=True,
    ),
)


class Watch:
    """Tells how far the steps are: in a line that lives on a terminal, in one now and then elsewhere."""

    def __init__(self) -> None:
        """Begin to count the seconds."""
        self.began = self._told = time.monotonic()
        self._live = next((one for one in (sys.stderr, sys.stdout) if one.isatty()), None)
        self._log = None if sys.stdout.isatty() else sys.stdout

    def show(self, running: dict[str, Running]) -> None:
        """Say how far these are, by name, when it is time to."""
        now = time.monotonic()
        parts = [f"{name} {one.share}".rstrip() for name, one in running.items()]
        words = f"{', '.join(parts)} ({now - self.began:.0f} s)"
        if self._live:
            self._live.write(f"\r\x1b[2K{words[: shutil.get_terminal_size().columns - 1]}")
            self._live.flush()
        if self._log and now - self._told >= PULSE:
            self._told = now
            print(f"… {words}", file=self._log, flush=True)

    def clear(self) -> None:
        """Make room for other words."""
        if self._live:
            self._live.write("\r\x1b[2K")
            self._live.flush()


class Gate:
    """The steps that run, those that ended, and what came in between."""

    def __init__(self, news: News) -> None:
        """Begin with nothing; `news` also gets the signals that are to stop everything."""
        self.outcomes: list[Outcome] = []
        self._news = news
        self._running: dict[Step, Running] = {}
        self._watch = Watch()

    def go(self, steps: Sequence[Step], lanes: int) -> int:
        """Run steps, so many at a time, and report each when it ends; return the signal that came, or 0."""
        waiting, number = deque(steps), 0
        try:
            while not number and (waiting or self._running):
                while waiting and len(self._running) < lanes:
                    step = waiting.popleft()
                    self._running[step] = Running(step.arguments, self._news)
                self._watch.show({step.name: one for step, one in self._running.items()})
                with contextlib.suppress(queue.Empty):
                    number = self._news.get(timeout=1)
                self._collect()
        finally:
            stop([*self._running.values()], HASTE)
            self._watch.clear()
        return number

    def _collect(self) -> None:
        """Report what has ended, and end what took too long."""
        for step, one in list(self._running.items()):
            if one.over() or one.seconds > LIMIT:
                del self._running[step]
                self.outcomes.append(ended(step, one))
                self._watch.clear()
                report(self.outcomes[-1])


def ended(step: Step, one: Running) -> Outcome:
    """Return what became of a step, which is stopped if it is not over."""
    status, output = one.status(0), ""
    if status is None:
        stop([one], GRACE)
        status, output = -signal.SIGTERM, f"\nstopped: not done after {LIMIT:.0f} seconds\n"
    return Outcome(step, status, one.seconds, one.output + output)


def report(outcome: Outcome) -> None:
    """Print the line of a step, and its words when they matter."""
    word = "ok" if outcome.status == 0 else f"FAILED (status {outcome.status})"
    if outcome.counted:
        word += f", {outcome.counted}"
    elif outcome.skipped:
        word += f", {outcome.skipped} {SKIPPED}"
    if outcome.step.talks or outcome.status != 0:
        print(f"\n--- {outcome.step.name}\n{outcome.output.rstrip()}\n---")
    else:
        print(*(f"  {line}\n" for line in outcome.remarks), sep="", end="")
    print(f"{outcome.step.name:<15}{outcome.seconds:>7.1f} s  {word}", flush=True)


def chosen(arguments: Sequence[str]) -> list[Step]:
    """Return the steps that are named, or all; a name that is none ends the command with status 2."""
    known = ", ".join(step.name for step in STEPS)
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tools.gate", description=__doc__, formatter_class=form)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"one of {known}; without one, all")
    names = parser.parse_args(arguments).steps
    for name in sorted(set(names) - {step.name for step in STEPS}):
        parser.exit(2, f"gate: no step is called {name!r}: there are {known}\n")
    return [step for step in STEPS if not names or step.name in names]


@contextmanager
def stoppable(news: News) -> Iterator[None]:
    """Let the signals that stop us become news; one that was ignored when we were started remains so."""
    before = {number: signal.getsignal(number) for number in STOPS}
    ours = [number for number in STOPS if before[number] is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, lambda came, _: news.put(came))
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def main(arguments: Sequence[str]) -> int:
    """Run the steps; return the exit status."""
    steps, news = chosen(arguments), News()
    gate = Gate(news)
    with stoppable(news):
        for alone, lanes in ((False, 2), (True, 1)):
            number = gate.go([step for step in steps if step.alone is alone], lanes)
            if number:
                print("gate: stopped", file=sys.stderr)
                return 128 + number
    failed = [outcome.step.name for outcome in gate.outcomes if outcome.status != 0]
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    skipped = sum(outcome.skipped for outcome in gate.outcomes)
    print(f"\n{skipped} {SKIPPED}" if skipped else "")
    print(f"{len(gate.outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
