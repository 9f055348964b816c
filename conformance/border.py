"""Border: a relay under test between its own clients and its neighbours, and calls across the links.

Rules of this file: what was said over a link has been handled when a Ping behind it is answered, as on any
connection; a state that is not reached is Untestable. Who is *away* is registered at a neighbour, and is
nobody's puppet: the neighbour says what its relay would. What takes seconds is a *scene*: the scenes are
played at a relay of their own from the first link on, while others are judged, and each is told to its check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from conformance import neighbour
from conformance.dialogue import Dialogue
from conformance.ground import Memory
from conformance.host import Host
from conformance.identity import Identity
from conformance.link import Link
from conformance.neighbour import HELLO, SERVER_NAME, UNSAID, Neighbour, Peer, ringing, tag
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.tap import Address
from conformance.targets import HASTY, Relay, written
from conformance.verdicts import Blocked, Untestable
from conformance.watch import GRACE

TRIES = 5
"""Times that a datagram is sent which the network may lose."""

Play = Callable[["Border"], Awaitable[None]]
"""Plays a scene; raises what a check would raise."""


class Scene(NamedTuple):
    """What takes seconds: the neighbours that the relay dials in it, and who shows whose certificate."""

    play: Play
    dialled: tuple[tuple[str, str], ...] = ()


SCENES: dict[str, Scene] = {}


def scene(*dialled: tuple[str, str]) -> Callable[[Play], Play]:
    """Declare a scene, in which the relay dials these: a name, and whose certificate is shown there."""

    def declare(play: Play) -> Play:
        SCENES[str(getattr(play, "__name__", ""))] = Scene(play, dialled)
        return play

    return declare


@dataclass(frozen=True)
class Across:
    """A call over a link: its party here, the neighbour that has the other one, and who that is."""

    call_id: str
    here: Puppet
    link: Neighbour
    away: Identity

    @property
    def tag(self) -> bytes:
        """What stands in front of its datagrams on the link."""
        return tag(self.call_id)


class Border(Stage):
    """Puppets on both sides of one relay."""

    def __init__(self, *around: Any, **how: Any) -> None:  # noqa: ANN401 - as Stage has it
        """Set the stage as any other; neighbours may be dialled on it too."""
        super().__init__(*around, **how)
        self.hosts: list[Host] = []
        self.dialled: dict[str, list[Neighbour]] = {}

    async def leave(self) -> None:
        """Let everybody go, and close the doors at which neighbours were dialled."""
        await super().leave()
        for host in self.hosts:
            host.close()

    async def reach(self, name: str, own: str = "") -> Neighbour:
        """Connect a neighbour, which says nothing yet; raises Untestable when the handshake fails."""
        link = Neighbour(name, self.dialogue, self._pulse, self.phase, own=own)
        await self.dial(name, SERVER_NAME, puppet=link)
        return link

    async def link(self, name: str, own: str = "") -> Neighbour:
        """Bring a link up; raises Untestable when the hello is not answered."""
        link = await self.reach(name, own)
        link.send(link.hello())
        await self.needs(link, HELLO, within=1.0)
        link.speaks = True
        return link

    async def links(self, *names: str) -> list[Neighbour]:
        """Bring several links up at once."""
        return list(await asyncio.gather(*(self.link(name) for name in names)))

    async def fence(self, puppet: Puppet) -> bool:
        """Tell whether the relay still handles what is said, by a client or over a link."""
        if not isinstance(puppet, Neighbour):
            return await super().fence(puppet)
        if self.memory.answers_links is not False:
            if await self.answered(puppet):
                self.memory.answers_links = True
            elif not self.memory.answers_links:
                self.memory.answers_links = False
        if self.memory.answers_links is False:
            message = "FED-9: the relay answers no Ping on a link, so nothing tells what it has handled"
            raise Blocked(message)
        return puppet.closed is None

    # What takes long

    async def ahead(self, name: str) -> None:
        """Play a scene, or wait for its end where it has been begun already; raises what it raises."""
        begun = self.memory.once.pop(name, None)
        if begun is None:
            if SCENES[name].dialled:
                await self._outpost({name: self})
            await SCENES[name].play(self)
            return
        dialogue, error = await begun
        self.dialogue.adopt(dialogue, 0)
        if error is not None:
            raise error

    def begin(self) -> None:
        """Begin every scene at a relay of their own, once a run and where there can be one."""
        once = self.memory.once
        able = self.target.ahead and self.target.linkable and self.target.configurable
        if "scenes" in once or not able:
            return
        stages = {name: self._own(name) for name in SCENES}
        there = once["scenes"] = asyncio.ensure_future(self._outpost(stages))
        for name, stage in stages.items():
            once[name] = asyncio.ensure_future(stage.played(SCENES[name], there))

    def _own(self, name: str) -> Border:
        seed = f"{self._seed}/{name}"
        return Border(self.target, self.relay, seed, slow=self.slow, memory=Memory(), phase=self.phase)

    async def played(self, scene: Scene, there: asyncio.Future[Relay]) -> tuple[Dialogue, Exception | None]:
        """Play a scene when its relay is there; return what was said, and what it raised."""
        try:
            await asyncio.shield(there)
            await scene.play(self)
        except Exception as error:  # noqa: BLE001 - told to the check that is about it
            return self.dialogue, error
        finally:
            await self.leave()
        return self.dialogue, None

    async def outpost(self) -> Relay:
        """Return the relay of the scenes; raises Unsupported where there can be none."""
        self.begin()
        begun = self.memory.once.get("scenes")
        relay: Relay = await (asyncio.shield(begun) if begun is not None else self._outpost({}))
        return relay

    async def _outpost(self, stages: dict[str, Border]) -> Relay:
        """Start the relay of these scenes, which dials where they listen, and set the stages around it."""
        peers = [
            Peer(neighbour.shown(name).fingerprint, name, written((await stage.listen(name, shows)).address))
            for scene, stage in stages.items()
            for name, shows in SCENES[scene].dialled
        ]
        relay = await self.target.another([*neighbour.trusted(), *peers], options=HASTY)
        for stage in stages.values():
            stage.relay = relay
        return relay

    async def listen(self, name: str, shows: str) -> Host:
        """Let a neighbour be dialled; every link is noted under its name, and hears nothing of its own."""
        links = self.dialled.setdefault(name, [])

        def arrived(made: Link, server_name: str | None, source: Address) -> Any:  # noqa: ANN401 - see Arrived
            del source
            at = f"{name}, dialled as {server_name}"
            link = Neighbour(at, self.dialogue, self._pulse, self.phase, own=name, accepts=True)
            link.attach(made)
            self.puppets.append(link)
            links.append(link)
            return link.notice

        self.hosts.append(await Host.open(neighbour.host_name(shows), arrived, recorder=self.recorder))
        return self.hosts[-1]

    # Calls

    async def ask(self, caller: Puppet, *links: Neighbour, **others: Any) -> tuple[str, Identity]:  # noqa: ANN401
        """Let a client call somebody who is away; these neighbours are asked. Return call_id and callee."""
        call_id = self.call_id()
        away = self.person(f"callee of {call_id}")
        caller.send(caller.identity.offer(away.fingerprint, call_id, **others))
        for link in links:
            await self.needs(link, "DirectCallOffer", call_id=call_id)
        return call_id, away

    async def ring_out(self, caller: Puppet, link: Neighbour, **others: Any) -> Across:  # noqa: ANN401
        """Bring a call to somebody who is away to Ringing."""
        call_id, away = await self.ask(caller, link, **others)
        link.say(ringing(call_id))
        await self.needs(caller, "CallRinging", call_id=call_id)
        return Across(call_id, caller, link, away)

    async def call_out(self, caller: Puppet, link: Neighbour, mode: str = "AcceptTrusted") -> Across:
        """Bring a call to somebody who is away to Active."""
        call = await self.ring_out(caller, link)
        link.say(call.away.answer(call.call_id, mode))
        return await self._active(call)

    async def ring_in(self, link: Neighbour, callee: Puppet) -> Across:
        """Bring a call of somebody who is away to Ringing."""
        call_id = self.call_id()
        away = self.person(f"caller of {call_id}")
        link.say(away.offer(callee.identity.fingerprint, call_id, **UNSAID))
        await self.needs(callee, "DirectCallOffer", call_id=call_id)
        await self.settle(callee, rounds=1)  # it may learn from these packets only that the offer has left
        await self.settle(link, rounds=1)
        return Across(call_id, callee, link, away)

    async def call_in(self, link: Neighbour, callee: Puppet, mode: str = "AcceptTrusted") -> Across:
        """Bring a call of somebody who is away to Active."""
        call = await self.ring_in(link, callee)
        callee.send(callee.identity.answer(call.call_id, mode))
        return await self._active(call)

    async def _active(self, call: Across) -> Across:
        if not await self.is_set_up(call.call_id):
            message = "the call across the link was not set up"
            raise Untestable(message)
        return call

    # Media

    async def arrives(self, sender: Puppet, data: bytes, receiver: Puppet, seen: bytes) -> bool:
        """Send a datagram until it is seen, a few times: the network may lose it, the relay not."""
        for _ in range(TRIES):
            sender.datagram(data)
            if await self.until(lambda: seen in receiver.datagrams, GRACE):
                return True
        return False
