"""Performance: a plan before a relay, and the history that comes of it.

Rules of this file: nothing sleeps. After a beat each speaker's Ping has been answered, so that the relay has
handled what was said, and what the prediction says has come; where it does not come, or nothing can be
predicted, everybody asks twice more. What is judged is the history; nothing here judges.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from conformance import codec, identity, prediction, spec
from conformance.codec import Message, body_of, name_of
from conformance.dialogue import Dialogue
from conformance.identity import Identity
from conformance.model import LOSS
from conformance.plan import NOBODY, Faults, Plan, Step
from conformance.prediction import ADMITTED, REFUSED, Forecast
from conformance.proxy import Proxy
from conformance.record import Recorder
from conformance.script import ON_SIGNAL, Script
from conformance.seats import PATIENCE, Company, Needs, Seat, Troupe
from conformance.verdicts import Untestable
from conformance.watch import FAST

ACKNOWLEDGEMENT = "RegisterPresenceAck"
ADMISSION = 1.0
"""Seconds until somebody who knocked at a room has heard something."""


class Line(NamedTuple):
    """One message of a history, in order: in which beat, who said or heard it, and where.

    `room` is empty on the signal connection, else the call of the room; `step` is the number of the step
    that said it, -1 for what was heard.
    """

    beat: int
    who: str
    sent: bool
    name: str
    body: dict[str, Any]
    step: int = -1
    room: str = ""

    @property
    def word(self) -> str:
        """The message in the words of the table of spec/call.md."""
        return f"Hangup{{{self.body.get('reason')}}}" if self.name == "Hangup" else self.name


@dataclass
class History:
    """What was said and heard while a plan was performed."""

    plan: Plan
    script: Script
    phase: str
    forecast: Forecast
    lines: list[Line] = field(default_factory=list)
    received: dict[str, list[bytes]] = field(default_factory=dict)
    """Every byte that reached each person, on whatever connection."""
    datagrams: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Who received which datagram in the room of which call."""
    spoken: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    """Who sent which datagram into the room of which call."""
    ended: dict[str, str] = field(default_factory=dict)
    """Whose signal connection ended though nothing in the plan ends it, and how."""
    dialogue: Dialogue = field(default_factory=Dialogue)

    def heard(self, who: str | None = None, room: str = "") -> list[tuple[int, Line]]:
        """Return what was heard, by one person or by all, with its place in the history."""
        return [
            (place, line)
            for place, line in enumerate(self.lines)
            if not line.sent and line.room == room and who in (None, line.who)
        ]

    def said(self, name: str) -> list[tuple[int, Line]]:
        """Return every message of this name that was said, with its place in the history."""
        return [(place, line) for place, line in enumerate(self.lines) if line.sent and line.name == name]


class Weather:
    """What stands between the people of a plan and the relay: nothing, or a proxy for each connection."""

    def __init__(self, plan: Plan, recorder: Recorder | None) -> None:
        """Begin with a clear sky; with a recorder everything passes by it."""
        self._plan = plan
        self._recorder = recorder
        self._proxies: list[Proxy] = []

    async def between(self, who: str, address: tuple[str, int]) -> tuple[tuple[str, int], dict[str, Any]]:
        """Return the address that a person dials, and what else the connection is to be told."""
        faults, recorder = self._plan.network.get(who), self._recorder
        if faults is None and recorder is None:
            return address, {}
        seed = f"{self._plan.seed}/{who}/{len(self._proxies)}"
        witness = recorder.witness if recorder else None
        proxy = await Proxy.open(address, faults or Faults(), seed, witness)
        self._proxies.append(proxy)
        if recorder is None:
            return proxy.address, {}
        return proxy.address, {"log": recorder.log(who), "secrets": recorder.secrets}

    async def close(self) -> None:
        """Clear the sky."""
        await asyncio.gather(*(proxy.close() for proxy in self._proxies))
        self._proxies.clear()


