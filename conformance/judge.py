"""Judge: runs checks against a target, one after the other, and turns what happens into verdicts."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from conformance import evidence, spec
from conformance.adapter import Refused
from conformance.archive import Archive
from conformance.attempts import REPEATED, Attempt, conclude, repeatable
from conformance.checking import Check
from conformance.clients import ClientTarget
from conformance.dialogue import Dialogue, words
from conformance.interruption import INTERRUPTION
from conformance.targets import Target
from conformance.theatre import theatre
from conformance.verdicts import (
    RED,
    Blocked,
    Exit,
    Outcome,
    TargetFaultError,
    Unsupported,
    Untestable,
    Verdict,
)
from conformance.watch import Watch


class Judge:
    """One run: a target, a seed, and the outcomes so far."""

    def __init__(
        self,
        target: Target | ClientTarget,
        *,
        seed: int = 0,
        slow: float = 1.0,
        again: int = 0,
        archive: Archive | None = None,
    ) -> None:
        """Start with nothing judged; a check that fails is performed `again` times more."""
        self.target = target
        self.outcomes: list[Outcome] = []
        self.fault: TargetFaultError | None = None
        self._seed = seed
        self._again = again
        self._repeated = 0
        self._archive = archive or Archive()
        self._theatre = theatre(target, slow)
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._runner.get_loop().set_exception_handler(_unheard)

    def close(self) -> None:
        """End the loop and what an interruption left in it; the target is its owner's."""
        with self._runner as runner:
            runner.run(self._theatre.close())

    def run(self, check: Check) -> Outcome:
        """Judge one check and keep the outcome; nothing is judged once the target has failed.

        Raises Interrupted when the run is to stop; the check is then not judged, unless it had failed before.
        """
        attempts = [self._attempt(check, 0)]
        try:
            if self._repeats(check, attempts[0]):
                while len(attempts) <= self._again and self.fault is None:
                    attempts.append(self._attempt(check, len(attempts)))
        finally:  # an interruption leaves what was seen until then
            self.outcomes.append(conclude(check, attempts, self._archive))
        return self.outcomes[-1]

    def _repeats(self, check: Check, first: Attempt) -> bool:
        """Tell whether a check is to be performed again; count those that are."""
        failed = first.outcome.verdict is Verdict.FAIL and self.fault is None
        if not failed or not repeatable(check) or self._repeated >= REPEATED:
            return False
        self._repeated += 1
        return True

    def _attempt(self, check: Check, number: int) -> Attempt:
        """Perform a check: the first time under number 0, later with people and calls of its own."""
        began = time.monotonic()
        dialogue = Dialogue()
        recorder = self._archive.recorder(logs=number > 0)
        error: BaseException | None = None
        stage: Watch | None = None
        reported = False
        try:
            if self.fault is not None:
                raise self.fault  # noqa: TRY301 - the same for every check that is left
            self._needs(check)
            stage = INTERRUPTION.complete(self._runner, self._set(check, number))
            stage.recorder = recorder
            dialogue = stage.dialogue
            try:
                INTERRUPTION.complete(self._runner, self._perform(check, stage))
            finally:
                reported = stage.reported
        except Exception as raised:  # noqa: BLE001 - whatever a check raises is a verdict
            error = raised
        INTERRUPTION.check()
        verdict, message = self._verdict(check, error, stage)
        seconds = time.monotonic() - began
        outcome = Outcome(check.id, check.name, verdict, message, seconds, error=error, text=check.text)
        outcome = replace(outcome, rests_on="reported") if reported else outcome
        if verdict is not Verdict.PASS:
            outcome = _shown(outcome, dialogue)
        return Attempt(outcome, dialogue, recorder)

    async def _set(self, check: Check, number: int) -> Watch:
        """Set the stage of a check; what it draws is the same each time."""
        seed = f"{self._seed}/{check.id}/{check.name}"
        stage: Watch = await self._theatre.stage(check, f"{seed}/{number}" if number else seed)
        stage.chance = seed
        return stage

    def _needs(self, check: Check) -> None:
        for needed in check.needs:
            if any(one.id == needed and one.verdict in RED for one in self.outcomes):
                message = f"{needed}: the check stands on this requirement, which is not met"
                raise Blocked(message)

    async def _perform(self, check: Check, stage: Watch) -> None:
        limit = self._theatre.limit(stage)
        try:
            async with asyncio.timeout(limit):
                await self._theatre.reach(check, stage)
                await check.function(stage)
        except TimeoutError:
            message = f"the check did not end within {limit:.0f} s"
            raise RuntimeError(message) from None
        except AssertionError:
            for puppet in stage.puppets:
                for fault in puppet.violations():
                    stage.dialogue.note(puppet.name, "<-", {evidence.REFUSED: fault})
            raise
        finally:
            await stage.leave()

    def _verdict(self, check: Check, error: BaseException | None, stage: Watch | None) -> tuple[Verdict, str]:
        died = self._theatre.died(check, stage)
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
            case Untestable() | Refused():
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


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tell of an exception that nobody takes, unless an interruption has sent away who would have."""
    if not INTERRUPTION.happened:
        loop.default_exception_handler(context)


def _shown(outcome: Outcome, dialogue: Dialogue) -> Outcome:
    """Return the outcome with what shows it."""
    found, step = evidence.conclude(outcome.error, dialogue)
    expected, received = words(found.expected), words(found.received)
    outcome = replace(outcome, dialogue=dialogue.steps(), step=step, plan=found.plan)
    return replace(outcome, expected=expected, received=received)


def _sentence(error: BaseException) -> str:
    return str(error).strip() or "what was received is not what the check compares it with"
