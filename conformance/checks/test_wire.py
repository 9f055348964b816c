"""Checks of spec/wire.md: frames, JSON, forwarding."""

from __future__ import annotations

import json
from typing import Any

from conformance import codec, exploration, identity, validation
from conformance.checking import check
from conformance.codec import FRAME_LIMIT, MEMBER_LIMIT, Message
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable

UNKNOWN: dict[str, Any] = {
    "later": {"nested": [1, {"deep": None}], "empty": [], "text": "Grüße", "flag": False},
    "later_null": None,
    "later_list": [],
    "later_number": 2.5,
}
UNSAID: dict[str, Any] = dict.fromkeys(("caller_reflexive_addr", "caller_local_addrs"), identity.ABSENT)
"""What a relay takes out of an offer (spec/privacy.md)."""
OPTIONAL = (
    "identity_pub",
    "ephemeral_pub",
    "chosen_profile",
    "callee_reflexive_addr",
    "callee_build_version",
)
"""Members of an answer that may be `null`; a phase that does not know one forwards it."""


@check("WIRE-1")
async def test_the_largest_payload_is_accepted(stage: Stage) -> None:
    """A Ping is stretched with white space to 1,048,576 bytes; it must be answered."""
    alice = await stage.register("alice")
    known = len(alice.heard("Pong"))
    alice.send_bytes(codec.frame(_stretched(1, 64)))
    await stage.settle(alice, rounds=1)
    if len(alice.heard("Pong")) < known + 2:
        message = "white space in a small message is not accepted (WIRE-9)"
        raise Untestable(message)
    known = len(alice.heard("Pong"))
    alice.send_bytes(codec.frame(_stretched(2, FRAME_LIMIT)))
    await stage.until(lambda: len(alice.heard("Pong")) > known or bool(alice.closed), 8.0)
    assert len(alice.heard("Pong")) > known, "a payload of 1,048,576 bytes has no effect"


def _stretched(number: int, length: int) -> bytes:
    head = b'{"Ping":{"timestamp_ms":%d' % number
    return head + b" " * (length - len(head) - 2) + b"}}"


@check("WIRE-2")
async def test_a_frame_too_long_costs_its_stream_only(stage: Stage) -> None:
    """A frame announces 1,048,577 bytes; its stream must be stopped and reset, and the connection stay.

    A half that the relay has ended before need not be reset.
    """
    alice = await stage.register("alice")
    known = len(alice.heard("Pong"))
    alice.send_bytes(codec.encode(identity.ping(1)), fin=False)
    if not await stage.until(lambda: len(alice.heard("Pong")) > known, 0.5):
        message = "nothing is read of a stream that has not ended (TRANS-13)"
        raise Untestable(message)
    stream = alice.send_bytes((FRAME_LIMIT + 1).to_bytes(4, "big") + b'{"Ping"', fin=False)

    def over() -> bool:
        return stream in alice.stopped and stream in alice.reset | alice.streams.ended

    refused = await stage.until(over, 1.0)
    assert refused, f"stopped: {stream in alice.stopped}, reset: {stream in alice.reset}; both were expected"
    assert await stage.fence(alice), f"the connection is not served any more: {alice.closed}"


@check("WIRE-3")
async def test_a_frame_cut_short_costs_its_message_only(stage: Stage) -> None:
    """Streams end and are reset before their frame is whole; the connection must be served."""
    alice = await stage.register("alice")
    whole = codec.encode(identity.ping(1))
    for cut in (0, 2, 4, 9):
        alice.send_bytes(whole[:cut])
    for cut in (2, 4, 9):
        alice.reset_stream(alice.send_bytes(whole[:cut], fin=False))
    assert await stage.fence(alice), f"after a cut frame nothing is handled: {alice.closed or 'no answer'}"


