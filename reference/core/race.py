"""Race (spec/race.md): who dials, and which connection between the two ends is the direct path.

A pure machine of one call. In: connections that complete and end, by leg, and the deadline. Out: whether
there is a direct path, and the leg to speak on. `attempts` are dials under way, `open` are connections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.core.addresses import format_address, parse_address
from reference.core.call import ROOM_PREFIX, room_name
from reference.core.candidates import CANDIDATES
from reference.core.effects import Close, Dial, Effect, Tell, Welcome
from reference.core.errors import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Role(StrEnum):
    """What an end does in the race (spec/race.md, Roles)."""

    ACCEPTOR = "acceptor"
    DIALER = "dialer"
    NONE = "none"


def role(own: str | None, peer: str | None) -> Role:
    """Return the role that follows from the two reflexive addresses in whatever form (RACE-1, RACE-2)."""
    try:
        mine, theirs = (format_address(*parse_address(text or "")).encode() for text in (own, peer))
    except ValueError:
        return Role.NONE
    if mine == theirs:
        return Role.NONE
    return Role.ACCEPTOR if mine < theirs else Role.DIALER


def server_names(call_id: str) -> frozenset[str]:
    """Return the names under which a dialer may come; the longer one is the deployed dialers' (RACE-7)."""
    room = room_name(call_id)
    return frozenset({room, ROOM_PREFIX + room})


@dataclass(slots=True)
class Door:
    """Connections of a call that come before its CallSetup.

    The relay sends CallSetup to both ends at once, and a dialer that is near may be quicker than the relay.
    What comes in meanwhile under a name of the call waits, unheard, until the role is known (RACE-16).
    """

    names: frozenset[str] = frozenset()
    waiting: dict[int, tuple[str | None, str]] = field(default_factory=dict)

    def open(self, names: frozenset[str]) -> list[Effect]:
        """Let in whoever comes under these names, if there are any."""
        self.names = names
        return [Welcome(names)] if names else []

    def accepted(self, leg: int, sni: str | None, address: str) -> list[Effect]:
        """Take in a connection, or refuse it (RACE-7)."""
        if sni not in self.names or len(self.waiting) >= CANDIDATES:
            return [Close(leg, CloseCode.NO_SUCH_SERVICE)]
        self.waiting[leg] = (sni, address)
        return []

    def lost(self, leg: int) -> list[Effect]:
        """Forget a connection that has ended."""
        self.waiting.pop(leg, None)
        return []

    def shut(self) -> list[Effect]:
        """Let nobody in any more, and nobody wait."""
        shut: list[Effect] = [Welcome(frozenset())] if self.names else []
        closed = [Close(leg, CloseCode.NO_SUCH_SERVICE) for leg in self.waiting]
        self.names = frozenset()
        self.waiting.clear()
        return [*shut, *closed]


@dataclass(slots=True)
class Race:
    """The direct attempt of one call; `ok` is None until it is decided."""

    call_id: str
    role: Role
    candidates: Sequence[str]
    new_leg: Callable[[], int]
    ok: bool | None = None
    attempts: dict[int, str] = field(default_factory=dict)
    open: dict[int, str] = field(default_factory=dict)
    over: bool = False

    def start(self) -> list[Effect]:
        """Dial every candidate at once, or let the other end in (RACE-2, RACE-3, RACE-4)."""
        if self.role is Role.ACCEPTOR:
            return [Welcome(server_names(self.call_id))]
        if self.role is Role.NONE or not self.candidates:
            self.ok, self.over = False, True
            return []
        self.attempts = {self.new_leg(): address for address in self.candidates}
        return [
            effect
            for leg, address in self.attempts.items()
            for effect in (Dial(leg, address, room_name(self.call_id)), Tell("attempt", {"address": address}))
        ]

    def connected(self, leg: int) -> list[Effect]:
        """Keep the first attempt that completes and give the others up (RACE-5)."""
        address = self.attempts.pop(leg, None)
        if address is None or self.over:
            return [Close(leg, CloseCode.NOT_SELECTED)]
        self.ok, self.over, self.open = True, True, {leg: address}
        return [Tell("direct", {"address": address}), *self._give_up()]

    def accepted(self, leg: int, sni: str | None, address: str) -> list[Effect]:
        """Take in a connection of the other end, and no other one (RACE-7, RACE-8, RACE-9)."""
        full = len(self.open) >= CANDIDATES  # a dialer has no more (CAND-15)
        if self.over or full or self.role is not Role.ACCEPTOR or sni not in server_names(self.call_id):
            return [Close(leg, CloseCode.NO_SUCH_SERVICE)]
        self.ok = True
        self.open[leg] = address
        return [Tell("direct", {"address": address})]

    def lost(self, leg: int, why: str) -> list[Effect]:
        """Forget a connection; the last attempt that fails decides (RACE-6, RACE-10)."""
        self.open.pop(leg, None)
        address = self.attempts.pop(leg, None)
        if address is None:
            return []
        if not self.attempts and self.ok is None:
            self.ok, self.over = False, True
        return [Tell("attempt failed", {"address": address, "why": why})]

    def conclude(self) -> list[Effect]:
        """Let nothing more come of it: the deadline has passed (RACE-11), or the path is decided."""
        self.over = True
        self.ok = bool(self.open)
        closed: list[Effect] = [Welcome(frozenset())] if self.role is Role.ACCEPTOR else []
        return closed + self._give_up()

    def close(self, code: CloseCode) -> list[Effect]:
        """Close everything that was dialled or accepted."""
        effects = [*self.conclude(), *(Close(leg, code) for leg in self.open)]
        self.open.clear()
        return effects

    def heard(self, leg: int) -> list[Effect]:
        """Keep the connection on which the dialer speaks, and let nobody in any more (RACE-17)."""
        if leg not in self.open or (self.over and len(self.open) == 1):
            return []
        others: list[Effect] = [Close(one, CloseCode.NOT_SELECTED) for one in self.open if one != leg]
        self.open = {leg: self.open[leg]}
        return [*([] if self.over else self.conclude()), *others]

    @property
    def leg(self) -> int | None:
        """The connection to speak on: the oldest that is open."""
        return next(iter(self.open), None)

    def _give_up(self) -> list[Effect]:
        closed: list[Effect] = [Close(leg, CloseCode.NOT_SELECTED) for leg in self.attempts]
        self.attempts.clear()
        return closed
