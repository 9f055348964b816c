"""Reports: results.json, the only source of all others, and the folder that a run leaves.

Rules of this file: everything but `timing` follows from the target's behaviour and the seed, so that two
runs with the same seed differ there only, as long as the implementation behaves the same; a report is
made from the results alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jsonschema

from conformance import formats, page, spec
from conformance.checking import catalogue
from conformance.dialogue import shorten, words
from conformance.known import Known
from conformance.verdicts import RED, Exit, Outcome, UsageError, worst

Results = dict[str, Any]
RESULTS = "results.json"
FORMATS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "html": ("report.html", page.html),
    "summary": ("summary.md", formats.summary),
    "junit": ("junit.xml", formats.junit),
    "badge": ("badge.json", formats.badge),
}
"""The reports: the name of the file, and what makes its text from the results."""
_HIDDEN = ("addr", "advertise", "tls_fingerprint")
"""Members of the ready line that are another one at every start."""
_LONG_COMPLAINT = 300


@dataclass
class Run:
    """What a run was asked for and what became of it.

    `command` are the words after `python -m conformance` that judge the target so again.
    """

    target: str
    phase: str
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    known: Mapping[str, Known] = field(default_factory=dict)
    stale: Sequence[str] = ()
    complete: bool = True
    interrupted: bool = False
    fault: str = ""
    ready: Mapping[str, Any] = field(default_factory=dict)
    exit_status: Exit = Exit.PASSED
    seconds: float = 0.0
    role: str = "relay"
    only: Sequence[str] = ()
    selected: Collection[str] = ()
    command: Sequence[str] = ()


def version() -> str:
    """Return the version of the suite, or `source` when it runs from a tree that is not installed."""
    try:
        return metadata.version("directcall")
    except metadata.PackageNotFoundError:
        return "source"


@cache
def edition() -> str:
    """Return what tells one text of the specification from another: the beginning of its SHA-256."""
    digest = hashlib.sha256()
    for path in sorted(spec.folder().glob("*.md")):
        digest.update(f"{path.name}\n{path.read_text(encoding='utf-8')}".encode())
    return digest.hexdigest()[:12]


def build(run: Run) -> Results:
    """Return the results of a run (results.schema.json)."""
    rules = spec.requirements()
    judged: dict[str, list[Outcome]] = {}
    for outcome in run.outcomes:
        judged.setdefault(outcome.id, []).append(outcome)
    entries = [_entry(rules.get(name), name, judged[name], run) for name in sorted(judged, key=_place)]
    counts = Counter(one["verdict"] for one in entries)
    return {
        "suite": version(),
        "spec": edition(),
        "target": words(run.target),
        "role": run.role,
        "phase": run.phase,
        "phases": [*spec.REACHED],
        "seed": run.seed,
        "only": [*run.only],
        "command": [*map(words, run.command)],
        "ready": shorten({key: value for key, value in run.ready.items() if key not in _HIDDEN}),
        "complete": run.complete,
        "interrupted": run.interrupted,
        "fault": words(run.fault),
        "exit_status": int(run.exit_status),
        "summary": {str(verdict): count for verdict, count in sorted(counts.items())},
        "stale": [*map(words, run.stale)],
        "requirements": entries,
        "unjudged": unjudged(run),
        "timing": {
            "seconds": round(run.seconds, 3),
            "checks": {one.name: round(one.seconds, 3) for one in run.outcomes},
        },
    }


def _place(name: str) -> tuple[int, str]:
    order = list(spec.requirements())
    return (order.index(name) if name in order else len(order)), name


def _sentence(rule: spec.Requirement) -> dict[str, Any]:
    return {
        "id": rule.id,
        "chapter": rule.chapter,
        "roles": [*rule.roles],
        "level": rule.level,
        "since": rule.since,
        "sentence": rule.sentence,
        "why": rule.why,
        "seen": rule.seen,
    }


def _entry(rule: spec.Requirement | None, name: str, outcomes: list[Outcome], run: Run) -> dict[str, Any]:
    verdict = worst([one.verdict for one in outcomes])
    whole = spec.Requirement(
        *(name, "call", (run.role,), "0", "MUST", "The whole table of a call, cell by cell."),
        *("what no sentence names must not happen either.", "a message too many, or one too few.", ""),
    )
    observed = all(one.rests_on == "observed" for one in outcomes)
    return _sentence(rule or whole) | {
        "verdict": str(verdict),
        "rests_on": "observed" if observed else "reported",
        "known": words(run.known[name].reason) if name in run.known and verdict in RED else "",
        "flaky": any(one.flaky for one in outcomes),
        "checks": [*map(_check, outcomes)],
    }


def _check(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "text": " ".join(outcome.text.split()),
        "verdict": str(outcome.verdict),
        "message": words(outcome.message),
        "expected": outcome.expected,
        "received": outcome.received,
        "plan": outcome.plan,
        "step": outcome.step,
        "dialogue": [*_untimed(outcome)],
    } | _optional(outcome)


def _optional(outcome: Outcome) -> dict[str, Any]:
    """Return what only a check that failed can have: how often it did, and what was recorded of it."""
    found: dict[str, Any] = {}
    if outcome.performed > 1:
        found |= {"performed": outcome.performed, "failed": outcome.failed}
    records = {"record": outcome.record, "record_note": outcome.record_note}
    return found | {name: text for name, text in records.items() if text}


def _untimed(outcome: Outcome) -> list[dict[str, Any]]:
    return [{key: value for key, value in step.items() if key != "ms"} for step in outcome.dialogue]


def unjudged(run: Run) -> list[dict[str, Any]]:
    """Return every requirement that has no outcome, and why."""
    having = {one.id for one in catalogue(run.role)}
    judged = {one.id for one in run.outcomes}
    return [_unjudged(rule, run, having) for name, rule in spec.requirements().items() if name not in judged]


def _unjudged(rule: spec.Requirement, run: Run, having: set[str]) -> dict[str, Any]:
    """Return the entry of a requirement without an outcome, with the first reason that holds."""
    if run.role not in rule.roles:
        because = "role"
    elif not spec.exists(rule.since, run.phase):
        because = "phase"
    elif rule.check_reason:
        because = "no check"
    elif rule.id in run.selected:
        because = "not reached"
    else:
        because = "not selected" if rule.id in having else "not written"
    reason = rule.check_reason if because == "no check" else ""
    return _sentence(rule) | {"because": because, "reason": reason}


def schema() -> Results:
    """Return the published schema of results.json."""
    text = resources.files("conformance").joinpath("results.schema.json").read_text(encoding="utf-8")
    parsed: Results = json.loads(text)
    return parsed


def write(results: Results, folder: Path) -> None:
    """Write results.json and every report; raises UsageError when the folder cannot be written."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    _save(folder / RESULTS, text)
    for name, make in FORMATS.values():
        _save(folder / name, make(results))


def remake(kind: str, folder: Path) -> Path:
    """Make one report from the results in a folder; return its file; raises UsageError when it cannot."""
    name, make = FORMATS[kind]
    _save(folder / name, make(load(folder)))
    return folder / name


def _save(path: Path, text: str) -> None:
    """Write a text; half a character, which an implementation may have said, is written as its escape."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        message = f"the results cannot be written: {error.filename or path}: {error.strerror}"
        raise UsageError(message) from None


def load(folder: Path) -> Results:
    """Return the results that a run left in a folder; raises UsageError when there are none."""
    path = folder / RESULTS
    try:
        results: Results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"there are no results: {path}: {error.strerror}"
        raise UsageError(message) from None
    except (ValueError, RecursionError) as error:
        message = f"{path} holds no results: {error}"
        raise UsageError(message) from None
    fault = next(iter(jsonschema.Draft202012Validator(schema()).iter_errors(results)), None)
    if fault is not None:
        said = " ".join(fault.message.split())
        said = said if len(said) <= _LONG_COMPLAINT else f"{said[:_LONG_COMPLAINT]}…"
        message = f"{path} holds no results of this version of the suite, at {fault.json_path}: {said}"
        raise UsageError(message)
    return results
