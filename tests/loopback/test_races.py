"""Races over loopback: what a thousand of them leave behind (spec/race.md, The dialer)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import Iterator

from reference.core.errors import REASONS, CloseCode
from reference.endpoint import Credentials
from reference.quic.connection import Connection
from tests.loopback.conftest import LOOPBACK, Address, Recorder, Watched, opened, run

RACES, AT_ONCE = 1000, 20


class Dialer(Recorder):
    """A client that dials all candidates of a call at once and keeps the first that answers (RACE-5)."""

    endpoint: Watched

    def __init__(self) -> None:
        """Start without a race."""
        super().__init__()
        self.rivals: dict[int, list[int]] = {}
        self.winners: list[int] = []

    def race(self, candidates: list[Address], name: str) -> None:
        """Dial all candidates of one call."""
        sessions = [self.endpoint.dial(candidate, name) for candidate in candidates]
        self.rivals |= {session: [it for it in sessions if it != session] for session in sessions}

    def connected(self, session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
        """Keep a winner, give up its rivals."""
        for rival in self.rivals[session]:
            self.endpoint.close(rival, CloseCode.NOT_SELECTED, REASONS[CloseCode.NOT_SELECTED])
        self.winners.append(session)
        super().connected(session, sni, address, fingerprint)

    def hang_up(self) -> None:
        """Close every winner."""
        for winner in self.winners:
            self.endpoint.close(winner, CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
        self.winners.clear()
        self.rivals.clear()


@contextlib.contextmanager
def dead(count: int) -> Iterator[list[Address]]:
    """Give addresses at which packets vanish."""
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
        for each in silent:
            each.bind((LOOPBACK, 0))
        yield [each.getsockname() for each in silent]


def alive() -> int:
    """Count the connections of the stack that are still in memory, in forgotten circles too."""
    return sum(isinstance(each, Connection) for each in gc.get_objects())


def test_a_thousand_races_leave_nothing_behind() -> None:
    """Of three candidates, two of them dead, the live one wins each race; then no table holds a thing."""

    async def test() -> None:
        heard, told = Recorder(), Dialer()
        with dead(2) as nobody:
            async with opened(heard) as acceptor, opened(told, Credentials.fresh()) as dialer:
                told.endpoint, dialer.welcome = dialer, frozenset()
                for done in range(0, RACES, AT_ONCE):
                    calls = [f"call-{done + number}" for number in range(AT_ONCE)]
                    acceptor.welcome = frozenset(calls)
                    for number, call in enumerate(calls):
                        candidates = [*nobody]
                        candidates.insert(number % 3, acceptor.address)
                        told.race(candidates, call)
                    await told.times("connected", done + AT_ONCE)
                    await heard.times("connected", done + AT_ONCE)
                    told.hang_up()
                    await heard.times("lost", done + AT_ONCE)
                acceptor.welcome = frozenset()
                await told.times("lost", 3 * RACES)
                for end in (acceptor, dialer):
                    await end.forgotten.until(lambda end=end: not end.stats()["ended"])  # type: ignore[misc]
                assert {0} == {*acceptor.stats().values(), *dialer.stats().values()}
                assert 0 == alive()
                scheduled = [it for it in vars(acceptor._loop)["_scheduled"] if not it.cancelled()]
                assert 1 == len(scheduled), "the guard of the test is the only timer"
                codes = [code for _, code, *_ in told.of("lost")]
                assert 2 * RACES == codes.count(CloseCode.NOT_SELECTED)
                names = [sni for _, sni, *_ in heard.of("connected")]
                assert [f"call-{number}" for number in range(RACES)] == sorted(names, key=call_number)

    run(test())


def call_number(name: str) -> int:
    """Return the number in a server name."""
    return int(name.removeprefix("call-"))


def test_a_dial_that_is_given_up_is_known_to_be_by_the_acceptor() -> None:
    """A handshake that its dialer gives up leaves the tables of the acceptor at once, and nobody is told."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as acceptor, opened(told, None) as dialer:
            answered = asyncio.Event()
            honest = dialer.datagram_received

            def first_answer(data: bytes, addr: Address) -> None:
                del data, addr
                answered.set()

            dialer.datagram_received = first_answer  # type: ignore[method-assign]
            dialled = dialer.dial(acceptor.address, "call-1")
            await answered.wait()
            assert 1 == acceptor.stats()["half_open"]
            dialer.close(dialled, CloseCode.NOT_SELECTED, REASONS[CloseCode.NOT_SELECTED])
            dialer.datagram_received = honest  # type: ignore[method-assign]
            await acceptor.forgotten.until(lambda: not acceptor.stats()["half_open"])
            assert {0} == set(acceptor.stats().values())
            assert [] == heard.told

    run(test())
