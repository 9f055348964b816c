"""The site's view of the specification: what holds each rule, the index, what each phase changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import schemas
from conformance import trace
from tools import chapters, tree
from tools.site import assembly, changes, holding, linking, pieces, requirements

FOLDED = re.compile(r'\n<details class="held"[^>]*>\n(?P<said>.*?)\n</details>\n', re.DOTALL)
LINK = re.compile(r"\]\(\.\./(?P<page>code/\w+\.md)#(?P<anchor>[\w.-]+)\)")
ANCHOR = re.compile(r'<a id="(?P<anchor>[^"]+)"></a>')
EVERY = holding.in_order()
STEPS = ("from", "event", "to")
SMALL = '''"""A module."""

import os

# Why it is
# ten.
TEN = 10
"""Ten of them."""


class Thing:
    """A thing."""

    size = TEN

    # Behind the size.
    @property
    def half(self) -> int:
        return self.size // 2


def use() -> int:
    return Thing().half


from beside import double as twice
from os import path


def more() -> int:
    return twice(TEN) + len(path.sep)
'''
BESIDE = '''"""A module beside the small one."""

TWO = 2


def double(number: int) -> int:
    return TWO * number
'''


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The texts of the assembled site, by path."""
    found, complaints = assembly.assemble()
    assert [] == complaints
    return {path: content for path, content in found.items() if isinstance(content, str)}


@pytest.fixture(scope="module")
def traced() -> dict[str, trace.Row]:
    """What the trace knows of each requirement."""
    return {row.rule.id: row for row in trace.rows()}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a small module, in a tree of its own."""
    (tmp_path / "small.py").write_text(SMALL, encoding="utf-8")
    (tmp_path / "beside.py").write_text(BESIDE, encoding="utf-8")
    monkeypatch.setattr("tools.tree.ROOT", tmp_path)
    own = (pieces.pieces, pieces._known, pieces._borrowed, pieces._named, pieces._lines)
    for cached in (tree.module, *own):
        cached.cache_clear()
    return "small.py"


def beneath(pages: dict[str, str], name: str) -> str:
    """Return what stands folded beneath a requirement, before the next one."""
    text = pages[f"spec/{chapters.every_requirement()[name].chapter}.md"]
    after = text.partition(f"\n#### {name} {{")[2].partition("\n#### ")[0]
    return "".join(match["said"] for match in FOLDED.finditer(after))


def test_every_requirement_has_its_checks_and_mutants_beneath(
    pages: dict[str, str], traced: dict[str, trace.Row]
) -> None:
    """Beneath each requirement stand as many checks, mutants and citing files as the trace knows, by name."""
    assert [one.id for one in EVERY] == list(traced)
    for name, row in traced.items():
        lines = beneath(pages, name).splitlines()
        judged = [line for line in lines if line.startswith("- Judged by ")]
        broken = [line for line in lines if line.startswith("- Broken by ")]
        assert row.checks == [line.split("`")[1] for line in judged], name
        assert [one.partition(":")[0] for one in row.mutants] == [
            "client" if " of a client <small>" in line else "relay" for line in broken
        ], name
        files = {place.partition(":")[0] for place in row.code}
        obeyed = " ".join(line for line in lines if line.startswith("- Obeyed in "))
        assert files == set(re.findall(r"<small>([\w/.]+):\d+</small>", obeyed)), name


def test_every_link_to_code_has_its_place(pages: dict[str, str]) -> None:
    """Each link beneath a requirement and of the index leads to an anchor that stands once in its page."""
    anchors = [
        (path, match["anchor"])
        for path, text in pages.items()
        if path.startswith("code/")
        for match in ANCHOR.finditer(text)
    ]
    assert len(set(anchors)) == len(anchors)
    linked = {
        (match["page"], match["anchor"])
        for path, text in pages.items()
        if path.startswith("spec/")
        for match in LINK.finditer(text)
    }
    assert {piece for one in EVERY for piece in holding.held()[one.id].code}
    assert set() == linked - set(anchors)


def test_each_piece_is_shown_as_it_stands(pages: dict[str, str]) -> None:
    """What a page shows of a file is that file's own text, and each page stays out of the search."""
    shown = holding.shown()
    for piece, name in shown.items():
        text = pages[holding.page(name)]
        assert f"python\n{piece.source}\n```" in text.partition(f'<a id="{piece.anchor}"></a>')[2]
    for path in {holding.page(name) for name in shown.values()}:
        assert "search:\n  exclude: true\n" in pages[path].partition("\n# ")[0]


