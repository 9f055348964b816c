"""Checking: what a check is, and the catalogue of all of them.

A check is an async function `test_…(stage)` under `checks/`, decorated with the id of the one sentence
that it judges. Its docstring says what is sent and what a pass looks like. Those of a client are under
`checks/client/`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from conformance import spec
from conformance.verdicts import UsageError

Function = Callable[[Any], Awaitable[None]]
"""A check: it takes the stage of its role, a Stage or a ClientStage."""
RELAY, CLIENT = "relay", "client"
TABLE = "CALL-TABLE"
"""The pseudo-id of the whole table of spec/call.md, judged at once."""
PAIR = "FED-PAIR"
"""The pseudo-id of calls between two relays under test, which need nearly every rule of links."""
SWEEPING = {
    TABLE: "0",
    "CALL-PLANS": "0",
    "WIRE-PLANS": "0",
    "CAND-PLANS": "3",
    "PRIV-PLANS": "3",
    PAIR: "4",
}
"""The pseudo-ids of checks that judge many rules at once, and the phases since which there are such rules.

Those of PLANS judge what many drawn dialogues show, that of PAIR what two relays do together. No mutant is
asked these checks: they say the rules once more, and would be everybody's collateral.
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the id it judges, the variant of the relay it runs against, what it stands on.

    `features` are those that an adapter has to have.
    """

    id: str
    function: Function
    variant: str
    needs: tuple[str, ...]
    last: bool
    role: str = RELAY
    features: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.function.__name__)

    @property
    def text(self) -> str:
        """What is sent, and what a pass looks like."""
        return inspect.getdoc(self.function) or ""


def check(
    rule: str, *, variant: str = "signed", needs: Sequence[str] = (), last: bool = False
) -> Callable[[Function], Function]:
    """Declare a check of the sentence `rule`; with `last` it runs after all that need less room."""

    def declare(function: Function) -> Function:
        function.__dict__["check"] = Check(rule, function, variant, tuple(needs), last)
        return function

    return declare


def client(
    rule: str, *features: str, needs: Sequence[str] = (), last: bool = False
) -> Callable[[Function], Function]:
    """Declare a check of the sentence `rule` for clients, whose adapter has these features."""

    def declare(function: Function) -> Function:
        function.__dict__["check"] = Check(rule, function, "", tuple(needs), last, CLIENT, features)
        return function

    return declare


def order(one: Check) -> tuple[bool, bool, bool]:
    """Return the key to sort by: what is needed runs before what needs it, who stops the relay last."""
    return one.variant == "stopped", one.last, bool(one.needs)


@cache
def catalogue(role: str = RELAY) -> tuple[Check, ...]:
    """Return every check of a role, in the order of running."""
    name = "conformance.checks" if role == RELAY else "conformance.checks.client"
    checks = importlib.import_module(name)
    stems = sorted(one.name for one in pkgutil.iter_modules(checks.__path__) if one.name.startswith("test_"))
    found = [
        declared
        for stem in stems
        for member in vars(importlib.import_module(f"{name}.{stem}")).values()
        if isinstance(declared := getattr(member, "__dict__", {}).get("check"), Check)
    ]
    return tuple(sorted(found, key=order))


def everything() -> tuple[Check, ...]:
    """Return every check of both roles."""
    return (*catalogue(RELAY), *catalogue(CLIENT))


def selection(only: Sequence[str], phase: str, role: str = RELAY) -> set[str]:
    """Return the ids that `only` (ids and areas) selects among those that have a check and exist in `phase`.

    Raises UsageError for a selector that selects nothing.
    """
    rules = spec.requirements()
    having = {one.id for one in catalogue(role)}
    chosen = having if not only else set()
    for selector in only:
        matches = {one for one in having if selector in (one, one.partition("-")[0])}
        if not matches:
            raise UsageError(_nothing(selector, rules, role))
        chosen |= matches
    since = {name: rule.since for name, rule in rules.items()} | SWEEPING
    there = {one for one in chosen if spec.exists(since[one], phase)}
    for selector in only:
        if not any(selector in (one, one.partition("-")[0]) for one in there):
            message = f"{selector!r} selects nothing that exists in phase {phase}"
            raise UsageError(message)
    return there


def unknown(name: str) -> str:
    """Return a sentence about a name that is neither an id nor an area, with what it may be."""
    rules = spec.requirements()
    areas = [*dict.fromkeys(one.area for one in rules.values())]
    upper = name.upper()
    if upper != name and upper in (*rules, *areas, *SWEEPING):
        return f"{name!r} is no id: say {upper}, ids are in upper case"
    area, _, number = upper.partition("-")
    if area in areas and number:
        there = [one.id for one in rules.values() if one.area == area]
        return f"there is no requirement {name!r}: {area} has {there[0]} to {there[-1]}"
    return f"{name!r} is neither the id of a requirement nor an area; the areas are {', '.join(areas)}"


def _nothing(selector: str, rules: dict[str, spec.Requirement], role: str) -> str:
    rule = rules.get(selector)
    if rule is None:
        return unknown(selector)
    if rule.check_reason:
        return f"{selector} has no check: {rule.check_reason}"
    return f"{selector} is a rule for the role {' and '.join(rule.roles)} and has no check for a {role}"
