"""Trace: from every requirement to the code that cites it, its check, and the mutant that proves it.

The code and the project's own tests are searched as text and only where they exist: the suite runs
without them, and then these columns are empty.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from conformance import spec
from conformance.checking import SWEEPING, everything
from conformance.verdicts import UsageError

_ROOT = Path(__file__).resolve().parent.parent
_LISTING = 60.0


@dataclass(frozen=True, slots=True)
class Mutant:
    """One implementation with one rule broken, as the project's mutants list it."""

    id: str
    rule: str
    title: str
    collateral: frozenset[str]
    kind: str
    phase: str = spec.NEWEST
    """The phase in which the broken rule shows."""


@dataclass
class Row:
    """What belongs to one requirement."""

    rule: spec.Requirement
    code: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    mutants: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def has_mutants() -> bool:
    """Tell whether the project's mutants are here."""
    return (_ROOT / "tests" / "mutants" / "__main__.py").is_file()


@cache
def mutants() -> tuple[Mutant, ...]:
    """Return the project's mutants; raises UsageError when they cannot be listed."""
    return tuple(_mutant(entry) for entry in _listed("--list"))


@cache
def _listed(option: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return what the project's mutants say when they are asked so; raises UsageError when they do not."""
    command = [sys.executable, "-m", "tests.mutants", option]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=_ROOT, capture_output=True, text=True, timeout=_LISTING, check=False
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        message = f"the mutants cannot be listed with `python -m tests.mutants {option}`: {error}"
        raise UsageError(message) from None


def known_mutant(target: str, role: str) -> None:
    """Raise UsageError for a target that is a mutant and none of those that are here."""
    kind, _, name = target.partition(":")
    if kind == "mutant" and has_mutants() and name not in _listed("--names")[role]:
        message = f"no mutant of a {role} is called {name!r}; `trace` shows them all"
        raise UsageError(message)


def _mutant(entry: Mapping[str, Any]) -> Mutant:
    name = str(entry["id"])
    rule = re.match(r"[A-Z]+-\d+", name)
    return Mutant(
        name,
        str(entry.get("rule") or (rule[0] if rule else name)),
        str(entry["title"]),
        frozenset(map(str, entry.get("collateral", ()))),
        str(entry.get("kind", "relay")),
        str(entry.get("phase") or spec.NEWEST),
    )


def rows() -> list[Row]:
    """Return a row for every requirement, with what it misses."""
    table = {name: Row(rule) for name, rule in spec.requirements().items()}
    has_code = (_ROOT / "reference").is_dir()
    for name, place in cited("reference"):
        if name in table:
            table[name].code.append(place)
    checks = everything()
    for check in checks:
        if check.id in table:
            table[check.id].checks.append(check.name)
    listed = mutants() if has_mutants() else ()
    for mutant in listed:
        if mutant.rule in table:
            table[mutant.rule].mutants.append(f"{mutant.kind}:{mutant.id}")
    judged = {(one.id, one.role) for one in checks}
    broken = {(one.rule, one.kind) for one in listed}
    for row in table.values():
        row.missing = list(_missing(row, judged, broken if listed else None, has_code=has_code))
    return list(table.values())


def _missing(
    row: Row,
    judged: Collection[tuple[str, str]],
    broken: Collection[tuple[str, str]] | None,
    *,
    has_code: bool,
) -> Iterator[str]:
    """Yield what a requirement misses: code, and for each of its roles a check and a mutant."""
    if row.rule.level == "MAY":
        return
    if has_code and not row.code:
        yield "code"
    if row.rule.check_reason:
        return
    for role in row.rule.roles:
        if (row.rule.id, role) not in judged:
            yield f"check of a {role}"
        if broken is not None and (row.rule.id, role) not in broken:
            yield f"mutant of a {role}"


def unknown() -> list[str]:
    """Return a sentence for every id that is cited somewhere and does not exist."""
    having = {*spec.requirements(), *SWEEPING}
    faults = [
        f"{place} cites {name}, which does not exist"
        for folder in ("reference", "conformance", "schemas", "tests", "docs")
        for name, place in cited(folder)
        if name not in having
    ]
    faults += [
        f"the check {one.name} judges {one.id}, which does not exist"
        for one in everything()
        if one.id not in having
    ]
    return faults


def cited(folder: str) -> Iterator[tuple[str, str]]:
    """Yield every id that the files of a folder cite, with its place."""
    areas = "|".join(dict.fromkeys(one.area for one in spec.requirements().values()))
    pattern = re.compile(rf"\b(?:{areas})-\d+\b")
    for path in sorted((_ROOT / folder).rglob("*")):
        if path.suffix not in (".py", ".md", ".json") or "_spec" in path.parts:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for name in dict.fromkeys(pattern.findall(line)):
                yield name, f"{path.relative_to(_ROOT).as_posix()}:{number}"
