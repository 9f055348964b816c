"""Codec (spec/wire.md, spec/media.md): frames, JSON and the media header, the suite's own.

Strict on purpose: what an implementation puts on the wire is read without any tolerance, so that a
value two parsers would read differently is a finding and not a surprise.
"""

from __future__ import annotations

import json
import math
from typing import Any

FRAME_LIMIT = 1_048_576
DEPTH_LIMIT = 64
MEMBER_LIMIT = 16_384
LARGE = 16_384
"""Bytes of the largest message of a call that is taken (spec/call.md)."""
HEADER_LENGTH = 12
_LENGTH = 4

Message = dict[str, Any] | str


class NotAMessageError(ValueError):
    """Bytes that are no message as spec/wire.md defines it; the sentence says why."""


def payload(message: Message) -> bytes:
    """Return a message as compact JSON in UTF-8."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def frame(content: bytes) -> bytes:
    """Return a payload behind its length."""
    return len(content).to_bytes(_LENGTH, "big") + content


def encode(message: Message) -> bytes:
    """Return a message as one frame."""
    return frame(payload(message))


def whole(buffer: bytes | bytearray) -> bytes | None:
    """Return the payload of the first frame of a stream, or None while it is not whole."""
    if len(buffer) < _LENGTH:
        return None
    end = _LENGTH + int.from_bytes(buffer[:_LENGTH], "big")
    return bytes(buffer[_LENGTH:end]) if len(buffer) >= end else None


def decode(content: bytes) -> Message:
    """Return the message of a payload; raises NotAMessageError for what WIRE-4 calls malformed."""
    try:
        text = content.decode("utf-8")
        _depth(text)
        value = json.loads(text, object_pairs_hook=_object, parse_float=_double, parse_constant=_no)
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeError, json.JSONDecodeError, RecursionError) as error:
        message = f"{content[:80]!r} is not one JSON value in UTF-8: {error}"
        raise NotAMessageError(message) from None
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), dict):
        return value
    message = f"{content[:80]!r} is neither a name nor an object with one member that is an object"
    raise NotAMessageError(message)


def name_of(message: Message) -> str:
    """Return the name of a message."""
    return message if isinstance(message, str) else next(iter(message))


def body_of(message: Message) -> dict[str, Any]:
    """Return the members of a message; those of a bare name are none."""
    return {} if isinstance(message, str) else next(iter(message.values()))


def enlarged(message: Message) -> Message:
    """Return a message with one more member, which makes it a few bytes larger than LARGE."""
    body_of(message)["later"] = "x" * (LARGE + 1 - len(payload(message)))
    return message


def crowded(message: Message, count: int) -> dict[str, bytes]:
    """Return payloads of a message with one more member, which has `count` members and entries so (WIRE-16).

    They are named after what most of it is. One has a text that only looks as if there were more.
    """
    body, place = body_of(message), "in its place"
    text = payload({name_of(message): {**body, "later": place}})
    left = count - _members({name_of(message): body}) - 1
    kinds = {
        "numbers": [b'"' + b'[,{,\\",' * 4096 + b'"', *[b"1"] * (left - 1)],
        "empty arrays and objects": [b"[ ]", *[b"{}"] * (left - 1)],
        "objects of one member": [b"1"] * (left % 2) + [b'{"y":0}'] * (left // 2),
    }
    filled = {kind: b"[" + b",".join(entries) + b"]" for kind, entries in kinds.items()}
    filled["members"] = b"{" + b" , ".join(b'"%d":0' % number for number in range(left)) + b"}"
    return {kind: text.replace(payload(place), value) for kind, value in filled.items()}


def _members(value: object) -> int:
    """Count the members and entries of a value, at every depth."""
    if isinstance(value, dict):
        return len(value) + sum(map(_members, value.values()))
    return len(value) + sum(map(_members, value)) if isinstance(value, list) else 0


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = sorted(name for name, _ in pairs)
        message = f"an object has a member twice, of {names}"
        raise NotAMessageError(message)
    return value


def _double(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _no(text)
    return number


def _no(text: str) -> float:
    message = f"{text} is no number on the wire"
    raise NotAMessageError(message)


def _depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return  # as in almost every message, and much quicker told
    depth, quoted, escaped = 0, False, False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                message = f"more than {DEPTH_LIMIT} objects and arrays are open at once"
                raise NotAMessageError(message)
        elif character in "]}":
            depth -= 1


def datagram(
    content: bytes, *, codec: int = 0, sequence: int = 0, quality: bool = False, reserved: bool = False
) -> bytes:
    """Return a media datagram (spec/media.md, The datagram).

    `quality` sets Q; the report, four bytes, is the end of `content`. `reserved` sets every reserved bit.
    """
    first = (codec & 0x0F) << 2 | int(quality) << 1 | (0x80 if reserved else 0)
    second = 0x03 if reserved else 0
    tail = bytes([0, 0, 0xAB if reserved else 0, 0])
    timestamp = (20 * sequence & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes([first, second]) + (sequence & 0xFFFF).to_bytes(2, "big") + timestamp + tail + content
