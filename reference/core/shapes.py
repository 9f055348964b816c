"""Shapes (spec/wire.md, WIRE-5): what each phase knows of each message, read from the schemas.

The half of the wire that knows what the members of a message are: reference/core/wire.py turns bytes
into JSON, and asks here whether the JSON is a message of its phase. A member that a phase does not
know has no reader there, and no rule (WIRE-7). An integer is written as one: JSON Schema takes 1.0
for an integer, deployed parsers do not, and nor do we.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import EnumType
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, cast, get_args, get_type_hints

from jsonschema_rs import Draft202012Validator, ValidationError

import schemas
from reference.core import strict_json
from reference.core.errors import SchemaViolation
from reference.core.messages import NAMES, AuthToken, Message
from reference.core.strict_json import Json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from reference.core.phases import Phase

_EVIDENCE = 200
_ITEMS = "[]"


@dataclass(frozen=True, slots=True)
class Shape:
    """One message as one phase knows it.

    `readers` has its members in the order of the schema, with what makes the value of a field out of
    theirs. `nulls` are the members that are written as null when there is no value, `lists` those
    that are left out when they are empty (WIRE-13) and never null (WIRE-14). `bare`: it has no members,
    and is a string (WIRE-15).
    """

    kind: type[Message]
    readers: Mapping[str, Callable[[Any], Any]]
    nulls: frozenset[str]
    lists: frozenset[str]
    bare: bool
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
                if isinstance(value, float):
                    self._refuse(path, "integer", self._shown(value))

    def _shown(self, value: Json) -> str:
        return "a secret" if self.kind is AuthToken else strict_json.shown(value)

    def _refuse(self, path: Iterable[str | int], rule: str, found: str) -> NoReturn:
        place = ".".join([self.kind.__name__, *map(str, path)])
        evidence = f"the value at {place} breaks the rule {rule} of its schema: {found}"
        raise SchemaViolation(evidence[:_EVIDENCE])


@cache
def shapes(phase: Phase) -> Mapping[str, Shape]:
    """Return every message of `phase` by its name; the cache is bounded by the number of phases."""
    accept, emit = (schemas.view(phase.value, view)["$defs"] for view in ("accept", "emit"))
    return {name: _shape(name, accept, emit) for name in schemas.messages(phase.value)}


def _shape(name: str, accept: dict[str, Any], emit: dict[str, Any]) -> Shape:
    kind = NAMES[name]
    hints = get_type_hints(kind, localns=vars(strict_json))  # where Json is defined
    written = emit[name].get("properties", {})
    lists = frozenset(field.name for field in fields(kind) if field.default == () and field.name in written)
    return Shape(
        kind=kind,
        readers={key: tuple if key in lists else _reader(hints[key]) for key in written},
        nulls=frozenset(key for key, one in written.items() if {"type": "null"} in one.get("anyOf", ())),
        lists=lists,
        bare="const" in accept[name],
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
