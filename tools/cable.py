"""Cable: a way over UDP between two processes that can be cut and mended; it reads no packet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, cast

from reference.core.addresses import format_address
from tools.processes import GUARD

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
        """Prepare a cable without sockets; `lay` opens them."""
        self._target = target
        self._near, self._far = End(self._forth), End(self._back)
        self._dialler: Place | None = None
        self.cut = False

    @property
    def address(self) -> str:
        """Where packets for the target are sent to."""
        return format_address(*self._near.transport.get_extra_info("sockname")[:2])

    async def lay(self) -> None:
        """Open the sockets."""
        loop = asyncio.get_running_loop()
        for end in (self._near, self._far):
            await loop.create_datagram_endpoint(lambda end=end: end, local_addr=("127.0.0.1", 0))  # type: ignore[misc]

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
        if not self.cut:
            end.transport.sendto(packet, to)


@contextmanager
def laid(target: Place) -> Iterator[Cable]:
    """Lay a cable for whoever has no event loop: it has one of its own, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    cable = Cable(target)

    def end() -> None:
        loop.call_soon(loop.stop)  # in the turn in which the sockets are closed
        cable.close()

    try:
        asyncio.run_coroutine_threadsafe(cable.lay(), loop).result(GUARD)
        yield cable
    finally:
        loop.call_soon_threadsafe(end)
        thread.join()
        loop.close()
