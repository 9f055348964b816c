"""Voice: what a client wants of the sound of a call (spec/media.md), whatever makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias


class Voice(Protocol):
    """The sound of one call while it lasts; `sent` counts the datagrams of its own that went out."""

    sent: int

    def prepare(self) -> None:
        """Get ready, which may take a while; raises AudioError."""

    def start(self) -> None:
        """Begin to speak now; a second time, after a rejoin, does nothing; raises AudioError."""

    def hear(self, datagram: bytes) -> None:
        """Take in one datagram of the other end that is not unfit (spec/media.md, The datagram)."""

    def close(self) -> Mapping[str, float]:
        """Fall silent for good; return counts by name, if the call was set up."""


Speak: TypeAlias = Callable[[bytes | None], None]
"""Sends a payload, or lets a frame's time pass for None."""

Raise: TypeAlias = Callable[[Speak, Callable[[str], None]], Voice]
"""Makes the voice of a call, from how to speak and whom to tell why there is no more sound."""
