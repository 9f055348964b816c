"""Checks of spec/privacy.md: who learns whose address, and when."""

from __future__ import annotations

from typing import Any

from conformance import exploration
from conformance.checking import check
from conformance.crossing import Candidates, Crossed, Intrigue, cross
from conformance.stage import Stage

PEER = ("peer_direct_addr", "peer_local_addrs")


async def _offers(stage: Stage) -> list[dict[str, Any]]:
    """Return an offer with candidates as it reaches its callee, and a new connection of the callee."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob, **Candidates(stage).advertised("caller"))
    new = await stage.register("bob")
    await stage.find(new, "DirectCallOffer", call_id=call_id)
    return [one.body for at in (bob, new) for one in at.heard("DirectCallOffer", call_id=call_id)]


async def _generic(stage: Stage) -> Crossed:
    """Return a call in which both advertise, and which the callee accepts without trust."""
    alice, bob = await stage.register_all("alice", "bob")
    draw = Candidates(stage)
    told, said = draw.advertised("caller"), draw.advertised("callee")
    return await cross(stage, alice, bob, told, said, "AcceptGeneric")


@check("PRIV-1")
async def test_an_offer_does_not_tell_where_the_caller_is(stage: Stage) -> None:
    """An offer has caller_reflexive_addr; what reaches the callee, also when it registers again, must not."""
    for offer in await _offers(stage):
        found = offer.get("caller_reflexive_addr", "")
        assert "caller_reflexive_addr" not in offer, f"the callee's offer has the caller's address {found!r}"


@check("PRIV-2")
async def test_an_offer_does_not_tell_the_callers_interfaces(stage: Stage) -> None:
    """An offer has caller_local_addrs; what reaches the callee, also when it registers again, must not."""
    for offer in await _offers(stage):
        found = offer.get("caller_local_addrs", "")
        assert "caller_local_addrs" not in offer, f"the callee's offer has the host candidates {found}"


@check("PRIV-3")
async def test_an_answer_without_trust_does_not_tell_where_the_callee_is(stage: Stage) -> None:
    """The callee accepts without trust, and advertises all the same.

    The answer that reaches the caller must not have callee_reflexive_addr.
    """
    answer = (await _generic(stage)).answer
    found = answer.get("callee_reflexive_addr", "")
    assert "callee_reflexive_addr" not in answer, f"the caller's answer has the callee's address {found!r}"


@check("PRIV-4")
async def test_an_answer_without_trust_does_not_tell_the_callees_interfaces(stage: Stage) -> None:
    """The callee accepts without trust, and advertises all the same.

    The answer that reaches the caller must not have callee_local_addrs.
    """
    answer = (await _generic(stage)).answer
    found = answer.get("callee_local_addrs", "")
    assert "callee_local_addrs" not in answer, f"the caller's answer has the host candidates {found}"


@check("PRIV-5")
async def test_the_caller_learns_no_address_without_trust(stage: Stage) -> None:
    """The callee accepts without trust, and advertises; the caller's CallSetup must have no address."""
    setup = (await _generic(stage)).to_caller
    found = {name: setup[name] for name in PEER if setup.get(name)}
    assert not found, f"the caller's CallSetup has {found}"


@check("PRIV-6")
async def test_the_callee_learns_no_address_without_trust(stage: Stage) -> None:
    """The caller advertises and the callee accepts without trust; its CallSetup must have no address."""
    setup = (await _generic(stage)).to_callee
    found = {name: setup[name] for name in PEER if setup.get(name)}
    assert not found, f"the callee's CallSetup has {found}"


@check("PRIV-7")
async def test_a_candidate_reaches_nobody_else(stage: Stage) -> None:
    """Six calls run beside each other between four people, with random candidates.

    Strangers answer them and use their call_ids, callers answer their own calls, callees answer twice.
    No byte that anybody receives may hold a candidate of a call of others, or of another call.
    """
    intrigue = Intrigue(stage)
    await intrigue.play()
    leaks = intrigue.leaks()
    assert not leaks, f"{leaks[0]}, and {len(leaks) - 1} more like it"


@check("PRIV-PLANS")
async def test_no_dialogue_tells_a_candidate_to_others(stage: Stage) -> None:
    """Many drawn dialogues are performed: calls that run into each other, strangers, double answers, faults.

    No byte that anybody receives may hold a candidate that is not for them, or not yet.
    """
    await exploration.holds(stage, "privacy")
