"""Wording: texts of others, made fit to be shown: in HTML, in Markdown, in a shell.

Rules of this file: nothing that an implementation says can be more than text. What cannot be seen, or
turns the direction of what follows, is shown as its number.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_MARKS = re.compile(r"`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|\*([^*]+)\*|\b([A-Z]+-\d+)\b")
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_PUNCTUATION = re.compile(r"([\\`*_\[\]<>|~&@$])")
_RUN = 3  # ids that follow one another and are told by the first and the last
_UNNUMBERED = 1 << 20  # behind all those with a number
_STACKED = 2  # combining marks over one letter; more of them climb over the lines above


def visible(text: str) -> str:
    r"""Return a text in which everything is visible: `\u202e` for a character that turns the direction."""
    shown: list[str] = []
    stacked = 0
    for one in " ".join(text.splitlines()) if len(text.splitlines()) > 1 else text:
        stacked = stacked + 1 if unicodedata.combining(one) else 0
        if one.isprintable() and stacked <= _STACKED:
            shown.append(one)
        elif stacked <= _STACKED:
            shown.append(f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}")
    return "".join(shown)


def finalize(value: Any) -> Any:  # noqa: ANN401 - whatever a template writes
    """Return a value as a template may write it: texts visible, what is HTML already as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def ids(names: Iterable[str]) -> str:
    """Return ids of requirements in few words, each area in order: `CALL-3 CALL-9 FED-1 to FED-6`."""
    areas: dict[str, list[str]] = {}
    for one in dict.fromkeys(names):
        areas.setdefault(one.partition("-")[0], []).append(one)
    return " ".join(_runs(those) for those in areas.values())


def _runs(names: Sequence[str]) -> str:
    """Return the ids of one area; those with numbers that follow one another are a run."""
    runs: list[list[str]] = []
    last = -1
    for number, one in sorted((_number(one), one) for one in names):
        if runs and number == last + 1:
            runs[-1].append(one)
        else:
            runs.append([one])
        last = number
    return " ".join(f"{one[0]} to {one[-1]}" if len(one) >= _RUN else " ".join(one) for one in runs)


def _number(name: str) -> int:
    number = name.partition("-")[2]
    return int(number) if number.isdecimal() else _UNNUMBERED


def unlinked(text: str) -> str:
    """Return a text of the specification for a terminal: of a link its words."""
    return _LINK.sub(r"\1", text)


def prose(text: str, anchors: Mapping[str, str]) -> Markup:
    """Return a sentence of the specification as HTML; `anchors` leads from an id or chapter to its anchor."""

    def marked(match: re.Match[str]) -> str:
        code, label, target, strong, named = match.groups()
        if code:
            return f"<code>{code}</code>"
        if strong:
            return f"<em>{strong}</em>"
        name = named or (label if label in anchors else target.partition(".")[0])
        words = named or label
        return f'<a href="#{anchors[name]}">{words}</a>' if name in anchors else words

    return Markup(_MARKS.sub(marked, str(escape(visible(text)))))  # noqa: S704 - escaped before


def markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return _PUNCTUATION.sub(r"\\\1", visible(text)).replace("://", r"\://").replace("www.", r"www\.")


def code(text: str) -> str:
    """Return a text as a code span of Markdown."""
    shown = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    space = " " if shown[:1] == "`" or shown[-1:] in ("`", "") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def command(words: Sequence[str]) -> str:
    """Return a command for a shell; what a shell cannot show is visible and will not work."""
    return visible(shlex.join(words))
