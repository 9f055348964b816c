"""Draining (spec/errors.md, Shutdown): a relay that is to stop, and waits for its calls to end.

The rules of this file:

- No call begins any more (ERR-7); what is live goes on as ever (ERR-9).
- Who has no live call is sent away (ERR-8): at the beginning, after its last call, and when it registers.
- With the last call the waiting is over; whoever performs the effects then lets the relay stop.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from reference.core.effects import Effect, Log, Stop
from reference.core.errors import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reference.core.call import Call
    from reference.core.registration import Presence
    from reference.core.registry import Registry
    from reference.core.sessions import Deadlines


AT_ONCE = 50
PAUSE = 0.05
"""How many sessions are looked at, and seconds until the next ones: ten thousand closes in one turn would
be heard by everybody who is in a call."""


class Draining:
    """A relay that drains; as the key of a timer it stands for what it does next."""

    def __init__(
        self,
        registry: Registry,
        presence: Presence,
        timers: Deadlines,
        close: Callable[[int, CloseCode], list[Effect]],
    ) -> None:
        """Wait for the calls of `registry`; `close` ends the session of somebody who has none."""
        self._registry = registry
        self._presence = presence
        self._timers = timers
        self._close = close
        self._until = 0.0
        self._leaving: deque[int] = deque()

    def begin(self, sessions: Iterable[int], now: float, until: float) -> list[Effect]:
        """Begin with these `sessions`, and wait until the time `until`."""
        self._leaving.extend(sessions)
        self._until = until
        return [Log("draining", {"calls": len(self._registry)}), *self.tick(now)]

    def tick(self, now: float) -> list[Effect]:
        """Send some more of those away who have no live call (ERR-8), or end the waiting."""
        if now >= self._until:
            return [Stop()]
        effects: list[Effect] = []
        for _ in range(min(AT_ONCE, len(self._leaving))):
            session = self._leaving.popleft()
            who = self._presence.registrant(session)
            if who is not None and self.idle(who.fingerprint):
                effects += self._close(session, CloseCode.SHUTDOWN)
        self._timers.set(self, min(self._until, now + PAUSE) if self._leaving else self._until)
        return effects + self._over()

    def idle(self, fingerprint: str) -> bool:
        """Tell whether a fingerprint has no live call, and so no business here any more."""
        return not self._registry.count(fingerprint)

    def ended(self, call: Call) -> list[Effect]:
        """Send those parties away whose last call this was (ERR-8)."""
        effects: list[Effect] = []
        for party in (call.caller, call.callee):
            session = self._presence.session(party)
            if session is not None and self.idle(party):
                effects += self._close(session, CloseCode.SHUTDOWN)
        return effects + self._over()

    def _over(self) -> list[Effect]:
        return [] if len(self._registry) else [Stop()]
