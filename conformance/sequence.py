"""Sequence: a dialogue as a drawing, for people, and which of its steps are shown.

Rules of this file: the drawing is as wide as a telephone when there are few people, and never higher
than its bound; a label stays between the lines of life that its arrow joins, and what is cut of it is told
by its title; the step that shows the failure is never left out, and it is told by colour, by shape and in
words, with the member that is wrong where the failure names one; the colours are those of the page.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from conformance.dialogue import FENCES
from conformance.wording import visible

FIRST, LAST, AFTER = 4, 30, 3
"""Steps that are shown of a long dialogue: its first, those up to the failure, and those behind it."""
PEOPLE = 8
"""People who have a line of life in the drawing."""
WIDTH = 316
_NARROW = 400
_GUTTER, _LANE, _ROW, _HEAD = 26, 96, 32, 34
_LETTER = 6.1  # units that a letter of a label takes, about
_LABEL = 44
_OVER = 8  # units that a label may be wider than its arrow: its outline keeps the lines away
_LEAST = 5
_CERTAIN = 6
"""Letters of a value that nobody says by accident."""
_TELLING = ("reason", "accept_mode", "success")

Step = Mapping[str, Any]


class Shown(NamedTuple):
    """One row: a step with its place in the dialogue, or, without one, how many were left out."""

    place: int
    step: Step | None
    omitted: int = 0


class Picture(NamedTuple):
    """What of a dialogue is shown: its rows, the people, and how many fences and strangers were left out."""

    rows: list[Shown]
    people: list[str]
    fences: int
    strangers: int


def label(what: object) -> str:
    """Return a step in few words."""
    if not isinstance(what, dict) or not what:
        return _brief(str(what))
    name, value = next(iter(what.items()))
    match [*what]:
        case ["close", *_]:
            words = f"close {value}"
        case ["datagram", *_]:
            words = f"datagram, {what.get('bytes')} bytes"
        case ["bytes", *_]:
            words = f"{value} raw bytes"
        case ["dials", *_]:
            words = f"dials {value}"
        case ["reset"]:
            words = f"resets the stream {value}"
        case ["streams granted"]:
            words = f"grants {value} streams"
        case [_] if isinstance(value, dict):
            telling = next((_telling(value[one]) for one in _TELLING if one in value), "")
            words = f"{name}{{{telling}}}" if telling else name
        case _:
            words = f"{name}: {value}"
    return _brief(words)


def _telling(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _brief(words: str) -> str:
    shown = visible(words)
    return shown if len(shown) <= _LABEL else f"{shown[: _LABEL - 1]}…"


def fit(words: str, letters: int) -> str:
    """Return a label of so many letters: of `Register{true}` the name is cut before what it tells."""
    if len(words) <= letters:
        return words
    name, brace, telling = words.partition("{")
    left = letters - len(telling) - 2
    return f"{name[:left]}…{{{telling}" if brace and left >= _LEAST else f"{words[: letters - 1]}…"


def fault(what: object, said: str) -> str:
    """Return the member of a message that the words of a failure name, or whose value they have; or nothing.

    What the label of the message shows already is not said again.
    """
    body = next(iter(what.values())) if isinstance(what, dict) and len(what) == 1 else None
    if not isinstance(body, dict):
        return ""
    words = {*re.findall(r"\w+", said)}
    members = [(name, _telling(value)) for name, value in _members(body)]
    valued = [one for one in members if len(one[1]) >= _CERTAIN and one[1] in said]
    named = [one for one in members if one[0] in words]
    chosen = [one for one in valued if one in named] or valued or named
    if not chosen or label(what).endswith(f"{{{chosen[0][1]}}}"):
        return ""
    return visible(" = ".join(chosen[0]))


def _members(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every member with its value, and of a list with each of its values."""
    for name, value in body.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one


def is_fence(step: Step) -> bool:
    """Tell whether a step is one of the suite's own Pings or the Pong to it."""
    what = step["what"]
    body = (what.get("Ping") or what.get("Pong")) if isinstance(what, dict) else None
    number = body.get("timestamp_ms") if isinstance(body, dict) else None
    return isinstance(number, int) and number >= FENCES


