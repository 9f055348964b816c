"""Wire (spec/wire.md): frames of a stream and, inside them, messages.

A frame is an unsigned 32-bit big-endian length and that many bytes, one frame a stream. A frame
over the limit is refused as soon as its length is known (WIRE-2), one whose stream ends early when
it ends (WIRE-3). A payload is strict JSON (WIRE-4); its shape is what the schemas say (WIRE-5, in
reference/core/shapes.py). A message without members is its name, a string (WIRE-15). Whatever a
payload does wrong is raised as BadMessage, and nothing else is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference.core import strict_json
from reference.core.errors import (
    FrameCutShort,
    FrameTooLong,
    Misuse,
    SchemaViolation,
    UnknownMessage,
)
from reference.core.shapes import shapes

if TYPE_CHECKING:
    from reference.core.messages import Message
    from reference.core.phases import Phase
    from reference.core.shapes import Shape
    from reference.core.strict_json import Json

FRAME_LIMIT = 1_048_576
"""The most bytes a frame carries (WIRE-1)."""

_LENGTH_BYTES = 4


def frame(payload: bytes) -> bytes:
    """Return `payload` behind its length; raises Misuse when it is over FRAME_LIMIT bytes."""
    if len(payload) > FRAME_LIMIT:
        raise Misuse(f"a payload of {len(payload)} bytes is over the limit of {FRAME_LIMIT}")
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


class FrameReader:
    """Read the one frame of one stream, whatever pieces it comes in.

    It holds no more than the bytes that came, and none once the frame is whole or refused.
    """

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        """Refuse a payload of more than `limit` bytes."""
        self._limit = limit
        self._buffer = bytearray()
        self._wanted: int | None = None
        self._done = False

    @property
    def done(self) -> bool:
        """Tell whether the frame is whole or refused: nothing more can come of this stream."""
        return self._done

    def feed(self, data: bytes, *, fin: bool) -> bytes | None:
        """Take the next bytes of the stream; return the payload once, as soon as it is whole.

        The payload does not wait for the end of the stream; bytes behind the frame are discarded.
        Raises FrameTooLong as soon as the length is known, FrameCutShort when `fin` comes too
        early. After either, and after the payload, all bytes are discarded and None is returned.
        """
        if self._done:
            return None
        self._buffer += data
        if self._wanted is None and len(self._buffer) >= _LENGTH_BYTES:
            self._wanted = self._announced()
        if self._wanted is not None and len(self._buffer) >= _LENGTH_BYTES + self._wanted:
            payload = bytes(self._buffer[_LENGTH_BYTES : _LENGTH_BYTES + self._wanted])
            self._finish()
            return payload
        if fin:
            raise self.cut_short()
        return None

    def cut_short(self) -> FrameCutShort:
        """Return the fault of a stream that ended, was reset or stalled here; discard the rest."""
        came, wanted, part = len(self._buffer), _LENGTH_BYTES, "length"
        if self._wanted is not None:
            came, wanted, part = came - _LENGTH_BYTES, self._wanted, "payload"
        self._finish()
        return FrameCutShort(f"the stream ended after {came} of {wanted} bytes of the {part}")

    def _announced(self) -> int:
        announced = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if announced > self._limit:
            self._finish()
            raise FrameTooLong(f"the frame announces {announced} bytes, over the limit of {self._limit}")
        return announced

    def _finish(self) -> None:
        self._done = True
        self._buffer = bytearray()


def decode(payload: bytes, phase: Phase) -> Message:
    """Return the message in `payload` as an implementation of `phase` reads it, in any order (WIRE-9).

    Raises Malformed (WIRE-4), UnknownMessage (WIRE-6, PHASE-1) or SchemaViolation (WIRE-5). What the phase
    does not know of a message is kept in its `rest` (WIRE-7, WIRE-11, PHASE-2).
    """
    return read(strict_json.parse(payload), phase)


def read(value: Json, phase: Phase) -> Message:
    """Return the message that a JSON value is, as `decode` does; an envelope carries one (federation)."""
    name, body = _open(value)
    shape = shapes(phase).get(name)
    if shape is None:
        raise UnknownMessage(f"no message of phase {phase} is called {strict_json.shown(name)}")
    if not shape.bare:
        shape.check(body)
    elif isinstance(value, str):
        body = {}
    else:
        raise SchemaViolation(f"{name} has no members and is a string, not {strict_json.shown(value)}")
    values: dict[str, Any] = {}
    rest: dict[str, Json] = {}
    for member, item in body.items():
        read = shape.readers.get(member)
        if read is None:
            rest[member] = item
        elif item is not None:
            values[member] = read(item)
    return shape.kind(**values, rest=rest)


def encode(message: Message, phase: Phase) -> bytes:
    """Return the payload of `message` as an implementation of `phase` writes it (WIRE-10): compact UTF-8.

    Members stand in the order of the schema, those of `rest` behind them; members that are younger
    than the phase are left out. Raises Misuse for what no peer of the phase could read.
    """
    value = written(message, phase)
    try:
        return strict_json.write(value)
    except (TypeError, ValueError) as fault:
        name = type(message).__name__
        raise Misuse(f"no peer of phase {phase} could read this {name}: {fault}") from fault


def written(message: Message, phase: Phase) -> Json:
    """Return the JSON value that `encode` writes; an envelope carries one (federation)."""
    name = type(message).__name__
    shape = shapes(phase).get(name)
    if shape is None:
        raise Misuse(f"phase {phase} has no message {name}")
    for member in message.rest:
        if shape.bare:
            raise Misuse(f"{name} has no members, and its rest has {member!r}")
        if member in shape.readers:
            raise Misuse(f"the rest of {name} has {member!r}, which phase {phase} knows")
    if shape.bare:
        return name
    body = _body(message, shape)
    try:
        shape.check(body)
    except (SchemaViolation, TypeError, ValueError) as fault:
        raise Misuse(f"no peer of phase {phase} could read this {name}: {fault}") from fault
    return {name: body}


def _open(value: Json) -> tuple[str, Any]:
    """Return the name and the body of a message; one without members has its name for a body."""
    if isinstance(value, str):
        return value, value
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.items()))
    raise SchemaViolation(
        f"no message is {strict_json.shown(value)}, but an object of one member or a string"
    )


def _body(message: Message, shape: Shape) -> dict[str, Json]:
    """Return the members that `message` has a value for, or that are written without one."""
    body: dict[str, Json] = {}
    for member in shape.readers:
        value = getattr(message, member)
        if isinstance(value, bytes):
            body[member] = list(value)
        elif value is None:
            if member in shape.nulls:
                body[member] = None
        elif value or member not in shape.lists:
            body[member] = value
    body |= message.rest
    return body
