"""Strict JSON (spec/wire.md, WIRE-4 and WIRE-16): one reading of a payload, or none.

Parsers differ on doubled members, NaN, numbers outside a double, lone surrogates and depth; what
two parsers read differently can deceive one of them, so all of it is Malformed. Integers stay exact
(WIRE-12). What comes in here is hostile: nothing but Malformed is raised, the work is linear in the
payload, and its depth and how much is in it are known before anything is built or recurses.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

from reference.core.errors import Malformed, TooManyMembers

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object, such as a QualityProfile or a RoomParticipant."""

DEPTH_LIMIT = 64
"""The most objects and arrays that may be open at once (WIRE-4)."""

MEMBER_LIMIT = 16_384
"""The most members of objects and entries of arrays that may be in a payload, at every depth (WIRE-16)."""

_DIGITS = 308  # every integer of so many digits fits into a double
_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_WHITE_SPACE = b" \t\r\n"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]"))
_SHOWN = 40


def parse(payload: bytes) -> Json:
    """Return the JSON value that `payload` is; raises Malformed."""
    _check_extent(payload)
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


def _check_extent(payload: bytes) -> None:
    """Refuse what holds too much or is nested too deeply, without recursion, at the C library's speed."""
    opened = payload.count(b"[") + payload.count(b"{")
    if opened <= DEPTH_LIMIT and opened + payload.count(b",") <= MEMBER_LIMIT:
        return
    bare = _without_strings(payload).translate(_BRACES_TO_BRACKETS, _WHITE_SPACE)
    opened = bare.count(b"[")
    members = bare.count(b",") + opened - bare.count(b"[]")  # one more than commas, in all that are not empty
    if members > MEMBER_LIMIT or opened > MEMBER_LIMIT + 1:
        raise _too_many()
    brackets = bare.translate(None, _NO_BRACKETS)
    if len(brackets) == 2 * opened:
        for _ in range(DEPTH_LIMIT):  # each round takes away the innermost brackets, one level of depth
            brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise Malformed(f"over {DEPTH_LIMIT} objects and arrays are open at once, or some stay open")


def _without_strings(payload: bytes) -> bytes:
    """Return the payload with a letter in the place of each string; raises TooManyMembers.

    Of escapes only the two that hide where a string ends matter, and there are none outside strings.
    """
    if b"\\" in payload:
        payload = payload.replace(b"\\\\", b"").replace(b'\\"', b"")
    most = 2 * MEMBER_LIMIT + 1  # each is an entry, the name or the value of a member, or the whole payload
    if payload.count(b'"') > 2 * most:
        raise _too_many()
    return b"s".join(payload.split(b'"')[::2])


def _too_many() -> TooManyMembers:
    return TooManyMembers(f"the payload has over {MEMBER_LIMIT} members and entries, or is no JSON")


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
