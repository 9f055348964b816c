"""Judge: runs checks against a target, one after the other, and turns what happens into verdicts."""

from __future__ import annotations

import asyncio
import time

from conformance import spec
from conformance.checking import Check
from conformance.dialogue import Dialogue
from conformance.ground import Memory
from conformance.stage import Stage
from conformance.targets import Relay, Target
from conformance.verdicts import (
    INTERRUPTION,
    RED,
    Blocked,
    Exit,
    Outcome,
    TargetFaultError,
    Unsupported,
    Untestable,
    Verdict,
)

LONGEST = 60.0
"""Seconds a check may take, beside the relay's own timers; beyond it the suite is at fault."""


class Judge:
    """One run: a target, a seed, and the outcomes so far."""

    def __init__(self, target: Target, *, seed: int = 0, slow: float = 1.0) -> None:
        """Start with nothing judged."""
        self.target = target
        self.outcomes: list[Outcome] = []
        self.fault: TargetFaultError | None = None
        self._seed = seed
        self._slow = slow
        self._memories: dict[str, Memory] = {}
        self._loop = asyncio.new_event_loop()
        self._reached: set[str] = set()

    def close(self) -> None:
        """End the loop and what an interruption left in it; the target is its owner's."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.close()

    def run(self, check: Check) -> Outcome:
        """Judge one check and keep the outcome; nothing is judged once the target has failed."""
        began = time.monotonic()
        dialogue = Dialogue()
        error: BaseException | None = None
        try:
            if self.fault is not None:
                raise self.fault  # noqa: TRY301 - the same for every check that is left
            self._needs(check)
            relay = self.target.relay(check.variant)
            stage = self._stage(check, relay)
            dialogue = stage.dialogue
            self._loop.run_until_complete(self._perform(check, stage))
        except Exception as raised:  # noqa: BLE001 - whatever a check raises is a verdict
            error = raised
        if INTERRUPTION.happened:
            raise KeyboardInterrupt
        verdict, message = self._verdict(check, error)
        steps = () if verdict is Verdict.PASS else dialogue.steps()
        seconds = time.monotonic() - began
        outcome = Outcome(check.id, check.name, verdict, message, seconds, steps, error)
        self.outcomes.append(outcome)
        return outcome

    def _needs(self, check: Check) -> None:
        for needed in check.needs:
            if any(one.id == needed and one.verdict in RED for one in self.outcomes):
                message = f"{needed}: the check stands on this requirement, which is not met"
                raise Blocked(message)

    def _stage(self, check: Check, relay: Relay) -> Stage:
        memory = self._memories.setdefault(check.variant, Memory())
        seed = f"{self._seed}/{check.id}/{check.name}"
        return Stage(self.target, relay, seed, slow=self._slow, memory=memory, phase=relay.phase)

    async def _perform(self, check: Check, stage: Stage) -> None:
        limit = LONGEST * self._slow + 2 * max(stage.relay.timers.values())
        try:
            async with asyncio.timeout(limit):
                await self._reach(check.variant, stage)
                await check.function(stage)
        except TimeoutError:
            message = f"the check did not end within {limit:.0f} s"
            raise RuntimeError(message) from None
        except AssertionError:
            for puppet in stage.puppets:
                for fault in puppet.violations():
                    stage.dialogue.note(puppet.name, "<-", {"refused by the emit view": fault})
            raise
        finally:
            stage.clear()

    async def _reach(self, variant: str, stage: Stage) -> None:
        """Make sure once that somebody answers at the relay's address."""
        if variant in self._reached:
            return
        puppet = await stage.dial("probe", handshake=False)
        await stage.until(lambda: puppet.connected or puppet.link.unreachable or bool(puppet.closed), 5.0)
        if not puppet.connected and puppet.closed is None:
            host, port = stage.relay.address
            message = (
                f"nobody completes a QUIC handshake at {host}:{port}; "
                "start the relay under test, or name the address it listens on"
            )
            started = stage.relay.process is not None  # then it named this address itself
            raise TargetFaultError(message, Exit.BROKE_PROTOCOL if started else Exit.NOT_JUDGED)
        self._reached.add(variant)

    def _verdict(self, check: Check, error: BaseException | None) -> tuple[Verdict, str]:
        died = self.target.died()
        if died and self.fault is None:
            self.fault = TargetFaultError(died, Exit.BROKE_PROTOCOL)
            error = self.fault
        match error:
            case None:
                return Verdict.PASS, ""
            case AssertionError():
                rule = spec.requirements().get(check.id)
                soft = rule is not None and rule.level.startswith(("SHOULD", "MAY"))
                return Verdict.WARN if soft else Verdict.FAIL, _sentence(error)
            case Untestable():
                return Verdict.UNTESTABLE, str(error)
            case Unsupported():
                return Verdict.UNSUPPORTED, str(error)
            case Blocked():
                return Verdict.BLOCKED, str(error)
            case TargetFaultError():
                self.fault = self.fault or error
                return Verdict.ERROR, str(error)
            case _:
                return Verdict.ERROR, f"the suite is at fault: {type(error).__name__}: {error}"


def _sentence(error: BaseException) -> str:
    return str(error).strip() or "what was received is not what the check compares it with"
