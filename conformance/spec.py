"""Specification: the requirements and tables of the chapters, read from their text.

Rules of this file: the text is the only source; a sentence that cannot be read is an error and never
skipped; an id that occurs twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import schemas

_HERE = Path(__file__).resolve().parent
_HEAD = re.compile(r"^\*\*([A-Z]+-\d+)\*\* \(([^)]*), since ([0-9.]+)\): (.+)$")
_ID = re.compile(r"^\*\*[A-Z]+-\d+\*\*")
_NOTE = re.compile(r"^> (Why|Seen|Check): (.+)$")
_LEVEL = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
REACHED = schemas.PHASES
"""The phases that the suite judges, oldest first."""
NEWEST = REACHED[-1]
_ROLES = {"relay": ("relay",), "client": ("client",), "relay and client": ("relay", "client")}


class SpecificationError(ValueError):
    """A chapter is missing or says something that this reader does not understand."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered sentence (spec/conventions.md, Requirements).

    `check_reason` is empty unless the text says why no check from outside can exist.
    """

    id: str
    chapter: str
    roles: tuple[str, ...]
    since: str
    level: str
    sentence: str
    why: str
    seen: str
    check_reason: str

    @property
    def area(self) -> str:
        """The letters of the id."""
        return self.id.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table of spec/call.md; `to_caller` and `to_callee` are messages in order."""

    state: str
    event: str
    by: str
    to: str
    to_caller: tuple[str, ...]
    to_callee: tuple[str, ...]


def exists(since: str, phase: str) -> bool:
    """Tell whether what exists since the phase `since` exists in `phase`; raises ValueError for no phase."""
    return schemas.PHASES.index(since) <= schemas.PHASES.index(phase)


@cache
def younger(phase: str) -> frozenset[tuple[str, str]]:
    """Return what the newest phase has and `phase` has not: messages, and members by their message.

    A message stands as (its name, ""), a member of a message that both have as (message, member).
    """
    old, new = (schemas.view(one, "accept")["$defs"] for one in (phase, NEWEST))
    return frozenset(
        (name, member)
        for name in schemas.messages(NEWEST)
        for member in (new[name].get("properties", {}) if name in old else ("",))
        if not member or member not in old[name].get("properties", {})
    )


@cache
def folder() -> Path:
    """Return the folder of the chapters: beside the suite when installed, else that of the tree."""
    for candidate in (_HERE / "_spec", _HERE.parent / "spec"):
        if (candidate / "conventions.md").is_file():
            return candidate
    message = f"the chapters of the specification are neither in {_HERE / '_spec'} nor beside it"
    raise SpecificationError(message)


@cache
def requirements() -> dict[str, Requirement]:
    """Return all requirements by id, in the order of the chapters that README.md lists."""
    listed = re.findall(r"^\| \[(\w+)\]", (folder() / "README.md").read_text("utf-8"), re.MULTILINE)
    found: dict[str, Requirement] = {}
    for chapter in listed:
        text = (folder() / f"{chapter}.md").read_text(encoding="utf-8")
        for requirement in read(chapter, text):
            if requirement.id in found:
                message = f"{requirement.id} is defined twice"
                raise SpecificationError(message)
            found[requirement.id] = requirement
    return found


def read(chapter: str, text: str) -> Iterator[Requirement]:
    """Yield the requirements of one chapter; raises SpecificationError for one it cannot read."""
    lines = text.splitlines()
    example = False
    for number, line in enumerate(lines):
        example ^= line.startswith("```")
        if example or _ID.match(line) is None:
            continue
        head = _HEAD.match(line)
        if head is None or head[2] not in _ROLES:
            message = f"{chapter}.md, line {number + 1}: no requirement can be read from {line!r}"
            raise SpecificationError(message)
        levels = _LEVEL.findall(head[4])
        if len(levels) != 1:
            message = f"{head[1]} has {len(levels)} keywords; a requirement has one"
            raise SpecificationError(message)
        notes = _notes(lines[number + 1 :])
        check = notes.get("Check", "")
        yield Requirement(
            id=head[1],
            chapter=chapter,
            roles=_ROLES[head[2]],
            since=head[3],
            level=levels[0],
            sentence=head[4],
            why=notes.get("Why", ""),
            seen=notes.get("Seen", ""),
            check_reason=check.removeprefix("none;").strip(),
        )


def _notes(lines: list[str]) -> dict[str, str]:
    notes: dict[str, str] = {}
    for line in lines:
        note = _NOTE.match(line)
        if note is None:
            break
        notes[note[1]] = note[2]
    return notes


def rows(text: str) -> list[tuple[str, ...]]:
    """Return the cells of the first Markdown table in `text`, without its heading."""
    cells: list[tuple[str, ...]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
        elif cells:
            break
    return cells[2:]


@cache
def transitions() -> tuple[Transition, ...]:
    """Return the table of a call (spec/call.md, States)."""
    text = (folder() / "call.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- transitions -->(.*)<!-- /transitions -->", text, re.DOTALL)
    if found is None:
        message = "call.md has no table between its transitions markers"
        raise SpecificationError(message)
    return tuple(
        Transition(state, event, by, to, _messages(caller), _messages(callee))
        for state, event, by, to, caller, callee in rows(found[1].strip())
    )


def _messages(cell: str) -> tuple[str, ...]:
    return () if cell == "–" else tuple(part.strip() for part in cell.split(","))


@cache
def close_codes() -> dict[str, int]:
    """Return the close codes by name (spec/errors.md, Close codes)."""
    return {row[1]: int(row[0]) for row in rows(_section("errors", "Close codes"))}


@cache
def reasons() -> tuple[str, ...]:
    """Return the reasons of a Hangup (spec/errors.md, Reasons)."""
    return tuple(row[0] for row in rows(_section("errors", "Reasons")))


def _section(chapter: str, heading: str) -> str:
    text = (folder() / f"{chapter}.md").read_text(encoding="utf-8")
    _, found, rest = text.partition(f"## {heading}\n")
    if not found:
        message = f"{chapter}.md has no section {heading!r}"
        raise SpecificationError(message)
    return rest.partition("\n## ")[0]
