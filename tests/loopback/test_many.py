"""Many clients at one relay: what they leave behind, and what one call costs among them.

The scenario is that of `python -m bench`, small and in one process, so that nothing has to be estimated:
tables, objects and steps of work are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import islice
from types import FrameType
from typing import TypeAlias

import pytest
import structlog

from bench.clients import Client, Crowd, exchange
from bench.core import CALLEE_MEDIA, CALLER_MEDIA, Scene
from bench.scenario import groups, pairs
from reference.core.effects import SendDatagram
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.core.sessions import Limits, Setting
from reference.endpoint import EndpointLimits
from reference.quic.connection import Connection
from reference.switch import Switch
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Waiting, Watched, pair, run

TraceFunction: TypeAlias = "Callable[[FrameType, str, object], TraceFunction]"
STAYING, COMING, CALLS, DATAGRAMS, AT_ONCE = 10, 40, 20, 10, 4


class Rig:
    """One relay and one crowd on loopback, both with endpoints that say when they let go."""

    def __init__(self, relay: Switch, crowd: Crowd, forgotten: Waiting) -> None:
        """Keep the three; `forgotten` is told of each connection that either side has let go."""
        self.relay = relay
        self.crowd = crowd
        self.forgotten = forgotten

    async def come(self, count: int) -> list[Client]:
        """Register `count` clients, a few at a time."""
        clients = [Client(self.crowd, self.relay.endpoint.address) for _ in range(count)]
        for group in groups(clients, AT_ONCE):
            await asyncio.gather(*(client.register() for client in group))
        return clients

    async def call(self, clients: list[Client], count: int) -> None:
        """Place `count` calls one after another, with media."""
        for caller, callee in islice(pairs(clients), count):
            await caller.call(callee)
            await exchange(caller, callee, DATAGRAMS)
            await caller.hang_up(callee)

    async def quiet(self) -> None:
        """Wait until no closing period is left on either side."""
        ends = (self.relay.endpoint, self.crowd.endpoint)
        await self.forgotten.until(lambda: not any(end.stats()["ended"] for end in ends))

    def tables(self) -> dict[str, float]:
        """Return what all tables of both sides hold."""
        relay = {
            metric.name: sum(sample.value for sample in metric.samples)
            for metric in self.relay.metrics.registry.collect()
            if metric.type == "gauge" and metric.name.startswith("directcall_")
        }
        crowd = {f"crowd {name}": value for name, value in self.crowd.endpoint.stats().items()}
        return {**relay, **crowd, "owners": len(self.crowd.owners)}


@contextlib.asynccontextmanager
async def rig(patch: pytest.MonkeyPatch, half_open: int = 256) -> AsyncIterator[Rig]:
    """Open a relay and a crowd, and shut both down behind the test, which leaves nothing."""
    forgotten = Waiting()
    patch.setattr("reference.switch.Endpoint", Watched)
    patch.setattr("bench.clients.Endpoint", Watched)
    patch.setattr(Watched, "forgotten", forgotten, raising=False)
    limits = Limits(offers_burst=1000, offers_per_second=1000.0)
    setting = Setting(Identity.from_seed(bytes(32)), "", limits=limits)
    silent = structlog.wrap_logger(None, [_dropped], structlog.stdlib.BoundLogger)
    relay = Switch(setting, NEWEST, silent)
    await relay.open(LOOPBACK, 0, CREDENTIALS, EndpointLimits(half_open=half_open))
    crowd = await Crowd.open(LOOPBACK, EndpointLimits())
    try:
        yield Rig(relay, crowd, forgotten)
    finally:
        await crowd.close()
        await relay.shutdown()
    assert 0 == crowd.bad
    assert {0} == {*relay.endpoint.stats().values(), *crowd.endpoint.stats().values()}


def _dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent


def alive(kind: type[object]) -> int:
    """Count the objects of a class that are still in memory, those in forgotten circles included."""
    return sum(isinstance(each, kind) for each in gc.get_objects())


def test_a_crowd_that_leaves_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """After calls and after most clients have left, every table of relay and clients is as it was."""

    async def test() -> None:
        async with rig(monkeypatch) as there:
            staying = await there.come(STAYING)
            await there.call(staying, 2)
            await there.quiet()
            before = there.tables()
            coming = await there.come(COMING)
            everybody = [*staying, *coming]
            assert STAYING + COMING == there.tables()["directcall_registered"]
            await there.call(everybody, CALLS)
            assert 2 * DATAGRAMS * (2 + CALLS) == there.relay.metrics.totals()["datagrams_forwarded_total"]
            await asyncio.gather(*(client.leave() for client in coming))
            await there.quiet()
            assert before == there.tables()

    run(test())


@pytest.mark.parametrize("half_open", [256, AT_ONCE])
def test_a_connection_that_is_over_is_freed_at_once(monkeypatch: pytest.MonkeyPatch, half_open: int) -> None:
    """Nothing of an ended connection waits in memory for Python to look for circles.

    With few places for those in their closing period, most are let go before it is over.
    """

    async def test() -> None:
        async with rig(monkeypatch, half_open) as there:
            staying = await there.come(2)
            await there.call(staying, 1)
            await there.quiet()
            gc.collect()
            before = alive(Connection)
            gc.disable()
            try:
                coming = await there.come(8)
                await there.call(coming, 8)
                await asyncio.gather(*(client.leave() for client in coming))
                await there.quiet()
                assert before == alive(Connection)
            finally:
                gc.enable()

    run(test())


def steps(work: Callable[[], object]) -> Counter[str]:
    """Count, by function, every instruction of Python and every call that `work` leads to."""
    counted: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _what: object) -> TraceFunction:
        frame.f_trace_opcodes = True
        if event in {"call", "opcode"}:
            counted[f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"] += 1
        return trace

    def profile(_frame: FrameType, event: str, what: object) -> None:
        if event == "c_call":
            counted[repr(getattr(what, "__qualname__", what))] += 1

    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return counted


def settled(registered: int) -> Scene:
    """Return a relay's machine with so many clients, two of whom have had a call already."""
    scene = Scene(registered)
    scene.play(scene.script())
    return scene


