"""Load: people at two linked relays who call each other without a pause, and what became of each call.

Rules of this file: whoever has ended a call places the next one, so the load is what the machine carries.
A call ends when both ends have heard all that the other one sent, so nothing is under way when it does; what
was not heard is known call by call. A call across the link is *touched* when the link was cut, or not up
again, at any time of it; any other one has to come to the end that people wanted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from bench import scenario
from bench.accounts import Story, Tally
from bench.clients import Client, Crowd, StepError
from bench.pair import Pair
from bench.process import Measured

DATAGRAMS = 25
"""Datagrams each way in a call."""
UNDER_WAY = 2
"""Datagrams that a party sends before it has heard one."""
GIVES_UP = 5
"""Every how manieth call is given up as soon as it rings."""
PATIENCE = 30.0
"""Seconds after which a call is stuck: all time-outs of relays are shorter."""
REST = 0.5
"""Seconds after a call that a cut has ended."""


class Way:
    """The link, as far as its users can tell."""

    def __init__(self, two: Pair) -> None:
        """Begin with a link that is up."""
        self._cable = two.cable
        self.cuts = 0
        self.up = True

    @property
    def whole(self) -> bool:
        """Tell whether the cable is."""
        return self._cable is None or not self._cable.cut

    def cut(self) -> None:
        """Cut the cable."""
        if self._cable is not None:
            self.cuts += 1
            self.up, self._cable.cut = False, True

    def mend(self) -> None:
        """Mend the cable; the link is up when somebody has talked over it."""
        if self._cable is not None:
            self._cable.cut = False

    def talked(self, cuts: int) -> None:
        """Learn that a call placed after so many cuts, with a whole cable, talks."""
        self.up = self.up or (self.whole and cuts == self.cuts)


@dataclass(slots=True)
class Load:
    """Everybody who makes calls, and what they know afterwards."""

    two: Pair
    sockets: Crowd
    way: Way
    calls: dict[tuple[str, str], Tally] = field(default_factory=dict)
    registrations: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    people: list[Client] = field(default_factory=list)
    over: bool = False

    @property
    def story(self) -> Story:
        """What its clients know."""
        return Story(self.calls, self.registrations, self.way.cuts)

    async def gather(self, couples: int, idle: int) -> list[Couple]:
        """Register the couples of each pair of relays, and so many people at each relay who only listen."""
        relays = (self.two.north, self.two.south)
        for relay in relays:
            await self._register(relay, idle)
        made = []
        for caller, callee in itertools.product(relays, relays):
            ends = caller.name, callee.name
            self.calls[ends] = Tally()
            here, there = await self._register(caller, couples), await self._register(callee, couples)
            made += [Couple(self, ends, *both) for both in zip(here, there, strict=True)]
        return made

    async def come_and_go(self, relay: Measured) -> None:
        """Register one new person after another, each of whom leaves again."""
        while not self.over:
            (person,) = await self._register(relay, 1)
            self.people.remove(person)
            await scenario.limited(person.leave(), "a client's leaving")

    async def _register(self, relay: Measured, count: int) -> list[Client]:
        found, _ = await scenario.register(self.sockets, relay, count, lambda _: None)
        self.registrations[relay.name] += count
        self.people += found
        return found


class Couple:
    """Two people, one of whom calls the other again and again."""

    def __init__(self, load: Load, ends: tuple[str, str], caller: Client, callee: Client) -> None:
        """Go by the relays `ends`, the caller's and the callee's."""
        self._load = load
        self._ends = ends
        self._both = caller, callee
        self._sent = {caller: 0, callee: 0}

    async def work(self) -> None:
        """Call until the load is over, or a call comes to another end than it should."""
        for number in itertools.count(1):
            if self._load.over:
                return
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._one(number)
            except (StepError, TimeoutError) as error:
                lines = ", ".join(str(party.line) for party in self._both)
                where = " to ".join(self._ends)
                self._load.failures.append(f"{where}: {str(error) or 'a call is stuck'} (its ends: {lines})")
                return

    async def _one(self, number: int) -> None:
        """Make one call, and count what became of it."""
        way, tally = self._load.way, self._load.calls[self._ends]
        caller, callee = self._both
        before, unbroken = way.cuts, way.up
        hopeful, gives_up = way.whole, number % GIVES_UP == 0
        for party in self._both:
            party.heard = self._sent[party] = 0
        tally.placed += 1
        caller.place(callee)
        met = await (self._rings() if gives_up else self._talks())
        if met:
            self._both[number % 2 and not gives_up].end()
        for party in self._both:
            await party.until(lambda party=party: party.idle and bool(party.ended or not met))  # type: ignore[misc]
        tally.heard_by_caller += caller.heard
        tally.heard_by_callee += callee.heard
        tally.lost += sum(self._sent.values()) - caller.heard - callee.heard
        if self._ends[0] != self._ends[1] and not (unbroken and way.cuts == before):
            tally.touched += 1
            if met and hopeful:
                way.talked(before)
            await asyncio.sleep(0 if met else REST)
        elif not met:
            raise StepError(f"a call ended with {caller.ended!r} and {callee.ended!r}")
        elif gives_up:
            tally.given_up += 1
        else:
            tally.talked += 1

    async def _rings(self) -> bool:
        """Wait until the caller is told that it rings; tell whether it was."""
        caller, _ = self._both
        await caller.until(lambda: caller.ringing or bool(caller.ended))
        return caller.ringing

    async def _talks(self) -> bool:
        """Wait until both have heard all that is said; tell whether they have."""
        for party in self._both:
            await party.until(lambda party=party: party.talking or self._over)  # type: ignore[misc]
        if self._over:
            return False
        for party in self._both:
            party.answered = partial(self._speak, party)
        for party in UNDER_WAY * self._both:
            self._speak(party)
        for party in self._both:
            await party.until(lambda party=party: party.heard >= DATAGRAMS or self._over)  # type: ignore[misc]
        return not self._over

    @property
    def _over(self) -> bool:
        return any(party.ended for party in self._both)

    def _speak(self, party: Client) -> None:
        if self._sent[party] < DATAGRAMS and party.talking:
            self._sent[party] += 1
            party.speak()
        party.changed()
