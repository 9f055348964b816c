"""Theatre: where the checks of a run are played: around a relay under test, or around a client.

    Target   what is judged, running already or started by the suite
    Stage    one check's puppets around it

Rules of this file: what takes a start, or a first word, is done once a run.
"""

from __future__ import annotations

from typing import Any, Protocol

from conformance.adapter import Adapter
from conformance.border import Border
from conformance.checking import Check
from conformance.client_stage import ClientStage
from conformance.clients import ClientTarget
from conformance.ground import Memory
from conformance.interruption import INTERRUPTION
from conformance.stage import Stage
from conformance.targets import LINKED, Relay, Target
from conformance.verdicts import Blocked, Exit, TargetFaultError

LONGEST = 60.0
"""Seconds a check may take, beside the relay's own timers; beyond it the suite is at fault."""
HANDSHAKE = "TRANS-18"
"""The requirement that every other check of a relay stands on."""
A_PLAN = 0.5
"""Seconds that a drawn dialogue may take."""


class Theatre(Protocol):
    """What the judge needs."""

    @property
    def target(self) -> Target | ClientTarget:
        """What is judged."""

    async def stage(self, check: Check, seed: str) -> Any:  # noqa: ANN401 - what the check takes
        """Set the stage of a check; raises Unsupported or TargetFaultError when it cannot be set."""

    async def reach(self, check: Check, stage: Any) -> None:  # noqa: ANN401 - as above
        """Make sure once that somebody is there."""

    def limit(self, stage: Any) -> float:  # noqa: ANN401 - as above
        """Return the seconds that a check may take."""

    def died(self, check: Check, stage: Any | None) -> str:  # noqa: ANN401 - as above
        """Return a sentence when what is judged has ended by itself, or nothing; there may be no stage."""

    async def close(self) -> None:
        """End what has been begun in the loop."""


def theatre(target: Target | ClientTarget, slow: float) -> Theatre:
    """Return where this target is judged."""
    return RelayTheatre(target, slow) if isinstance(target, Target) else ClientTheatre(target, slow)


class RelayTheatre:
    """Around a relay, by variants of it."""

    def __init__(self, target: Target, slow: float) -> None:
        """Begin with nothing known of the relay."""
        self.target = target
        self._slow = slow
        self._memories: dict[str, Memory] = {}
        self._refusals: dict[str, str] = {}

    async def stage(self, check: Check, seed: str) -> Stage:
        """Set the stage around the relay of the check's variant."""
        relay = self.target.relay(check.variant)
        if self.target.started(LINKED):
            self._border("scenes", relay).begin()
        if check.variant == LINKED:
            return self._border(seed, relay)
        memory = self._memories.setdefault(check.variant, Memory())
        return Stage(self.target, relay, seed, slow=self._slow, memory=memory, phase=relay.phase)

    def _border(self, seed: str, relay: Relay) -> Border:
        memory = self._memories.setdefault(LINKED, Memory())
        return Border(self.target, relay, seed, slow=self._slow, memory=memory, phase=self.target.phase)

    def limit(self, stage: Stage) -> float:
        """Return the seconds that a check may take; some perform the plans of the run."""
        plans = A_PLAN * stage.target.plans.examples
        return (LONGEST + plans) * self._slow + 2 * max(stage.relay.timers.values())

    async def reach(self, check: Check, stage: Stage) -> None:
        """Make sure once that somebody answers at the relay's address, and lets a client in.

        Raises Blocked where nobody is let in, but for the check that is about it.
        """
        if check.variant not in self._refusals:
            self._refusals[check.variant] = await self._probe(stage)
        refusal = self._refusals[check.variant]
        if refusal and check.id != HANDSHAKE:
            raise Blocked(refusal)

    async def _probe(self, stage: Stage) -> str:
        """Return why a relay that is there lets nobody in, or nothing; raises TargetFaultError for nobody."""
        puppet = await stage.dial("probe", handshake=False)
        await stage.until(lambda: puppet.connected or puppet.link.unreachable or bool(puppet.closed), 5.0)
        if puppet.connected:
            return ""
        if puppet.closed is None:
            host, port = stage.relay.address
            message = (
                f"nobody completes a QUIC handshake at {host}:{port}; "
                "start the relay under test, or name the address it listens on"
            )
            started = stage.relay.process is not None  # then it named this address itself
            raise TargetFaultError(message, Exit.BROKE_PROTOCOL if started else Exit.NOT_JUDGED)
        return f"{HANDSHAKE}: a handshake that offers the ALPN protocol `wzp` is refused with {puppet.closed}"

    def died(self, check: Check, stage: Stage | None) -> str:
        """Return a sentence about a relay that ended by itself, with what it was sent last, or nothing."""
        sentence = self.target.died()
        process = stage.relay.process if stage is not None else None
        last = stage.dialogue.last_sent() if stage is not None and process is not None else ""
        if not last or process is None or not process.died():
            return sentence
        return f"{process.died()}; the last that it was sent, in the check of {check.id}: {last}"

    async def close(self) -> None:
        """Do nothing: every check has let its puppets go."""


class ClientTheatre:
    """Around a client, whose adapter is started once a run."""

    def __init__(self, target: ClientTarget, slow: float) -> None:
        """Begin without an adapter."""
        self.target = target
        self._slow = slow
        self._adapter: Adapter | None = None

    async def stage(self, check: Check, seed: str) -> ClientStage:
        """Set the stage around the client; raises Unsupported for a feature that its adapter has not."""
        if self._adapter is None:
            self._adapter = await self.target.connect()
        stage = ClientStage(self._adapter, seed, slow=self._slow, phase=self.target.phase)
        stage.wants(*check.features)
        return stage

    def limit(self, stage: ClientStage) -> float:
        """Return the seconds that a check may take: the longest waits are those of REG-16."""
        return LONGEST * self._slow + 2 * LONGEST * stage.scale

    async def reach(self, check: Check, stage: ClientStage) -> None:
        """Do nothing: an adapter that greets is there."""

    def died(self, check: Check, stage: ClientStage | None) -> str:
        """Return a sentence about an adapter that ended by itself, or nothing."""
        del check, stage
        return self.target.died()

    async def close(self) -> None:
        """Say bye to the adapter; of one that was interrupted in the middle of something, let go."""
        if self._adapter is not None:
            await (self._adapter.drop() if INTERRUPTION.happened else self._adapter.close())
            self._adapter = None
