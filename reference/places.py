"""Places (TOML 1.0): the line on which each key of a TOML text is written.

The standard library reads TOML and keeps no positions. A TOML text is a sequence of statements, each of
which ends with its line as soon as what it opened is closed, so the same reader, given one line more until
it is content, finds where each of them begins: there is no second grammar here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress

Place = tuple[str | int, ...]
"""The way to a value from the root: names of members and places in arrays, from 0."""

_LONGEST = 200
"""Lines of one statement; nothing behind a longer one is placed, so that no text is read for ever."""


def places(text: str) -> Mapping[Place, int]:
    """Return the line, from 1, of every table and every value of a valid TOML text.

    All that one statement says stands where that begins. The root stands on the last line looked at.
    """
    found: dict[Place, int] = {(): 1}
    arrays: dict[Place, int] = {}
    table: Place = ()
    for line, said, is_header in _statements(text):
        found[()] = line
        if is_header:
            table = _opened(said, arrays)
            for end in range(len(table)):
                found.setdefault(table[: end + 1], line)
            continue
        for place in _inside(said):
            found.setdefault((*table, *place), line)
    return found


def line_of(found: Mapping[Place, int], place: Place) -> int:
    """Return the line of a place, or of the nearest table around it that has one."""
    while place not in found:
        place = place[:-1]
    return found[place]


def _statements(text: str) -> Iterator[tuple[int, dict[str, object], bool]]:
    """Yield each statement: its first line, what it says alone, and whether it opens a table."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        for end in range(at + 1, min(at + _LONGEST, len(lines)) + 1):
            with suppress(tomllib.TOMLDecodeError):
                said = tomllib.loads("\n".join(lines[at:end]))
                break
        else:
            return
        if said:
            yield at + 1, said, lines[at].lstrip().startswith("[")
        at = end


def _opened(header: object, arrays: dict[Place, int]) -> Place:
    """Return the table that a header opens; `arrays` counts the tables of each array so far."""
    place: Place = ()
    while isinstance(header, dict) and header:
        (name, header), *_ = header.items()
        place = (*place, name)
        if isinstance(header, list):  # [[name]]: one more
            arrays[place] = arrays.get(place, 0) + 1
            header = header[0]
        if place in arrays:
            place = (*place, arrays[place] - 1)
    return place


def _inside(value: object) -> Iterator[Place]:
    """Yield the place of everything in a value, without its own."""
    members: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        members = iter(value.items())
    elif isinstance(value, list):
        members = iter(enumerate(value))
    for name, inner in members:
        yield (name,)
        for place in _inside(inner):
            yield (name, *place)
