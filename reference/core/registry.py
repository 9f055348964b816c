"""The registry: the live calls of a relay, by call_id and by party (spec/call.md).

Every look-up costs the same however many clients are registered and however many calls are live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference.core.call import Call


class Registry:
    """Live calls; a call is here from its offer to its end and not a moment longer."""

    def __init__(self) -> None:
        """Start without calls."""
        self._calls: dict[str, Call] = {}
        self._of: dict[str, dict[str, Call]] = {}

    def __len__(self) -> int:
        """Return how many calls are live."""
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Iterate over the live calls, oldest first, safe against calls that end meanwhile."""
        return iter(list(self._calls.values()))

    def get(self, call_id: str) -> Call | None:
        """Return the live call of this call_id, or None."""
        return self._calls.get(call_id)

    def of(self, fingerprint: str) -> list[Call]:
        """Return the live calls of a fingerprint, oldest first."""
        return list(self._of.get(fingerprint, {}).values())

    def count(self, fingerprint: str) -> int:
        """Return how many live calls a fingerprint has (CALL-15)."""
        return len(self._of.get(fingerprint, {}))

    def add(self, call: Call) -> None:
        """Add a call; raises Misuse when its call_id is live."""
        if call.call_id in self._calls:
            message = f"the call_id {call.call_id} is live"
            raise Misuse(message)
        self._calls[call.call_id] = call
        for party in (call.caller, call.callee):
            self._of.setdefault(party, {})[call.call_id] = call

    def remove(self, call: Call) -> None:
        """Forget a call that has ended."""
        del self._calls[call.call_id]
        for party in (call.caller, call.callee):
            calls = self._of[party]
            del calls[call.call_id]
            if not calls:
                del self._of[party]
