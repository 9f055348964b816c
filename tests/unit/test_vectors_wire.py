"""Vectors of the wire: what deployed peers write and read, against what we do.

Each row of the vectors is either agreed with or stands in DISAGREEMENTS, which equals the table
between the parse-disagreements marks of the chapter on deployed peers. A row that is about the parser of
a phase is judged by ours of that phase, every other one by our newest. Rows about messages that the phase
does not have are not left out: they are refused as unknown, and are exactly the ones expected.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import schemas
from reference.core.errors import BadFrame, BadMessage, Malformed, SchemaViolation, UnknownMessage
from reference.core.messages import FederatedSignalForward, Message
from reference.core.phases import NEWEST, Phase
from reference.core.wire import FRAME_LIMIT, FrameReader, decode, encode, frame, read

VECTORS = Path(__file__).parents[1] / "vectors"
SPEC = Path(__file__).parents[2] / "spec"
KNOWN = set(schemas.messages(NEWEST.value))
CHAPTERS = [schemas.load(stem)["$defs"] for stem in schemas.CHAPTERS]
SOURCES: dict[str, dict[str, Any]] = {name: body for chapter in CHAPTERS for name, body in chapter.items()}

DISAGREEMENTS = {
    "Reflect: unit message as an object with null": ("takes", "refuses"),
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
    "FederatedSignalForward: nested envelope": ("takes", "refuses"),
    "FederatedSignalForward: envelope nested 40 deep": ("takes", "refuses"),
    "FederatedSignalForward: envelope nested 63 deep (126 open objects)": ("takes", "refuses"),
    "FederatedSignalForward: 127 open objects: the most": ("takes", "refuses"),
    "CallRinging: unknown field: ignored": ("rewrites", "keeps"),
    "DirectCallOffer: unknown field in a profile: ignored": ("rewrites", "keeps"),
    "DirectCallOffer: integer for fec_ratio; re-emitted as 0.0": ("rewrites", "keeps"),
    "RoomUpdate: participant without alias and relay_label; re-emitted with null": ("rewrites", "keeps"),
    "GlobalRoomActive: participants absent reads as empty; re-emitted as []": ("rewrites", "keeps"),
    "Hangup, P0: call_id dropped": ("rewrites", "keeps"),
    "DirectCallOffer, P0: offer with every later field: all dropped": ("rewrites", "keeps"),
    "DirectCallOffer, P3: P3 keeps the reflexive address only": ("rewrites", "keeps"),
    "DirectCallOffer, P5.5: P5.5 drops the build version only": ("rewrites", "keeps"),
    "CallSetup, P3: P3 drops peer_local_addrs": ("rewrites", "keeps"),
    "CallSetup, P3: unknown to P3, so null is ignored": ("rewrites", "keeps"),
    "Hangup, P6: call_id dropped by everything before the late P7 addition": ("rewrites", "keeps"),
    "RegisterPresenceAck, P6: relay_build dropped": ("rewrites", "keeps"),
    "FederatedSignalForward, P4: inner message unknown before P6: "
    "the envelope fails and a deployed relay drops the link": ("refuses", "takes"),
}
"""Of each row that is judged or passed on differently: what deployed peers do, and what we do."""

OLDER = {"FederationHello": "P0", "GlobalRoomActive": "P0", "GlobalRoomInactive": "P0"}
"""Messages that deployed peers have had since this level, and we have since links have a phase, 4."""

OURS = {("FederatedSignalForward", "call_id"): "names the call of a Hangup that names none"}
"""Members that deployed peers do not know, of messages that they do, and what each is for."""

BARE_INNER = "a unit inner message is a plain string; parsed, then ignored"
"""The note of the one message that deployed peers read and we refuse: nothing of a call is a string."""

NO_PARTICIPANTS = "already present before P0; participants always emitted; a missing list reads as empty"
"""The note of the one message that comes out as another text: we leave an empty list out (WIRE-10)."""

OUTSIDE = {
    "FederatedSignalForward": 2,
    "Foo": 2,
    "LossRecoveryUpdate": 1,
    "MediaPathReport": 1,
    "QualityDirective": 2,
    "Reflect": 1,
    "Transfer": 1,
    "callringing": 1,
}
"""How many rows of parse.json name a message that the phase of their parser does not have."""


def rows(file: str, table: str) -> list[dict[str, Any]]:
    """Return one table of a vector file; there is always something in it."""
    found: list[dict[str, Any]] = json.loads((VECTORS / file).read_text(encoding="utf-8"))[table]
    assert found
    return found


def phase_of(level: str) -> Phase:
    """Return our phase of a deployed level; P4.1 and P5.6 change nothing that a parser sees of P5.5."""
    return Phase.parse({"P4.1": "5.5", "P5.6": "5.5"}.get(level, level.removeprefix("P")))


def parse_rows() -> dict[str, dict[str, Any]]:
    """Return the rows of parse.json, by message, phase of the parser where it is not the newest, and note."""
    found = {}
    for table in ("cases", "byte_cases", "phase_cases"):
        for row in rows("parse.json", table):
            level = f", {row['parser_phase']}" if "parser_phase" in row else ""
            key = f"{subject(row)}{level}: {row['note']}"
            assert key not in found
            found[key] = row
    return found


def payload_of(row: dict[str, Any]) -> bytes:
    """Return the payload of a row of parse.json."""
    return bytes.fromhex(row["input_hex"]) if "input_hex" in row else row["input_text"].encode()


def subject(row: dict[str, Any]) -> str:
    """Return the name of the message that a row is about, or JSON when it names none."""
    match = re.match(rb"""[^\w\[\]]*['"](\w+)""", payload_of(row))
    return match.group(1).decode() if match else "JSON"


def judge(row: dict[str, Any]) -> Phase:
    """Return the phase that a row is judged by."""
    return phase_of(row["parser_phase"]) if "parser_phase" in row else NEWEST


def verdicts(row: dict[str, Any]) -> tuple[str, str]:
    """Return what a deployed parser does with a row and what we do; equal words mean agreement."""
    theirs = "takes" if row["accepted_by_deployed"] else "refuses"
    try:
        again = encode(decode(payload_of(row), judge(row)), judge(row)).decode()
    except BadMessage:
        return theirs, "refuses"
    if theirs == "takes" and again != row.get("reemitted_text", again):
        return "rewrites", "keeps"
    return theirs, "takes"


def is_ours(row: dict[str, Any]) -> bool:
    """Tell whether a row names no message, or one that the phase of its judge has."""
    return subject(row) in {"JSON", *schemas.messages(judge(row).value)}


PARSE = parse_rows()
JUDGED = {key: row for key, row in PARSE.items() if is_ours(row)}
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
    """No row is left out but those whose message their phase does not have."""
    counts = dict.fromkeys(sorted(subject(row) for row in OTHERS.values()), 0)
    for row in OTHERS.values():
        counts[subject(row)] += 1
    assert counts == OUTSIDE


@pytest.mark.parametrize("key", OTHERS)
def test_a_message_outside_the_phase_is_refused(key: str) -> None:
    """A payload that names no message of the phase is unknown, or is malformed to begin with."""
    with pytest.raises((UnknownMessage, Malformed)):
        decode(payload_of(OTHERS[key]), judge(OTHERS[key]))


FINGERPRINT = ":".join(["2f"] * 32)


@pytest.mark.parametrize(
    ("key", "inner"),
    [
        ("FederatedSignalForward: unknown inner variant makes the envelope unparseable", UnknownMessage),
        ("FederatedSignalForward: nested envelope", SchemaViolation),
    ],
)
def test_an_envelope_is_judged_without_what_it_carries(key: str, inner: type[BadMessage]) -> None:
    """With the fingerprint of a relay in it an envelope is taken and kept, and its inner message refused."""
    payload = payload_of(JUDGED[key])
    assert payload.endswith(b'"origin_relay_fp":"x"}}')
    named = payload.replace(b'"x"', json.dumps(FINGERPRINT).encode())
    envelope = decode(named, NEWEST)
    assert isinstance(envelope, FederatedSignalForward)
    assert named == encode(envelope, NEWEST)
    with pytest.raises(inner):
        read(envelope.inner, NEWEST)


MESSAGES = rows("messages.json", "messages")
READABLE = [row for row in MESSAGES if row["message"] in KNOWN]
FOREIGN = [row for row in MESSAGES if row["message"] not in KNOWN]
every_phase = pytest.mark.parametrize("phase", Phase, ids=str)


def named(one: dict[str, Any] | Phase) -> str:
    """Return the name of a row, or of a phase, as a part of a test's name."""
    return str(one) if isinstance(one, Phase) else f"{one['message']}-{one['phase']}-{one['note']}"


def read_since(row: dict[str, Any]) -> Phase:
    """Return the phase since which we read a row: that of deployed parsers, or that of our message."""
    return max(phase_of(row["read_since"]), Phase.parse(SOURCES[row["message"]]["x-since"]))


REFUSED = [row for row in READABLE if row["note"] == BARE_INNER]
READ = [(row, phase) for row in READABLE if row not in REFUSED for phase in Phase if read_since(row) <= phase]
UNREAD = [(row, phase) for row in READABLE for phase in Phase if phase < read_since(row)]


def check_members(name: str, value: object, message: Message, phase: Phase) -> None:
    """Check that exactly the members of later phases were kept aside of what was read from a value."""
    later = {
        field["field"]
        for field in rows("messages.json", "fields")
        if field["message"] == name and phase < phase_of(field["since"])
    }
    members = set(value[name]) if isinstance(value, dict) else set()
    assert name == type(message).__name__
    assert members & later == set(message.rest)


def written(row: dict[str, Any]) -> str:
    """Return the text that becomes of a row: its own, but for the empty list that we leave out."""
    text: str = row["text"]
    if row["note"] != NO_PARTICIPANTS:
        return text
    assert text.endswith(',"participants":[]}}')
    return text.replace(',"participants":[]', "")


@pytest.mark.parametrize(("row", "phase"), READ, ids=named)
def test_a_deployed_message_comes_out_byte_for_byte(row: dict[str, Any], phase: Phase) -> None:
    """What a deployed peer of any phase writes is read by every phase that has the message.

    It is written again as the same text, and only members of later phases are kept aside. The same is
    true of the message that an envelope carries.
    """
    message = decode(row["text"].encode(), phase)
    assert written(row) == encode(message, phase).decode()
    check_members(row["message"], row["json"], message, phase)
    rests = [message.rest]
    if isinstance(message, FederatedSignalForward):
        carried = read(message.inner, phase)
        assert json.dumps(message.inner) == json.dumps(json.loads(encode(carried, phase)))
        check_members(next(iter(message.inner)), message.inner, carried, phase)
        rests.append(carried.rest)
    assert (phase < phase_of(row["kept_since"])) == any(rests)


@pytest.mark.parametrize(("row", "phase"), UNREAD, ids=named)
def test_a_deployed_message_of_a_later_phase_is_unknown(row: dict[str, Any], phase: Phase) -> None:
    """What deployed parsers of a phase cannot read is unknown to ours, as is what OLDER lists.

    In an envelope that our parser does know it is the inner message that is unknown.
    """
    if phase < Phase.parse(SOURCES[row["message"]]["x-since"]):
        with pytest.raises(UnknownMessage, match=row["message"]):
            decode(row["text"].encode(), phase)
        return
    envelope = decode(row["text"].encode(), phase)
    assert isinstance(envelope, FederatedSignalForward)
    with pytest.raises(UnknownMessage, match=next(iter(envelope.inner))):
        read(envelope.inner, phase)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase >= Phase.FEDERATION], ids=str)
