"""Holding: the checks that judge each requirement, the mutants that break it, the code that obeys it.

All of it is found where it stands: checks declare the id that they judge, mutants that which they break, and
code cites it. A chapter gets it beneath each requirement, folded, with links to the pages of code.py.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FunctionType

import schemas
from conformance import checking, trace
from tests.mutants import RELAY_MUTANTS
from tests.mutants import __main__ as every_mutant
from tests.mutants.client import CLIENT_MUTANTS
from tools import chapters
from tools.site import pieces
from tools.site.pieces import Piece

BLOCK = re.compile(r"^\*\*(?P<id>[A-Z]+-[1-9][0-9]*)\*\* \(.+\n(?:>.*\n)*", re.MULTILINE)
"""A requirement with its notes."""
STYLE = '<link rel="stylesheet" href="../assets/specification.css">'
"""The style of folded lists and of the index, for a page that stands in a folder of the site's root."""


@dataclass(frozen=True, slots=True)
class Part:
    """A check or a mutant: of which role, where it stands, its other pieces, and what it does in words."""

    role: str
    piece: Piece
    helpers: tuple[Piece, ...]
    said: str


@dataclass(slots=True)
class Held:
    """What holds one requirement; without checks and mutants where none can exist."""

    checks: list[Part] = field(default_factory=list)
    mutants: list[Part] = field(default_factory=list)
    code: list[Piece] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@cache
def held() -> Mapping[str, Held]:
    """Return what holds each requirement, and each check of many rules under its pseudo-id, by id."""
    found = {name: Held() for name in (*chapters.every_requirement(), *checking.SWEEPING)}
    for check in checking.everything():
        part = _part(check.role, check.function, check.text)
        entry(found, check.id, part).checks.append(part)
    for rule, kind, broken, title in _mutants():
        part = _part(kind, broken, title)
        entry(found, rule, part).mutants.append(part)
    for rule, place in trace.cited("reference"):
        path, _, line = place.partition(":")
        if path.endswith(".py"):
            piece = pieces.at(path, int(line))
            if rule in found and piece not in found[rule].code:
                found[rule].code.append(piece)
    for rule, requirement in chapters.every_requirement().items():
        text = f"{requirement.sentence} {requirement.notes.get('Seen', '')}"
        found[rule].messages = [name for name in home() if re.search(rf"\b{name}\b", text)]
    return found


def entry(found: Mapping[str, Held], rule: str, part: Part) -> Held:
    """Return what holds a rule; raises ValueError for a check or a mutant of a rule that does not exist."""
    if rule not in found:
        raise ValueError(f"{part.piece.name} ({part.piece.place}) is of {rule}, which is no requirement")
    return found[rule]


def _mutants() -> Iterator[tuple[str, str, Callable[..., object], str]]:
    """Yield the rule, the role, the function or class, and the title of every mutant."""
    for entry in every_mutant.listing():
        name, kind = str(entry["id"]), str(entry["kind"])
        rule = "-".join(name.split("-")[:2])
        if kind == checking.RELAY:
            yield rule, kind, RELAY_MUTANTS[name].apply, str(entry["title"])
    for broken in CLIENT_MUTANTS:
        yield broken.id, checking.CLIENT, broken, (broken.__doc__ or "").strip()


def _part(role: str, what: Callable[..., object], said: str) -> Part:
    piece = _piece(what)
    helpers = tuple(
        one
        for one in pieces.used(piece)
        if one.path != piece.path or not piece.first <= one.first <= piece.last
    )
    return Part(role, piece, helpers, " ".join(said.split()))


def _piece(what: Callable[..., object]) -> Piece:
    """Return the function or the class; of a class that is made of a function, that function."""
    what = getattr(what, "breaks", what)
    path = Path(inspect.getfile(what)).relative_to(chapters.ROOT).as_posix()
    if isinstance(what, FunctionType):
        return pieces.at(path, what.__code__.co_firstlineno)
    return pieces.whole(path, what.__name__)


@cache
def home() -> Mapping[str, str]:
    """Return the chapter in whose schema each message stands, by the message's name."""
    return {
        name: stem
        for stem in schemas.CHAPTERS
        for name, body in schemas.load(stem)["$defs"].items()
        if body.get("x-message")
    }


