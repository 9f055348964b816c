"""Vectors of the wire: what deployed peers write and read, against what we do.

Each row of the vectors is either agreed with or stands in DISAGREEMENTS, which equals the table
between the parse-disagreements marks of the chapter on deployed peers. Rows about messages that phase 0
does not have are not left out: they are refused as unknown, and are exactly the ones expected.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import schemas
from reference.core.errors import BadFrame, BadMessage, Malformed, UnknownMessage
from reference.core.phases import Phase
from reference.core.wire import FRAME_LIMIT, FrameReader, decode, encode, frame

P = Phase.SIGNALLED_CALL
VECTORS = Path(__file__).parents[1] / "vectors"
SPEC = Path(__file__).parents[2] / "spec"
KNOWN = set(schemas.messages(P.value))

DISAGREEMENTS = {
    "CallRinging: positional array (accident of the parser)": ("takes", "refuses"),
    "CallSetup: positional array, trailing optional fields left out": ("takes", "refuses"),
    "CallSetup: positional array, all five fields": ("takes", "refuses"),
    "DirectCallOffer: nested object as a positional array": ("takes", "refuses"),
    "DirectCallAnswer: enum value as an object with null": ("takes", "refuses"),
    "CallRinging: escapes and a surrogate pair": ("takes", "refuses"),
    "CallRinging: duplicate unknown field: ignored": ("takes", "refuses"),
    "CallRinging: lone surrogate in an unknown field: skipped unread": ("takes", "refuses"),
    "CallRinging: huge number in an unknown field: skipped unread": ("takes", "refuses"),
    "CallRinging: invalid UTF-8 in an unknown field": ("takes", "refuses"),
    "CallRinging: unknown field: ignored": ("rewrites", "keeps"),
    "DirectCallOffer: unknown field in a profile: ignored": ("rewrites", "keeps"),
    "DirectCallOffer: integer for fec_ratio; re-emitted as 0.0": ("rewrites", "keeps"),
    "RoomUpdate: participant without alias and relay_label; re-emitted with null": ("rewrites", "keeps"),
    "CallSetup: null for an optional field reads as absent": ("rewrites", "keeps"),
    "CallSetup: empty list reads as absent": ("rewrites", "keeps"),
    "CallSetup: null for a list": ("refuses", "takes"),
    "CallSetup: number in a list of strings": ("refuses", "takes"),
    "CallSetup: null in a list of strings": ("refuses", "takes"),
    "CallSetup: string for a list": ("refuses", "takes"),
    "DirectCallAnswer: null for every optional field": ("rewrites", "keeps"),
    "DirectCallAnswer: null for a list": ("refuses", "takes"),
    "DirectCallOffer: null for a list": ("refuses", "takes"),
    "DirectCallOffer: null for an optional string": ("rewrites", "keeps"),
    "Hangup: call_id null reads as absent": ("rewrites", "keeps"),
    "Hangup: call_id dropped": ("rewrites", "keeps"),
    "DirectCallOffer: offer with every later field: all dropped": ("rewrites", "keeps"),
}
"""Of each row that is judged or passed on differently: what deployed peers do, and what we do."""

OUTSIDE = {
    "FederatedSignalForward": 6,
    "Foo": 2,
    "GlobalRoomActive": 2,
    "LossRecoveryUpdate": 1,
    "MediaPathReport": 5,
    "QualityDirective": 1,
    "Reflect": 6,
    "Transfer": 1,
    "callringing": 1,
}
"""How many rows of parse.json name a message that phase 0 does not have."""


def rows(file: str, table: str) -> list[dict[str, Any]]:
    """Return one table of a vector file; there is always something in it."""
    found: list[dict[str, Any]] = json.loads((VECTORS / file).read_text(encoding="utf-8"))[table]
    assert found
    return found


def parse_rows() -> dict[str, dict[str, Any]]:
    """Return the rows of parse.json that say something of phase 0, by message and note."""
    general = rows("parse.json", "cases") + rows("parse.json", "byte_cases")
    dated = [row for row in rows("parse.json", "phase_cases") if row["parser_phase"] == "P0"]
    found = {f"{subject(row)}: {row['note']}": row for row in general + dated}
    assert len(general) + len(dated) == len(found)
    return found


def payload_of(row: dict[str, Any]) -> bytes:
    """Return the payload of a row of parse.json."""
    return bytes.fromhex(row["input_hex"]) if "input_hex" in row else row["input_text"].encode()


def subject(row: dict[str, Any]) -> str:
    """Return the name of the message that a row is about, or JSON when it names none."""
    match = re.match(rb"""[^\w\[\]]*['"](\w+)""", payload_of(row))
    return match.group(1).decode() if match else "JSON"


def verdicts(row: dict[str, Any]) -> tuple[str, str]:
    """Return what a deployed parser does with a row and what we do; equal words mean agreement."""
    theirs = "takes" if row["accepted_by_deployed"] else "refuses"
    try:
        again = encode(decode(payload_of(row), P), P).decode()
    except BadMessage:
        return theirs, "refuses"
    if theirs == "takes" and again != row.get("reemitted_text", again):
        return "rewrites", "keeps"
    return theirs, "takes"


PARSE = parse_rows()
JUDGED = {key: row for key, row in PARSE.items() if subject(row) in KNOWN | {"JSON"}}
OTHERS = {key: row for key, row in PARSE.items() if key not in JUDGED}


@pytest.mark.parametrize("key", JUDGED)
def test_a_payload_is_judged_as_deployed_peers_do_or_as_listed(key: str) -> None:
    """Each row is taken or refused, and passed on, as by a deployed peer, unless it is listed."""
    theirs, ours = verdicts(JUDGED[key])
    assert DISAGREEMENTS.get(key, (theirs, theirs)) == (theirs, ours)


def test_every_listed_disagreement_is_a_row() -> None:
    """The list names nothing that the vectors do not have, and nothing that both agree on."""
    assert set() == set(DISAGREEMENTS) - set(JUDGED)
    assert all(theirs != ours for theirs, ours in DISAGREEMENTS.values())


def test_the_disagreements_are_the_table_of_the_specification() -> None:
    """The chapter on deployed peers has one row for each disagreement, with a reason, in order."""
    pattern = r"<!-- parse-disagreements -->(.*)<!-- /parse-disagreements -->"
    chapters = [path.read_text(encoding="utf-8") for path in sorted(SPEC.glob("deployed*.md"))]
    (table,) = [found for chapter in chapters for found in re.findall(pattern, chapter, re.DOTALL)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert [[key, *words] for key, words in DISAGREEMENTS.items()] == [row[:3] for row in cells]
    assert all(len(row) == 4 and row[3] for row in cells)


def test_the_other_rows_are_exactly_those_outside_the_phase() -> None:
    """No row is left out but those whose message phase 0 does not have."""
    counts = dict.fromkeys(sorted(subject(row) for row in OTHERS.values()), 0)
    for row in OTHERS.values():
        counts[subject(row)] += 1
    assert counts == OUTSIDE


@pytest.mark.parametrize("key", OTHERS)
def test_a_message_outside_the_phase_is_refused(key: str) -> None:
    """A payload that names no message of phase 0 is unknown, or is malformed to begin with."""
    with pytest.raises((UnknownMessage, Malformed)):
        decode(payload_of(OTHERS[key]), P)


MESSAGES = rows("messages.json", "messages")
READABLE = [row for row in MESSAGES if row["message"] in KNOWN]
FOREIGN = [row for row in MESSAGES if row["message"] not in KNOWN]


@pytest.mark.parametrize("row", READABLE, ids=lambda row: f"{row['message']}-{row['phase']}-{row['note']}")
def test_a_deployed_message_comes_out_byte_for_byte(row: dict[str, Any]) -> None:
    """What a deployed peer of any phase writes is read, and written again as the same text."""
    payload = row["text"].encode()
    message = decode(payload, P)
    assert row["message"] == type(message).__name__
    assert row["text"] == encode(message, P).decode()


@pytest.mark.parametrize("row", READABLE, ids=lambda row: f"{row['message']}-{row['phase']}-{row['note']}")
def test_a_deployed_message_of_the_phase_leaves_nothing_over(row: dict[str, Any]) -> None:
    """Members of phase 0 are fields; only those of later phases are kept aside."""
    later = {
        field["field"]
        for field in rows("messages.json", "fields")
        if field["message"] == row["message"] and field["since"] != "P0"
    }
    members = row["json"][row["message"]]
    assert {name for name in members if name in later} == set(decode(row["text"].encode(), P).rest)


def test_the_readable_messages_are_those_of_the_phase() -> None:
    """Every message of ours has a row, each such row is readable since P0, and no row is lost."""
    assert {row["message"] for row in READABLE} == KNOWN
    assert {row["read_since"] for row in READABLE} == {"P0"}
    names = {row["message"] for row in rows("messages.json", "variants")}
    assert names - KNOWN == {row["message"] for row in FOREIGN}


@pytest.mark.parametrize("row", FOREIGN, ids=lambda row: f"{row['message']}-{row['note']}")
def test_a_deployed_message_outside_the_phase_is_unknown(row: dict[str, Any]) -> None:
    """Messages of later phases, and those with no part in a call, are refused by name."""
    with pytest.raises(UnknownMessage, match=row["message"]):
        decode(row["text"].encode(), P)


def test_the_closed_sets_of_words_are_the_deployed_ones() -> None:
    """Accept modes, hangup reasons and codecs have the deployed words in the deployed order."""
    enums = json.loads((VECTORS / "messages.json").read_text(encoding="utf-8"))["enums"]
    call, wire = schemas.load("call")["$defs"], schemas.load("wire")["$defs"]
    assert enums["CallAcceptMode"] == call["AcceptMode"]["enum"]
    assert enums["HangupReason"] == call["HangupReason"]["enum"]
    assert enums["CodecId"] == wire["CodecId"]["enum"]


FIELDS = [row for row in rows("messages.json", "fields") if row["message"] in KNOWN and row["since"] == "P0"]


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: f"{row['message']}.{row['field']}")
def test_a_member_is_required_and_nullable_as_deployed(row: dict[str, Any]) -> None:
    """Presence, null and the spelling of absence are those of the table of deployed fields."""
    chapters = [schemas.load(stem)["$defs"] for stem in schemas.CHAPTERS]
    (source,) = [chapter[row["message"]] for chapter in chapters if row["message"] in chapter]
    accept = schemas.view("0", "accept")["$defs"][row["message"]]["properties"][row["field"]]
    assert row["required"] == (row["field"] in source["required"])
    assert row["null_accepted"] == ({"type": "null"} in accept.get("anyOf", []))
    spelling = {"parse error": None, "none, emitted as null": "null", "none, omitted": "omit"}
    assert spelling[row["when_absent"]] == source["properties"][row["field"]].get("x-absent")


@pytest.mark.parametrize("row", rows("frames.json", "frames"), ids=lambda row: row["name"])
def test_a_deployed_frame_is_ours_byte_for_byte(row: dict[str, Any]) -> None:
    """Framing the text gives the deployed bytes, and reading these gives the text."""
    payload, framed = row["payload_text"].encode(), bytes.fromhex(row["frame_hex"])
    assert row["payload_length"] == len(payload)
    assert framed == frame(payload)
    assert payload == FrameReader().feed(framed, fin=True)


def outcome(row: dict[str, Any]) -> str:
    """Return the deployed word for what becomes of one stream in our hands."""
    stream = bytes.fromhex(row["stream_hex"])
    if row.get("then_payload_bytes"):
        stream += b'{"Hangup":{"reason":"Normal"}}'.ljust(row["then_payload_bytes"])
    reader = FrameReader()
    try:
        payload = reader.feed(stream, fin=row.get("fin", False))
        if row.get("reset") and not reader.done:
            raise reader.cut_short()
    except BadFrame:
        return "bad frame"
    assert payload is not None
    try:
        decode(payload, P)
    except UnknownMessage:
        # Reflect is a message to a deployed peer and unknown to phase 0
        return "message" if payload == b'"Reflect"' else "bad message"
    except BadMessage:
        return "bad message"
    return "message"


@pytest.mark.parametrize("row", rows("frames.json", "incoming"), ids=lambda row: row["name"])
def test_a_stream_becomes_what_it_does_in_deployed_hands(row: dict[str, Any]) -> None:
    """Each odd stream is a message, a bad message or a bad frame, as with deployed peers."""
    assert row["result"].removesuffix(" if the payload is one") == outcome(row)


def test_the_largest_frame_of_the_vectors_is_the_limit() -> None:
    """The limit is the deployed one, one byte more being too long."""
    sizes = [row.get("then_payload_bytes", 0) for row in rows("frames.json", "incoming")]
    assert max(sizes) == FRAME_LIMIT
