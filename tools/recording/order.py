"""Order: whether a recorded dialogue is one that the schemas and the specification know.

Rules of this file: nothing is run. Shapes are those of the schemas, and what the relay says is held against
the table of transitions in spec/call.md, row by row: everything that it sends follows from a row whose event
came before, and everything that a row asks for is sent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tools import chapters
from tools.recording.dialogue import FINGERPRINT, PORTS, RELAY_PORT, shape
from tools.recording.made import Record, RecordError
from tools.recording.scenes import CLIENTS, STAGE

Row = Mapping[str, Any]
KINDS = ("message", "dial", "media", "close", "note")
NOTHING = "–"
CALL = ("DirectCallOffer", "CallRinging", "DirectCallAnswer", "CallSetup", "Hangup", "MediaPathReport")
"""What the table speaks of."""
EVENTS = {"DirectCallOffer": "offer", "Hangup": "hangup", "MediaPathReport": "report"}
MODES = {"AcceptTrusted": "accept", "AcceptGeneric": "accept", "Reject": "reject"}
REFUSED = frozenset({"Error", "Busy"})
"""The reasons of a refusal (spec/call.md, Refusals)."""
STABLE = frozenset(str(first + more) for first in (RELAY_PORT, *PORTS.values()) for more in range(4))
PORT = re.compile(r"(?<=[\d\]]:)\d+$")


def faults(record: Record) -> list[str]:
    """Return a sentence for everything that is wrong with a record."""
    try:
        rows: Sequence[Row] = record["rows"]
        found = [*_order(rows), *(why for row in rows for why in _row(row, record["parties"]))]
        if len(record["parties"]) == len(CLIENTS) + 1:  # the table is that of one relay
            found += _table(rows)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        found = [f"it is no dialogue: {error!r}"]
    return [f"{record.get('name', 'a record without a name')}: {why}" for why in found]


def _order(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "it has no rows"
    for one, two in pairwise(rows):
        if one["ms"] > two["ms"]:
            yield f"the row of {two['ms']} ms stands behind that of {one['ms']} ms"
    offers = [row["ms"] for row in rows if row.get("name") == "DirectCallOffer"]
    if rows and offers[:1] != [0]:
        yield f"the caller's offer is not at 0 ms, but at {offers[:1]}"


def _row(row: Row, parties: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with one row by itself."""
    if row["kind"] not in KINDS:
        yield f"there is no kind {row['kind']!r}"
    for end in ("from", "to"):
        who = row.get(end, STAGE)
        if who not in parties and (who != STAGE or row["kind"] != "note"):
            yield f"{who!r} takes no part"
    if (row.get("took") or 0) < 0:
        yield f"a {row['kind']} took {row['took']} ms"
    if row["kind"] == "message":
        yield from _message(row)
    for text in _texts([*row.values()]):
        if FINGERPRINT.search(text) or any(port not in STABLE for port in PORT.findall(text)):
            yield f"{text!r} is another one in every run"


def _message(row: Row) -> Iterator[str]:
    try:
        members = shape(row["name"]).get("properties", {})
        if "inner" in row["members"]:
            shape(row["members"]["inner"])
    except RecordError as error:
        yield str(error)
        return
    for name in row["members"].keys() - members.keys():
        yield f"{row['name']} has no member {name}"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


class _Relay:
    """One relay as the table of transitions moves it."""

    def __init__(self) -> None:
        table = chapters.table("call", "from", "event", "by", "to")
        self._rows = [dict(zip(table.header, cells, strict=True)) for cells in table.rows]
        self._state = NOTHING
        self._owes: Counter[tuple[str, str]] = Counter()

    def heard(self, who: str, row: Row) -> None:
        """Take a message of a party."""
        event = EVENTS.get(row["name"]) or MODES.get(row["members"].get("accept_mode", ""), "")
        self._move(event, who)

    def said(self, who: str, row: Row) -> Iterator[str]:
        """Yield a sentence when nothing makes the relay say this now."""
        name, reason = row["name"], row["members"].get("reason")
        if not self._owes[who, name] and name == "CallRinging":
            self._move("flushed", "relay")
        if self._owes[who, name]:
            self._owes[who, name] -= 1
        elif self._owes["callee", "DirectCallOffer"] and (who, name) == ("caller", "Hangup"):
            self._owes.clear()
            self._state = NOTHING
            if reason not in REFUSED:
                yield f"an offer is refused with {reason}"
        else:
            yield f"the relay sends {name} to the {who}, and no row of the table asks for it ({self._state})"

    def left(self) -> Iterator[str]:
        """Yield what a row asked for and the relay never sent."""
        for (who, name), count in self._owes.items():
            if count:
                yield f"the relay sends no {name} to the {who}"

    def _move(self, event: str, by: str) -> None:
        wanted = (self._state, event, by)
        for row in self._rows:
            if (row["from"], row["event"], row["by"]) == wanted:
                self._state = NOTHING if row["to"] == "Ended" else row["to"]
                for who in CLIENTS:
                    for name in re.findall(r"\w+(?:\{\w+\})?", row[f"to the {who}"]):
                        self._owes[who, name.partition("{")[0]] += 1


def _table(rows: Sequence[Row]) -> list[str]:
    """Return what of a dialogue is not as the table says, in the order in which the relay has them."""
    relay, found = _Relay(), list[str]()
    calls = [row for row in rows if row["kind"] == "message" and row["name"] in CALL]
    for row in sorted(calls, key=lambda one: one["ms"] + (0 if one["to"] in CLIENTS else one["took"] or 0)):
        if row["to"] in CLIENTS:
            found += relay.said(row["to"], row)
        else:
            relay.heard(row["from"], row)
    return [*found, *relay.left()]
