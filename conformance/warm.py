"""Warm: processes that start at once, forks of a server that has loaded what they need.

A command that offers this is run once as `COMMAND --serve`; its standard input is a socket through which
it is told what to start (see there). Where the system cannot do that, `warm` is not offered.

Rules of this file: a started process is waited for by its descriptor, which no other process can take
over; how it ended only the server knows, and it is asked once; no answer of the server is awaited for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import weakref
from typing import IO, Any

from conformance.process import Child, cold, piped

PATIENCE = 60.0
"""Seconds that the server may take to answer; it loads everything before its first answer."""
_ANSWER_LIMIT = 4096


def offered() -> bool:
    """Tell whether this system has what a server needs."""
    return all(hasattr(os, name) for name in ("fork", "pidfd_open")) and hasattr(socket, "SOCK_SEQPACKET")


class Server:
    """One server, which answers one thread after the other; what it started ends with it."""

    def __init__(self, command: list[str]) -> None:
        """Start `command --serve`; raises OSError when that cannot be done."""
        self._command = command
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        self._asking = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the suite's own choice
                [*command, "--serve"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def launch(self, command: list[str], errors: IO[bytes]) -> Child:
        """Start a command warm if it is one of this server's, cold otherwise; raises OSError."""
        size = len(self._command)
        if command[:size] != self._command:
            return cold(command, errors)
        return self._fork(command[size:], errors, None)

    def piped(self, command: list[str], errors: IO[bytes]) -> Child:
        """Start a command as `launch` does, with a standard input that can be written to."""
        size = len(self._command)
        if command[:size] != self._command:
            return piped(command, errors)
        theirs, ours = os.pipe()
        with os.fdopen(theirs, "rb") as source:
            sink = os.fdopen(ours, "wb", buffering=0)
            try:
                fork = self._fork(command[size:], errors, source)
            except OSError:
                sink.close()
                raise
        fork.stdin = sink
        return fork

    def load(self, *modules: str) -> None:
        """Let the server load modules now, for everything that is started afterwards."""
        self._ask({"load": [*modules]})

    def _fork(self, words: list[str], errors: IO[bytes], source: IO[bytes] | None) -> Fork:
        ours, theirs = os.pipe()
        given = [] if source is None else [source.fileno()]
        try:
            answer = self._ask({"start": words}, *given, theirs, errors.fileno())
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return Fork(self, int(answer["pid"]), os.fdopen(ours, "rb"))

    def reap(self, pid: int) -> int:
        """Return the exit status of a process that has ended; raises OSError when the server cannot tell."""
        return int(self._ask({"reap": pid})["status"])

    def close(self) -> None:
        """End the server and everything that it started."""
        self._control.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, question: dict[str, Any], *descriptors: int) -> dict[str, Any]:
        with self._asking:
            try:
                socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
                packet = self._control.recv(_ANSWER_LIMIT)
            except TimeoutError:
                self._control.close()  # a late answer must not pass for that of the next question
                raise
        if not packet:
            message = "the process that starts relays has ended"
            raise ConnectionResetError(message)
        answer: dict[str, Any] = json.loads(packet)
        return answer


class Fork:
    """One started process, as `subprocess.Popen` shows it, to several threads too."""

    def __init__(self, server: Server, pid: int, stdout: IO[bytes]) -> None:
        """Take hold of a process that the server has started."""
        self.stdin: IO[bytes] | None = None
        self.stdout = stdout
        self.returncode: int | None = None
        self.pid = pid
        self._server = server
        self._reaping = threading.Lock()
        self._descriptor = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._descriptor)  # not before: another thread may wait for it

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; raises subprocess.TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            milliseconds = None if timeout is None else timeout * 1000
            ended = select.poll()  # of this thread alone
            ended.register(self._descriptor, select.POLLIN)
            if not ended.poll(milliseconds):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            with self._reaping:
                if self.returncode is None:  # another thread may have been faster
                    self.returncode = self._server.reap(self.pid)
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)
