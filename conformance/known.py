"""Known failures: what an implementer has accepted for now, strict and per check.

    [CALL-9]
    reason = "ringing for ever is what our users want"
    cause = "waited for Hangup"          # a regular expression that the failure has to match

An entry is stale when its check passes, is gone, or fails differently.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.verdicts import RED, Outcome, UsageError


@dataclass(frozen=True, slots=True)
class Known:
    """One accepted failure."""

    id: str
    reason: str
    cause: re.Pattern[str]


def read(path: Path | None, existing: frozenset[str]) -> dict[str, Known]:
    """Return the entries of a file by id; raises UsageError for a file or entry that makes no sense.

    `existing` are the ids that have a check; an entry for another one is kept, and found stale.
    """
    del existing
    if path is None:
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _entry(name, entry) for name, entry in entries.items()}
    except OSError as error:
        message = f"the known failures cannot be read: {path}: {error.strerror}"
        raise UsageError(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the known failures are no TOML: {path}: {error}"
        raise UsageError(message) from None


def _entry(name: str, entry: object) -> Known:
    if not isinstance(entry, Mapping) or set(entry) != {"reason", "cause"}:
        message = f"the known failure {name} needs a table with exactly `reason` and `cause`"
        raise UsageError(message)
    if not all(isinstance(value, str) and value for value in entry.values()):
        message = f"the reason and the cause of the known failure {name} are texts that are not empty"
        raise UsageError(message)
    try:
        return Known(name, entry["reason"], re.compile(entry["cause"]))
    except re.error as error:
        message = f"the cause of the known failure {name} is no regular expression: {error}"
        raise UsageError(message) from None


def stale(
    known: Mapping[str, Known], outcomes: Sequence[Outcome], selected: set[str], having: set[str]
) -> list[str]:
    """Return a sentence for every stale entry; one whose check was not selected is left alone."""
    sentences: list[str] = []
    for name, entry in known.items():
        if name not in having:
            sentences.append(f"{name} has no check any more")
        elif name in selected:
            red = [one for one in outcomes if one.id == name and one.verdict in RED]
            different = [one for one in red if entry.cause.search(one.message) is None]
            if not red and any(one.id == name for one in outcomes):
                sentences.append(f"{name} passes now")
            elif different:
                sentences.append(f"{name} fails differently: {different[0].message}")
    return sentences
