"""Parse-back (spec/phases.md, PHASE-3 and PHASE-4): every phase with every other, message by message.

What a phase may send is drawn from its emit view and read by every phase, older and newer. What it
has to mean there is computed from the sources of the schemas alone. The rules about null, empty lists,
missing members, unknown members, unknown messages and doubled members have a test each, which goes
through every member of every message in every phase.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import schemas
from reference.core.errors import Malformed, Misuse, SchemaViolation, UnknownMessage
from reference.core.messages import Message
from reference.core.phases import NEWEST, Phase
from reference.core.wire import decode, encode
from tests.strategies import is_bare, valid

Definition = dict[str, Any]

DEFINITIONS: dict[str, Definition] = {
    name: body for stem in schemas.CHAPTERS for name, body in schemas.load(stem)["$defs"].items()
}
NAMES = schemas.messages(NEWEST.value)
OLDEST = schemas.messages(schemas.PHASES[0])
RELAXED = settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
every_message = pytest.mark.parametrize("name", NAMES)
every_phase = pytest.mark.parametrize("phase", Phase, ids=str)


def text(value: object) -> bytes:
    """Return `value` as a payload that has nothing to do with the code under test."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def since(definition: Definition) -> Phase:
    """Return the phase in which a message or a member appears."""
    return Phase.parse(definition["x-since"])


def knows(phase: Phase, name: str) -> bool:
    """Tell whether the message exists in the phase."""
    return since(DEFINITIONS[name]) <= phase


def members(name: str) -> dict[str, Definition]:
    """Return the members of a message, of any phase, in the order of the source."""
    found: dict[str, Definition] = DEFINITIONS[name].get("properties", {})
    return found


def resolved(schema: Definition) -> Definition:
    """Return the definition that a schema refers to, or the schema itself."""
    return DEFINITIONS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def is_list(schema: Definition) -> bool:
    """Tell whether a member is a list, and not a string of bytes."""
    definition = resolved(schema)
    return definition.get("type") == "array" and not definition.get("x-bytes", False)


def is_required(name: str, member: str) -> bool:
    """Tell whether a member of a message has to be there."""
    return member in DEFINITIONS[name].get("required", ())


def optional(name: str) -> list[str]:
    """Return the members of a message that may be missing."""
    return [member for member in members(name) if not is_required(name, member)]


def absent(name: str, member: str) -> object:
    """Return what a field holds when its member is not there."""
    if is_list(members(name)[member]):
        return ()
    return "" if members(name)[member]["x-absent"] == "empty" else None


def meaning(name: str, member: str, value: Any) -> object:  # noqa: ANN401  any JSON value
    """Return what a field holds when its member has this value."""
    if value is None:
        return absent(name, member)
    if resolved(members(name)[member]).get("x-bytes", False):
        return bytes(value)
    optional_list = is_list(members(name)[member]) and not is_required(name, member)
    return tuple(value) if optional_list else value


def check_meaning(message: Message, name: str, body: dict[str, Any], reader: Phase) -> None:
    """Check that `reader` took from a body what it knows, as it was meant, and kept the rest aside."""
    known = [member for member, one in members(name).items() if since(one) <= reader]
    for member in known:
        assert meaning(name, member, body.get(member)) == getattr(message, member)
    assert {key: value for key, value in body.items() if key not in known} == message.rest


@cache
def emitted(name: str) -> tuple[tuple[tuple[Phase, ...], st.SearchStrategy[Any]], ...]:
    """Return what the phases may send under a name; phases with one view of it draw together."""
    groups: dict[str, list[Phase]] = {}
    for phase in Phase:
        if knows(phase, name):
            schema = schemas.view(phase.value, "emit")["$defs"][name]
            groups.setdefault(json.dumps(schema), []).append(phase)
    return tuple((tuple(group), valid(name, group[0].value, "emit")) for group in groups.values())


@every_message
@RELAXED
@given(st.data())
def test_what_a_phase_sends_every_phase_reads_as_it_is_meant(name: str, data: st.DataObject) -> None:
    """For every pair of phases: a message both know means the same, and otherwise it is unknown."""
    for senders, strategy in emitted(name):
        value = data.draw(strategy)
        body = {} if is_bare(name, senders[0].value) else value[name]
        for reader in Phase:
            if not knows(reader, name):
                with pytest.raises(UnknownMessage, match=name):
                    decode(text(value), reader)
                continue
            message = decode(text(value), reader)
            assert name == type(message).__name__
            check_meaning(message, name, body, reader)
            if senders[0] <= reader:
                assert not message.rest


