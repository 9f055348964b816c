"""Seats: the connections on which plans are performed, registered once and used for many plans.

Rules of this file: a handshake is the dear part of a dialogue, so a seat is kept for the next plan as long as
the relay's allowances last (spec/errors.md, Limits), and left when they do not; what is said in one beat
leaves in one packet, with the Ping behind it that tells when it has been handled.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance import codec, identity, link
from conformance.codec import Message, body_of, name_of
from conformance.dialogue import FENCES, Dialogue
from conformance.identity import Identity
from conformance.pulse import Pulse
from conformance.puppet import Heard, Puppet
from conformance.verdicts import Untestable

HANDSHAKE = 3.0
PATIENCE = 2.0
PLANS_A_SEAT = 200
"""Plans after which a seat is left: what a connection remembers of its streams is not to grow for ever."""
BAD_A_SEAT = 40
"""Bad messages after which a seat is left, well below those that a relay closes a connection for."""
TROUPES = 9
"""Groups of seats that there are at most; a plan is performed by one of them."""
SEATS = 4
"""Seats that most plans need; more are few and soon gone."""
_SHARE = 0.6  # of the connections that a relay has room for

MOST_UNENDED = 32
"""Streams of the other side that wait for the next packet to be ended with it."""
_OPENED_THERE = 1

Listener = Callable[["Seat", Message], None]


class Allowance:
    """A bucket of a relay's: so much at once, refilled by so much a second; ours is a little smaller."""

    def __init__(self, burst: float, rate: float) -> None:
        """Start full."""
        self._burst = self._left = burst
        self._rate = rate * 0.9
        self._since = asyncio.get_running_loop().time()

    def take(self, count: int) -> bool:
        """Take as many out; tell whether that many were left."""
        now = asyncio.get_running_loop().time()
        self._left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        self._left -= count
        return self._left >= 0


class Seat(Puppet):
    """A puppet of plans: one packet a beat, and nothing remembered from one plan to the next."""

    def __init__(self, name: str, who: Identity, pulse: Pulse, phase: str) -> None:
        """Start unconnected, in a dialogue of its own."""
        super().__init__(name, who, Dialogue(), pulse, phase)
        self.listener: Listener | None = None
        self.room = ""
        self._asked = self._told = 0
        self._unended: list[int] = []
        self._speaking: dict[str, Identity] = {}

    def begin(self, name: str, dialogue: Dialogue, listener: Listener) -> None:
        """Play this person from now on; everything heard before is forgotten."""
        self.name, self._dialogue, self.listener = name, dialogue, listener
        self.inbox.clear()
        self.datagrams.clear()
        self._raw.clear()
        self._messages.clear()
        self._faults.clear()

    def say(self, message: Message) -> None:
        """Say something with the next packet."""
        self._dialogue.note(self.name, "->", message)
        self.send_bytes(codec.encode(message), noted=True, flush=False)

    def ask(self, number: int) -> None:
        """Send what was said, and a Ping behind it; `through` tells when all of it has been handled."""
        self._asked += 1
        self._end_streams()
        self.send_bytes(codec.encode(identity.ping(number)), noted=True)

    @property
    def through(self) -> bool:
        """Whether every Ping has been answered, or none will be any more.

        Pongs are counted: one with another number tells as well that a Ping was handled (REG-20).
        """
        return self._told >= self._asked or not self.alive

    def speaking(self, phase: str) -> Identity:
        """Return who sits here, as a client of a phase."""
        return self._speaking.setdefault(phase, self.identity.of(phase))

    def _take(self, stream: int, data: bytes, *, end: bool) -> None:
        for number, content in self.streams.take(stream, data, end=end):
            self._hear(number, content)
        if end and stream % 4 == _OPENED_THERE and stream not in self.reset | self.stopped:
            self._unended.append(stream)
            if len(self._unended) > MOST_UNENDED:
                self._end_streams()

    def _end_streams(self) -> None:
        """End this side's half of the streams that the other side has opened (TRANS-11)."""
        for stream in self._unended:
            if self.alive:
                self.quic.send_stream_data(stream, b"", end_stream=True)
        self._unended.clear()

    def _hear(self, stream: int, content: bytes) -> None:
        try:
            message = codec.decode(content)
        except codec.NotAMessageError:
            super()._hear(stream, content)
            return
        if name_of(message) == "Pong":
            self._told += 1
            return
        self._dialogue.note(self.name, "<-", message)
        self._messages.append(message)
        self.inbox.append(Heard(stream, name_of(message), body_of(message)))
        if self.listener is not None:
            self.listener(self, message)


