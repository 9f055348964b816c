"""A peer whose address changes in the middle of its connection (RFC 9000 section 9; REFL-3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import cast

from reference.core.addresses import format_address
from tests.loopback.conftest import LOOPBACK, Address, Recorder, opened, run


class Outside(asyncio.DatagramProtocol):
    """One mapping of a NAT: packets from the server go to the client."""

    transport: asyncio.DatagramTransport

    def __init__(self, nat: Nat) -> None:
        """Be a mapping of `nat`."""
        self.nat = nat

    @property
    def text(self) -> str:
        """The address that the server sees."""
        return format_address(*self.transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Pass a packet of the server on."""
        del addr
        if self.nat.client is not None:
            self.nat.inside.sendto(data, self.nat.client)


class Nat(asyncio.DatagramProtocol):
    """A NAT between one client and a server, that can forget its mapping."""

    inside: asyncio.DatagramTransport
    mapping: Outside

    def __init__(self, server: Address) -> None:
        """Lead to `server`."""
        self.server = server
        self.client: Address | None = None
        self.opened: list[asyncio.DatagramTransport] = []

    @property
    def address(self) -> Address:
        """Where the client finds the server."""
        return cast("Address", self.inside.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Send a packet of the client from the mapping of now."""
        self.client = addr
        self.mapping.transport.sendto(data, self.server)

    async def map_anew(self) -> Outside:
        """Forget the mapping; return the new one."""
        loop = asyncio.get_running_loop()
        made = Outside(self)
        made.transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(LOOPBACK, 0))
        self.opened.append(made.transport)
        self.mapping = made
        return made


@contextlib.asynccontextmanager
async def nat(server: Address) -> AsyncIterator[Nat]:
    """Open a NAT in front of `server` with its first mapping."""
    made = Nat(server)
    loop = asyncio.get_running_loop()
    made.inside, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(LOOPBACK, 0))
    await made.map_anew()
    try:
        yield made
    finally:
        for transport in (made.inside, *made.opened):
            transport.close()


def test_a_new_mapping_is_told_before_what_came_through_it() -> None:
    """The first packet of a new address tells it, in front of its frame, and once; so does the way back."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client, nat(server.address) as box:
            first = box.mapping
            dialled = client.dial(box.address, "_signal")
            await heard.times("connected")
            client.send(dialled, b"one")
            await heard.times("frame")
            second = await box.map_anew()
            client.send(dialled, b"two")
            await heard.times("frame", 2)
            server.send(heard.last("connected"), b"where you are now")
            await told.times("frame")
            box.mapping = first
            client.send(dialled, b"three")
            await heard.times("frame", 3)
            expected = [
                ("connected", "_signal", first.text, None),
                ("frame", b"one"),
                ("moved", second.text),
                ("frame", b"two"),
                ("moved", first.text),
                ("frame", b"three"),
            ]
            assert expected == heard.of("connected", "moved", "frame", "lost")
            assert [] == told.of("moved", "lost")

    run(test())


def test_who_stays_is_never_told() -> None:
    """A peer that keeps its address is not told of, however much it sends."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client, nat(server.address) as box:
            dialled = client.dial(box.address, "_signal")
            for number in range(50):
                client.send(dialled, bytes([number]))
            await heard.times("frame", 50)
            assert [] == [*heard.of("moved"), *told.of("moved")]

    run(test())


def test_who_moves_in_its_handshake_is_connected_from_there() -> None:
    """A session is told of with the address that its handshake was completed from."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client, nat(server.address) as box:
            honest = box.mapping.datagram_received
            came = asyncio.Event()
            held: list[tuple[bytes, Address]] = []

            def hold(data: bytes, addr: Address) -> None:
                held.append((data, addr))
                came.set()

            box.mapping.datagram_received = hold  # type: ignore[method-assign]
            client.dial(box.address, "_signal")
            await came.wait()
            second = await box.map_anew()
            for packet in held:
                honest(*packet)
            await heard.times("connected")
            (at_first,) = (it[2] for it in heard.of("connected"))
            known = [at_first, *(it[1] for it in heard.of("moved"))]
            assert second.text == known[-1]

    run(test())
