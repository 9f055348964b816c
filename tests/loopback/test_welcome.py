"""Whom an endpoint lets in (spec/race.md, The acceptor): the server names that are welcome."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import pytest
from aioquic.quic import events

from reference.core.errors import REASONS, CloseCode, Misuse
from reference.endpoint import Credentials, Endpoint
from tests.loopback.conftest import LOOPBACK, Puppet, Recorder, opened, path, puppet, run

UNRECOGNIZED_NAME = 0x100 + 112
WELCOME = "call-0af"


@pytest.mark.parametrize(
    ("welcome", "settings"),
    [
        (frozenset({WELCOME}), {"server_name": "call-1"}),
        (frozenset({WELCOME}), {"server_name": None}),
        (frozenset({WELCOME}), {"server_name": LOOPBACK}),
        (frozenset({WELCOME}), {"server_name": "call-1", "quantum_readiness_test": True}),
    ],
)
def test_a_stranger_is_refused_and_leaves_nothing_behind(
    welcome: frozenset[str], settings: dict[str, Any]
) -> None:
    """A name that is not welcome, or none, ends in the alert unrecognized_name; nobody is told or kept."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as acceptor, puppet(Puppet(**settings)) as stranger:
            acceptor.welcome = welcome
            stranger.dial(acceptor.address)
            await stranger.event(events.ConnectionTerminated, error_code=UNRECOGNIZED_NAME)
            assert {0} == set(acceptor.stats().values())
            assert [] == heard.told

    run(test())


def test_who_expects_nobody_does_not_answer() -> None:
    """While no name is welcome a handshake meets silence, so that nobody is found by trying addresses."""

    async def test() -> None:
        heard = Recorder()
        async with (
            opened(heard) as acceptor,
            opened(Recorder()) as peer,
            puppet(Puppet(server_name=WELCOME)) as stranger,
        ):
            acceptor.welcome = frozenset()
            stranger.dial(acceptor.address)
            acceptor.dial(peer.address, WELCOME)  # its answer comes in behind the stranger's packet
            await heard.times("connected")
            assert 0 == stranger.received
            assert (1, 0) == (acceptor.stats()["connections"], acceptor.stats()["half_open"])

    run(test())


def test_a_welcome_name_gets_in_after_a_stranger() -> None:
    """A refusal uses nothing up: the peer with the right name, in any case of letters, comes in."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as acceptor, opened(told, None) as dialer:
            acceptor.welcome = frozenset({WELCOME, f"call-{WELCOME}"})
            dialer.dial(acceptor.address, "call-1")
            await told.times("lost")
            for count, name in enumerate((WELCOME.upper(), f"call-{WELCOME}"), start=1):
                dialer.dial(acceptor.address, name)
                await heard.times("connected", count)
            assert [WELCOME, f"call-{WELCOME}"] == [sni for _, sni, *_ in heard.of("connected")]

    run(test())


def test_who_is_in_stays_in() -> None:
    """A change of the welcome names closes no connection that is there."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as acceptor, opened(told, None) as dialer:
            acceptor.welcome = frozenset({WELCOME})
            inside = dialer.dial(acceptor.address, WELCOME)
            await asyncio.gather(heard.times("connected"), told.times("connected"))
            acceptor.welcome = frozenset()
            dialer.dial(acceptor.address, WELCOME)
            await told.times("lost")
            dialer.send(inside, b"still here")
            await heard.times("frame")
            assert [] == heard.of("lost")

    run(test())


