"""Hearing: whether the other end of a client's call is to be heard (spec/media.md, spec/agreement.md).

A pure machine of one call. Silence ends no call: through a relay it may mean that nobody speaks. But the user
is told of it, because a relay that died, or a network, is silent too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.effects import Effect, Tell
from reference.core.line import Alarm

if TYPE_CHECKING:
    from reference.core.agreement import Path
    from reference.core.timers import Timers

UNHEARD = 3.0
"""Seconds of silence until the user is told: a direct path is doubted after one (AGREE-13), a lost room is
dialled again after one, and joining takes part of another; what is longer is no change of path."""


class Hearing:
    """When the other end was last heard, on whichever path."""

    def __init__(self, timers: Timers[Alarm]) -> None:
        """Wait for nothing yet."""
        self._timers = timers
        self._began = 0.0
        self._since = 0.0  # the last word, or when words were first to be expected
        self._ever = self._listens = self._silent = False

    def start(self, now: float) -> None:
        """Count from the call's setup how long the first word takes."""
        self._began = now

    def listen(self, now: float) -> None:
        """Expect words from now on: both ends can speak; a second time does nothing."""
        if not self._listens:
            self._listens, self._since = True, now
            self._timers.set(Alarm.UNHEARD, now + UNHEARD)

    def heard(self, path: Path, now: float) -> list[Effect]:
        """Tell of the first word, and of the first behind a silence that was told."""
        told: list[Effect] = []
        if not self._ever:
            told = [Tell("heard", {"path": path, "after": round(now - self._began, 4)})]
        elif self._silent:
            told = [Tell("heard again", {"path": path, "seconds": round(now - self._since, 1)})]
        if self._silent:
            self._timers.set(Alarm.UNHEARD, now + UNHEARD)
        self._since, self._ever, self._silent = now, True, False
        return told

    def alarm(self, now: float) -> list[Effect]:
        """Tell of a silence, once, or wait on when there was a word meanwhile."""
        if not self._listens or self._silent:
            return []
        if now < self._since + UNHEARD:  # the same sum as the alarm's, which may round
            self._timers.set(Alarm.UNHEARD, self._since + UNHEARD)
            return []
        self._silent = True
        return [Tell("unheard", {"seconds": round(now - self._since, 1)})]