def test_a_call_costs_the_same_among_many() -> None:
    """One whole call takes exactly the same steps with 10 and with 500 registered clients."""
    few, many = settled(10), settled(500)
    assert (10, 500) == (len(few.core.presence), len(many.core.presence))
    scripts = few.script(), many.script()
    in_few = steps(lambda: few.play(scripts[0]))
    assert in_few == steps(lambda: many.play(scripts[1]))
    assert 100 < in_few.total()


def test_a_datagram_costs_the_same_among_many() -> None:
    """Forwarding one datagram takes exactly the same steps with 10 and with 500 registered clients."""
    counts = []
    for registered in (10, 500):
        scene = settled(registered)
        *script, _hangup = scene.script()
        for session, payload in script:
            scene.say(session, payload)
        assert [SendDatagram(CALLEE_MEDIA, bytes(12))] == scene.core.datagram(CALLER_MEDIA, bytes(12))
        counts.append(steps(lambda core=scene.core: core.datagram(CALLER_MEDIA, bytes(12))))  # type: ignore[misc]
    assert counts[0] == counts[1]
    assert 0 < counts[0].total()


def test_a_registration_costs_the_same_among_many() -> None:
    """The next registration takes exactly the same steps with 10 and with 500 registered clients."""
    counts = []
    for registered in (10, 500):
        scene = settled(registered)
        newcomer = Identity.from_seed(secrets.token_bytes(32))
        counts.append(steps(lambda scene=scene, who=newcomer: scene.register(1000, who)))  # type: ignore[misc]
        assert registered + 1 == len(scene.core.presence)
    assert counts[0] == counts[1]
    assert 10 < counts[0].total()


@pytest.mark.parametrize("kind", ["frame", "datagram"])
def test_what_one_call_sends_goes_out_together(kind: str) -> None:
    """All that a handler sends a peer while it is told something arrives in one packet."""

    async def test() -> None:
        async with pair() as (server, heard, inside, client, seen, outside):
            answers = [bytes([number]) * 20 for number in range(5)]

            def reply(session: int, _data: bytes) -> None:
                for answer in answers:
                    (server.send if kind == "frame" else server.send_datagram)(session, answer)

            setattr(heard, kind, reply)
            arrivals: list[int] = []
            received = client.datagram_received

            def counting(data: bytes, addr: tuple[str, int]) -> None:
                before = len(seen.of(kind))
                received(data, addr)
                arrivals.append(len(seen.of(kind)) - before)

            client.datagram_received = counting  # type: ignore[method-assign]
            (client.send if kind == "frame" else client.send_datagram)(outside, b"ask")
            await seen.times(kind, len(answers))
            assert [len(answers)] == [count for count in arrivals if count]
            assert [(kind, answer) for answer in answers] == seen.of(kind)
            assert inside == heard.last("connected")

    run(test())


def test_one_call_may_send_more_than_may_wait() -> None:
    """What a handler sends in one call is bounded by what the path takes, not by what may wait."""

    async def test() -> None:
        limits = EndpointLimits(unsent=4, datagrams=4)
        async with pair(limits) as (server, heard, _, client, seen, outside):
            sent = [bytes([number]) for number in range(20)]

            def reply(session: int, _payload: bytes) -> None:
                for data in sent:
                    server.send(session, data)
                    server.send_datagram(session, data)

            heard.frame = reply  # type: ignore[method-assign,assignment]
            client.send(outside, b"ask")
            await asyncio.gather(seen.times("frame", len(sent)), seen.times("datagram", len(sent)))
            assert [("frame", data) for data in sent] == seen.of("frame")
            assert [] == heard.of("slow")

    run(test())
