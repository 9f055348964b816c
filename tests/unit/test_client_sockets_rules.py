"""Rules of the client that its sockets keep, whatever its machine says: ports, families, server names.

The sockets are real, on loopback; what stands at their other ends is an endpoint that remembers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from reference.core import wire
from reference.core.addresses import parse_address
from reference.core.line import Account, Leg
from reference.core.messages import Reflect, ReflectResponse, RegisterPresenceAck
from reference.core.phases import NEWEST
from reference.handler import EndpointLimits
from reference.sockets import Sockets
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Recorder, Watched, opened, run
from tests.mutants.client_base import Parts
from tests.unit.rules import FIRST, NAME
from tests.world import identity


def account(relay: str) -> Account:
    """Return the account of a client whose relay is at this address."""
    return Account(identity("alice"), relay)


@contextlib.asynccontextmanager
async def sockets(parts: Parts) -> AsyncIterator[tuple[Sockets, Recorder]]:
    """Open the sockets of a client whose relay is on IPv4 loopback, and what they tell."""
    told = Recorder()
    made = await parts.sockets.open(account(f"{LOOPBACK}:1"), told, EndpointLimits())
    try:
        yield made, told
    finally:
        await made.shutdown()


async def seen_from(made: Sockets, leg: int, host: str, name: str) -> str:
    """Dial an endpoint at `host`; return the address from which that sees us."""
    heard = Recorder()
    async with opened(heard, host=host) as there:
        made.dial(leg, there.address, name)
        await heard.times("connected")
        ((_, _, address, _),) = heard.of("connected")
    return str(address)


class Mirror(Recorder):
    """A relay that registers everybody and reflects."""

    door: Watched

    def frame(self, session: int, payload: bytes) -> None:
        """Answer as a relay does."""
        (address,) = [told[3] for told in self.told if told[:2] == ("connected", session)]
        said = wire.decode(payload, NEWEST)
        answer = ReflectResponse(observed_addr=address)
        acknowledgement = RegisterPresenceAck(success=True)
        self.door.send(session, wire.encode(answer if isinstance(said, Reflect) else acknowledgement, NEWEST))


@pytest.mark.rule("REFL-10")
def test_probes_leave_one_socket(parts: Parts) -> None:
    """Two relays without a NAT in between see one and the same address and port."""

    async def test() -> None:
        one, other = Mirror(), Mirror()
        async with opened(one) as one.door, opened(other) as other.door:
            relays = [f"{LOOPBACK}:{mirror.door.address[1]}" for mirror in (one, other)]
            probes = await parts.ask(relays, 30.0)
        assert [None, None] == [probe.error for probe in probes]
        assert 1 == len({probe.observed for probe in probes})

    run(test())


@pytest.mark.rule("CAND-10")
def test_the_ports_are_those_of_the_sockets(parts: Parts) -> None:
    """The port that a client names for a family is where its packets come from and where peers get in."""

    async def test() -> None:
        async with sockets(parts) as (made, told):
            for leg, (version, host) in enumerate({4: LOOPBACK, 6: "::1"}.items(), FIRST):
                _, port = parse_address(await seen_from(made, leg, host, "_signal"))
                assert port == made.ports[version]
                made.welcome(frozenset({NAME}))
                peer = Recorder()
                async with opened(peer, None, host=host) as dialer:
                    dialer.dial((host, made.ports[version]), NAME)
                    await asyncio.gather(
                        peer.times("connected"), told.times("connected", 2 * (leg - FIRST) + 2)
                    )

    run(test())


@pytest.mark.rule("CAND-17")
def test_a_peer_is_dialled_from_the_socket_of_its_family(parts: Parts) -> None:
    """A client whose relay is on IPv4 dials an IPv6 peer from its IPv6 socket."""

    async def test() -> None:
        async with sockets(parts) as (made, _):
            _, port = parse_address(await seen_from(made, FIRST, "::1", NAME))
            assert made._endpoints[6].address[1] == port

    run(test())


@pytest.mark.rule("RACE-7")
def test_a_socket_refuses_other_names(parts: Parts) -> None:
    """A handshake under a name that is not welcome fails; one under a welcome name completes behind it."""

    async def test() -> None:
        peer = Recorder()
        async with sockets(parts) as (made, told), opened(peer, CREDENTIALS) as dialer:
            made.welcome(frozenset({NAME}))
            for name in ("call-another", NAME):
                dialer.dial((LOOPBACK, made._endpoints[4].address[1]), name)
                await peer.until(lambda: {"lost", "connected"} & {what[0] for what in peer.told})
                assert ["lost" if name != NAME else "connected"] == [what[0] for what in peer.told][-1:]
                peer.told.clear()
            await told.times("connected")
            assert [NAME] == [sni for _, sni, *_ in told.of("connected")]

    run(test())


@pytest.mark.rule("RACE-14")
def test_everything_goes_through_one_socket(parts: Parts) -> None:
    """Relay and peer see a client come from one and the same address and port."""

    async def test() -> None:
        async with sockets(parts) as (made, _):
            signal = await seen_from(made, Leg.SIGNAL, LOOPBACK, "_signal")
            assert signal == await seen_from(made, FIRST, LOOPBACK, NAME)
            assert parse_address(signal)[1] == made._endpoints[4].address[1]

    run(test())
