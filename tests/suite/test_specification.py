"""Tests of conformance/spec.py: the chapters as the suite reads them."""

from __future__ import annotations

import pytest

from conformance import spec

SENTENCE = "**AREA-1** (relay and client, since 0): A relay MUST NOT sleep.\n"


def test_a_requirement_is_read_with_its_notes() -> None:
    """Id, roles, phase, level, sentence and notes come out of the text."""
    text = f"{SENTENCE}> Why: because.\n> Seen: it snores.\n\n> Check: none; belongs to nothing.\n"
    expected = spec.Requirement(
        "AREA-1",
        "area",
        ("relay", "client"),
        "0",
        "MUST NOT",
        "A relay MUST NOT sleep.",
        "because.",
        "it snores.",
        "",
    )
    assert [expected] == list(spec.read("area", text))


def test_a_reason_without_a_check_is_read() -> None:
    """The line that says why there is no check loses its opening."""
    (read,) = spec.read("area", f"{SENTENCE}> Check: none; it is inside.\n")
    assert read.check_reason == "it is inside."


def test_an_example_is_no_requirement() -> None:
    """What stands between fences is not read."""
    assert [] == list(spec.read("area", f"```\n{SENTENCE}```\n"))


@pytest.mark.parametrize(
    "text",
    [
        "**AREA-1** (relay): A relay MUST sleep.",
        "**AREA-1** (server, since 0): A relay MUST sleep.",
        "**AREA-1** (relay, since 0): A relay sleeps.",
        "**AREA-1** (relay, since 0): A relay MUST sleep and SHOULD snore.",
    ],
    ids=["no phase", "unknown role", "no keyword", "two keywords"],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    """A line that begins like a requirement and is none is an error, never skipped."""
    with pytest.raises(spec.SpecificationError):
        list(spec.read("area", text))


def test_the_chapters_are_whole() -> None:
    """Every area counts from 1 without a gap, so that nothing was overlooked."""
    ids = set(spec.requirements())
    for area in {one.partition("-")[0] for one in ids}:
        own = {one for one in ids if one.startswith(f"{area}-")}
        assert {f"{area}-{n}" for n in range(1, len(own) + 1)} == own


def test_the_table_of_a_call_is_read() -> None:
    """Rows have their cells, and two messages in one cell come apart."""
    accept = next(one for one in spec.transitions() if (one.state, one.event) == ("Ringing", "accept"))
    assert (
        spec.Transition(
            "Ringing", "accept", "callee", "Active", ("DirectCallAnswer", "CallSetup"), ("CallSetup",)
        )
        == accept
    )


def test_codes_and_reasons_are_read() -> None:
    """The tables of errors.md give codes by name, and the reasons in order."""
    assert spec.close_codes()["REPLACED"] == 2
    assert spec.close_codes()["HELLO_TIMEOUT"] == 15
    assert sorted(spec.close_codes().values()) == list(range(16))
    assert spec.reasons() == ("Normal", "Busy", "Declined", "Timeout", "Error")


def test_what_is_younger_than_a_phase_is_known() -> None:
    """Messages stand alone, members with their message; the newest phase has nothing younger."""
    oldest = spec.younger("0")
    assert {("Reflect", ""), ("MediaPathReport", ""), ("Hangup", "call_id")} <= oldest
    assert ("MediaPathReport", "call_id") not in oldest
    assert ("Hangup", "reason") not in oldest
    assert {("RegisterPresenceAck", "relay_build")} == {
        one for one in spec.younger("6") if one[0] == "RegisterPresenceAck"
    }
    assert frozenset() == spec.younger(spec.NEWEST)


def test_phases_are_compared_by_their_age() -> None:
    """What exists since 5.5 exists in 6 and not in 5."""
    assert (True, False, True) == (spec.exists("5.5", "6"), spec.exists("5.5", "5"), spec.exists("0", "0"))
    assert ("0", "1", "2", "3", "3.5", "4", "5", "5.5", "6", "7") == spec.REACHED
