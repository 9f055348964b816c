"""Phases: their names, their order, and what this reference implements."""

from __future__ import annotations

import pytest

import schemas
from reference.core.phases import IMPLEMENTED, NEWEST, Phase


def test_the_phases_are_those_of_the_schemas() -> None:
    """The enumeration and the schemas name the same phases in the same order."""
    assert schemas.PHASES == tuple(phase.value for phase in Phase)


def test_phases_are_ordered_by_age() -> None:
    """Sorting by comparison gives the order of definition, fractional phases included."""
    assert list(Phase) == sorted({*Phase})
    assert Phase.RACE < Phase.FEDERATION
    assert Phase.RACE > Phase.ADVERTISING
    assert Phase.RACE >= Phase.parse("3.5")


def test_a_phase_is_not_compared_with_its_name() -> None:
    """Comparing a phase with a string is our own mistake, not an order."""
    with pytest.raises(TypeError):
        assert Phase.RACE < "4"


@pytest.mark.parametrize("name", schemas.PHASES)
def test_a_name_leads_to_its_phase_and_back(name: str) -> None:
    """Parsing a name and writing the phase gives the name again."""
    assert name == str(Phase.parse(name))


@pytest.mark.parametrize("name", ["", "0.0", "8", "10", " 3", "3.50", "SIGNALLED_CALL"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    """The sentence names the offending value and every phase there is."""
    with pytest.raises(ValueError, match="no phase is called") as caught:
        Phase.parse(name)
    assert f"no phase is called {name!r}: there are {', '.join(schemas.PHASES)}" == str(caught.value)


def test_the_newest_implemented_phase_is_the_default() -> None:
    """What is implemented is an unbroken run from the first phase to the newest."""
    assert list(Phase)[: len(IMPLEMENTED)] == list(IMPLEMENTED)
    assert max(IMPLEMENTED) is NEWEST
