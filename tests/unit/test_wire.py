"""Wire: frames in any pieces, strict JSON, and messages that come out as they went in."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from reference.core import strict_json
from reference.core.errors import (
    BadMessage,
    FrameCutShort,
    FrameTooLong,
    HangupReason,
    Malformed,
    Misuse,
    SchemaViolation,
    UnknownMessage,
)
from reference.core.media import GOOD
from reference.core.messages import (
    AcceptMode,
    AuthToken,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    Hangup,
    MediaPathReport,
    Ping,
    Reflect,
    RegisterPresence,
    RoomUpdate,
)
from reference.core.phases import NEWEST
from reference.core.strict_json import Json
from reference.core.wire import FRAME_LIMIT, FrameReader, decode, encode, frame
from tests.strategies import faults, json_values, valid, with_members

if TYPE_CHECKING:
    from collections.abc import Sequence

P = NEWEST
FAULTS = {
    (name, fault): bad for name in with_members(P.value) for fault, bad in faults(name, P.value).items()
}
RELAXED = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.too_slow])


def text(value: object) -> bytes:
    """Return `value` as a payload that has nothing to do with the code under test."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# Frames


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300), st.binary(max_size=20), st.data())
def test_a_frame_is_read_from_any_pieces(payload: bytes, behind: bytes, data: st.DataObject) -> None:
    """However a stream is cut up, its payload comes once, as soon as its last byte is there."""
    stream = frame(payload) + behind
    cuts = sorted(data.draw(st.sets(st.integers(min_value=0, max_value=len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    reader, seen, came = FrameReader(), [], 0
    for piece in pieces:
        came += len(piece)
        got = reader.feed(piece, fin=False)
        seen += [] if got is None else [got]
        assert (came >= 4 + len(payload)) == bool(seen) == reader.done
    assert [payload] == seen
    assert reader.feed(b"more", fin=True) is None


@pytest.mark.parametrize("length", [FRAME_LIMIT + 1, 2**32 - 1])
def test_a_frame_that_is_too_long_is_refused_at_its_length(length: int) -> None:
    """The fault comes with the fourth byte, names the length, and what follows is discarded."""
    reader = FrameReader()
    announced = length.to_bytes(4, "big")
    assert reader.feed(announced[:3], fin=False) is None
    with pytest.raises(FrameTooLong, match=f"announces {length} bytes"):
        reader.feed(announced[3:], fin=False)
    assert reader.done
    assert reader.feed(b"x" * 10, fin=True) is None


def test_a_frame_of_the_largest_length_is_whole() -> None:
    """A payload of exactly the limit passes both ways, one byte more is our own mistake."""
    payload = b"x" * FRAME_LIMIT
    assert payload == FrameReader().feed(frame(payload), fin=True)
    with pytest.raises(Misuse, match=f"a payload of {FRAME_LIMIT + 1} bytes"):
        frame(payload + b"x")


def test_the_limit_of_a_reader_is_its_own() -> None:
    """A reader with a smaller limit takes that much and refuses one byte more."""
    assert FrameReader(limit=3).feed(frame(b"abc"), fin=False) == b"abc"
    with pytest.raises(FrameTooLong, match="announces 4 bytes, over the limit of 3"):
        FrameReader(limit=3).feed(frame(b"abcd"), fin=False)


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=30), st.data())
def test_a_stream_that_ends_early_is_cut_short(payload: bytes, data: st.DataObject) -> None:
    """Whichever byte is the last, an end before the frame is whole is a fault, raised once."""
    stream = frame(payload)
    kept = data.draw(st.integers(min_value=0, max_value=len(stream) - 1))
    reader = FrameReader()
    reader.feed(stream[:kept], fin=False)
    with pytest.raises(FrameCutShort, match="the stream ended after"):
        reader.feed(b"", fin=True)
    assert reader.done
    assert reader.feed(b"", fin=True) is None


@pytest.mark.parametrize(
    ("stream", "evidence"),
    [
        (b"", "the stream ended after 0 of 4 bytes of the length"),
        (b"\0\0\0", "the stream ended after 3 of 4 bytes of the length"),
        (b"\0\0\0\x05ab", "the stream ended after 2 of 5 bytes of the payload"),
    ],
)
def test_a_reset_or_stalled_stream_tells_how_far_it_came(stream: bytes, evidence: str) -> None:
    """The fault of a stream that is given up says what is missing, and the reader is done."""
    reader = FrameReader()
    reader.feed(stream, fin=False)
    assert evidence == reader.cut_short().evidence
    assert reader.done


# Strict JSON

MALFORMED = {
    "nothing": b"",
    "white space only": b" \n",
    "a byte order mark": b'\xef\xbb\xbf{"CallRinging":{"call_id":"c1"}}',
    "UTF-16": '{"CallRinging":{"call_id":"c1"}}'.encode("utf-16"),
    "a byte that is not UTF-8": b'{"CallRinging":{"call_id":"c1","z":"\xff"}}',
    "an encoded surrogate": b'{"CallRinging":{"call_id":"c1","z":"\xed\xa0\x80"}}',
    "a lone surrogate": b'{"CallRinging":{"call_id":"c1","z":"\\ud800"}}',
    "a lone surrogate in a name": b'{"CallRinging":{"call_id":"c1","\\udc00":1}}',
    "surrogates the wrong way round": b'{"CallRinging":{"call_id":"c1","z":"\\ude00\\ud83d"}}',
    "a member twice": b'{"CallRinging":{"call_id":"c1","call_id":"c1"}}',
    "a member twice, once escaped": b'{"CallRinging":{"call_id":"c1","call_\\u0069d":"c1"}}',
    "an unknown member twice": b'{"CallRinging":{"call_id":"c1","z":1,"z":1}}',
    "a member twice at depth": b'{"CallRinging":{"call_id":"c1","z":[{"y":{"a":1,"a":2}}]}}',
    "a message twice": b'{"CallRinging":{"call_id":"c1"},"CallRinging":{"call_id":"c1"}}',
    "NaN": b'{"CallRinging":{"call_id":"c1","z":NaN}}',
    "Infinity": b'{"CallRinging":{"call_id":"c1","z":-Infinity}}',
    "a fraction over a double": b'{"CallRinging":{"call_id":"c1","z":1e309}}',
    "an integer over a double": b'{"CallRinging":{"call_id":"c1","z":-1' + b"0" * 309 + b"}}",
    "an integer of a million digits": b"9" * 1_000_000,
    "a leading zero": b'{"Ping":{"timestamp_ms":01}}',
    "a second value": b'{"CallRinging":{"call_id":"c1"}} 1',
    "a trailing comma": b'{"CallRinging":{"call_id":"c1",}}',
    "a comment": b'{"CallRinging":{"call_id":"c1"}/* */}',
    "a raw control character": b'{"CallRinging":{"call_id":"c1","z":"\n"}}',
    "cut short": b'{"CallRinging":{"call_id":"c1"',
    "an unterminated string of escapes": b'"' + b'\\"' * 500_000,
    "65 open": b"[" * 65 + b"]" * 65,
    "65 open of both kinds": b'{"a":[' * 32 + b"[" + b"]" * 1 + b"]}" * 32,
    "a hundred thousand open": b"[" * 100_000,
    "a million open, and closed": b'{"a":' * 170_000 + b"1" + b"}" * 170_000,
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_strict_json_is_malformed(payload: bytes) -> None:
    """Each kind of malformed payload is refused as such, with evidence that is one short line."""
    with pytest.raises(Malformed) as caught:
        decode(payload, P)
    assert len(caught.value.evidence) <= 200
    assert caught.value.evidence.isprintable()


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 63 + b"]" * 63,
        b'{"a":' * 63 + b"1" + b"}" * 63,
        b'"' + b"[" * 500 + b'"',
        b'"\\"' + b"{" * 500 + b'"',
        b"[[],{}]," * 200 + b"[]",
    ],
)
def test_depth_counts_what_is_open_at_once(payload: bytes) -> None:
    """64 open is allowed, and neither brackets in strings nor a long list count towards it."""
    wrapped = b"[" + payload + b"]"
    assert json.loads(wrapped) == strict_json.parse(wrapped)


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(st.just('[]{}"\\'), lambda inner: st.lists(inner, max_size=2), max_leaves=8),
    st.integers(1, 70),
)
def test_depth_is_counted_exactly(core: Any, wrappings: int) -> None:  # noqa: ANN401  any JSON value
    """A value is refused for its depth if and only if more than 64 are open at once."""

    def depth(value: object) -> int:
        return 1 + max((depth(item) for item in value), default=0) if isinstance(value, list) else 0

    value = core
    for _ in range(wrappings):
        value = [value]
    if depth(value) <= strict_json.DEPTH_LIMIT:
        assert value == strict_json.parse(text(value))
    else:
        with pytest.raises(Malformed, match="over 64 objects and arrays"):
            strict_json.parse(text(value))


