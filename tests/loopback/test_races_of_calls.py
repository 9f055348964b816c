"""Whole calls between two clients on loopback: their races, their paths, and what they leave behind.

The relay and both clients run in this process, with real sockets. These are the scenarios *reflection of two
clients at once* and *race* of the tests of deployed peers (see tests/scenarios/test_deployed_scenarios.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
import structlog

from bench.clients import StepError
from bench.talkers import Talker
from reference.core import media
from reference.core.agreement import Path
from reference.core.line import FIRST_DIRECT, Leg, Way
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.core.sessions import Limits, Setting
from reference.endpoint import EndpointLimits
from reference.switch import Switch
from reference.talk import AudioPlan
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Address, Waiting, Watched, run

DEAD = f"{LOOPBACK}:1"
CALLS = 50
NOBODY = ":".join(["0000"] * 8)
SOON: dict[str, Any] = {"direct_timeout": 0.3, "head_start": 0.1}
"""Deadlines of a race that nobody wins, so that a test need not wait for the usual ones."""


def dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Log nothing."""
    raise structlog.DropEvent


@contextlib.asynccontextmanager
async def relay(advertise: str = "") -> AsyncIterator[str]:
    """Run a relay in this process; give its address."""
    silent = structlog.wrap_logger(None, [dropped], structlog.stdlib.BoundLogger)
    generous = Limits(offers_burst=10_000, reflections_burst=10_000)
    made = Switch(Setting(Identity.from_seed(bytes(32)), advertise, limits=generous), NEWEST, silent)
    await made.open(LOOPBACK, 0, CREDENTIALS, EndpointLimits())
    try:
        yield f"{LOOPBACK}:{made.endpoint.address[1]}"
    finally:
        await made.shutdown()
    assert {0} == set(made.endpoint.stats().values())


@contextlib.asynccontextmanager
async def registered(*talkers: Talker) -> AsyncIterator[None]:
    """Register talkers, and let them go behind the test, which leaves nothing of them."""
    async with contextlib.AsyncExitStack() as stack:
        for talker in talkers:
            await talker.register(EndpointLimits())
            stack.push_async_callback(talker.handset.close)
        yield
    for talker in talkers:
        assert {0} == set(talker.handset.sockets.stats().values())
        assert 0 == len(talker.handset.core._timers)


class Listener(Talker):
    """A talker that remembers the number of every datagram it sends and hears, with the leg."""

    def __init__(self, relay: str) -> None:
        """Send a tone."""
        super().__init__(relay, AudioPlan("tone"))
        self.sent: list[tuple[int, int, int]] = []
        self.heard: list[tuple[int, int]] = []

    def listens(self) -> None:
        """Begin to remember."""
        sockets, handset = self.handset.sockets, self.handset
        send, datagram = sockets.send_datagram, handset.datagram

        def sends(leg: int, data: bytes) -> None:
            header = media.split(data)[0]
            self.sent.append((leg, header.sequence, header.timestamp))
            send(leg, data)

        def hears(session: int, data: bytes) -> None:
            leg = sockets.leg(session)
            if leg is not None:
                self.heard.append((leg, media.split(data)[0].sequence))
            datagram(session, data)
            self.changed()

        sockets.send_datagram = sends  # type: ignore[method-assign]
        handset.datagram = hears  # type: ignore[method-assign]

    async def hears(self, count: int, by: int | None = None) -> None:
        """Wait until so many datagrams were heard, on any leg or on one."""
        await self.until(lambda: sum(by in {None, leg} for leg, _ in self.heard) >= count)


def test_two_clients_at_once_are_told_their_own_addresses() -> None:
    """Two clients that reflect at the same moment are each told the port of their own socket."""

    async def test() -> None:
        async with relay() as where:
            one, other = Talker(where), Talker(where)
            async with registered(one, other):
                for talker in (one, other):
                    talker.places(NOBODY)
                seen = [(await talker.event("reflexive"))["address"] for talker in (one, other)]
                ports = [talker.handset.sockets.ports[4] for talker in (one, other)]
                assert [f"{LOOPBACK}:{port}" for port in ports] == seen
                assert 2 == len({*seen})

    run(test())


def test_live_addresses_lead_to_a_direct_path() -> None:
    """With a live peer and a live relay the direct path wins, for the dialer and for the acceptor."""

    async def test() -> None:
        async with relay() as where:
            one, other = Talker(where), Talker(where)
            async with registered(one, other):
                await one.call(other)
                setups = [await talker.event("setup") for talker in (one, other)]
                assert {"dialer", "acceptor"} == {setup["role"] for setup in setups}
                for talker in (one, other):
                    assert Path.DIRECT == (await talker.event("heard"))["path"]
                await one.hang_up(other)

    run(test())


def test_a_dead_address_leads_to_the_relay() -> None:
    """When nobody is at the acceptor's address, both are on the relay after the deadline."""

    async def test() -> None:
        async with relay() as where:
            one, other = Talker(where, **SOON), Talker(where, **SOON)
            other.claims(DEAD)
            async with registered(one, other):
                await one.call(other)
                assert DEAD == (await one.event("attempt"))["address"]
                for talker in (one, other):
                    assert Path.RELAY == (await talker.event("path"))["path"]
                    assert Path.RELAY == (await talker.event("heard"))["path"]
                await one.hang_up(other)

    run(test())


