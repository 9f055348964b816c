"""Checks of spec/phases.md: how phases live together."""

from __future__ import annotations

from typing import Any

from conformance import codec
from conformance.checking import check
from conformance.stage import Stage
from conformance.verdicts import Untestable

LATER: dict[str, Any] = {
    "caller_reflexive_addr": "198.51.100.1:4000",
    "caller_local_addrs": ["192.0.2.1:4000", "[2001:db8::1]:4000"],
    "caller_build_version": "later",
}
"""Members that an offer has since later phases."""


@check("PHASE-1")
async def test_a_later_message_is_not_answered(stage: Stage) -> None:
    """A client asks for its address as phase 1 allows; a relay of phase 0 must not answer."""
    alice = await stage.register("alice")
    since = stage.marks()
    alice.send("Reflect")
    alice.send_bytes(codec.frame(b'{"Reflect":null}'))
    if not await stage.fence(alice):
        message = "the connection did not survive an unknown message (WIRE-6)"
        raise Untestable(message)
    await stage.expects_nothing(alice, since=since)


@check("PHASE-2")
async def test_later_members_are_forwarded(stage: Stage) -> None:
    """An offer has the members of later phases; it must reach the callee with them."""
    alice, bob = await stage.register_all("alice", "bob")
    target = bob.identity.fingerprint
    control = stage.call_id()
    alice.send(alice.identity.offer(target, control, nothing_special=1))
    got = await stage.needs(bob, "DirectCallOffer", call_id=control)
    if got.body.get("nothing_special") != 1:
        message = "no unknown member is forwarded at all (WIRE-11)"
        raise Untestable(message)
    call_id = stage.call_id()
    alice.send(alice.identity.offer(target, call_id, **LATER))
    offer = (await stage.expects(bob, "DirectCallOffer", call_id=call_id)).body
    gone = [name for name, value in LATER.items() if offer.get(name) != value]
    assert not gone, f"the members {gone} of a later phase are gone or changed"
