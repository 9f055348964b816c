"""Soak: `python -m bench.soak --seconds 600`, or `make soak`.

Two linked relays carry all the calls that this machine lets so many people make, while others register and
leave and the link is cut and mended. In the end every table has to be what it was, every counter explained
(bench/accounts.py) and memory flat; exit status 0 then, 1 otherwise or when the load cannot be made.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import counters, process, scenario
from bench.accounts import Account, balanced
from bench.clients import Crowd, StepError
from bench.load import PATIENCE, Couple, Load, Way
from bench.pair import pair
from bench.process import ROOT, BenchError, Measured
from bench.report import Verdict
from tools.processes import ProcessError

GROWTH, SPARE = 0.03, 1_048_576
"""How much larger a relay may be in the last quarter than in the third: a part of it, and so many bytes."""
IDLE_TIMEOUT, KEEP_ALIVE = 4.0, 1.5
"""Seconds after which relays know that their link has been cut, and how often they say that it has not."""
OPTIONS = (
    *("--idle-timeout", str(IDLE_TIMEOUT), "--keep-alive", str(KEEP_ALIVE)),
    *("--max-offers", "100000", "--offers-per-second", "100000"),
)
CUT = IDLE_TIMEOUT + 2.0
"""Seconds for which the link is cut."""
FIRST_CUT, BETWEEN_CUTS, RECOVERY = 4.0, 60.0, 9.0
"""Seconds before the first cut, from one to the next, and without one in the end."""
LINES = 60
"""Lines of progress at most; samples are taken every second."""
SLACK = 60.0 + PATIENCE
"""Seconds that a run may take longer, for coming, leaving and what is still on."""
MEBIBYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment: seconds; calls, datagrams and registrations so far; of north and south the memory in bytes.

    `cpu` has the seconds on a processor so far: of north, of south and of all clients.
    """

    at: float
    calls: int
    datagrams: int
    registrations: int
    memory: tuple[int, int]
    cpu: tuple[float, ...]
    up: bool


@dataclass(slots=True)
class Soaked:
    """What a run has found."""

    samples: list[Sample]
    accounts: list[Account]
    verdicts: list[Verdict]

    @property
    def holds(self) -> bool:
        """Tell whether everything does."""
        return all(one.holds for one in self.accounts) and all(one.holds for one in self.verdicts)


async def soaked(
    seconds: float, couples: int, idle: int, out: Path, told: Callable[[Sample], None]
) -> Soaked:
    """Run the load for so long and judge what it leaves; raises BenchError, StepError and ProcessError."""
    process.require_proc()
    async with AsyncExitStack() as stack:
        two = await stack.enter_async_context(pair(out, OPTIONS, cut=True))
        relays = two.north, two.south
        before = [await relay.tables() for relay in relays]
        sockets = await Crowd.open(process.LOOPBACK, scenario.RARELY)
        stack.push_async_callback(sockets.close)
        load = Load(two, sockets, Way(two))
        samples = await _run(load, seconds, await load.gather(couples, idle), told)
        await scenario.leave(load.people, lambda _: None)
        verdicts = [await _rest(*both) for both in zip(relays, before, strict=True)]
        accounts: list[Account] = []
        for relay in relays:
            logged = _logged(two.logs[relay.name])
            accounts += balanced(relay.name, await counters.counted(relay), logged, load.story)
    for at, relay in enumerate(relays):
        verdicts.append(flat(relay.name, [one.memory[at] for one in samples]))
    ends = ", ".join(load.failures) or f"{samples[-1].calls:,} ended as people or cuts wanted it"
    verdicts.append(Verdict("calls", not load.failures, ends))
    return Soaked(samples, accounts, verdicts)


async def _run(
    load: Load, seconds: float, couples: Sequence[Couple], told: Callable[[Sample], None]
) -> list[Sample]:
    """Let everybody do what they do, and take a sample every second."""
    relays = load.two.north, load.two.south
    began, idle = time.monotonic(), _cpu(relays)
    work = [asyncio.ensure_future(couple.work()) for couple in couples]
    work += [asyncio.ensure_future(load.come_and_go(relay)) for relay in relays]
    cuts = asyncio.ensure_future(_cuts(load.way, seconds))
    samples: list[Sample] = []
    step = max(1, math.ceil(seconds / LINES))
    while (at := time.monotonic() - began) < seconds and not load.failures:
        samples.append(_sample(load, at, _cpu(relays), idle))
        if len(samples) > step and len(samples) % step == 0:
            told(samples[-1])
        await asyncio.sleep(1)
    load.over = True
    cuts.cancel()
    load.way.mend()
    await asyncio.gather(*work)
    samples.append(_sample(load, time.monotonic() - began, _cpu(relays), idle))
    told(samples[-1])
    return samples


async def _cuts(way: Way, seconds: float) -> None:
    """Cut the link now and then, the last time so early that it is up again in the end."""
    at = FIRST_CUT
    await asyncio.sleep(FIRST_CUT)
    while at + CUT + RECOVERY <= seconds:
        way.cut()
        await asyncio.sleep(CUT)
        way.mend()
        at += BETWEEN_CUTS
        await asyncio.sleep(BETWEEN_CUTS - CUT)