@dataclass
class Place:
    """A place of a troupe: its seat, and what the relay still allows it."""

    seat: Seat
    offers: Allowance
    reflections: Allowance
    bad: int = 0
    plans: int = 0


@dataclass
class Troupe:
    """Seats that perform together, and the call_ids of what they performed last."""

    pulse: Pulse = field(default_factory=Pulse)
    places: list[Place] = field(default_factory=list)
    stale: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Needs:
    """What a plan takes from one person's allowances."""

    offers: int = 0
    reflections: int = 0
    bad: int = 0


class Company:
    """The troupes that perform at one relay."""

    def __init__(
        self, address: tuple[str, int], seed: str, *, phase: str, slow: float, limits: Mapping[str, float]
    ) -> None:
        """Perform at this address; `seed` decides every identity, `slow` scales every patience."""
        self.address = address
        self.phase = phase
        self.slow = slow
        self.numbers = itertools.count(FENCES)
        self._seed = seed
        self._limits = limits
        self._people = itertools.count(1)
        room = int(limits["connections"] * _SHARE) // SEATS
        self.troupes = max(1, min(TROUPES, room))
        self._hired = 0
        self._free: deque[Troupe] = deque()
        self._all: list[Seat] = []

    def somebody(self) -> Identity:
        """Return an identity that nobody has."""
        return Identity.named(self._seed, "seat", next(self._people), phase=self.phase)

    def hire(self) -> Troupe:
        """Return a troupe: a new one while there is room, then the one that has rested longest."""
        self._hired += 1
        full = self._hired + len(self._free) > self.troupes
        return self._free.popleft() if full and self._free else Troupe()

    def release(self, troupe: Troupe, *, sound: bool) -> None:
        """Take a troupe back, or let its people go when what they performed was not in order."""
        self._hired -= 1
        if sound:
            self._free.append(troupe)
            return
        for place in troupe.places:
            self.drop(place.seat)

    async def place(self, troupe: Troupe, at: int, needs: Needs) -> Seat:
        """Return a seat of a troupe that may do as much; raises Untestable when nobody can register."""
        if at < len(troupe.places):
            place = troupe.places[at]
            if self._serves(place, needs):
                return place.seat
            self.drop(place.seat)
        seat = await self.register(self.somebody(), troupe.pulse)
        made = Place(
            seat,
            Allowance(self._limits["offers_burst"], self._limits["offers_per_second"]),
            Allowance(self._limits["reflections_burst"], self._limits["reflections_per_second"]),
        )
        self._serves(made, needs)
        troupe.places[at : at + 1] = [made]
        return seat

    def _serves(self, place: Place, needs: Needs) -> bool:
        place.plans += 1
        place.bad += needs.bad
        enough = [place.offers.take(needs.offers), place.reflections.take(needs.reflections)]
        return place.seat.alive and all(enough) and place.bad <= BAD_A_SEAT and place.plans <= PLANS_A_SEAT

    async def register(self, who: Identity, pulse: Pulse, address: tuple[str, int] | None = None) -> Seat:
        """Connect somebody and register; raises Untestable when the relay does not take part."""
        seat = await self.dial(who, "_signal", pulse, address)
        seat.say(who.registration())
        seat.ask(next(self.numbers))
        if not await self.until(pulse, lambda: seat.through, PATIENCE) or not seat.alive:
            message = f"a registration was followed by {seat.closed or 'no answer to a Ping'}"
            raise Untestable(message)
        return seat

    async def dial(
        self,
        who: Identity,
        server_name: str,
        pulse: Pulse,
        address: tuple[str, int] | None = None,
        **options: Any,  # noqa: ANN401 - handed to link.dial
    ) -> Seat:
        """Connect somebody; raises Untestable when the handshake does not complete."""
        seat = Seat("somebody", who, pulse, self.phase)
        made = await link.dial(address or self.address, seat.notice, server_name=server_name, **options)
        seat.attach(made)
        self._all.append(seat)
        done = await self.until(pulse, lambda: seat.connected or bool(seat.closed), HANDSHAKE)
        if not done or not seat.connected:
            self.drop(seat)
            message = (
                f"a handshake with the server name {server_name!r} ended with {seat.closed or 'nothing'}"
            )
            raise Untestable(message)
        return seat

    async def until(self, pulse: Pulse, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition, at most `seconds` times the run's scale."""
        return await pulse.until(condition, seconds * self.slow)

    def drop(self, seat: Seat) -> None:
        """Let somebody go."""
        seat.listener = None
        seat.abandon()
        self._all = [one for one in self._all if one is not seat]

    def close(self) -> None:
        """Let everybody go."""
        for seat in self._all:
            seat.abandon()
        self._all.clear()
        self._free.clear()
