"""Timeline: the race of a recorded call, as steps in words and as a picture of lanes over time.

Rules of this file: every step is in the record; times count from the CallSetup of the end that dials. The
picture is whole without a script; each part says by `data-step` which step it belongs to, so that a script
can show one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tools.sequence import COLOURS, milliseconds

Row = Mapping[str, Any]
ENDS = ("caller", "callee")
WIDTH, TOP, LANE, EDGE = 640, 10, 38, 14
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
HEARD = {"direct": "on the direct path", "room": "through the relay", "link": "through the link"}
AT_MOST = 8
"""Marks of the time axis."""


@dataclass(frozen=True)
class Step:
    """Something that happened: when, in which lane, said in words; `until` where it takes time.

    `mark` is how its moment is drawn: a dot, a ring for the other end, a cross for an end.
    """

    ms: float
    lane: str
    words: str
    mark: str = "dot"
    began: float | None = None
    over: str = "signal"


def _arrival(row: Row) -> float:
    return float(row["ms"]) + float(row["took"] or 0.0)


def _of_message(row: Row) -> Iterator[Step]:
    if row["name"] == "CallSetup" and row["to"] in ENDS:
        yield Step(_arrival(row), f"{row['to']}: messages", f"CallSetup reaches the {row['to']}.")
    if row["name"] == "MediaPathReport":
        found = "a" if row["members"]["direct_ok"] else "no"
        if row["from"] in ENDS:
            words = f"The {row['from']} reports that it has {found} direct path."
            yield Step(row["ms"], f"{row['from']}: messages", words)
        else:
            yield Step(
                _arrival(row), f"{row['to']}: messages", f"The {row['to']} hears the other's report.", "ring"
            )


def _of_dial(row: Row) -> Iterator[Step]:
    who, over = row["from"], row["over"]
    lane = row["address"] if over == "direct" else f"{who}: room at the relay"
    where = row["address"] if over == "direct" else "its room at the relay"
    yield Step(row["ms"], lane, f"The {who} dials {where}.", over=over)
    if row["took"] is not None:
        words = f"The handshake is complete at the {who}: {where}."
        yield Step(_arrival(row), lane, words, began=row["ms"], over=over)
    if row["there"] is not None:
        there = float(row["ms"]) + float(row["there"])
        yield Step(
            there,
            lane,
            f"The handshake is complete at the {row['to']} too.",
            "ring",
            began=row["ms"],
            over=over,
        )


def _steps(rows: Sequence[Row]) -> Iterator[Step]:
    dialled = {row["address"]: row["ms"] for row in rows if row["kind"] == "dial"}
    for row in rows:
        match row["kind"]:
            case "message":
                yield from _of_message(row)
            case "dial" if row["over"] in {"direct", "room"}:
                yield from _of_dial(row)
            case "close" if row["over"] == "direct" and row["address"] in dialled:
                words = f"The {row['from']} closes the attempt at {row['address']}: {row['code']}."
                began = dialled[row["address"]]
                yield Step(row["ms"], row["address"], words, "cross", began=began, over="direct")
            case "note" if row["text"].startswith("takes"):
                yield Step(row["ms"], f"{row['from']}: messages", f"The {row['from']} {row['text']}.")
            case "media" if row["to"] in ENDS and row["took"] is not None:
                words = f"The {row['to']} hears the other end {HEARD[row['over']]}."
                yield Step(_arrival(row), f"media to the {row['to']}", words, over=row["over"])


def steps(rows: Sequence[Row]) -> list[Step]:
    """Return the steps of a race, from the CallSetup of the dialer until both have heard the other end.

    Raises ValueError for a dialogue in which nobody dials the other end.
    """
    dialers = [row["from"] for row in rows if row["kind"] == "dial" and row["over"] == "direct"]
    if not dialers:
        raise ValueError("nobody dials the other end: there is no race")
    setup = f"CallSetup reaches the {dialers[0]}."
    every = sorted(_steps(rows), key=lambda step: step.ms)
    zero = next(step.ms for step in every if step.words == setup)
    last = max(step.ms for step in every if step.lane.startswith("media"))
    return [
        Step(
            round(step.ms - zero, 1),
            step.lane,
            step.words,
            step.mark,
            None if step.began is None else round(step.began - zero, 1),
            step.over,
        )
        for step in every
        if step.ms <= last
    ]


def lanes(those: Sequence[Step]) -> list[str]:
    """Return the lanes from top to bottom: messages, candidates in the order of their dials, rooms, media."""
    kinds = ("messages", "", "room", "media")

    def place(name: str) -> tuple[int, bool]:
        return next((at for at, kind in enumerate(kinds) if kind and kind in name), 1), "callee" in name

    return sorted(dict.fromkeys(step.lane for step in those), key=place)


class Picture:
    """The lanes of one race."""

    def __init__(self, those: Sequence[Step], named: Mapping[str, str]) -> None:
        """Take the steps, and what is known of lanes: a few words by the beginning of its name."""
        self._steps, self._named = those, named
        self._first, self._last = min(0.0, those[0].ms), those[-1].ms
        self._lanes = {name: TOP + LANE * (at + 1) for at, name in enumerate(lanes(those))}
        self._bottom = TOP + LANE * (len(self._lanes) + 1) - 12

    def svg(self, name: str, title: str, words: str) -> str:
        """Return one line of SVG."""
        parts = [*self._axis(), *(self._lane(lane, y) for lane, y in self._lanes.items())]
        parts += [self._step(number, step) for number, step in enumerate(self._steps, 1)]
        cursor = f'<line class="cursor" y1="{TOP}" y2="{self._bottom}" x1="0" x2="0" visibility="hidden"/>'
        return (
            f'<svg role="img" aria-labelledby="{name}-title {name}-words" viewBox="0 0 {WIDTH} '
            f'{self._bottom + 22}" xmlns="http://www.w3.org/2000/svg" style="display:block;width:100%;'
            f'min-width:{WIDTH - 80}px" font-family="inherit" font-size="12" fill="currentColor">'
            f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-words">{escape(words)}</desc>'
            f"{''.join(parts)}{cursor}</svg>"
        )

    def x(self, ms: float) -> float:
        """Return where a moment is drawn."""
        return round(EDGE + (WIDTH - 2 * EDGE) * (ms - self._first) / (self._last - self._first), 1)

    def _axis(self) -> Iterator[str]:
        unit = next((one for one in TICKS if (self._last - self._first) / one <= AT_MOST), TICKS[-1])
        for count in range(int(self._last // unit) + 1):
            x = self.x(count * unit)
            words = min(x, WIDTH - 28)
            yield (
                f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{self._bottom}" stroke="currentColor" '
                f'stroke-opacity=".18"/><text x="{words}" y="{self._bottom + 15}" text-anchor="middle" '
                f'font-size="11">{count * unit} ms</text>'
            )

    def _lane(self, lane: str, y: int) -> str:
        known = next((said for start, said in self._named.items() if lane.startswith(start)), "")
        halo = "paint-order:stroke;stroke:var(--md-default-bg-color,transparent);stroke-width:4px"
        return (
            f'<line x1="{EDGE}" y1="{y}" x2="{WIDTH - EDGE}" y2="{y}" stroke="currentColor" '
            f'stroke-opacity=".18"/><text x="{EDGE}" y="{y - 10}" style="{halo}">{escape(lane)}'
            f"{', ' if known else ''}{escape(known)}</text>"
        )

    def _step(self, number: int, step: Step) -> str:
        x, y, colour = self.x(step.ms), self._lanes[step.lane], COLOURS[step.over]
        drawn = ""
        if step.began is not None:
            dash = ' stroke-dasharray="3 4"' if step.mark == "cross" else ""
            drawn += (
                f'<line x1="{self.x(step.began)}" y1="{y}" x2="{x}" y2="{y}" stroke="{colour}" '
                f'stroke-width="4"{dash}/>'
            )
        match step.mark:
            case "cross":
                drawn += (
                    f'<path d="M{x - 5} {y - 5} l10 10 m0 -10 l-10 10" stroke="{colour}" stroke-width="2"/>'
                )
            case "ring":
                drawn += (
                    f'<circle cx="{x}" cy="{y}" r="5" fill="var(--md-default-bg-color,#fff)" '
                    f'stroke="{colour}" stroke-width="2"/>'
                )
            case _:
                drawn += f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"/>'
        return f'<g data-step="{number}" data-x="{x}">{drawn}</g>'


def listed(those: Sequence[Step]) -> str:
    """Return the steps as an ordered list, in HTML."""
    items = "".join(
        f'<li data-step="{number}"><b>{milliseconds(step.ms)} ms</b> {escape(step.words)}</li>'
        for number, step in enumerate(those, 1)
    )
    return f'<ol class="race-steps">{items}</ol>'
