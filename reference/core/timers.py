"""Timers: deadlines by key, driven by the caller's clock. Setting, cancelling and firing cost O(log n)."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Timers(Generic[Key]):
    """At most one deadline a key; a heap with entries that are out of date left in and skipped."""

    def __init__(self) -> None:
        """Start without deadlines."""
        self._at: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._serial = 0

    def __len__(self) -> int:
        """Return how many deadlines are set."""
        return len(self._at)

    def set(self, key: Key, at: float) -> None:
        """Set the deadline of `key` to `at` (seconds of the caller's clock), whatever it was before."""
        self._serial += 1
        self._at[key] = (at, self._serial)
        heapq.heappush(self._heap, (at, self._serial, key))
        if len(self._heap) > 2 * len(self._at) + 64:  # cancelled entries may not pile up
            self._heap = [(when, serial, name) for name, (when, serial) in self._at.items()]
            heapq.heapify(self._heap)

    def cancel(self, key: Key) -> None:
        """Forget the deadline of `key`, if it has one."""
        self._at.pop(key, None)

    def clear(self) -> None:
        """Forget all deadlines."""
        self._at.clear()
        self._heap.clear()

    def next(self) -> float | None:
        """Return the earliest deadline, or None."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[Key]:
        """Take out and return the keys whose deadline is not after `now`, earliest first."""
        keys = []
        while (at := self.next()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._at[key]
            keys.append(key)
        return keys