@RELAXED
@given(json_values())
def test_json_comes_out_as_it_went_in(value: Any) -> None:  # noqa: ANN401  any JSON value
    """Parsing what was written gives the value again, integers of 64 bits exact."""
    assert text(value) == strict_json.write(strict_json.parse(text(value)))


# Messages


def offer(**changes: Any) -> DirectCallOffer:  # noqa: ANN401  any field
    """Return a plain offer with `changes`."""
    plain = DirectCallOffer(
        caller_fingerprint="a",
        target_fingerprint="b",
        call_id="c1",
        identity_pub=bytes(range(32)),
        ephemeral_pub=bytes(32),
        signature=b"",
        supported_profiles=[GOOD],
    )
    return replace(plain, **changes)


def setup(**changes: Any) -> CallSetup:  # noqa: ANN401  any field
    """Return a plain CallSetup with `changes`."""
    return replace(CallSetup(call_id="c1", room="call-c1", relay_addr="192.0.2.5:4433"), **changes)


def test_an_offer_is_written_in_the_order_of_its_schema() -> None:
    """The text is compact, the alias that is absent is null, and reading it gives the offer."""
    zeros, keys = ",".join(["0"] * 32), ",".join(map(str, range(32)))
    expected = (
        '{"DirectCallOffer":{"caller_fingerprint":"a","caller_alias":null,"target_fingerprint":"b",'
        f'"call_id":"c1","identity_pub":[{keys}],"ephemeral_pub":[{zeros}],"signature":[],'
        '"supported_profiles":[{"codec":"Opus24k","fec_ratio":0.2,"frame_duration_ms":20,'
        '"frames_per_block":5}]}}'
    )
    assert expected.encode() == encode(offer(), P)
    assert offer() == decode(encode(offer(), P), P)


