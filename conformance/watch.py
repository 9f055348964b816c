"""Watch: the puppets of one check, what they have heard, and how something is waited for.

Rules of this file: nothing sleeps. What has to come and does not is a Deviation when the check asks for it
and Untestable when it only prepares.
"""

from __future__ import annotations

from random import Random
from typing import Any

from conformance import spec
from conformance.dialogue import Dialogue
from conformance.identity import Identity
from conformance.link import Close
from conformance.pulse import Pulse
from conformance.puppet import Heard, Puppet
from conformance.record import Recorder
from conformance.verdicts import Deviation, Evidence, Untestable

FAST = 0.05
GRACE = 0.25


class Watch:
    """Everybody who takes part in one check, beside the implementation under test."""

    def __init__(self, seed: str, *, slow: float, phase: str) -> None:
        """Begin; `seed` decides every identity and all that is drawn, `slow` scales every patience."""
        self.slow = slow
        self.phase = phase
        self.dialogue = Dialogue()
        self.puppets: list[Puppet] = []
        self.reported = False
        self.recorder: Recorder | None = None
        self.chance = seed
        """What decides by chance, also where a check is performed again by other people."""
        self._seed = seed
        self._pulse = Pulse()

    def knows(self, since: str) -> bool:
        """Tell whether what exists since a phase exists in the one that is judged."""
        return spec.exists(since, self.phase)

    def person(self, name: str) -> Identity:
        """Return the identity of this name in this check; it speaks as a client of the phase judged."""
        return Identity.named(self._seed, name, phase=self.phase)

    def random(self) -> Random:
        """Return what decides by chance; the seed of the check decides what it decides."""
        return Random(self.chance)  # noqa: S311 - no secret is drawn

    async def until(self, condition: Any, seconds: float) -> bool:  # noqa: ANN401 - a callable
        """Wait for a condition, at most `seconds` times the run's scale."""
        return await self._pulse.until(condition, seconds * self.slow)

    async def quiet(self) -> None:
        """Wait until all that was said has been handled, as far as that can be known."""

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
                await self.quiet()
            await self.until(lambda: there() or bool(puppet.closed), within or GRACE)
        return next(iter(puppet.heard(name, since, **members)), None)

    async def expects(self, puppet: Puppet, name: str, **how: Any) -> Heard:  # noqa: ANN401 - see find
        """Return the message that has to come; raises Deviation when it does not."""
        found = await self.find(puppet, name, **how)
        if found is None:
            raise Deviation(*_missing(puppet, name, how))
        return found

    async def needs(self, puppet: Puppet, name: str, **how: Any) -> Heard:  # noqa: ANN401 - see find
        """Return a message that the check stands on; raises Untestable when it does not come."""
        found = await self.find(puppet, name, **how)
        if found is None:
            raise Untestable(*_missing(puppet, name, how))
        return found

    async def close_of(self, puppet: Puppet, seconds: float = 1.0) -> Close | None:
        """Return how the relay closes the connection, or None when it has not in time."""
        await self.until(lambda: bool(puppet.closed), seconds)
        return puppet.closed

    async def expects_close(self, puppet: Puppet, code: int, seconds: float = 1.0) -> None:
        """Raise Deviation unless the relay closes the connection with this code."""
        closed = await self.close_of(puppet, seconds)
        wanted = f"a close of {puppet.name}'s connection with code {code}"
        if closed is None:
            message = f"the connection of {puppet.name} is still open; a close with code {code} was expected"
            shown = Evidence(puppet.name, wanted, "the connection is still open", missing={"close": code})
            raise Deviation(message, shown)
        if not closed.application or closed.code != code:
            message = f"the connection of {puppet.name} was closed with {closed}; code {code} was expected"
            what = f"a close with {closed}"
            raise Deviation(message, Evidence(puppet.name, wanted, what, seen=as_step(closed)))

    def marks(self) -> dict[Puppet, int]:
        """Return the place in everybody's inbox."""
        return {puppet: puppet.mark() for puppet in self.puppets}

    def clear(self) -> None:
        """Let every puppet go."""
        for puppet in self.puppets:
            puppet.abandon()

    async def leave(self) -> None:
        """Let everything go that the check has begun."""
        self.clear()


def _missing(puppet: Puppet, name: str, how: dict[str, Any]) -> tuple[str, Evidence]:
    members = {key: value for key, value in how.items() if key not in ("since", "within")}
    named = " and ".join(f"{key} {value!r}" for key, value in members.items())
    wanted = f"{name} with {named}" if members else name
    got = ", ".join(map(str, puppet.heard(since=how.get("since", 0)))) or "nothing"
    closed = f", then a close with {puppet.closed}" if puppet.closed else ""
    message = f"{puppet.name} waited for {wanted} and received {got}{closed}"
    return message, Evidence(puppet.name, wanted, f"{got}{closed}", missing={name: members})


def as_step(closed: Close | None) -> dict[str, Any] | None:
    """Return a close as the dialogue says it."""
    return None if closed is None else {"close": closed.code, "reason": closed.reason}
