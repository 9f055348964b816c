"""Code: a page for each chapter that shows what holds its requirements, each piece of code once.

Under each id stand the checks that judge it, the mutants that break it, with what these use of their own
file and of those beside it, and the code that cites it. What is shown elsewhere already is linked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from conformance import checking
from tools.site import holding
from tools.site.holding import Part
from tools.site.pieces import MODULE, Piece

HEAD = """---
title: "Code of {chapter}"
hide:
  - navigation
search:
  exclude: true
---

# What holds the rules of {chapter}

{style}

The chapter [{chapter}](../spec/{chapter}.md), requirement by requirement: the check that judges it, \
the mutant that only this check rejects, and the code of the reference that cites it.
The mutants are put in the place of what they break while a relay or a client runs.
Each piece of code is shown once, where it is needed first.
[All chapters](README.md).
"""
INDEX = """# Checks, mutants and code

Each requirement is judged by a check, proved by a mutant that breaks it, and obeyed by code of the reference.
These pages show all three, chapter by chapter.
The numbers say how many pieces of each there are.

| chapter | requirements | checks | mutants | places in the code |
|---|--:|--:|--:|--:|
"""


def pages() -> dict[str, str | bytes]:
    """Return the pages by path: an index, and one for each chapter with requirements."""
    made: dict[str, str | bytes] = {"code/README.md": index()}
    return made | {f"code/{chapter}.md": page(chapter) for chapter in holding.order()}


def index() -> str:
    """Return the page that leads to those of the chapters, with numbers."""
    lines = []
    for chapter in holding.order():
        ids = [one.id for one in holding.in_order() if one.chapter == chapter]
        having = [holding.held()[name] for name in ids]
        code = {piece for one in having for piece in one.code}
        numbers = (len(ids), sum(len(one.checks) for one in having), sum(len(one.mutants) for one in having))
        lines.append(f"| [{chapter}]({chapter}.md) | {' | '.join(map(str, numbers))} | {len(code)} |")
    return INDEX + "\n".join(lines) + "\n"


def page(chapter: str) -> str:
    """Return the page of one chapter."""
    parts = [HEAD.format(chapter=chapter, style=holding.STYLE)]
    for requirement in holding.in_order():
        if requirement.chapter == chapter:
            sentence = f"{requirement.id}: {holding.sentence(requirement, '../spec/')}"
            parts.append(f"## {requirement.id} {{#{requirement.id}}}\n\n{sentence}\n")
            parts += section(requirement.id)
    for name, since in checking.SWEEPING.items():
        if holding.page(name) == f"code/{chapter}.md":
            parts.append(f"## {name} {{#{name}}}\n\nChecks of many rules at once, since phase {since}.\n")
            parts += section(name)
    return "\n".join(parts)


def section(name: str) -> Iterator[str]:
    """Yield what holds one requirement: sentences, and the pieces that are shown here."""
    one = holding.held()[name]
    here = {piece for piece in holding.everything(one) if holding.shown()[piece] == name}
    for part in one.checks:
        yield from _part(f"A check of a {part.role}", part, here)
    for part in one.mutants:
        yield from _part(f"A mutant of a {part.role}", part, here)
    yield from _pieces("Obeyed in", one.code, here)


def _part(what: str, part: Part, here: set[Piece]) -> Iterator[str]:
    yield f"**{what}**: {holding.plain(part.said)}\n"
    yield from _pieces("It is", [part.piece], here)
    yield from _pieces("It uses", part.helpers, here)


def _pieces(words: str, found: Sequence[Piece], here: set[Piece]) -> Iterator[str]:
    """Yield a sentence with links to these pieces, and those of `here`, which then are shown."""
    away = [piece for piece in found if piece not in here]
    if away:
        yield f"{words} {', '.join(holding.link(piece) for piece in away)}.\n"
    for piece in found:
        if piece in here:
            here.remove(piece)
            yield from _piece(words, piece)


def _piece(words: str, piece: Piece) -> Iterator[str]:
    ticks = max([3, *(len(run) + 1 for run in re.findall(r"^\s*(`{3,})", piece.source, re.MULTILINE))])
    name = "the docstring of the module" if piece.name == MODULE else f"`{piece.name}`"
    yield f'<a id="{piece.anchor}"></a>{words} {name} <small>{piece.place}</small>\n'
    yield f"{'`' * ticks}python\n{piece.source}\n{'`' * ticks}\n"
