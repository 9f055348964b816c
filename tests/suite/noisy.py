"""Noisy: the reference relay with one bad habit, which its first argument names; the rest are its options."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from reference import relay
from reference.core import wire
from reference.core.effects import Effect, Send
from reference.core.messages import Pong
from reference.core.relay import RelayCore

TOO_MANY = 3000
READINGS = 200
"""Looks at the clock between two of its jumps."""
HOUR = 3600.0


def garbage() -> None:
    """Send what is no message, whatever it wants to say."""
    vars(wire)["encode"] = lambda *_: b"\xff\xfe{no message"


def flood() -> None:
    """Answer every message, and add what nobody has asked for."""
    answers: Callable[..., list[Effect]] = RelayCore.receive

    def receive(core: RelayCore, session: int, *rest: Any, **others: Any) -> list[Effect]:  # noqa: ANN401 - passed on
        more = [Send(session, Pong(timestamp_ms=number)) for number in range(TOO_MANY)]
        return [*answers(core, session, *rest, **others), *more]

    RelayCore.receive = receive  # type: ignore[method-assign, assignment]


def clock() -> None:
    """Have a clock that jumps by an hour now and then."""
    true, looks = time.monotonic, iter(range(sys.maxsize))
    vars(time)["monotonic"] = lambda: true() + HOUR * (next(looks) // READINGS)


HABITS = {habit.__name__: habit for habit in (garbage, flood, clock)}

if __name__ == "__main__":
    HABITS[sys.argv.pop(1)]()
    relay.app()