def test_what_is_absent_is_left_out_or_null_as_the_schema_says() -> None:
    """An answer leaves its optional members out, a registration writes its alias as null."""
    answer = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT)
    assert encode(answer, P) == b'{"DirectCallAnswer":{"call_id":"c1","accept_mode":"Reject"}}'
    register = RegisterPresence(identity_pub=bytes(32), signature=b"")
    assert encode(register, P).endswith(b'"signature":[],"alias":null}}')


def test_null_reads_as_absent() -> None:
    """An optional member that is null is None, and is not written again."""
    payload = text({"DirectCallAnswer": {"call_id": "c1", "accept_mode": "Reject", "signature": None}})
    assert decode(payload, P) == DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT)


def test_members_have_the_types_of_their_fields() -> None:
    """Byte arrays become bytes and closed sets of words become enumerations."""
    body = {"call_id": "c1", "accept_mode": "AcceptTrusted", "signature": [1, 255]}
    answer = decode(text({"DirectCallAnswer": body}), P)
    assert isinstance(answer, DirectCallAnswer)
    assert answer.signature == b"\x01\xff"
    assert answer.accept_mode is AcceptMode.ACCEPT_TRUSTED
    hangup = decode(b'{"Hangup":{"reason":"Busy"}}', P)
    assert hangup == Hangup(reason=HangupReason.BUSY)


def test_candidates_come_out_in_the_order_named() -> None:
    """A list of addresses is written behind what is older, read as a tuple, and kept in its order."""
    addresses = ("10.0.0.2:1", "[2001:db8::1]:2", "nowhere that can be read", "10.0.0.2:1")
    payload = encode(setup(peer_direct_addr="198.51.100.9:4433", peer_local_addrs=list(addresses)), P)
    assert payload.endswith(
        b'"relay_addr":"192.0.2.5:4433","peer_direct_addr":"198.51.100.9:4433",'
        b'"peer_local_addrs":["10.0.0.2:1","[2001:db8::1]:2","nowhere that can be read","10.0.0.2:1"]}}'
    )
    read = decode(payload, P)
    assert isinstance(read, CallSetup)
    assert addresses == read.peer_local_addrs


