"""Ground: the puppets of one check, how they enter, and how something is waited for.

Rules of this file: nothing sleeps. That something does *not* come is known from a fence: every puppet
sends a Ping and hears its Pong, so everything that was said before has been handled and has arrived.
What does not come is a Deviation when the check asks for it and Untestable when it only prepares.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any, NoReturn

from conformance import identity, link
from conformance.dialogue import FENCES
from conformance.identity import Identity
from conformance.puppet import Puppet
from conformance.targets import Relay, Target
from conformance.verdicts import Blocked, Deviation, Evidence, Untestable
from conformance.watch import Watch, as_step

PATIENCE = 2.0
HANDSHAKE = 3.0


@dataclass
class Memory:
    """What a run has learnt about its target and no check has to find out again."""

    answers_pings: bool | None = None
    answers_links: bool | None = None
    pair: tuple[Relay, Relay] | None = None
    once: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class Ground(Watch):
    """Puppets around one relay."""

    def __init__(
        self, target: Target, relay: Relay, seed: str, *, slow: float, memory: Memory, phase: str
    ) -> None:
        """Set the stage; `seed` decides every identity and call_id, `slow` scales every patience."""
        super().__init__(seed, slow=slow, phase=phase)
        self.target = target
        self.relay = relay
        self.memory = memory
        self._fences = itertools.count(FENCES)
        self._calls = itertools.count(1)

    # Entering

    def call_id(self) -> str:
        """Return a call_id that no other check uses."""
        return Identity.named(self._seed, "call", next(self._calls)).seed.hex()[:32]

    async def dial(
        self,
        name: str,
        server_name: str | None = "_signal",
        *,
        who: Identity | None = None,
        relay: Relay | None = None,
        handshake: bool = True,
        puppet: Puppet | None = None,
        **options: Any,  # noqa: ANN401 - handed to link.dial
    ) -> Puppet:
        """Connect a puppet, or this one; raises Untestable when the handshake does not complete."""
        puppet = puppet or Puppet(name, who or self.person(name), self.dialogue, self._pulse, self.phase)
        self.puppets.append(puppet)
        address = (relay or self.relay).address
        if self.recorder is not None:
            options |= self.recorder.options(name)
        made = await link.dial(address, puppet.notice, server_name=server_name, **options)
        puppet.attach(made)
        if handshake and not await self.until(lambda: puppet.connected or bool(puppet.closed), HANDSHAKE):
            message = f"the handshake of {name} with the server name {server_name!r} did not complete"
            raise Untestable(message)
        if handshake and not puppet.connected:
            message = f"the handshake of {name} was refused with {puppet.closed}"
            raise Untestable(message)
        return puppet

    async def register(self, name: str, *, signature: bytes | None = None, **options: Any) -> Puppet:  # noqa: ANN401
        """Connect a puppet and register it; the fence behind it tells, not the acknowledgement."""
        puppet = await self.dial(name, **options)
        puppet.send(puppet.identity.registration(signature))
        puppet.speaks = True
        await self.settle(puppet, rounds=1)
        return puppet

    async def probe(self, name: str) -> Puppet:
        """Connect a puppet and register the zero key."""
        puppet = await self.dial(name)
        puppet.send(identity.ANONYMOUS)
        puppet.speaks = True
        await self.settle(puppet, rounds=1)
        return puppet

    async def register_all(self, *names: str) -> list[Puppet]:
        """Register several puppets at once."""
        return list(await asyncio.gather(*(self.register(name) for name in names)))

    # Waiting

    async def fence(self, puppet: Puppet) -> bool:
        """Tell whether the relay still handles what the puppet says; all it said before is then handled."""
        if self.memory.answers_pings is False:
            message = "REG-20: the relay answers no Ping, so nothing tells when it has handled a message"
            raise Blocked(message)
        passed = await self.answered(puppet)
        if passed and not puppet.closed:
            self.memory.answers_pings = True
        elif self.memory.answers_pings is None and not puppet.closed:
            self.memory.answers_pings = False
            return await self.fence(puppet)
        return passed and not puppet.closed

    async def answered(self, puppet: Puppet) -> bool:
        """Send a Ping; tell whether a Pong or a close came of it."""
        number = next(self._fences)
        puppet.send(identity.ping(number))
        known = puppet.strange
        return await self.until(
            lambda: bool(puppet.closed) or number in puppet.answered or puppet.strange > known, PATIENCE
        )

    async def settle(self, *puppets: Puppet, rounds: int = 2) -> None:
        """Wait until all that was said has been handled, and all that came of it has arrived.

        Without arguments it takes every registered puppet. Raises Untestable for one that is gone.
        """
        for _ in range(rounds):
            those = [one for one in puppets or self.puppets if one.speaks and one.alive]
            passed = await asyncio.gather(*(self.fence(one) for one in those))
            for one, through in zip(those, passed, strict=True):
                if not through:
                    _gone(one)
        for one in puppets:
            if not one.alive:
                _gone(one)

    async def quiet(self) -> None:
        """Wait until all that was said has been handled, if anybody is left to tell."""
        for _ in range(2):
            await asyncio.gather(*(self.fence(one) for one in self.puppets if one.speaks and one.alive))

    async def expects_nothing(self, *puppets: Puppet, since: dict[Puppet, int]) -> None:
        """Raise Deviation when one of these hears anything but Pong after its mark."""
        await self.settle()
        for puppet in puppets:
            extra = puppet.heard(since=since[puppet])
            if extra or puppet.closed:
                what = ", ".join(map(str, extra)) or f"a close with {puppet.closed}"
                message = f"{puppet.name} received {what}; nothing was expected"
                seen = {extra[0].name: extra[0].body} if extra else as_step(puppet.closed)
                raise Deviation(message, Evidence(puppet.name, "nothing", what, seen=seen))


def _gone(puppet: Puppet) -> NoReturn:
    why = f"was closed with {puppet.closed}" if puppet.closed else "answers no more"
    message = f"the connection of {puppet.name} {why}"
    raise Untestable(message)