def select(dialogue: Sequence[Step], failing: int | None) -> Picture:
    """Return what is shown of a dialogue; `failing` is the place of the step that shows the failure."""
    telling = [place for place, step in enumerate(dialogue) if place == failing or not is_fence(step)]
    people = _people(dialogue, telling, failing)
    kept = [place for place in telling if dialogue[place]["who"] in people]
    end = len(kept) if failing is None else min(len(kept), kept.index(failing) + 1 + AFTER)
    wanted = sorted({*range(len(kept))} & {*range(FIRST), *range(end - LAST, end)})
    rows: list[Shown] = []
    for before, now in itertools.pairwise([-1, *wanted, len(kept)]):
        rows += [Shown(0, None, now - before - 1)] if now - before > 1 else []
        rows += [Shown(kept[now], dialogue[kept[now]])] if now < len(kept) else []
    return Picture(rows, people, len(dialogue) - len(telling), len(telling) - len(kept))


def _people(dialogue: Sequence[Step], telling: Sequence[int], failing: int | None) -> list[str]:
    """Return who is shown, in the order of entering: who is in the failure, and who spoke last."""
    entering = list(dict.fromkeys(dialogue[place]["who"] for place in telling))
    leading = [dialogue[failing]["who"]] if failing is not None else []
    latest = [dialogue[place]["who"] for place in reversed(telling)]
    chosen = [*dict.fromkeys([*leading, *latest])][:PEOPLE]
    return [one for one in entering if one in chosen]


