"""Running: a step of the gate while it runs: what it says, how far it is, and how it is ended.

Rules of this file: a step is a session of its own, so that ctrl-C reaches it through us alone; of what it
says a limited number of lines is kept; it is ended as ctrl-C would end it, then killed together with
everything that it started, also in sessions of their own (that is read from /proc; elsewhere its group is
all that is known).
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES = 100_000
"""How many lines of a step are kept, the last ones."""
SHARE = re.compile(r"\[ *(\d+)%\]$")
"""How far pytest is, at the end of a line of dots."""

News = queue.SimpleQueue[int]
"""What there is to look after: 0 for the steps, one of which went on or ended; else the signal that came."""
Born = tuple[int, str]
"""A process by its number and its time of birth, because numbers are given again."""


class Running:
    """A command of Python that was started, its standard error among its lines."""

    def __init__(self, arguments: Sequence[str], news: News) -> None:
        """Start it; `news` gets a 0 when it tells how far it is, and when it is gone."""
        self.began = time.monotonic()
        self.share = ""
        self._lines: deque[str] = deque(maxlen=LINES)
        self._news = news
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._gone = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of its process, and of its group."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return time.monotonic() - self.began

    @property
    def output(self) -> str:
        """What it said."""
        return "".join(self._lines)

    def over(self) -> bool:
        """Tell whether it has ended, and everything that could still speak in its place."""
        return self._gone.is_set()

    def status(self, patience: float) -> int | None:
        """Wait for its end for so many seconds; return its exit status, negative for a signal, or None."""
        return self._process.returncode if self._gone.wait(max(0.0, patience)) else None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its group; where there are no groups, end it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.pid, number)
            else:
                self._process.kill()

    def _read(self) -> None:
        with self._process as process:
            for line in process.stdout or ():
                self._lines.append(line)
                found = SHARE.search(line.rstrip())
                if found:
                    self.share = f"{found[1]}%"
                    self._news.put(0)
        self._gone.set()
        self._news.put(0)


def stop(steps: Sequence[Running], patience: float) -> None:
    """End steps: for so many seconds each may stop what it started, then whatever is left is killed."""
    families = [family(one.pid) for one in steps]
    for one in steps:
        one.send(signal.SIGINT)
    until = time.monotonic() + patience
    for one in steps:
        one.status(until - time.monotonic())
    left = set().union(*families, *(family(one.pid) for one in steps))
    for one in steps:
        one.send(signal.Signals(getattr(signal, "SIGKILL", signal.SIGTERM)))
    for number, born in left:
        if processes().get(number, (0, ""))[1] == born:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
    for one in steps:
        one.status(patience)


def family(ancestor: int) -> set[Born]:
    """Return what a process has started, and what that has started, as far as the system tells."""
    children: dict[int, list[Born]] = defaultdict(list)
    for number, (parent, born) in processes().items():
        children[parent].append((number, born))
    found: set[Born] = set()
    waiting = [ancestor]
    while waiting:
        those = set(children[waiting.pop()]) - found
        found |= those
        waiting += [number for number, _ in those]
    return found


def processes() -> dict[int, tuple[int, str]]:
    """Return parent and time of birth of every process, by its number; on Linux alone (proc(5), stat)."""
    there = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            there[int(place.parent.name)] = (int(fields[1]), fields[19])
    return there