@cache
def order() -> Sequence[str]:
    """Return the stems of the chapters that have requirements, in the order of the table of contents."""
    listed = re.findall(r"^\| \[(\w+)\]", chapters.chapters()["README"], re.MULTILINE)
    having = {requirement.chapter for requirement in chapters.every_requirement().values()}
    if not having <= set(listed):
        raise ValueError(f"README.md does not list {', '.join(sorted(having - set(listed)))}")
    return [stem for stem in listed if stem in having]


@cache
def in_order() -> Sequence[chapters.Requirement]:
    """Return every requirement, in the order of the specification."""
    return sorted(
        chapters.every_requirement().values(), key=lambda one: (order().index(one.chapter), one.line)
    )


def areas() -> Mapping[str, str]:
    """Return the chapter of each area of ids."""
    return {requirement.area: requirement.chapter for requirement in in_order()}


@cache
def shown() -> Mapping[Piece, str]:
    """Return under which id each piece is shown: the first that needs it, for every piece is shown once."""
    found: dict[Piece, str] = {}
    for name in (*(one.id for one in in_order()), *checking.SWEEPING):
        for piece in everything(held()[name]):
            found.setdefault(piece, name)
    return found


def everything(one: Held) -> Iterator[Piece]:
    """Yield every piece that holds a requirement."""
    for part in (*one.checks, *one.mutants):
        yield part.piece
        yield from part.helpers
    yield from one.code


def sentence(requirement: chapters.Requirement, root: str = "") -> str:
    """Return a sentence for a page from which `root` leads to the chapters: its links lead there."""
    text = re.sub(r"\]\(#", f"]({requirement.chapter}.md#", requirement.sentence)
    return re.sub(r"\]\((?=\w+\.md)", f"]({root}", text)


def page(name: str) -> str:
    """Return the path of the page that shows what holds the requirement or the pseudo-id `name`."""
    return f"code/{areas()[name.partition('-')[0]]}.md"


def page_of(piece: Piece) -> str:
    """Return the place of a piece from the root of the site."""
    return f"{page(shown()[piece])}#{piece.anchor}"


def link(piece: Piece) -> str:
    """Return a link to a piece from a page that stands in a folder of the root."""
    words = piece.path if piece.name == pieces.MODULE else piece.name
    return f"[`{words}`](../{page_of(piece)})"


def beneath(text: str) -> str:
    """Return a chapter with what holds each requirement beneath it."""

    def more(block: re.Match[str]) -> str:
        return f"{block[0]}\n{folded(block['id'])}\n"

    return BLOCK.sub(more, text)


def styled(text: str) -> str:
    """Return a chapter that loads the style, if it has requirements; the title remains the first of it."""
    title, end, rest = text.partition("\n")
    return f"{title}{end}\n{STYLE}\n{rest}" if BLOCK.search(text) else text


def folded(name: str) -> str:
    """Return what holds a requirement as a folded list."""
    one = held()[name]
    lines = [
        *(f"- Judged by {_of(part)}" for part in one.checks),
        *(f"- Broken by {_of(part)}: {plain(part.said)}" for part in one.mutants),
    ]
    if one.code:
        lines.append("- Obeyed in " + ", ".join(link(piece) + _at(piece) for piece in one.code))
    if one.messages:
        lines.append("- Shape of " + ", ".join(f"[{it}](../{shape(it)})" for it in one.messages))
    counts = (("check", one.checks), ("mutant", one.mutants), ("place in the code", one.code))
    words = [_counted(word, len(what)) for word, what in counts if what]
    if not words:
        return ""
    head = f'<details class="held" markdown="1" data-search-exclude>\n<summary>{", ".join(words)}</summary>'
    return f"{head}\n\n" + "\n".join(lines) + "\n\n</details>\n"


def plain(text: str) -> str:
    """Return a text in which nothing is a mark of Markdown or of HTML."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", escaped)


def _of(part: Part) -> str:
    return f"{link(part.piece)} of a {part.role}{_at(part.piece)}"


def _at(piece: Piece) -> str:
    return f" <small>{piece.path}:{piece.first}</small>"


def _counted(word: str, number: int) -> str:
    plural = word.replace("place", "places") if "place" in word else f"{word}s"
    return f"{number} {word if number == 1 else plural}"


def shape(message: str) -> str:
    """Return where the shape of a message is shown."""
    return f"schemas/{message}.md"
