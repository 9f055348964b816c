"""Generate: messages drawn from the views of the schemas, valid ones and ones with a single fault.

A message is the JSON value that stands on the wire: `{"Name": {...}}`, or a string for one without
members. The walker knows exactly the keywords that the views use, and refuses any other, so that
nothing a schema says is overlooked.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Schema = dict[str, Any]
Path = tuple[str | int, ...]

_ABSENT = object()
_LONGEST_TEXT = 20
_MOST_ITEMS = 3
_LARGEST_NUMBER = 1e9
_FULL_WIDTH = 255
_CARRIED = ("DirectCallOffer", "CallRinging", "DirectCallAnswer", "CallSetup", "Hangup", "MediaPathReport")
"""What an envelope carries between relays (spec/federation.md)."""
_KEYWORDS = frozenset(
    {
        "$ref",
        "$comment",
        "description",
        "type",
        "anyOf",
        "enum",
        "const",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "pattern",
        "not",
        "maxLength",
    }
)


class Fault(NamedTuple):
    """A message with one fault: `name` says which one and where, such as `call_id: missing`."""

    name: str
    message: Any


def valid(message: str, phase: str, view: schemas.View) -> st.SearchStrategy[Any]:
    """Return messages called `message` that `phase` emits, or that it has to accept.

    Raises ValueError for a message or phase that does not exist.
    """
    types = _types(message, phase, view)
    body = _values(types[message], types, full=False)
    return body if "const" in types[message] else body.map(lambda value: {message: value})


def faults(message: str, phase: str) -> dict[str, st.SearchStrategy[Fault]]:
    """Return, by the name of the fault, messages that `phase` must not accept for this reason alone.

    Every member is there, so that there is nothing a fault could not be found in.
    Raises ValueError for a message or phase that does not exist, and for a message without members.
    """
    emit, accept = _types(message, phase, "emit"), _types(message, phase, "accept")
    if "const" in emit[message]:
        sentence = f"the message {message} has no members to go wrong"
        raise ValueError(sentence)
    whole = _values(emit[message], emit, full=True)

    def spoilt(name: str, path: Path, bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Fault]:
        return st.tuples(whole, bad).map(lambda drawn: Fault(name, {message: _put(drawn[0], path, drawn[1])}))

    return {name: spoilt(name, path, bad) for name, path, bad in _faults(accept[message], accept, ())}


def one_fault(message: str, phase: str) -> st.SearchStrategy[Fault]:
    """Return messages called `message` with any one of their `faults`."""
    return st.one_of(list(faults(message, phase).values()))


def json_values() -> st.SearchStrategy[Any]:
    """Return small JSON values of every kind, for members that a phase does not know."""
    integers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
    floats = st.floats(allow_nan=False, allow_infinity=False)
    scalars = st.none() | st.booleans() | integers | floats | st.text(max_size=_LONGEST_TEXT)
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=5,
    )


def _types(message: str, phase: str, view: schemas.View) -> dict[str, Schema]:
    if message not in schemas.messages(phase):
        sentence = f"phase {phase} has no message {message!r}"
        raise ValueError(sentence)
    types: dict[str, Schema] = schemas.view(phase, view)["$defs"]
    return types


def _resolve(schema: Schema, types: dict[str, Schema]) -> Schema:
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = types[schema["$ref"].removeprefix("#/$defs/")] | beside
    unknown = set(schema) - _KEYWORDS
    if unknown:
        sentence = f"the walker does not know the keywords {sorted(unknown)}"
        raise ValueError(sentence)
    return schema


def _values(schema: Schema, types: dict[str, Schema], *, full: bool) -> st.SearchStrategy[Any]:
    """Return values of `schema`; `full` ones leave no optional member out and no list empty."""
    schema = _resolve(schema, types)
    if "anyOf" in schema:
        choices = schema["anyOf"][:1] if full else schema["anyOf"]
        return st.one_of([_values(choice, types, full=full) for choice in choices])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    makers: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "object": lambda: _objects(schema, types, full=full),
        "array": lambda: _arrays(schema, types, full=full),
        "string": lambda: _texts(schema),
        "integer": lambda: st.integers(min_value=schema["minimum"], max_value=schema["maximum"]),
        "number": lambda: st.floats(min_value=float(schema["minimum"]), max_value=_LARGEST_NUMBER),
        "boolean": st.booleans,
        "null": st.none,
    }
    if schema["type"] not in makers:
        sentence = f"the walker does not know the type {schema['type']!r}"
        raise ValueError(sentence)
    return makers[schema["type"]]()


def _carried(schema: Schema, types: dict[str, Schema], *, full: bool) -> st.SearchStrategy[Any]:
    """Return whole messages of the phase, as they stand inside an envelope: objects of one member."""
    if (1, 1) != (schema.get("minProperties"), schema.get("maxProperties")):
        sentence = "the walker does not know what is in an object without properties"
        raise ValueError(sentence)
    return st.one_of(
        [
            st.fixed_dictionaries({name: _values(types[name], types, full=full)})
            for name in _CARRIED
            if name in types
        ]
    )


def _objects(schema: Schema, types: dict[str, Schema], *, full: bool) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return _carried(schema, types, full=full)
    members = {name: _values(value, types, full=full) for name, value in schema["properties"].items()}
    always = members if full else {name: members[name] for name in schema["required"]}
    sometimes = {name: value for name, value in members.items() if name not in always}
    known = st.fixed_dictionaries(always, optional=sometimes)
    if schema.get("additionalProperties", True) is False:
        return known
    names = st.text(max_size=_LONGEST_TEXT).filter(lambda name: name not in members)
    unknown = st.dictionaries(names, json_values(), max_size=2)
    return st.tuples(known, unknown).map(lambda pair: pair[0] | pair[1])


def _arrays(schema: Schema, types: dict[str, Schema], *, full: bool) -> st.SearchStrategy[Any]:
    least = max(schema.get("minItems", 0), 1 if full else 0)
    most = schema.get("maxItems", least + _MOST_ITEMS)
    if schema["items"] == {"type": "integer", "minimum": 0, "maximum": _FULL_WIDTH}:
        return st.binary(min_size=least, max_size=most).map(list)
    return st.lists(_values(schema["items"], types, full=full), min_size=least, max_size=most)


def _texts(schema: Schema) -> st.SearchStrategy[str]:
    if "pattern" not in schema:
        return st.text(max_size=min(_LONGEST_TEXT, schema.get("maxLength", _LONGEST_TEXT)))
    texts = st.from_regex(schema["pattern"], fullmatch=True, alphabet=st.characters(codec="ascii"))
    never = schema.get("not", {}).get("pattern")
    return texts if never is None else texts.filter(lambda text: re.search(never, text) is None)


def _faults(
    schema: Schema, types: dict[str, Schema], path: Path
) -> Iterator[tuple[str, Path, st.SearchStrategy[Any]]]:
    """Return every single fault of a value of `schema` that is found at `path`."""
    schema = _resolve(schema, types)
    nullable = "anyOf" in schema
    inner = _resolve(schema["anyOf"][0], types) if nullable else schema
    place = ".".join(map(str, path)) or "body"
    for name, values in _spoilt(inner, nullable=nullable):
        yield f"{place}: {name}", path, values
    for name, member in inner.get("properties", {}).items():
        if name in inner["required"]:
            yield f"{'.'.join(map(str, (*path, name)))}: missing", (*path, name), st.just(_ABSENT)
        yield from _faults(member, types, (*path, name))
    if "items" in inner:
        yield from _faults(inner["items"], types, (*path, 0))


def _spoilt(schema: Schema, *, nullable: bool) -> Iterator[tuple[str, st.SearchStrategy[Any]]]:
    """Return what breaks `schema` itself, by the name of the rule that it breaks."""
    if "enum" in schema:
        yield "unknown", st.text(max_size=_LONGEST_TEXT).filter(lambda text: text not in schema["enum"])
        return
    samples = {
        "object": {"unknown": 1},
        "array": [],
        "string": "7",
        "integer": 7,
        "number": 1.5,
        "boolean": True,
        "null": None,
    }
    taken = {schema["type"], *(["null"] if nullable else [])}
    taken |= {"integer"} if schema["type"] == "number" else set()
    yield "of another type", st.sampled_from([samples[kind] for kind in samples if kind not in taken])
    if "minItems" in schema and "maxItems" in schema:
        yield "too short", st.binary(max_size=schema["minItems"] - 1).map(list)
        longer = schema["maxItems"] + 1
        yield "too long", st.binary(min_size=longer, max_size=longer + _MOST_ITEMS).map(list)
    if "minProperties" in schema:
        yield "too few members", _filled(0, schema["minProperties"] - 1)
    if "maxProperties" in schema:
        longer = schema["maxProperties"] + 1
        yield "too many members", _filled(longer, longer + _MOST_ITEMS)
    if "minimum" in schema:
        yield "too small", st.integers(max_value=schema["minimum"] - 1)
    if "maximum" in schema:
        yield "too large", st.integers(min_value=schema["maximum"] + 1, max_value=2**70)
    if "maxLength" in schema:
        yield "too long", st.just("a" * (schema["maxLength"] + 1))
    if "pattern" in schema:
        texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"))
        yield "ill-formed", texts.filter(lambda text: re.search(schema["pattern"], text) is None)


def _filled(least: int, most: int) -> st.SearchStrategy[Any]:
    """Return objects of `least` to `most` members with anything in them."""
    return st.dictionaries(st.text(max_size=_LONGEST_TEXT), json_values(), min_size=least, max_size=most)


def _put(whole: Any, path: Path, value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Return `whole` with `value` at `path`, or with nothing there."""
    if not path:
        return value
    whole = copy.deepcopy(whole)
    *way, last = path
    target = whole
    for step in way:
        target = target[step]
    if value is _ABSENT:
        del target[last]
    else:
        target[last] = value
    return whole
