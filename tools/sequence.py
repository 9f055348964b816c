"""Sequence: draws a recorded dialogue as inline SVG: a line for each party, an arrow for what passes.

Rules of this file: every row of the record is one row of the picture, in its order; times stand at the left
in milliseconds, and a pause is named. Words have the text's own colour, so that they read in light and dark;
what a connection is for is told by colour, form and the words of the arrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Row = Mapping[str, Any]
STAGE = "stage"
FIRST, APART, LETTER = 92, 152, 6.2
TOP, ROW, MORE, PAUSE = 40, 32, 13, 22
LONG, PAUSES = 100.0, 250.0
"""Milliseconds from which on tenths do not matter, and from which on a pause is named."""
COLOURS = {"signal": "currentColor", "direct": "#00897b", "room": "#c2570c", "link": "#8e63d9"}
PLACES = {
    "signal": "signal connection",
    "direct": "direct path",
    "room": "room at the relay",
    "link": "link of the relays",
}
TOLD = ("accept_mode", "reason", "observed_addr", "direct_ok", "inner", "count")
"""Members that stand beneath the name of a message."""


def milliseconds(value: float) -> str:
    """Return a time as it is written: tenths where they matter."""
    return (f"{value:.1f}" if abs(value) < LONG else f"{value:.0f}").replace("-", "–")


def label(row: Row) -> str:
    """Return what stands above an arrow."""
    match row["kind"]:
        case "message":
            return str(row["name"])
        case "dial":
            return f"{PLACES[row['over']]}{'' if row['took'] is not None else ': no answer'}"
        case "media":
            counted = "" if row["datagrams"] is None else f": {row['datagrams']} datagrams"
            return f"media{counted}"
        case "close":
            return f"closes it: {row['code']}"
    return str(row["text"])


def hint(row: Row) -> str:
    """Return what stands beneath an arrow, or nothing."""
    if row["kind"] == "message":
        shown = ((name, row["members"].get(name)) for name in TOLD)
        return ", ".join(told(name, value) for name, value in shown if value is not None)
    return str(row["address"]) if row["kind"] == "dial" and row["over"] == "direct" else ""


def told(name: str, value: object) -> str:
    """Return a member in a few words."""
    if isinstance(value, bool):
        return f"{name}: {str(value).lower()}"
    return str(value) if isinstance(value, str) else f"{name}: {value}"


class Drawing:
    """The picture of one dialogue."""

    def __init__(self, parties: Sequence[str]) -> None:
        """Begin with a line for each party."""
        self.across = {name: FIRST + APART * place for place, name in enumerate(parties)}
        self.width = FIRST + APART * (len(parties) - 1) + 56
        self._parts: list[str] = []
        self._y = TOP

    def draw(self, rows: Sequence[Row], name: str, title: str, words: str) -> str:
        """Return one line of SVG; `name` tells its ids from those of others on the page."""
        before: float | None = None
        for row in rows:
            if before is not None and row["ms"] - before > PAUSES:
                self._pause(row["ms"] - before)
            before = row["ms"]
            self._row(row)
        lines = "".join(self._line(party, x) for party, x in self.across.items())
        return (
            f'<svg role="img" aria-labelledby="{name}-title {name}-words" viewBox="0 0 {self.width} '
            f'{self._y + 6}" xmlns="http://www.w3.org/2000/svg" style="display:block;width:100%;'
            f'min-width:{self.width}px;max-width:{self.width * 1.4:.0f}px" font-family="inherit" '
            'font-size="11.5" fill="currentColor" stroke="none">'
            f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-words">{escape(words)}</desc>'
            f'<text x="{FIRST - 48}" y="21" text-anchor="end" font-size="10.5">ms</text>'
            f"{lines}{''.join(self._parts)}</svg>"
        )

    def _line(self, party: str, x: int) -> str:
        return (
            f'<line x1="{x}" y1="30" x2="{x}" y2="{self._y}" stroke="currentColor" stroke-opacity=".35"/>'
            f'<rect x="{x - 40}" y="5" width="80" height="24" rx="4" fill="none" stroke="currentColor"/>'
            f'<text x="{x}" y="21" text-anchor="middle" font-weight="bold">{escape(party)}</text>'
        )

    def _pause(self, length: float) -> None:
        words = f"{length / 1000:.1f} s pass"
        self._parts.append(
            f'<line x1="{FIRST - 44}" y1="{self._y + 11}" x2="{self.width}" y2="{self._y + 11}" '
            'stroke="currentColor" stroke-opacity=".4" stroke-dasharray="2 4"/>'
        )
        self._text(words, self.width / 2 + 20, self._y + 15)
        self._y += PAUSE

    def _row(self, row: Row) -> None:
        at = self._y + 22
        when = milliseconds(row["ms"])
        self._parts.append(
            f'<text x="{FIRST - 48}" y="{at + 4}" text-anchor="end" font-size="10.5">{when}</text>'
        )
        if row["kind"] == "note":
            middle = self.across.get(row["from"], self.width / 2 + 20)
            self._text(label(row), middle, at + 4, "italic")
            self._y += ROW - 6
            return
        start, end = self.across[row["from"]], self.across[row["to"]]
        self._text(label(row), (start + end) / 2, at - 6)
        self._arrow(row, start, end, at)
        more = hint(row)
        if more:
            self._text(more, (start + end) / 2, at + 13, size=10)
        self._y += ROW + (MORE if more else 0)

    def _text(self, words: str, middle: float, y: float, form: str = "normal", size: float = 11.5) -> None:
        half = len(words) * LETTER * size / 23
        middle = min(max(middle, half + 48), self.width - half)
        halo = "paint-order:stroke;stroke:var(--md-default-bg-color,transparent);stroke-width:4px"
        self._parts.append(
            f'<text x="{middle:g}" y="{y:g}" text-anchor="middle" font-style="{form}" font-size="{size}" '
            f'style="{halo}">{escape(words)}</text>'
        )

    def _arrow(self, row: Row, start: int, end: int, y: int) -> None:
        side, colour = (1 if end > start else -1), COLOURS[row["over"]]
        dash = ' stroke-dasharray="6 4"' if row["kind"] in {"dial", "close"} else ""
        thick = 4 if row["kind"] == "media" else 1.5
        arrives = row["kind"] == "close" or row["took"] is not None
        tip = end if arrives else end - 24 * side
        self._parts.append(
            f'<line x1="{start}" y1="{y}" x2="{tip - 7 * side}" y2="{y}" stroke="{colour}" '
            f'stroke-width="{thick}"{dash}/>'
        )
        if arrives and row["kind"] != "close":
            self._parts.append(f'<path fill="{colour}" d="M{tip} {y} l{-9 * side} -5 v10 z"/>')
        else:
            cross = f"M{tip - 9 * side} {y - 5} l{8 * side} 10 m0 -10 l{-8 * side} 10"
            self._parts.append(f'<path d="{cross}" stroke="{colour}" stroke-width="1.5" fill="none"/>')
