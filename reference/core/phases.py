"""Phases (spec/phases.md): the named, cumulative levels of the protocol.

An implementation of a phase implements every older one. A phase is written by its name,
such as 3.5, and compared by its place in the order.
"""

from __future__ import annotations

from enum import Enum
from functools import total_ordering
from typing import Self


@total_ordering
class Phase(Enum):
    """A level of the protocol; older phases are smaller (spec/phases.md, table of phases)."""

    SIGNALLED_CALL = "0"
    REFLECTION = "1"
    NAT_CLASSIFICATION = "2"
    ADVERTISING = "3"
    RACE = "3.5"
    FEDERATION = "4"
    ONE_SOCKET = "5"
    HOST_CANDIDATES = "5.5"
    PATH_AGREEMENT = "6"
    DUAL_STACK = "7"

    @classmethod
    def parse(cls, name: str) -> Self:
        """Return the phase called `name`; raises ValueError that lists the phases there are."""
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(phase.value for phase in cls)
            raise ValueError(f"no phase is called {name!r}: there are {known}") from None

    def __lt__(self, other: object) -> bool:
        """Tell whether this phase is older than `other`."""
        if not isinstance(other, Phase):
            return NotImplemented
        order = list(Phase)
        return order.index(self) < order.index(other)

    def __str__(self) -> str:
        """Return the name of the phase, such as 3.5."""
        return self.value


IMPLEMENTED = tuple(Phase)
"""The phases that this reference implements, oldest first."""

NEWEST = IMPLEMENTED[-1]
"""The phase that relay and client speak unless they are told otherwise."""
