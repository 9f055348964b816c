"""Terminal: a command at a terminal of its own, as somebody types it: what it shows, ctrl-C, its end.

Rules of this file: every wait has an end, what is shown is kept up to a limit, and the command does not
outlive its test.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

GUARD = 60.0
"""Seconds after which a wait is given up."""
MOST = 1_000_000
"""How many bytes a command may show."""
CTRL_C = b"\x03"
SITTING_DOWN = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"
"""What a shell's window does before it becomes the shell."""


class Terminal:
    """A terminal on which one command runs."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start the command in a folder, with the terminal for the one whose ctrl-C reaches it."""
        self._keys, theirs = pty.openpty()
        self._shown = bytearray()
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-c", SITTING_DOWN, *command],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        """What it has shown so far."""
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def until(self, words: str) -> None:
        """Wait until it has shown these words; raises AssertionError when it ends before, or is late."""
        until = time.monotonic() + GUARD
        while words not in self.text:
            assert self._more(until), f"it shows no {words!r} but {self.text!r}"

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._keys, keys)

    def end(self) -> int:
        """Wait for its end and its last word; return its exit status, negative for a signal."""
        until = time.monotonic() + GUARD
        while self._more(until):
            pass
        return self.process.wait(GUARD)

    def close(self) -> None:
        """End it, if it has not."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._keys)

    def _more(self, until: float) -> bool:
        """Read what it shows next; False when nobody will show anything any more, or not in time."""
        ready, _, _ = select.select([self._keys], [], [], max(0.0, until - time.monotonic()))
        try:
            came = os.read(self._keys, 65_536) if ready else b""
        except OSError:  # how Linux says that the other side is closed
            came = b""
        self._shown += came
        return bool(came) and len(self._shown) < MOST


@contextlib.contextmanager
def terminal(command: Sequence[str], folder: Path) -> Iterator[Terminal]:
    """Run a command at a terminal, which is closed afterwards."""
    opened = Terminal(command, folder)
    try:
        yield opened
    finally:
        opened.close()
