"""Two relays with a link between them, `north` and `south`, as processes under measurement.

South dials north: directly, or through a cable, which can be cut and mended and reads no packet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from bench.process import LOOPBACK, Measured
from reference.core.addresses import format_address, parse_address
from tools.linked import linked
from tools.processes import Process, troupe

NORTH, SOUTH = "north", "south"
METRICS = ("--metrics", f"{LOOPBACK}:0")

Place: TypeAlias = tuple[str, int]


class End(asyncio.DatagramProtocol):
    """One end of a cable: a socket on a free port of loopback."""

    def __init__(self, carry: Callable[[bytes, Place], None]) -> None:
        """Give every packet and its sender to `carry`."""
        self._carry = carry

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket from the event loop."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Place) -> None:
        """Hand a packet on."""
        self._carry(data, addr)


class Cable:
    """A way over UDP to a target, for whoever sends to `address`."""

    def __init__(self, target: Place) -> None:
        """Prepare a cable without sockets; `laid` gets a working one."""
        self._target = target
        self._near, self._far = End(self._forth), End(self._back)
        self._dialler: Place | None = None
        self.cut = False
        self.swallowed = 0

    @property
    def address(self) -> str:
        """Where packets for the target are sent to."""
        return format_address(*self._near.transport.get_extra_info("sockname")[:2])

    async def lay(self) -> None:
        """Open the sockets."""
        loop = asyncio.get_running_loop()
        for end in (self._near, self._far):
            await loop.create_datagram_endpoint(lambda end=end: end, local_addr=(LOOPBACK, 0))  # type: ignore[misc]

    def close(self) -> None:
        """Close the sockets."""
        for end in (self._near, self._far):
            end.transport.close()

    def _forth(self, packet: bytes, sender: Place) -> None:
        self._dialler = sender
        self._carry(self._far, packet, self._target)

    def _back(self, packet: bytes, _sender: Place) -> None:
        if self._dialler is not None:
            self._carry(self._near, packet, self._dialler)

    def _carry(self, end: End, packet: bytes, to: Place) -> None:
        if self.cut:
            self.swallowed += 1
        else:
            end.transport.sendto(packet, to)


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
