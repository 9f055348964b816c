"""Checks of spec/candidates.md: what each party learns of the other's candidates."""

from __future__ import annotations

from typing import Any

from conformance import exploration
from conformance.checking import check
from conformance.crossing import Candidates, Crossed, cross
from conformance.identity import ABSENT
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable

SETS = 2
"""Sets of candidates that a check draws."""
MANY = 20
"""Host candidates of one party, more than anybody uses: what to use is the receiver's to say."""
PEER = ("peer_direct_addr", "peer_local_addrs")


def _silent(side: str) -> dict[str, Any]:
    """Return the members of a party that advertises nothing."""
    return {f"{side}_reflexive_addr": ABSENT, f"{side}_local_addrs": ABSENT}


async def _reflexive(stage: Stage) -> list[tuple[str, str, Crossed]]:
    """Set up calls in which both have a reflexive candidate: the caller's, the callee's, the call."""
    alice, bob = await stage.register_all("alice", "bob")
    draw = Candidates(stage)
    crossed = []
    for _ in range(SETS):
        one, other = draw.address(), draw.address()
        told, said = {"caller_reflexive_addr": one}, {"callee_reflexive_addr": other}
        call = await cross(stage, alice, bob, told, said)
        crossed.append((one, other, call))
    return crossed


async def _host(stage: Stage) -> list[tuple[list[str], list[str], Crossed]]:
    """The same with host candidates, one of which is named twice."""
    alice, bob = await stage.register_all("alice", "bob")
    draw = Candidates(stage)
    crossed = []
    for _ in range(SETS):
        one, other = ([draw.address() for _ in range(MANY)] for _ in range(2))
        for those in (one, other):
            those.append(those[3])
        call = await cross(stage, alice, bob, {"caller_local_addrs": one}, {"callee_local_addrs": other})
        crossed.append((one, other, call))
    return crossed


@check("CAND-1")
async def test_the_caller_learns_the_callees_address(stage: Stage) -> None:
    """The callee accepts with trust and a random address; peer_direct_addr of the caller must be that."""
    for _, expected, call in await _reflexive(stage):
        actual = call.to_caller.get("peer_direct_addr")
        assert expected == actual, f"the callee advertised {expected}; the caller learns {actual!r}"


@check("CAND-2")
async def test_the_callee_learns_the_callers_address(stage: Stage) -> None:
    """The caller advertises a random address; peer_direct_addr of a callee that trusts must be that."""
    for expected, _, call in await _reflexive(stage):
        actual = call.to_callee.get("peer_direct_addr")
        assert expected == actual, f"the caller advertised {expected}; the callee learns {actual!r}"


@check("CAND-3")
async def test_what_nobody_named_is_left_out(stage: Stage) -> None:
    """Nobody advertises, then one party only; the CallSetups must have no member that nobody gave a value.

    Members with the names of a CallSetup's stand in the offer and the answer, and mean nothing there.
    """
    alice, bob = await stage.register_all("alice", "bob")
    draw = Candidates(stage)
    stray = {"peer_direct_addr": draw.address(), "peer_local_addrs": [draw.address()]}
    for caller, callee in ((False, False), (True, False), (False, True)):
        told = draw.advertised("caller") if caller else _silent("caller") | stray
        said = draw.advertised("callee") if callee else _silent("callee") | stray
        call = await cross(stage, alice, bob, told, said)
        for name, setup, given in (("caller", call.to_caller, callee), ("callee", call.to_callee, caller)):
            extra = [] if given else [one for one in PEER if one in setup]
            assert not extra, f"the {name}'s CallSetup has {extra}, and the other party advertised nothing"


@check("CAND-4")
async def test_the_caller_learns_the_callees_host_candidates(stage: Stage) -> None:
    """The callee accepts with trust and random host candidates; the caller must get them in their order."""
    for _, expected, call in await _host(stage):
        actual = call.to_caller.get("peer_local_addrs")
        assert expected == actual, f"the callee advertised {expected}; the caller learns {actual}"


@check("CAND-5")
async def test_the_callee_learns_the_callers_host_candidates(stage: Stage) -> None:
    """The caller advertises random host candidates; a callee that trusts must get them in their order."""
    for expected, _, call in await _host(stage):
        actual = call.to_callee.get("peer_local_addrs")
        assert expected == actual, f"the caller advertised {expected}; the callee learns {actual}"


def _wired(told: dict[str, Any], said: dict[str, Any], call: Crossed) -> dict[str, bool]:
    """Tell of every member of the two CallSetups whether it is what the other party advertised."""
    return {
        f"{member} of the {to}": setup.get(member) == those.get(f"{side}_{kind}")
        for to, setup, those, side in (
            ("caller", call.to_caller, said, "callee"),
            ("callee", call.to_callee, told, "caller"),
        )
        for member, kind in zip(PEER, ("reflexive_addr", "local_addrs"), strict=True)
        if f"{side}_{kind}" in those
    }


def _addresses(draw: Candidates, side: str, *, host: bool) -> dict[str, Any]:
    members: dict[str, Any] = {f"{side}_reflexive_addr": draw.address()}
    if host:
        members[f"{side}_local_addrs"] = [draw.address(), draw.address()]
    return members


def _texts(draw: Candidates, side: str, *, host: bool) -> dict[str, Any]:
    members: dict[str, Any] = {f"{side}_reflexive_addr": draw.text()}
    if host:
        members[f"{side}_local_addrs"] = [draw.text(), draw.address(), draw.text(), "", draw.text()]
    return members


async def _set_up(stage: Stage, alice: Puppet, bob: Puppet, told: Any, said: Any) -> Crossed:  # noqa: ANN401
    try:
        return await cross(stage, alice, bob, told, said)
    except Untestable as error:
        message = f"a call whose candidates cannot be read is not set up: {error}"
        raise AssertionError(message) from None


@check("CAND-6")
async def test_a_text_that_is_no_address_is_passed_on(stage: Stage) -> None:
    """Both parties advertise texts that are no addresses, beside addresses; each must learn the other's."""
    alice, bob = await stage.register_all("alice", "bob")
    draw = Candidates(stage)
    host = stage.knows("5.5")
    told, said = (_addresses(draw, side, host=host) for side in ("caller", "callee"))
    plain = _wired(told, said, await cross(stage, alice, bob, told, said))
    works = {name for name, well in plain.items() if well}
    if not works:
        message = "no candidate is passed on at all (CAND-1, CAND-2)"
        raise Untestable(message)
    for _ in range(SETS):
        told, said = (_texts(draw, side, host=host) for side in ("caller", "callee"))
        wired = _wired(told, said, await _set_up(stage, alice, bob, told, said))
        faults = [name for name in sorted(works) if not wired[name]]
        assert not faults, f"what is no address is missing or changed in {faults}: {told | said}"


@check("CAND-PLANS")
async def test_every_dialogue_is_wired_crosswise(stage: Stage) -> None:
    """Many drawn dialogues are performed: calls that run into each other, strangers, double answers, faults.

    Every CallSetup must tell its party what the other one advertised in this call, and nothing else.
    """
    await exploration.holds(stage, "cross-wiring")
