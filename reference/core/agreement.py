"""Agreement (spec/agreement.md): both ends take one path, or both know why not.

`DECISION` is the table of the chapter: the own report, the other end's, and whether the wait is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Path(StrEnum):
    """Where the media of a call goes."""

    DIRECT = "direct"
    RELAY = "relay"


DECISION: dict[tuple[bool | None, bool | None], Path] = {
    (True, True): Path.DIRECT,
    (True, False): Path.RELAY,
    (False, True): Path.RELAY,
    (False, False): Path.RELAY,
    (False, None): Path.RELAY,
    (None, False): Path.RELAY,  # whatever comes of the own attempt, the table will say so
}
"""The path by the own report and the other's (AGREE-6); what is missing is waited for."""

RACE_WINNER = {True: "Direct", False: "Relay"}
"""The words of `race_winner`, for people to read."""


@dataclass(slots=True)
class Agreement:
    """The two reports of one call, and the path that follows from them."""

    own: bool | None = None
    peer: bool | None = None
    waited: bool = False

    @property
    def path(self) -> Path | None:
        """The path, or None while it is open (AGREE-6, AGREE-7, AGREE-9)."""
        if (self.own, self.peer) == (True, None) and self.waited:
            return Path.RELAY
        return DECISION.get((self.own, self.peer))
