"""Checks of spec/wire.md that a client has to pass: frames and JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import schemas
from conformance import codec, generate, identity, understanding, validation
from conformance.adapter import Refused
from conformance.checking import client
from conformance.checks.test_wire import UNKNOWN
from conformance.client_stage import ClientStage
from conformance.codec import FRAME_LIMIT, MEMBER_LIMIT, Message, body_of, name_of
from conformance.puppet import Puppet
from conformance.understanding import Form
from conformance.verdicts import Untestable

LONG = 20.0
"""Seconds that the largest frame may take."""
EXAMPLES = 8
"""Generated messages of each name that have one fault: few enough to be no flood (as for a relay, ERR-3)."""


@client("WIRE-1")
async def test_the_largest_payload_is_accepted(stage: ClientStage) -> None:
    """CallSetup is stretched with white space to 1,048,576 bytes; its room has to be dialled."""
    signal = await stage.online()
    call_id = await understanding.ready(stage)
    whole = understanding.setup(stage, call_id)
    stream = signal.send_bytes(codec.frame(_stretched(whole, FRAME_LIMIT)))

    def over() -> bool:
        done = signal.streams.ended | signal.reset | signal.stopped
        return stream in done or understanding.has_room(stage, call_id)

    await stage.until(over, LONG)
    if await understanding.joins(stage, call_id):
        return
    signal.send_bytes(codec.frame(_stretched(whole, 1024)))
    if not await understanding.joins(stage, call_id):
        message = "white space behind a small message is not accepted either (WIRE-9)"
        raise Untestable(message)
    message = "a payload of 1,048,576 bytes has no effect"
    raise AssertionError(message)


def _stretched(message: Message, length: int) -> bytes:
    text = codec.payload(message)
    return text[:-1] + b" " * (length - len(text)) + text[-1:]


@client("WIRE-2")
async def test_a_frame_too_long_costs_its_stream_only(stage: ClientStage) -> None:
    """A frame announces 1,048,577 bytes; its stream must be stopped and reset, and the connection stay.

    A half that the client has ended before need not be reset.
    """
    signal = await stage.online()
    call_id = stage.call_id()
    offer = codec.encode(stage.other.offer(stage.subject.fingerprint, call_id))
    signal.send_bytes(offer, fin=False)
    await stage.has("incoming", call_id=call_id)  # else nothing is read before the end (TRANS-13)
    stream = signal.send_bytes((FRAME_LIMIT + 1).to_bytes(4, "big") + b'{"Hangup"', fin=False)

    def over() -> bool:
        return stream in signal.stopped and stream in signal.reset | signal.streams.ended

    refused = await stage.until(over, 1.0)
    assert refused, (
        f"stopped: {stream in signal.stopped}, reset: {stream in signal.reset}; both were expected"
    )
    await stage.settle()
    assert signal.closed is None, f"the connection ended with {signal.closed}"


@client("WIRE-3")
async def test_a_frame_cut_short_costs_its_message_only(stage: ClientStage) -> None:
    """Streams end and are reset before their frame is whole; the next offer must ring."""
    signal = await stage.online()
    await understanding.over(stage, await stage.rung())
    call_id = stage.call_id()
    whole = codec.encode(stage.other.offer(stage.subject.fingerprint, call_id))
    for cut in (0, 2, 4, 9):
        signal.send_bytes(whole[:cut])
    for cut in (2, 4, 9):
        signal.reset_stream(signal.send_bytes(whole[:cut], fin=False))
    signal.send_bytes(whole, noted=True)
    heard = await understanding.rings(stage, call_id)
    assert heard, f"after a cut frame nothing is handled: {signal.closed or 'no answer'}"


_REST = b'"caller_fingerprint"'
MALFORMED: dict[str, tuple[bytes, bytes]] = {
    "a byte order mark": (b'{"DirectCallOffer"', b'\xef\xbb\xbf{"DirectCallOffer"'),
    "no UTF-8": (_REST, b'"x":"\xff",' + _REST),
    "an overlong encoding": (_REST, b'"x":"\xc0\xaf",' + _REST),
    "more than one value": (b"}}", b"}} {}"),
    "text behind the value": (b"}}", b"}} x"),
    "a value cut short": (b"}}", b"}"),
    "a comma too many": (b"}}", b",}}"),
    "a comment": (b"}}", b"}}//"),
    "single quotes": (b'"DirectCallOffer"', b"'DirectCallOffer'"),
    "a control character": (_REST, b'"x":"\x01",' + _REST),
    "a leading zero": (_REST, b'"x":01,' + _REST),
    "a member twice": (_REST, b'"caller_fingerprint":"somebody",' + _REST),
    "an unknown member twice": (_REST, b'"x":1,"x":1,' + _REST),
    "a deep member twice": (_REST, b'"x":[{"y":1,"y":2}],' + _REST),
    "a message twice": (b'{"DirectCallOffer"', b'{"DirectCallOffer":{},"DirectCallOffer"'),
    "NaN": (_REST, b'"x":NaN,' + _REST),
    "Infinity": (_REST, b'"x":-Infinity,' + _REST),
    "a number that is no double": (_REST, b'"x":1e999,' + _REST),
    "a lone surrogate": (_REST, b'"x":"\\ud800",' + _REST),
    "a lone surrogate in a name": (_REST, b'"\\udc00":1,' + _REST),
    "65 levels": (_REST, b'"x":' + b"[" * 63 + b"]" * 63 + b"," + _REST),
}
"""What is wrong, and what stands in the place of what in an offer for it."""


@client("WIRE-4")
async def test_malformed_payloads_are_ignored(stage: ClientStage) -> None:
    """Offers that are malformed in one way each, and an empty payload, are sent.

    The client may answer none, even if its user wants to, and the connection must stay; a well-formed offer
    rings after that.
    """
    signal = await stage.online()
    signal.send_bytes(codec.frame(b""))
    offered: dict[str, str] = {}
    for fault, (found, replaced) in MALFORMED.items():
        call_id = stage.call_id()
        text = codec.payload(stage.other.offer(stage.subject.fingerprint, call_id))
        head, _, tail = text.rpartition(found)
        signal.send_bytes(codec.frame(head + replaced + tail))
        offered[call_id] = fault
    await _none_is_answered(stage, signal, offered)
    await stage.rung()


@client("WIRE-16")
async def test_payloads_that_hold_too_much_are_ignored(stage: ClientStage) -> None:
    """Offers have 16,385 members and entries each, of several kinds; the client may answer none.

    The connection must stay, and the same offers with one entry less ring.
    """
    signal = await stage.online()
    offered: dict[str, str] = {}
    streams = set()
    for kind in _crowded(stage, stage.call_id(), MEMBER_LIMIT):
        call_id = stage.call_id()
        streams.add(signal.send_bytes(codec.frame(_crowded(stage, call_id, MEMBER_LIMIT + 1)[kind])))
        offered[call_id] = f"{MEMBER_LIMIT + 1} members and entries, most of them {kind}"
    await stage.until(lambda: streams <= signal.streams.ended | signal.reset | signal.stopped, LONG)
    await _none_is_answered(stage, signal, offered)
    for kind in _crowded(stage, stage.call_id(), MEMBER_LIMIT):
        call_id = stage.call_id()
        signal.send_bytes(codec.frame(_crowded(stage, call_id, MEMBER_LIMIT)[kind]))
        await stage.has("incoming", call_id=call_id)
        await understanding.over(stage, call_id)


def _crowded(stage: ClientStage, call_id: str, count: int) -> dict[str, bytes]:
    return codec.crowded(stage.other.offer(stage.subject.fingerprint, call_id), count)


async def _none_is_answered(stage: ClientStage, signal: Puppet, offered: dict[str, str]) -> None:
    """Raise AssertionError when an offer that must be ignored was not; `offered` says why, by call_id."""
    await stage.settle()
    assert signal.closed is None, f"a message that has to be ignored ended the connection: {signal.closed}"
    for call_id in offered:
        if 0 < len(call_id) <= 128:
            with contextlib.suppress(Refused):
                await stage.ask("answer", call_id=call_id, mode="AcceptGeneric")
    await stage.settle()
    said = [str(one.body.get("call_id")) for one in signal.heard("DirectCallAnswer")]
    faults = [f"{offered.get(call_id, 'a fault')!r}" for call_id in said]
    assert not said, f"answered was the offer with {faults[0]}"


def _offers(stage: ClientStage) -> dict[str, Message]:
    """Return offers with one fault each, which would ring without it."""
    profile = dict(identity.PROFILE)
    faults: dict[str, dict[str, Any]] = {
        "a call_id in capitals": {"call_id": "ABC"},
        "a call_id with a dot": {"call_id": "a.b"},
        "a call_id with a new line": {"call_id": "abc\n"},
        "an empty call_id": {"call_id": ""},
        "a call_id of 59 characters": {"call_id": "a" * 59},
        "a call_id that is a number": {"call_id": 7},
        "a key of 31 bytes": {"identity_pub": [0] * 31},
        "a key with a byte of 256": {"ephemeral_pub": [256] + [0] * 31},
        "a key in text": {"identity_pub": "00" * 32},
        "an unknown codec": {"supported_profiles": [profile | {"codec": "Opus96k"}]},
        "a profile that is none": {"supported_profiles": [{}]},
        "a signature that is null": {"signature": None},
        "no caller": {"caller_fingerprint": identity.ABSENT},
        "no target": {"target_fingerprint": identity.ABSENT},
        "no list of profiles": {"supported_profiles": identity.ABSENT},
    }
    target = stage.subject.fingerprint
    return {
        fault: stage.other.offer(target, **({"call_id": stage.call_id()} | others))
        for fault, others in faults.items()
    }


def _drawn(stage: ClientStage, name: str) -> dict[str, Message]:
    """Return messages of this name with one generated fault each, the call_id apart."""
    number = stage.random().randrange(1 << 32)
    drawn = understanding.samples(generate.one_fault(name, stage.phase), EXAMPLES, number)
    return {one.name: one.message for one in drawn if not one.name.startswith("call_id")}


def _checked(stage: ClientStage, bad: dict[str, Message]) -> dict[str, Message]:
    """Return the messages; raises RuntimeError for one that the accept view does not refuse."""
    for fault, message in bad.items():
        if not [*validation.faults(message, stage.phase, "accept")]:
            sentence = f"the suite takes for a fault what the accept view allows: {fault}"
            raise RuntimeError(sentence)
    return bad


@client("WIRE-5")
async def test_offers_that_the_accept_view_refuses_are_ignored(stage: ClientStage) -> None:
    """Offers with one fault each, chosen and generated ones, are sent.

    The client may answer none, even if its user wants to, and the connection must stay; an offer without a
    fault rings after that.
    """
    signal = await stage.online()
    bad = _offers(stage)
    for fault, message in _drawn(stage, "DirectCallOffer").items():
        body: Any = body_of(message)
        named = isinstance(body, dict)
        bad[fault] = {"DirectCallOffer": body | {"call_id": stage.call_id()}} if named else message
    for message in _checked(stage, bad).values():
        signal.send_bytes(codec.encode(message))
    bodies: dict[str, Any] = {fault: body_of(message) for fault, message in bad.items()}
    offered = {str(body["call_id"]): fault for fault, body in bodies.items() if isinstance(body, dict)}
    await _none_is_answered(stage, signal, offered)
    await stage.rung()


SPOILT = ("CallRinging", "DirectCallAnswer", "CallSetup", "Hangup", "ReflectResponse", "MediaPathReport")
"""What a relay says in a call, and is said with faults in the next check."""


def _in_the_call(stage: ClientStage, call_id: str) -> dict[str, Message]:
    """Return messages about this call with one fault each, chosen and generated ones."""
    reject = body_of(stage.other.answer(call_id, "Reject"))
    known = schemas.messages(stage.phase)
    bad: dict[str, Message] = {
        "Hangup with an unknown reason": {"Hangup": {"reason": "Bored"}},
        "Hangup without a reason": {"Hangup": {}},
        "a rejection with a key of 33 bytes": {"DirectCallAnswer": reject | {"identity_pub": [1] * 33}},
        "a rejection with a signature in text": {"DirectCallAnswer": reject | {"signature": "00"}},
        "an answer with an unknown mode": {"DirectCallAnswer": reject | {"accept_mode": "Maybe"}},
        "CallSetup with a room of 64 characters": understanding.setup(stage, call_id, room="r" * 64),
        "CallSetup with a number for a relay": understanding.setup(stage, call_id, relay_addr=4433),
    }
    sound = {"reason": "Normal", "accept_mode": "Reject", **body_of(understanding.setup(stage, call_id))}
    for name in (one for one in SPOILT if one in known):
        members = schemas.view(stage.phase, "accept")["$defs"][name]["properties"]
        for fault, message in _drawn(stage, name).items():
            said = {
                key: value for key, value in sound.items() if key in members and not fault.startswith(key)
            }
            body: Any = body_of(message)
            bad[f"{name}, {fault}"] = {name: body | said} if isinstance(body, dict) else message
    return _checked(stage, bad)


@client("WIRE-5")
async def test_a_call_outlives_messages_that_the_accept_view_refuses(stage: ClientStage) -> None:
    """A call is brought to its room, and ended. In a second one messages with one fault each are said first.

    The connection must stay, and the room of the second call be dialled all the same.
    """
    signal = await stage.online()
    await understanding.over(stage, await understanding.connected(stage))
    call_id = await understanding.ready(stage)
    for message in _in_the_call(stage, call_id).values():
        signal.send_bytes(codec.encode(message))
    await stage.settle()
    assert signal.closed is None, f"a message that has to be ignored ended the connection: {signal.closed}"
    assert not understanding.has_room(stage, call_id), "a CallSetup that has to be ignored had an effect"
    stage.say(signal, understanding.setup(stage, call_id))
    assert await understanding.joins(stage, call_id), (
        "the call did not outlive messages that are to be ignored"
    )


@client("WIRE-6")
async def test_unknown_messages_are_ignored(stage: ClientStage) -> None:
    """Messages with names that do not exist are sent on the signal connection and in the room of a call.

    Both connections must stay, and nothing be said.
    """
    signal = await stage.online()
    await understanding.connected(stage)
    room = await stage.joined()
    await stage.settle()
    unknown: tuple[Message, ...] = (
        {"Nonsense": {"call_id": "x"}},
        "Nonsense",
        {"hangup": {"reason": "Normal"}},
    )
    for puppet in (signal, room):
        mark = puppet.mark()
        for one in unknown:
            puppet.send(one)
        await stage.settle()
        assert puppet.closed is None, (
            f"an unknown message ended the connection of {puppet.name}: {puppet.closed}"
        )
        said = [one.name for one in puppet.heard(since=mark) if one.name != "Ping"]
        assert not said, f"an unknown message is answered with {said[0]}"


def _extended(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _extended(one) for name, one in value.items()} | UNKNOWN
    return [_extended(one) for one in value] if isinstance(value, list) else value


@client("WIRE-7")
async def test_unknown_members_do_not_stop_a_message(stage: ClientStage) -> None:
    """Everything that a relay says has members that do not exist, at every depth.

    Each message must have its effect.
    """
    form = Form("with unknown members", lambda message: {name_of(message): _extended(body_of(message))})
    await understanding.everything(stage, form)


def _optional(stage: ClientStage, message: Message) -> dict[str, dict[str, Any]]:
    """Return the optional members that the phase knows of a message, with their schemas."""
    view = schemas.view(stage.phase, "accept")["$defs"]
    known = view[name_of(message)]
    found = {name: one for name, one in known["properties"].items() if name not in known["required"]}
    return {name: one | view.get(one.get("$ref", "").rpartition("/")[2], {}) for name, one in found.items()}


@client("WIRE-8")
async def test_null_is_the_absence_of_an_optional_member(stage: ClientStage) -> None:
    """Everything that a relay says has `null` for the optional members that are no lists.

    Each must have its effect; since phase 7 a Hangup then names no call.
    """

    def write(message: Message) -> Message:
        nulls = [
            name
            for name, one in _optional(stage, message).items()
            if {"type": "null"} in one.get("anyOf", ())
        ]
        return {name_of(message): body_of(message) | dict.fromkeys(nulls)}

    await understanding.everything(stage, Form("with null for optional members", write))


def _turned(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {name: _turned(one) for name, one in reversed(value.items())}
    return [_turned(one) for one in value] if isinstance(value, list) else value


@client("WIRE-9")
async def test_order_and_white_space_are_free(stage: ClientStage) -> None:
    """Everything that a relay says has its members turned round, and white space between all tokens."""

    def write(message: Message) -> bytes:
        text = json.dumps(_turned(message), indent="\t ", separators=(" , \r", "\n : \t"))
        return f"\r\n\t {text}\n".encode()

    await understanding.everything(stage, Form("with its members turned round, and white space", write))


@client("WIRE-13")
async def test_an_empty_list_is_the_absence_of_a_list(stage: ClientStage) -> None:
    """Offer, answer and CallSetup have an empty list of candidates; each must have its effect."""

    def write(message: Message) -> Message:
        lists = [name for name, one in _optional(stage, message).items() if one.get("type") == "array"]
        return {name_of(message): body_of(message) | {name: [] for name in lists}}

    await stage.online()
    form = Form("with an empty list", write)
    await understanding.incoming(stage, form)
    await understanding.outgoing(stage, form)


@client("WIRE-14")
async def test_a_list_that_is_null_is_no_list(stage: ClientStage) -> None:
    """An offer, the answer to a call and its CallSetup have `null` for a list of candidates.

    The offer must not ring and the rejecting answer not end the call; the room is dialled after the proper
    CallSetup and not before.
    """
    signal = await stage.online()
    await understanding.over(stage, await understanding.connected(stage))
    offered = {stage.call_id(): "a list that is null"}
    for call_id in offered:
        signal.send(stage.other.offer(stage.subject.fingerprint, call_id, caller_local_addrs=None))
    await _none_is_answered(stage, signal, offered)
    call_id = await understanding.ready(stage)
    signal.send(stage.other.answer(call_id, "Reject", callee_local_addrs=None))
    signal.send(understanding.setup(stage, call_id, peer_local_addrs=None))
    await stage.settle()
    assert not understanding.has_room(stage, call_id), "a CallSetup with null for a list had an effect"
    stage.say(signal, understanding.setup(stage, call_id))
    assert await understanding.joins(stage, call_id), "a rejection with null for a list had an effect"


@client("WIRE-15")
async def test_a_message_without_members_is_a_string(stage: ClientStage) -> None:
    """Reflect is written as an object, in three ways, and as an array.

    Nothing may be said, the connection must stay, and the call that rings go on ringing.
    """
    signal = await stage.online()
    call_id = await stage.rung()
    mark = signal.mark()
    for text in (b'{"Reflect":null}', b'{"Reflect":{}}', b'{"Reflect":[]}', b'["Reflect"]'):
        signal.send_bytes(codec.frame(text))
    await stage.settle()
    assert signal.closed is None, f"such a message ended the connection: {signal.closed}"
    said = [one.name for one in signal.heard(since=mark) if one.name != "Ping"]
    assert not said, f"such a message is answered with {said[0]}"
    assert not stage.events("ended", call_id=call_id), "such a message ended a call"


@client("WIRE-10")
async def test_the_client_sends_what_the_emit_view_allows(stage: ClientStage) -> None:
    """The client rejects and accepts calls, places one, joins its room and hangs up.

    Every message of it must pass the emit view.
    """
    await understanding.conversation(stage)
    faults = [
        f"{one.name} received what the emit view refuses: {fault}"
        for one in stage.puppets
        for fault in one.violations()
    ]
    assert not faults, faults[0]
