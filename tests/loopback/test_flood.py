"""Strangers at the socket of a client that waits for its peer (spec/race.md, RACE-7 and RACE-8)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from reference.endpoint import EndpointLimits
from tests.loopback.conftest import Address, Puppet, Recorder, Watched, opened, path, puppet, run

WELCOME = "call-0af"
ROUNDS, JUNK, FOREIGN, UNFINISHED = 100, 20, 3, 3
"""A flood comes in rounds, each of which fits into the buffer of a socket."""


def initials(server: Address, name: str, *, large: bool) -> list[bytes]:
    """Return the first flight of a client: one packet, or two with a `large` ClientHello."""
    settings = QuicConfiguration(alpn_protocols=["wzp"], server_name=name, quantum_readiness_test=large)
    connection = QuicConnection(configuration=settings)
    connection.connect(server, now=0.0)
    return [data for data, _ in connection.datagrams_to_send(now=0.0)]


def junk(server: Address) -> Iterator[bytes]:
    """Yield first packets that nobody can decrypt, each of another connection."""
    noise = random.Random(11)
    (sample,) = initials(server, WELCOME, large=False)
    while True:
        yield sample[:6] + noise.randbytes(8) + sample[14:60] + noise.randbytes(len(sample) - 60)


class Refused(Puppet):
    """A socket that counts the connections whose refusal came back, by their ids."""

    def __init__(self) -> None:
        """Start without a refusal."""
        super().__init__()
        self.refused: set[bytes] = set()
        self.foreign: set[bytes] = set()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Note who was answered: an answer names the id that its client chose for itself."""
        del addr
        if data[6:14] in self.foreign:
            self.refused.add(data[6:14])
        self.changed()


async def flood(stranger: Refused, server: Watched) -> None:
    """Send 2,000 unreadable packets, 300 foreign ClientHellos and 300 that never go on."""
    unreadable = junk(server.address)
    for number in range(ROUNDS):
        for packet in islice(unreadable, JUNK):
            stranger.transport.sendto(packet, server.address)
        for _ in range(UNFINISHED):
            first, _second = initials(server.address, WELCOME, large=True)
            stranger.transport.sendto(first, server.address)
        for each in range(FOREIGN):
            (packet,) = initials(server.address, f"call-{number}-{each}", large=False)
            stranger.foreign.add(packet[15:23])
            stranger.transport.sendto(packet, server.address)
        await stranger.until(lambda: stranger.refused == stranger.foreign)


@pytest.mark.parametrize("half_open", [1, 256])
def test_a_flood_of_foreign_initials_does_not_keep_the_real_peer_from_winning(half_open: int) -> None:
    """A handshake under way when the flood comes completes behind it, and so does one begun afterwards."""

    async def test() -> None:
        heard, told, stranger = Recorder(), Recorder(), Refused()
        limits = EndpointLimits(half_open=half_open)
        async with (
            opened(heard, limits=limits) as acceptor,
            opened(told, None) as dialer,
            path(acceptor.address) as way,
            puppet(stranger),
        ):
            acceptor.welcome = frozenset({WELCOME})
            way.holding.add("server")
            dialer.dial(way.address, WELCOME)
            await way.until(lambda: way.held)
            await flood(stranger, acceptor)
            assert ROUNDS * FOREIGN == len(stranger.refused)
            assert acceptor.stats()["half_open"] == half_open
            assert 0 == acceptor.stats()["ended"] == acceptor.stats()["connections"]
            way.release(list.copy)
            await heard.times("connected")
            dialer.dial(acceptor.address, WELCOME)
            await heard.times("connected", 2)
            assert 2 * [WELCOME] == [sni for _, sni, *_ in heard.of("connected")]
            assert [] == [*heard.of("lost"), *told.of("lost")]

    run(test())
