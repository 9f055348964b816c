"""Model: the table of spec/call.md as something that can be played, cell by cell.

A cell is a state, an event and a sender. What it should lead to is the row of the table, or, where no row
stands, nothing. The one reply that the table leaves to the chapter's refusals is added by hand: an offer
with the call_id of a live call of others is answered with Hangup{Error}.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from conformance import identity, spec
from conformance.codec import body_of, name_of
from conformance.puppet import Heard, Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage

STATES = ("–", "Pending", "Ringing", "Active", "Ended")
EVENTS = ("offer", "accept", "reject", "hangup", "report", "registration", "loss")
SINCE = {"report": "6"}
"""Events that are younger than phase 0."""
WITHOUT_A_CALL = ("accept", "reject", "hangup", "report")
"""Events that can be played where there is no call."""
SENDERS = ("caller", "callee", "third")
AT_ONCE = 6
LOSS = 2.5
"""Seconds until a closed connection is known to be lost."""


class Cell(NamedTuple):
    """One cell, and the messages that have to follow, in order."""

    state: str
    event: str
    by: str
    to_caller: tuple[str, ...]
    to_callee: tuple[str, ...]
    to_third: tuple[str, ...]

    def __str__(self) -> str:
        """Name the cell."""
        return f"{self.event} by the {self.by} in the state {self.state}"


def cells(phase: str = spec.NEWEST) -> list[Cell]:
    """Return every cell that a sender from outside can play in a phase."""
    table = {(row.state, row.event, row.by): row for row in spec.transitions()}
    made: list[Cell] = []
    events = [one for one in EVENTS if spec.exists(SINCE.get(one, "0"), phase)]
    for state, event, by in itertools.product(STATES, events, SENDERS):
        if state in ("–", "Ended") and event not in WITHOUT_A_CALL:
            continue  # the first row of the table begins every other cell
        if by == "third" and event in ("registration", "loss"):
            continue  # nothing in these names a call
        row = table.get((state, event, by))
        refused = event == "offer" and by == "third"
        replies = {
            "caller": row.to_caller if row else (),
            "callee": row.to_callee if row else (),
            "third": (),
        }
        if refused:
            replies[by] = ("Hangup{Error}",)
        if (state, event, by) == ("Pending", "registration", "callee"):
            # The new connection takes the offer, so that "flushed" follows at once.
            replies["caller"] += table["Pending", "flushed", "relay"].to_caller
        made.append(Cell(state, event, by, replies["caller"], replies["callee"], replies["third"]))
    return made


class _Scene(NamedTuple):
    caller: Puppet
    callee: Puppet
    third: Puppet
    call_id: str

    def seat(self, name: str) -> Puppet:
        """Return the puppet that plays this part."""
        return {"caller": self.caller, "callee": self.callee, "third": self.third}[name]


class Troupe:
    """People who play one cell after the other; a cell that costs a connection has people of its own."""

    def __init__(self, stage: Stage, number: int) -> None:
        """Play on the relay of `stage`."""
        self._stage = stage
        self._number = number
        self._shared: tuple[Stage, tuple[Puppet, Puppet, Puppet]] | None = None

    async def play(self, cells: Sequence[Cell]) -> list[str]:
        """Play cells; return a sentence for each that leads to something else."""
        try:
            return [fault for cell in cells if (fault := await self._one(cell))]
        finally:
            if self._shared is not None:
                self._shared[0].clear()

    async def _one(self, cell: Cell) -> str:
        if cell.state == "Pending" or cell.event in ("registration", "loss"):
            own = self._own(str(cell))
            try:
                fault = await _play(own, await _people(own, shy=cell.state == "Pending"), cell)
            finally:
                own.clear()
            return self._keep(fault, own, 0)
        if self._shared is None:
            own = self._own(str(self._number))
            self._shared = own, await _people(own, shy=False)
        stage, people = self._shared
        mark = stage.dialogue.mark()
        fault = self._keep(await _play(stage, people, cell), stage, mark)
        for party in people[:2]:
            party.send(identity.hangup())
        await stage.settle(rounds=1)
        return fault

    def _keep(self, fault: str, stage: Stage, since: int) -> str:
        """Keep the dialogue of the first fault and return the fault; one is enough to show."""
        if fault and not self._stage.dialogue.mark():
            self._stage.dialogue.adopt(stage.dialogue, since)
        return fault

    def _own(self, name: str) -> Stage:
        stage = self._stage
        seed = stage.person(name).fingerprint
        own = Stage(stage.target, stage.relay, seed, slow=stage.slow, memory=stage.memory, phase=stage.phase)
        own.recorder = stage.recorder
        return own


async def _people(stage: Stage, *, shy: bool) -> tuple[Puppet, Puppet, Puppet]:
    caller, third = await stage.register_all("caller", "third")
    callee = await stage.register("callee", streams=STREAMS_OF_A_SHY_PUPPET if shy else None)
    return caller, callee, third


async def _play(stage: Stage, people: tuple[Puppet, Puppet, Puppet], cell: Cell) -> str:
    scene = await _reach(stage, people, cell.state)
    parts = {"caller": scene.caller, "callee": scene.callee, "third": scene.third}
    marks = {part: puppet.mark() for part, puppet in parts.items()}
    if cell.event == "registration":
        parts[cell.by] = await stage.register(f"{cell.by}")
        marks[cell.by] = 0
    else:
        _act(scene, cell)
    await stage.settle()
    shy = cell.state == "Pending" and parts["callee"] is scene.callee
    if cell.event == "loss":
        del parts[cell.by]
        await _wait_for_loss(stage, cell, parts)
    named = scene.call_id if stage.knows("7") else None
    seen = {part: _told(puppet, marks[part], named) for part, puppet in parts.items()}
    if shy and "callee" in parts:
        if scene.callee.quic.frozen:
            scene.callee.grant()
        await stage.settle()
        seen["callee"] = _without_first_offer(_told(scene.callee, marks["callee"], named))
    return _compare(cell, seen)


async def _reach(stage: Stage, people: tuple[Puppet, Puppet, Puppet], state: str) -> _Scene:
    caller, callee, third = people
    if state == "–":
        return _Scene(caller, callee, third, stage.call_id())
    if state == "Pending":
        return _Scene(caller, callee, third, await stage.pend(caller, callee))
    call_id = await stage.place(caller, callee)
    if state == "Active":
        await stage.accept(callee, call_id)
    elif state == "Ended":
        caller.send(caller.identity.hangup(call_id))
        await stage.settle()
    return _Scene(caller, callee, third, call_id)


def _act(scene: _Scene, cell: Cell) -> None:
    sender = scene.seat(cell.by)
    match cell.event:
        case "offer":
            target = scene.callee if cell.by != "callee" else scene.caller
            sender.send(sender.identity.offer(target.identity.fingerprint, scene.call_id))
        case "accept":
            sender.send(sender.identity.answer(scene.call_id))
        case "reject":
            sender.send(sender.identity.answer(scene.call_id, "Reject"))
        case "hangup":
            sender.send(sender.identity.hangup(scene.call_id))
        case "report":
            sender.send(identity.report(scene.call_id))
        case "loss":
            sender.leave()


async def _wait_for_loss(stage: Stage, cell: Cell, parts: dict[str, Puppet]) -> None:
    """The relay learns of a loss in its own time; where nothing has to follow nothing is waited for."""
    for part, expected in (("caller", cell.to_caller), ("callee", cell.to_callee)):
        puppet = parts.get(part)
        if puppet is None or not expected:
            continue
        if puppet.quic.frozen:
            puppet.grant()
        await stage.until(lambda puppet=puppet: bool(puppet.heard("Hangup")), LOSS)


def _told(puppet: Puppet, since: int, named: str | None) -> tuple[str, ...]:
    return tuple(_spelled(one, named) for one in puppet.heard(since=since))


def _spelled(one: Heard, named: str | None) -> str:
    """Return a message in the table's words; a Hangup says when it does not name the call that it has to."""
    if one.name != "Hangup":
        return one.name
    fault = "" if named in (None, one.body.get("call_id")) else f" of {one.body.get('call_id', 'no call')!r}"
    return f"Hangup{{{one.body.get('reason')}}}{fault}"


def _without_first_offer(told: tuple[str, ...]) -> tuple[str, ...]:
    """The offer that could not leave belongs to the state, not to the event."""
    return told[1:] if told[:1] == ("DirectCallOffer",) else told


def _compare(cell: Cell, seen: dict[str, tuple[str, ...]]) -> str:
    for part, told in seen.items():
        expected = {"caller": cell.to_caller, "callee": cell.to_callee, "third": cell.to_third}[part]
        actual = tuple(one for one in told if one != "RegisterPresenceAck")
        if tuple(map(_full, expected)) != actual:
            return f"{cell}: to the {part} {_words(expected)} was expected, and {_words(actual)} came"
    return ""


def _full(message: str) -> str:
    """A bare Hangup of the table is the party's own, whose reason is Normal here."""
    return (
        f"Hangup{{{body_of(identity.hangup())['reason']}}}"
        if message == name_of(identity.hangup())
        else message
    )


def _words(messages: Sequence[str]) -> str:
    return ", ".join(messages) or "nothing"
