"""Wire (spec/wire.md): frames of a stream and, inside them, messages.

A frame is an unsigned 32-bit big-endian length and that many bytes, one frame a stream. A frame
over the limit is refused as soon as its length is known (WIRE-2), one whose stream ends early when
it ends (WIRE-3). A payload is strict JSON (WIRE-4); its shape is what the schemas say (WIRE-5).
Whatever a payload does wrong is raised as BadMessage, and nothing else is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import EnumType
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args, get_type_hints

from jsonschema_rs import Draft202012Validator, ValidationError

import schemas
from reference.core import strict_json
from reference.core.errors import (
    FrameCutShort,
    FrameTooLong,
    Misuse,
    SchemaViolation,
    UnknownMessage,
)
from reference.core.messages import NAMES, AuthToken, Json, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reference.core.phases import Phase

FRAME_LIMIT = 1_048_576
"""The most bytes a frame carries (WIRE-1)."""

_LENGTH_BYTES = 4
_EVIDENCE = 200
_ITEMS = "[]"


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
    name, body = _open(strict_json.parse(payload))
    shape = _shapes(phase).get(name)
    if shape is None:
        raise UnknownMessage(f"no message of phase {phase} is called {strict_json.shown(name)}")
    shape.check(body)
    values = {name: read(body[name]) for name, read in shape.readers.items() if body.get(name) is not None}
    rest = {name: value for name, value in body.items() if name not in shape.readers}
    return shape.kind(**values, rest=rest)


def encode(message: Message, phase: Phase) -> bytes:
    """Return the payload of `message` as an implementation of `phase` writes it (WIRE-10): compact UTF-8.

    Members stand in the order of the schema, those of `rest` behind them; members that are younger
    than the phase are left out. Raises Misuse for what no peer of the phase could read.
    """
    name = type(message).__name__
    shape = _shapes(phase).get(name)
    if shape is None:
        raise Misuse(f"phase {phase} has no message {name}")
    body = {
        name: list(value) if isinstance(value, bytes) else value
        for name in shape.readers
        if (value := getattr(message, name)) is not None or name in shape.nulls
    }
    for member in message.rest:
        if member in shape.readers:
            raise Misuse(f"the rest of {name} has {member!r}, which phase {phase} knows")
    body |= message.rest
    try:
        shape.check(body)
        return strict_json.write({name: body})
    except (SchemaViolation, TypeError, ValueError) as fault:
        raise Misuse(f"no peer of phase {phase} could read this {name}: {fault}") from fault


@dataclass(frozen=True, slots=True)
class _Shape:
    """One message as one phase knows it: `readers` has its members in the order of the schema."""

    kind: type[Message]
    readers: Mapping[str, Callable[[Any], Any]]
    nulls: frozenset[str]
    validator: Draft202012Validator
    integers: tuple[tuple[str, ...], ...]

    def check(self, body: Json) -> None:
        """Raise SchemaViolation unless `body` is a body of this message (WIRE-5)."""
        try:
            self.validator.validate(body)  # stops at the first error: a hostile body may hold a million
        except ValidationError as error:
            keyword = str(error.schema_path[-1])
            found = error.message if keyword == "required" else self._shown(cast("Json", error.instance))
            self._refuse(error.instance_path, keyword, found)
        for path in self.integers:
            for value in _reach(body, path):
                # JSON Schema takes 1.0 for an integer; deployed parsers do not, and nor do we.
                if isinstance(value, float):
                    self._refuse(path, "integer", self._shown(value))

    def _shown(self, value: Json) -> str:
        return "a secret" if self.kind is AuthToken else strict_json.shown(value)

    def _refuse(self, path: Iterable[str | int], rule: str, found: str) -> NoReturn:
        place = ".".join([self.kind.__name__, *map(str, path)])
        evidence = f"the value at {place} breaks the rule {rule} of its schema: {found}"
        raise SchemaViolation(evidence[:_EVIDENCE])


@cache
def _shapes(phase: Phase) -> Mapping[str, _Shape]:
    """Return every message of `phase`; the cache is bounded by the number of phases."""
    accept, emit = (schemas.view(phase.value, view)["$defs"] for view in ("accept", "emit"))
    return {name: _shape(name, accept, emit) for name in schemas.messages(phase.value)}


def _shape(name: str, accept: dict[str, Any], emit: dict[str, Any]) -> _Shape:
    kind = NAMES[name]
    hints = get_type_hints(kind)
    return _Shape(
        kind=kind,
        readers={member: _reader(hints[member]) for member in accept[name]["properties"]},
        nulls=frozenset(
            member
            for member, schema in emit[name]["properties"].items()
            if {"type": "null"} in schema.get("anyOf", ())
        ),
        validator=Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": accept}),
        integers=tuple(_integers(accept[name], accept)),
    )


def _reader(hint: object) -> Callable[[Any], Any]:
    """Return what makes the value of a field out of the value of a member."""
    for kind in (hint, *get_args(hint)):
        if kind is bytes or isinstance(kind, EnumType):
            return kind
    return lambda value: value


def _integers(schema: dict[str, Any], types: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Return the path to each integer in a value of `schema`."""
    if "$ref" in schema:
        yield from _integers(types[schema["$ref"].rpartition("/")[2]], types)
    if schema.get("type") == "integer":
        yield ()
    steps = list(schema.get("properties", {}).items())
    if "items" in schema:
        steps.append((_ITEMS, schema["items"]))
    for step, below in steps:
        yield from ((step, *path) for path in _integers(below, types))
    for choice in schema.get("anyOf", ()):
        yield from _integers(choice, types)


def _reach(value: object, path: tuple[str, ...]) -> Iterator[object]:
    """Return every value that `path` leads to."""
    if not path:
        yield value
    elif isinstance(value, list | tuple):
        if len(path) == 1:
            yield from value
        else:
            for item in value:
                yield from _reach(item, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _reach(value[path[0]], path[1:])


def _open(value: Json) -> tuple[str, Any]:
    """Return the name and the body of a message; one without members has its name for a body."""
    if isinstance(value, str):
        return value, value
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.items()))
    raise SchemaViolation(
        f"no message is {strict_json.shown(value)}, but an object of one member or a string"
    )
