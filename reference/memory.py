"""Memory: what is loaded stays, and what a crowd has left behind goes back to the system.

Freed memory stays with the process as long as the C library thinks that it will be wanted again. A relay
that has served a thousand clients would look as large as ever, and a leak would not be told from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc

CLOSING = 3.0
"""Seconds after which closed connections have left the endpoint too."""
CROWD = 100
"""Sessions from which on they are a crowd."""


def give_back() -> None:
    """Collect what is unreachable and return free memory to the system, where the C library can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Exempt all that is loaded by now from Python's search for circles, which would look through it again.

    With what a program has loaded a search takes tens of milliseconds, in which no datagram is forwarded.
    """
    gc.collect()
    gc.freeze()


class Crowd:
    """How many sessions there have been at once; memory is given back when three of four have gone."""

    def __init__(self) -> None:
        """Start with nobody."""
        self._most = 0

    def left(self, still: int) -> None:
        """Note that a session has ended, and how many there are still; an event loop has to run."""
        self._most = max(self._most, still)
        if self._most >= max(CROWD, 4 * still):
            self._most = still
            asyncio.get_running_loop().call_later(CLOSING, give_back)
