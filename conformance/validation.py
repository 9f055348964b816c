"""Validation: messages against the views of the schemas, with the suite's own validator (WIRE-5, WIRE-10)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import jsonschema
from jsonschema.protocols import Validator

import schemas
from conformance.codec import Message, body_of, name_of


@cache
def _validators(phase: str, view: schemas.View) -> dict[str, Validator]:
    whole = schemas.view(phase, view)
    return {
        name: jsonschema.Draft202012Validator(
            {"$schema": whole["$schema"], "$ref": f"#/$defs/{name}", "$defs": whole["$defs"]}
        )
        for name in schemas.messages(phase)
    }


def faults(message: Message, phase: str, view: schemas.View) -> Iterator[str]:
    """Yield one sentence for everything that the view of the phase refuses in a message."""
    name = name_of(message)
    validator = _validators(phase, view).get(name)
    if validator is None:
        yield f"{name!r} is no message of phase {phase}"
        return
    if isinstance(message, str):
        if not _bare(name, phase, view):
            yield f"{name!r} has members, and stands here without"
        return
    for error in validator.iter_errors(body_of(message)):
        yield f"{name}{error.json_path[1:]}: {error.message[:200]}"


def _bare(name: str, phase: str, view: schemas.View) -> bool:
    definition = schemas.view(phase, view)["$defs"][name]
    return bool(definition.get("const") == name or definition.get("type") == "string")