MALFORMED: dict[str, bytes] = {
    "a byte order mark": b'\xef\xbb\xbf{"Ping":{"timestamp_ms":%d}}',
    "no UTF-8": b'{"Ping":{"timestamp_ms":%d,"x":"\xff"}}',
    "an overlong encoding": b'{"Ping":{"timestamp_ms":%d,"x":"\xc0\xaf"}}',
    "more than one value": b'{"Ping":{"timestamp_ms":%d}} {}',
    "text behind the value": b'{"Ping":{"timestamp_ms":%d}} x',
    "a value cut short": b'{"Ping":{"timestamp_ms":%d}',
    "a comma too many": b'{"Ping":{"timestamp_ms":%d,}}',
    "a comment": b'{"Ping":{"timestamp_ms":%d}}//',
    "single quotes": b"{'Ping':{'timestamp_ms':%d}}",
    "a control character": b'{"Ping":{"timestamp_ms":%d,"x":"\x01"}}',
    "a leading zero": b'{"Ping":{"timestamp_ms":%d,"x":01}}',
    "a member twice": b'{"Ping":{"timestamp_ms":%d,"timestamp_ms":7}}',
    "an unknown member twice": b'{"Ping":{"timestamp_ms":%d,"x":1,"x":1}}',
    "a deep member twice": b'{"Ping":{"timestamp_ms":%d,"x":[{"y":1,"y":2}]}}',
    "a message twice": b'{"Ping":{"timestamp_ms":7},"Ping":{"timestamp_ms":%d}}',
    "NaN": b'{"Ping":{"timestamp_ms":%d,"x":NaN}}',
    "Infinity": b'{"Ping":{"timestamp_ms":%d,"x":-Infinity}}',
    "a number that is no double": b'{"Ping":{"timestamp_ms":%d,"x":1e999}}',
    "a lone surrogate": b'{"Ping":{"timestamp_ms":%d,"x":"\\ud800"}}',
    "a lone surrogate in a name": b'{"Ping":{"timestamp_ms":%d,"\\udc00":1}}',
    "65 levels": b'{"Ping":{"timestamp_ms":%d,"x":' + b"[" * 63 + b"]" * 63 + b"}}",
}


@check("WIRE-4")
async def test_malformed_payloads_are_ignored(stage: Stage) -> None:
    """Pings that are malformed in one way each, and an empty payload, are sent.

    None may be answered, and the connection must stay.
    """
    alice = await stage.register("alice")
    alice.send_bytes(codec.frame(b""))
    numbers = {}
    for number, (fault, text) in enumerate(MALFORMED.items(), start=1001):
        numbers[fault] = number
        alice.send_bytes(codec.frame(text % number))
    assert await stage.fence(alice), (
        f"after malformed messages nothing is handled: {alice.closed or 'no answer'}"
    )
    await stage.settle(alice, rounds=1)
    answered = [fault for fault, number in numbers.items() if alice.heard("Pong", timestamp_ms=number)]
    answered += ["a member twice"] * len(alice.heard("Pong", timestamp_ms=7))
    assert not answered, f"answered was a Ping with {answered[0]}"


@check("WIRE-16")
async def test_payloads_that_hold_too_much_are_ignored(stage: Stage) -> None:
    """Pings with 16,385 members and entries, of several kinds, are sent; none may be answered.

    The connection must stay. The same Pings with one entry less are sent first, and have to be answered.
    """
    alice = await stage.register("alice")

    async def answered(count: int, first: int) -> list[str]:
        kinds = list(codec.crowded(identity.ping(0), count))
        for number, kind in enumerate(kinds, start=first):
            alice.send_bytes(codec.frame(codec.crowded(identity.ping(number), count)[kind]))
        served = await stage.fence(alice)
        assert served, f"after such messages nothing is handled: {alice.closed or 'no answer'}"
        await stage.settle(alice, rounds=1)
        return [
            kind for number, kind in enumerate(kinds, start=first) if alice.heard("Pong", timestamp_ms=number)
        ]

    taken = await answered(MEMBER_LIMIT, 1001)
    if len(taken) < len(codec.crowded(identity.ping(0), MEMBER_LIMIT)):
        message = (
            f"of Pings with {MEMBER_LIMIT} members and entries only those with {taken} are answered (WIRE-7)"
        )
        raise Untestable(message)
    over = await answered(MEMBER_LIMIT + 1, 2001)
    assert not over, (
        f"answered was a Ping with {MEMBER_LIMIT + 1} members and entries, most of them {over[0]}"
    )


