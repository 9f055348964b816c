"""Sessions of a relay: what each connection is for, and its limits (spec/errors.md, Limits)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.core.phases import NEWEST, Phase
from reference.core.registration import Policy

if TYPE_CHECKING:
    from typing import TypeAlias

    from reference.core.call import Call
    from reference.core.draining import Draining
    from reference.core.registration import Identity
    from reference.core.timers import Timers

    Deadlines: TypeAlias = Timers["int | Call | Peer | Draining"]
    """What a relay waits for: a session, a call, a relay to dial, the end of its draining."""

MINUTE = 60.0
SMALL_MESSAGE = 16_384
"""The largest payload of an offer, answer, hangup or report in bytes (CALL-14, CALL-27, CALL-41, AGREE-4)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of a relay's machine; times in seconds, defaults of spec/errors.md."""

    register_timeout: float = 10.0
    ring_timeout: float = 60.0
    media_timeout: float = 10.0
    calls: int = 8
    offers_burst: int = 20
    offers_per_second: float = 10.0
    reflections_burst: int = 20
    reflections_per_second: float = 10.0
    bad_messages: int = 60
    drain: float = 0.0
    link_offers_burst: int = 2000
    link_offers_per_second: float = 1000.0
    hello_timeout: float = 5.0
    search_timeout: float = 5.0


class Trust(StrEnum):
    """Which relays may open a link (federation, Links)."""

    PROVEN = "proven"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Peer:
    """A relay that is trusted: its TLS fingerprint, what it is called here, where it is dialled if at all."""

    fingerprint: str
    label: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """Who a relay is: its identity, its own reachable `ip:port` (CALL-22), policy, limits, build and peers.

    With `authenticate` it asks for a token, which a service of its operator judges (REG-21).
    `certificate` is the DER that it shows, `epoch` the time of day, in seconds since 1970, at which its
    clock showed zero; both are for links only.
    """

    identity: Identity
    relay_addr: str
    policy: Policy = Policy.SIGNED
    limits: Limits = Limits()
    build: str | None = None
    authenticate: bool = False
    phase: Phase = NEWEST
    peers: tuple[Peer, ...] = ()
    trust: Trust = Trust.PROVEN
    certificate: bytes = b""
    epoch: float = 0.0


class Service(StrEnum):
    """What a server name asks for (spec/transport.md, Server names)."""

    SIGNAL = "signal"
    ROOM = "room"
    LINK = "link"


@dataclass(slots=True)
class Bucket:
    """What has been used up of an allowance: so many at once, and then so many a second."""

    level: float = 0.0
    at: float = 0.0

    def take(self, burst: int, per_second: float, now: float, amount: int = 1) -> bool:
        """Count `amount` unless more than `burst` would be in it; it drains at `per_second`. Tell whether."""
        if self.wait(burst, per_second, now, amount) > 0:
            return False
        self.level += amount
        return True

    def wait(self, burst: int, per_second: float, now: float, amount: int = 1) -> float:
        """Return in how many seconds `amount` can be taken; 0 is now."""
        self.level = max(0.0, self.level - (now - self.at) * per_second)
        self.at = now
        return max(0.0, (self.level + amount - burst) / per_second)


@dataclass(slots=True)
class Session:
    """One connection: its service, the peer's `ip:port` of now, the call_id of its room, what it used up."""

    service: Service
    address: str
    limits: Limits
    call_id: str = ""
    offers: Bucket = field(default_factory=Bucket)
    reflections: Bucket = field(default_factory=Bucket)
    bad: deque[float] = field(default_factory=deque)

    def may_offer(self, now: float) -> bool:
        """Count one offer; tell whether it is within the limits (CALL-16); a link is allowed more."""
        limits = self.limits
        if self.service is Service.LINK:
            return self.offers.take(limits.link_offers_burst, limits.link_offers_per_second, now)
        return self.offers.take(limits.offers_burst, limits.offers_per_second, now)

    def may_reflect(self, now: float) -> bool:
        """Count one Reflect; tell whether it is within the limits (REFL-5)."""
        return self.reflections.take(self.limits.reflections_burst, self.limits.reflections_per_second, now)

    def one_bad_too_many(self, now: float) -> bool:
        """Count one bad message or frame; tell whether the last minute saw more than the limit (ERR-3)."""
        while self.bad and now - self.bad[0] > MINUTE:
            self.bad.popleft()
        self.bad.append(now)
        return len(self.bad) > self.limits.bad_messages
