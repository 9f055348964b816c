"""Checks of spec/call.md: the answer, the setup that follows it, and who may not answer."""

from __future__ import annotations

from typing import Any

from conformance import codec
from conformance.checking import check
from conformance.stage import Stage
from conformance.verdicts import Untestable


@check("CALL-18")
async def test_an_accepting_answer_is_forwarded(stage: Stage) -> None:
    """The callee accepts, trusting and not; the answer must reach the caller with its choice."""
    for mode in ("AcceptTrusted", "AcceptGeneric"):
        alice, bob = await stage.register_all(f"alice {mode}", f"bob {mode}")
        call_id = await stage.place(alice, bob)
        bob.send(bob.identity.answer(call_id, mode))
        await stage.expects(alice, "DirectCallAnswer", call_id=call_id, accept_mode=mode)


@check("CALL-19")
async def test_the_setup_follows_the_answer(stage: Stage) -> None:
    """The callee accepts; on the caller's connection CallSetup must be the next message after the answer."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    bob.send(bob.identity.answer(call_id))
    await stage.needs(alice, "DirectCallAnswer", call_id=call_id)
    await stage.find(alice, "CallSetup", call_id=call_id)
    names = [one.name for one in alice.inbox]
    after = names[names.index("DirectCallAnswer") + 1 :][:1]
    assert after == ["CallSetup"], f"after the answer came {after or 'nothing'}"


@check("CALL-20")
async def test_the_callee_is_set_up(stage: Stage) -> None:
    """The callee accepts; CallSetup must reach it."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    bob.send(bob.identity.answer(call_id))
    await stage.expects(bob, "CallSetup", call_id=call_id)


async def _setups(stage: Stage) -> list[dict[str, Any]]:
    """Return what every CallSetup of a call says; raises Untestable when there is none."""
    alice, bob = await stage.register_all("alice", "bob")
    await stage.set_up(alice, bob)
    setups = [one.body for party in (alice, bob) for one in party.heard("CallSetup")]
    if not setups:
        message = "no CallSetup arrived"
        raise Untestable(message)
    return setups


@check("CALL-21")
async def test_the_room_is_named_for_the_call(stage: Stage) -> None:
    """A call is set up; the room of every CallSetup must be `call-` and the call_id."""
    for setup in await _setups(stage):
        expected, actual = f"call-{setup.get('call_id')}", setup.get("room")
        assert expected == actual, f"the room is {actual!r} and not {expected!r}"


@check("CALL-22")
async def test_the_setup_names_the_relay(stage: Stage) -> None:
    """A call is set up; relay_addr of every CallSetup must be the address the relay was told to name."""
    for setup in await _setups(stage):
        expected, actual = stage.relay.advertise, setup.get("relay_addr")
        assert expected == actual, f"relay_addr is {actual!r}; the relay is reached at {expected!r}"


@check("CALL-23")
async def test_a_caller_does_not_answer(stage: Stage) -> None:
    """The caller accepts and rejects its own call; nothing may follow, and the call must go on ringing."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    for mode in ("AcceptTrusted", "Reject"):
        alice.send(alice.identity.answer(call_id, mode))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-24")
async def test_a_third_party_does_not_answer(stage: Stage) -> None:
    """A third party accepts and rejects a Ringing call; the parties must hear nothing of it."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    for mode in ("AcceptTrusted", "Reject"):
        carol.send(carol.identity.answer(call_id, mode))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-25")
async def test_a_second_answer_is_ignored(stage: Stage) -> None:
    """The callee of an Active call answers it again, both ways; nothing may follow, the call must live."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    since = stage.marks()
    for mode in ("AcceptGeneric", "Reject"):
        bob.send(bob.identity.answer(call_id, mode))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_active(alice, bob, call_id), "the call ended"


@check("CALL-26")
async def test_an_answer_to_no_call_is_ignored(stage: Stage) -> None:
    """A client answers a call that does not exist; nothing may come back."""
    alice = await stage.register("alice")
    since = stage.marks()
    for mode in ("AcceptTrusted", "Reject"):
        alice.send(alice.identity.answer(stage.call_id(), mode))
    await stage.expects_nothing(alice, since=since)


@check("CALL-27")
async def test_a_large_answer_is_ignored(stage: Stage) -> None:
    """The callee accepts with more than 16,384 bytes; nothing may follow, and the call must go on ringing."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    bob.send(codec.enlarged(bob.identity.answer(call_id)))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-28")
async def test_a_rejection_is_told_as_declined(stage: Stage) -> None:
    """The callee rejects; Hangup{Declined} must reach the caller."""
    alice, bob = await stage.register_all("alice", "bob")
    bob.send(bob.identity.answer(await stage.place(alice, bob), "Reject"))
    await stage.expects(alice, "Hangup", reason="Declined")


@check("CALL-29")
async def test_a_rejecting_answer_is_not_forwarded(stage: Stage) -> None:
    """The callee rejects; no DirectCallAnswer may reach the caller."""
    alice, bob = await stage.register_all("alice", "bob")
    bob.send(bob.identity.answer(await stage.place(alice, bob), "Reject"))
    await stage.settle()
    assert not alice.heard("DirectCallAnswer"), "the rejecting answer was forwarded"
