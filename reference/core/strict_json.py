"""Strict JSON (spec/wire.md, WIRE-4): one reading of a payload, or none.

Parsers differ on doubled members, NaN, numbers outside a double, lone surrogates and depth; what
two parsers read differently can deceive one of them, so all of it is Malformed. Integers stay exact
(WIRE-12). What comes in here is hostile: nothing but Malformed is raised, the work is linear in the
payload, and the depth is known before anything recurses.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from reference.core.errors import Malformed

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object, such as a QualityProfile or a RoomParticipant."""

DEPTH_LIMIT = 64
"""The most objects and arrays that may be open at once (WIRE-4)."""

_DIGITS = 308  # every integer of so many digits fits into a double
# An unterminated string matches too: a second attempt at each of its quotes would be quadratic.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACES_OR_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SHOWN = 40


def parse(payload: bytes) -> Json:
    """Return the JSON value that `payload` is; raises Malformed."""
    _check_depth(payload)
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the payload is not UTF-8 at byte {error.start}") from None
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise Malformed(f"the payload is not JSON at character {error.pos}: {error.msg.lower()}") from None
    if "\\u" in text:  # only an escape can spell a lone surrogate
        _check_surrogates(value)
    return value


def write(value: Json) -> bytes:
    """Return `value` as compact UTF-8; raises ValueError or TypeError for what is not JSON."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def shown(value: Json) -> str:
    """Return what evidence says of `value`: short, on one line, and never a whole payload."""
    if isinstance(value, str):
        return ascii(value[:_SHOWN])
    if isinstance(value, dict):
        return f"an object of {len(value)} members"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)} entries"
    return json.dumps(value)[:_SHOWN]


def _check_depth(payload: bytes) -> None:
    """Refuse what is nested too deeply, without recursion and at the speed of the C library."""
    if payload.count(b"[") + payload.count(b"{") <= DEPTH_LIMIT:
        return
    brackets = _STRING.sub(b"", payload).translate(_BRACES_TO_BRACKETS, _NO_BRACES_OR_BRACKETS)
    for _ in range(DEPTH_LIMIT):  # each round takes away the innermost brackets, one level of depth
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise Malformed(f"over {DEPTH_LIMIT} objects and arrays are open at once, or some stay open")


def _check_surrogates(value: Json) -> None:
    try:
        write(value)
    except UnicodeEncodeError as error:
        raise Malformed(f"the payload has the lone surrogate {error.object[error.start]!a}") from None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        ((double, _),) = Counter(name for name, _ in members).most_common(1)
        raise Malformed(f"an object has the member {shown(double)} twice")
    return found


def _constant(text: str) -> NoReturn:
    raise Malformed(f"the payload has {text}, which is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Malformed(f"the number {text[:_SHOWN]} is outside the range of a double")
    return number


def _integer(text: str) -> int | float:
    if text == "-0":  # a zero with a sign is no integer: deployed parsers read it as a fraction too
        return -0.0
    if len(text) > _DIGITS:
        _float(text)
    return int(text)
