"""Dialogue: who said what, in order: the evidence of a verdict."""

from __future__ import annotations

import time
from typing import Any

LIMIT = 400
"""Steps that are kept; of a longer dialogue the latest."""
_LONG = 400


class Dialogue:
    """The steps of one check, bounded."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._began = time.monotonic()
        self._steps: list[dict[str, Any]] = []

    def note(self, who: str, direction: str, what: object) -> None:
        """Add a step; `direction` is `->` towards the implementation under test and `<-` from it."""
        ms = round((time.monotonic() - self._began) * 1000, 1)
        self._steps.append({"who": who, "direction": direction, "ms": ms, "what": what})
        del self._steps[:-LIMIT]

    def steps(self) -> tuple[dict[str, Any], ...]:
        """Return the steps, long values shortened."""
        return tuple(step | {"what": shorten(step["what"])} for step in self._steps)


def shorten(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with arrays of bytes and long texts cut, for people to read."""
    if isinstance(value, dict):
        return {key: shorten(one) for key, one in value.items()}
    if isinstance(value, list):
        if len(value) > 8 and all(isinstance(one, int) for one in value):  # noqa: PLR2004
            return f"<{len(value)} bytes>"
        return [shorten(one) for one in value[:32]]
    if isinstance(value, str) and len(value) > _LONG:
        return f"{value[:40]}… ({len(value)} characters)"
    return value
