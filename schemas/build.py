"""Build: the views of every phase from the source schemas (spec/phases.md).

`python -m schemas.build` writes them beside the sources; `--check` writes nothing, names each file
that differs from what it would write, and exits 1 if there is one.

    emit    closed: only what exists in the phase, at every depth; an optional value is left out
            or, where x-absent says so, null; an optional list is left out or has an entry; a text
            that is empty when there is none is always there
    accept  open: unknown members at every depth, null for an optional value; an optional list may
            be empty, and neither it nor a text that is empty when there is none may be null
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas import CHAPTERS, PHASES, View, exists, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parent
VIEWS: tuple[View, View] = ("emit", "accept")

Schema = dict[str, Any]

_OPENING = {
    "emit": "What an implementation of phase {} may send: one message.",
    "accept": "What an implementation of phase {} has to take: one message.",
}
_FLAT_ARRAY = re.compile(r"\[\n[^\[\]{}]*\]")
_LINE = 100


class SourceError(ValueError):
    """A source schema that no view can be derived from; the sentence names the place."""


def build(sources: Iterable[Schema]) -> dict[Path, str]:
    """Return the text of every view, by its path below the root.

    There is a pair of views for each phase.
    Raises SourceError for a source that breaks the rules of x-since and x-absent.
    """
    definitions = _definitions(sources)
    return {
        Path("phases", phase, f"{view}.schema.json"): _text(derive(definitions, phase, view))
        for phase in PHASES
        for view in VIEWS
    }


def derive(definitions: Mapping[str, Schema], phase: str, view: View) -> Schema:
    """Return one view, self-contained: what `view` says of all `definitions` that exist in `phase`."""
    maker = _Maker(definitions, phase, view)
    messages = {name: body for name, body in definitions.items() if body.get("x-message")}
    names = [name for name, body in messages.items() if exists(body, phase)]
    bodies = {name: maker.make(definitions[name], name) for name in names}
    for name in maker.referenced:  # grows while it is walked: types refer to types
        bodies[name] = maker.make(definitions[name], name)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:directcall:phase:{phase}:{view}",
        "title": f"DirectCall, phase {phase}, {view}",
        "description": _OPENING[view].format(phase),
        "oneOf": [_envelope(name, definitions[name]) for name in names],
        "$defs": bodies,
    }


class _Maker:
    """Turns source definitions into those of one view, and keeps the names they refer to."""

    def __init__(self, definitions: Mapping[str, Schema], phase: str, view: View) -> None:
        self._definitions = definitions
        self._phase = phase
        self._view = view
        self.referenced: list[str] = []

    def make(self, source: Schema, place: str) -> Schema:
        made = {key: value for key, value in source.items() if not key.startswith("x-")}
        if "$ref" in made:
            made["$ref"] = f"#/$defs/{self._refer(made['$ref'], place)}"
        if "items" in made:
            made["items"] = self.make(made["items"], f"{place}[]")
        if "properties" in made:
            self._make_object(made, source, place)
        return made

    def _make_object(self, made: Schema, source: Schema, place: str) -> None:
        required = source.get("required", [])
        present = {name: value for name, value in source["properties"].items() if exists(value, self._phase)}
        made["properties"] = {
            name: self.make(value, f"{place}.{name}")
            if name in required
            else self._optional(value, f"{place}.{name}")
            for name, value in present.items()
        }
        made["required"] = [
            name
            for name, value in present.items()
            if name in required or (self._view == "emit" and value.get("x-absent") == "empty")
        ]
        if self._view == "emit":
            made["additionalProperties"] = False

    def _optional(self, source: Schema, place: str) -> Schema:
        absent = source.get("x-absent")
        if absent not in ("omit", "null", "empty"):
            raise SourceError(f"{place} is optional and its x-absent is {absent!r}, not omit, null or empty")
        made = self.make(source, place)
        if absent == "empty":
            if made.get("type") != "string":
                raise SourceError(f"{place} is empty when it is absent, and no text")
            return made
        if self._is_list(source):
            if absent == "null":
                raise SourceError(f"{place} is a list, which is never null")
            return made | {"minItems": 1} if self._view == "emit" else made
        if self._view == "emit" and absent == "omit":
            return made
        description = made.pop("description")
        return {"description": description, "anyOf": [made, {"type": "null"}]}

    def _is_list(self, source: Schema) -> bool:
        while "$ref" in source:
            source = self._definitions[source["$ref"].rpartition("/")[2]]
        return source.get("type") == "array" and not source.get("x-bytes", False)

    def _refer(self, reference: str, place: str) -> str:
        name = reference.rpartition("/")[2]
        if name not in self._definitions:
            raise SourceError(f"{place} refers to {reference}, which no chapter defines")
        if name not in self.referenced:
            self.referenced.append(name)
        return name


def _definitions(sources: Iterable[Schema]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for source in sources:
        for name, body in source["$defs"].items():
            if name in found:
                raise SourceError(f"{name} is defined twice")
            _check_ages(name, body)
            found[name] = body
    return found


def _check_ages(name: str, body: Schema) -> None:
    """Refuse a property older than its message, or one required that older senders leave out."""
    properties = body.get("properties", {})
    ages = {key: PHASES.index(value["x-since"]) for key, value in properties.items()}
    since = PHASES.index(body["x-since"]) if body.get("x-message") else min(ages.values(), default=0)
    for key, age in ages.items():
        if age < since:
            raise SourceError(f"{name}.{key} is older than {name}")
        if age > since and key in body.get("required", []):
            raise SourceError(f"{name}.{key} is required and younger than {name}")


def _envelope(name: str, body: Schema) -> Schema:
    reference = {"$ref": f"#/$defs/{name}"}
    if "const" in body:
        return reference
    return {
        "type": "object",
        "properties": {name: reference},
        "required": [name],
        "additionalProperties": False,
    }


def _text(schema: Schema) -> str:
    def on_one_line(array: re.Match[str]) -> str:
        entries = [line.strip() for line in array.group()[1:-1].splitlines()]
        line = f"[{' '.join(entries).strip()}]"
        return line if len(line) <= _LINE else array.group()

    return _FLAT_ARRAY.sub(on_one_line, json.dumps(schema, indent=2, ensure_ascii=False)) + "\n"


def drifted(files: Mapping[Path, str], root: Path) -> list[Path]:
    """Return the paths below `root` whose text is missing, different or not ours to be there."""
    there = {path.relative_to(root) for path in root.glob("phases/**/*") if path.is_file()}
    different = {
        path
        for path, text in files.items()
        if path not in there or (root / path).read_bytes() != text.encode()
    }
    return sorted(different | (there - set(files)))


def write(files: Mapping[Path, str], root: Path) -> None:
    """Make the views below `root` what `files` says, and remove any other."""
    for path in drifted(files, root):
        if path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(files[path].encode())
        else:
            (root / path).unlink()


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write or check the views below `root`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.build", description="Build the views.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    options = parser.parse_args(arguments)
    files = build(load(stem) for stem in CHAPTERS)
    if not options.check:
        write(files, root)
        return 0
    differing = drifted(files, root)
    for path in differing:
        sys.stdout.write(f"{path.as_posix()} is not what the sources say\n")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
