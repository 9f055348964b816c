"""The scenario: a crowd of registered clients, calls one after another, and the same beside it.

Three processes are measured in one run: `crowd`, a relay with many clients; `quiet`, a relay with few;
`floor`, the plain stack. Their batches alternate, so that what else the machine does falls on all alike.
Connections are kept alive so rarely here that a batch holds no work but its own; what idle clients cost
by default is measured apart.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bench.clients import Client, Crowd, Plain, exchange
from bench.process import BenchError, Measured
from reference.endpoint import EndpointLimits

Step = TypeVar("Step")

RARELY = EndpointLimits(keep_alive=300.0, idle_timeout=600.0)
"""What the clients of a measurement announce."""

RELAY_OPTIONS = (
    *("--keep-alive", "300", "--idle-timeout", "600"),
    # One person places as many calls a second here as a crowd does elsewhere.
    *("--max-offers", "100000", "--offers-per-second", "100000"),
)
AT_ONCE = 32
"""Clients that register at the same time."""

STEP_LIMIT = 10.0
"""Seconds that one step of one client may take; a step that takes longer ends the run."""

_SETTLE_STEPS = 100
_SETTLE_STEP = 0.2


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: clients, calls of the first crowd, datagrams each way in a call, and so on."""

    few: int = 10
    many: int = 1000
    calls: int = 200
    datagrams: int = 50
    batches: int = 10
    crowds: int = 3
    idle_clients: int = 100
    idle_seconds: float = 5.0  # whole periods of the keep-alive
    repetitions: int = 7
    series: int = 5
    rounds: int = 20  # a series, each with a call on either path
    dead_paths: int = 3
    at_once: int = 16  # calls, where it is asked how many go through
    talk: int = 50  # datagrams each way in one of them
    turns: int = 6
    dialogues: int = 1000
    judged: tuple[str, ...] = ()  # areas; none stands for all

    @property
    def batch(self) -> int:
        """Calls in one batch."""
        return self.calls // self.batches


QUICK = Size(
    many=100,
    calls=20,
    datagrams=20,
    batches=2,
    idle_clients=20,
    repetitions=3,
    rounds=10,
    dead_paths=1,
    at_once=4,
    talk=20,
    turns=2,
    dialogues=100,
    judged=("SEC",),
)
FULL = Size()


@dataclass(slots=True)
class Batch:
    """What some calls cost: seconds of the measured process, and of the clock until both talked."""

    calls: int
    datagrams: int
    cpu: float = 0.0
    cpu_talking: float = 0.0
    set_up: list[float] = field(default_factory=list)

    @property
    def per_call(self) -> float:
        """Seconds of processor a call: set up, two joins, the end; its datagrams apart."""
        return (self.cpu - self.cpu_talking) / self.calls

    @property
    def per_datagram(self) -> float:
        """Seconds of processor a forwarded datagram."""
        return self.cpu_talking / (self.calls * 2 * self.datagrams)


@dataclass(frozen=True, slots=True)
class Registering:
    """What registering cost: clients, seconds of the clock, seconds of the relay's processor."""

    clients: int
    seconds: float
    cpu: float


async def limited(step: Awaitable[Step], what: str) -> Step:
    """Wait for one step within STEP_LIMIT; raises BenchError that names it."""
    try:
        return await asyncio.wait_for(step, STEP_LIMIT)
    except TimeoutError as error:
        raise BenchError(f"{what} was not done within {STEP_LIMIT:g} s") from error


async def register(
    crowd: Crowd, relay: Measured, count: int, told: Callable[[int], None]
) -> tuple[list[Client], Registering]:
    """Register `count` new clients, AT_ONCE at a time; `told` hears how many more are there."""
    clients = [Client(crowd, relay.address) for _ in range(count)]
    began, cpu = time.monotonic(), relay.cpu()
    for group in groups(clients, AT_ONCE):
        await asyncio.gather(*(limited(client.register(), "a registration") for client in group))
        told(len(group))
    return clients, Registering(count, time.monotonic() - began, relay.cpu() - cpu)


async def leave(clients: Sequence[Client], told: Callable[[int], None]) -> None:
    """Let clients go, AT_ONCE at a time."""
    for group in groups(clients, AT_ONCE):
        await asyncio.gather(*(limited(client.leave(), "a client's leaving") for client in group))
        told(len(group))


async def calls(relay: Measured, pairs: Iterable[tuple[Client, Client]], datagrams: int) -> Batch:
    """Place one call after another, talk in each, hang up."""
    chosen = list(pairs)
    batch = Batch(len(chosen), datagrams)
    began = relay.cpu()
    for caller, callee in chosen:
        dialled = time.perf_counter()
        await limited(caller.call(callee), "a call")
        batch.set_up.append(time.perf_counter() - dialled)
        talking = relay.cpu()
        await limited(exchange(caller, callee, datagrams), "an exchange of datagrams")
        batch.cpu_talking += relay.cpu() - talking
        await limited(caller.hang_up(callee), "the end of a call")
    batch.cpu = relay.cpu() - began
    return batch


async def plain_calls(crowd: Crowd, floor: Measured, count: int, datagrams: int) -> Batch:
    """Do to the floor what a call does to a relay at the least: two connections and datagrams."""
    batch = Batch(count, datagrams)
    began = floor.cpu()
    for _ in range(count):
        dialled = time.perf_counter()
        one, other = Plain(crowd, floor.address), Plain(crowd, floor.address)
        for party in (one, other):
            await limited(party.paired(), "a connection to the floor")
        batch.set_up.append(time.perf_counter() - dialled)
        talking = floor.cpu()
        await limited(exchange(one, other, datagrams), "an exchange of datagrams")
        batch.cpu_talking += floor.cpu() - talking
        one.close()
        other.close()
    batch.cpu = floor.cpu() - began
    return batch


async def settled(relay: Measured, wanted: dict[str, int]) -> dict[str, int]:
    """Return the tables of a relay once they are as `wanted`, or as they are when that takes too long."""
    for _ in range(_SETTLE_STEPS):
        if await relay.tables() == wanted:
            break
        await asyncio.sleep(_SETTLE_STEP)
    return await relay.tables()


async def idle(relay: Measured, seconds: float, clients: int) -> float:
    """Return the seconds of processor that one idle client costs a second."""
    began, cpu = time.monotonic(), relay.cpu()
    await asyncio.sleep(seconds)
    return (relay.cpu() - cpu) / (time.monotonic() - began) / clients


def pairs(clients: Sequence[Client]) -> Iterable[tuple[Client, Client]]:
    """Return pairs of neighbours without an end, so that everybody is called in turn."""
    return itertools.cycle(zip(clients[::2], clients[1::2], strict=False))


Item = TypeVar("Item")


def groups(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    """Cut a sequence into pieces of at most `size`."""
    return (items[at : at + size] for at in range(0, len(items), size))
