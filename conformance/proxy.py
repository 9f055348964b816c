"""Proxy: what the network does between one connection of a person and the relay, and the record of it.

    seat  <->  the proxy's front  ...  the proxy's back  <->  relay

Rules of this file: chance follows from the seed of the plan and the order of the packets; what is on its way
is bounded, and of too much the oldest is lost, as in a router; nothing is on its way after `close`. No root
is needed: a proxy is two UDP sockets in the suite's own loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random

from conformance.plan import Faults
from conformance.tap import Address, Witness

UNDERWAY = 256
"""Packets that are on their way in one direction."""
LOOKS = 3
"""Turns of the loop in which a proxy that is to close looks for packets."""
HELD_BACK = 0.004
"""Seconds by which a packet that is reordered comes later than it would have."""


@dataclass
class Counts:
    """What became of the packets of one direction."""

    carried: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    overflowed: int = 0


class Way:
    """One direction: takes packets, and delivers them as the faults and chance say."""

    def __init__(self, faults: Faults, chance: Random, deliver: Callable[[bytes], None]) -> None:
        """Begin with nothing on its way."""
        self.counts = Counts()
        self._faults = faults
        self._chance = chance
        self._deliver = deliver
        self._underway: dict[int, tuple[asyncio.TimerHandle, bytes]] = {}
        self._number = 0

    def take(self, packet: bytes) -> None:
        """Take a packet of the sender."""
        faults = self._faults
        # The same draws for every packet, so that what happens to one says nothing of the next.
        lost, twice, late = (self._chance.random() for _ in range(3))
        if lost < faults.loss:
            self.counts.lost += 1
            return
        delay = faults.delay
        if late < faults.reordering:
            self.counts.reordered += 1
            delay += HELD_BACK
        self._send(packet, delay)
        if twice < faults.duplication:
            self.counts.duplicated += 1
            self._send(packet, delay)

    def _send(self, packet: bytes, delay: float) -> None:
        if delay <= 0:
            self._arrive(packet)
            return
        if len(self._underway) >= UNDERWAY:
            self.counts.overflowed += 1
            self._underway.pop(next(iter(self._underway)))[0].cancel()
        self._number += 1
        loop = asyncio.get_running_loop()
        self._underway[self._number] = loop.call_later(delay, self._land, self._number), packet

    def _land(self, number: int) -> None:
        _, packet = self._underway.pop(number)
        self._arrive(packet)

    def _arrive(self, packet: bytes) -> None:
        self.counts.carried += 1
        self._deliver(packet)

    def hurry(self) -> None:
        """Let everything arrive that is on its way."""
        for number in [*self._underway]:
            self._underway[number][0].cancel()
            self._land(number)


class _Socket(asyncio.DatagramProtocol):
    """One UDP socket of a proxy."""

    def __init__(self, take: Callable[[bytes, Address], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Hand a packet on."""
        self._take(data, (str(addr[0]), int(addr[1])))

    def error_received(self, exc: Exception) -> None:
        """Let it be: nobody listens there, which the seat notices by itself."""


class Proxy:
    """Stands between one connection and the relay."""

    def __init__(self, target: Address, faults: Faults, seed: str, witness: Witness | None) -> None:
        """Prepare; `open` makes one."""
        self.up = Way(faults, Random(f"{seed}/up"), self._to_relay)  # noqa: S311 - no secret is drawn
        self.down = Way(faults, Random(f"{seed}/down"), self._to_seat)  # noqa: S311 - no secret is drawn
        self._target = target
        self._witness = witness
        self._seat: Address | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._back: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, target: Address, faults: Faults, seed: str, witness: Witness | None = None) -> Proxy:
        """Open the two sockets; `seed` decides every chance. Raises OSError when there is none to be had."""
        proxy = cls(target, faults, seed, witness)
        loop = asyncio.get_running_loop()
        own = "::1" if ip_address(target[0]).version == 6 else "127.0.0.1"  # noqa: PLR2004
        proxy._front, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(proxy._from_seat), local_addr=(own, 0)
        )
        try:
            proxy._back, _ = await loop.create_datagram_endpoint(
                lambda: _Socket(proxy._from_relay), remote_addr=target
            )
        except OSError:
            proxy._free()
            raise
        return proxy

    @property
    def address(self) -> Address:
        """Where the seat dials; raises RuntimeError before `open`."""
        if self._front is None:
            message = "the proxy is not open"
            raise RuntimeError(message)
        host, port, *_ = self._front.get_extra_info("sockname")
        return str(host), int(port)

    async def close(self) -> None:
        """Let what was sent arrive, the close of a seat among it, and free the sockets."""
        for _ in range(LOOKS):
            await asyncio.sleep(0)  # what stands in a socket is taken
        for way in (self.up, self.down):
            way.hurry()
        self._free()

    def _free(self) -> None:
        for transport in (self._front, self._back):
            if transport is not None:
                transport.close()

    def _from_seat(self, packet: bytes, address: Address) -> None:
        self._seat = address
        if self._witness is not None:
            self._witness(address, self._target, packet)
        self.up.take(packet)

    def _from_relay(self, packet: bytes, address: Address) -> None:
        del address
        self.down.take(packet)

    def _to_relay(self, packet: bytes) -> None:
        if self._back is not None and not self._back.is_closing():
            self._back.sendto(packet)

    def _to_seat(self, packet: bytes) -> None:
        if self._front is None or self._front.is_closing() or self._seat is None:
            return
        if self._witness is not None:
            self._witness(self._target, self._seat, packet)
        self._front.sendto(packet, self._seat)
