"""Matching: compares the lines of a page with those that came, where some words differ from run to run.

Rules of this file: what differs by its nature is of a kind, and matches its kind; a name (a fingerprint, a
call id) stands for one real name all through a page, and no two for the same one; a count that may vary is
near to what came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tools.documented.blocks import ANY

KINDS = {
    "tls": r"(?<![0-9a-f:])(?:[0-9a-f]{2}:){31}[0-9a-f]{2}(?![0-9a-f:])",
    "fingerprint": r"(?<![0-9a-f:])(?:[0-9a-f]{4}:){7}[0-9a-f]{4}(?![0-9a-f:])",
    "call": r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "address": r"(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}",
    "number": r"(?<![\w.:-])\d+\.\d+(?![\w.]*\.\d)",
}
"""What differs from run to run, by its kind; the first that fits counts."""
NAMES = ("tls", "fingerprint", "call")
"""Kinds that are names: one of the page is one of the run."""
COUNT = r"(?<![\w.:-])\d+(?![\w.:-])"
FEW, SHARE = 5, 0.25
"""How far a count may be from the one that came: by so many, or by this share of it."""

Names = dict[str, str]
"""What came, by what stands in the page."""


class Fit(NamedTuple):
    """How lines fit: the names that were met, and how many lines that came were used, and each by which."""

    names: Names
    used: int
    met: Mapping[int, int]
    """Which line of the page is which of those that came; a line of dots is none."""


def pattern(counts: bool) -> re.Pattern[str]:  # noqa: FBT001 - the word behind a block
    """Return what finds the words of a line that are of a kind."""
    kinds = {**KINDS, **({"count": COUNT} if counts else {})}
    return re.compile("|".join(f"(?P<{name}>{one})" for name, one in kinds.items()) + f"|(?P<any>{ANY})")


class Matcher:
    """Compares lines of one block; `fixed` words of it are themselves, whatever their kind."""

    def __init__(self, fixed: Sequence[str], *, counts: bool = False) -> None:
        """With `counts`, whole numbers differ too."""
        self._fixed = frozenset(fixed)
        self._words = pattern(counts)

    def line(self, page: str, came: str, names: Mapping[str, str]) -> Names | None:
        """Return the names with those of this line, or None where it does not fit."""
        words, form = self._form(page)
        found = re.fullmatch(form, came)
        if found is None:
            return None
        met = dict(names)
        for word, real in zip(words, found.groups(), strict=True):
            if word.lastgroup in NAMES and not _named(met, word[0], real):
                return None
            if word.lastgroup == "count" and not near(int(word[0]), int(real)):
                return None
        return met

    def renewed(self, page: str, came: str) -> str:
        """Return a line that came, with the dots of the line of the page that it fits."""
        words, form = self._form(page)
        found = re.fullmatch(form, came)
        if found is None or all(word.lastgroup != "any" for word in words):
            return came
        told, at = "", 0
        for word, real in zip(words, found.groups(), strict=True):
            told += page[at : word.start()] + (ANY if word.lastgroup == "any" else real)
            at = word.end()
        return told + page[at:]

    def _form(self, page: str) -> tuple[list[re.Match[str]], str]:
        """Return the words of a line that are of a kind, and a form with a group for each."""
        words = [word for word in self._words.finditer(page) if word[0] not in self._fixed]
        form, at = "", 0
        for word in words:
            kind = str(word.lastgroup)
            form += _literal(page[at : word.start()])
            form += f"({KINDS.get(kind, COUNT)})" if kind != "any" else "(.*?)"
            at = word.end()
        return words, form + _literal(page[at:])

    def lines(self, page: Sequence[str], came: Sequence[str], names: Names, *, whole: bool) -> Fit | None:
        """Return how the lines of a page fit the first of those that came, or with `whole` all of them."""
        return _fit(list(page), list(came), names, self.line, whole=whole)


Line = Callable[[str, str, Mapping[str, str]], Names | None]


def _fit(page: list[str], came: list[str], names: Names, line: Line, *, whole: bool) -> Fit | None:
    """Go through both from the front; behind a line `…` the next line that fits is taken."""
    at = used = 0
    met: dict[int, int] = {}
    gap: tuple[int, int, Names] | None = None
    while at < len(page) or (whole and used < len(came)):
        if at < len(page) and page[at].strip() == ANY:
            at += 1
            gap = (at, used, names)
            if at == len(page):
                return Fit(names, len(came) if whole else used, met)
            continue
        there = at < len(page) and used < len(came)
        fits = line(page[at], came[used], names) if there else None
        if fits is not None:
            met[at] = used
            names, at, used = fits, at + 1, used + 1
        elif gap is not None and gap[1] < len(came):
            at, used, names = gap[0], gap[1] + 1, gap[2]
            gap = (at, used, names)
        else:
            return None
    return Fit(names, used, met)


def near(said: int, came: int) -> bool:
    """Tell whether a count of a page may stand for the one that came."""
    return abs(said - came) <= max(FEW, SHARE * came)


def _named(names: Names, said: str, real: str) -> bool:
    """Take in that a name of the page is a real one; tell whether that can be."""
    if said not in names and real in names.values():
        return False
    return names.setdefault(said, real) == real


def _literal(text: str) -> str:
    """Return a form for words that are themselves, with any blanks between them."""
    return "".join(r"\s+" if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", text) if part)