def _refused(caller: Puppet, callee: Puppet, call_id: str) -> dict[str, Message]:
    """One fault each, in messages that would have an effect without it."""
    target = callee.identity.fingerprint

    def offer(**others: Any) -> Message:  # noqa: ANN401 - any JSON value
        body = codec.body_of(caller.identity.offer(target, call_id))
        return {"DirectCallOffer": body | others}

    def without(member: str) -> Message:
        body = dict(codec.body_of(offer()))
        del body[member]
        return {"DirectCallOffer": body}

    profile = dict(identity.PROFILE)
    return {
        "a call_id in capitals": offer(call_id="ABC"),
        "a call_id with a dot": offer(call_id="a.b"),
        "an empty call_id": offer(call_id=""),
        "a call_id of 59 characters": offer(call_id="a" * 59),
        "a call_id that is a number": offer(call_id=7),
        "a key of 31 bytes": offer(identity_pub=[0] * 31),
        "a key with a byte of 256": offer(ephemeral_pub=[256] + [0] * 31),
        "a key in text": offer(identity_pub="00" * 32),
        "no target": without("target_fingerprint"),
        "no list of profiles": without("supported_profiles"),
        "an unknown codec": offer(supported_profiles=[profile | {"codec": "Opus96k"}]),
        "a profile that is none": offer(supported_profiles=[{}]),
        "a signature that is null": offer(signature=None),
        "a Ping below zero": {"Ping": {"timestamp_ms": -1}},
        "a Ping with a fraction": {"Ping": {"timestamp_ms": 1.5}},
        "a Ping in text": {"Ping": {"timestamp_ms": "1"}},
        "a Ping that is true": {"Ping": {"timestamp_ms": True}},
        "a Ping without a number": {"Ping": {}},
        "a Ping of 65 bits": {"Ping": {"timestamp_ms": 1 << 64}},
    }


@check("WIRE-5")
async def test_messages_that_the_accept_view_refuses_are_ignored(stage: Stage) -> None:
    """Offers, Pings and answers with one fault each are sent; none may have an effect."""
    alice, bob = await stage.register_all("alice", "bob")
    rings = await stage.place(alice, bob)
    bad = _refused(alice, bob, stage.call_id())
    allowed = [
        fault for fault, message in bad.items() if not [*validation.faults(message, stage.phase, "accept")]
    ]
    if allowed:
        message = f"the suite takes for a fault what the accept view allows: {allowed}"
        raise RuntimeError(message)
    since = stage.marks()
    pongs = len(alice.heard("Pong"))
    for one in bad.values():
        alice.send_bytes(codec.encode(one))
    bob.send_bytes(codec.encode(bob.identity.answer(rings, "Maybe")))
    bob.send_bytes(codec.encode(bob.identity.answer(rings, identity_pub=[1] * 33)))
    served = await stage.fence(alice) and await stage.fence(bob)
    assert served, f"after such messages nothing is handled: {alice.closed or bob.closed or 'no answer'}"
    extra = len(alice.heard("Pong")) - pongs - 1
    assert extra == 0, f"{extra} Pings that the accept view refuses were answered"
    await stage.expects_nothing(alice, bob, since=since)


@check("WIRE-6")
async def test_unknown_messages_are_ignored(stage: Stage) -> None:
    """Messages with names that do not exist are sent; the connection must stay and nothing follow."""
    alice = await stage.register("alice")
    since = stage.marks()
    unknown: tuple[Message, ...] = ({"Nonsense": {"call_id": "x"}}, "Nonsense", {"ping": {"timestamp_ms": 1}})
    for one in unknown:
        alice.send(one)
    served = await stage.fence(alice)
    assert served, f"after an unknown message nothing is handled: {alice.closed or 'no answer'}"
    await stage.expects_nothing(alice, since=since)


@check("WIRE-7")
async def test_unknown_members_do_not_stop_a_message(stage: Stage) -> None:
    """A Ping, an offer and an answer have members that do not exist; each must have its effect."""
    alice, bob = await stage.register_all("alice", "bob")
    known = len(alice.heard("Pong"))
    alice.send({"Ping": {"timestamp_ms": 1, **UNKNOWN}})
    await stage.settle(alice)
    assert len(alice.heard("Pong")) == known + 3, "a Ping with unknown members is not answered"
    call_id = stage.call_id()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id, **UNKNOWN))
    await stage.expects(bob, "DirectCallOffer", call_id=call_id)
    bob.send(bob.identity.answer(call_id, **UNKNOWN))
    assert await stage.is_set_up(call_id), "an answer with unknown members has no effect"