@every_message
@RELAXED
@given(st.data())
def test_a_relay_of_any_phase_hands_on_what_it_does_not_know(name: str, data: st.DataObject) -> None:
    """For every pair of phases: what is read and written on the way means at its end what it meant."""
    for senders, strategy in emitted(name):
        value = data.draw(strategy)
        for relay in Phase:
            if knows(relay, name):
                forwarded = encode(decode(text(value), relay), relay)
                for sender in senders:
                    assert decode(text(value), sender) == decode(forwarded, sender)


@every_message
@RELAXED
@given(st.data())
def test_a_phase_sends_nothing_younger_than_itself(name: str, data: st.DataObject) -> None:
    """A full message of the newest phase leaves an older one with the members of its time alone."""
    value = data.draw(valid(name, NEWEST.value, "emit"))
    message = decode(text(value), NEWEST)
    for phase in Phase:
        if not knows(phase, name):
            with pytest.raises(Misuse, match=f"phase {phase} has no message {name}"):
                encode(message, phase)
            continue
        written = json.loads(encode(message, phase))
        assert [] == [fault.message for fault in emitter(phase).iter_errors(written)]
        if not is_bare(name, phase.value):
            kept = {key for key in value[name] if since(members(name)[key]) <= phase}
            assert kept <= set(written[name])


@cache
def emitter(phase: Phase) -> Draft202012Validator:
    """Return a validator of what a phase may send."""
    return Draft202012Validator(schemas.view(phase.value, "emit"))


@pytest.mark.parametrize("name", OLDEST)
@RELAXED
@given(st.data())
def test_with_nothing_to_say_every_phase_writes_the_oldest_text(name: str, data: st.DataObject) -> None:
    """A message without later values is byte for byte the same in every phase."""
    value = data.draw(valid(name, schemas.PHASES[0], "emit"))
    oldest = encode(decode(text(value), Phase.SIGNALLED_CALL), Phase.SIGNALLED_CALL)
    for phase in Phase:
        assert oldest == encode(decode(text(value), phase), phase)


def test_a_setup_with_nothing_advertised_is_the_oldest_text() -> None:
    """The text of CallSetup that clients of phase 0 have always read."""
    expected = b'{"CallSetup":{"call_id":"c1","room":"call-c1","relay_addr":"203.0.113.5:4433"}}'
    for phase in Phase:
        assert expected == encode(decode(expected, phase), phase)


# The rules, one by one, for every member of every message in every phase


TEXTS = ("c1", ":".join(["2f"] * 32))
"""A call_id that is a text like any other, and a TLS fingerprint."""
ENVELOPED = {"CallRinging": {"call_id": "c1"}}
"""What stands in an envelope: the only object whose members its schema does not name."""


def sample(schema: Definition) -> Any:  # noqa: ANN401  any JSON value
    """Return one value of a schema, with every member and an entry in every list."""
    schema = resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {key: sample(one) for key, one in schema["properties"].items()}
    if schema["type"] == "array":
        return [sample(schema["items"])] * schema.get("minItems", 1)
    if schema["type"] == "string":
        return next(one for one in TEXTS if re.search(schema.get("pattern", ""), one))
    return {"integer": 7, "number": 0.5, "boolean": True, "object": ENVELOPED}[schema["type"]]


def body_of(name: str, phase: Phase) -> dict[str, Any]:
    """Return a body of a message with every member that the phase knows."""
    return {key: sample(one) for key, one in members(name).items() if since(one) <= phase}


def bodies(phase: Phase) -> dict[str, dict[str, Any]]:
    """Return such a body of every message of the phase that has members."""
    found = {
        name: body_of(name, phase) for name in schemas.messages(phase.value) if not is_bare(name, phase.value)
    }
    assert len(found) >= len(OLDEST)
    return found


@every_phase
def test_a_whole_message_is_read(phase: Phase) -> None:
    """A body with every member is a message, so that each fault below is the only one."""
    for name, body in bodies(phase).items():
        check_meaning(decode(text({name: body}), phase), name, body, phase)


@every_phase
def test_null_is_absent_for_a_scalar_and_refused_for_the_others(phase: Phase) -> None:
    """Null stands for an optional scalar, and neither for a list nor a winner nor what is required."""
    for name, body in bodies(phase).items():
        for member in body:
            payload = text({name: body | {member: None}})
            if is_required(name, member) or absent(name, member) is not None:
                with pytest.raises(SchemaViolation, match=rf"{name}\.{member} breaks the rule"):
                    decode(payload, phase)
                continue
            message = decode(payload, phase)
            assert message == decode(text({name: without(body, member)}), phase)


