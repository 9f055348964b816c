"""Offender: `python -m bench.offender KIND IP:PORT`, one client that misbehaves in one way.

Rules of this file: every offence has an end, in seconds and in number, and goes to one relay of loopback.
The offender says on standard output when it is ready, waits for a line on standard input, and says in the end
what it did and how its connections ended; both are lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NamedTuple

import typer

from bench.bare import Bare, first_flight
from bench.clients import Client, Crowd, StepError
from bench.process import LOOPBACK
from reference.core import media, messages, wire
from reference.core.addresses import parse_address
from reference.core.errors import CloseCode
from reference.core.line import Leg
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.endpoint import EndpointLimits

BEAT = 0.01
"""Seconds between two looks at what is due."""
STREAMS = 100
"""Streams that every relay lets its peer open (TRANS-16)."""
BURST = 100
"""The most that is done in one go."""
CREDIT = 8
"""Streams that the slow reader grants."""
DATAGRAM = 1_000
"""Bytes of a datagram that nobody wants."""
TWICE_TEN_THOUSAND = 21_000
"""Bad messages: of those that are under way when the relay closes a connection it reads none."""
GIVES_WAY = 10
"""How much an offender gives way to others on this machine: its work is not to look like the relay's."""


class Kind(StrEnum):
    """What a client can do to a relay and to the others there."""

    OFFERS = "offers"
    REGISTRATIONS = "registrations"
    HALF_OPEN = "half-open"
    SLOW = "slow-reader"
    STARVING = "unfinished"
    REFLECTIONS = "reflections"
    LARGE = "large"
    NUMBERS = "numbers"
    UNKNOWN = "unknown"
    DATAGRAMS = "datagrams"
    STRANGERS = "strangers"
    BAD = "bad"


class Measure(NamedTuple):
    """How fast something is done, how often at most, and how many times as long as asked for."""

    per_second: float
    most: int
    times: int = 1


class Throng(Crowd):
    """The connections of an offender: it notes which of them the relay closed, and why."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.held_back = 0
        self.ended: Counter[str] = Counter()

    def over(self, code: int) -> None:
        """Count an end by its code."""
        self.ended[CloseCode(code).name if code in set(CloseCode) else "LOST"] += 1

    def slow(self, session: int) -> None:
        """Count a frame that found no room, because the relay grants only so many streams."""
        del session
        self.held_back += 1

    def lost(self, session: int, code: int, reason: str, by_peer: bool) -> None:  # noqa: FBT001 - told by position
        """Count what the relay has closed."""
        if by_peer:
            self.over(code)
        super().lost(session, code, reason, by_peer)


class Stranger:
    """A connection to the room of others, which says a whole CallOffer there."""

    def __init__(self, crowd: Crowd, relay: tuple[str, int], room: str) -> None:
        """Start the connection."""
        self._crowd = crowd
        self._who = Identity.from_seed(secrets.token_bytes(32))
        self.over = asyncio.Event()
        crowd.dial(self, relay, f"call-{room}")

    def connected(self, session: int) -> None:
        """Introduce itself as a participant does."""
        public = media.ephemeral_public(secrets.token_bytes(32))
        join = messages.CallOffer(
            identity_pub=self._who.public,
            ephemeral_pub=public,
            signature=self._who.sign(public + media.OFFER),
            supported_profiles=[media.GOOD],
        )
        self._crowd.endpoint.send(session, wire.encode(join, NEWEST))

    def frame(self, session: int, payload: bytes) -> None:
        """Be let in, which no relay should do; the close is what is counted."""

    def datagram(self) -> None:
        """Hear what is not meant for it."""

    def lost(self, session: int, code: int, reason: str) -> None:
        """Be sent away."""
        del session, code, reason
        self.over.set()


@dataclass(slots=True)
class Offender:
    """A client with a bad intent; `target` is whom it rings, `room` the call_id of others."""

    relay: tuple[str, int]
    target: str
    room: str
    measure: Measure
    seconds: float
    crowd: Throng
    tried: int = 0

    @property
    def done(self) -> int:
        """How much was done; what the relay left no room for was only tried."""
        return self.tried - self.crowd.held_back

    async def due(self) -> AsyncIterator[int]:
        """Yield how many are due again and again, until all are done or the time is over."""
        began, allowed = time.monotonic(), self.seconds * self.measure.times
        while self.done < self.measure.most and (at := time.monotonic() - began) < allowed:
            wanted = min(int(at * self.measure.per_second) + 1, self.measure.most)
            count = min(wanted - self.done, BURST)
            if count > 0:
                yield count
            await asyncio.sleep(BEAT)

    async def person(self) -> Client:
        """Register somebody."""
        client = Client(self.crowd, self.relay)
        await client.register()
        return client

    async def says(self, payload: Callable[[], bytes]) -> None:
        """Say something again and again as somebody registered, who comes back when it is sent away."""
        person = await self.person()
        async for count in self.due():
            if Leg.SIGNAL not in person.sessions:
                person = await self.person()
            for _ in range(count):
                self.crowd.endpoint.send(person.sessions[Leg.SIGNAL], payload())
            self.tried += count

    async def offers(self) -> None:
        """Ring somebody who does not answer, with a new call each time."""
        who = Identity.from_seed(secrets.token_bytes(32))

        def offer() -> bytes:
            call = messages.DirectCallOffer(
                caller_fingerprint=who.fingerprint,
                target_fingerprint=self.target,
                call_id=secrets.token_hex(16),
                identity_pub=who.public,
                ephemeral_pub=bytes(32),
                signature=bytes(64),
                supported_profiles=[media.GOOD],
            )
            return wire.encode(call, NEWEST)

        await self.says(offer)

    async def registrations(self) -> None:
        """Register new people and leave none of them."""
        people = []
        async for count in self.due():
            people += [Client(self.crowd, self.relay) for _ in range(count)]
            await asyncio.gather(*(person.register() for person in people[-count:]))
            self.tried += count

    async def half_open(self) -> None:
        """Begin handshakes and never go on."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((LOOPBACK, 0))
            async for count in self.due():
                for _ in range(count):
                    for packet in first_flight(self.relay, "_signal"):
                        sender.sendto(packet, self.relay)
                self.tried += count

    async def slow_reader(self) -> None:
        """Ask all the time, and leave no room for the answers."""
        await self._barely(lambda one: one.say(messages.Ping(timestamp_ms=1)), CREDIT)

    async def unfinished(self) -> None:
        """Open all the streams there are, begin a message on each and finish none."""
        await self._barely(lambda one: one.begin(1024, 8), None, STREAMS)

    async def datagrams(self) -> None:
        """Send what looks like media where there is none."""
        person, data = await self.person(), bytes(DATAGRAM)
        async for count in self.due():
            for _ in range(count):
                self.crowd.endpoint.send_datagram(person.sessions[Leg.SIGNAL], data)
            self.tried += count

    async def strangers(self) -> None:
        """Knock at the room of a call of others."""
        everybody = []
        async for count in self.due():
            everybody += [Stranger(self.crowd, self.relay, self.room) for _ in range(count)]
            self.tried += count
        with suppress(TimeoutError):  # a relay that lets one stay is found out by its count
            await asyncio.wait_for(asyncio.gather(*(one.over.wait() for one in everybody)), self.seconds)

    async def _barely(self, act: Callable[[Bare], None], streams: int | None, most: int = 1 << 30) -> None:
        """Act on a bare connection, `most` times on one; take another one when it is closed."""
        one, acted = None, 0
        try:
            async for count in self.due():
                if one is None or one.over.is_set():
                    if one is not None:
                        one.let_go()
                    one, acted = await Bare.registered(self.relay, self.crowd.over, streams), 0
                for _ in range(min(count, most - acted)):
                    act(one)
                    acted += 1
                    self.tried += 1
        finally:
            if one is not None:
                one.let_go()


