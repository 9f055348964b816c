"""Replay: one plan before one relay, once more, and what it shows.

Rules of this file: everybody comes on a new connection; whose fault it is that nothing can be said is told in
one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance import spec
from conformance.dialogue import Dialogue
from conformance.interruption import INTERRUPTION
from conformance.performance import History, perform
from conformance.plan import Plan
from conformance.properties import Finding, findings
from conformance.record import Recorder
from conformance.seats import Company
from conformance.targets import Relay, Target
from conformance.verdicts import Exit, TargetFaultError, Untestable, UsageError

_TELLING = ("reason", "accept_mode", "direct_ok", "call_id")


@dataclass
class Replayed:
    """What a plan has shown, who said what meanwhile, and what the record of it lacks."""

    findings: list[Finding]
    history: History
    steps: tuple[dict[str, Any], ...] = field(default=())
    lacks: str = ""


def replay(
    plan: Plan, target: Target, *, phase: str = spec.NEWEST, slow: float = 1.0, out: Path | None = None
) -> Replayed:
    """Perform a plan before a target; record it into the folder `out`, if there is one.

    Raises UsageError for a phase that is none and TargetFaultError when nothing can be said.
    """
    if phase not in spec.REACHED:
        message = f"the suite does not judge phase {phase!r}: it judges {', '.join(spec.REACHED)}"
        raise UsageError(message)
    relay = target.relay("signed")
    recorder = Recorder() if out is not None else None
    try:
        history = INTERRUPTION.run(performed(plan, relay, phase, slow, Dialogue(), recorder))
    except Untestable as error:
        why = target.died() or f"the plan could not be performed: {error}"
        raise TargetFaultError(why, Exit.NOT_JUDGED) from None
    lacks = "" if recorder is None or out is None else recorder.write(out, history.dialogue)
    return Replayed(findings(history), history, history.dialogue.steps(), lacks)


async def performed(
    plan: Plan, relay: Relay, phase: str, slow: float, dialogue: Dialogue, recorder: Recorder | None
) -> History:
    """Perform a plan among people who have done nothing before; raises Untestable when it cannot be done."""
    company = Company(relay.address, "replay", phase=phase, slow=slow, limits=relay.limits)
    try:
        return await perform(company, plan, "replay", alone=True, dialogue=dialogue, recorder=recorder)
    finally:
        company.close()


def told(done: Replayed, say: Callable[[str], None]) -> None:
    """Tell a person who said what, and what of it must not be."""
    names = {one: call for call, one in done.history.script.ids.items()}
    for step in done.steps:
        say(f"{step['who']} {step['direction']} {_brief(step['what'], names)}")
    for one in done.findings:
        say(str(one))
    if not done.findings:
        say("nothing was found")
    if done.lacks:
        say(f"the record is not whole: {done.lacks}")


def _brief(what: Any, names: dict[str, str]) -> str:  # noqa: ANN401 - a step of a dialogue
    if (
        not isinstance(what, dict)
        or len(what) != 1
        or not isinstance(body := next(iter(what.values())), dict)
    ):
        return str(what)
    said = [names.get(str(body[key]), str(body[key])) for key in _TELLING if key in body]
    addresses = [f"{key}={value}" for key, value in body.items() if key.endswith(("_addr", "_addrs"))]
    return " ".join([next(iter(what)), *said, *addresses])