@check("WIRE-8")
async def test_null_is_the_absence_of_an_optional_member(stage: Stage) -> None:
    """A registration, an offer and an answer have `null` where a member is optional; each must work.

    Since phase 7 so must a Hangup, which then names no call.
    """
    registration = stage.person("alice").registration()
    registration["RegisterPresence"]["alias"] = None
    alice = await stage.dial("alice")
    alice.send(registration)
    alice.speaks = True
    served = await stage.fence(alice)
    assert served, f"a registration with the alias null is not taken: {alice.closed or 'no answer'}"
    bob = await stage.register("bob")
    call_id = stage.call_id()
    told: dict[str, None] = dict.fromkeys(("caller_alias", "caller_reflexive_addr", "caller_build_version"))
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id, **told))
    await stage.expects(bob, "DirectCallOffer", call_id=call_id)
    said: dict[str, Any] = dict.fromkeys(OPTIONAL)
    bob.send(bob.identity.answer(call_id, **said))
    assert await stage.is_set_up(call_id), "an answer with null for optional members has no effect"
    if stage.knows("7"):
        alice.send(identity.hangup())
        await stage.needs(bob, "Hangup")
        await stage.place(alice, bob)
        mark = bob.mark()
        alice.send(identity.hangup(call_id=None))
        await stage.expects(bob, "Hangup", since=mark)


@check("WIRE-9")
async def test_order_and_white_space_are_free(stage: Stage) -> None:
    """An offer is sent with its members turned round, and a Ping with white space everywhere."""
    alice, bob = await stage.register_all("alice", "bob")
    known = len(alice.heard("Pong"))
    alice.send_bytes(codec.frame(b'\r\n\t {\n "Ping" : {\t"timestamp_ms" :  1 \n} } \n'))
    await stage.settle(alice)
    assert len(alice.heard("Pong")) == known + 3, "a Ping with white space is not answered"
    call_id = stage.call_id()
    offer = alice.identity.offer(bob.identity.fingerprint, call_id)["DirectCallOffer"]
    turned = {"DirectCallOffer": dict(reversed(offer.items()))}
    alice.send_bytes(codec.frame(json.dumps(turned, indent=2).encode()))
    await stage.expects(bob, "DirectCallOffer", call_id=call_id)