def large(filling: bytes) -> bytes:
    """Return a Ping of exactly as many bytes as a frame may have, most of them in a member nobody knows."""
    head, tail = b'{"Ping":{"timestamp_ms":1,"filling":[0', b"]}}"
    room = wire.FRAME_LIMIT - len(head) - len(tail)
    body = filling * (room // len(filling))
    return head + body + b" " * (room - len(body)) + tail


OFFENCES: dict[Kind, tuple[Measure, Callable[[Offender], Awaitable[None]]]] = {
    Kind.OFFERS: (Measure(500, 100_000), Offender.offers),
    Kind.REGISTRATIONS: (Measure(50, 1_000), Offender.registrations),
    Kind.HALF_OPEN: (Measure(100, 2_000), Offender.half_open),
    Kind.SLOW: (Measure(500, 100_000), Offender.slow_reader),
    Kind.STARVING: (Measure(500, 10_000), Offender.unfinished),
    Kind.REFLECTIONS: (
        Measure(500, 100_000),
        lambda one: one.says(lambda: wire.encode(messages.Reflect(), NEWEST)),
    ),
    Kind.LARGE: (Measure(2, 100), lambda one: one.says(lambda: large(b',"' + bytes([65]) * 65_536 + b'"'))),
    Kind.NUMBERS: (Measure(1, 100), lambda one: one.says(lambda: large(b",1"))),
    Kind.UNKNOWN: (Measure(2_000, 100_000), lambda one: one.says(lambda: b'"Nothing"')),
    Kind.DATAGRAMS: (Measure(2_000, 100_000), Offender.datagrams),
    Kind.STRANGERS: (Measure(30, 1_000), Offender.strangers),
    Kind.BAD: (Measure(2_000, TWICE_TEN_THOUSAND, times=6), lambda one: one.says(lambda: b"{")),
}
"""How much of each is done, and what it is."""


async def offend(kind: Kind, offender: Offender) -> dict[str, object]:
    """Misbehave, and return what was done and how it ended."""
    _, act = OFFENCES[kind]
    await act(offender)
    crowd = offender.crowd
    return {"done": offender.done, "held_back": crowd.held_back, "ended": crowd.ended}


async def _run(kind: Kind, relay: tuple[str, int], target: str, room: str, seconds: float) -> None:
    crowd = await Throng.open(LOOPBACK, EndpointLimits())
    offender = Offender(relay, target, room, OFFENCES[kind][0], seconds, crowd)
    try:
        print(json.dumps({"ready": kind}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps(await offend(kind, offender)), flush=True)
    finally:
        await crowd.close()


def main(
    kind: Kind,
    relay: str,
    target: Annotated[str, typer.Option(help="fingerprint of whoever is rung")] = "",
    room: Annotated[str, typer.Option(help="call_id of a call of others")] = "",
    seconds: Annotated[float, typer.Option(min=0.1, help="how long at most")] = 5.0,
) -> None:
    """Misbehave in one way against a relay of this machine."""
    os.nice(GIVES_WAY)
    try:
        asyncio.run(_run(kind, parse_address(relay), target, room, seconds))
    except (StepError, ConnectionError) as error:
        print(f"offender: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
