"""Dialogues: a page for each recorded call, one for the races, and the page that leads to them.

Rules of this file: what is shown is what is recorded (docs/dialogues/); the words about a call say what the
rows show, and a page without its record is an error. The picture comes with a table that says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import schemas
from tools import sequence, timeline
from tools.recording.made import FOLDER, Record, load, said
from tools.sequence import Row, milliseconds


class Call(NamedTuple):
    """A dialogue: the name of its record, its title, and what happens in it."""

    name: str
    title: str
    words: str


CALLS = (
    Call(
        "direct-call",
        "A direct call",
        """Both clients are of the newest phase, and the callee accepts with trust.
Each asks the relay for its own address as the relay sees it ([reflection](../spec/reflection.md)) and advertises it; the relay passes each one's address to the other in CallSetup ([candidates](../spec/candidates.md)).
The caller has the larger address as text, so it dials, and the callee lets it in ([race](../spec/race.md)).
Each tells the other through the relay that it has a direct path, and both take it ([agreement](../spec/agreement.md)).
The sound goes from one end to the other, the relay carries none of it, and the Hangup of the caller ends the call at both ends ([call](../spec/call.md)).""",
    ),
    Call(
        "relayed-call",
        "A call that the relay carries",
        """The callee accepts with AcceptGeneric: it takes the call and shows the caller no address ([privacy](../spec/privacy.md)).
It asks for none either, and its CallSetup names none, so there is no race.
Both report that they have no direct path and join the room of the call at the relay at once ([race](../spec/race.md), [media](../spec/media.md)).
Each opens a second connection for that; the relay answers its CallOffer and says how many sit in the room.
Every datagram of the one comes to the other through the relay, unchanged, until the caller hangs up and the relay closes the room ([call](../spec/call.md)).""",
    ),
    Call(
        "rejected-call",
        "A call that is rejected",
        """The callee answers with Reject.
The relay tells the caller so with a Hangup whose reason is Declined, and forgets the call ([call](../spec/call.md)).
The answer itself is not passed on, and there is no CallSetup: neither end learns an address of the other ([privacy](../spec/privacy.md)).""",
    ),
    Call(
        "nobody-there",
        "A call to nobody",
        """The caller calls a fingerprint that nobody has registered at this relay.
The relay refuses the offer with a Hangup whose reason is Error ([call](../spec/call.md), refusals).
Nothing rings, there was never a call, and the client that is registered hears nothing of it.""",
    ),
    Call(
        "path-that-dies",
        "A direct path that dies in mid-call",
        """The two are in a home behind one router, and talk on a direct path between their own addresses.
Then nothing passes between them any more, in either direction; both still reach the relay.
An end that has heard nothing on the direct path for a second joins the room at the relay ([agreement](../spec/agreement.md)).
As soon as both are there they leave the direct path and talk on through the relay.
No message asks for that: each sees the silence by itself, and the call goes on until the caller hangs up.""",
    ),
    Call(
        "two-relays",
        "A call across two relays",
        """The caller is at the relay *north*, the callee at the relay *south*, and the two have a link on which they trust each other ([federation](../spec/federation.md)).
North does not know the callee, so it sends the offer across the link in an envelope; south has the callee, rings, and sends back what the callee says.
Each relay sets the call up at its own side and names itself as the place of the room.
The callee accepts with AcceptGeneric, so the sound goes from the caller to north, across the link to south, and from there to the callee, and back the same way ([media](../spec/media.md)).""",
    ),
    Call(
        "older-caller",
        "A caller of phase 0, a callee of the newest phase",
        """The caller knows the signalled call and nothing that came later: it does not reflect, advertises nothing, and its Hangup names no call ([phases](../spec/phases.md)).
The callee accepts with trust and advertises its address, as it would to anybody.
The relay understands both; what the older client does not know in a message, it ignores.
The callee has not been told any address of the caller, so there is no race, and both talk through the relay ([race](../spec/race.md)).
The report of the callee reaches the caller too, and means nothing to it.""",
    ),
)
RACES = (
    Call(
        "race-at-home",
        "An address of the home wins",
        """Caller and callee are behind one router.
