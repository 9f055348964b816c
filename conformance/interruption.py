"""Interruption: ctrl-C and SIGTERM ask the suite to stop, and it does so where nothing is lost.

Rules of this file: the handler of a signal raises nothing, for what it raised would come up anywhere, in a
task that nobody awaits or in the middle of tidying up. It remembers, and cancels what the loop is working at.
Whoever would wait otherwise, or begin something new, asks first.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSISTING = 1.0
"""Seconds after which work that goes on although it was cancelled is cancelled again."""
LOOKING = 0.1
"""Seconds between two looks of those who wait outside of a loop."""

Result = TypeVar("Result")


class Interrupted(BaseException):
    """The run is to stop here: no fault of anybody's, and no `except Exception` is to take it for one."""


class Interruption:
    """Remembers that the run is to stop, and tells those who wait."""

    def __init__(self) -> None:
        """Start uninterrupted."""
        self.happened = False
        self._wakes: set[Callable[[], object]] = set()

    def install(self) -> None:
        """Take the signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self.handle)

    def handle(self, number: int = 0, frame: object = None) -> None:
        """Be the handler of a signal; the second one of a run says no more than the first."""
        del number, frame
        self.happened = True
        for wake in [*self._wakes]:
            wake()

    def check(self) -> None:
        """Be a place to stop: raise Interrupted if the run is to stop."""
        if self.happened:
            raise Interrupted

    @contextlib.contextmanager
    def _cancelling(self) -> Iterator[None]:
        """Cancel the current task when the signal comes, and again until it is done."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def insist() -> None:
            if task is not None and wake in self._wakes:
                task.cancel()
                loop.call_later(INSISTING, insist)

        def wake() -> None:
            loop.call_soon_threadsafe(insist)  # the loop may be asleep

        self._wakes.add(wake)
        try:
            if self.happened:  # in between
                wake()
            yield
        finally:
            self._wakes.discard(wake)

    def complete(self, runner: asyncio.Runner, work: Coroutine[Any, Any, Result]) -> Result:
        """Run this to its end in a loop; raises Interrupted, with it cancelled, when the signal comes."""

        async def watched() -> Result:
            with self._cancelling():
                return await work

        try:
            self.check()
            return runner.run(watched())
        except asyncio.CancelledError:
            self.check()
            raise
        finally:
            work.close()  # what was not begun

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run this to its end in a loop of its own, as `complete` does."""
        with asyncio.Runner() as runner:
            return self.complete(runner, work)


INTERRUPTION = Interruption()
