"""Chapters: reads the requirements, tables and fenced blocks of `spec/*.md`.

Shared by the laws (tests/laws) and the site (tools/site). The suite has a reader of its own:
it judges from its own copy of the text.

A requirement is one line, and its notes are the quoted lines beneath it:

    **CALL-3** (relay, since 0): A relay MUST do this and that.
    > Why: the intent, one or two sentences.
    > Seen: what the other side observes when it is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "spec"

REQUIREMENT = re.compile(
    r"^\*\*(?P<id>[A-Z]+-[1-9][0-9]*)\*\* \((?P<role>[a-z ]+), since (?P<since>[^)]+)\): (?P<sentence>.+)$"
)
ALMOST = re.compile(r"^\s*(>\s*)?\*\*[A-Za-z]+-\d+\*\*")
"""A line that looks like a requirement, whether or not it is written as one."""

KEYWORD = re.compile(r"\b(?:MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
NOTE = re.compile(r"^> (?P<name>[A-Z][a-z]+): (?P<text>.+)$")
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`]*)$")
CITED = re.compile(r"(?<![\w/-])(?P<id>(?P<area>[A-Z]{2,})-[1-9][0-9]*)(?![\w-])")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered sentence, where it stands, and the notes beneath it by name."""

    id: str
    role: str
    since: str
    sentence: str
    chapter: str
    line: int
    notes: Mapping[str, str]

    @property
    def area(self) -> str:
        """The word of the id in front of its number."""
        return self.id.rpartition("-")[0]

    @property
    def keywords(self) -> tuple[str, ...]:
        """The keywords of RFC 2119 in the sentence; a well-formed one has exactly one."""
        return tuple(KEYWORD.findall(self.sentence))


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block: its language and words, its text, and the line where the text begins."""

    info: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the heading it stands under, its header and its rows, cells without blanks."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@cache
def chapters() -> Mapping[str, str]:
    """Return the text of every chapter by its stem."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SPEC.glob("*.md"))}
    if not found:
        raise FileNotFoundError(f"no chapter in {SPEC}")
    return found


def fences(text: str) -> Iterator[Fence]:
    """Yield the fenced blocks of a text in order."""
    opened: re.Match[str] | None = None
    begins, body = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = FENCE.match(line.strip())
        if opened is None and match:
            opened, begins, body = match, number + 1, []
        elif opened is not None and line.strip() == opened["ticks"]:
            yield Fence(opened["info"].strip(), "\n".join(body), begins)
            opened = None
        elif opened is not None:
            body.append(line)
    if opened is not None:
        raise ValueError(f"the fence of line {begins - 1} is never closed")


def prose(text: str) -> list[str]:
    """Return the lines of a text with those of fenced blocks blanked, so that numbers still hold."""
    lines = text.splitlines()
    for fence in fences(text):
        height = len(fence.text.splitlines())
        lines[fence.line - 2 : fence.line + height] = [""] * (height + 2)
    return lines


def requirements(chapter: str, text: str) -> list[Requirement]:
    """Return the requirements of one chapter in order; a notes' line may go on in the next."""
    lines = prose(text)
    found: list[Requirement] = []
    for number, line in enumerate(lines, 1):
        match = REQUIREMENT.match(line)
        if match is None:
            if ALMOST.match(line):
                raise ValueError(f"{chapter}.md:{number}: no requirement is written like {line!r}")
            continue
        notes = dict(_notes(lines[number:]))
        words = (match["id"], match["role"], match["since"], match["sentence"])
        found.append(Requirement(*words, chapter, number, notes))
    return found


def _notes(lines: list[str]) -> Iterator[tuple[str, str]]:
    name, text = "", ""
    for line in lines:
        if not line.startswith(">"):
            break
        match = NOTE.match(line)
        if match:
            if name:
                yield name, text
            name, text = match["name"], match["text"]
        else:
            text = f"{text} {line.removeprefix('>').strip()}"
    if name:
        yield name, text


@cache
def every_requirement() -> Mapping[str, Requirement]:
    """Return the requirements of all chapters by id; an id that stands twice is an error."""
    found: dict[str, Requirement] = {}
    for chapter, text in chapters().items():
        for requirement in requirements(chapter, text):
            if requirement.id in found:
                raise ValueError(f"{requirement.id} stands in {found[requirement.id].chapter} and {chapter}")
            found[requirement.id] = requirement
    return found


def tables(text: str) -> list[Table]:
    """Return the tables of a text in order."""
    found: list[Table] = []
    heading, block = "", list[tuple[str, ...]]()
    for line in [*prose(text), ""]:
        if line.startswith("|"):
            block.append(_cells(line))
        elif block:
            header, _, *rows = block
            found.append(Table(heading, header, tuple(rows)))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
    return found


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return tuple(cell.replace(r"\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner))


def table(chapter: str, *header: str) -> Table:
    """Return the one table of a chapter whose header has all of these words."""
    fitting = [one for one in tables(chapters()[chapter]) if set(header) <= set(one.header)]
    if len(fitting) != 1:
        raise ValueError(f"{chapter}.md has {len(fitting)} tables {' | '.join(header)}, not one")
    return fitting[0]