@check("WIRE-13")
async def test_an_empty_list_is_the_absence_of_a_list(stage: Stage) -> None:
    """An offer and an answer have an empty list of candidates; each must work, and nothing be handed over."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = stage.call_id()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id, caller_local_addrs=[]))
    await stage.expects(bob, "DirectCallOffer", call_id=call_id)
    bob.send(bob.identity.answer(call_id, callee_local_addrs=[]))
    assert await stage.is_set_up(call_id), "an answer with an empty list has no effect"
    for one in (alice, bob):
        for setup in one.heard("CallSetup", call_id=call_id):
            found = setup.body.get("peer_local_addrs")
            assert not found, f"nobody named a host candidate, and {one.name} learns {found}"


@check("WIRE-14")
async def test_a_list_that_is_null_is_no_list(stage: Stage) -> None:
    """An offer, and the answer to a Ringing call, have `null` for a list of candidates; both are ignored."""
    alice, bob = await stage.register_all("alice", "bob")
    rings = await stage.place(alice, bob)
    since = stage.marks()
    alice.send(alice.identity.offer(bob.identity.fingerprint, stage.call_id(), caller_local_addrs=None))
    bob.send(bob.identity.answer(rings, callee_local_addrs=None))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, rings), "the call ended"


@check("WIRE-15")
async def test_a_message_without_members_is_a_string(stage: Stage) -> None:
    """Reflect is written as an object, in four ways; none may be answered, and the connection must stay."""
    alice = await stage.register("alice")
    alice.send("Reflect")
    await stage.needs(alice, "ReflectResponse")
    since = stage.marks()
    for text in (b'{"Reflect":null}', b'{"Reflect":{}}', b'{"Reflect":[]}', b'["Reflect"]'):
        alice.send_bytes(codec.frame(text))
    served = await stage.fence(alice)
    assert served, f"after such a message nothing is handled: {alice.closed or 'no answer'}"
    await stage.expects_nothing(alice, since=since)


@check("WIRE-10")
async def test_the_relay_sends_what_the_emit_view_allows(stage: Stage) -> None:
    """A refusal, a call with media, and a rejected call make the relay say all it has to say.

    Every message must pass the emit view.
    """
    alice, bob = await stage.register_all("alice", "bob")
    eve = await stage.dial("eve")
    eve.send(eve.identity.registration(bytes(64)))
    alice.send(alice.identity.offer(stage.person("nobody").fingerprint, stage.call_id()))
    await stage.settle()
    rejected = await stage.place(alice, bob)
    bob.send(bob.identity.answer(rejected, "Reject"))
    call_id = await stage.set_up(alice, bob)
    for party in (alice, bob):
        media = await stage.knock(party, call_id)
        await stage.until(lambda media=media: bool(media.heard()) or bool(media.closed), 0.5)
    alice.send(alice.identity.hangup(call_id))
    await stage.settle()
    await stage.close_of(eve)
    faults = [
        f"{one.name} received what the emit view refuses: {fault}"
        for one in stage.puppets
        for fault in one.violations()
    ]
    assert not faults, faults[0]


@check("WIRE-11")
async def test_unknown_members_are_forwarded_unchanged(stage: Stage) -> None:
    """An offer, an answer, a hangup and, since phase 6, a report carry unknown members at every depth.

    They must arrive as they are.
    """
    alice, bob = await stage.register_all("alice", "bob")
    call_id = stage.call_id()
    profile = identity.PROFILE | {"later": {"more": [None, []]}}
    told = alice.identity.offer(
        bob.identity.fingerprint, call_id, supported_profiles=[profile], **UNSAID, **UNKNOWN
    )
    said = [(alice, bob, told), (bob, alice, bob.identity.answer(call_id, chosen_profile=profile, **UNKNOWN))]
    if stage.knows("6"):
        said.append((bob, alice, identity.report(call_id, **UNKNOWN)))
    said.append((alice, bob, alice.identity.hangup(call_id, **UNKNOWN)))
    for sender, receiver, message in said:
        sender.send(message)
        got = await stage.needs(receiver, codec.name_of(message))
        _unchanged(codec.body_of(message), got.body)


def _unchanged(sent: dict[str, Any], received: dict[str, Any]) -> None:
    for name, value in sent.items():
        if name == "caller_fingerprint":
            continue
        assert name in received, f"the member {name!r} is missing in the forwarded message"
        expected, actual = json.dumps(value, sort_keys=True), json.dumps(received[name], sort_keys=True)
        assert expected == actual, f"the member {name!r} was {expected} and arrived as {actual}"


@check("WIRE-12")
async def test_large_integers_are_forwarded_exactly(stage: Stage) -> None:
    """Integers of 64 bits, beyond the precision of a double, are sent in unknown members of an offer.

    They must arrive as they are.
    """
    alice, bob = await stage.register_all("alice", "bob")
    numbers = [-(1 << 63), (1 << 64) - 1, (1 << 53) + 1, -(1 << 53) - 1, (1 << 63) + 1]
    call_id = stage.call_id()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id, later={"numbers": numbers}))
    got = await stage.needs(bob, "DirectCallOffer", call_id=call_id)
    later = got.body.get("later")
    if not isinstance(later, dict) or "numbers" not in later:
        message = "the unknown member that holds the numbers did not arrive (WIRE-11)"
        raise Untestable(message)
    assert json.dumps(numbers) == json.dumps(later["numbers"]), f"{numbers} arrived as {later['numbers']}"


@check("WIRE-PLANS")
async def test_every_dialogue_is_forwarded_unchanged(stage: Stage) -> None:
    """Many drawn dialogues are performed: calls that run into each other, strangers, double answers, faults.

    What is forwarded must arrive as it was said, unknown members of any size with it.
    """
    await exploration.holds(stage, "forwarding")
