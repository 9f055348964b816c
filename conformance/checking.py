"""Checking: what a check is, and the catalogue of all of them.

A check is an async function `test_…(stage)` under `checks/`, decorated with the id of the one sentence
that it judges. Its docstring says what is sent and what a pass looks like.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from conformance import spec
from conformance.stage import Stage
from conformance.verdicts import UsageError

Function = Callable[[Stage], Awaitable[None]]
TABLE = "CALL-TABLE"
"""The pseudo-id of the whole table of spec/call.md, judged at once."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the id it judges, the variant of the relay it runs against, what it stands on."""

    id: str
    function: Function
    variant: str
    needs: tuple[str, ...]
    last: bool

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


def order(one: Check) -> tuple[bool, bool, bool]:
    """Return the key to sort by: what is needed runs before what needs it, who stops the relay last."""
    return one.variant == "stopped", one.last, bool(one.needs)


@cache
def catalogue() -> tuple[Check, ...]:
    """Return every check, in the order of running."""
    checks = importlib.import_module("conformance.checks")
    stems = sorted(one.name for one in pkgutil.iter_modules(checks.__path__) if one.name.startswith("test_"))
    found = [
        declared
        for stem in stems
        for member in vars(importlib.import_module(f"conformance.checks.{stem}")).values()
        if isinstance(declared := getattr(member, "__dict__", {}).get("check"), Check)
    ]
    return tuple(sorted(found, key=order))


def selection(only: Sequence[str], phase: str) -> set[str]:
    """Return the ids that `only` (ids and areas) selects among those that have a check and exist in `phase`.

    Raises UsageError for a selector that selects nothing.
    """
    rules = spec.requirements()
    having = {one.id for one in catalogue()}
    chosen = having if not only else set()
    for selector in only:
        matches = {one for one in having if selector in (one, one.partition("-")[0])}
        if not matches:
            raise UsageError(_nothing(selector, rules))
        chosen |= matches
    there = {one for one in chosen if one == TABLE or spec.exists(rules[one].since, phase)}
    for selector in only:
        if not any(selector in (one, one.partition("-")[0]) for one in there):
            message = f"{selector!r} selects nothing that exists in phase {phase}"
            raise UsageError(message)
    return there


def _nothing(selector: str, rules: dict[str, spec.Requirement]) -> str:
    rule = rules.get(selector)
    if rule is None:
        areas = ", ".join(dict.fromkeys(one.area for one in rules.values()))
        return f"{selector!r} is neither the id of a requirement nor an area; the areas are {areas}"
    if rule.check_reason:
        return f"{selector} has no check: {rule.check_reason}"
    return f"{selector} is a rule for the role {' and '.join(rule.roles)} and has no check for a relay"