def needs(plan: Plan) -> dict[str, Needs]:
    """Return what each person takes from the relay's allowances."""
    counted = Counter((step.who, step.does) for _, step in plan.steps())
    spoilt = Counter(step.who for _, step in plan.steps() if step.members or step.does == "say")
    return {who: Needs(counted[who, "offer"], counted[who, "reflect"], spoilt[who]) for who in plan.people}


def fresh(plan: Plan) -> set[str]:
    """Return who comes on a new connection: who has to, and whose connection would be spoilt for others."""
    leaving = {step.who for _, step in plan.steps() if step.does in ("leave", "register")}
    return leaving | set(plan.fresh) | set(plan.network)


class Performance:
    """One plan, on its way from the first beat to the last."""

    def __init__(self, company: Company, plan: Plan, key: str, dialogue: Dialogue, weather: Weather) -> None:
        """Prepare; `key` makes the call_ids those of no other performance."""
        self._company = company
        self._plan = plan
        self._key = key
        self._dialogue = dialogue
        self._weather = weather
        self._seats: dict[str, Seat] = {}
        self._people: dict[str, Identity] = {}
        self._all: list[Seat] = []
        self._own: list[Seat] = []
        self._rooms: dict[tuple[str, str], Seat] = {}
        self._beat = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._wanted: Counter[tuple[str, str]] = Counter()
        self._names: dict[Seat, str] = {}

    async def perform(self, troupe: Troupe, *, alone: bool) -> History:
        """Perform the plan; with `alone` on new connections only. Raises Untestable when that cannot be."""
        self._troupe = troupe
        try:
            await self._enter(alone=alone)
            self._history = self._begin()
            for number, beat in enumerate(self._plan.numbered()):
                self._beat = number
                await self._play(number, beat)
            await self._fence(self._alive())
            history = self._close()
            await self._leave_nothing(history)
            return history
        finally:
            for seat in self._own:
                self._company.drop(seat)

    # Entering

    async def _enter(self, *, alone: bool) -> None:
        apart = set(self._plan.people) if alone else fresh(self._plan)
        wanted = needs(self._plan)
        places = [who for who in self._plan.people if who not in apart]
        for at, who in enumerate(places):
            self._seats[who] = await self._company.place(self._troupe, at, wanted[who])
            self._people[who] = self._seats[who].speaking(self._plan.people[who])
        for who in sorted(apart):
            self._people[who] = self._company.somebody().of(self._plan.people[who])
        made = await asyncio.gather(*(self._register(who) for who in sorted(apart)))
        self._seats |= dict(zip(sorted(apart), made, strict=True))

    async def _dial(self, who: str, server_name: str) -> Seat:
        address, options = await self._weather.between(who, self._company.address)
        pulse = self._troupe.pulse
        seat = await self._company.dial(self._people[who], server_name, pulse, address, **options)
        self._own.append(seat)
        return seat

    async def _register(self, who: str) -> Seat:
        seat = await self._dial(who, "_signal")
        seat.say(seat.identity.registration())
        await self._fence([seat])
        if not seat.alive or not seat.through:
            message = f"the registration of {who} was followed by {seat.closed or 'no answer to a Ping'}"
            raise Untestable(message)
        return seat

    def _begin(self) -> History:
        cast = self._people | {NOBODY: Identity.named(self._key, NOBODY)}
        script = Script(self._plan, cast, self._draw)
        forecast = prediction.predict(script, self._company.phase)
        for who, seat in self._seats.items():
            seat.begin(who, self._dialogue, self._hear)
            self._names[seat] = who
            self._all.append(seat)
        phase = self._company.phase
        return History(self._plan, script, phase, forecast, dialogue=self._dialogue)

    def _draw(self, call: str) -> str:
        return hashlib.sha256(f"{self._key}/{call}".encode()).hexdigest()[:32]

    def _hear(self, seat: Seat, message: Message) -> None:
        name, body = name_of(message), body_of(message)
        if body.get("call_id") in self._troupe.stale:  # the end of what these people performed before
            return
        who = self._names[seat]
        self._history.lines.append(Line(self._beat, who, sent=False, name=name, body=body, room=seat.room))
        if not seat.room and name != ACKNOWLEDGEMENT:
            self._counts[who, self._key_of(name, body)] += 1

    # One beat

    async def _play(self, number: int, beat: list[tuple[int, Step]]) -> None:
        doors = await self._doors(beat)
        speakers: dict[Seat, None] = {}
        for at, step in beat:
            seat = self._act(at, step, doors)
            if seat is not None:
                speakers[seat] = None
        proven = self._proven(number, beat)
        asking = [seat for seat in speakers if not seat.room and self._names[seat] not in proven]
        for seat in speakers:
            if seat not in asking:
                seat.link.transmit()
        await self._fence(asking)
        knocking = [seat for seat in speakers if seat.room]
        await self._until(lambda: all(one.heard() or one.closed for one in knocking), ADMISSION)
        await self._settle(number, beat)

    def _proven(self, number: int, beat: list[tuple[int, Step]]) -> set[str]:
        """Return whose last words of a beat will be known to be handled by what comes of them."""
        forecast = self._history.forecast
        if forecast.vague[number]:
            return set()
        last = {step.who: at for at, step in beat if step.does in ON_SIGNAL}
        told = {one.step for one in forecast.told[number] if one.word not in (ADMITTED, REFUSED)}
        return {who for who, at in last.items() if at in told}

    async def _doors(self, beat: list[tuple[int, Step]]) -> dict[int, Seat]:
        """Complete the handshakes that a beat needs before anything of it is said."""
        ids = self._history.script.ids
        names = {
            at: "_signal" if step.does == "register" else f"call-{ids[step.call]}"
            for at, step in beat
            if step.does in ("register", "join")
        }
        steps = dict(beat)
        made = await asyncio.gather(*(self._dial(steps[at].who, name) for at, name in names.items()))
        return dict(zip(names, made, strict=True))

    def _act(self, at: int, step: Step, doors: Mapping[int, Seat]) -> Seat | None:
        """Do one step; return the seat that has something to send."""
        seat = self._seats[step.who]
        match step.does:
            case "register":
                return self._admit(at, step, doors[at], doors[at].identity.registration())
            case "join":
                doors[at].room = step.call
                self._rooms[step.who, step.call] = doors[at]
                return self._admit(at, step, doors[at], doors[at].identity.admission())
            case "media":
                self._speak(at, step)
            case "leave":
                for one in [*self._rooms.values(), seat]:
                    if self._names.get(one) == step.who and one.alive:
                        one.link.transmit()
                        one.leave()
            case _ if step.does in ON_SIGNAL and seat.alive:
                self._say(seat, at, step.who, self._history.script.messages[at])
                return seat
        return None

    def _admit(self, at: int, step: Step, door: Seat, message: Message) -> Seat:
        name = f"{step.who}'s media" if door.room else step.who
        door.begin(name, self._dialogue, self._hear)
        self._names[door] = step.who
        self._all.append(door)
        if not door.room:
            self._seats[step.who] = door
        self._say(door, at, step.who, message)
        return door

    def _say(self, seat: Seat, at: int, who: str, message: Message) -> None:
        line = Line(self._beat, who, sent=True, name=name_of(message), body=body_of(message), step=at)
        self._history.lines.append(line._replace(room=seat.room))
        seat.say(message)

    def _speak(self, at: int, step: Step) -> None:
        seat = self._rooms.get((step.who, step.call))
        if seat is None or not seat.alive:
            return
        data = codec.datagram(f"{step.who} in {step.call}, step {at}".encode(), sequence=at)
        self._history.spoken[data] = (step.who, step.call)
        seat.datagram(data)

    # Settling

    def _alive(self) -> list[Seat]:
        return [seat for seat in self._all if seat.alive and not seat.room]

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        return await self._company.until(self._troupe.pulse, condition, seconds)

    async def _fence(self, seats: list[Seat]) -> None:
        for seat in seats:
            seat.ask(next(self._company.numbers))
        await self._until(lambda: all(seat.through for seat in seats), PATIENCE)

    async def _settle(self, number: int, beat: list[tuple[int, Step]]) -> None:
        """Wait until everything that comes of a beat has come."""
        forecast = self._history.forecast
        for told in forecast.told[number]:
            if told.word not in (ADMITTED, REFUSED):
                self._wanted[told.who, self._key_of(told.word, {"call_id": told.call}, named=True)] += 1
        clear = not forecast.vague[number]
        if clear and await self._until(self._satisfied, FAST):
            return
        # What was said has been handled; whoever asks now has heard what came of it, but for what follows
        # when an offer has left towards somebody: a packet of theirs may have to tell so.
        rounds = 2 if not clear and any(step.does == "offer" for _, step in beat) else 1
        for _ in range(rounds if not clear else 2):
            await self._fence(self._alive())
        if clear:
            lost = any(step.does == "leave" for _, step in beat)
            await self._until(self._satisfied, LOSS if lost else FAST)
            for key in self._wanted:  # what has not come is not waited for in every beat that follows
                self._wanted[key] = self._counts[key]

    def _key_of(self, name: str, body: Mapping[str, Any], *, named: bool = False) -> str:
        """Return under which call a message is counted; a Hangup of an older relay names none."""
        if name.startswith("Hangup") and not spec.exists("7", self._company.phase):
            return ""
        return (
            str(body.get("call_id", ""))
            if named
            else self._history.script.calls.get(str(body.get("call_id")), "")
        )

    def _satisfied(self) -> bool:
        left_open = self._history.forecast.open[self._beat]
        return all(
            self._counts[key] >= count for key, count in self._wanted.items() if key[1] not in left_open
        )

    # The end

    def _close(self) -> History:
        history = self._history
        for seat in self._all:
            seat.listener = None
            who = self._names[seat]
            history.received.setdefault(who, []).extend(seat.received())
            history.datagrams += [(who, seat.room, data) for data in seat.datagrams]
        for who, seat in self._seats.items():
            if who not in history.forecast.world.left and (not seat.alive or not seat.through):
                history.ended[who] = str(seat.closed) if seat.closed else "no answer to a Ping"
        return history

    async def _leave_nothing(self, history: History) -> None:
        """End what was left of the calls, so that the next plan finds nobody in one."""
        self._troupe.stale = frozenset(history.script.ids.values())
        if not history.forecast.world.calls and not history.forecast.left_open:
            return
        live = history.forecast.world.calls.values()
        callers = set(self._seats) if history.forecast.left_open else {one.caller for one in live}
        staying = [seat for seat in self._seats.values() if seat.alive and seat not in self._own]
        for seat in staying:
            seat.begin(seat.name, Dialogue(), _deaf)
            if self._names[seat] in callers:
                seat.say(identity.hangup())
                seat.link.transmit()
        if not spec.exists("7", history.phase):  # nothing tells these Hangups from those of the next plan
            for _ in range(2):
                await self._fence(staying)


def _deaf(seat: Seat, message: Message) -> None:
    del seat, message


async def perform(
    company: Company,
    plan: Plan,
    key: str,
    *,
    alone: bool = False,
    dialogue: Dialogue | None = None,
    recorder: Recorder | None = None,
) -> History:
    """Perform a plan and return its history; raises Untestable when it cannot be performed.

    `key` makes the call_ids those of no other performance; with `alone` nobody sits where somebody sat. What
    is recorded is so only of people who come on a new connection.
    """
    troupe = Troupe() if alone else company.hire()
    weather = Weather(plan, recorder)
    sound = False
    try:
        played = Performance(company, plan, key, dialogue or Dialogue(), weather)
        history = await played.perform(troupe, alone=alone)
        sound = not history.ended
        return history
    finally:
        await weather.close()
        if not alone:
            company.release(troupe, sound=sound)
