"""Verdicts: what the suite says of the reference at every phase and in both roles, as one small record.

Rules of this file: every number is that of a run of the suite as anybody starts it; a run that did not get
to its end is no run. What was not judged is kept with the suite's own reason.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import schemas
from conformance.verdicts import Exit
from tools.processes import ROOT
from tools.recording.made import Record, RecordError, load, made, write

FILE = ROOT / "docs" / "results" / "verdicts.json"
OUT = ROOT / "out" / "record" / "verdicts"
ROLES = ("relay", "client")
COMMAND = "python -m tools.record verdicts"
LIMIT = 900.0
"""Seconds that one run may take."""


def judged(role: str, phase: str) -> Record:
    """Let the suite judge the reference; return the summary of that; raises RecordError without results."""
    folder = _folder(role, phase)
    words = ["run", "--role", role, "--phase", phase, "--target", "ref:", "--out", str(folder)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "conformance", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RecordError(f"{role}, phase {phase}: the suite was not done after {LIMIT:.0f} s") from None
    if done.returncode not in {Exit.PASSED, Exit.FAILED}:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise RecordError(f"{role}, phase {phase}: status {done.returncode}: {last[-1] if last else ''}")
    return summary(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def summary(results: Mapping[str, Any]) -> Record:
    """Return what is kept of the results of a run; raises RecordError when it was not complete."""
    if not results["complete"]:
        raise RecordError(f"{results['role']}, phase {results['phase']}: the run is not complete")
    others = Counter(one["because"] for one in results["unjudged"])
    return {
        "role": results["role"],
        "phase": results["phase"],
        "spec": results["spec"],
        "checks": sum(len(one["checks"]) for one in results["requirements"]),
        "seconds": round(results["timing"]["seconds"]),
        "verdicts": dict(sorted(results["summary"].items())),
        "others": dict(sorted(others.items())),
        "notable": [*_notable(results)],
    }


def _notable(results: Mapping[str, Any]) -> list[Record]:
    """Return each requirement of the role and phase without a plain pass, with the suite's reason."""
    found = []
    for one in results["requirements"]:
        if one["verdict"] != "pass":
            why = next(check["message"] for check in one["checks"] if check["verdict"] == one["verdict"])
            found.append({"id": one["id"], "verdict": one["verdict"], "why": why})
    others = (one for one in results["unjudged"] if one["because"] not in {"role", "phase"})
    found += [{"id": one["id"], "verdict": one["because"], "why": one["reason"]} for one in others]
    return found


def record(say: Callable[[str], None], phases: tuple[str, ...] = schemas.PHASES) -> Path:
    """Judge every phase in both roles and write what came of it; return the file."""
    runs = []
    for role in ROLES:
        for phase in phases:
            runs.append(judged(role, phase))
            say(f"{role}, phase {phase}: {runs[-1]['verdicts']} in {runs[-1]['seconds']} s")
    write(FILE, {"made": made(COMMAND), "runs": runs})
    for role in ROLES:
        shutil.copyfile(_folder(role, phases[-1]) / "report.html", report(role))
    return FILE


def report(role: str) -> Path:
    """Return the committed report of the suite on the newest phase of a role."""
    return FILE.with_name(f"report-{role}.html")


def _folder(role: str, phase: str) -> Path:
    return OUT / f"{role}-{phase}"


def faults() -> list[str]:
    """Return a sentence for everything by which the committed record is none of today's phases."""
    try:
        runs = load(FILE)["runs"]
        there = [(one["role"], one["phase"]) for one in runs]
        wanted = [(role, phase) for role in ROLES for phase in schemas.PHASES]
        found = [
            f"{FILE.name} has {there.count(one)} runs of a {one[0]} of phase {one[1]}, not one"
            for one in sorted({*there, *wanted})
            if (there.count(one), one in wanted) != (1, True)
        ]
        lacking = [role for role in ROLES if not report(role).is_file()]
        return found + [f"{report(role).name} is not there" for role in lacking]
    except (RecordError, KeyError, TypeError) as error:
        return [f"{FILE.name} is no record of verdicts: {error!r}"]
