"""Mutants of the client: one class for every requirement that clients have, with that one rule broken.

`CLIENT_MUTANTS` lists them. `DIRECTCALL_CLIENT_MUTANT=CALL-35 pytest tests/unit/test_client_rules.py` plays
the rules with one of them; `judge` does so without pytest and says what came of it. `named(rule).apply()`
makes the client of a running program one of them.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from reference.core.client import ClientCore
from reference.core.phases import NEWEST
from tests.mutants import client_calls, client_direct, client_wire
from tests.mutants.client_base import ClientMutant, Parts, parts_of
from tests.world import World

if TYPE_CHECKING:
    from _pytest.mark import Mark

VARIABLE = "DIRECTCALL_CLIENT_MUTANT"
RULES = "tests.unit.test_client_rules"
KILLED, SURVIVED, COLLATERAL = 1, 0, 2
"""What `judge` returns: its own rule alone failed; its own rule held; others failed too, or without it."""

CLIENT_MUTANTS: list[type[ClientMutant]] = [*client_calls.MUTANTS, *client_direct.MUTANTS]
SHARED_MUTANTS: list[type[ClientMutant]] = [*client_wire.MUTANTS]
"""Mutants of rules that relays have too: only the suite plays them, in a running program."""


def named(rule: str) -> type[ClientMutant]:
    """Return the mutant of a rule; raises ValueError, naming the rule, when it has none."""
    for mutant in [*CLIENT_MUTANTS, *SHARED_MUTANTS]:
        if mutant.id == rule:
            return mutant
    raise ValueError(f"no client mutant breaks {rule!r}")


def chosen() -> type[ClientCore]:
    """Return the client that the environment asks for: a mutant, or the one that keeps every rule."""
    rule = os.environ.get(VARIABLE, "")
    return named(rule) if rule else ClientCore


def rules() -> dict[str, list[Callable[[Any], None]]]:
    """Return the tests of the client's rules by id; loaded when asked for, since they ask `chosen`."""
    found: dict[str, list[Callable[[Any], None]]] = {}
    for name, test in vars(import_module(RULES)).items():
        if not name.startswith("test_"):
            continue
        marks: list[Mark] = getattr(test, "pytestmark", [])
        (rule,) = (mark.args[0] for mark in marks if mark.name == "rule")
        found.setdefault(rule, []).append(test)
    return found


def broken(kind: type[ClientCore]) -> set[str]:
    """Return the rules that a client does not keep: those with a test that fails for it.

    A test has one argument: `world`, to play in, or `parts`, what the client is made of beside its machine.
    """
    return {
        rule
        for rule, tests in rules().items()
        if not all(
            _holds(test, parts_of(kind)) if "parts" in signature(test).parameters else _played(test, kind)
            for test in tests
        )
    }


def judge(rule: str) -> int:
    """Return what becomes of the mutant of `rule`: KILLED, SURVIVED or COLLATERAL."""
    try:
        if sound := _unbroken():
            print(f"a client without a mutation breaks {', '.join(sorted(sound))}", file=sys.stderr)  # noqa: T201
            return COLLATERAL
        failed = broken(named(rule))
    except Exception:  # noqa: BLE001 - a mutant that cannot be played is not a rule that was noticed
        traceback.print_exc()
        return COLLATERAL
    if rule not in failed:
        return SURVIVED
    if failed != {rule}:
        print(f"the mutant of {rule} breaks {', '.join(sorted(failed - {rule}))} too", file=sys.stderr)  # noqa: T201
    return KILLED if failed == {rule} else COLLATERAL


@cache
def _unbroken() -> frozenset[str]:
    return frozenset(broken(ClientCore))


def _played(test: Callable[[World], None], kind: type[ClientCore]) -> bool:
    try:
        test(World(kind, phase=NEWEST))
    except AssertionError:
        return False
    return True


@cache
def _holds(test: Callable[[Parts], None], parts: Parts) -> bool:
    """Tell whether a test passes; it knows nothing of the client but the parts, so once is enough for all."""
    try:
        test(parts)
    except AssertionError:
        return False
    return True
