"""Faults: what a view of the schemas refuses in a message, in the words in which the pages say it.

tools/playground/verdict.js words the same faults in the browser; a test in tests/pages compares the two.
Rules of this file: the view decides, and a fault names the place (a JSON pointer, RFC 6901), the value and
the limit; of several faults of one place the one is kept that explains the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

import schemas

Json: TypeAlias = Any
NOUNS = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
SIZES = {
    "minLength": ("characters", "at least"),
    "maxLength": ("characters", "at most"),
    "minItems": ("items", "at least"),
    "maxItems": ("items", "at most"),
    "minProperties": ("members", "at least"),
    "maxProperties": ("members", "at most"),
}
SHOWN = 60
EXPLAINS = {"type": None, "not": "pattern"}
"""Keywords whose fault makes others of the same place superfluous: all of them, or the one that is named."""


class Fault(NamedTuple):
    """One fault: the JSON pointer to its place, the sentence, and the keyword of the schema."""

    pointer: str
    text: str
    keyword: str


def faults(message: Json, phase: str, view: schemas.View) -> list[Fault]:
    """Return what the view of a phase refuses in a message, in the order of the places."""
    if isinstance(message, str):
        name, body = message, message
    elif isinstance(message, dict) and len(message) == 1:
        ((name, body),) = message.items()
    else:
        return [Fault("", f"{shown(message)} is neither an object of one member nor a string", "oneOf")]
    since = ages().get(name)
    if since is None:
        return [Fault("", f"no message is called {shown(name)}", "oneOf")]
    known = _definitions(phase, view)
    if name not in known:
        return [Fault("", f"{name} exists since phase {since}", "oneOf")]
    bare = "const" in known[name]
    if bare and body is not message:
        return [Fault(f"/{name}", f"{name} has no members and is written as a string", "oneOf")]
    if body is message and not bare:
        return [Fault(f"/{name}", f"{name} has members and is written as an object", "oneOf")]
    return _of_body(name, body, phase, view)


@cache
def ages() -> Mapping[str, str]:
    """Return the phase that each message exists since."""
    return {
        name: definition["x-since"]
        for stem in schemas.CHAPTERS
        for name, definition in schemas.load(stem)["$defs"].items()
        if definition.get("x-message")
    }


def shown(value: Json) -> str:
    """Return what shows a value: as it is written when it is short, and never a whole payload."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    written = json.dumps(value, ensure_ascii=False)
    return f"{written[:SHOWN]}…" if len(written) > SHOWN else written


@cache
def _definitions(phase: str, view: schemas.View) -> Mapping[str, Json]:
    found: Mapping[str, Json] = schemas.view(phase, view)["$defs"]
    return found


@cache
def _validator(name: str, phase: str, view: schemas.View) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _definitions(phase, view)})


def _of_body(name: str, body: Json, phase: str, view: schemas.View) -> list[Fault]:
    found = {
        Fault(f"/{name}{place}", text, str(error.validator))
        for error in _leaves(_validator(name, phase, view).iter_errors(body))
        for place, text in _worded(error)
    }
    kept = [one for one in found if not any(_explained(one, other) for other in found)]
    return sorted(kept)


def _explained(fault: Fault, other: Fault) -> bool:
    """Tell whether another fault of the same place says all that matters."""
    if fault.pointer != other.pointer or fault.keyword == other.keyword or other.keyword not in EXPLAINS:
        return False
    return EXPLAINS[other.keyword] in {None, fault.keyword}


def _leaves(errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Yield the errors themselves, not that there are some below; a null that would do as well is named."""
    for error in errors:
        if error.validator == "anyOf":
            for inner in _leaves(iter(error.context)):
                if inner.validator_value != "null":
                    yield inner
        else:
            yield error


def _worded(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the place below the body, and the sentence, of everything that one error says."""
    place = "".join(f"/{escaped(part)}" for part in error.absolute_path)
    keyword, limit, value = (
        str(error.validator),
        cast("Json", error.validator_value),
        cast("Json", error.instance),
    )
    if keyword == "required":
        for name in limit:
            if name not in value:
                yield place, f"the member {name} is missing"
    elif keyword == "additionalProperties":
        for name in value:
            if name not in cast("Json", error.schema)["properties"]:
                yield f"{place}/{escaped(name)}", f"the phase has no member {shown(name)}"
    elif keyword in SIZES:
        things, bound = SIZES[keyword]
        yield place, f"{len(value)} {things}, and {bound} {limit}"
    else:
        yield place, f"{shown(value)} {_broken(error, keyword, limit)}"


def _broken(error: ValidationError, keyword: str, limit: Json) -> str:
    words = {
        "type": lambda: f"is not {NOUNS[limit]}{_or_null(error)}",
        "enum": lambda: f"is none of {', '.join(json.dumps(one) for one in limit)}",
        "pattern": lambda: f"does not match {limit}",
        "not": lambda: f"matches {limit['pattern']}, which is not allowed",
        "minimum": lambda: f"is under {limit}",
        "maximum": lambda: f"is over {limit}",
    }
    return words[keyword]()


def _or_null(error: ValidationError) -> str:
    """Return " or null" where the value of this place may also be null."""
    above = error.parent
    return " or null" if above is not None and above.absolute_path == error.absolute_path else ""


def escaped(name: str | int) -> str:
    """Return a name as a part of a JSON pointer."""
    return str(name).replace("~", "~0").replace("/", "~1")
