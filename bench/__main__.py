"""Benchmarks: `python -m bench`, or `make bench`.

Starts relays and a plain forwarder on loopback, measures, prints a table and writes out/bench/results.json.
Exit status 0 when nothing leaks and a direct path is quick, 1 otherwise or when a step fails.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench import run
from bench.clients import StepError
from bench.process import ROOT, BenchError
from bench.scenario import FULL, QUICK

LIMIT = 240.0
"""Seconds after which a run is given up; on two free cores it takes about 150."""


class Bars:
    """One bar a step, on standard error."""

    def __init__(self, progress: Progress) -> None:
        """Draw into `progress`."""
        self._progress = progress
        self._bars: dict[str, TaskID] = {}

    def tell(self, step: str, done: int, total: int) -> None:
        """Move the bar of a step; one that is full starts again."""
        bar = self._bars.get(step)
        if bar is None or self._progress.tasks[bar].finished:
            bar = self._bars[step] = self._progress.add_task(step, total=total or None)
        self._progress.advance(bar, done)


def main(
    out: Annotated[Path, typer.Option(help="folder for the results and the logs")] = ROOT / "out" / "bench",
    *,
    quick: Annotated[bool, typer.Option("--quick", help="a small run: does it work at all")] = False,
) -> None:
    """Measure the relay on this machine."""
    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            work = run.measured(QUICK if quick else FULL, out, Bars(progress).tell)
            report = asyncio.run(asyncio.wait_for(work, LIMIT))
    except (BenchError, StepError) as error:
        console.print(f"bench: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    except TimeoutError as error:
        console.print(f"bench: not done within {LIMIT:g} s", style="red")
        raise typer.Exit(1) from error
    report.show(Console(width=None if console.is_terminal else 130))
    if not report.holds:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