def test_a_name_that_is_welcome_no_more_is_refused_at_the_end_of_its_handshake() -> None:
    """A handshake that outlasts its call is closed when it completes, and the owner never hears of it."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as acceptor, opened(told, None) as dialer, path(acceptor.address) as way:
            acceptor.welcome = frozenset({WELCOME})
            way.holding.add("server")
            dialled = dialer.dial(way.address, WELCOME)
            await way.until(lambda: way.held)
            acceptor.welcome = frozenset()
            way.release(list.copy)
            await told.times("lost")
            code = CloseCode.NO_SUCH_SERVICE
            assert [("lost", dialled, code, REASONS[code], True)] == told.told[-1:]
            assert [] == heard.told
            assert 0 == acceptor.stats()["connections"] == acceptor.stats()["half_open"]

    run(test())


def test_one_socket_dials_and_accepts() -> None:
    """A client's socket keeps its connection to the relay while a peer dials it there, from its own one."""

    async def test() -> None:
        relay, alice, bob = Recorder(), Recorder(), Recorder()
        async with (
            opened(relay) as door,
            opened(alice, Credentials.fresh()) as acceptor,
            opened(bob, Credentials.fresh()) as dialer,
        ):
            acceptor.welcome = dialer.welcome = frozenset()
            for end in (acceptor, dialer):
                end.dial(door.address, "_signal")
            await relay.times("connected", 2)
            acceptor.welcome = frozenset({WELCOME})
            dialer.dial(acceptor.address, WELCOME)
            await asyncio.gather(alice.times("connected", 2), bob.times("connected", 2))
            at_relay = {address for _, _, address, _ in relay.of("connected")}
            (among_peers,) = (it[2] for it in alice.of("connected") if it[1] == WELCOME)
            assert among_peers in at_relay, "the peer comes from the port that its relay sees"

    run(test())


def test_two_endpoints_of_one_client_share_their_numbers() -> None:
    """No two sessions of one client have one number, whichever of its sockets they are on."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server:
            numbers = itertools.count(1)
            ends = [await Endpoint.open(LOOPBACK, 0, told, None, numbers=numbers) for _ in range(2)]
            try:
                dialled = [end.dial(server.address, "_signal") for end in (*ends, *ends)]
                assert [1, 2, 3, 4] == dialled
                await told.times("connected", 4)
            finally:
                for end in ends:
                    await end.shutdown(0, "normal close")

    run(test())


@pytest.mark.parametrize("six_only", [True, False])
def test_a_second_socket_is_for_ipv6_alone(six_only: bool) -> None:  # noqa: FBT001 - parameters
    """An IPv6-only socket may have the port of the IPv4 one, connects over IPv6 and refuses IPv4."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard, host="::1") as server, opened(Recorder()) as four:
            six = await Endpoint.open("::", 0, told, None, six_only=six_only)
            try:
                six.dial(server.address, "_signal")
                await told.times("connected")
                if six_only:
                    with pytest.raises(Misuse, match=r"does not reach 127\.0\.0\.1"):
                        six.dial(four.address, "_signal")
                else:
                    six.dial(four.address, "_signal")
                    await told.times("connected", 2)
            finally:
                await six.shutdown(0, "normal close")
            twin = await Endpoint.open("::", four.address[1], told, None, six_only=True)
            assert four.address[1] == twin.address[1]
            await twin.shutdown(0, "normal close")
            with pytest.raises(Misuse, match=r"127\.0\.0\.1 is no IPv6 socket"):
                await Endpoint.open(LOOPBACK, 0, told, None, six_only=True)

    run(test())


def test_a_host_without_ipv6_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no IPv6 the second socket fails with an OSError, and nothing is left open."""
    honest = socket.socket

    def four_only(family: int, *rest: Any) -> socket.socket:  # noqa: ANN401 - passed on
        if family == socket.AF_INET6:
            raise OSError(97, "address family not supported by protocol")
        return honest(family, *rest)

    async def test() -> None:
        monkeypatch.setattr(socket, "socket", four_only)
        with pytest.raises(OSError, match="not supported"):
            await Endpoint.open("::", 0, Recorder(), None, six_only=True)
        monkeypatch.undo()

    run(test())


def test_an_address_that_is_taken_says_so() -> None:
    """Binding a port twice raises OSError and leaks no socket."""

    async def test() -> None:
        async with opened(Recorder()) as first:
            with pytest.raises(OSError, match="in use"):
                await Endpoint.open(LOOPBACK, first.address[1], Recorder(), None)

    run(test())