def test_the_index_has_every_requirement_as_its_chapter_says(pages: dict[str, str]) -> None:
    """Each requirement is a row with its role, phase, level and chapter; one that is not judged says why."""
    (table,) = chapters.tables(pages[requirements.PATH])
    assert requirements.COLUMNS == table.header
    assert len(EVERY) == len(table.rows)
    for one, row in zip(EVERY, table.rows, strict=True):
        identity = f"[{one.id}]({one.chapter}.md#{one.id}){linking.WHOLE}"
        chapter = f"[{one.chapter}]({one.chapter}.md)"
        assert (identity, one.role, one.since, *one.keywords, chapter) == (row[0], *row[2:6])
        reason = one.notes.get("Check", "").removeprefix("none; ").removesuffix(".")
        assert bool(reason) == row[6].startswith("no: ")
        assert reason in row[6]
        roles = set() if reason else set(one.role.split(" and "))
        assert [roles, roles] == [set(re.findall(r"\[(\w+)\]", cell)) for cell in row[6:8]], one.id


def test_what_is_new_stands_under_its_phase(pages: dict[str, str]) -> None:
    """Each requirement is listed once, under the phase since which it holds, with the words of phases.md."""
    sections = re.split(r"^## Phase ", pages[changes.PATH], flags=re.MULTILINE)[1:]
    adds = {row[0]: row[2] for row in chapters.table("phases", "phase", "name", "adds").rows}
    assert list(schemas.PHASES) == [text.partition(":")[0] for text in sections]
    for phase, text in zip(schemas.PHASES, sections, strict=True):
        listed = text.partition("data-search-exclude>")[2].partition("</div>")[0]
        lead = re.findall(r"(?:^- |, |: )\[([A-Z]+-\d+)\]", listed, re.MULTILINE)
        if phase != schemas.PHASES[0]:
            lead = re.findall(r"^- \[([A-Z]+-\d+)\]", listed, re.MULTILINE)
        assert [one.id for one in EVERY if one.since == phase] == lead
        assert f"It adds: {adds[phase]}." in text


@pytest.mark.parametrize("phase", schemas.PHASES[1:])
def test_the_difference_is_what_the_schemas_mark(phase: str) -> None:
    """The lines marked as new are the messages and members of the phase, and what only these refer to."""
    older = schemas.PHASES[schemas.PHASES.index(phase) - 1]
    lines = changes.difference(changes.shapes(older), changes.shapes(phase))
    assert [] == [line for line in lines if line.startswith("-")]
    names = [*schemas.messages(phase)]
    expected: set[tuple[str, str]] = set()
    for stem in schemas.CHAPTERS:
        for name, body in schemas.load(stem)["$defs"].items():
            if name in names:
                expected |= marked(name, body, phase)
    found, current = set(), ""
    for line in lines:
        current = current if line[1:2] == " " else line[1:].partition(":")[0]
        if line.startswith("+") and current in names:
            found.add((current, line[3:].partition(":")[0].rstrip("?") if line[1:2] == " " else ""))
    assert expected == found


def marked(name: str, body: dict[str, Any], phase: str) -> set[tuple[str, str]]:
    """Return the message, as ("name", ""), and its members that exist since this phase."""
    members = {
        (name, member) for member, node in body.get("properties", {}).items() if node["x-since"] == phase
    }
    return members | ({(name, "")} if body["x-since"] == phase else set())


