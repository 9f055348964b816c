"""Streams (spec/transport.md, Streams): what the other side's streams carry, in the order that counts.

Rules of this file: the frames of streams that the other side opened come out in the order of the
stream ids; what stands where no message may stand comes out too, and is remembered as irregular.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance import codec

_HEAD = 4


@dataclass(slots=True)
class _Stream:
    buffer: bytearray = field(default_factory=bytearray)
    ended: bool = False
    frames: int = 0


class Streams:
    """The receiving half of every stream of one connection."""

    def __init__(self, first: int = 1) -> None:
        """Start without any stream; `first` is the id of the first one that the other side opens."""
        self.reset: set[int] = set()
        self._streams: dict[int, _Stream] = {}
        self._first = self._next = first

    @property
    def ended(self) -> set[int]:
        """The streams whose receiving half has come to its end."""
        return {number for number, state in self._streams.items() if state.ended}

    def take(self, number: int, data: bytes, *, end: bool) -> list[tuple[int, bytes]]:
        """Take bytes of a stream; return what can be read now, as stream ids and payloads."""
        state = self._streams.setdefault(number, _Stream())
        state.buffer += data
        state.ended |= end
        if number % 4 != self._first or number < self._next:
            return [*_payloads(number, state)]
        read: list[tuple[int, bytes]] = []
        while (state := self._streams.get(self._next, _Stream())).buffer or state.ended or state.frames:
            read += _payloads(self._next, state)
            if not state.frames and not state.ended:
                break
            self._next += 4
        return read

    def irregular(self) -> Iterator[str]:
        """Yield a sentence for every stream that did not carry one frame and its end (TRANS-9)."""
        for number, state in sorted(self._streams.items()):
            if number % 4 != self._first and (state.frames or state.buffer):
                kind = "a request" if number % 4 == 1 - self._first else "a unidirectional stream"
                yield f"stream {number}, that of {kind}, carries data"
            elif number % 4 == self._first and number not in self.reset:
                if state.frames != 1 or state.buffer:
                    yield f"stream {number} carries {state.frames} frames and {len(state.buffer)} bytes more"
                if not state.ended:
                    yield f"stream {number} is not ended"


def _payloads(number: int, state: _Stream) -> Iterator[tuple[int, bytes]]:
    while (content := codec.whole(state.buffer)) is not None:
        del state.buffer[: _HEAD + len(content)]
        state.frames += 1
        yield number, content