Each advertises the address that the relay sees and those of its interfaces: IPv4 and IPv6 of the home, and a card that leads nowhere, as that of a virtual network often does.
The caller dials all of them at once.
The first handshake that completes wins; the caller gives the others up, and their close has the code NOT_SELECTED.
The relay's room is not dialled, because the direct path is there long before the head start of 0.5 s is over.""",
    ),
    Call(
        "race-for-nothing",
        "No candidate leads anywhere",
        """The same home, but both keep the addresses of their home card to themselves.
What is left leads nowhere: the router does not turn packets back that are sent to its own outer address, and the other card is not connected.
After the head start of 0.5 s both dial the room at the relay, so that it is ready.
Two seconds after CallSetup the attempts are given up, both report that they have no direct path, and talk through the relay.""",
    ),
)
LANES = {
    "192.168.7.": "the home, IPv4",
    "[fd42:7:": "the home, IPv6",
    "10.8.0.": "a card that leads nowhere",
    "203.0.113.10:": "the router's outer address, as the relay sees it",
}
"""What the addresses of the laboratory's home are."""
TIMES = """Times are in milliseconds and count from the caller's offer; what comes before it is the start of the programs.
A message stands at the moment at which it was handed to QUIC, and *arrives after* says how long it was on its way.
Keys, signatures, profiles and version numbers are left out, and so are the ends of signal connections.
Of three runs the one was kept whose messages were under way least.
Ports, fingerprints and the call_id have names of their own, so that two recordings differ in their times alone."""
LEGEND = (
    "A dashed arrow is a handshake, with what the connection is for; a thick one the first datagram of media, "
    "with how many followed on that way; a cross ends a connection, or is a dial that nobody answered."
)
DIALOGUE = """# {title}

{words}

<div class="sequence" tabindex="0" role="region" aria-label="Sequence diagram: {title}" style="overflow-x:auto">{picture}</div>

{legend}

## Row by row

{table}

## How it was recorded

{made}
{times}
The record itself: [{name}.json]({name}.json).
"""
RACE = """# The race, step by step

With CallSetup each end knows where the other may be; one end dials everything at once, and the first handshake that completes is the direct path.
The rules are in [the race](../spec/race.md), and what the two ends then tell each other in [path agreement](../spec/agreement.md).
Here are two races of the reference, recorded in [the laboratory](../how-to/lab.md).
Times count from the CallSetup of the end that dials.

{races}
## How they were recorded

{made}
Of three runs of each the one was kept whose messages were under way least.
A filled dot is a moment at the end that the words name, a ring the same at the other end, a cross the end of an attempt.

<script src="../../assets/race.js" defer></script>
"""
ONE_RACE = """## {title}

{words}

<div class="race"><div tabindex="0" role="region" aria-label="Timeline: {title}" style="overflow-x:auto">{picture}</div>{steps}</div>

"""
INDEX = """# Dialogues

Calls of the reference, as they went over the wire: real programs, each of them traced at the door of its endpoint.
Every page has a sequence diagram with times, and the same as a table.

{calls}
- [The race, step by step](race.md)

`make record` makes all of them anew; the site is built from what is committed.
"""


@cache
def homes() -> Mapping[str, str]:
    """Return the stem of the schema that each message stands in."""
    return {
        name: stem
        for stem in schemas.CHAPTERS
        for name, body in schemas.load(stem)["$defs"].items()
        if body.get("x-message")
    }


def pages() -> dict[str, str | bytes]:
    """Return the pages by their paths in the tree; raises RecordError for a call without its record."""
    found: dict[str, str | bytes] = {f"dialogues/{one.name}.md": dialogue(one) for one in CALLS}
    listed = "\n".join(f"- [{one.title}]({one.name}.md)" for one in CALLS)
    found["dialogues/index.md"] = INDEX.format(calls=listed)
    found["dialogues/race.md"] = race()
    return found


def dialogue(call: Call) -> str:
    """Return the page of one call."""
    record = load(FOLDER / f"{call.name}.json")
    drawing = sequence.Drawing(record["parties"])
    words = f"{len(record['rows'])} rows; the table below says the same in words."
    return DIALOGUE.format(
        title=call.title,
        words=call.words,
        picture=drawing.draw(record["rows"], call.name, f"Sequence diagram: {call.title}", words),
        legend=LEGEND,
        table="\n".join(table(record["rows"])),
        made=said(record["made"]),
        times=TIMES,
        name=call.name,
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
            return f"[{name}](../schemas/{homes()[name]}.md#{name.lower()}){where}"
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


def race() -> str:
    """Return the page of the races."""
    records = {one: load(FOLDER / f"{one.name}.json") for one in RACES}
    parts = [_raced(one, record) for one, record in records.items()]
    made = "\n".join(
        f"{said(record['made'])}\nThe record: [{one.name}.json]({one.name}.json).\n"
        for one, record in records.items()
    )
    return RACE.format(races="".join(parts), made=made)


def _raced(call: Call, record: Record) -> str:
    steps = timeline.steps(record["rows"])
    words = f"{len(steps)} steps; the list beside it says the same in words."
    return ONE_RACE.format(
        title=call.title,
        words=call.words,
        picture=timeline.Picture(steps, LANES).svg(call.name, f"Timeline: {call.title}", words),
        steps=timeline.listed(steps),
    )