def test_a_difference_shows_what_went_and_what_came() -> None:
    """Shapes that are the same are left out; of the others each line is marked."""
    old = {"A": ["A", "  x: string"], "B": ["B", "  y: string"]}
    new = {"A": ["A", "  x: string"], "B": ["B", "  y: integer", "  z?: string"]}
    lines = changes.difference(old, new)
    assert [" B", "-  y: string", "+  y: integer", "+  z?: string"] == lines
    assert [] == changes.difference(old, old)


def test_a_transition_is_of_the_phase_of_its_youngest_message() -> None:
    """Both reports are of phase 6, as MediaPathReport is, and no other transition is of a later phase."""
    later = {phase: list(changes.transitions(phase)) for phase in schemas.PHASES[1:]}
    table = chapters.table("call", *STEPS)
    reports = [row for row in table.rows if row[1] == "report"]
    assert reports
    assert {"6": len(reports)} == {phase: len(found) for phase, found in later.items() if found}


def test_every_table_of_transitions_is_drawn(pages: dict[str, str]) -> None:
    """In front of each table of transitions stands its drawing, which has a title."""
    tables = {
        stem: sum(set(STEPS) <= set(table.header) for table in chapters.tables(text))
        for stem, text in chapters.chapters().items()
    }
    assert tables["call"] == 1
    drawing = re.compile(r'<svg class="states" role="img".*?<title>States of \w+.*?</svg>\s+\| from \| ')
    assert tables == {stem: len(drawing.findall(pages[f"spec/{stem}.md"])) for stem in tables}


@pytest.mark.parametrize(
    ("line", "name", "first", "last"),
    [
        (1, pieces.MODULE, 1, 1),
        (5, "TEN", 5, 8),
        (8, "TEN", 5, 8),
        (14, "Thing", 11, 15),
        (16, "Thing.half", 16, 19),
        (19, "Thing.half", 16, 19),
        (22, "use", 22, 23),
    ],
)
def test_a_line_belongs_to_a_piece(small: str, line: int, name: str, first: int, last: int) -> None:
    """A comment belongs to what follows, a text to the constant above it, and a class's head to the class."""
    found = pieces.at(small, line)
    assert (name, first, last) == (found.name, found.first, found.last)


def test_a_piece_names_what_it_uses(small: str) -> None:
    """What a piece names of its own file, and what that names, is found once; a class is found whole."""
    used = pieces.used(pieces.at(small, 22))
    assert [("Thing", 11, 19), ("TEN", 5, 8)] == [(one.name, one.first, one.last) for one in used]


def test_a_piece_names_what_it_uses_of_the_file_beside_it(small: str) -> None:
    """What is imported of a module in the same folder is found with what it names there, and nothing else."""
    used = [(one.path, one.name, one.first, one.last) for one in pieces.used(pieces.at(small, 31))]
    assert [("small.py", "TEN", 5, 8), ("beside.py", "double", 6, 7), ("beside.py", "TWO", 3, 3)] == used


def test_what_is_in_no_piece_is_told(small: str) -> None:
    """A line that belongs to nothing, and a name that a module does not define, are errors that say so."""
    with pytest.raises(ValueError, match=r"nothing stands in line 3 of small\.py"):
        pieces.at(small, 3)
    with pytest.raises(ValueError, match=r"small\.py defines no Other"):
        pieces.whole(small, "Other")


def test_a_check_of_no_requirement_is_told() -> None:
    """A check or a mutant of an id that no chapter has is an error that names both."""
    part = holding.held()["CALL-4"].checks[0]
    with pytest.raises(
        ValueError, match=r"^test_it_rings \(conformance/checks/test_call\.py, lines .* NONE-1"
    ):
        holding.entry(holding.held(), "NONE-1", part)


def test_marks_in_words_are_words() -> None:
    """The title of a mutant may have marks of Markdown and HTML in it, and remains as it is."""
    assert r"names \_ping\_, &lt;b> \| \[x\] \*y\*" == holding.plain("names _ping_, <b> | [x] *y*")
