"""What the loopback tests share: a handler that remembers, a bare QUIC peer, a path in between."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

from aioquic._buffer import Buffer
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import pull_quic_header

from reference.core.errors import BadFrame
from reference.endpoint import Credentials, Endpoint, EndpointLimits

LOOPBACK = "127.0.0.1"
GUARD = 60.0
"""Seconds after which a wait is given up; a passing test never comes near."""

CREDENTIALS = Credentials.from_private_seed(bytes(range(32)))

Address = tuple[str, int]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run one test on an event loop of its own; an error that nobody took fails it."""
    untaken: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: untaken.append(what))
        async with asyncio.timeout(GUARD):
            await test

    asyncio.run(guarded())
    assert [] == untaken


class Waiting:
    """Something to wait for: `changed` is called whenever it may have come."""

    def __init__(self) -> None:
        """Start with nothing awaited."""
        self._change = asyncio.Event()

    def changed(self) -> None:
        """Let those who wait look again."""
        self._change.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds` says so."""
        while not holds():
            self._change.clear()
            await self._change.wait()


class Recorder(Waiting):
    """A handler that remembers what it was told, in order, as tuples that begin with the name."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        super().__init__()
        self.told: list[tuple[Any, ...]] = []
        self._counts: Counter[str] = Counter()

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Remember a session that is connected."""
        self._tell("connected", session, sni, address, fingerprint)

    def moved(self, session: int, address: str) -> None:
        """Remember that a peer has moved."""
        self._tell("moved", session, address)

    def frame(self, session: int, payload: bytes) -> None:
        """Remember a frame."""
        self._tell("frame", session, payload)

    def fault(self, session: int, fault: BadFrame) -> None:
        """Remember a fault by its class."""
        self._tell("fault", session, type(fault).__name__)

    def datagram(self, session: int, data: bytes) -> None:
        """Remember a datagram."""
        self._tell("datagram", session, data)

    def flushed(self, session: int, receipt: object) -> None:
        """Remember a receipt."""
        self._tell("flushed", session, receipt)

    def slow(self, session: int) -> None:
        """Remember that the peer does not read."""
        self._tell("slow", session)

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - the handler's signature
        """Remember a loss."""
        self._tell("lost", session, code, reason, by_peer)

    def of(self, *kinds: str) -> list[tuple[Any, ...]]:
        """Return what was told of these kinds, without session numbers."""
        return [(what[0], *what[2:]) for what in self.told if what[0] in kinds]

    def last(self, kind: str) -> int:
        """Return the session that was told of last."""
        return int([what[1] for what in self.told if what[0] == kind][-1])

    async def times(self, kind: str, count: int = 1) -> None:
        """Wait until `kind` was told `count` times."""
        await self.until(lambda: self._counts[kind] >= count)

    def _tell(self, *what: Any) -> None:  # noqa: ANN401 - any notice
        self.told.append(what)
        self._counts[what[0]] += 1
        self.changed()


class Watched(Endpoint):
    """An endpoint that says when it has let go of a connection."""

    forgotten: Waiting

    def _forget(self, session: Any) -> None:  # noqa: ANN401 - private to the endpoint
        super()._forget(session)
        self.forgotten.changed()


@contextlib.asynccontextmanager
async def opened(
    handler: Recorder,
    credentials: Credentials | None = CREDENTIALS,
    limits: EndpointLimits | None = None,
    host: str = LOOPBACK,
) -> AsyncIterator[Watched]:
    """Open an endpoint on a free port and shut it down behind the test, which leaves nothing."""
    endpoint = await Watched.open(host, 0, handler, credentials, limits or EndpointLimits())
    endpoint.forgotten = Waiting()
    try:
        yield endpoint
    finally:
        await endpoint.shutdown(1, "shutting down")
        assert {0} == set(endpoint.stats().values())


@contextlib.asynccontextmanager
async def pair(
    limits: EndpointLimits | None = None, sni: str | None = "_signal"
) -> AsyncIterator[tuple[Watched, Recorder, int, Watched, Recorder, int]]:
    """Open two connected endpoints: server, its handler and session, then the client's."""
    heard, seen = Recorder(), Recorder()
    async with opened(heard, limits=limits) as server, opened(seen, None, limits) as client:
        dialled = client.dial(server.address, sni)
        await asyncio.gather(heard.times("connected"), seen.times("connected"))
        yield server, heard, heard.last("connected"), client, seen, dialled


class Puppet(Waiting, asyncio.DatagramProtocol):
    """A bare aioquic connection that does what the test says, well-behaved or not."""

    connection: QuicConnection
    transport: asyncio.DatagramTransport

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - whatever aioquic takes
        """Take `settings` for its configuration on top of those of the protocol."""
        super().__init__()
        defaults = {"alpn_protocols": ["wzp"], "max_datagram_frame_size": 65_535}
        self.settings = {**defaults, "verify_mode": ssl.CERT_NONE, **settings}
        self.happened: list[events.QuicEvent] = []
        self.received = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> Address:
        """Where its socket is."""
        return cast("Address", self.transport.get_extra_info("sockname")[:2])

    def dial(self, address: Address) -> None:
        """Start a connection."""
        self.connection = QuicConnection(configuration=QuicConfiguration(**self.settings))
        self.connection.connect(address, now=time.monotonic())
        self.go()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Give a packet to the connection, which the first one makes if nothing was dialled."""
        if not hasattr(self, "connection"):
            header = pull_quic_header(Buffer(data=data), host_cid_length=8)
            settings = {"is_client": False, "certificate": CREDENTIALS.certificate, **self.settings}
            self.connection = QuicConnection(
                configuration=QuicConfiguration(private_key=CREDENTIALS.private_key, **settings),
                original_destination_connection_id=header.destination_cid,
            )
            self.prepare()
        self.received += 1
        self.connection.receive_datagram(data, addr, now=time.monotonic())
        self.go()

    def prepare(self) -> None:
        """Change a new server connection before its first packet."""

    def go(self) -> None:
        """Send what is to be sent."""
        now = time.monotonic()
        for data, remote in self.connection.datagrams_to_send(now=now):
            self.transport.sendto(data, remote)
        while (event := self.connection.next_event()) is not None:
            self.happened.append(event)
        self.stop()
        at = self.connection.get_timer()
        if at is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - now), self._wake)
        self.changed()

    def stop(self) -> None:
        """Fall silent."""
        if self._timer is not None:
            self._timer.cancel()

    def stream(self, stream_id: int, data: bytes, *, fin: bool = True) -> None:
        """Send bytes of a stream."""
        self.connection.send_stream_data(stream_id, data, end_stream=fin)
        self.go()

    async def event(self, kind: type[events.QuicEvent], **members: object) -> None:
        """Wait for an event of a kind with these members."""
        await self.until(
            lambda: any(
                isinstance(event, kind)
                and all(getattr(event, name) == value for name, value in members.items())
                for event in self.happened
            )
        )

    def _wake(self) -> None:
        self.connection.handle_timer(now=max(time.monotonic(), self.connection.get_timer() or 0) + 1e-6)
        self.go()


@contextlib.asynccontextmanager
async def puppet(made: Puppet) -> AsyncIterator[Puppet]:
    """Give a puppet a socket and take it away."""
    loop = asyncio.get_running_loop()
    made.transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(LOOPBACK, 0))
    try:
        yield made
    finally:
        made.stop()
        made.transport.close()


class Path(Waiting, asyncio.DatagramProtocol):
    """A UDP path between one client and a server that can hold back what the client or the server sends."""

    transport: asyncio.DatagramTransport

    def __init__(self, server: Address) -> None:
        """Lead to `server`; the first other address that sends is the client."""
        super().__init__()
        self.server = server
        self.client: Address | None = None
        self.holding: set[str] = set()
        self.held: list[tuple[bytes, Address]] = []

    @property
    def address(self) -> Address:
        """Where the client finds the server."""
        return cast("Address", self.transport.get_extra_info("sockname")[:2])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Pass a packet on, or keep it."""
        if addr != self.server:
            self.client = addr
        sender, to = ("server", self.client) if addr == self.server else ("client", self.server)
        assert to is not None
        if sender in self.holding:
            self.held.append((data, to))
            self.changed()
        else:
            self.transport.sendto(data, to)

    def release(self, order: Callable[[list[tuple[bytes, Address]]], object]) -> None:
        """Send what was kept, put into another order, and keep no more."""
        self.holding.clear()
        order(self.held)
        for data, to in self.held:
            self.transport.sendto(data, to)
        self.held.clear()


@contextlib.asynccontextmanager
async def path(server: Address) -> AsyncIterator[Path]:
    """Open a path to `server`."""
    made = Path(server)
    loop = asyncio.get_running_loop()
    made.transport, _ = await loop.create_datagram_endpoint(lambda: made, local_addr=(LOOPBACK, 0))
    try:
        yield made
    finally:
        made.transport.close()
