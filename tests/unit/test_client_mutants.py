"""Mutants of the client: each breaks its own rule, and the tests of that rule alone notice."""

from __future__ import annotations

import pytest

from reference.core.client import ClientCore
from tests.mutants.client import (
    CLIENT_MUTANTS,
    COLLATERAL,
    KILLED,
    SURVIVED,
    VARIABLE,
    broken,
    chosen,
    judge,
    named,
    rules,
)
from tests.mutants.client_base import ClientMutant
from tools.chapters import every_requirement

A_FEW = [named(rule) for rule in ("REG-1", "MEDIA-26", "REFL-8", "CAND-7", "RACE-1", "AGREE-5")]
"""One of most chapters, one with a part of its own among them; the gate judges every one."""
OF_CLIENTS = {one.id for one in every_requirement().values() if one.role == "client"}


def test_every_rule_of_a_client_has_tests_and_one_mutant() -> None:
    """The requirements of clients are those that have tests here, and those that have a mutant."""
    assert OF_CLIENTS
    assert OF_CLIENTS == set(rules())
    assert sorted(OF_CLIENTS) == sorted(mutant.id for mutant in CLIENT_MUTANTS)


def test_a_client_without_a_mutation_keeps_every_rule() -> None:
    """No test of a rule fails for the client itself."""
    assert set() == broken(ClientCore)


@pytest.mark.parametrize("mutant", A_FEW, ids=lambda mutant: mutant.id)
def test_a_mutant_breaks_its_own_rule_alone(mutant: type[ClientMutant]) -> None:
    """The rules that a mutant breaks are the one whose id it has."""
    assert {mutant.id} == broken(mutant)


def test_the_judge_tells_killed_from_survived_and_collateral(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant that keeps its rule has survived; one that breaks another rule is collateral."""
    assert KILLED == judge("CALL-35")
    tame = type("Tame", (ClientMutant,), {"id": "CALL-35"})
    monkeypatch.setattr("tests.mutants.client.CLIENT_MUTANTS", [tame])
    assert SURVIVED == judge("CALL-35")
    wild = type("Wild", (named_before("CALL-35"), named_before("REG-1")), {"id": "CALL-35"})
    monkeypatch.setattr("tests.mutants.client.CLIENT_MUTANTS", [wild])
    assert COLLATERAL == judge("CALL-35")


def named_before(rule: str) -> type[ClientMutant]:
    """Return the mutant of a rule from the list as it was when this file was read."""
    (found,) = (mutant for mutant in CLIENT_MUTANTS if mutant.id == rule)
    return found


def test_the_environment_chooses_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable the client is the real one, with it the mutant of the rule it names."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert ClientCore is chosen()
    monkeypatch.setenv(VARIABLE, "CALL-35")
    assert named("CALL-35") is chosen()


def test_a_rule_without_a_mutant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt id does not play the rules with the client itself."""
    monkeypatch.setenv(VARIABLE, "CALL-35x")
    with pytest.raises(ValueError, match="CALL-35x"):
        chosen()