@pytest.mark.parametrize("empty", [(), []])
def test_an_empty_list_is_left_out(empty: Sequence[str]) -> None:
    """No candidates and no list of candidates are one thing, on the way out and on the way in (WIRE-13)."""
    assert encode(setup(), P) == encode(setup(peer_local_addrs=empty), P)
    payload = encode(setup(), P).replace(b"}}", b',"peer_local_addrs":[]}}')
    assert setup() == decode(payload, P)


def test_a_required_list_stays_when_it_is_empty() -> None:
    """An offer without profiles says so: the list is no optional one."""
    payload = encode(offer(supported_profiles=[]), P)
    assert b'"supported_profiles":[]' in payload
    read = decode(payload, P)
    assert isinstance(read, DirectCallOffer)
    assert list(read.supported_profiles) == []


def test_a_list_that_is_null_is_a_violation() -> None:
    """An optional list may be absent and may be empty, and is never null (WIRE-14)."""
    payload = encode(setup(), P).replace(b"}}", b',"peer_local_addrs":null}}')
    with pytest.raises(SchemaViolation, match=r"CallSetup\.peer_local_addrs breaks the rule type"):
        decode(payload, P)


def test_a_winner_is_always_written_and_may_be_missing() -> None:
    """A report without a winner is written with an empty one; null is not a winner."""
    report = MediaPathReport(call_id="c1", direct_ok=False)
    assert encode(report, P) == b'{"MediaPathReport":{"call_id":"c1","direct_ok":false,"race_winner":""}}'
    assert report == decode(b'{"MediaPathReport":{"call_id":"c1","direct_ok":false}}', P)
    with pytest.raises(SchemaViolation, match=r"MediaPathReport\.race_winner breaks the rule type"):
        decode(b'{"MediaPathReport":{"call_id":"c1","direct_ok":false,"race_winner":null}}', P)


def test_a_message_without_members_is_its_name() -> None:
    """Reflect is a string both ways, and white space around it is free."""
    assert encode(Reflect(), P) == b'"Reflect"'
    assert Reflect() == decode(b'"Reflect"', P) == decode(b' "\\u0052eflect"\n', P)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"Reflect":null}',
        b'{"Reflect":{}}',
        b'{"Reflect":[]}',
        b'{"Reflect":""}',
        b'{"Reflect":"Reflect"}',
        b'{"Reflect":{"a":1}}',
    ],
)
def test_a_message_without_members_is_no_object(payload: bytes) -> None:
    """However its name stands in an object, it is not the message (WIRE-15)."""
    with pytest.raises(SchemaViolation, match="Reflect has no members and is a string"):
        decode(payload, P)


def test_unknown_members_survive_at_every_depth() -> None:
    """Nulls, empty lists, large integers and members inside profiles come out unchanged."""
    rest: dict[str, Json] = {
        "later": None,
        "none": [],
        "large": 2**64 - 1,
        "small": -(2**63),
        "huge": 10**300,
        "deep": {"a": [{}, 1.5, "é"]},
    }
    profile = {**GOOD, "bandwidth": None, "modes": []}
    payload = encode(offer(supported_profiles=[profile], rest=rest), P)
    read = decode(payload, P)
    assert isinstance(read, DirectCallOffer)
    assert rest == read.rest
    assert [profile] == list(read.supported_profiles)
    assert payload == encode(read, P)


def test_an_unknown_member_may_be_called_as_a_field_of_ours() -> None:
    """A member called rest is an unknown member like any other."""
    payload = b'{"CallRinging":{"call_id":"c1","rest":{"a":1},"kind":2}}'
    assert decode(payload, P) == CallRinging(call_id="c1", rest={"rest": {"a": 1}, "kind": 2})
    assert payload == encode(decode(payload, P), P)


