"""The time machine: callers, relays and callees of every phase, all combinations (spec/phases.md).

Every call ends as the rules predict: a working call on the path that all three can do, or a refusal. The
clients hear each other; nobody learns an address that the accept mode does not show; nothing is left over.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from reference.core.agreement import Path
from reference.core.line import Answer, Way
from reference.core.phases import Phase
from tests.world import Client, World

WAYS = (Way.AUTO, Way.RELAY)
ADVERTISE = list(itertools.product(WAYS, WAYS))
"""Who lets a direct path be tried: the caller, the callee, both, nobody."""
ACCEPTS = (Answer.TRUSTED, Answer.GENERIC)
COMBINATIONS = len(Phase) ** 3 * (len(ADVERTISE) * len(ACCEPTS) + 1)
WORD = 0.5
WAIT = 6.0
"""Seconds of the clock: longer than the direct deadline and the wait for a report together."""


def predicted(caller: Phase, relay: Phase, callee: Phase, answer: Answer, ways: tuple[Way, Way]) -> Path:
    """Return the path that the rules give an accepted call, when every address can be reached."""
    clients, new = {caller, callee}, Phase.PATH_AGREEMENT
    races = min(clients) >= Phase.RACE and relay >= Phase.ADVERTISING  # RACE-2: both addresses are known
    if answer is not Answer.TRUSTED or Way.RELAY in ways or not races:
        return Path.RELAY
    # Two ends that report need their reports (AGREE-6); an older one just speaks, and is followed (AGREE-16).
    return Path.DIRECT if min(clients) < new or relay >= new else Path.RELAY


def call(world: World, caller: Client, callee: Client) -> None:
    """Place a call and give both ends the time that any rule gives them."""
    caller.place(callee)
    for _ in range(round(WAIT / WORD)):  # whoever says nothing for a second is missed on a direct path
        caller.speaks(b"hello")
        callee.speaks(b"hello")
        world.advance(WORD)


def heard(world: World, caller: Client, callee: Client) -> tuple[int, int]:
    """Let both ends say three frames, and return how many each of them hears."""
    caller.heard.clear()
    callee.heard.clear()
    for _ in range(3):
        caller.speaks(b"to the callee")
        callee.speaks(b"to the caller")
        world.advance(0.02)
    return len(caller.heard), len(callee.heard)


def judge(world: World, alice: Client, bob: Client, answer: Answer, ways: tuple[Way, Way]) -> None:
    """Make one call of one combination, and hold it against the prediction."""
    alice.wants(Answer.ASK, ways[0])
    bob.wants(answer, ways[1])
    call(world, alice, bob)
    if answer is Answer.REJECT:
        assert ("ended", "ended") == (alice.events[-1], bob.events[-1])
        assert "Declined" == alice.told[-1].members["reason"]
    else:
        expected = predicted(alice.phase, world.phase, bob.phase, answer, ways)
        paths = [one.core.telephone.paths for one in (alice, bob)]
        assert [expected] * 2 == [one and one.path for one in paths], world.journal
        assert (3, 3) == heard(world, alice, bob), world.journal
        assert (expected is Path.DIRECT) == bool(alice.ties and bob.ties)
        alice.hangup()
        assert "ended" == bob.events[-1]
    world.advance(WAIT)
    assert ({}, {}) == (alice.ties, bob.ties)
    assert (0, 0) == (len(alice.core._timers), len(bob.core._timers))
    assert (frozenset(), frozenset()) == (alice.welcome, bob.welcome)
    assert 0 == len(world.relay.calls.registry)


@pytest.mark.parametrize("relay", Phase, ids=str)
@pytest.mark.parametrize("caller", Phase, ids=str)
def test_every_combination_ends_as_predicted(
    caller: Phase, relay: Phase, record_property: Callable[[str, object], None]
) -> None:
    """A caller through a relay to a callee of every phase, in every accept mode, whoever advertises."""
    played = 0
    for callee in Phase:
        world = World(phase=relay)
        alice, bob = world.client("alice", phase=caller), world.client("bob", phase=callee)
        for answer, ways in itertools.product(ACCEPTS, ADVERTISE):
            judge(world, alice, bob, answer, ways)
            played += 1
        judge(world, alice, bob, Answer.REJECT, (Way.AUTO, Way.AUTO))
        played += 1
    record_property("combinations", played)
    assert COMBINATIONS // len(Phase) ** 2 == played


def test_the_matrix_is_complete() -> None:
    """There are 1,000 triples of phases and nine ways of calling for each."""
    assert 9_000 == COMBINATIONS
