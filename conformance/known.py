"""Known failures: what an implementer has accepted for now, strict and per check.

    [CALL-9]
    reason = "ringing for ever is what our users want"
    cause = "waited for Hangup"          # a regular expression that the failure has to match
    flaky = true                         # optional: it passes some times

An entry is stale when its check is gone, fails differently, or passes; one that is flaky may pass. A check
that failed some times, and not each time, fails differently from what an entry says that is not flaky.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.verdicts import RED, Outcome, UsageError, times


@dataclass(frozen=True, slots=True)
class Known:
    """One accepted failure."""

    id: str
    reason: str
    cause: re.Pattern[str]
    flaky: bool = False


def read(path: Path | None, existing: frozenset[str]) -> dict[str, Known]:
    """Return the entries of a file by id; raises UsageError for a file or entry that makes no sense.

    `existing` are the ids that have a check; an entry for another one is kept, and found stale.
    """
    del existing
    if path is None:
        return {}
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        message = f"the known failures cannot be read: {path}: {error.strerror}"
        raise UsageError(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"the known failures are no TOML: {path}: {error}"
        raise UsageError(message) from None


def parse(entries: Mapping[str, object]) -> dict[str, Known]:
    """Return the entries by id; raises UsageError for one that makes no sense."""
    return {name: _entry(name, entry) for name, entry in entries.items()}


def _entry(name: str, entry: object) -> Known:
    if not isinstance(entry, Mapping) or set(entry) - {"flaky"} != {"reason", "cause"}:
        message = f"the known failure {name} needs a table with `reason`, `cause` and at most `flaky`"
        raise UsageError(message)
    if not all(isinstance(entry[one], str) and entry[one] for one in ("reason", "cause")):
        message = f"the reason and the cause of the known failure {name} are texts that are not empty"
        raise UsageError(message)
    flaky = entry.get("flaky", False)
    if not isinstance(flaky, bool):
        message = f"`flaky` of the known failure {name} is true or false, and not {flaky!r}"
        raise UsageError(message)
    try:
        return Known(name, entry["reason"], re.compile(entry["cause"]), flaky)
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
            sentences += _stale(entry, [one for one in outcomes if one.id == name])
    return sentences


def _stale(entry: Known, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield at most one sentence: why what an entry says of its check is not what was seen."""
    red = [one for one in outcomes if one.verdict in RED]
    causes = [cause for one in red for cause in (one.causes or (one.message,))]
    different = [one for one in causes if entry.cause.search(one) is None]
    unsteady = [one for one in red if one.flaky]
    if not red:
        if outcomes and not entry.flaky:
            yield f"{entry.id} passes now"
    elif different:
        yield f"{entry.id} fails differently: {different[0]}"
    elif unsteady and not entry.flaky:
        often = times(unsteady[0].failed, unsteady[0].performed)
        yield f"{entry.id} fails differently: it {often}, and only an entry with `flaky = true` covers that"