@every_phase
def test_an_empty_list_is_an_absent_one(phase: Phase) -> None:
    """An optional list with nothing in it is read as none and not written (WIRE-13)."""
    for name, body in bodies(phase).items():
        for member in body:
            if is_list(members(name)[member]) and not is_required(name, member):
                message = decode(text({name: body | {member: []}}), phase)
                assert message == decode(text({name: without(body, member)}), phase)
                assert member not in json.loads(encode(message, phase))[name]


@every_phase
def test_what_is_required_may_not_be_missing_and_all_else_may(phase: Phase) -> None:
    """Each member is left out in turn, and then all that may be are left out together."""
    for name, body in bodies(phase).items():
        for member in body:
            payload = text({name: without(body, member)})
            if is_required(name, member):
                with pytest.raises(SchemaViolation, match=f"{name} breaks the rule required"):
                    decode(payload, phase)
            else:
                assert absent(name, member) == getattr(decode(payload, phase), member)
        least = {key: value for key, value in body.items() if is_required(name, key)}
        message = decode(text({name: least}), phase)
        assert all(absent(name, member) == getattr(message, member) for member in optional(name))


@every_phase
@pytest.mark.parametrize("value", [None, [], {}, 2**64 - 1, "x", [None, {"y": []}]], ids=str)
def test_an_unknown_member_is_kept_whatever_it_holds(phase: Phase, value: object) -> None:
    """A member of no phase changes nothing and goes out again as it came, null and empty list included."""
    for name, body in bodies(phase).items():
        message = decode(text({name: body | {"member_of_phase_10": value}}), phase)
        assert message.rest == {"member_of_phase_10": value}
        check_meaning(message, name, body | {"member_of_phase_10": value}, phase)
        assert value == json.loads(encode(message, phase))[name]["member_of_phase_10"]


@every_phase
@pytest.mark.parametrize("value", [None, [], 7, "x", {"a": None}], ids=str)
def test_a_member_of_a_later_phase_is_not_judged(phase: Phase, value: object) -> None:
    """What a later phase would refuse is for an older one an unknown member like any other."""
    later = [
        (name, key) for name in bodies(phase) for key, one in members(name).items() if phase < since(one)
    ]
    assert bool(later) == (phase < Phase.DUAL_STACK)
    for name, member in later:
        message = decode(text({name: bodies(phase)[name] | {member: value}}), phase)
        assert message.rest == {member: value}
        assert value == json.loads(encode(message, phase))[name][member]


@every_phase
@pytest.mark.parametrize("form", ["{name}", {"{name}": {}}, {"{name}": None}], ids=str)
def test_an_unknown_message_is_unknown_in_any_form(phase: Phase, form: object) -> None:
    """Messages of later phases and of none are refused by name, as a string and as an object."""
    unknown = [name for name in NAMES if not knows(phase, name)]
    assert bool(unknown) == (phase < Phase.PATH_AGREEMENT)
    for name in (*unknown, "MessageOfPhase10", "callringing"):
        payload = text(json.loads(json.dumps(form).replace("{name}", name)))
        with pytest.raises(UnknownMessage, match=name):
            decode(payload, phase)


@every_phase
def test_only_a_message_without_members_is_a_string(phase: Phase) -> None:
    """Reflect in an object is no message, and neither is the bare name of one with members (WIRE-15)."""
    for name in schemas.messages(phase.value):
        if not is_bare(name, phase.value):
            with pytest.raises(SchemaViolation, match=f"{name} breaks the rule type"):
                decode(text(name), phase)
            continue
        assert name == json.loads(encode(decode(text(name), phase), phase))
        forms: tuple[object, ...] = (None, {}, [], name, {"a": 1})
        for body in forms:
            with pytest.raises(SchemaViolation, match=f"{name} has no members and is a string"):
                decode(text({name: body}), phase)


@every_phase
def test_a_member_twice_is_malformed(phase: Phase) -> None:
    """Any member twice, known or of a later phase, is read by nobody, even with one value."""
    for name, body in bodies(phase).items():
        for member in members(name):
            value = text(body.get(member, "x")).decode()
            once = text({name: {**body, member: json.loads(value)}}).decode()
            twice = once.removesuffix("}}") + f',"{member}":{value}}}}}'
            decode(once.encode(), phase)
            with pytest.raises(Malformed):
                decode(twice.encode(), phase)


def without(body: dict[str, Any], member: str) -> dict[str, Any]:
    """Return `body` less one member."""
    return {key: value for key, value in body.items() if key != member}
