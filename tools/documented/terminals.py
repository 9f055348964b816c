"""Terminals: where the commands of a page run, each by a bash of its own in one folder.

A command has ended when whatever it started has: what is to go on has a terminal of its own, and no `&`.

Rules of this file: every wait has an end; what a command prints is kept up to a limit; variables and the
folder of a terminal outlive its commands; whatever happens, nothing that was started is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

GUARD = 90.0
"""Seconds after which a wait is given up."""
GRACE = 10.0
"""Seconds that a command has to end when it is interrupted."""
LINES = 20_000
"""How many lines of one command are kept."""
KEEPER = 'test -f "$STATE" && . "$STATE"; cd "${PWD:-.}"; set -a; trap \'export -p > "$STATE"\' EXIT\n'
"""What a bash does in front of a command, and behind it."""

Found = TypeVar("Found")


class CommandError(Exception):
    """A command did not do what the page says; the text tells what it did."""


class Command:
    """One command that was started: its lines, standard error among them, and its end."""

    def __init__(self, text: str, folder: Path, environment: Mapping[str, str]) -> None:
        """Start it under bash in `folder`."""
        self.lines: list[str] = []
        self.used = 0
        self._change = threading.Condition()
        self._silent = False
        self._popen = subprocess.Popen(
            ["bash", "-c", f"{KEEPER}{text}"],  # noqa: S607 - whichever bash is there
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, found: Callable[[list[str]], Found | None]) -> Found | None:
        """Return what `found` gives for the lines that were not used yet, as soon as it gives something.

        None when the command ends, or too much time passes, before that.
        """
        until = time.monotonic() + GUARD
        with self._change:
            while True:
                silent = self._silent
                fit = found(self.lines[self.used :])
                if fit is not None or silent or not self._change.wait(max(0.0, until - time.monotonic())):
                    return fit

    def end(self, seconds: float | None = None) -> int | None:
        """Wait for its last line and its end, for GUARD seconds or fewer; return its status, or None."""
        self._reader.join(GUARD if seconds is None else seconds)
        if self._reader.is_alive():
            return None
        try:
            return self._popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            return None

    def interrupt(self) -> None:
        """Do what ctrl-C does."""
        self._send(signal.SIGINT)

    def close(self) -> bool:
        """Interrupt it, and end it if that does not; tell whether it was kind enough to go by itself."""
        if self.end(0) is not None:
            return True
        self.interrupt()
        kind = self.end(GRACE) is not None
        if not kind:
            self._send(signal.SIGKILL)
            self._popen.wait()
            self._reader.join(GRACE)
        return kind

    def _send(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._popen.pid, number)
        except ProcessLookupError:  # it is gone already
            return

    def _read(self) -> None:
        if self._popen.stdout is not None:
            with self._popen.stdout as printed:
                for line in printed:
                    with self._change:
                        if len(self.lines) < LINES:
                            self.lines.append(line.rstrip())
                        self._change.notify_all()
        with self._change:
            self._silent = True
            self._change.notify_all()


class Terminals:
    """The terminals of one page."""

    def __init__(self, folder: Path, state: Path, environment: Mapping[str, str]) -> None:
        """Run commands in `folder`; `state` is another folder, for what terminals remember."""
        self._folder, self._state, self._environment = folder, state, environment
        self._running: dict[str, Command] = {}

    def start(self, name: str, text: str) -> Command:
        """Start a command in a terminal; raises CommandError while its last one still runs."""
        before = self._running.get(name)
        if before is not None and before.end(0) is None:
            raise CommandError(f"the terminal {name} is busy with another command")
        environment = {**self._environment, "STATE": str(self._state / name)}
        self._running[name] = Command(text, self._folder, environment)
        return self._running[name]

    def running(self, name: str) -> Command:
        """Return the last command of a terminal; raises CommandError when there was none."""
        if name not in self._running:
            raise CommandError(f"nothing was started in the terminal {name}")
        return self._running[name]

    def close(self) -> list[str]:
        """End everything; return the names of terminals whose command had to be killed."""
        return [name for name, command in self._running.items() if not command.close()]
