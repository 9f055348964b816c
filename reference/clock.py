"""Clock: the time of a client, which may go faster than that of the world.

Rules of this file: a client has one clock; whatever it waits for is a time of that clock, so that one number
hurries all of it: its machine, the limits of its sockets, the frames of its calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from reference.core import media
from reference.handler import EndpointLimits

LONGEST_GAP = 1.0
"""Seconds of missed turns that are made up for."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock of which one second lasts `scale` seconds of the world."""

    scale: float = 1.0

    def now(self) -> float:
        """Return the time in seconds, from an arbitrary beginning."""
        return time.monotonic() / self.scale

    def lasts(self, seconds: float) -> float:
        """Return for how many seconds of the world to wait for `seconds` of this clock."""
        return seconds * self.scale

    def call_at(self, at: float, what: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `what` at the time `at` of this clock, or soon when that has passed."""
        delay = self.lasts(max(0.0, at - self.now()))
        return asyncio.get_running_loop().call_later(delay, what)

    def limits(self, limits: EndpointLimits) -> EndpointLimits:
        """Return the limits of an endpoint that lives by this clock.

        The idle time-out stays as it is: it is agreed on with the other end, whose clock is its own.
        """
        return replace(
            limits,
            handshake_timeout=self.lasts(limits.handshake_timeout),
            stream_timeout=self.lasts(limits.stream_timeout),
            keep_alive=self.lasts(limits.keep_alive),
        )


REAL = Clock()
"""The clock of the world."""


class Pace:
    """A turn every 20 ms of a clock; missed ones are made up for, so that a stream's time does not drift."""

    def __init__(self, turn: Callable[[], None], clock: Clock = REAL) -> None:
        """Call `turn` again and again once it is started."""
        self._turn = turn
        self._frame = clock.lasts(media.FRAME_MS / 1000)
        self._gap = clock.lasts(LONGEST_GAP)
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self.started = self.stopped = False

    def start(self) -> None:
        """Take the first turn now; a second time, and once stopped, this does nothing."""
        if not self.started and not self.stopped:
            self.started = True
            self._next = asyncio.get_running_loop().time()
            self._wake()

    def stop(self) -> None:
        """Take no turn any more."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _wake(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now - self._next > self._gap:  # the machine slept: what was missed is past
            self._next = now
        while self._next <= now and not self.stopped:
            self._next += self._frame
            self._turn()
        if not self.stopped:
            self._timer = loop.call_at(self._next, self._wake)
