"""Document (TOML 1.0): a text of TOML, its values as they are wanted, and faults that name the line.

The rules of this file: whatever is wrong is a CommandError that names the file, the line and the key.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from pathlib import Path

from reference.commandline import CommandError
from reference.places import line_of, places
from reference.usage import UNCOUNTABLE

LARGEST = 65_536
"""Bytes of a file."""
HUGE = 2**53
"""The largest whole number that a float tells from the next; whatever is beyond is out of every range."""
KINDS = {bool: "true or false", float: "a number", int: "a whole number", str: "a text in quotes"}
_SHOWN = 60


class Document:
    """A TOML text, and the faults that may be found there."""

    def __init__(self, path: Path) -> None:
        """Read it; raises CommandError."""
        self.path = path
        try:
            if not path.is_file() and path.exists():  # a pipe would let us wait
                raise CommandError(f"cannot read the configuration {path}: it is no file")
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise CommandError(f"cannot read the configuration {path}: {why}") from error
        if len(content) > LARGEST:
            raise CommandError(f"{path}: a configuration has at most {LARGEST} bytes, and this one has more")
        try:
            self.text = content.decode()
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise CommandError(f"{path} line {line}: it has to be text in UTF-8") from error
        try:
            self.said = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(str(error)) from error
        self.places = places(self.text)

    def fault(self, why: str, *place: str | int) -> CommandError:
        """Return an error that names the file, the line, and the key as far as there is one."""
        names = ".".join(str(name) for name in place if isinstance(name, str))
        return CommandError(f"{self.path} line {line_of(self.places, place)}: {names}: {why}")

    def typed(self, value: object, kind: type, *place: str | int) -> object:
        """Return a value of TOML if it is of a kind; a whole number is a number too."""
        if kind is float and type(value) is int:
            value = float(max(-HUGE, min(value, HUGE)))
        if type(value) is not kind:
            raise self.fault(f"{shown(value)} is not {KINDS[kind]}", *place)
        if isinstance(value, float) and not isfinite(value):
            raise self.fault(f"{value} {UNCOUNTABLE}", *place)
        if isinstance(value, str) and not value.isprintable():
            raise self.fault(f"{shown(value)} has characters that are not printed", *place)
        return value

    def _syntax(self, why: str) -> CommandError:
        """Return the error of a text that is no TOML: the reader names a line, or the end."""
        why, _, where = why.partition(" (at ")
        number = next((int(word) for word in where.replace(",", " ").split() if word.isdigit()), 0)
        lines = self.text.splitlines() or [""]
        line = number or len(lines)
        shown = lines[min(line, len(lines)) - 1].strip()[:_SHOWN]
        return CommandError(
            f"{self.path} line {line}: this is no TOML: {why[:1].lower()}{why[1:]}: {shown!r}"
        )


def meant(key: str, known: Iterable[str]) -> str:
    """Return which key may have been meant, or where to find them all."""
    near = get_close_matches(key.lower().replace("_", "-"), list(known), 1)
    return f": did you mean {near[0]}?" if near else ": --help lists them all"


def shown(value: object) -> str:
    """Return what a fault says of a value of TOML."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    return (json.dumps(value) if isinstance(value, str | bool) else str(value))[:_SHOWN]


def written(value: object) -> str:
    """Return a value in TOML, whose texts are those of JSON but for DEL, which it escapes too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and not isinstance(value, Enum):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
