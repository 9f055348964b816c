"""The report: rows with a value, a named peer and their ratio; a table for people, JSON for machines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; `by_round` is the median of the rounds' ratios, where there were rounds.

    Where `value` is the median of single measurements, `spread` has the least, the 90th percentile and the
    greatest of them.
    """

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    by_round: float | None = None
    spread: tuple[float, float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """How many times its peer it is."""
        if self.by_round is not None:
            return self.by_round
        return self.value / self.peer_value if self.peer_value else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Something that has to hold, and whether it does."""

    name: str
    holds: bool
    evidence: str


@dataclass(slots=True)
class Report:
    """Everything that one run found."""

    setting: dict[str, object]
    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Tell whether every verdict holds."""
        return all(verdict.holds for verdict in self.verdicts)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        rows = [asdict(row) | {"ratio": row.ratio} for row in self.rows]
        verdicts = [asdict(verdict) for verdict in self.verdicts]
        whole = {"setting": self.setting, "rows": rows, "verdicts": verdicts}
        path.write_text(f"{json.dumps(whole, indent=2)}\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the rows and the verdicts."""
        columns = ("what", "", "min / p90 / max", "peer in the same run", "", "ratio")
        table = Table(*columns, title="one run on this machine")
        for column in (1, 2, 4, 5):
            table.columns[column].justify = "right"
        for row in self.rows:
            peer_value = "" if row.peer_value is None else f"{row.peer_value:,.4g} {row.unit}"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            spread = "" if row.spread is None else " / ".join(f"{value:,.4g}" for value in row.spread)
            table.add_row(row.name, f"{row.value:,.4g} {row.unit}", spread, row.peer, peer_value, ratio)
        console.print(table)
        for verdict in self.verdicts:
            console.print(f"{'ok    ' if verdict.holds else 'FAILED'} {verdict.name}: {verdict.evidence}")
