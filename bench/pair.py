"""Two relays with a link between them, `north` and `south`, as processes under measurement.

South dials north: directly, or through a cable.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.process import LOOPBACK, Measured
from reference.core.addresses import parse_address
from tools.cable import Cable
from tools.linked import linked
from tools.processes import Process, troupe

NORTH, SOUTH = "north", "south"
METRICS = ("--metrics", f"{LOOPBACK}:0")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two linked relays, what they log, and the cable between them if there is one."""

    north: Measured
    south: Measured
    logs: dict[str, Path]
    cable: Cable | None


@contextlib.asynccontextmanager
async def pair(folder: Path, options: Sequence[str], *, cut: bool = False) -> AsyncIterator[Pair]:
    """Run two linked relays with these options, which leave their logs in `folder`.

    With `cut` the link goes through a cable. Raises ProcessError when they do not start.
    """
    async with AsyncExitStack() as stack:
        scene = stack.enter_context(troupe(_cleared(folder)))
        start = linked(scene, NORTH, SOUTH, options=(*METRICS, *options), started=()).start
        north = await asyncio.to_thread(start, NORTH)
        cable = Cable(parse_address(north.ready()["addr"])) if cut else None
        through = {}
        if cable is not None:
            await cable.lay()
            stack.callback(cable.close)
            through = {NORTH: cable.address}
        south = await asyncio.to_thread(start, SOUTH, through=through)
        logs = {relay.name: relay.log for relay in (north, south)}
        yield Pair(_measured(north), _measured(south), logs, cable)


def _cleared(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.identity"):
        old.unlink()
    return folder


def _measured(relay: Process) -> Measured:
    ready = relay.ready()
    return Measured(relay.name, relay.pid, parse_address(ready["addr"]), ready["metrics"])
