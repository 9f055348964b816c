"""One run of the benchmark, from the first process to the report.

Rules of this file: whatever is compared is measured in the same run, in turns; the figures of batches
are their medians, and a ratio is the median of the ratios within a batch. A table has to come back
exactly; memory has to stop growing, see MEMORY_TOLERANCE.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from bench import core, dialogues, paths, process, scenario, throughput
from bench.clients import Client, Crowd
from bench.process import Measured
from bench.report import Report, Row, Verdict
from bench.scenario import Batch, Registering, Size
from reference.endpoint import EndpointLimits

MEMORY_TOLERANCE = 0.03
"""How much larger a relay may be after the last crowd than after the one before, as a part of it.

The first crowds make it grow: what Python and the C library took from the system they keep for the next
objects, with holes that fill better every time. A leak would grow by the same amount with each crowd.
"""

MICRO = 1e6
GIVEN_BACK = 4.0
"""Seconds after which a relay whose crowd has gone has given its memory back."""
_MEBIBYTE = 1_048_576

Told = Callable[[str, int, int], None]
"""Hears the progress: a step, how much more of it is done, how much there is of it."""


@dataclass(slots=True)
class Rest:
    """A relay at rest: its tables and its memory in bytes."""

    tables: dict[str, int]
    memory: int


@dataclass(slots=True)
class Found:
    """What a run has measured so far."""

    registering: Registering
    crowd: list[Batch] = field(default_factory=list)
    quiet: list[Batch] = field(default_factory=list)
    floor: list[Batch] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)
    full: int = 0
    idle: float = 0.0


@dataclass(slots=True)
class Bench:
    """The three processes and the sockets of one run."""

    size: Size
    told: Told
    sockets: Crowd
    crowd: Measured
    quiet: Measured
    floor: Measured

    async def run(self) -> Found:
        """Measure everything that takes clients."""
        regulars, _ = await scenario.register(self.sockets, self.crowd, self.size.few, self._step("clients"))
        few, _ = await scenario.register(self.sockets, self.quiet, self.size.few, self._step("clients"))
        await self._warm_up(regulars, few)
        rests = [Rest(await self.crowd.tables(), self.crowd.memory())]
        others, registering = await self._come()
        found = Found(registering, rests=rests)
        await self._batches(found, [*regulars, *others], few)
        found.full = self.crowd.memory()
        await self._go(others, found)
        for _ in range(1, self.size.crowds):
            others, _ = await self._come()
            again = islice(scenario.pairs(others), self.size.batch)
            await scenario.calls(self.crowd, again, self.size.datagrams)
            await self._go(others, found)
        return found

    async def _warm_up(self, regulars: list[Client], few: list[Client]) -> None:
        """Let every process do its work once before it is measured."""
        for relay, clients in ((self.crowd, regulars), (self.quiet, few)):
            pairs = islice(scenario.pairs(clients), self.size.batch)
            await scenario.calls(relay, pairs, self.size.datagrams)
        await scenario.plain_calls(self.sockets, self.floor, self.size.batch, self.size.datagrams)
        await self._at_rest(await self.crowd.tables())

    async def _come(self) -> tuple[list[Client], Registering]:
        count = self.size.many - self.size.few
        return await scenario.register(self.sockets, self.crowd, count, self._step("clients", count))

    async def _batches(self, found: Found, everybody: list[Client], few: list[Client]) -> None:
        """Place the calls of the first crowd; beside it, half as many with each peer."""
        size, told = self.size, self._step("calls", self.size.calls)
        half = max(1, size.batch // 2)
        many_pairs, few_pairs = scenario.pairs(everybody), scenario.pairs(few)
        for _ in range(size.batches):
            chosen = islice(many_pairs, size.batch)
            found.crowd.append(await scenario.calls(self.crowd, chosen, size.datagrams))
            chosen = islice(few_pairs, half)
            found.quiet.append(await scenario.calls(self.quiet, chosen, size.datagrams))
            plain = await scenario.plain_calls(self.sockets, self.floor, half, size.datagrams)
            found.floor.append(plain)
            told(size.batch)

    async def _go(self, clients: list[Client], found: Found) -> None:
        """Let the crowd go, and note what stays behind."""
        await scenario.leave(clients, self._step("leaving", len(clients)))
        tables = await self._at_rest(found.rests[0].tables)
        await asyncio.sleep(GIVEN_BACK)
        found.rests.append(Rest(tables, self.crowd.memory()))

    async def _at_rest(self, wanted: dict[str, int]) -> dict[str, int]:
        return await scenario.settled(self.crowd, wanted)

    def _step(self, name: str, total: int = 0) -> Callable[[int], None]:
        return lambda done: self.told(name, done, total)


async def measured(size: Size, out: Path, told: Told) -> Report:
    """Run everything and report; raises BenchError or StepError."""
    process.require_proc()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        crowd = await enter(process.relay("crowd", out, *scenario.RELAY_OPTIONS))
        quiet = await enter(process.relay("quiet", out, *scenario.RELAY_OPTIONS))
        floor = await enter(process.floor(out))
        sockets = await Crowd.open(process.LOOPBACK, scenario.RARELY)
        stack.push_async_callback(sockets.close)
        found = await Bench(size, told, sockets, crowd, quiet, floor).run()
    found.idle = await _idle(size, out, told)
    through = await throughput.measured(size, out, told)
    times = await paths.measured(size, out, told)
    speed = await dialogues.measured(size, out, told)
    report = Report(_setting(size))
    _rows(report, found, size)
    throughput.rows(report, through)
    _core_rows(report, size)
    paths.rows(report, times)
    dialogues.rows(report, speed, size)
    _verdicts(report, found)
    report.write(out / "results.json")
    return report


async def _idle(size: Size, out: Path, told: Told) -> float:
    """Measure what an idle client costs with everything at its default."""
    async with process.relay("idle", out) as relay:
        sockets = await Crowd.open(process.LOOPBACK, EndpointLimits())
        try:
            clients, _ = await scenario.register(sockets, relay, size.idle_clients, lambda _: None)
            told("idling", 0, 1)
            cost = await scenario.idle(relay, size.idle_seconds, len(clients))
            told("idling", 1, 1)
        finally:
            await sockets.close()
    return cost


def _setting(size: Size) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "size": asdict(size),
    }


def _rows(report: Report, found: Found, size: Size) -> None:
    registering = found.registering
    registered = registering.cpu / registering.clients * MICRO
    plain = MICRO * median(batch.per_call for batch in found.floor)
    many, few = f"{size.many:,}", f"{size.few} registered"
    grown = found.full - found.rests[0].memory
    report.rows += [
        Row("registrations", registering.clients / registering.seconds, "/s"),
        Row("relay CPU per registration", registered, "µs", "half of two plain connections", plain / 2),
        _compared("calls set up", "/s", found.crowd, "two plain connections", found.floor, _rate),
        _compared("relay CPU per call", "µs", found.crowd, "two plain connections", found.floor, _call),
        _compared(f"relay CPU per call at {many}", "µs", found.crowd, few, found.quiet, _call),
        _compared("relay CPU per datagram", "µs", found.crowd, "plain forwarding", found.floor, _datagram),
        _compared(f"relay CPU per datagram at {many}", "µs", found.crowd, few, found.quiet, _datagram),
        Row("relay CPU per idle client", MICRO * found.idle, "µs/s"),
        Row("relay memory per client", grown / registering.clients / 1024, "KiB"),
    ]


def _rate(batch: Batch) -> float:
    return 1 / median(batch.set_up)


def _call(batch: Batch) -> float:
    return MICRO * batch.per_call


def _datagram(batch: Batch) -> float:
    return MICRO * batch.per_datagram


def _compared(
    name: str, unit: str, ours: list[Batch], peer: str, theirs: list[Batch], figure: Callable[[Batch], float]
) -> Row:
    """Return the row of a figure that was measured in rounds, one batch of each side in each."""
    own, other = [figure(batch) for batch in ours], [figure(batch) for batch in theirs]
    by_round = median(a / b for a, b in zip(own, other, strict=True))
    return Row(name, median(own), unit, peer, median(other), by_round)


def _core_rows(report: Report, size: Size) -> None:
    seconds = core.measure(size.repetitions)
    whole = seconds["script and call"] - seconds["script of a call"]
    for name, value, peer in (
        ("core: read a Ping", seconds["decode ping"], "ping"),
        ("core: read an offer", seconds["decode offer"], "offer"),
        ("core: write an offer", seconds["encode offer"], "offer"),
        ("core: a whole call, bytes to bytes", whole, "of a call"),
    ):
        loads = f"json.loads {peer}"
        report.rows.append(Row(name, MICRO * value, "µs", loads, MICRO * seconds[loads]))


def _verdicts(report: Report, found: Found) -> None:
    before, *after = found.rests
    for number, rest in enumerate(after, 1):
        wrong = {table: value for table, value in rest.tables.items() if value != before.tables.get(table)}
        same = bool(rest.tables) and not wrong and rest.tables.keys() == before.tables.keys()
        evidence = f"{len(rest.tables)} tables as before" if same else f"differ: {wrong}"
        report.verdicts.append(Verdict(f"tables after crowd {number}", same, evidence))
    growth = after[-1].memory / after[-2].memory - 1
    sizes = ", ".join(f"{rest.memory / _MEBIBYTE:.1f}" for rest in after)
    evidence = (
        f"{before.memory / _MEBIBYTE:.1f} MiB before, {found.full / _MEBIBYTE:.1f} full, {sizes} after each "
        f"crowd: {growth:+.1%} in the end, at most {MEMORY_TOLERANCE:.0%}"
    )
    report.verdicts.append(Verdict("memory", growth <= MEMORY_TOLERANCE, evidence))