def test_an_envelope_with_a_string_in_it_is_refused(phase: Phase) -> None:
    """Deployed peers read such an envelope and do nothing; of the messages of a call none is a string."""
    (row,) = REFUSED
    with pytest.raises(SchemaViolation, match=r"FederatedSignalForward\.inner breaks the rule type"):
        decode(row["text"].encode(), phase)


def test_the_readable_messages_are_those_of_the_newest_phase() -> None:
    """Every message of ours has a row and exists since the phase that the vectors give; no row is lost.

    Those in OLDER are younger here than there, and no other one is.
    """
    assert {row["message"] for row in READABLE} == KNOWN
    since = {row["message"]: phase_of(row["since"]) for row in rows("messages.json", "variants")}
    ours = {name: Phase.parse(SOURCES[name]["x-since"]) for name in KNOWN}
    assert {name: since[name] for name in KNOWN - set(OLDER)} == {
        name: ours[name] for name in KNOWN - set(OLDER)
    }
    assert {name: since[name] for name in OLDER} == {name: phase_of(level) for name, level in OLDER.items()}
    assert {ours[name] for name in OLDER} == {Phase.FEDERATION}
    assert [NO_PARTICIPANTS] == [row["note"] for row in READABLE if written(row) != row["text"]]
    assert set(since) - KNOWN == {row["message"] for row in FOREIGN}


