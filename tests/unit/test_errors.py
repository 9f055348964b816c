"""Errors: whose fault it was, which rule was broken, and the words of a close."""

from __future__ import annotations

import pytest

from reference.core import errors
from reference.core.errors import (
    REASONS,
    BadFrame,
    BadMessage,
    CloseCode,
    DirectCallError,
    FrameCutShort,
    FrameTooLong,
    Malformed,
    Misuse,
    PeerFault,
    SchemaViolation,
    TooManyMembers,
    UnknownMessage,
)
from tools.chapters import every_requirement

FAULTS = (Malformed, TooManyMembers, UnknownMessage, SchemaViolation, FrameTooLong, FrameCutShort)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_its_rule_and_its_evidence(fault: type[PeerFault]) -> None:
    """A fault of the peer says what it saw and which requirement that breaks; the rule exists."""
    raised = fault("the value is wrong")
    assert "the value is wrong" == raised.evidence
    assert f"the value is wrong ({fault.rule})" == str(raised)
    assert fault.rule in every_requirement()


def test_every_fault_is_of_one_kind() -> None:
    """A fault costs a message or a stream and never both, and our own misuse is no fault of the peer."""
    assert {BadMessage, BadFrame} == set(PeerFault.__subclasses__())
    assert [TooManyMembers] == Malformed.__subclasses__()
    assert set(FAULTS) - {TooManyMembers} == {*BadMessage.__subclasses__(), *BadFrame.__subclasses__()}
    here = DirectCallError.__module__
    ours = {kind for kind in DirectCallError.__subclasses__() if kind.__module__ == here}
    assert {PeerFault, Misuse} == ours


def test_the_tree_at_the_top_is_the_tree() -> None:
    """The module's docstring draws every class that it has, and no other."""
    drawn = {word for word in (errors.__doc__ or "").split() if word in vars(errors)}
    assert {
        one.__name__ for one in (DirectCallError, PeerFault, BadMessage, BadFrame, Misuse, *FAULTS)
    } <= drawn


def test_every_close_has_words_of_its_own() -> None:
    """Each code has a reason, no two the same and none empty (ERR-1)."""
    assert list(CloseCode) == list(REASONS)
    assert len(CloseCode) == len(set(REASONS.values()) - {""})
