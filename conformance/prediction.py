"""Prediction: what the table of spec/call.md says that each person of a plan has to hear.

Rules of this file: the table is read from the chapter; what it leaves to the chapter's refusals is added
here. The steps of a beat that come from different people have no order: every order is tried, and what does
not come out the same in all of them is left open, call by call. That an offer has left towards the callee is
an event of its own, at any time between the offer and the end of its beat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from conformance import spec
from conformance.codec import body_of
from conformance.plan import NOBODY, Plan, Step
from conformance.script import ON_SIGNAL, Script

ORDERS = 48
"""Orders of one beat that are tried; a beat with more of them leaves all its calls open."""
ADMITTED, REFUSED = "admitted", "refused"
"""What becomes of somebody who asks to be let into a room."""
_EVERYTHING = "*"
_ROW = Mapping[tuple[str, str, str], spec.Transition]

# Why something has to be told: the event, the word of the table, and who hears it.
_WHY = {
    ("offer", "DirectCallOffer"): "CALL-1",
    ("registration", "DirectCallOffer"): "CALL-8",
    ("flushed", "CallRinging"): "CALL-4",
    ("offer", "CallRinging"): "CALL-5",
    ("accept", "DirectCallAnswer"): "CALL-18",
    ("accept", "CallSetup"): "CALL-20",
    ("reject", "Hangup{Declined}"): "CALL-28",
    ("hangup", "Hangup"): "CALL-30",
    ("loss", "Hangup{Normal}"): "CALL-34",
    ("report", "MediaPathReport"): "AGREE-1",
}
# Why nothing is told of an event in a state: the event, and the state or the sender.
_WHY_NOT = {
    ("offer", "Pending"): "CALL-6",
    ("offer", "Active"): "CALL-7",
    ("answer", "caller"): "CALL-23",
    ("answer", "third"): "CALL-24",
    ("answer", "Active"): "CALL-25",
    ("answer", "–"): "CALL-26",
    ("report", "third"): "AGREE-2",
    ("report", "Pending"): "AGREE-3",
    ("report", "Ringing"): "AGREE-3",
    ("report", "–"): "AGREE-3",
    ("hangup", "third"): "CALL-33",
    ("hangup", "–"): "CALL-45",
}
_SINCE = {"reflect": "1", "report": "6"}
_TOO_LARGE = {"offer": "CALL-14", "answer": "CALL-27", "hangup": "CALL-41", "report": "AGREE-4"}


class Told(NamedTuple):
    """One message that has to come: to whom, of which call, in the words of the table, and by which rule.

    `step` is the step that is forwarded; `offer` and `answer` are those that made the call what it is,
    -1 where there is none.
    """

    who: str
    call: str
    word: str
    rule: str
    step: int = -1
    offer: int = -1
    answer: int = -1


class Standing(NamedTuple):
    """One live call."""

    caller: str
    callee: str
    state: str
    offer: int
    answer: int = -1
    reported: frozenset[str] = frozenset()

    def side(self, who: str) -> str:
        """Return what a person is in this call, in the words of the table."""
        return {self.caller: "caller", self.callee: "callee"}.get(who, "third")


class World(NamedTuple):
    """The live calls, who has left, and the calls of which nothing is known any more."""

    calls: Mapping[str, Standing]
    left: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()


@dataclass
class Forecast:
    """What has to be heard in each beat, and the calls that are open after it."""

    told: list[list[Told]] = field(default_factory=list)
    open: list[frozenset[str]] = field(default_factory=list)
    vague: list[bool] = field(default_factory=list)
    """Whether more may come of a beat than can be told, because a call that it moves is open."""
    silent: dict[int, str] = field(default_factory=dict)
    """Steps that lead to nothing, with the rule that says so."""
    world: World = field(default_factory=lambda: World({}))

    @property
    def left_open(self) -> frozenset[str]:
        """The calls of which nothing certain can be said at the end."""
        return self.open[-1] if self.open else frozenset()


@cache
def _table() -> _ROW:
    return {(row.state, row.event, row.by): row for row in spec.transitions()}


class TooManyOrdersError(Exception):
    """A beat has more orders than are tried."""


def predict(script: Script, phase: str) -> Forecast:
    """Return what a relay of this phase has to tell the people of a script."""
    oracle = Oracle(script, phase)
    forecast = Forecast(silent=oracle.silent)
    world = World({})
    for beat in script.plan.numbered():
        world, told = oracle.beat(world, beat)
        forecast.told.append(told)
        forecast.open.append(world.open)
        forecast.vague.append(bool(world.open) and oracle.moves(beat, world.open))
    forecast.world = world
    return forecast


Numbered = tuple[int, Step]
Path = tuple[World, tuple[Told, ...]]


class Oracle:
    """Plays the beats of one script by the table."""

    def __init__(self, script: Script, phase: str) -> None:
        """Play for a relay of this phase."""
        self.silent: dict[int, str] = {}
        self._script = script
        self._phase = phase

    def beat(self, world: World, beat: list[Numbered]) -> tuple[World, list[Told]]:
        """Play one beat; return the world behind it and what has to be heard, whatever the order was."""
        queues = _queues(beat)
        try:
            paths = list(self._orders(world, (), queues))
        except TooManyOrdersError:
            touched = {one for number, step in beat for one in self._touches(step, number)}
            calls = self._script.plan.calls() if _EVERYTHING in touched else sorted(touched)
            left = frozenset(step.who for _, step in beat if step.does == "leave")
            back = frozenset(step.who for _, step in beat if step.does == "register")
            return World(world.calls, (world.left | left) - back, world.open | set(calls)), []
        return _agreed(self._script.plan, paths)

    def moves(self, beat: list[Numbered], calls: frozenset[str]) -> bool:
        """Tell whether a beat may move one of these calls."""
        return any(_meet(self._touches(step, number), set(calls)) for number, step in beat)

    def _orders(self, world: World, told: tuple[Told, ...], queues: list[list[Numbered]]) -> Iterator[Path]:
        """Yield what comes of every order of a beat that makes a difference."""
        waiting: list[tuple[World, tuple[Told, ...], list[list[Numbered]]]] = [(world, told, queues)]
        ends = 0
        while waiting:
            world, told, queues = waiting.pop()
            queues = [one for one in queues if one]
            pending = [call for call, one in world.calls.items() if one.state == "Pending"]
            if not queues and not pending:
                ends += 1
                if ends > ORDERS:
                    raise TooManyOrdersError
                yield world, told
                continue
            if len(waiting) > ORDERS:
                raise TooManyOrdersError
            waiting += self._next(world, told, queues, pending)

    def _next(
        self, world: World, told: tuple[Told, ...], queues: list[list[Numbered]], pending: list[str]
    ) -> list[tuple[World, tuple[Told, ...], list[list[Numbered]]]]:
        """Return what can happen next: one thing where the order of the rest does not depend on it."""
        reach = [[self._touches(step, number) for number, step in one] for one in queues]
        choices = []
        for call in pending:
            after, more = self._move(world, call, "flushed", "relay", -1)
            choice = (after, told + more, queues)
            if not any(_meet({call}, touched) for one in reach for touched in one):
                return [choice]
            choices.append(choice)
        for at, (number, step) in enumerate(one[0] for one in queues):
            after, more = self._step(world, number, step)
            choice = (
                after,
                told + more,
                [one[1:] if at == place else one for place, one in enumerate(queues)],
            )
            others = [touched for place, one in enumerate(reach) if place != at for touched in one]
            if not any(_meet(reach[at][0], touched) for touched in [*others, set(pending)]):
                return [choice]
            choices.append(choice)
        return choices

    def _touches(self, step: Step, number: int) -> set[str]:
        """Return the calls that a step may change or depend on."""
        match step.does:
            case "reflect" | "say":
                return set()
            case "leave" | "register":
                return {_EVERYTHING}
            case "hangup":
                named = self._named(number)
                return {_EVERYTHING} if named is None else {named}
        return {step.call}

    def _named(self, number: int) -> str | None:
        """Return the call that a Hangup names to a relay of this phase, or None when it means all."""
        named = body_of(self._script.messages[number]).get("call_id")
        if named is None or not spec.exists("7", self._phase):
            return None
        return self._script.calls.get(str(named), "–")

    # What one step leads to

    def _step(self, world: World, number: int, step: Step) -> Path:
        if step.does == "register":
            return self._each(world._replace(left=world.left - {step.who}), step.who, "registration", number)
        if step.who in world.left:
            return world, ()
        if step.does in ON_SIGNAL:
            return self._said(world, number, step)
        match step.does:
            case "leave":
                gone = world._replace(left=world.left | {step.who})
                return self._each(gone, step.who, "loss", number)
            case "join" if step.call not in world.open:
                live = world.calls.get(step.call)
                may = live is not None and live.state == "Active" and live.side(step.who) != "third"
                rule = "MEDIA-1" if may else "MEDIA-5" if live and live.state == "Active" else "MEDIA-4"
                told = Told(step.who, f"{step.call} {number}", ADMITTED if may else REFUSED, rule, number)
                return world, (told,)
        return world, ()

    def _said(self, world: World, number: int, step: Step) -> Path:
        unknown = step.does == "say" or not spec.exists(_SINCE.get(step.does, "0"), self._phase)
        if unknown or self._script.refused(number, self._phase):
            return self._nothing(world, number, "WIRE-6" if unknown else "WIRE-5")
        if step.does == "reflect":
            return world, (Told(step.who, "", "ReflectResponse", "REFL-1", number),)
        if step.does == "offer":
            return self._offer(world, number, step)
        if self._script.large(number):
            return self._nothing(world, number, _TOO_LARGE[step.does])
        if step.does == "hangup":
            named = self._named(number)
            if named is None:
                return self._each(world, step.who, "hangup", number)
            return self._of_a_call(world, number, step, named, "hangup")
        if step.does == "report":
            return self._of_a_call(world, number, step, step.call, "report")
        reject = body_of(self._script.messages[number]).get("accept_mode") == "Reject"
        return self._of_a_call(world, number, step, step.call, "reject" if reject else "accept")

    def _nothing(self, world: World, number: int, rule: str) -> Path:
        self.silent[number] = rule
        return world, ()

    def _offer(self, world: World, number: int, step: Step) -> Path:
        """Place, repeat or refuse (spec/call.md, Refusals); limits are not reached by any plan."""
        live = world.calls.get(step.call)
        if step.call in world.open:
            return world, ()
        if live is not None and live.side(step.who) != "third":
            if (live.caller, live.callee) != (step.who, step.to):
                return self._nothing(world, number, "CALL-40")
            return self._of_a_call(world, number, step, step.call, "offer")
        refusals = {
            "CALL-14": self._script.large(number),
            "CALL-11": step.to == step.who,
            "CALL-12": live is not None,
            "CALL-10": step.to == NOBODY,
        }
        for rule, applies in refusals.items():
            if applies:
                return world, (Told(step.who, step.call, "Hangup{Error}", rule, number),)
        if step.to in world.left:  # nobody knows when the relay has noticed
            return world._replace(open=world.open | {step.call}), ()
        row = _table()["–", "offer", "caller"]
        placed = Standing(step.who, step.to, row.to, number)
        told = Told(step.to, step.call, row.to_callee[0], _WHY["offer", row.to_callee[0]], number, number)
        return world._replace(calls={**world.calls, step.call: placed}), (told,)

    def _of_a_call(self, world: World, number: int, step: Step, call: str, event: str) -> Path:
        does = step.does
        live = world.calls.get(call)
        if call in world.open:
            return world, ()
        if live is None:
            return self._nothing(world, number, _WHY_NOT[does, "–"])
        side = live.side(step.who)
        if side == "third":
            return self._nothing(world, number, _WHY_NOT[does, side])
        if event == "report" and live.state == "Active":
            if side in live.reported:
                return self._nothing(world, number, "AGREE-17")
            reported = live._replace(reported=live.reported | {side})
            world = world._replace(calls={**world.calls, call: reported})
        if (live.state, event, side) not in _table():
            why = _WHY_NOT.get((does, side)) or _WHY_NOT[does, live.state]
            return self._nothing(world, number, why)
        return self._move(world, call, event, side, number)

    def _each(self, world: World, who: str, event: str, number: int) -> Path:
        told: tuple[Told, ...] = ()
        for call, live in world.calls.items():
            side = live.side(who)
            if side != "third" and call not in world.open and (live.state, event, side) in _table():
                world, more = self._move(world, call, event, side, number)
                told += more
        return world, told

    def _move(self, world: World, call: str, event: str, by: str, number: int) -> Path:
        live = world.calls[call]
        row = _table()[live.state, event, by]
        after = live._replace(state=row.to, answer=number if event == "accept" else live.answer)
        told = []
        for party, words in ((live.caller, row.to_caller), (live.callee, row.to_callee)):
            for word in words:
                if party not in world.left:
                    rule = _WHY[event, word]
                    rule = "CALL-19" if (rule, party) == ("CALL-20", live.caller) else rule
                    spoken = self._word(word, number)
                    source = live.offer if word == "DirectCallOffer" else number
                    told.append(Told(party, call, spoken, rule, source, live.offer, after.answer))
        calls = {name: one for name, one in world.calls.items() if name != call}
        if row.to != "Ended":
            calls[call] = after
        return world._replace(calls=calls), tuple(told)

    def _word(self, word: str, number: int) -> str:
        """Return a word of the table; a bare Hangup has the reason of the one that is forwarded."""
        if word != "Hangup":
            return word
        return f"Hangup{{{body_of(self._script.messages[number]).get('reason')}}}"


def _meet(one: set[str], other: set[str]) -> bool:
    if not one or not other:
        return False
    return _EVERYTHING in one or _EVERYTHING in other or bool(one & other)


def _queues(beat: list[Numbered]) -> list[list[Numbered]]:
    """Return what has an order in a beat: what one person says on one connection.

    A person who registers goes on on another connection, a room is entered on one of its own, and a close
    may overtake what was said before it.
    """
    connections: dict[str, int] = {}
    queues: dict[tuple[str, int, int], list[Numbered]] = {}
    for number, step in beat:
        if step.does == "register":
            connections[step.who] = connections.get(step.who, 0) + 1
        apart = number if step.does in ("join", "leave") else -1
        queues.setdefault((step.who, connections.get(step.who, 0), apart), []).append((number, step))
    return list(queues.values())


def _grouped(told: tuple[Told, ...]) -> dict[str, dict[str, list[Told]]]:
    """Return what is told by the call and then by who hears it."""
    groups: dict[str, dict[str, list[Told]]] = {}
    for one in told:
        groups.setdefault(one.call, {}).setdefault(one.who, []).append(one)
    return groups


def _agreed(plan: Plan, paths: list[Path]) -> tuple[World, list[Told]]:
    """Return what all orders of a beat have in common, and open every call in which they differ."""
    first, told = paths[0]
    if len(paths) == 1:
        return first, list(told)
    groups = [_grouped(one) for _, one in paths]
    opened = set().union(*(world.open for world, _ in paths))
    for call in plan.calls():
        ends = {world.calls.get(call) for world, _ in paths}
        if len(ends) > 1 or any(one.get(call) != groups[0].get(call) for one in groups):
            opened.add(call)
    rooms = {one.call for one in told if " " in one.call}
    unsure = {room for room in rooms if any(one.get(room) != groups[0].get(room) for one in groups)}
    kept = [one for one in told if one.call not in opened | unsure]
    return World(first.calls, first.left, frozenset(opened)), kept
