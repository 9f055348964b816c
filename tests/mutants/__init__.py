"""Mutants: the reference with one rule broken, one for every requirement that can be observed.

`python -m tests.mutants CALL-4 [options of the relay]` is a relay that never sends CallRinging. The suite has
to reject it with the check of that id, and with no other but those that the mutant names as collateral:
rules that cannot hold any more once this one is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Break = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule: its id, what is wrong, which other checks have to fail too, and how to break it."""

    id: str
    title: str
    collateral: tuple[str, ...]
    apply: Break


RELAY_MUTANTS: dict[str, Mutant] = {}
"""All mutants of the relay, by the id of the rule that they break."""


def breaks(rule: str, *collateral: str) -> Callable[[Break], Break]:
    """Register the function below as the mutant of `rule`; its docstring says what is wrong."""

    def register(apply: Break) -> Break:
        if rule in RELAY_MUTANTS or not apply.__doc__:
            message = f"{rule} has a mutant already, or this one does not say what is wrong"
            raise ValueError(message)
        RELAY_MUTANTS[rule] = Mutant(rule, apply.__doc__.strip(), collateral, apply)
        return apply

    return register
