"""Reports: results.json, the only source, and what is made from it.

Everything but `timing` follows from the target's behaviour and the seed: two runs with the same seed
differ there only, as long as the implementation behaves the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from conformance import spec
from conformance.known import Known
from conformance.verdicts import RED, Exit, Outcome, UsageError, Verdict, worst

Results = dict[str, Any]
RESULTS = "results.json"


@dataclass
class Run:
    """What a run was asked for and what became of it."""

    target: str
    phase: str
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    known: Mapping[str, Known] = field(default_factory=dict)
    stale: Sequence[str] = ()
    complete: bool = True
    fault: str = ""
    ready: Mapping[str, Any] = field(default_factory=dict)
    exit_status: Exit = Exit.PASSED
    seconds: float = 0.0


def version() -> str:
    """Return the version of the suite, or `source` when it runs from a tree that is not installed."""
    try:
        return metadata.version("directcall")
    except metadata.PackageNotFoundError:
        return "source"


def build(run: Run) -> Results:
    """Return the results of a run (results.schema.json)."""
    rules = spec.requirements()
    judged: dict[str, list[Outcome]] = {}
    for outcome in run.outcomes:
        judged.setdefault(outcome.id, []).append(outcome)
    entries = [_entry(rules.get(name), name, judged[name], run.known) for name in sorted(judged, key=_place)]
    return {
        "suite": version(),
        "target": run.target,
        "role": "relay",
        "phase": run.phase,
        "seed": run.seed,
        "ready": {
            key: value
            for key, value in run.ready.items()
            if key not in ("addr", "advertise", "tls_fingerprint")
        },
        "complete": run.complete,
        "fault": run.fault,
        "exit_status": int(run.exit_status),
        "summary": {
            str(verdict): count
            for verdict, count in sorted(Counter(one["verdict"] for one in entries).items())
        },
        "stale": list(run.stale),
        "requirements": entries,
        "timing": {
            "seconds": round(run.seconds, 3),
            "checks": {one.name: round(one.seconds, 3) for one in run.outcomes},
        },
    }


def _place(name: str) -> tuple[int, str]:
    order = list(spec.requirements())
    return (order.index(name) if name in order else len(order)), name


def _entry(
    rule: spec.Requirement | None, name: str, outcomes: list[Outcome], known: Mapping[str, Known]
) -> dict[str, Any]:
    verdict = worst([one.verdict for one in outcomes])
    return {
        "id": name,
        "chapter": rule.chapter if rule else "call",
        "level": rule.level if rule else "MUST",
        "since": rule.since if rule else "0",
        "sentence": rule.sentence if rule else "The whole table of a call, cell by cell.",
        "verdict": str(verdict),
        "rests_on": "observed",
        "known": known[name].reason if name in known and verdict in RED else "",
        "checks": [
            {
                "name": one.name,
                "verdict": str(one.verdict),
                "message": one.message,
                "dialogue": [*_untimed(one)],
            }
            for one in outcomes
        ],
    }


def _untimed(outcome: Outcome) -> list[dict[str, Any]]:
    return [{key: step[key] for key in ("who", "direction", "what")} for step in outcome.dialogue]


def schema() -> Results:
    """Return the published schema of results.json."""
    text = resources.files("conformance").joinpath("results.schema.json").read_text(encoding="utf-8")
    parsed: Results = json.loads(text)
    return parsed


def write(results: Results, folder: Path) -> None:
    """Write results.json and junit.xml; raises UsageError when the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
        (folder / RESULTS).write_text(text, encoding="utf-8")
        (folder / "junit.xml").write_text(junit(results), encoding="utf-8")
    except OSError as error:
        message = f"the results cannot be written: {error.filename or folder}: {error.strerror}"
        raise UsageError(message) from None


def load(folder: Path) -> Results:
    """Return the results that a run left in a folder; raises UsageError when there are none."""
    path = folder / RESULTS
    try:
        results: Results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"there are no results: {path}: {error.strerror}"
        raise UsageError(message) from None
    except ValueError as error:
        message = f"{path} holds no results: {error}"
        raise UsageError(message) from None
    return results


_ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.UNTESTABLE: "failure",
    Verdict.BLOCKED: "failure",
    Verdict.ERROR: "error",
    Verdict.UNSUPPORTED: "skipped",
}


def junit(results: Results) -> str:
    """Return the results as JUnit XML: a test suite a chapter, a test case a check."""
    root = ET.Element("testsuites", name=f"conformance of {results['target']}")
    suites: dict[str, ET.Element] = {}
    for rule in results["requirements"]:
        suite = suites.get(rule["chapter"])
        if suite is None:
            suite = suites[rule["chapter"]] = ET.SubElement(root, "testsuite", name=rule["chapter"])
        for one in rule["checks"]:
            seconds = results["timing"]["checks"].get(one["name"], 0)
            case = ET.SubElement(suite, "testcase", classname=rule["id"], name=one["name"], time=str(seconds))
            element = "skipped" if rule["known"] else _ELEMENTS.get(Verdict(one["verdict"]))
            if element is not None:
                ET.SubElement(case, element, message=_printable(f"{one['verdict']}: {one['message']}"))
    for suite in suites.values():
        suite.set("tests", str(len(suite)))
        for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(plural, str(len(suite.findall(f"*/{tag}"))))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    """XML has no way to say a control character."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def badge(results: Results) -> str:
    """Return what a badge service shows, as JSON."""
    required = [one for one in results["requirements"] if one["verdict"] != Verdict.UNSUPPORTED]
    passed = sum(one["verdict"] in (Verdict.PASS, Verdict.WARN) for one in required)
    good = results["exit_status"] == Exit.PASSED and results["complete"]
    shown = {
        "schemaVersion": 1,
        "label": f"DirectCall relay, phase {results['phase']}",
        "message": f"{passed} of {len(required)}",
        "color": "brightgreen" if good else "red",
    }
    return json.dumps(shown) + "\n"
