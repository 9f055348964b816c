"""Ground: the puppets of one check, how they enter, and how something is waited for.

Rules of this file: nothing sleeps. That something does *not* come is known from a fence: every puppet
sends a Ping and hears its Pong, so everything that was said before has been handled and has arrived.
What does not come is a Deviation when the check asks for it and Untestable when it only prepares.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from random import Random
from typing import Any, NoReturn

from conformance import identity, link, spec
from conformance.dialogue import Dialogue
from conformance.identity import Identity
from conformance.link import Close
from conformance.pulse import Pulse
from conformance.puppet import Heard, Puppet
from conformance.targets import Relay, Target
from conformance.verdicts import Blocked, Deviation, Untestable

FAST = 0.05
GRACE = 0.25
PATIENCE = 2.0
HANDSHAKE = 3.0
_FENCES = (1 << 40) + (1 << 30)  # neither the number nor a half of it is one that a check sends


@dataclass
class Memory:
    """What a run has learnt about its target and no check has to find out again."""

    answers_pings: bool | None = None
    once: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class Ground:
    """Puppets around one relay."""

    def __init__(
        self, target: Target, relay: Relay, seed: str, *, slow: float, memory: Memory, phase: str
    ) -> None:
        """Set the stage; `seed` decides every identity and call_id, `slow` scales every patience."""
        self.target = target
        self.relay = relay
        self.slow = slow
        self.memory = memory
        self.phase = phase
        self.dialogue = Dialogue()
        self.puppets: list[Puppet] = []
        self._seed = seed
        self._pulse = Pulse()
        self._fences = itertools.count(_FENCES)
        self._calls = itertools.count(1)

    def knows(self, since: str) -> bool:
        """Tell whether what exists since a phase exists in the one that is judged."""
        return spec.exists(since, self.phase)

    # Entering

    def person(self, name: str) -> Identity:
        """Return the identity of this name in this check; it speaks as a client of the phase judged."""
        return Identity.named(self._seed, name, phase=self.phase)

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
        **options: Any,  # noqa: ANN401 - handed to link.dial
    ) -> Puppet:
        """Connect a puppet; raises Untestable when the handshake does not complete."""
        puppet = Puppet(name, who or self.person(name), self.dialogue, self._pulse, self.phase)
        self.puppets.append(puppet)
        address = (relay or self.relay).address
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

    def random(self) -> Random:
        """Return what decides by chance; the seed of the check decides what it decides."""
        return Random(self._seed)  # noqa: S311 - no secret is drawn

    # Waiting

    async def until(self, condition: Any, seconds: float) -> bool:  # noqa: ANN401 - a callable
        """Wait for a condition, at most `seconds` times the run's scale."""
        return await self._pulse.until(condition, seconds * self.slow)

    async def fence(self, puppet: Puppet) -> bool:
        """Tell whether the relay still handles what the puppet says; all it said before is then handled."""
        if self.memory.answers_pings is False:
            message = "REG-20: the relay answers no Ping, so nothing tells when it has handled a message"
            raise Blocked(message)
        number = next(self._fences)
        puppet.send(identity.ping(number))
        known = puppet.strange
        passed = await self.until(
            lambda: bool(puppet.closed) or number in puppet.answered or puppet.strange > known, PATIENCE
        )
        if passed and not puppet.closed:
            self.memory.answers_pings = True
        elif self.memory.answers_pings is None and not puppet.closed:
            self.memory.answers_pings = False
            return await self.fence(puppet)
        return passed and not puppet.closed

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

    async def _quietly(self) -> None:
        for _ in range(2):
            await asyncio.gather(*(self.fence(one) for one in self.puppets if one.speaks and one.alive))

    async def find(
        self,
        puppet: Puppet,
        name: str,
        *,
        since: int = 0,
        within: float | None = None,
        **members: Any,  # noqa: ANN401
    ) -> Heard | None:
        """Return the first such message, or None when a fence, or `within` seconds, passed without it."""

        def there() -> bool:
            return bool(puppet.heard(name, since, **members))

        if not await self.until(there, FAST) and not puppet.closed:
            if within is None and puppet.speaks:
                await self._quietly()
            await self.until(lambda: there() or bool(puppet.closed), within or GRACE)
        return next(iter(puppet.heard(name, since, **members)), None)

    async def expects(self, puppet: Puppet, name: str, **how: Any) -> Heard:  # noqa: ANN401 - see find
        """Return the message that has to come; raises Deviation when it does not."""
        found = await self.find(puppet, name, **how)
        if found is None:
            raise Deviation(_missing(puppet, name, how))
        return found

    async def needs(self, puppet: Puppet, name: str, **how: Any) -> Heard:  # noqa: ANN401 - see find
        """Return a message that the check stands on; raises Untestable when it does not come."""
        found = await self.find(puppet, name, **how)
        if found is None:
            raise Untestable(_missing(puppet, name, how))
        return found

    async def close_of(self, puppet: Puppet, seconds: float = 1.0) -> Close | None:
        """Return how the relay closes the connection, or None when it has not in time."""
        await self.until(lambda: bool(puppet.closed), seconds)
        return puppet.closed

    async def expects_close(self, puppet: Puppet, code: int, seconds: float = 1.0) -> None:
        """Raise Deviation unless the relay closes the connection with this code."""
        closed = await self.close_of(puppet, seconds)
        if closed is None:
            message = f"the connection of {puppet.name} is still open; a close with code {code} was expected"
            raise Deviation(message)
        if not closed.application or closed.code != code:
            message = f"the connection of {puppet.name} was closed with {closed}; code {code} was expected"
            raise Deviation(message)

    async def expects_nothing(self, *puppets: Puppet, since: dict[Puppet, int]) -> None:
        """Raise Deviation when one of these hears anything but Pong after its mark."""
        await self.settle()
        for puppet in puppets:
            extra = puppet.heard(since=since[puppet])
            if extra or puppet.closed:
                what = ", ".join(map(str, extra)) or f"a close with {puppet.closed}"
                message = f"{puppet.name} received {what}; nothing was expected"
                raise Deviation(message)

    def marks(self) -> dict[Puppet, int]:
        """Return the place in everybody's inbox."""
        return {puppet: puppet.mark() for puppet in self.puppets}

    def clear(self) -> None:
        """Let every puppet go."""
        for puppet in self.puppets:
            puppet.link.abandon()


def _missing(puppet: Puppet, name: str, how: dict[str, Any]) -> str:
    members = {key: value for key, value in how.items() if key not in ("since", "within")}
    wanted = f"{name} with {members}" if members else name
    got = ", ".join(map(str, puppet.heard(since=how.get("since", 0)))) or "nothing"
    closed = f", then a close with {puppet.closed}" if puppet.closed else ""
    return f"{puppet.name} waited for {wanted} and received {got}{closed}"


def _gone(puppet: Puppet) -> NoReturn:
    why = f"was closed with {puppet.closed}" if puppet.closed else "answers no more"
    message = f"the connection of {puppet.name} {why}"
    raise Untestable(message)
