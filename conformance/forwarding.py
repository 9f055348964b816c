"""Forwarding (spec/wire.md, Forwarding): whether a message arrived as it was said.

A relay removes or overwrites what is listed by name and nothing else. A known optional member without a
value may be left out, and a number with a fraction or an exponent may be written in another way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import schemas
from conformance import spec
from conformance.performance import History, Line

REMOVED = {
    "DirectCallOffer": {"caller_reflexive_addr": ("3", "PRIV-1"), "caller_local_addrs": ("5.5", "PRIV-2")},
    "DirectCallAnswer": {"callee_reflexive_addr": ("3", "PRIV-3"), "callee_local_addrs": ("5.5", "PRIV-4")},
}
"""What a relay takes out (spec/privacy.md), since which phase, and by which rule."""
FORWARDED = {
    "DirectCallOffer": "CALL-1",
    "DirectCallAnswer": "CALL-18",
    "Hangup": "CALL-30",
    "MediaPathReport": "AGREE-1",
}
"""What a relay forwards, and the rule that says so."""
_SHOWN = 60


def changes(history: History, said: Line, heard: Line) -> list[tuple[str, str]]:
    """Return the rule and a sentence for everything that is not as it was said."""
    return list(_changes(history, said, heard))


def _changes(history: History, said: Line, heard: Line) -> Iterator[tuple[str, str]]:
    known = _known(said.name, history.phase)
    free = _free(history, said)
    for member, value in said.body.items():
        if member in free:
            continue
        expected = history.script.cast[said.who].fingerprint if member == "caller_fingerprint" else value
        if member in known and value in (None, []) and not heard.body.get(member):
            continue
        rule = FORWARDED[said.name] if member in known else "WIRE-11"
        if member == "caller_fingerprint":
            rule = "CALL-2"
        if member not in heard.body:
            yield rule, f"the member {member!r} is missing, which was {_shown(expected)}"
        elif not same(expected, heard.body[member]):
            rule = "WIRE-12" if rule == "WIRE-11" and _nearly(expected, heard.body[member]) else rule
            yield rule, f"the member {member!r} is {_shown(heard.body[member])} and was {_shown(expected)}"
    for member, value in heard.body.items():
        if (
            member not in said.body
            and member not in free
            and not (member in known and value in (None, [], ""))
        ):
            yield FORWARDED[said.name], f"nobody said the member {member!r}, which is {_shown(value)}"


def _free(history: History, said: Line) -> set[str]:
    """Return the members that a relay removes or writes itself."""
    if said.name == "Hangup" and spec.exists("7", history.phase):
        return {"call_id"}
    if said.body.get("accept_mode") == "AcceptTrusted":
        return set()
    members = REMOVED.get(said.name, {})
    return {name for name, (since, _) in members.items() if spec.exists(since, history.phase)}


@cache
def _known(name: str, phase: str) -> frozenset[str]:
    view = schemas.view(phase, "accept")["$defs"]
    return frozenset(view[name]["properties"]) if name in view else frozenset()


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON values
    """Tell whether two JSON values mean the same: 1 and 1.0 do, 1 and true do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _nearly(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON values
    """Tell whether two JSON values are the same but for digits that a double does not have."""

    def rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(json.dumps(value), parse_int=float)

    return same(rounded(one), rounded(other))


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
