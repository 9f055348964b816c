"""Checks of spec/phases.md: how phases live together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conformance import codec, identity, spec
from conformance.checking import check
from conformance.puppet import Heard, Puppet
from conformance.stage import Stage
from conformance.verdicts import Unsupported, Untestable

LATER: dict[str, Any] = {
    "caller_reflexive_addr": "198.51.100.1:4000",
    "caller_local_addrs": ["192.0.2.1:4000", "[2001:db8::1]:4000"],
    "caller_build_version": "later",
}
"""Members that an offer has since later phases."""
FORWARDED = ("DirectCallOffer", "DirectCallAnswer", "MediaPathReport")
"""What a relay has from others: it keeps what these said."""


def _younger(stage: Stage) -> frozenset[tuple[str, str]]:
    """Return what is younger than the relay's phase; raises Unsupported where nothing is."""
    found = spec.younger(stage.phase)
    if not found:
        message = f"nothing is younger than phase {stage.phase}"
        raise Unsupported(message)
    return found


@check("PHASE-1", variant="older")
async def test_a_later_message_is_not_answered(stage: Stage) -> None:
    """A relay of an older phase is asked for an address and, in an Active call, sent a report.

    Where its phase has no such message, nothing may come of it.
    """
    younger = _younger(stage)
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    since = stage.marks()
    if ("Reflect", "") in younger:
        alice.send("Reflect")
        alice.send_bytes(codec.frame(b'{"Reflect":null}'))
    if ("MediaPathReport", "") in younger:
        alice.send(identity.report(call_id))
        bob.send(identity.report(call_id))
    for one in (alice, bob):
        if not await stage.fence(one):
            message = "the connection did not survive an unknown message (WIRE-6)"
            raise Untestable(message)
    await stage.expects_nothing(alice, bob, since=since)


@check("PHASE-2", variant="older")
async def test_later_members_are_forwarded(stage: Stage) -> None:
    """An offer has members that are younger than the relay's phase; it must reach the callee with them."""
    younger = _younger(stage)
    alice, bob = await stage.register_all("alice", "bob")
    target = bob.identity.fingerprint
    control = stage.call_id()
    alice.send(alice.identity.offer(target, control, nothing_special=1))
    got = await stage.needs(bob, "DirectCallOffer", call_id=control)
    if got.body.get("nothing_special") != 1:
        message = "no unknown member is forwarded at all (WIRE-11)"
        raise Untestable(message)
    later = {name: value for name, value in LATER.items() if ("DirectCallOffer", name) in younger}
    call_id = stage.call_id()
    alice.send(alice.identity.offer(target, call_id, **later))
    offer = (await stage.expects(bob, "DirectCallOffer", call_id=call_id)).body
    gone = [name for name, value in later.items() if offer.get(name) != value]
    assert not gone, f"the members {gone} of a later phase are gone or changed"


async def _works(stage: Stage, alice: Puppet, bob: Puppet, phase: str) -> set[str]:
    """Return which messages of clients of this phase have their effect."""
    caller, callee = alice.identity.of(phase), bob.identity.of(phase)
    accepted, rejected = stage.call_id(), stage.call_id()
    works = set()
    for call_id in (accepted, rejected):
        alice.send(caller.offer(callee.fingerprint, call_id))
    await stage.settle(alice, bob)
    if (
        len(bob.heard("DirectCallOffer", call_id=accepted) + bob.heard("DirectCallOffer", call_id=rejected))
        > 1
    ):
        works.add("DirectCallOffer")
    mark = alice.mark()
    bob.send(callee.answer(rejected, "Reject"))
    bob.send(callee.answer(accepted))
    await stage.settle(alice, bob)
    if alice.heard("CallSetup", mark, call_id=accepted):
        works.add("DirectCallAnswer")
    if alice.heard("Hangup", mark):
        works.add("DirectCallAnswer{Reject}")
    mark = bob.mark()
    alice.send(caller.hangup(accepted))
    await stage.settle(alice, bob)
    return works | {"Hangup"} if bob.heard("Hangup", mark) else works


def _older(phase: str) -> list[str]:
    """Return the phases before this one whose clients send other members than those of the phase before."""
    found: dict[frozenset[tuple[str, str]], str] = {}
    for one in spec.REACHED[: spec.REACHED.index(phase)]:
        sent = frozenset(pair for pair in spec.younger(one) if pair[0] in ("DirectCallOffer", "Hangup"))
        found.setdefault(sent, one)
    return [*found.values()]


@check("PHASE-3")
async def test_older_clients_are_served(stage: Stage) -> None:
    """Clients of every older phase call, accept, reject and hang up.

    What has an effect in the words of the relay's own phase must have it in theirs.
    """
    older = _older(stage.phase)
    if not older:
        message = f"nothing is older than phase {stage.phase}"
        raise Unsupported(message)
    alice, bob = await stage.register_all("alice", "bob")
    expected = await _works(stage, alice, bob, stage.phase)
    if not expected:
        message = "no message of the relay's own phase has an effect"
        raise Untestable(message)
    for phase in older:
        missing = sorted(expected - await _works(stage, alice, bob, phase))
        assert not missing, f"what a client of phase {phase} sends has no effect: {missing}"


def _too_young(puppet: Puppet, younger: frozenset[tuple[str, str]]) -> Iterator[str]:
    """Yield what a puppet heard that the relay's phase has not, in what the relay says itself."""
    for one in puppet.heard():
        if (one.name, "") in younger:
            yield f"{puppet.name} received {one.name}"
        elif one.name not in FORWARDED:
            yield from _members(puppet, one, younger)


def _members(puppet: Puppet, one: Heard, younger: frozenset[tuple[str, str]]) -> Iterator[str]:
    for member in one.body:
        if (one.name, member) in younger:
            yield f"{puppet.name} received {one.name} with {member!r}"


@check("PHASE-4", variant="older")
async def test_nothing_younger_is_sent(stage: Stage) -> None:
    """Clients of the newest phase advertise and call; calls are refused, rejected, set up and ended.

    A relay of an older phase must not send a message or member that is younger than its phase.
    """
    younger = _younger(stage)
    alice, bob = await stage.register_all("alice", "bob")
    caller, callee = alice.identity.of(spec.NEWEST), bob.identity.of(spec.NEWEST)
    alice.send(caller.offer(stage.person("nobody").fingerprint, stage.call_id()))
    rejected, call_id = stage.call_id(), stage.call_id()
    for one in (rejected, call_id):
        alice.send(caller.offer(callee.fingerprint, one))
        await stage.needs(bob, "DirectCallOffer", call_id=one)
    bob.send(callee.answer(rejected, "Reject"))
    bob.send(callee.answer(call_id))
    await stage.needs(alice, "CallSetup", call_id=call_id)
    alice.send(identity.hangup())
    await stage.settle()
    faults = [fault for one in (alice, bob) for fault in _too_young(one, younger)]
    assert not faults, f"a relay of phase {stage.phase} sends what is younger: {'; '.join(faults)}"
