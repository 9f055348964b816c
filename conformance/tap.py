"""Tap: a socket of the suite whose packets somebody witnesses, as they leave and as they arrive.

Rules of this file: a packet is shown before it is sent or taken, and is neither changed nor delayed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Address = tuple[str, int]
Witness = Callable[[Address, Address, bytes], None]
"""Hears of every packet that leaves or reaches a socket: from where, to where, and its bytes."""


class Tapped(asyncio.DatagramTransport):
    """A datagram transport that shows what leaves it; what arrives its protocol shows."""

    def __init__(self, inner: asyncio.DatagramTransport, witness: Witness) -> None:
        """Stand before a transport that is open."""
        super().__init__()
        self._inner = inner
        self._witness = witness

    def sendto(self, data: Any, addr: Any = None) -> None:  # noqa: ANN401 - as asyncio has it
        """Show a packet and send it."""
        there = addr or self._inner.get_extra_info("peername")
        own = self._inner.get_extra_info("sockname")
        self._witness(plain(own), plain(there), bytes(data))
        self._inner.sendto(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as asyncio has it
        """Return what the socket knows."""
        return self._inner.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Tell whether the socket is closed, or will be."""
        return self._inner.is_closing()

    def close(self) -> None:
        """Close the socket once everything is sent."""
        self._inner.close()

    def abort(self) -> None:
        """Close the socket at once."""
        self._inner.abort()


def tapped(transport: Any, witness: Witness | None) -> asyncio.DatagramTransport:  # noqa: ANN401 - asyncio's own
    """Return a transport that a witness looks at, or the transport itself where there is none."""
    made: asyncio.DatagramTransport = transport if witness is None else Tapped(transport, witness)
    return made


def plain(address: Any) -> Address:  # noqa: ANN401 - an address of any family
    """Return the IP address and the port of a socket's address, which may hold more."""
    return str(address[0]), int(address[1])
