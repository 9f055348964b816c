"""Process: a relay that the suite starts, its ready line and its end.

The ready line is one JSON object with one member, `ready`; what comes after it on standard output is
discarded, standard error goes to a file whose last line is quoted when something is wrong. How the
relay is started is a `Launch`: `cold` here, or one that keeps everything loaded (warm.py).
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from conformance.interruption import INTERRUPTION, LOOKING
from conformance.verdicts import Exit, TargetFaultError

STOPPING = 5.0
"""Seconds a relay may take to stop before it is killed."""
_LINE_LIMIT = 65536


class Child(Protocol):
    """What has been started, as `subprocess.Popen` shows it; a status is negative for a signal."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """Where its standard output can be read."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """Where its standard input can be written, if it has one."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, once `poll` or `wait` has seen its end."""

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; raises subprocess.TimeoutExpired after `timeout` seconds."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


Launch = Callable[[list[str], IO[bytes]], Child]
"""Starts a command whose standard error goes to the given file; raises OSError when it cannot."""


def cold(command: list[str], errors: IO[bytes]) -> Child:
    """Start a process that loads everything itself."""
    return subprocess.Popen(  # noqa: S603 - the command is the user's own
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # ctrl-C is the suite's to handle
    )


LaunchPiped = Launch
"""Starts a command whose standard input and output are pipes to the suite; as `Launch` beside."""


def piped(command: list[str], errors: IO[bytes]) -> Child:
    """Start a process that loads everything itself and listens to its standard input."""
    return subprocess.Popen(  # noqa: S603 - the command is the user's own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def last_words(log: Path) -> str:
    """Return what a process said last on standard error, for the end of a sentence."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"; its last words: {lines[-1][:200]}" if lines else "; it said nothing on standard error"


class Process:
    """One started command."""

    def __init__(self, command: list[str], log: Path, patience: float, launch: Launch = cold) -> None:
        """Start it; raises TargetFaultError when there is nothing to start."""
        self._log = log
        self._until = time.monotonic() + patience
        self._patience = patience
        self._lines: queue.Queue[str] = queue.Queue(maxsize=1)
        self._asked = False
        self._told: dict[str, Any] | None = None
        try:
            with log.open("wb") as errors:
                self._child = launch(command, errors)
        except OSError as error:
            message = f"the relay under test cannot be started: {command[0]}: {error.strerror or error}"
            raise TargetFaultError(message, Exit.NOT_JUDGED) from None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._child.stdout
        if stream is None:
            return
        with stream:
            self._lines.put(stream.readline(_LINE_LIMIT).decode("utf-8", "replace"))
            while stream.read(_LINE_LIMIT):
                pass

    def ready(self) -> dict[str, Any]:
        """Wait for the ready line and return what it says; raises TargetFaultError without one.

        Raises Interrupted when the run is to stop.
        """
        if self._told is not None:
            return self._told
        line = self._line()
        if not line:
            self.wait()
            raise TargetFaultError(f"{self._end()} before its ready line{self._quote()}", Exit.BROKE_PROTOCOL)
        try:
            ready = json.loads(line)["ready"]
        except (ValueError, TypeError, KeyError):
            ready = None
        if not isinstance(ready, dict):
            message = f"the relay under test printed {line[:80]!r} where its ready line was expected"
            raise TargetFaultError(message, Exit.BROKE_PROTOCOL)
        self._told = ready
        return ready

    def _line(self) -> str:
        """Wait for the first line; it is empty when the process ended without one."""
        while True:
            INTERRUPTION.check()
            left = self._until - time.monotonic()
            try:
                return self._lines.get(timeout=min(LOOKING, max(0.0, left)))
            except queue.Empty:
                if left > 0:
                    continue
            message = (
                f"the relay under test printed no ready line within {self._patience:.0f} s; "
                "print it on standard output and flush it, or give the suite more time with --slow"
            )
            raise TargetFaultError(message, Exit.BROKE_PROTOCOL)

    def stop(self) -> None:
        """Ask the process to stop, as SIGTERM does."""
        self._asked = True
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def wait(self) -> int:
        """Wait for the end, kill what does not come to it, and return the exit status."""
        try:
            return self._child.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def died(self) -> str:
        """Return a sentence when the process ended without being asked, or nothing."""
        if self._asked or self._child.poll() is None:
            return ""
        when = "in the middle of the run" if self._told is not None else "before anything was sent to it"
        return f"{self._end()} {when}{self._quote()}"

    def _end(self) -> str:
        return f"the relay under test ended with status {self._child.returncode}"

    def _quote(self) -> str:
        return last_words(self._log)
