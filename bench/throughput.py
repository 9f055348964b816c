"""Throughput: calls and datagrams a second through one relay, across a link of two, and by the floor.

Rules of this file: many calls are set up at once, then all talk at once, then all hang up; nobody pauses, so
the figures are those of relays and clients together on the same processors. The processor time of a relay is
its own. The three ways take turns, and a ratio is the median of the ratios within a round.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import process, scenario
from bench.clients import Client, Crowd, Plain, exchange
from bench.pair import pair
from bench.process import Measured
from bench.report import Report, Row
from bench.scenario import Size, limited

CONNECTIONS, FORWARDING = "two plain connections", "plain forwarding"


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a round: seconds of the clock, and of each measured process on a processor."""

    seconds: float
    cpu: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What calls at the same time took: to set up and hang up, and to talk."""

    calls: int
    datagrams: int
    set_up: Phase
    talking: Phase
    hung_up: Phase


@dataclass(slots=True)
class Found:
    """The rounds of each way; the relays of a link are the caller's and the callee's, in this order."""

    single: list[Round] = field(default_factory=list)
    linked: list[Round] = field(default_factory=list)
    floor: list[Round] = field(default_factory=list)


async def measured(size: Size, out: Path, told: Callable[[str, int, int], None]) -> Found:
    """Measure the three ways in turns."""
    found = Found()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        single = await enter(process.relay("single", out, *scenario.RELAY_OPTIONS))
        two = await enter(pair(out / "linked", scenario.RELAY_OPTIONS))
        floor = await enter(process.floor(out))
        sockets = await Crowd.open(process.LOOPBACK, scenario.RARELY)
        stack.push_async_callback(sockets.close)
        local = await _couples(sockets, single, single, size.at_once)
        across = await _couples(sockets, two.north, two.south, size.at_once)
        for number in range(-1, size.turns):  # the first turn warms everything up
            by_one = await calls((single,), local, size.talk)
            by_two = await calls((two.north, two.south), across, size.talk)
            plain = await plain_calls(sockets, floor, size.at_once, size.talk)
            if number >= 0:
                found.single.append(by_one)
                found.linked.append(by_two)
                found.floor.append(plain)
                told("links", 1, size.turns)
    return found


async def calls(
    relays: Sequence[Measured], couples: Sequence[tuple[Client, Client]], datagrams: int
) -> Round:
    """Let all couples call, talk and hang up, each step at the same time."""
    set_up = await _timed(relays, "calls", *(one.call(other) for one, other in couples))
    talking = await _timed(relays, "exchanges", *(exchange(*couple, datagrams) for couple in couples))
    hung_up = await _timed(relays, "ends of calls", *(one.hang_up(other) for one, other in couples))
    return Round(len(couples), 2 * datagrams * len(couples), set_up, talking, hung_up)


async def plain_calls(crowd: Crowd, floor: Measured, count: int, datagrams: int) -> Round:
    """Do to the floor what so many calls do to a relay at the least; it pairs up as it likes."""
    parties: list[Plain] = []

    async def connected() -> None:
        parties.extend(Plain(crowd, floor.address) for _ in range(2 * count))
        for party in parties:
            await party.paired()

    async def closed() -> None:
        for party in parties:
            party.close()

    set_up = await _timed((floor,), "connections to the floor", connected())
    couples = zip(parties[::2], parties[1::2], strict=True)
    talking = await _timed((floor,), "exchanges", *(exchange(*couple, datagrams) for couple in couples))
    return Round(count, 2 * datagrams * count, set_up, talking, await _timed((floor,), "closes", closed()))


def rows(report: Report, found: Found) -> None:
    """Report what is done a second, and what one of each costs each relay."""
    caller, callee = (found.linked, 0), (found.linked, 1)
    where = {"one relay": (found.single, 0), "caller's relay of a link": caller, "callee's relay": callee}
    ways = {"one relay": (found.single, 0), "across a link": caller}
    for names, unit, figure, what, peer in (
        (ways, "/s", calls_a_second, "calls a second", CONNECTIONS),
        (ways, "/s", datagrams_a_second, "datagrams a second", FORWARDING),
        (where, "ms", per_call, "CPU per call", CONNECTIONS),
        (where, "µs", per_datagram, "CPU per datagram", FORWARDING),
    ):
        plain = [figure(one, 0) for one in found.floor]
        for name, (rounds, relay) in names.items():
            own = [figure(one, relay) for one in rounds]
            by_round = median(a / b for a, b in zip(own, plain, strict=True))
            report.rows.append(Row(f"{what}, {name}", median(own), unit, peer, median(plain), by_round))


def calls_a_second(one: Round, _relay: int) -> float:
    """Return the whole calls a second, their datagrams apart."""
    return one.calls / (one.set_up.seconds + one.hung_up.seconds)


def datagrams_a_second(one: Round, _relay: int) -> float:
    """Return the datagrams that were heard a second."""
    return one.datagrams / one.talking.seconds


def per_call(one: Round, relay: int) -> float:
    """Return the milliseconds that a measured process spends on one call, its datagrams apart."""
    return 1e3 * (one.set_up.cpu[relay] + one.hung_up.cpu[relay]) / one.calls


def per_datagram(one: Round, relay: int) -> float:
    """Return the microseconds that a measured process spends on one datagram."""
    return 1e6 * one.talking.cpu[relay] / one.datagrams


async def _couples(
    crowd: Crowd, callers: Measured, callees: Measured, count: int
) -> list[tuple[Client, Client]]:
    """Register so many people at each of two relays, which may be one."""
    here, _ = await scenario.register(crowd, callers, count, lambda _: None)
    there, _ = await scenario.register(crowd, callees, count, lambda _: None)
    return list(zip(here, there, strict=True))


async def _timed(relays: Sequence[Measured], what: str, *work: Awaitable[None]) -> Phase:
    """Do everything at the same time, and return what it took."""
    began, cpu = time.monotonic(), [relay.cpu() for relay in relays]
    await limited(asyncio.gather(*work), what)
    spent = tuple(relay.cpu() - before for relay, before in zip(relays, cpu, strict=True))
    return Phase(time.monotonic() - began, spent)
