"""Exploration: many drawn plans before one relay, what they show, and the smallest plan that shows it.

Rules of this file: the plans of a run follow from its seed and are performed once, whoever asks first; a
finding counts when the same plan shows it CONFIRMED times more among people who have done nothing before;
what is found is made as small as it goes and written down.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance import drawing, shrinking
from conformance.dialogue import Dialogue
from conformance.performance import History, perform
from conformance.plan import Plan
from conformance.properties import Finding, findings, step_of
from conformance.record import Recorder
from conformance.replay import performed
from conformance.seats import Company
from conformance.stage import Stage
from conformance.verdicts import Deviation, Evidence, Untestable

AT_ONCE = 6
"""Plans that are performed beside each other."""
CONFIRMED = 3
SUSPECTS = 4
"""Failing plans of one property that are looked at again, before it is said that none of them fails twice."""
AGAIN = 2
"""Times that a plan is tried which could not be performed."""
SHRINKING = 12.0
"""Seconds that are spent on making the plan of a property small, times the run's scale."""
PORTION = 50
TOO_MANY = 20
"""Plans that are performed before it is looked how many fail, and how many are so many that it is enough."""


@dataclass(frozen=True)
class Failure:
    """The smallest plan that shows a finding, and the file that it was written to, if any."""

    plan: Plan
    finding: Finding
    file: str = ""


@dataclass
class Explored:
    """What the plans of a run have shown: by property, a failure, or a sentence about one that went away."""

    failures: dict[str, Failure] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    stuck: list[str] = field(default_factory=list)


Shown = dict[int, list[Finding]]
"""What each failing plan has shown, by the number of the plan."""


class Explorer:
    """Performs plans before one relay."""

    def __init__(self, company: Company, key: str) -> None:
        """Perform with these people; `key` makes call_ids those of nobody else."""
        self.company = company
        self._key = key
        self._count = itertools.count(1)

    async def show(self, plan: Plan, *, alone: bool = False, dialogue: Dialogue | None = None) -> History:
        """Perform a plan; raises Untestable when that cannot be done twice either."""
        for left in reversed(range(AGAIN)):
            try:
                key = f"{self._key}/{next(self._count)}"
                return await perform(self.company, plan, key, alone=alone, dialogue=dialogue)
            except Untestable:
                if not left:
                    raise
        message = "a plan is performed at least once"
        raise RuntimeError(message)

    async def explore(self, plans: Sequence[Plan]) -> tuple[Shown, list[str]]:
        """Perform these plans; return what failing ones show, and why others could not be performed.

        Where very many fail the rest is left: they show the same.
        """
        shown: Shown = {}
        stuck: list[str] = []
        for first in range(0, len(plans), PORTION):
            if len(shown) + len(stuck) >= TOO_MANY:
                stuck.append(f"of {len(plans)} plans {first} were performed, and {len(shown)} of them failed")
                break
            more, left = await self._portion(first, plans[first : first + PORTION])
            shown |= more
            stuck += left
        return shown, stuck

    async def _portion(self, first: int, plans: Sequence[Plan]) -> tuple[Shown, list[str]]:
        shown: Shown = {}
        stuck: list[str] = []
        waiting = iter(enumerate(plans, first))

        async def work() -> None:
            for number, plan in waiting:
                try:
                    found = findings(await self.show(plan))
                except Untestable as error:
                    stuck.append(f"plan {number} could not be performed: {error}")
                    continue
                if found:
                    shown[number] = found

        await asyncio.gather(*(work() for _ in range(min(AT_ONCE, self.company.troupes, len(plans)))))
        return dict(sorted(shown.items())), stuck

    async def confirm(self, plan: Plan, finding: Finding) -> bool:
        """Tell whether a plan shows a finding every time, among people who have done nothing before."""
        for _ in range(CONFIRMED):
            if not _has(findings(await self.show(plan, alone=True)), finding):
                return False
        return True

    async def smallest(self, plan: Plan, finding: Finding) -> tuple[Plan, Finding]:
        """Return the smallest part of a plan that shows a finding of the same rule, and that finding."""

        async def fails(candidate: Plan) -> bool:
            try:
                return _has(findings(await self.show(candidate)), finding)
            except Untestable:
                return False

        loop = asyncio.get_running_loop()
        until = loop.time() + SHRINKING * self.company.slow
        small = await shrinking.shrink(plan, fails, self.company.phase, lambda: loop.time() > until)
        found = [one for one in findings(await self.show(small, alone=True)) if _same(one, finding)]
        return (small, found[0]) if found else (plan, finding)


