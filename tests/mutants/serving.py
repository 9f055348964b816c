"""Serving: many relays and clients out of one process that has loaded what they need, each a fork of it.

The suite asks through the socket that is the server's standard input, one JSON packet a question:

    {"start": [ARGUMENTS]} with two descriptors, for standard output and standard error,
                           or with three, for standard input before them                  {"pid": PID}
    {"reap": PID}, once the process has ended                                             {"status": STATUS}
    {"load": [MODULES]}, which everything that is started afterwards finds loaded         {"loaded": NUMBER}

Rules of this file: a server has one thread and no event loop, so that a fork is as good as a start; a
started process goes on as if the command line had named its arguments; its id stays its own until the
suite has asked how it ended; when the suite has gone, so has everything that was started.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from types import FrameType

PACKET = 65536
"""The most bytes of a question."""
_STARTED = 3  # descriptors that come with the question, at most


def serve(control: socket.socket) -> list[str]:
    """Answer the suite; return, in every process that is started, with its arguments.

    In the server itself it ends with SystemExit when the other side of `control` is closed.
    """
    children: set[int] = set()

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        end(children)
        os._exit(1)

    signal.signal(signal.SIGTERM, leave)
    gc.freeze()  # what is loaded is shared, and a fork need not look through it
    while True:
        packet, descriptors, _, _ = socket.recv_fds(control, PACKET, _STARTED)
        if not packet:
            end(children)
            raise SystemExit(0)
        question = json.loads(packet)
        if "reap" in question:
            _, status = os.waitpid(question["reap"], 0)
            children.discard(question["reap"])
            control.send(json.dumps({"status": os.waitstatus_to_exitcode(status)}).encode())
            continue
        if "load" in question:
            control.send(json.dumps({"loaded": len(list(map(import_module, question["load"])))}).encode())
            gc.freeze()
            continue
        pid = _fork(control, descriptors)
        if pid == 0:
            return [str(word) for word in question["start"]]
        children.add(pid)
        control.send(json.dumps({"pid": pid}).encode())


def _fork(control: socket.socket, descriptors: list[int]) -> int:
    """Fork, with these descriptors for the standard ones of the child; return as os.fork does."""
    with _undisturbed():
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _become(control, *descriptors)
        else:
            for descriptor in descriptors:
                os.close(descriptor)
    return pid


def _become(control: socket.socket, *descriptors: int) -> None:
    """Be a process of its own: a session, its own output and errors, input of its own or from nowhere."""
    os.setsid()
    *given, output, errors = descriptors
    source = given[0] if given else os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((source, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    control.detach()  # its place is taken
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = open(  # noqa: SIM115 - the same
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold SIGTERM back: between the fork and its own start a child would take it for the server's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def end(children: set[int]) -> None:
    """Kill what still runs: nobody is left whom it could tell how it ended."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in children:
        os.waitpid(pid, 0)