@pytest.mark.parametrize("name", with_members(P.value))
@RELAXED
@given(st.data())
def test_an_emitted_message_comes_out_as_it_went_in(name: str, data: st.DataObject) -> None:
    """Whatever a sender may write, reading and writing it gives an equal value in schema order."""
    value = data.draw(valid(name, P.value, "emit"))
    message = decode(text(value), P)
    assert name == type(message).__name__
    assert not message.rest
    again = json.loads(encode(message, P))
    order = [field.name for field in fields(message) if field.name in again[name]]
    assert order == list(again[name])
    assert {key: item for key, item in value[name].items() if item is not None} == {
        key: item for key, item in again[name].items() if item is not None
    }
    assert message == decode(encode(message, P), P)


@pytest.mark.parametrize("name", with_members(P.value))
@RELAXED
@given(st.data())
def test_an_acceptable_message_is_accepted_and_kept(name: str, data: st.DataObject) -> None:
    """Whatever a receiver has to take is taken, and its unknown members are written again."""
    value = data.draw(valid(name, P.value, "accept"))
    message = decode(text(value), P)
    again = json.loads(encode(message, P))[name]
    known = {field.name for field in fields(message)} - {"rest"}
    unknown = {key: item for key, item in value[name].items() if key not in known}
    assert text(unknown) == text({key: again[key] for key in unknown})
    assert message == decode(encode(message, P), P)


@pytest.mark.parametrize(("name", "fault"), FAULTS)
@settings(deadline=None, max_examples=2)
@given(st.data())
def test_a_message_with_one_fault_is_a_schema_violation(name: str, fault: str, data: st.DataObject) -> None:
    """Each single fault is refused as a violation, and the evidence names the message."""
    with pytest.raises(SchemaViolation, match=name) as caught:
        decode(text(data.draw(FAULTS[name, fault]).message), P)
    assert len(caught.value.evidence) <= 200


@pytest.mark.parametrize(
    "payload",
    [
        b'{"Ping":{"timestamp_ms":1.0}}',
        b'{"Ping":{"timestamp_ms":1e0}}',
        b'{"Ping":{"timestamp_ms":-0}}',
        b'{"Ping":{"timestamp_ms":0.0}}',
        text({"RegisterPresence": {"identity_pub": [0] * 31 + [1.0], "signature": []}}),
        text({"CallOffer": json.loads(encode(offer(), P))["DirectCallOffer"]}).replace(b"20,", b"20.0,"),
        text({"RoomUpdate": {"count": 1.0, "participants": []}}),
    ],
)
def test_an_integer_has_no_fraction_exponent_or_sign_of_zero(payload: bytes) -> None:
    """Spellings that JSON Schema takes for integers and deployed parsers do not are refused."""
    with pytest.raises(SchemaViolation, match="breaks the rule integer"):
        decode(payload, P)


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"null", b"1", b"true", b'{"Ping":{},"Pong":{}}', b'[{"Ping":{}}]']
)
def test_what_is_no_message_is_a_violation(payload: bytes) -> None:
    """JSON that is neither an object of one member nor a string is no message."""
    with pytest.raises(SchemaViolation, match="no message is"):
        decode(payload, P)


@pytest.mark.parametrize("payload", [b'"CallRinging"', b'{"CallRinging":null}', b'{"CallRinging":["c1"]}'])
def test_a_known_message_of_another_shape_is_a_violation(payload: bytes) -> None:
    """A message with members is an object of an object, whatever else some parser takes."""
    with pytest.raises(SchemaViolation, match="CallRinging breaks the rule type"):
        decode(payload, P)


@pytest.mark.parametrize(
    "payload", [b'"Foo"', b'{"Foo":{}}', b'{"callringing":{"call_id":"c1"}}', b'{"":1}', b'""']
)
def test_an_unknown_name_is_an_unknown_message(payload: bytes) -> None:
    """Names are case-sensitive, and a name nobody knows is refused as unknown."""
    with pytest.raises(UnknownMessage, match=f"no message of phase {P} is called"):
        decode(payload, P)


