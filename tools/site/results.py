"""Results: the page of what the suite says of the reference, from the record of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.verdicts import Verdict
from tools.chapters import ROOT
from tools.recording.made import load, said
from tools.recording.verdicts import FILE

Run = Mapping[str, Any]
PAGE = ROOT / "docs" / "results" / "verdicts.md"
"""The words, with marks for what stands in the record."""


def pages() -> dict[str, str | bytes]:
    """Return the page by its path in the tree; raises RecordError without the record."""
    record = load(FILE)
    runs: Sequence[Run] = record["runs"]
    text = PAGE.read_text(encoding="utf-8")
    text = text.replace("{{ made }}", said(record["made"])).replace("{{ table }}", "\n".join(_table(runs)))
    return {"results/verdicts.md": text.replace("{{ notable }}", "\n".join(_notable(runs)))}


def _table(runs: Sequence[Run]) -> Iterator[str]:
    there = dict.fromkeys(name for run in runs for name in run["verdicts"])
    verdicts = [name for name in there if name != Verdict.UNSUPPORTED]
    yield f"| role | phase | requirements | {' | '.join(verdicts)} | no verdict | checks |"
    yield f"|---|---|---:|{'---:|' * len(verdicts)}---:|---:|"
    for run in runs:
        counts = [run["verdicts"].get(name, 0) for name in verdicts]
        rest = len([one for one in run["notable"] if one["verdict"] not in verdicts])
        done = f"{run['checks']} in {run['seconds']} s"
        cells = (run["role"], run["phase"], sum(counts) + rest, *counts, rest, done)
        yield f"| {' | '.join(map(str, cells))} |"


def _notable(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a row for each requirement, verdict and reason, with the runs in which it was so."""
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        for one in run["notable"]:
            why = one["why"].replace(f"phase {run['phase']}", "this phase").replace("|", r"\|")
            found.setdefault((one["id"], one["verdict"], why), []).append(run)
    yield "| requirement | verdict | role and phases | why |"
    yield "|---|---|---|---|"
    for (name, verdict, why), where in found.items():
        roles = dict.fromkeys(run["role"] for run in where)
        told = "; ".join(
            f"{role} {', '.join(run['phase'] for run in where if run['role'] == role)}" for role in roles
        )
        yield f"| {name} | {verdict} | {told} | {why} |"