@every_phase
@pytest.mark.parametrize("row", FOREIGN, ids=named)
def test_a_deployed_message_outside_the_phases_is_unknown(row: dict[str, Any], phase: Phase) -> None:
    """Messages with no part in a call or in a link between relays are refused by name in every phase."""
    with pytest.raises(UnknownMessage, match=row["message"]):
        decode(row["text"].encode(), phase)


def test_the_closed_sets_of_words_are_the_deployed_ones() -> None:
    """Accept modes, hangup reasons and codecs have the deployed words in the deployed order."""
    enums = json.loads((VECTORS / "messages.json").read_text(encoding="utf-8"))["enums"]
    assert enums["CallAcceptMode"] == SOURCES["AcceptMode"]["enum"]
    assert enums["HangupReason"] == SOURCES["HangupReason"]["enum"]
    assert enums["CodecId"] == SOURCES["CodecId"]["enum"]


FIELDS = [row for row in rows("messages.json", "fields") if row["message"] in KNOWN]
SPELLING = {
    "parse error": None,
    "none, emitted as null": "null",
    "none, omitted": "omit",
    "none, omitted; means no direct path": "omit",
    "empty list, omitted; null is a parse error": "omit",
    "empty string, always emitted; null is a parse error": "empty",
}


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: f"{row['message']}.{row['field']}")
def test_a_member_is_dated_required_and_nullable_as_deployed(row: dict[str, Any]) -> None:
    """Age, presence, null and the spelling of absence are those of the table of deployed fields."""
    source = SOURCES[row["message"]]
    accept = schemas.view(NEWEST.value, "accept")["$defs"][row["message"]]["properties"][row["field"]]
    assert phase_of(row["since"]) == Phase.parse(source["properties"][row["field"]]["x-since"])
    assert row["required"] == (row["field"] in source["required"])
    assert row["null_accepted"] == ({"type": "null"} in accept.get("anyOf", []))
    assert SPELLING[row["when_absent"]] == source["properties"][row["field"]].get("x-absent")


def test_the_table_of_deployed_fields_has_every_member() -> None:
    """A message that the table of deployed fields names has no member beyond it but those in OURS."""
    named_in_it = {row["message"] for row in FIELDS}
    ours = {(name, key) for name in named_in_it for key in SOURCES[name]["properties"]}
    assert {(row["message"], row["field"]) for row in FIELDS} == ours - set(OURS)
    assert set() == set(OURS) - ours


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
        decode(payload, NEWEST)
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
