"""Two ends of one call, a network that does its worst, and in the end they hear each other (agreement).

The machines of both ends run in virtual time. Hypothesis decides how long each attempt, close and report
takes and which of them never arrive, when the direct path dies, and in which direction. The path through the
relay works. What is asked: after all that, each end hears the other.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core import media
from reference.core.agreement import Path
from reference.core.effects import Close, Dial, Effect, Send, Welcome
from reference.core.line import FIRST_DIRECT, Account, Alarm, Leg
from reference.core.media import GOOD
from reference.core.messages import CallAnswer, CallOffer, MediaPathReport, RoomUpdate
from reference.core.paths import Paths
from reference.core.phases import Phase
from reference.core.race import Race, Role
from reference.core.seat import Seat
from reference.core.timers import Timers
from tests.world import RELAY, entropy, identity

LATENCY = 0.05
FRAME = 0.25
IDLE = 30.0
"""Seconds after which QUIC gives a connection up on which nothing arrives."""
CALM = 8.0
"""Seconds until everything has happened that is late and not lost."""
NEVER = 1e9
RELAYS = identity("relay")

delays = st.one_of(st.floats(0, 0.3), st.floats(0, 5), st.just(NEVER))
attempts = st.tuples(st.one_of(st.floats(0, 2.5), st.just(NEVER)), st.floats(0, 0.5))


@dataclass(frozen=True)
class Fate:
    """What the network does: `attempts` are the seconds until each completes here and, then, there."""

    start: float
    attempts: tuple[tuple[float, float], ...]
    reports: tuple[float, float]
    closes: tuple[float, ...]
    death: tuple[float, float]
    phases: tuple[Phase, Phase]


fates = st.builds(
    Fate,
    start=st.floats(0, 0.6),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    reports=st.tuples(delays, delays),
    closes=st.lists(delays, min_size=4, max_size=4).map(tuple),
    death=st.tuples(st.one_of(st.just(NEVER), st.floats(0, 6)), st.one_of(st.just(NEVER), st.floats(0, 6))),
    phases=st.tuples(*[st.sampled_from([Phase.RACE, Phase.HOST_CANDIDATES, Phase.PATH_AGREEMENT])] * 2),
)


@dataclass(eq=False)
class End:
    """One end: its machine, what it has open, when it last heard the other, and which way its frames die."""

    name: str
    paths: Paths
    timers: Timers[Alarm]
    death: float
    report: float
    ties: dict[int, tuple[End, int]] = field(default_factory=dict)
    spoken: dict[int, float] = field(default_factory=dict)
    in_room: bool = False
    welcome: bool = False
    heard: float = -1.0


class Call:
    """One call: two ends, the room between them, and everything that is on its way."""

    def __init__(self, fate: Fate) -> None:
        """Prepare both ends; the first dials, the second accepts."""
        self.fate = fate
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = itertools.count()
        self._closes = itertools.cycle(fate.closes)
        candidates = tuple(f"192.0.2.{n}:5000" for n in range(1, len(fate.attempts) + 1))
        self.dialer = self._end("dialer", Role.DIALER, candidates, 0)
        self.acceptor = self._end("acceptor", Role.ACCEPTOR, (), 1)
        self.ends = (self.dialer, self.acceptor)

    def _end(self, name: str, role: Role, candidates: tuple[str, ...], place: int) -> End:
        account = replace(Account(identity(name), RELAY), phase=self.fate.phases[place])
        timers: Timers[Alarm] = Timers()
        race = Race("c1", role, candidates, itertools.count(FIRST_DIRECT).__next__)
        seat = Seat("c1", RELAY, account, timers, entropy(name))
        paths = Paths(race, seat, account, timers)
        return End(name, paths, timers, self.fate.death[place], self.fate.reports[place])

    def other(self, end: End) -> End:
        """Return the other end."""
        return self.acceptor if end is self.dialer else self.dialer

    def at(self, after: float, what: Callable[[], None]) -> None:
        """Let something happen later, unless it never does."""
        if after < NEVER:
            heapq.heappush(self._events, (self.now + after, next(self._serial), what))

    def run(self, until: float) -> None:
        """Start both ends, let them speak, and turn the clock."""
        for end, start in ((self.dialer, 0.0), (self.acceptor, self.fate.start)):
            self.at(start, lambda end=end: self.does(end, end.paths.start(self.now, early=None)))  # type: ignore[misc]
            self.at(start, lambda end=end: self.speak(end))  # type: ignore[misc]
        while self.now < until:
            wakes = [at for end in self.ends if (at := end.timers.next()) is not None]
            happens = self._events[0][0] if self._events else NEVER
            self.now = max(self.now, min([happens, *wakes, until]))
            for end in self.ends:
                for alarm in end.timers.due(self.now):
                    self.does(end, end.paths.alarm(alarm, self.now))
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()

    def does(self, end: End, effects: list[Effect]) -> None:
        """Perform what a machine wants."""
        for effect in effects:
            match effect:
                case Dial(leg=Leg.MEDIA):
                    self.at(LATENCY, lambda: self.does(end, end.paths.connected(Leg.MEDIA, self.now)))
                case Dial():
                    self.dial(end, effect.leg)
                case Send(message=CallOffer()):
                    self.at(LATENCY, lambda: self.admit(end))
                case Send(message=MediaPathReport() as report):
                    self.at(end.report, lambda report=report: self.report(end, report))  # type: ignore[misc]
                case Close(session=Leg.MEDIA):
                    end.in_room = False
                case Close():
                    self.close(end, effect.session)
                case Welcome():
                    end.welcome = bool(effect.names)

    def dial(self, end: End, leg: int) -> None:
        """Let an attempt complete at the dialer and, later, at the acceptor."""
        here, there = self.fate.attempts[leg - FIRST_DIRECT]

        def completes() -> None:
            if leg in end.paths.race.attempts:
                self.at(there, arrives)
                self.does(end, end.paths.connected(leg, self.now))

        def arrives() -> None:
            other = self.other(end)
            if self.now < self.fate.start + LATENCY and not other.welcome:  # the door holds it (RACE-16)
                self.at(LATENCY, arrives)
                return
            if not other.welcome:
                self.at(LATENCY, lambda: self.lose(end, leg))
                return
            number = leg + 100
            end.ties[leg], other.ties[number] = (other, number), (end, leg)
            end.spoken[leg] = other.spoken[number] = self.now
            self.does(other, other.paths.accepted(number, "call-c1", "192.0.2.9:5000", self.now))

        self.at(here, completes)

    def close(self, end: End, leg: int) -> None:
        """Let a close arrive, late or never; what is not told is noticed by its silence."""
        if leg in end.ties:
            other, number = end.ties.pop(leg)
            self.at(next(self._closes), lambda: self.lose(other, number))

    def lose(self, end: End, leg: int) -> None:
        """Tell an end that a connection is over."""
        end.ties.pop(leg, None)
        self.does(end, end.paths.lost(leg, -1, "lost", self.now))

    def admit(self, end: End) -> None:
        """Let an end into the room, and tell both who is there."""
        public = media.ephemeral_public(bytes(32))
        signature = RELAYS.sign(public + media.ANSWER)
        end.in_room = True
        self.does(
            end,
            end.paths.receive(
                CallAnswer(
                    identity_pub=RELAYS.public, ephemeral_pub=public, signature=signature, chosen_profile=GOOD
                ),
                self.now,
            ),
        )
        count = sum(one.in_room for one in self.ends)
        for one in self.ends:
            if one.in_room:
                self.does(one, one.paths.receive(RoomUpdate(count=count, participants=[]), self.now))

    def report(self, end: End, report: MediaPathReport) -> None:
        """Let a report arrive at the other end."""
        other = self.other(end)
        self.does(other, other.paths.report(report, self.now))

    def speak(self, end: End) -> None:
        """Say one frame on the leg that the machine names, and come back for the next one."""
        self.at(FRAME, lambda: self.speak(end))
        leg, other = end.paths.out, self.other(end)
        if leg == Leg.MEDIA:
            if other.in_room:
                self.at(LATENCY, lambda: self.hear(other, Leg.MEDIA))
        elif leg is not None and self.now < end.death and leg in end.ties:
            there = end.ties[leg][1]
            self.at(LATENCY, lambda: self.hear(other, there))
        for number, (peer, theirs) in list(end.ties.items()):  # QUIC's own packets keep a connection alive
            if self.now < peer.death and peer.ties.get(theirs) == (end, number):
                end.spoken[number] = self.now
            elif self.now - end.spoken[number] > IDLE:
                self.lose(end, number)

    def hear(self, end: End, leg: int) -> None:
        """Let a frame arrive: played, and noted by the machine, if it listens there."""
        if end.paths.hears(leg) and (leg == Leg.MEDIA or leg in end.ties):
            end.heard = self.now
            self.does(end, end.paths.heard(leg, self.now))


def hears_the_other(fate: Fate, until: float) -> None:
    """Play a fate and ask whether each end has heard the other in the last second and a half."""
    call = Call(fate)
    call.run(until)
    for end in call.ends:
        assert call.now - end.heard <= 1.5, (end.name, [(one.name, one.paths.path) for one in call.ends])


@settings(max_examples=60, deadline=None)
@given(fates)
def test_both_ends_hear_each_other_in_the_end(fate: Fate) -> None:
    """Whatever is lost, late or dead, after a time-out of QUIC at most both ends hear each other."""
    hears_the_other(fate, until=2 * IDLE + 2 * CALM)


@settings(max_examples=150, deadline=None)
@given(fates, st.one_of(st.just(NEVER), st.floats(0, 6)))
def test_a_path_that_dies_in_both_directions_is_left_at_once(fate: Fate, death: float) -> None:
    """Without a death in one direction only, nobody waits for QUIC: reports and closes may all be lost."""
    hears_the_other(replace(fate, death=(death, death)), until=2 * CALM)


def test_a_working_direct_path_is_taken_and_kept() -> None:
    """With nothing lost both ends take the direct path and stay there."""
    quick = Fate(
        0.05, ((0.03, 0.02),), (LATENCY, LATENCY), (LATENCY,) * 4, (NEVER, NEVER), (Phase.PATH_AGREEMENT,) * 2
    )
    call = Call(quick)
    call.run(20)
    assert [Path.DIRECT] * 2 == [end.paths.path for end in call.ends]
    assert [False, False] == [end.in_room for end in call.ends]