def test_evidence_is_short_and_on_one_line() -> None:
    """Names and values of a hostile peer are cut and escaped before they reach a log."""
    with pytest.raises(UnknownMessage) as unknown:
        decode(text({"\n\x1b[31m" + "x" * 5000: 1}), P)
    with pytest.raises(SchemaViolation) as violation:
        decode(text({"CallRinging": {"call_id": "\n" + "é" * 5000}}), P)
    for caught in (unknown, violation):
        assert len(caught.value.evidence) <= 200
        assert caught.value.evidence.isascii()
        assert caught.value.evidence.isprintable()


def test_evidence_never_shows_a_token() -> None:
    """A token that breaks its schema does not reach a log."""
    for token in ("hunter2" * 2000, ["hunter2"], {"hunter2": 1}):
        with pytest.raises(SchemaViolation, match="a secret") as caught:
            decode(text({"AuthToken": {"token": token}}), P)
        assert "hunter2" not in str(caught.value)
    assert decode(text({"AuthToken": {"token": "hunter2"}}), P) == AuthToken(token="hunter2")  # noqa: S106  a test's


@settings(deadline=None, max_examples=150)
@given(
    st.binary(max_size=200) | st.text(alphabet='{}[]":,\\u0d8123eE+-.ntf alsrue', max_size=60).map(str.encode)
)
def test_hostile_bytes_raise_nothing_but_bad_message(payload: bytes) -> None:
    """Arbitrary bytes are a message or a BadMessage, never another exception."""
    try:
        message = decode(payload, P)
    except BadMessage:
        return
    assert message == decode(encode(message, P), P)


@pytest.mark.parametrize("name", schemas.messages(P.value))
@RELAXED
@given(st.data())
def test_mutated_messages_raise_nothing_but_bad_message(name: str, data: st.DataObject) -> None:
    """A valid message with bytes cut out, put in and changed is a message or a BadMessage."""
    payload = bytearray(text(data.draw(valid(name, P.value, "accept"))))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(start, min(len(payload), start + 8)))
        payload[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"{", b'"', b"1e999", b"null", b"-0"])
        )
    try:
        message = decode(bytes(payload), P)
    except BadMessage:
        return
    assert message == decode(encode(message, P), P)


# Our own mistakes


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (offer(call_id="C1"), "DirectCallOffer.call_id breaks the rule pattern"),
        (offer(identity_pub=b"short"), "DirectCallOffer.identity_pub breaks the rule minItems"),
        (offer(rest={"call_id": "c2"}), f"the rest of DirectCallOffer has 'call_id', which phase {P} knows"),
        (offer(rest={"z": float("nan")}), "could read this DirectCallOffer"),
        (offer(rest={"z": "\ud800"}), "could read this DirectCallOffer"),
        (Ping(timestamp_ms=-1), "Ping.timestamp_ms breaks the rule minimum"),
        (Ping(timestamp_ms=1.0), "Ping.timestamp_ms breaks the rule integer"),  # type: ignore[arg-type]
        (Reflect(rest={"a": 1}), "Reflect has no members, and its rest has 'a'"),
        (
            setup(peer_direct_addr="9" * 256),
            "CallSetup.peer_direct_addr breaks the rule",
        ),
        (setup(peer_local_addrs=[1]), "CallSetup.peer_local_addrs.0 breaks the rule type"),
        (RoomUpdate(count=1, participants=[{}]), "RoomUpdate.participants.0 breaks the rule required"),
        (CallSetup(call_id="c1", room="r" * 64, relay_addr=""), "CallSetup.room breaks the rule maxLength"),
    ],
)
def test_writing_what_nobody_could_read_is_misuse(message: Any, sentence: str) -> None:  # noqa: ANN401
    """A message that breaks its own schema is refused before it reaches the wire."""
    with pytest.raises(Misuse, match=sentence):
        encode(message, P)


def test_a_class_that_is_no_message_is_misuse() -> None:
    """Only messages of the phase can be written."""
    with pytest.raises(Misuse, match=f"phase {P} has no message int"):
        encode(7, P)  # type: ignore[arg-type]


def test_many_faults_are_refused_at_the_first() -> None:
    """A body with as many faults as may be in a message is refused by its first one."""
    empty = b",".join([b"{}"] * 16_382)
    payload = b'{"DirectCallOffer":{"supported_profiles":[' + empty + b"]}}"
    with pytest.raises(SchemaViolation) as caught:
        decode(payload, P)
    assert len(str(caught.value)) < 300
