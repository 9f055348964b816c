"""Rules of the client: how it registers and connects again, and the key that it expects (REG, SEC)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from reference.core.errors import HangupReason
from reference.core.line import Leg
from reference.core.messages import AuthToken, Hangup, RegisterPresence
from tests.world import KEY, World


@pytest.mark.rule("REG-1")
def test_registration_comes_first(world: World) -> None:
    """RegisterPresence is the first message of each signal connection, the second one too."""
    alice = world.client("alice")
    alice.does(alice.core.ping(1))
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(10)
    assert 2 == len(alice.links)
    assert [RegisterPresence] * 2 == [type(link.sent[0]) for _, _, link in alice.links]


@pytest.mark.rule("REG-26")
def test_a_token_comes_before_the_registration(world: World) -> None:
    """A client that has a token shows it first, on each signal connection, and never in a room."""
    alice = world.client("alice")
    alice.core.account = replace(alice.core.account, token="hunter2")  # noqa: S106 - a test's
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(10)
    token, hello = alice.links[-1][2].sent[:2]
    assert isinstance(token, AuthToken)
    assert ("hunter2", RegisterPresence) == (token.token, type(hello))
    assert "hunter2" not in f"{alice.core.account}"


@pytest.mark.rule("REG-15")
def test_a_replaced_client_stays_away(world: World) -> None:
    """After a close with REPLACED the client does not connect again in a day."""
    alice = world.client("alice")
    world.puppet("alice")
    world.advance(86_400)
    assert 1 == len(alice.links)
    assert "alice <x relay REPLACED" in world.journal
    assert "replaced" == alice.told[-1].members["kind"]


@pytest.mark.rule("REG-16")
def test_attempts_are_spaced(world: World) -> None:
    """Attempts to restore a lost connection are 1, 2, 4, 8, 15, 30 and again 30 s apart at least."""
    alice = world.client("alice")
    world.reachable = False
    lost_at = world.now
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(120)
    attempts = [lost_at, *(when for when, _, _ in alice.links[1:])]
    waits = [after - before for before, after in pairwise(attempts)]
    assert 7 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15, 30, 30], strict=False)), waits


@pytest.mark.rule("REG-16")
def test_attempts_that_nobody_answers_are_spaced(world: World) -> None:
    """An attempt that meets only silence is given up, and the next one is not sooner for it."""
    alice = world.client("alice")
    world.rewrite = lambda _: Hangup(reason=HangupReason.ERROR)  # no acknowledgement any more
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(80)
    waits = [after[0] - before[0] for before, after in pairwise(alice.links)]
    assert 5 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15], strict=False)), waits


@pytest.mark.rule("SEC-2")
def test_a_pin_is_kept(world: World) -> None:
    """A client with a pin registers at the relay that has it, and says nothing to one that has not."""
    right = world.client("alice", pin=KEY)
    assert "registered" in right.events
    wrong = world.client("bob", pin=":".join(["00"] * 32))
    assert [] == wrong.sent(Leg.SIGNAL)
    assert "bob x> relay _signal" in world.journal
    assert "wrong-key" == wrong.told[-1].members["kind"]
