"""One run of the benchmark, from the first process to the report.

Rules of this file: whatever is compared is measured in the same run, in turns; the figures of batches
are their medians. A table has to come back exactly; memory has to stop growing, see MEMORY_TOLERANCE.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

from bench import core, process, scenario
from bench.clients import Client, Crowd
from bench.process import Measured
from bench.report import Report, Row, Verdict
from bench.scenario import Batch, Registering, Size
from reference.endpoint import EndpointLimits

MEMORY_TOLERANCE = 0.05
"""How much larger a relay may be after the second crowd than after the first, as a part of it.

The first crowd makes it grow once: Python keeps what it took from the system for the next objects.
"""

MICRO = 1e6
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
        size, told = self.size, self._step("calls", self.size.calls)
        many_pairs, few_pairs = scenario.pairs(everybody), scenario.pairs(few)
        for _ in range(size.batches):
            chosen = islice(many_pairs, size.batch)
            found.crowd.append(await scenario.calls(self.crowd, chosen, size.datagrams))
            chosen = islice(few_pairs, size.batch)
            found.quiet.append(await scenario.calls(self.quiet, chosen, size.datagrams))
            plain = await scenario.plain_calls(self.sockets, self.floor, size.batch, size.datagrams)
            found.floor.append(plain)
            told(size.batch)

    async def _go(self, clients: list[Client], found: Found) -> None:
        """Let the crowd go, and note what stays behind."""
        await scenario.leave(clients, self._step("leaving", len(clients)))
        tables = await self._at_rest(found.rests[0].tables)
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
    report = Report(_setting(size))
    _rows(report, found, size)
    _core_rows(report, size)
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
    per_call, per_datagram = (
        {name: MICRO * median(getattr(batch, cost) for batch in getattr(found, name)) for name in PROCESSES}
        for cost in ("per_call", "per_datagram")
    )
    set_up = {name: median(t for batch in getattr(found, name) for t in batch.set_up) for name in PROCESSES}
    plain = per_call["floor"]
    grown = found.full - found.rests[0].memory
    many, few = f"{size.many:,}", f"{size.few} registered"
    registered = registering.cpu / registering.clients * MICRO
    report.rows += [
        Row("registrations", registering.clients / registering.seconds, "/s"),
        Row("relay CPU per registration", registered, "µs", "half of two plain connections", plain / 2),
        Row("calls set up", 1 / set_up["crowd"], "/s", "two plain connections", 1 / set_up["floor"]),
        Row("relay CPU per call", per_call["crowd"], "µs", "two plain connections", plain),
        Row(f"relay CPU per call at {many}", per_call["crowd"], "µs", few, per_call["quiet"]),
        Row("relay CPU per datagram", per_datagram["crowd"], "µs", "plain forwarding", per_datagram["floor"]),
        Row(f"relay CPU per datagram at {many}", per_datagram["crowd"], "µs", few, per_datagram["quiet"]),
        Row("relay CPU per idle client", MICRO * found.idle, "µs/s"),
        Row("relay memory per client", grown / registering.clients / 1024, "KiB"),
    ]


PROCESSES = ("crowd", "quiet", "floor")


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
    before, first, second = found.rests
    for name, rest in (("first", first), ("second", second)):
        wrong = {table: value for table, value in rest.tables.items() if value != before.tables.get(table)}
        evidence = f"differ: {wrong}" if wrong else f"{len(rest.tables)} tables as before"
        report.verdicts.append(Verdict(f"tables after the {name} crowd", not wrong, evidence))
    growth = second.memory / first.memory - 1
    mebibytes = ", ".join(f"{size / _MEBIBYTE:.1f}" for size in (before.memory, found.full, first.memory))
    evidence = (
        f"{mebibytes}, {second.memory / _MEBIBYTE:.1f} MiB (few, full, few again, after a second crowd); "
        f"{growth:+.1%} from crowd to crowd, at most {MEMORY_TOLERANCE:.0%}"
    )
    report.verdicts.append(Verdict("memory", growth <= MEMORY_TOLERANCE, evidence))
