"""Sessions of a relay: what each connection is for, and its limits (spec/errors.md, Limits)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.core.registration import Policy

if TYPE_CHECKING:
    from reference.core.registration import Identity

MINUTE = 60.0
SMALL_MESSAGE = 16_384
"""The largest payload of an offer or an answer, in bytes (CALL-14, CALL-27)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of a relay's machine; times in seconds, defaults of spec/errors.md."""

    register_timeout: float = 10.0
    ring_timeout: float = 60.0
    media_timeout: float = 10.0
    calls: int = 8
    offers_burst: int = 20
    offers_per_second: float = 10.0
    bad_messages: int = 60


@dataclass(frozen=True, slots=True)
class Setting:
    """Who a relay is: its identity, its own reachable `ip:port` (CALL-22), its policy, its limits."""

    identity: Identity
    relay_addr: str
    policy: Policy = Policy.SIGNED
    limits: Limits = Limits()


class Service(StrEnum):
    """What a server name asks for (spec/transport.md, Server names)."""

    SIGNAL = "signal"
    ROOM = "room"


@dataclass(slots=True)
class Session:
    """One connection: its service, the call_id of its room, and what it has used up of its limits."""

    service: Service
    address: str
    limits: Limits
    call_id: str = ""
    offers: float = 0.0
    offers_at: float = 0.0
    bad: deque[float] = field(default_factory=deque)

    def may_offer(self, now: float) -> bool:
        """Count one offer against a bucket that drains at `offers_per_second` (CALL-16)."""
        drained = (now - self.offers_at) * self.limits.offers_per_second
        self.offers = max(0.0, self.offers - drained)
        self.offers_at = now
        if self.offers + 1 > self.limits.offers_burst:
            return False
        self.offers += 1
        return True

    def one_bad_too_many(self, now: float) -> bool:
        """Count one bad message or frame; tell whether the last minute saw more than the limit (ERR-3)."""
        while self.bad and now - self.bad[0] > MINUTE:
            self.bad.popleft()
        self.bad.append(now)
        return len(self.bad) > self.limits.bad_messages
