"""Shrinking: the smallest plan that still shows what a failing one showed.

Rules of this file: a plan is made smaller by leaving something out, never by adding; every try is one
performance, and there are at most TRIES of them; in the end no step can be left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from conformance.plan import Beat, Plan, Step
from conformance.script import SIDES

TRIES = 400
PLAIN = "7"
"""The phase of a client of which nothing is to be said."""

Fails = Callable[[Plan], Awaitable[bool]]


async def shrink(
    plan: Plan, fails: Fails, plain: str = PLAIN, enough: Callable[[], bool] = lambda: False
) -> Plan:
    """Return a part of a plan for which `fails` still holds and of which no step can be left out.

    `plain` is the phase that people get who need none of their own; `enough` tells when to leave it at what
    has been reached.
    """
    left = TRIES
    smaller = True
    while smaller:
        smaller = False
        for candidate in candidates(plan, plain):
            if left <= 0 or enough():
                return plan
            left -= 1
            if await fails(candidate):
                plan, smaller = candidate, True
                break
    return plan


def candidates(plan: Plan, plain: str = PLAIN) -> Iterator[Plan]:
    """Yield plans that are a little smaller, those first that leave out most."""
    yield from _with_fewer_steps(plan)
    yield from _with_less_around(plan, plain)
    yield from _with_shorter_steps(plan)
    yield from _with_clearer_beats(plan)
    yield from _with_plainer_names(plan)


def without(plan: Plan, numbers: set[int]) -> Plan:
    """Return a plan without these steps, the beats that they leave empty, and whoever has no part now."""
    beats = (tuple(step for at, step in beat if at not in numbers) for beat in plan.numbered())
    return _cast(replace(plan, beats=tuple(beat for beat in beats if beat)))


def _cast(plan: Plan) -> Plan:
    """Return a plan with those people only who have a part in it."""
    acting = {name for _, step in plan.steps() for name in (step.who, step.to)}
    staying = [name for name in plan.people if name in acting] or list(plan.people)[:1]
    return replace(
        plan,
        people={name: plan.people[name] for name in staying},
        network={name: one for name, one in plan.network.items() if name in staying},
        fresh=tuple(name for name in plan.fresh if name in staying),
    )


def _with_fewer_steps(plan: Plan) -> Iterator[Plan]:
    numbers = [at for at, _ in plan.steps()]
    size = len(numbers) // 2
    while size >= 1:
        for first in reversed(range(0, len(numbers), size)):
            yield without(plan, set(numbers[first : first + size]))
        size //= 2
    for call in plan.calls():
        yield without(plan, {at for at, step in plan.steps() if step.call == call})


def _with_less_around(plan: Plan, plain: str) -> Iterator[Plan]:
    if plan.network:
        yield replace(plan, network={}, seed=0)
    if plan.fresh:
        yield replace(plan, fresh=())
    for name, phase in plan.people.items():
        if phase != plain:
            yield replace(plan, people={**plan.people, name: plain})


def _with_shorter_steps(plan: Plan) -> Iterator[Plan]:
    for at, step in plan.steps():
        for shorter in _shorter(step):
            yield _with(plan, at, shorter)


def _shorter(step: Step) -> Iterator[Step]:
    if step.members:
        yield replace(step, members={})
        if len(step.members) > 1:
            yield from (
                replace(step, members={key: value for key, value in step.members.items() if key != name})
                for name in step.members
            )
    if step.host:
        yield replace(step, host=())
        if len(step.host) > 1:
            yield replace(step, host=step.host[:1])
    if step.reflexive:
        yield replace(step, reflexive="")
    if step.large:
        yield replace(step, large=0)
        yield from (
            replace(step, large=size) for size in (step.large // 2, step.large - step.large // 8) if size
        )
    if step.does in SIDES and step.mode == "AcceptGeneric":
        yield replace(step, mode="AcceptTrusted")


def _with_clearer_beats(plan: Plan) -> Iterator[Plan]:
    """Yield plans in which a beat of several steps is several beats: then everything has an order."""
    for at, beat in enumerate(plan.beats):
        if len(beat) > 1:
            apart: tuple[Beat, ...] = tuple((step,) for step in beat)
            yield replace(plan, beats=(*plan.beats[:at], *apart, *plan.beats[at + 1 :]))


def _with_plainer_names(plan: Plan) -> Iterator[Plan]:
    """Yield the plan with its calls in the order of their first mention."""
    calls = plan.calls()
    names = {call: f"c{number}" for number, call in enumerate(calls, 1)}
    if list(names.values()) != calls:
        beats = (
            tuple(replace(step, call=names[step.call]) if step.call else step for step in beat)
            for beat in plan.beats
        )
        yield replace(plan, beats=tuple(beats))


def _with(plan: Plan, number: int, step: Step) -> Plan:
    beats = (tuple(step if at == number else old for at, old in beat) for beat in plan.numbered())
    return replace(plan, beats=tuple(beats))