def _cpu(relays: Sequence[Measured]) -> tuple[float, ...]:
    return (*(relay.cpu() for relay in relays), time.process_time())


def _sample(load: Load, at: float, cpu: Sequence[float], before: Sequence[float]) -> Sample:
    tallies = load.calls.values()
    return Sample(
        at,
        sum(one.certain + one.touched for one in tallies),
        sum(one.heard_by_caller + one.heard_by_callee for one in tallies),
        load.registrations.total(),
        (load.two.north.memory(), load.two.south.memory()),
        tuple(now - then for now, then in zip(cpu, before, strict=True)),
        load.way.up,
    )


async def _rest(relay: Measured, before: dict[str, int]) -> Verdict:
    """Tell whether the tables of a relay are what they were before anybody came."""
    tables = await scenario.settled(relay, before)
    wrong = {name: value for name, value in tables.items() if value != before.get(name)}
    same = bool(tables) and tables == before
    return Verdict(
        f"tables of {relay.name}", same, f"{len(tables)} as before" if same else f"differ: {wrong}"
    )


def flat(relay: str, memory: Sequence[int]) -> Verdict:
    """Tell whether the memory of a relay stopped growing, from samples in bytes at equal distances."""
    last = max(1, len(memory) // 4)
    third, fourth = median(memory[-2 * last : -last] or memory), median(memory[-last:])
    allowed = third * (1 + GROWTH) + SPARE
    sizes = " to ".join(f"{size / MEBIBYTE:.1f}" for size in (memory[0], third, fourth))
    evidence = f"{sizes} MiB at first and in the last two quarters, at most {allowed / MEBIBYTE:.1f}"
    return Verdict(f"memory of {relay}", fourth <= allowed, evidence)


def _logged(log: Path) -> dict[str, int]:
    """Count the events of a relay's log."""
    with log.open(encoding="utf-8") as lines:
        return Counter(json.loads(line)["event"] for line in lines)


def _show(found: Soaked, console: Console) -> None:
    """Print the accounts and the verdicts."""
    columns = ("relay", "counter", "counted", "explained", "by")
    table = Table(*columns, title="accounts")
    for column in (2, 3):
        table.columns[column].justify = "right"
    for one in found.accounts:
        span = f"{one.least:,}" if one.least == one.most else f"{one.least:,} to {one.most:,}"
        mark = "" if one.holds else " FAILED"
        table.add_row(one.relay, one.what, f"{one.counted:,}", f"{span}{mark}", one.because)
    console.print(table)
    for verdict in found.verdicts:
        console.print(f"{'ok    ' if verdict.holds else 'FAILED'} {verdict.name}: {verdict.evidence}")


def main(
    seconds: Annotated[float, typer.Option(min=1, help="how long")] = 600.0,
    couples: Annotated[int, typer.Option(min=1, help="who call each other, for each pair of relays")] = 8,
    idle: Annotated[int, typer.Option(min=1, help="people at each relay who only listen")] = 50,
    out: Annotated[Path, typer.Option(help="folder for the results and the logs")] = ROOT / "out" / "soak",
) -> None:
    """Load two linked relays as far as this machine goes, and explain what they counted."""
    console = Console(stderr=True)
    page = Console(width=None if console.is_terminal else 130)
    before = Sample(0, 0, 0, 0, (0, 0), (0, 0, 0), up=True)

    def told(sample: Sample) -> None:
        nonlocal before
        page.print(_line(sample, before))
        before = sample

    try:
        found = asyncio.run(asyncio.wait_for(soaked(seconds, couples, idle, out, told), seconds + SLACK))
    except (BenchError, StepError, ProcessError, TimeoutError) as error:
        console.print(f"soak: {str(error) or 'it does not end'}", style="red", markup=False)
        raise typer.Exit(1) from error
    _show(found, page)
    (out / "results.json").write_text(f"{json.dumps(asdict(found), indent=2)}\n", encoding="utf-8")
    if not found.holds:
        raise typer.Exit(1)


def _line(sample: Sample, before: Sample) -> str:
    """Return one line of progress: what was done since the line before."""
    span = sample.at - before.at or 1.0
    rates = f"{(sample.calls - before.calls) / span:5.1f} calls/s, "
    rates += f"{(sample.datagrams - before.datagrams) / span:6.0f} datagrams/s, "
    rates += f"{(sample.registrations - before.registrations) / span:5.1f} registrations/s"
    memory = " and ".join(f"{size / MEBIBYTE:.1f}" for size in sample.memory)
    cpu = ", ".join(f"{(now - then) / span:.0%}" for now, then in zip(sample.cpu, before.cpu, strict=True))
    link = "up" if sample.up else "down"
    return f"{sample.at:5.0f} s  {rates}; link {link}; {memory} MiB; processor {cpu}"


if __name__ == "__main__":
    typer.run(main)
