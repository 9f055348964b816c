"""Courier: the voice of a client under test: bytes where a person would speak, digests of what is heard.

Rules of this file: every frame's time of the call something is said, or nothing, so that numbers, timestamps
and comfort noise are the client's own; what falls before the decision on the path the client drops.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping

from reference.clock import Clock, Pace
from reference.core import media
from reference.voice import Speak

SMALLEST, LARGEST = 16, 200
"""Bytes of a payload, as many as Opus makes of 20 ms."""

WAITING = 1000
"""The most frames that wait to be said."""


def payload() -> bytes:
    """Return the payload of one frame: any bytes."""
    return secrets.token_bytes(SMALLEST + secrets.randbelow(LARGEST - SMALLEST + 1))


class Courier:
    """The voice of one call; `heard` is told the sequence number and the digest of every frame of audio."""

    def __init__(
        self, clock: Clock, heard: Callable[[int, str], None], speak: Speak, fail: Callable[[str], None]
    ) -> None:
        """Begin to let frames pass, by `clock`."""
        del fail  # nothing here can
        self.sent = self.received = 0
        self._heard = heard
        self._speak = speak
        self._orders: deque[tuple[int, int]] = deque()  # frames that are left, and each how many turns
        self._rest = 0
        self._pace = Pace(self._turn, clock)
        self._pace.start()

    @property
    def waiting(self) -> int:
        """Count the frames that were ordered and not said yet."""
        return sum(left for left, _ in self._orders)

    def order(self, frames: int, turns: int) -> bool:
        """Say so many frames, one every so many turns, behind what waits; tell whether there is room."""
        if self.waiting + frames > WAITING:
            return False
        self._orders.append((frames, turns))
        return True

    def prepare(self) -> None:
        """Nothing to prepare."""

    def start(self) -> None:
        """Go on: it has begun with the call."""

    def hear(self, datagram: bytes) -> None:
        """Tell of a datagram of audio; comfort noise and repair are none."""
        header = media.Header.decode(datagram)
        if header.repair or header.codec == media.Codec.COMFORT_NOISE:
            return
        self.received += 1
        self._heard(header.sequence, hashlib.sha256(datagram[media.HEADER_SIZE :]).hexdigest())

    def close(self) -> Mapping[str, int]:
        """Say nothing any more; return what was said and heard."""
        self._pace.stop()
        self._orders.clear()
        return {"sent": self.sent, "received": self.received}

    def _turn(self) -> None:
        if self._rest or not self._orders:
            self._rest = max(0, self._rest - 1)
            self._speak(None)
            return
        left, turns = self._orders.popleft()
        if left > 1:
            self._orders.appendleft((left - 1, turns))
        self._rest = turns - 1
        self._speak(payload())