class Drawing:
    """Draws one dialogue as SVG."""

    def __init__(
        self, picture: Picture, implementation: str, failing: int | None, anchor: str, wrong: str = ""
    ) -> None:
        """Place the lines of life: the implementation under test stands in the middle.

        `wrong` is the member of the failing step that is wrong, if that is known.
        """
        self._wrong = wrong
        self._picture = picture
        self._failing = failing
        self._anchor = anchor
        half = (len(picture.people) + 1) // 2
        names = [*picture.people[:half], "", *picture.people[half:]]
        self._width = max(WIDTH, _GUTTER + _LANE * len(names))
        self._space = (self._width - _GUTTER) / len(names)
        self._places = {name: _GUTTER + self._space * (number + 0.5) for number, name in enumerate(names)}
        self._names = {name: name or implementation for name in names}
        rows = sum(2 if one.place == failing and one.step else 1 for one in picture.rows)
        self._height = _HEAD + _ROW * (rows + 1) - _ROW // 2

    @property
    def wide(self) -> bool:
        """Whether the drawing needs more room than that of a few people."""
        return self._width > _NARROW

    def svg(self, title: str) -> Markup:
        """Return the drawing, with a title for those who do not see it."""
        parts = [*self._lanes(), *self._rows()]
        return Markup(
            '<svg class="sequence" role="img" aria-labelledby="{anchor}-title" width="{width}" '
            'height="{height}" viewBox="0 0 {width} {height}"><title id="{anchor}-title">{title}</title>'
            "{inside}</svg>"
        ).format(
            anchor=self._anchor,
            width=self._width,
            height=self._height,
            title=visible(title),
            inside=Markup("").join(parts),
        )

    def _lanes(self) -> Iterator[Markup]:
        for name, x in self._places.items():
            half = self._space / 2 - 3
            letters = max(3, int(self._space / (_LETTER + 0.6)) - 1)
            shown = visible(self._names[name])
            shown = shown if len(shown) <= letters else f"{shown[: letters - 1]}…"
            yield Markup(
                '<line class="life" x1="{x}" y1="{top}" x2="{x}" y2="{end}"/>'
                '<rect class="{kind}" x="{left}" y="2" width="{width}" height="22" rx="4"/>'
                '<text class="name" x="{x}" y="17" text-anchor="middle">{name}</text>'
            ).format(
                x=_unit(x),
                top=24,
                end=self._height,
                kind="person" if name else "implementation",
                left=_unit(x - half),
                width=_unit(half * 2),
                name=shown,
            )

    def _rows(self) -> Iterator[Markup]:
        y = float(_HEAD)
        for row in self._picture.rows:
            y += _ROW
            if row.step is None:
                yield self._gap(row.omitted, y)
            elif row.place == self._failing:
                yield self._offence(row, row.step, y)
                y += _ROW
            else:
                yield self._arrow(row, row.step, y, "step")

    def _gap(self, omitted: int, y: float) -> Markup:
        return Markup(
            '<line class="gap" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>'
            '<text class="note" x="{middle}" y="{above}" text-anchor="middle">{words}</text>'
        ).format(
            left=_GUTTER,
            right=self._width,
            y=_unit(y),
            middle=_unit((self._width + _GUTTER) / 2),
            above=_unit(y - 6),
            words=f"{omitted} {'step' if omitted == 1 else 'steps'} left out",
        )

    def _offence(self, row: Shown, step: Step, y: float) -> Markup:
        """Draw the step that shows the failure, with a band behind it and words below."""
        missing = bool(step.get("missing"))
        words = "this never came" if missing else "the failure shows here"
        return Markup(
            '<g id="{anchor}-step" class="offence"><rect class="band" x="0" y="{top}" width="{width}" '
            'height="{height}" rx="4"/>{arrow}<path class="cross" d="M{left} {low}l9 9m0 -9l-9 9"/>'
            '<text class="verdict" x="{middle}" y="{below}" text-anchor="middle">{words}</text>{member}</g>'
        ).format(
            anchor=self._anchor,
            top=_unit(y - 21),
            width=self._width,
            height=_ROW + (_ROW if self._wrong else 18),
            member=self._member(y + 33) if self._wrong else "",
            left=_unit((self._width + _GUTTER) / 2 - len(words) * _LETTER / 2 - 20),
            arrow=self._arrow(row, step, y, "missing" if missing else "wrong"),
            low=_unit(y + 9.5),
            middle=_unit((self._width + _GUTTER) / 2),
            below=_unit(y + 18),
            words=words,
        )

    def _member(self, y: float) -> Markup:
        """Draw the member that is wrong."""
        words = fit(self._wrong, int((self._width - _GUTTER) / _LETTER))
        return Markup(
            '<text class="fault" x="{x}" y="{y}" text-anchor="middle"><title>{whole}</title>{words}</text>'
        ).format(x=_unit((self._width + _GUTTER) / 2), y=_unit(y), whole=self._wrong, words=words)

    def _arrow(self, row: Shown, step: Step, y: float, kind: str) -> Markup:
        person, middle = self._places[step["who"]], self._places[""]
        begin, end = (person, middle) if step["direction"] == "->" else (middle, person)
        forward = 1 if end > begin else -1
        whole = label(step["what"])
        words = fit(whole, int((abs(end - begin) + _OVER) / _LETTER))
        half = len(words) * _LETTER / 2
        center = min(max((begin + end) / 2, _GUTTER + half), self._width - half - 2)
        return Markup(
            '<text class="number" x="22" y="{y4}" text-anchor="end">{number}</text>'
            '<g class="{kind}">{title}<line class="arrow" x1="{begin}" y1="{y}" x2="{neck}" y2="{y}"/>'
            '<path class="tip" d="M{end} {y}l{back} -4v8z"/>'
            '<text class="label" x="{center}" y="{above}" text-anchor="middle">{words}</text></g>'
        ).format(
            y4=_unit(y + 4),
            number=row.place + 1,
            kind=kind,
            title=Markup("<title>{}</title>").format(whole) if whole != words else "",
            begin=_unit(begin),
            neck=_unit(end - 7 * forward),
            end=_unit(end),
            y=_unit(y),
            back=-8 * forward,
            center=_unit(center),
            above=_unit(y - 6),
            words=words,
        )


def _unit(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
