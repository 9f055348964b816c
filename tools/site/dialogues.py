"""Dialogues: a page for each recorded call, one for the races, and the page that leads to them.

Rules of this file: what is shown is what is recorded (docs/dialogues/*.json); the words about a call stand
beside its record, and a page without its record is an error. The picture comes with a table that says the
same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tools import sequence, timeline
from tools.chapters import ROOT
from tools.recording.made import FOLDER, load, said
from tools.sequence import Row, milliseconds

TEXTS = ROOT / "docs" / "dialogues"
"""Where the words about the calls stand, each page with a mark where its record is shown."""
DRAWN, RACED, MADE = (
    "{{ dialogue }}",
    re.compile(r"^\{\{ race (?P<name>[a-z-]+) \}\}$", re.MULTILINE),
    "{{ made }}",
)
LANES = {
    "192.168.7.": "the home, IPv4",
    "[fd42:7:": "the home, IPv6",
    "10.8.0.": "a card that leads nowhere",
    "203.0.113.10:": "the router's outer address, as the relay sees it",
}
"""What the addresses of the laboratory's home are."""
DIALOGUE = """<div class="wide" tabindex="0" role="region" aria-label="Sequence diagram">{picture}</div>

[How to read it](index.md#how-to-read-them).

## Row by row

{table}

## How it was recorded

{made}
The record itself: [{name}.json]({name}.json)."""
ONE_RACE = """<div class="race">
<div class="wide" tabindex="0" role="region" aria-label="Timeline: {title}">{picture}</div>
{steps}</div>"""


def pages() -> dict[str, str | bytes]:
    """Return the pages by their paths in the tree; raises RecordError for a call without its record."""
    found: dict[str, str | bytes] = {}
    for path in sorted(TEXTS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        raced = [load(FOLDER / f"{mark['name']}.json") for mark in RACED.finditer(text)]
        if DRAWN in text:
            text = text.replace(DRAWN, dialogue(path.stem))
        text = RACED.sub(lambda mark: race(mark["name"]), text)
        text = text.replace(MADE, "\n".join(said(record["made"]) for record in raced))
        found[f"dialogues/{path.name}"] = text
    return found


def dialogue(name: str) -> str:
    """Return what the page of a call shows of its record: the picture, and the table that says the same."""
    record = load(FOLDER / f"{name}.json")
    drawing = sequence.Drawing(record["parties"])
    words = f"{len(record['rows'])} rows; the table below says the same in words."
    return DIALOGUE.format(
        picture=drawing.draw(record["rows"], name, "Sequence diagram", words),
        table="\n".join(table(record["rows"])),
        made=said(record["made"]),
        name=name,
    )


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the table that says what the picture shows."""
    yield "| ms | who | what | arrives after |"
    yield "|---:|---|---|---:|"
    for row in rows:
        took = row.get("took")
        arrives = "–" if took is None else f"{took:.1f} ms"
        who = " → ".join(row[end] for end in ("from", "to") if end in row)
        yield f"| {milliseconds(row['ms'])} | {who} | {_what(row)}{_members(row)} | {arrives} |"


def _what(row: Row) -> str:
    match row["kind"]:
        case "message":
            name = row["name"]
            where = "" if row["over"] == "signal" else f" on the {sequence.PLACES[row['over']]}"
            return f"[{name}](../schemas/{name}.md){where}"
        case "dial":
            outcome = "" if row["took"] is not None else "; nobody answers"
            return f"dials `{row['address']}`: {sequence.PLACES[row['over']]}{outcome}"
        case "media":
            counted = "" if row["datagrams"] is None else f", {row['datagrams']} datagrams in all"
            return f"first media on the {sequence.PLACES[row['over']]}{counted}"
        case "close":
            return f"closes the {sequence.PLACES[row['over']]} with `{row['address']}`: {row['code']}"
    return f"*{row['text']}*"


def _members(row: Row) -> str:
    shown = row.get("members", {})
    told = ", ".join(f"`{name}` {_value(value)}" for name, value in shown.items())
    return f": {told}" if told else ""


def _value(value: Any) -> str:  # noqa: ANN401 - JSON values
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def race(name: str) -> str:
    """Return what the page of the races shows of one: the timeline, and its steps in words."""
    steps = timeline.steps(load(FOLDER / f"{name}.json")["rows"])
    words = f"{len(steps)} steps; the list beside it says the same in words."
    title = name.replace("-", " ")
    picture = timeline.Picture(steps, LANES).svg(name, f"Timeline: {title}", words)
    return ONE_RACE.format(title=title, picture=picture, steps=timeline.listed(steps))
