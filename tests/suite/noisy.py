"""Noisy: the reference relay with one bad habit, which its first argument names; the rest are its options."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference import relay
from reference.core import wire
from reference.core.effects import Effect, Send
from reference.core.errors import HangupReason
from reference.core.messages import Hangup, Pong
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


def moody() -> None:
    """Say every other time that somebody is busy who is not there."""
    answers: Callable[..., list[Effect]] = RelayCore.receive
    moods = itertools.cycle((HangupReason.BUSY, HangupReason.ERROR))

    def receive(*arguments: Any, **others: Any) -> list[Effect]:  # noqa: ANN401 - passed on
        effects = answers(*arguments, **others)
        return [
            replace(one, message=replace(one.message, reason=next(moods)))
            if isinstance(one, Send) and isinstance(one.message, Hangup)
            else one
            for one in effects
        ]

    RelayCore.receive = receive  # type: ignore[method-assign]


def brittle() -> None:
    """Say that somebody is busy who is not there, and die of the next refusal."""
    answers: Callable[..., list[Effect]] = RelayCore.receive
    left = iter([True])

    def receive(*arguments: Any, **others: Any) -> list[Effect]:  # noqa: ANN401 - passed on
        effects = answers(*arguments, **others)
        if any(isinstance(one, Send) and isinstance(one.message, Hangup) for one in effects):
            if not next(left, False):
                os._exit(3)
            return [Send(arguments[1], Hangup(reason=HangupReason.BUSY))]
        return effects

    RelayCore.receive = receive  # type: ignore[method-assign]


def clock() -> None:
    """Have a clock that jumps by an hour now and then."""
    true, looks = time.monotonic, iter(range(sys.maxsize))
    vars(time)["monotonic"] = lambda: true() + HOUR * (next(looks) // READINGS)


HABITS = {habit.__name__: habit for habit in (garbage, flood, moody, brittle, clock)}

if __name__ == "__main__":
    HABITS[sys.argv.pop(1)]()
    relay.app()
