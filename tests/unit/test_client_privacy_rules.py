"""Rules of the client: what nobody learns of a client that stays hidden (PRIV)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.line import Answer, Leg
from reference.core.messages import CallSetup, Message, Reflect
from tests.unit.rules import CALL_ID, LAN, LARGE, SMALL, acts, answers, dials, rings
from tests.world import World, offer


@pytest.mark.rule("PRIV-8")
def test_who_stays_hidden_advertises_nothing(world: World) -> None:
    """An AcceptGeneric answer carries no address, though the client knows its own from an earlier call."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    alice.hangup()
    rings(world, alice, Answer.GENERIC)
    (answered,) = answers(alice)
    assert (None, ()) == (answered.callee_reflexive_addr, tuple(answered.callee_local_addrs))


@pytest.mark.rule("PRIV-9")
def test_who_stays_hidden_asks_for_no_address(world: World) -> None:
    """Between an offer and its AcceptGeneric answer there is no Reflect, whoever decides."""
    alice = world.client("alice")
    rings(world, alice, Answer.GENERIC)
    dora = world.client("dora", Answer.GENERIC)
    bob = world.puppet("bob")
    bob.says(offer(bob.identity, dora.core.account.identity, "c2"))
    for one in (alice, dora):
        assert 1 == len(answers(one))
        assert [] == [message for message in one.sent(Leg.SIGNAL) if isinstance(message, Reflect)]


def setup_with_addresses(message: Message) -> Message:
    """Return a CallSetup with addresses that no honest relay would tell."""
    if isinstance(message, CallSetup):
        return replace(message, peer_direct_addr=SMALL, peer_local_addrs=[LAN])
    return message


@pytest.mark.rule("PRIV-10")
def test_who_stays_hidden_dials_nobody(world: World) -> None:
    """After an AcceptGeneric answer no peer is dialled, whatever CallSetup says."""
    alice, bob = world.client("alice"), world.puppet("bob")
    alice.place(bob)
    alice.hangup()
    done = acts(alice)
    world.rewrite = setup_with_addresses
    rings(world, alice, Answer.GENERIC)
    world.advance(3)
    assert "setup" in alice.events
    assert [] == dials(done)


@pytest.mark.rule("PRIV-11")
def test_who_stays_hidden_lets_nobody_in(world: World) -> None:
    """After an AcceptGeneric answer no server name is welcome, before CallSetup and behind it."""
    alice = world.client("alice")
    welcome: list[frozenset[str]] = []
    carol = world.puppet("carol")
    carol.says(offer(carol.identity, alice.core.account.identity, CALL_ID))
    world.rewrite = lambda message: (
        replace(message, peer_direct_addr=LARGE) if isinstance(message, CallSetup) else message
    )
    alice.does(alice.core.answer(Answer.GENERIC, world.now), settle=False)
    world.settle(between=lambda: welcome.append(alice.welcome))
    assert "setup" in alice.events
    assert {frozenset()} == {*welcome, alice.welcome}
