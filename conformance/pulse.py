"""Pulse: waiting for something to have happened, without ever sleeping.

Everything that a puppet notices beats the pulse of its stage; whoever waits looks again at each beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Pulse:
    """Wakes everybody who waits for a condition."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._waiting: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        """Let everybody look again."""
        for future in self._waiting:
            _release(future)
        self._waiting.clear()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds, at most `seconds`; tell whether it does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            left = deadline - loop.time()
            if left <= 0:
                return False
            future: asyncio.Future[None] = loop.create_future()
            self._waiting.add(future)
            handle = loop.call_later(left, _release, future)
            try:
                await future
            finally:
                handle.cancel()
                self._waiting.discard(future)
        return True


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
