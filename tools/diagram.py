"""Diagram: draws a transition table (columns `from`, `event`, `to`, perhaps `by`) as inline SVG.

Each state is a layer, a line from top to bottom; each event is an arrow from the lines of its
sources to that of its target, beneath its name. Rows of the same event and target are one arrow.
No two arrows cross, so that it reads at the width of a telephone too. Colours are the text's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

from tools.chapters import Table

NOTHING = frozenset({"", "-", "–"})
START = "·"
LAYER = 72
MARGIN = 36
LETTER = 6.0
LINE = 14


class Transition(NamedTuple):
    """One arrow: the states it may start in, what happens and by whom, the state it ends in."""

    sources: tuple[str, ...]
    event: str
    by: tuple[str, ...]
    target: str

    @property
    def label(self) -> str:
        """What stands above the arrow."""
        return f"{self.event} ({', '.join(self.by)})" if self.by else self.event


def plain(cell: str) -> str:
    """Return a cell without the marks of Markdown."""
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", cell).replace("`", "").replace("*", "").strip()


def _rows(table: Table) -> list[tuple[str, str, str, str]]:
    """Return source, event, actor and target of each row in which something happens."""
    columns = [table.header.index(name) for name in ("from", "event", "to")]
    actor = table.header.index("by") if "by" in table.header else None
    rows = []
    for row in table.rows:
        source, event, target = (plain(row[index]) for index in columns)
        if event not in NOTHING:
            by = "" if actor is None else plain(row[actor])
            rows.append((_named(source), event, by, _named(target)))
    if not rows:
        raise ValueError(f"nothing happens in the table {' | '.join(table.header)}")
    return rows


def _named(state: str) -> str:
    return START if state in NOTHING else state


def states(table: Table) -> list[str]:
    """Return the states of a table in the order in which they are first named."""
    return list(dict.fromkeys(name for source, _, _, target in _rows(table) for name in (source, target)))


def transitions(table: Table) -> list[Transition]:
    """Return the arrows of a table: rows of one event with one target, or with none but themselves."""
    arrows: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for source, event, by, target in _rows(table):
        stays = START if source == target else target
        arrows.setdefault((event, stays), []).append((source, by))
    found: list[Transition] = []
    for (event, target), starts in arrows.items():
        sources = tuple(dict.fromkeys(source for source, _ in starts))
        actors = tuple(dict.fromkeys(by for _, by in starts if by))
        found.append(Transition(sources, event, actors, target))
    return found


def draw(table: Table, title: str) -> str:
    """Return a table as one line of SVG, at most as wide as the page."""
    layers = states(table)
    across = {name: MARGIN + LAYER * index for index, name in enumerate(layers)}
    width = max(360, 2 * MARGIN + LAYER * (len(layers) - 1))
    parts: list[str] = []
    height = 44
    for transition in transitions(table):
        labels = wrap(transition.label, int(width / LETTER) - 2)
        sources = [across[name] for name in transition.sources]
        ends = sources if transition.target == START else [*sources, across[transition.target]]
        middle = (min(ends) + max(ends)) / 2
        for text in labels:
            half = len(text) * LETTER / 2
            parts.append(_label(text, min(max(middle, half), width - half), height))
            height += LINE
        if transition.target == START:
            parts += [_loop(x, height) for x in sources]
        else:
            parts.append(_arrow(sources, across[transition.target], height))
        height += 22
    lines = [_layer(name, x, height) for name, x in across.items()]
    return (
        f'<svg class="states" role="img" viewBox="0 0 {width} {height + 4}" '
        'xmlns="http://www.w3.org/2000/svg" '
        f'style="display:block;width:100%;max-width:{width * 1.4:.0f}px;margin:1em 0" '
        'font-family="inherit" font-size="11.5" fill="currentColor" stroke="none">'
        f"<title>{escape(title)}</title>{''.join(lines)}{''.join(parts)}</svg>"
    )


def _layer(name: str, x: int, bottom: int) -> str:
    line = (
        f'<line x1="{x}" y1="28" x2="{x}" y2="{bottom}" stroke="currentColor" stroke-opacity=".3" '
        'stroke-dasharray="2 3"/>'
    )
    if name == START:
        return f'{line}<circle cx="{x}" cy="17" r="6"/>'
    return (
        f'{line}<rect x="{x - 33}" y="5" width="66" height="24" rx="12" fill="none" stroke="currentColor"/>'
        f'<text x="{x}" y="21" text-anchor="middle" font-weight="bold">{escape(name)}</text>'
    )


def _label(text: str, middle: float, y: int) -> str:
    halo = "paint-order:stroke;stroke:var(--md-default-bg-color,transparent);stroke-width:4px"
    return f'<text x="{middle:g}" y="{y + 4}" text-anchor="middle" style="{halo}">{escape(text)}</text>'


def _arrow(sources: Sequence[int], target: int, y: int) -> str:
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3"/>' for x in sources)
    ends = []
    for furthest, side in ((min(sources), 1), (max(sources), -1)):
        if (target - furthest) * side > 0:
            ends.append(
                f'<line x1="{furthest}" y1="{y}" x2="{target - 6 * side}" y2="{y}" stroke="currentColor"/>'
            )
            ends.append(f'<path d="M{target - side} {y} l{-8 * side} -4 v8 z"/>')
    return dots + "".join(ends)


def _loop(x: int, y: int) -> str:
    """Draw an arrow that comes back to the state it starts in."""
    loop = f'<path d="M{x} {y - 3} h12 a4.5 4.5 0 0 1 0 9 h-5" fill="none" stroke="currentColor"/>'
    return f'<circle cx="{x}" cy="{y - 3}" r="3"/>{loop}<path d="M{x + 1} {y + 6} l8 -4 v8 z"/>'
