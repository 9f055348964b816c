"""Dialogue: who said what, in order: the evidence of a verdict.

Rules of this file: whatever an implementation says, a step that is written down is short.
"""

from __future__ import annotations

import json
import time
from typing import Any

LIMIT = 400
"""Steps that are kept; of a longer dialogue the latest."""
FENCES = (1 << 40) + (1 << 30)
"""The first number of the suite's own Pings; neither it nor a half of it is one that a check sends."""
_LONG = 400
_KEY = 80
_MEMBERS = 32
_DEPTH = 8
_BITS = 128
_WORDS = 2000


class Dialogue:
    """The steps of one check, bounded."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._began = time.monotonic()
        self._steps: list[dict[str, Any]] = []
        self._noted = 0

    def mark(self) -> int:
        """Return how many steps have been noted."""
        return self._noted

    def note(self, who: str, direction: str, what: object, *, missing: bool = False) -> None:
        """Add a step; `direction` is `->` towards the implementation under test and `<-` from it.

        With `missing` it is one that should have been and was not.
        """
        ms = round((time.monotonic() - self._began) * 1000, 1)
        step = {"who": who, "direction": direction, "ms": ms, "what": what}
        self._steps.append(step | {"missing": True} if missing else step)
        self._noted += 1
        del self._steps[:-LIMIT]

    def adopt(self, other: Dialogue, since: int) -> None:
        """Take over what has been noted in another dialogue since its mark."""
        for step in other._steps[max(0, len(other._steps) - (other._noted - since)) :]:
            self.note(step["who"], step["direction"], step["what"])

    def find(self, what: object, who: str = "") -> int | None:
        """Return the place of the last step in which this came, to `who` or to anybody; else None.

        Of two messages that say the same, the very one that is asked for is found.
        """
        places = [
            place
            for place, step in reversed([*enumerate(self._steps)])
            if step["direction"] == "<-" and who in ("", step["who"]) and _says(step["what"], what)
        ]
        same = [place for place in places if _members(self._steps[place]["what"]) is _members(what)]
        return next(iter([*same, *places]), None)

    def holding(self, body: object) -> int | None:
        """Return the place of the step in which these very members came, else None."""
        places = (
            place
            for place, step in enumerate(self._steps)
            if isinstance(body, dict) and step["direction"] == "<-" and _members(step["what"]) is body
        )
        return next(places, None)

    def last_sent(self) -> str:
        """Return the last step towards the implementation in words, a Ping of the suite's own apart."""
        sent = (step for step in reversed(self._steps) if step["direction"] == "->")
        step = next((one for one in sent if not _is_fence(one["what"])), None)
        if step is None:
            return ""
        said = json.dumps(shorten(step["what"]), ensure_ascii=False)
        return f"{step['who']} -> {_cut(said, _LONG)}"

    def steps(self) -> tuple[dict[str, Any], ...]:
        """Return the steps, long values shortened."""
        return tuple(step | {"what": shorten(step["what"])} for step in self._steps)


def datagram(data: bytes) -> dict[str, Any]:
    """Return a datagram as a step says it."""
    return {"datagram": data[:24].hex(), "bytes": len(data)}


def _is_fence(what: object) -> bool:
    body = what.get("Ping") if isinstance(what, dict) else None
    return isinstance(body, dict) and body.get("timestamp_ms", 0) >= FENCES


def _says(said: object, what: object) -> bool:
    """Tell whether a step says this; a message without members is its bare name."""
    return said == what or (isinstance(said, str) and what == {said: {}})


def _members(what: object) -> object:
    return next(iter(what.values())) if isinstance(what, dict) and len(what) == 1 else what


def shorten(value: Any, depth: int = _DEPTH) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with arrays of bytes, long texts and deep values cut, for people to read."""
    if isinstance(value, dict):
        if depth == 0:
            return f"<{len(value)} members>"
        cut = {_cut(str(key), _KEY): shorten(value[key], depth - 1) for key in [*value][:_MEMBERS]}
        return cut | ({"…": f"{len(value) - _MEMBERS} more members"} if len(value) > _MEMBERS else {})
    if isinstance(value, list):
        if len(value) > 8 and all(isinstance(one, int) for one in value):  # noqa: PLR2004
            return f"<{len(value)} bytes>"
        return f"<{len(value)} values>" if depth == 0 else [shorten(one, depth - 1) for one in value[:32]]
    if isinstance(value, int) and value.bit_length() > _BITS:
        return f"<a number of {value.bit_length()} bits>"
    return _cut(value, _LONG) if isinstance(value, str) else value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:40]}… ({len(text)} characters)"


def words(text: str) -> str:
    """Return a text for people, cut when it is very long: most of it is then what somebody else said."""
    return text if len(text) <= _WORDS else f"{text[:_WORDS]}… ({len(text)} characters)"
