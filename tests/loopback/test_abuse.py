"""Clients that misbehave, each in one way (bench/offender.py), and the calls of others beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import structlog

from bench.clients import Client, Crowd, exchange
from bench.offender import OFFENCES, Kind, Measure, Offender, Throng, offend
from reference.core.line import Answer
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.core.sessions import Setting
from reference.endpoint import EndpointLimits
from reference.switch import Switch
from tests.loopback.conftest import CREDENTIALS, GUARD, LOOPBACK, Waiting, run

AT_ONCE = 1e6
"""As often a second as nothing can be done: all at once."""
ENDLESS = 1_000_000
SOON = EndpointLimits(stream_timeout=0.05)
ENDINGS: dict[Kind, tuple[int, str, int]] = {
    Kind.OFFERS: (30, "", 0),
    Kind.REGISTRATIONS: (3, "", 0),
    Kind.HALF_OPEN: (5, "", 0),
    Kind.SLOW: (ENDLESS, "TOO_SLOW", 1),
    Kind.STARVING: (ENDLESS, "BAD_MESSAGES", 1),
    Kind.REFLECTIONS: (60, "", 0),
    Kind.LARGE: (1, "", 0),
    Kind.NUMBERS: (1, "", 0),
    Kind.UNKNOWN: (100, "", 0),
    Kind.DATAGRAMS: (100, "", 0),
    Kind.STRANGERS: (3, "NOT_ADMITTED", 3),
    Kind.BAD: (ENDLESS, "BAD_MESSAGES", 1),
}
"""How much is done of each offence, how the relay ends it, and how often that is waited for."""


class Counted(Throng):
    """An offender's connections, which say when one of them has been ended."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.news = Waiting()

    def over(self, code: int) -> None:
        """Tell that one is over."""
        super().over(code)
        self.news.changed()


@dataclass
class Scene:
    """A relay, two people who talk, two others who do not yet, and one who lets it ring."""

    relay: Switch
    talkers: tuple[Client, Client]
    others: tuple[Client, Client]
    bystander: Client
    throng: Counted

    def offender(self, most: int) -> Offender:
        """Return one who does something so often."""
        call = self.talkers[0].core.telephone.call
        assert call is not None
        measure, where = Measure(AT_ONCE, most), self.relay.endpoint.address
        return Offender(where, self.bystander.fingerprint, call.call_id, measure, GUARD, self.throng)


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """Open a relay and let everybody come, and shut all down behind the test."""
    silent = structlog.wrap_logger(None, [_dropped], structlog.stdlib.BoundLogger)
    relay = Switch(Setting(Identity.from_seed(bytes(32)), ""), NEWEST, silent)
    await relay.open(LOOPBACK, 0, CREDENTIALS, SOON)
    crowd, throng = await Crowd.open(LOOPBACK, SOON), await Counted.open(LOOPBACK, SOON)
    try:
        one, two, three, four = people = [Client(crowd, relay.endpoint.address) for _ in range(4)]
        bystander = Client(crowd, relay.endpoint.address, Answer.ASK)
        await asyncio.gather(*(person.register() for person in (*people, bystander)))
        await one.call(two)
        yield Scene(relay, (one, two), (three, four), bystander, throng)
    finally:
        for sockets in (throng, crowd):
            await sockets.close()
        await relay.shutdown()
    assert {0} == set(relay.endpoint.stats().values())


def _dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent


def test_every_offence_is_tried() -> None:
    """No way to misbehave is without a test."""
    assert set(OFFENCES) == set(Kind) == set(ENDINGS)


@pytest.mark.parametrize("kind", Kind)
def test_a_misbehaving_client_disturbs_no_other(kind: Kind) -> None:
    """The call of others goes on, new ones are made, and the relay ends what there is a limit for."""
    most, ending, times = ENDINGS[kind]

    async def test() -> None:
        async with scene() as there:
            offender = there.offender(most)
            work = asyncio.ensure_future(offend(kind, offender))
            await there.throng.news.until(lambda: there.throng.ended.total() >= times)
            await exchange(*there.talkers, 10)
            caller, callee = there.others
            await caller.call(callee)
            await caller.hang_up(callee)
            if most == ENDLESS:
                work.cancel()
            else:
                assert most == (await work)["done"]
            assert ({ending} if ending else set()) == set(there.throng.ended)
            with contextlib.suppress(asyncio.CancelledError):
                await work

    run(test())
