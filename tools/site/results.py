"""Results: the page of what the suite says of the reference, from the record of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.verdicts import Verdict
from tools.recording.made import load, said
from tools.recording.verdicts import FILE

Run = Mapping[str, Any]
PAGE = """# What the suite says of the reference

{made}

Each row is one run of the [suite](../how-to/judge-your-relay.md) on the reference relay or client of that phase, with everything that the suite has for it.
A phase has the requirements of all older ones too.
*Checks* are more than requirements, because some of these are seen from several sides.

{table}

## What has no verdict

A requirement that is of the other role, or younger than the phase, is not asked.
These were to be asked, and were not judged:

{notable}

Why a requirement cannot be seen from outside, and what takes the place of a check, is told in [the limits of the suite](../how-to/limits-of-the-suite.md).
That each check can fail is shown by [the kill table](kills.md).

## Sentence by sentence

The suite's own reports on the newest phase, with every sentence of the specification beside its verdict: [the relay](report-relay.html), [the client](report-client.html).
Any other phase is judged so again:

```sh
python -m conformance run --role relay --phase {newest} --target ref: --out out/mine
```
"""


def pages() -> dict[str, str | bytes]:
    """Return the page by its path in the tree; raises RecordError without the record."""
    record = load(FILE)
    runs: Sequence[Run] = record["runs"]
    return {
        "results/verdicts.md": PAGE.format(
            made=said(record["made"]),
            table="\n".join(_table(runs)),
            notable="\n".join(_notable(runs)),
            newest=runs[-1]["phase"],
        )
    }


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
