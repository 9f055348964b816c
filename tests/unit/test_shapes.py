"""Shapes: what each phase knows of each message, and nothing that it does not."""

from __future__ import annotations

from typing import Any

import pytest

import schemas
from reference.core.errors import SchemaViolation
from reference.core.messages import NAMES, AcceptMode, AuthToken
from reference.core.phases import Phase
from reference.core.shapes import shapes
from tests.strategies import is_bare

DEFINITIONS: dict[str, dict[str, Any]] = {
    name: body for stem in schemas.CHAPTERS for name, body in schemas.load(stem)["$defs"].items()
}
OPTIONAL_LISTS = {
    ("DirectCallOffer", "caller_local_addrs"),
    ("DirectCallAnswer", "callee_local_addrs"),
    ("CallSetup", "peer_local_addrs"),
    ("GlobalRoomActive", "participants"),
}
"""The lists that may be left out, by message; those of other messages have to be there."""
every_phase = pytest.mark.parametrize("phase", Phase, ids=str)


@every_phase
def test_a_phase_has_the_messages_of_its_schemas(phase: Phase) -> None:
    """Names, order and classes are those of the phase, and the table is made once."""
    assert list(schemas.messages(phase.value)) == list(shapes(phase))
    assert all(NAMES[name] is shape.kind for name, shape in shapes(phase).items())
    assert shapes(phase) is shapes(phase)


@every_phase
def test_a_phase_reads_the_members_that_exist_in_it(phase: Phase) -> None:
    """A member has a reader since the phase in which it appears, in the order of the source."""
    for name, shape in shapes(phase).items():
        members = DEFINITIONS[name].get("properties", {})
        assert [key for key, one in members.items() if schemas.exists(one, phase.value)] == list(
            shape.readers
        )


@every_phase
def test_what_is_absent_is_spelt_as_the_source_says(phase: Phase) -> None:
    """Null is written where x-absent says so, and only lists are left out for being empty."""
    for name, shape in shapes(phase).items():
        members = DEFINITIONS[name].get("properties", {})
        assert shape.nulls == {key for key in shape.readers if members[key].get("x-absent") == "null"}
        assert shape.lists == {key for key in shape.readers if (name, key) in OPTIONAL_LISTS}
        assert shape.bare == is_bare(name, phase.value)


def test_a_reader_makes_the_value_of_a_field() -> None:
    """Byte arrays become bytes, words of a closed set their enumeration, optional lists tuples."""
    readers = shapes(Phase.DUAL_STACK)["DirectCallAnswer"].readers
    assert readers["identity_pub"]([1, 255]) == b"\x01\xff"
    assert readers["accept_mode"]("Reject") is AcceptMode.REJECT
    assert readers["callee_local_addrs"](["a", "b"]) == ("a", "b")
    assert readers["callee_reflexive_addr"]("a") == "a"


def test_a_rule_holds_since_its_phase() -> None:
    """The same body is refused by the phase that knows the member, and passes in an older one."""
    body = {"call_id": "c1", "room": "call-c1", "relay_addr": "a", "peer_local_addrs": None}
    shapes(Phase.ONE_SOCKET)["CallSetup"].check(body)
    with pytest.raises(SchemaViolation, match=r"CallSetup\.peer_local_addrs breaks the rule type"):
        shapes(Phase.HOST_CANDIDATES)["CallSetup"].check(body)


@pytest.mark.parametrize(
    ("name", "body", "place"),
    [
        ("Ping", {"timestamp_ms": 1.0}, "Ping.timestamp_ms"),
        ("AuthToken", {"token": 1.0}, "AuthToken.token"),
        (
            "CallAnswer",
            {
                "identity_pub": [0] * 32,
                "ephemeral_pub": [0] * 31 + [0.0],
                "signature": [],
                "chosen_profile": {
                    "codec": "Opus24k",
                    "fec_ratio": 1,
                    "frame_duration_ms": 20,
                    "frames_per_block": 5,
                },
            },
            r"CallAnswer.ephemeral_pub.\[\]",
        ),
    ],
)
def test_evidence_names_the_place(name: str, body: Any, place: str) -> None:  # noqa: ANN401  any JSON value
    """What is refused is named by message and member, at any depth."""
    with pytest.raises(SchemaViolation, match=f"the value at {place} breaks the rule"):
        shapes(Phase.SIGNALLED_CALL)[name].check(body)


def test_a_token_is_not_shown() -> None:
    """What a token breaks is said without the token."""
    shape = shapes(Phase.SIGNALLED_CALL)[AuthToken.__name__]
    with pytest.raises(SchemaViolation, match="a secret") as caught:
        shape.check({"token": ["hunter2"]})
    assert "hunter2" not in caught.value.evidence