def _same(one: Finding, other: Finding) -> bool:
    return (one.property, one.rule) == (other.property, other.rule)


def _has(found: list[Finding], finding: Finding) -> bool:
    return any(_same(one, finding) for one in found)


async def explored(stage: Stage) -> Explored:
    """Return what the plans of the run show; they are performed once a run, for all properties."""
    once = stage.memory.once
    if "plans" not in once:
        once["plans"] = asyncio.ensure_future(_explore(stage))
    found: Explored = await once["plans"]
    return found


async def _explore(stage: Stage) -> Explored:
    await _answers_pings(stage)
    wanted = stage.target.plans
    company = _company(stage, f"plans/{wanted.seed}")
    try:
        explorer = Explorer(company, f"plans/{wanted.seed}")
        plans = drawing.drawn(wanted.examples, wanted.seed, stage.phase)
        shown, stuck = await explorer.explore(plans)
        found = Explored(stuck=stuck)
        for name in dict.fromkeys(one.property for those in shown.values() for one in those):
            await _conclude(explorer, name, plans, shown, found, wanted.out)
        return found
    finally:
        company.close()


async def _answers_pings(stage: Stage) -> None:
    """Raise Blocked when nothing tells when the relay has handled a message (REG-20)."""
    probe = await stage.register("probe of plans")
    await stage.settle(probe)


def _company(stage: Stage, seed: str) -> Company:
    relay = stage.relay
    return Company(relay.address, seed, phase=stage.phase, slow=stage.slow, limits=relay.limits)


async def _conclude(
    explorer: Explorer, name: str, plans: Sequence[Plan], shown: Shown, found: Explored, out: Path | None
) -> None:
    """Look at what a property has found, and keep the smallest plan that shows it every time."""
    suspects = [
        (plans[number], one) for number, those in shown.items() for one in those if one.property == name
    ]
    for plan, finding in suspects[:SUSPECTS]:
        if not await explorer.confirm(plan, finding):
            found.doubtful.setdefault(
                name, f"{finding}; the same plan showed it once, and not when it was performed again"
            )
            continue
        small, shown_by_it = await explorer.smallest(plan, finding)
        found.doubtful.pop(name, None)
        found.failures[name] = Failure(
            small, shown_by_it, "" if out is None else write(small, shown_by_it, out)
        )
        return


def write(plan: Plan, finding: Finding, out: Path) -> str:
    """Write a plan into a folder; return its place in it."""
    text = plan.text()
    name = f"{finding.rule}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    folder = out / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return f"plans/{name}"


async def holds(stage: Stage, name: str) -> None:
    """Raise Deviation when the plans of the run show that a property does not hold.

    Raises Untestable when a plan could not be performed, or showed something that it did not show again.
    """
    found = await explored(stage)
    failure = found.failures.get(name)
    if failure is not None:
        history = await _again(stage, failure)
        raise Deviation(*evidence(history, failure))
    if name in found.doubtful:
        raise Untestable(found.doubtful[name])
    if found.stuck:
        more = f", and {len(found.stuck) - 1} more like it" if len(found.stuck) > 1 else ""
        message = f"{found.stuck[0]}{more}"
        raise Untestable(message)


async def _again(stage: Stage, failure: Failure) -> History:
    """Perform the plan of a failure once more, in the dialogue of this check; record it beside the plan."""
    out = stage.target.plans.out
    recorder = None if out is None or not failure.file else Recorder()
    relay, plan = stage.relay, failure.plan
    history = await performed(plan, relay, stage.phase, stage.slow, stage.dialogue, recorder)
    if recorder is not None and out is not None:
        recorder.write((out / failure.file).with_suffix(""), history.dialogue)
    return history


def evidence(history: History, failure: Failure) -> tuple[str, Evidence]:
    """Return the sentence of a failure and what shows it."""
    found = next((one for one in findings(history) if _same(one, failure.finding)), failure.finding)
    steps = "; ".join(
        " ".join(filter(None, (step.who, step.does, step.call, step.to, step.mode)))
        for _, step in failure.plan.steps()
    )
    message = f"{found.rule}: {found.sentence} ({steps})"
    who = history.lines[found.place].who if 0 <= found.place < len(history.lines) else ""
    return message, Evidence(who, "", found.sentence, seen=step_of(history, found), plan=failure.file)
