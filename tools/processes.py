"""Processes: relay and clients as programs of their own, their lines, their ends. Shared by demo and tests.

The rules of this file: every wait has an end, what a program prints is kept up to a limit, and whatever
happens no process is left behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
GUARD = 30.0
"""Seconds after which a wait is given up."""
LINES = 10_000
"""How many lines of one program are kept; one that says more is broken."""

Event = dict[str, Any]


class ProcessError(Exception):
    """A program did not do what it was started for; the text says which and quotes its last words."""


class Process:
    """One started module: its events (JSON lines on standard output) and its log (standard error).

    They are left in NAME.jsonl and NAME.log.
    """

    def __init__(
        self, name: str, folder: Path, module: str, *arguments: str, before: Sequence[str] = ()
    ) -> None:
        """Start `python -m module arguments`; standard error goes to NAME.log in `folder`.

        `before` stands in front of it: a command that becomes what it is told to run.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self.lines: list[str] = []
        self._change = threading.Condition()
        self._silent = False
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                [*before, sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=os.name == "posix",  # ctrl-C is for whoever started us
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._popen.pid

    def events(self) -> list[Event]:
        """Return everything it printed so far; a line that is no JSON object is the event `said`."""
        return [_event(line) for line in self.lines[:]]

    def errors(self) -> str:
        """Return what it wrote to standard error."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def logged(self) -> list[Event]:
        """Return the JSON lines of its log."""
        return [_event(line) for line in self.errors().splitlines()]

    def event(self, name: str, count: int = 1, **members: object) -> Event:
        """Wait for the `count`th event of this name with these members."""
        wanted = {"event": name, **members}

        def found() -> Event | None:
            those = [one for one in self.events() if wanted.items() <= one.items()]
            return those[count - 1] if len(those) >= count else None

        return self._until(f"{name} ({count})", found)

    def ready(self) -> Event:
        """Wait for a relay's ready line and return what it says."""

        def found() -> Event | None:
            return next((one["ready"] for one in self.events() if "ready" in one), None)

        return self._until("ready", found)

    def logs(self, name: str, count: int = 1, **members: object) -> Event:
        """Wait for the `count`th line of its log with this event and these members."""
        wanted = {"event": name, **members}
        until = time.monotonic() + GUARD
        while time.monotonic() < until:
            those = [one for one in self.logged() if wanted.items() <= one.items()]
            if len(those) >= count:
                return those[count - 1]
            with self._change:
                if self._silent:
                    break
                self._change.wait(0.05)  # a log is a file, and tells nobody when it grows
        raise ProcessError(f"{self.name}: its log has no {name} ({count}) with {members}{self._quote()}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is still somebody to get it."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def end(self, seconds: float = GUARD) -> int:
        """Wait for the end and for the last line; return the exit status, negative for a signal."""
        try:
            status = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} does not end{self._quote()}") from None
        self._reader.join(seconds)
        return status

    def close(self) -> None:
        """Stop it, kindly if it can be, and keep what it printed."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(5)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._reader.join(5)
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        self.log.with_suffix(".jsonl").write_text(
            "".join(f"{line}\n" for line in self.lines), encoding="utf-8"
        )

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()

    def _until(self, what: str, found: Callable[[], Event | None]) -> Event:
        until = time.monotonic() + GUARD
        with self._change:
            while (event := found()) is None:
                if self._silent:
                    raise ProcessError(f"{self.name} ended without {what}{self._quote()}")
                if not self._change.wait(until - time.monotonic()):
                    raise ProcessError(f"{self.name}: no {what} within {GUARD:.0f} s{self._quote()}")
        return event

    def _read(self) -> None:
        for line in self._popen.stdout or ():
            with self._change:
                if len(self.lines) < LINES:
                    self.lines.append(line.rstrip("\n"))
                self._change.notify_all()
        with self._change:
            self._silent = True
            self._change.notify_all()

    def _quote(self) -> str:
        words = self.errors().strip().splitlines() or self.lines
        return f"; its last words: {words[-1][:300]}" if words else "; it said nothing"


class Troupe:
    """The programs of one scene, in a folder of their own."""

    def __init__(self, folder: Path, stack: ExitStack, places: Mapping[str, Sequence[str]]) -> None:
        """Start them under `stack`, which ends them; `places` holds what stands before one, by its name."""
        self.folder = folder
        self._stack = stack
        self._places = places

    def start(self, name: str, module: str, *arguments: object) -> Process:
        """Start a module; its name is also that of its log."""
        before = self._places.get(name, ())
        process = Process(name, self.folder, module, *map(str, arguments), before=before)
        return self._stack.enter_context(process)

    def relay(self, *arguments: object, name: str = "relay", listen: str = "127.0.0.1:0") -> Process:
        """Start a relay with the identity of its name; it logs JSON."""
        common = ("--listen", listen, "--identity", self.folder / f"{name}.identity", "--log-format", "json")
        return self.start(name, "reference.relay", *common, *arguments)

    def client(self, name: str, verb: str, relay: str, *arguments: object) -> Process:
        """Start a client with the identity of its name; it prints JSON."""
        common = ("--relay", relay, "--identity", self.folder / f"{name}.identity", "--json")
        return self.start(name, "reference.client", verb, *arguments, *common)


@contextmanager
def troupe(folder: Path, places: Mapping[str, Sequence[str]] | None = None) -> Iterator[Troupe]:
    """Open a scene whose programs end with it, also when SIGTERM ends us; see Troupe for `places`."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with ExitStack() as stack:
            yield Troupe(folder, stack, places or {})
    finally:
        signal.signal(signal.SIGTERM, before)


def _event(line: str) -> Event:
    event: object
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    return event if isinstance(event, dict) else {"event": "said", "line": line}
