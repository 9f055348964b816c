"""Playout (spec/media.md): puts the packets of one sender back in order and into even time.

The rules of this file:

- The caller asks for one frame every 20 ms; nothing here reads a clock, asking is the clock.
- A packet is known by its extended sequence number (RFC 3550 section 6.4.1): 65535 is followed by 0.
- Playing begins when `depth_frames` are held, or something was held for as many frames: no wait is endless.
- A hole is concealed, and lost once it is passed. When nothing is held, the place stands still: the network
  stalls or the sender pauses, and only the next packets can tell. Playing then begins anew, and what the
  stall made stale is skipped, so that a stall shifts nothing that follows it.
- A delay that stands (clock drift, a burst) is cut back to the depth; at most `capacity` frames are held.
- A sequence number far from the highest is believed when its successor follows (RFC 3550 appendix A.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from reference.core.errors import Misuse

SEQUENCE_NUMBERS = 0x10000
"""How many sequence numbers there are before they start over."""

MAX_DROPOUT = 3000
"""A packet this far ahead of the highest is a jump, not a loss (RFC 3550 appendix A.1)."""

MAX_MISORDER = 100
"""A packet this far behind the highest is a jump, not a late one (RFC 3550 appendix A.1)."""

WINDOW = 50
"""Frames (1 s) over which the standing delay is measured, and for which a stall is remembered."""


@dataclass(frozen=True, slots=True)
class Played:
    """What to play for the next 20 ms.

    `payload` is one packet's payload, or None when there is none; `concealed` then tells whether the decoder
    fills in (a hole, a stall) or there is nothing to fill yet. `started` is False until the first frame was
    played. `timestamp` is the packet's own, in ms.
    """

    payload: bytes | None
    concealed: bool
    started: bool
    timestamp: int | None = None


class Playout:
    """The playout buffer of one sender; its counters are plain attributes, in packets.

    `received` counts every packet, also the `late` and `duplicate` ones (RFC 3550 section 6.4.1); `played`
    those handed out; `lost` the holes that were passed; `dropped` the packets held and skipped, and the jumps
    that were not believed. Each packet is held, or counted as one of played, late, duplicate and dropped.
    """

    def __init__(self, depth_frames: int = 3, capacity: int = 64) -> None:
        """Hold `depth_frames` before playing begins and `capacity` (up to 1000) at most; else Misuse."""
        if not 1 <= depth_frames <= capacity <= MAX_DROPOUT // 3:
            raise Misuse(f"no playout buffer can hold {depth_frames} of {capacity} frames")
        self.received = self.played = self.lost = self.late = self.duplicate = self.dropped = 0
        self._depth = depth_frames
        self._capacity = capacity
        self._reach = max(MAX_MISORDER, capacity)
        self._successor: int | None = None
        self._started = self._playing = False
        self._debt = 0
        self._forget()

    @property
    def loss(self) -> float:
        """The share of the frames due that never came in time: lost / (lost + played), or 0.0."""
        due = self.lost + self.played
        return self.lost / due if due else 0.0

    def insert(self, seq: int, timestamp: int, payload: bytes) -> None:
        """Take one packet as it arrives; `timestamp` in ms; Misuse unless `seq` is 0..65535."""
        if not 0 <= seq < SEQUENCE_NUMBERS:
            raise Misuse(f"{seq} is no 16-bit sequence number")
        self.received += 1
        extended = self._extend(seq)
        if extended is None:
            self.dropped += 1
        elif extended in self._seen:
            self.duplicate += 1
        else:
            self._note(extended)
            if self._next is not None and extended < self._next:
                self.late += 1
            else:
                self._packets[extended] = (timestamp, payload)
                self._fit()

    def take(self) -> Played:
        """Give the next 20 ms; call it once each 20 ms from the beginning of the call on."""
        if not self._playing:
            self._resume()
        if not self._playing or self._next is None:
            self._debt += self._started
            return Played(None, concealed=self._started, started=self._started)
        self._shed(self._next)
        packet = self._packets.pop(self._next, None)
        if packet is None and not self._packets:
            self._playing, self._waited, self._debt = False, 0, self._debt + 1
            return Played(None, concealed=True, started=True)
        self._next += 1
        if packet is None:
            self.lost += 1
            return Played(None, concealed=True, started=True)
        self.played += 1
        return Played(packet[1], concealed=False, started=True, timestamp=packet[0])

    def _forget(self) -> None:
        """Know nothing of any sequence: at the start, and when the sender began a new one."""
        self._packets: dict[int, tuple[int, bytes]] = {}
        self._seen: set[int] = set()
        self._highest: int | None = None
        self._next: int | None = None
        self._playing = False
        self._waited = 0

    def _extend(self, seq: int) -> int | None:
        """Give the extended sequence number, or None for a jump that nothing confirms yet."""
        if self._highest is None:
            return seq
        half = SEQUENCE_NUMBERS // 2
        ahead = (seq - self._highest + half) % SEQUENCE_NUMBERS - half
        if -self._reach < ahead < MAX_DROPOUT:
            return self._highest + ahead
        if seq != self._successor:
            self._successor = (seq + 1) % SEQUENCE_NUMBERS
            return None
        # Two in a row: the sender began anew. The numbers between were never sent, hence are not lost.
        self.dropped += len(self._packets)
        self._successor = None
        self._forget()
        return seq

    def _note(self, extended: int) -> None:
        """Remember the number, to tell duplicates from late ones, as long as it is in reach."""
        self._highest = extended if self._highest is None else max(self._highest, extended)
        self._seen.add(extended)
        if len(self._seen) > 2 * self._reach:
            oldest = self._highest - self._reach
            self._seen = {number for number in self._seen if number > oldest}

    def _fit(self) -> None:
        """Keep within the capacity: the oldest give way."""
        first = min(self._packets) if self._next is None else self._next
        oldest = max(self._packets) - self._capacity + 1
        if first >= oldest:
            return
        self._next = first
        self._skip(oldest)
        if len(self._packets) == 1:
            # A leap beyond all that was held: begin anew from there, rather than conceal a long hole.
            self._skip(max(self._packets))
            self._playing, self._waited = False, 0

    def _skip(self, target: int) -> None:
        """Move on to `target`; what is passed was dropped if it was held, and lost if it was not."""
        passed = [number for number in self._packets if number < target]
        for number in passed:
            del self._packets[number]
        position = target if self._next is None else self._next
        self.dropped += len(passed)
        self.lost += target - position - len(passed)
        self._next = target

    def _resume(self) -> None:
        """Begin to play with the first that is held, if enough is or the wait was long enough."""
        if not self._packets:
            return
        self._waited += 1
        first, last = min(self._packets), max(self._packets)
        if last - first + 1 < self._depth and self._waited <= self._depth:
            return
        if self._next is None:
            self._next, self._debt = first, 0
        else:
            # What was lost in a stall took up its time; what is left of it, the late packets give way to.
            self._debt = max(0, self._debt - (first - self._next))
            self._skip(first)
        self._playing = self._started = True
        self._measured, self._lowest = 0, self._capacity

    def _shed(self, position: int) -> None:
        """Cut the delay back: at once what a stall caused, once a window what stood all the time."""
        level = max(self._packets, default=position - 1) - position + 1
        self._lowest = min(self._lowest, level)
        self._measured += 1
        surplus = min(self._debt, level - self._depth)
        if self._measured == WINDOW:
            if self._lowest > 2 * self._depth:
                surplus = max(surplus, self._lowest - self._depth)
            self._measured, self._lowest, self._debt = 0, self._capacity, 0
        if surplus > 0:
            self._debt = max(0, self._debt - surplus)
            self._skip(position + surplus)
