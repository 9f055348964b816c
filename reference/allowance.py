"""Allowance (spec/transport.md, TRANS-19): what a peer says, counted against what it may say.

A message counts for the bytes of its payload and MESSAGE more. What is too much has to wait and is not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reference.core.sessions import Bucket
from reference.handler import EndpointLimits

MESSAGE = 4_096
"""Bytes that every message counts for beside its payload."""
BREATH = 0.01
"""Seconds that is waited at least: what has come by then is handled in one go."""


@dataclass(slots=True)
class Allowance:
    """What one peer has said of late."""

    said: Bucket = field(default_factory=Bucket)

    def take(self, size: int, limits: EndpointLimits, share: int, now: float) -> float:
        """Count a message of `size` bytes and return 0, or return when, in seconds, it may be handled.

        `share` is how many times as much as a client the peer may say.
        """
        allowed = limits.said * share, limits.said_per_second * share, now
        if self.said.take(*allowed, size + MESSAGE):
            return 0.0
        return now + max(BREATH, self.said.wait(*allowed, size + MESSAGE))