def test_both_paths_dead_end_the_call() -> None:
    """When nobody is at the acceptor's address nor at the room's, the call ends for both, with an error."""

    async def test() -> None:
        async with relay(advertise=f"{LOOPBACK}:2") as where:
            one, other = (Talker(where, **SOON, media_timeout=0.1) for _ in range(2))
            other.claims(DEAD)
            async with registered(one, other):
                with pytest.raises(StepError, match="waits for 'heard'"):
                    await one.call(other)
                for talker in (one, other):
                    await talker.event("ended")
                    assert None is talker.last("heard")

    run(test())


def test_a_direct_path_alone_is_not_enough_without_one() -> None:
    """A caller that wants no relay and reaches nobody directly is told so, and the call ends."""

    async def test() -> None:
        async with relay() as where:
            one, other = Talker(where, **SOON, way=Way.DIRECT), Talker(where, **SOON)
            other.claims(DEAD)
            async with registered(one, other):
                with pytest.raises(StepError, match="waits for 'heard'"):
                    await one.call(other)
                assert {"why": "there is no direct path"} == one.last("error")

    run(test())


def silence(talker: Talker) -> None:
    """Let nothing more through between this talker and any other one; its relay hears it."""
    relay = talker.handset.core.account.relay
    for endpoint in talker.handset.sockets._endpoints.values():
        endpoint._socket.send = only_to(relay, endpoint._socket.send)  # type: ignore[assignment,method-assign]


def only_to(relay: str, send: Callable[[bytes, Address], None]) -> Callable[[bytes, Address], None]:
    """Return a way to send that reaches nobody but a relay."""

    def only(data: bytes, to: Address) -> None:
        if f"{to[0]}:{to[1]}" == relay:
            send(data, to)

    return only


def close(talker: Talker) -> None:
    """Close the talker's direct connections, as if its path had ended."""
    for leg in list(talker.handset.sockets._sessions):
        if leg >= FIRST_DIRECT:
            session = talker.handset.sockets._sessions[leg]
            talker.endpoint.close(session, 0, "gone")


@pytest.mark.parametrize("end", [silence, close])
def test_a_direct_path_that_dies(end: Callable[[Talker], None]) -> None:
    """When the direct path falls silent or ends, both go on through the relay, and their numbers run on."""

    async def test() -> None:
        async with relay() as where:
            one, other = Listener(where), Listener(where)
            async with registered(one, other):
                for talker in (one, other):
                    talker.listens()
                await one.call(other)
                assert Path.DIRECT == (await one.event("path"))["path"]
                for talker in (one, other):
                    await talker.hears(10)
                for talker in (one, other):
                    end(talker)
                for talker in (one, other):
                    await talker.event("path", path=Path.RELAY)
                    await talker.hears(10, Leg.MEDIA)
                await one.hang_up(other)
        for talker in (one, other):
            assert {Leg.MEDIA} < {leg for leg, _, _ in talker.sent}
            assert {1} == {
                (after - before) % 65536 for (_, before, _), (_, after, _) in pairwise(talker.sent)
            }
            times = [at for _, _, at in talker.sent]
            assert sorted(times) == times
        for sender, hearer in ((one, other), (other, one)):
            through = [number for leg, number in hearer.heard if leg == Leg.MEDIA]
            assert {*through} <= {number for leg, number, _ in sender.sent if leg == Leg.MEDIA}

    run(test())


def test_fifty_calls_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After fifty whole calls on direct paths both clients hold what they held before, and then nothing."""
    forgotten = Waiting()
    monkeypatch.setattr("reference.sockets.Endpoint", Watched)
    monkeypatch.setattr(Watched, "forgotten", forgotten, raising=False)

    async def test() -> None:
        async with relay() as where:
            one, other = Talker(where), Talker(where)
            async with registered(one, other):
                before = [held(talker) for talker in (one, other)]
                for number in range(CALLS):
                    caller, callee = (one, other) if number % 2 else (other, one)
                    await caller.call(callee)
                    for talker in (one, other):
                        assert Path.DIRECT == (await talker.event("heard"))["path"]
                    await caller.hang_up(callee)
                await forgotten.until(lambda: not any(ended(talker) for talker in (one, other)))
                assert before == [held(talker) for talker in (one, other)]

    run(test())


def ended(talker: Talker) -> int:
    """Count the connections of a talker that are in their closing period."""
    return talker.handset.sockets.stats()["ended"]


def held(talker: Talker) -> dict[str, int]:
    """Return what a talker holds; connection ids come and go on the signal connection too."""
    stats = talker.handset.sockets.stats()
    names = ("connections", "half_open", "ended", "timers")
    sockets = talker.handset.sockets
    return {
        **{name: stats[name] for name in names},
        "alarms": len(talker.handset.core._timers),
        "legs": len(sockets._sessions) + len(sockets._legs),
        "tasks": len(talker.handset._tasks),
        "names": len(talker.endpoint.welcome or ()),
        "calls": int(talker.handset.core.telephone.call is not None),
        "audio": int(talker.handset.talk is not None),
    }


def test_calls_at_once_do_not_touch_each_other() -> None:
    """Three calls at the same time each take their direct path."""

    async def test() -> None:
        async with relay() as where:
            talkers = [Talker(where) for _ in range(6)]
            async with registered(*talkers):
                couples = list(zip(talkers[::2], talkers[1::2], strict=True))
                await asyncio.gather(*(caller.call(callee) for caller, callee in couples))
                for talker in talkers:
                    assert Path.DIRECT == (await talker.event("heard"))["path"]
                await asyncio.gather(*(caller.hang_up(callee) for caller, callee in couples))

    run(test())
