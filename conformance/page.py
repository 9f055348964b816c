"""Page: report.html, one file that needs no network: the verdict, every failure, the specification judged.

Rules of this file: the page is made from the results alone; the template escapes whatever it writes, and
what is HTML already is made by wording.py and sequence.py only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from conformance import formats, sequence, wording
from conformance.dialogue import words
from conformance.verdicts import SEVERITY, Exit

Results = Mapping[str, Any]
UNJUDGED = "not judged"
KINDS = (*map(str, SEVERITY), UNJUDGED)
"""What can stand in the margin of a requirement, the worst first."""
BECAUSE = {
    "role": "It is not asked of this role.",
    "phase": "It does not exist in the phase that was judged.",
    "no check": "No check from outside can exist: ",
    "not written": "The suite has no check of it for this role.",
    "not selected": "It was not selected for this run.",
    "not reached": "The run ended before it was judged.",
}
_LISTS = ("requirements", "unjudged")
_STEP = 240
"""Characters of a step that the dialogue in words shows."""


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("conformance", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=wording.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def html(results: Results) -> str:
    """Return the page of these results."""
    chapters = _chapters(results)
    anchors = {one["id"]: one["id"] for those in chapters.values() for one in those}
    anchors |= {chapter: f"chapter-{chapter}" for chapter in chapters}
    everything = [one for those in chapters.values() for one in those]
    counted = Counter(one["kind"] for one in everything)
    ready = results["ready"]
    return _template().render(
        results=results,
        ending=formats.ENDINGS[Exit(results["exit_status"])],
        implementation=" ".join(_plain(ready[one]) for one in ("name", "version") if one in ready),
        said=[*_said(results)],
        chapters=chapters,
        failures=[*_failures(results)],
        kinds=[one for one in KINDS if one in counted],
        counted=counted,
        tally={name: Counter(one["kind"] for one in those) for name, those in chapters.items()},
        roles=[one for one in ("relay", "client") if any(one in each["roles"] for each in everything)],
        known=[one for one in results["requirements"] if one["known"]],
        because=BECAUSE,
        prose=lambda text: wording.prose(text, anchors),
        icon=_icon,
    )


def _chapters(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return every requirement with its kind, by chapter, in the order of the numbers."""
    found: dict[str, list[dict[str, Any]]] = {}
    failures = {rule["id"]: _anchor(rule["id"], 1) for rule, _ in formats.troubles(results)}
    for one in (one for name in _LISTS for one in results[name]):
        kind = one.get("verdict", UNJUDGED)
        shown = one | {"kind": kind, "failure": failures.get(one["id"], "")}
        found.setdefault(one["chapter"], []).append(shown)
    return {name: sorted(those, key=_number) for name, those in _ordered(found, results)}


def _ordered(
    found: dict[str, list[dict[str, Any]]], results: Results
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the chapters in the one order that the two lists of the results are parts of."""
    judged, others = ([*dict.fromkeys(one["chapter"] for one in results[name])] for name in _LISTS)
    for place, name in enumerate(others):
        if name not in judged:
            judged.insert(judged.index(others[place - 1]) + 1 if place else 0, name)
    yield from ((name, found[name]) for name in judged)


def _number(one: Mapping[str, Any]) -> tuple[str, int, int]:
    area, _, number = one["id"].rpartition("-")
    return (area, 0, int(number)) if number.isdecimal() else (area, 1, 0)


def _said(results: Results) -> Iterator[tuple[str, str]]:
    """Yield what the implementation said of itself, member by member, in words."""
    for name, value in results["ready"].items():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
        else:
            text = _plain(value)
        yield name, words(text)


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _anchor(rule: str, number: int) -> str:
    return f"failure-{rule}-{number}"


def _failures(results: Results) -> Iterator[dict[str, Any]]:
    """Yield what the page tells of every check that neither passed nor is merely unsupported."""
    numbers: Counter[str] = Counter()
    for rule, check in formats.troubles(results):
        numbers[rule["id"]] += 1
        anchor = _anchor(rule["id"], numbers[rule["id"]])
        step = check["step"] if check["step"] in range(len(check["dialogue"])) else None
        picture = sequence.select(check["dialogue"], step)
        said = " ".join(check[one] for one in ("message", "expected", "received"))
        wrong = sequence.fault(check["dialogue"][step]["what"], said) if step is not None else ""
        drawing = sequence.Drawing(picture, results["role"], step, anchor, wrong)
        title = f"The dialogue of {check['name']}: {check['message']}"
        yield {
            "rule": rule,
            "check": check,
            "anchor": anchor,
            "step": step,
            "drawing": drawing.svg(words(title)) if picture.rows else "",
            "wide": drawing.wide,
            "picture": picture,
            "told": [*_told(picture, step)],
            "again": formats.again(results, rule["id"], check),
            "flaky": formats.flaky(check),
            "record": check.get("record", ""),
            "record_note": check.get("record_note", ""),
        }


def _told(picture: sequence.Picture, failing: int | None) -> Iterator[dict[str, Any]]:
    """Yield the steps that are shown, in words."""
    for row in picture.rows:
        if row.step is None:
            yield {"omitted": row.omitted}
            continue
        text = json.dumps(row.step["what"], ensure_ascii=False)
        yield {
            "number": row.place + 1,
            "who": row.step["who"],
            "towards": row.step["direction"] == "->",
            "missing": bool(row.step.get("missing")),
            "failing": row.place == failing,
            "what": text if len(text) <= _STEP else f"{text[:_STEP]}…",
        }


def _icon(kind: str) -> Markup:
    """Return the sign of a verdict; its word stands beside it."""
    return Markup(
        '<svg class="icon" aria-hidden="true" viewBox="0 0 16 16"><use href="#sign-{}"/></svg>'
    ).format(kind.replace(" ", "-"))
