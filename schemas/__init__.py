"""Schemas: the shape of every message, a source file for each chapter, and views made from them.

A source is JSON Schema 2020-12 with four keywords of our own:

    x-message   the definition is a message; with `const` it is one without members, a bare string
    x-since     the phase that a message or a property exists since
    x-absent    how a sender spells an optional property it has no value for: "omit", "null" or "empty"
    x-bytes     the array is one value, a string of bytes, and no list

A view says the same for one phase without these keywords: "emit" is what a sender of that phase may
write, "accept" what a receiver of that phase has to take (spec/wire.md, spec/phases.md).
`python -m schemas.build` writes the views.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final, Literal

PHASES: Final = ("0", "1", "2", "3", "3.5", "4", "5", "5.5", "6", "7")
"""The names of the phases, oldest first (spec/phases.md)."""

CHAPTERS: Final = (
    "wire",
    "registration",
    "reflection",
    "call",
    "candidates",
    "agreement",
    "media",
    "federation",
)
"""The stems of the source files, in the order of the specification."""

View = Literal["emit", "accept"]


def load(stem: str) -> dict[str, Any]:
    """Return the source schema of the chapter `stem`; raises ValueError for a stem without one."""
    if stem not in CHAPTERS:
        raise ValueError(f"no schema is called {stem!r}: there are {', '.join(CHAPTERS)}")
    return _read(f"{stem}.schema.json")


def view(phase: str, view: View) -> dict[str, Any]:
    """Return the generated schema of what `phase` emits or accepts.

    `$defs` holds the body of every message under its name; the schema itself is one whole message.
    Raises ValueError for a phase or a view that does not exist.
    """
    if view not in ("emit", "accept"):
        raise ValueError(f"no view is called {view!r}: there are emit, accept")
    if phase not in PHASES:
        raise ValueError(f"no phase is called {phase!r}: there are {', '.join(PHASES)}")
    return _read("phases", phase, f"{view}.schema.json")


def messages(phase: str) -> tuple[str, ...]:
    """Return the names of the messages that exist in `phase`, in the order of the specification."""
    if phase not in PHASES:
        raise ValueError(f"no phase is called {phase!r}: there are {', '.join(PHASES)}")
    return tuple(
        name
        for stem in CHAPTERS
        for name, definition in load(stem)["$defs"].items()
        if definition.get("x-message") and exists(definition, phase)
    )


def exists(definition: dict[str, Any], phase: str) -> bool:
    """Tell whether a message or property with this definition exists in `phase`."""
    return PHASES.index(definition["x-since"]) <= PHASES.index(phase)


def _read(*path: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(*path).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
