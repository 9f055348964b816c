"""Mutants of the client: one class for every requirement that clients have, with that one rule broken.

`CLIENT_MUTANTS` lists them; `named(rule).apply()` makes the client of a running program one of them, and the
suite judges it from outside.
"""

from __future__ import annotations

from tests.mutants import (
    client_agreement,
    client_calls,
    client_candidates,
    client_privacy,
    client_race,
    client_reflection,
    client_wire,
)
from tests.mutants.client_base import ClientMutant

CLIENT_MUTANTS: list[type[ClientMutant]] = [
    *client_calls.MUTANTS,
    *client_reflection.MUTANTS,
    *client_candidates.MUTANTS,
    *client_privacy.MUTANTS,
    *client_race.MUTANTS,
    *client_agreement.MUTANTS,
    *client_wire.MUTANTS,
]


def named(rule: str) -> type[ClientMutant]:
    """Return the mutant of a rule; raises ValueError, naming the rule, when it has none."""
    for mutant in CLIENT_MUTANTS:
        if mutant.id == rule:
            return mutant
    raise ValueError(f"no client mutant breaks {rule!r}")
