"""Checks of spec/call.md: how calls end, and which call a Hangup names."""

from __future__ import annotations

from conformance import codec, identity
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable

LOSS = 2.5
"""Seconds until a closed connection is known to be lost."""


@check("CALL-30")
async def test_a_hangup_is_forwarded(stage: Stage) -> None:
    """Each party ends a Ringing and an Active call; the Hangup must reach the other with its reason."""
    alice, bob = await stage.register_all("alice", "bob")
    for one, other in ((alice, bob), (bob, alice)):
        for reach in (stage.place, stage.set_up):
            for reason in ("Normal", "Error"):
                call_id = await reach(alice, bob)
                mark = other.mark()
                one.send(one.identity.hangup(call_id, reason))
                await stage.expects(other, "Hangup", since=mark, reason=reason)


@check("CALL-31")
async def test_who_ends_a_call_is_told_nothing(stage: Stage) -> None:
    """The caller hangs up, the callee hangs up, the callee rejects; no Hangup may come back."""
    alice, bob = await stage.register_all("alice", "bob")
    for one in (alice, bob):
        call_id = await stage.set_up(alice, bob)
        mark = one.mark()
        one.send(one.identity.hangup(call_id))
        await stage.settle()
        assert not one.heard("Hangup", mark), f"{one.name} hung up and received a Hangup"
    call_id = await stage.place(alice, bob)
    mark = bob.mark()
    bob.send(bob.identity.answer(call_id, "Reject"))
    await stage.settle()
    assert not bob.heard("Hangup", mark), "the callee rejected and received a Hangup"


@check("CALL-32")
async def test_a_hangup_ends_every_call(stage: Stage) -> None:
    """A client with one Ringing call, one Active call and one it is called in hangs up.

    Hangup must reach the other party of each.
    """
    alice, *others = await stage.register_all("alice", "bob", "carol", "dave")
    bob, carol, dave = others
    await stage.place(alice, bob)
    await stage.set_up(alice, carol)
    await stage.place(dave, alice)
    marks = stage.marks()
    alice.send(identity.hangup())
    await stage.settle()
    told = [one.name for one in others if one.heard("Hangup", marks[one])]
    if not told:
        message = "no Hangup was forwarded at all (CALL-30)"
        raise Untestable(message)
    assert told == ["bob", "carol", "dave"], f"of three calls the Hangup ended those of {told}"


@check("CALL-33")
async def test_a_third_party_does_not_hang_up(stage: Stage) -> None:
    """A third party sends Hangup, naming no call and naming a Ringing one; the parties must hear nothing."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    carol.send(identity.hangup())
    carol.send(identity.hangup(call_id=call_id))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-34")
async def test_a_lost_party_ends_its_calls(stage: Stage) -> None:
    """A party of a Ringing and one of an Active call close their connections.

    Hangup{Normal} must reach the others.
    """
    alice, bob, carol, dave = await stage.register_all("alice", "bob", "carol", "dave")
    await stage.place(alice, bob)
    await stage.set_up(carol, dave)
    alice.leave()
    dave.leave()
    for left in (bob, carol):
        await stage.expects(left, "Hangup", reason="Normal", within=2.5)


def _named(puppet: Puppet, since: int, why: str, *calls: str) -> int:
    """Fail unless every Hangup that a puppet heard names one of these calls; return how many there are."""
    heard = puppet.heard("Hangup", since)
    for one in heard:
        actual = one.body.get("call_id")
        assert actual in calls, f"{why}: the Hangup to {puppet.name} names {actual!r} and not {calls}"
    return len(heard)


def _refused(stage: Stage, caller: Puppet, callee: Puppet, calls: list[str]) -> list[codec.Message]:
    """Return offers to nobody, to oneself, and too large to be taken."""
    nobody, oneself = stage.person("nobody").fingerprint, caller.identity.fingerprint
    large = caller.identity.offer(callee.identity.fingerprint, calls[2])
    return [
        caller.identity.offer(nobody, calls[0]),
        caller.identity.offer(oneself, calls[1]),
        codec.enlarged(large),
    ]


@check("CALL-43")
async def test_a_hangup_names_its_call(stage: Stage) -> None:
    """Calls are refused, rejected, ended by a Hangup without a name, and lost.

    Every Hangup that comes of it must name the call, while another call of the same people rings.
    """
    alice, bob = await stage.register_all("alice", "bob")
    heard = 0
    call_id = await stage.set_up(alice, bob)
    alice.send(identity.hangup())
    await stage.settle()
    heard += _named(bob, 0, "after a Hangup without a name", call_id)
    rings, rejected = await stage.place(bob, alice), await stage.place(alice, bob)
    mark = alice.mark()
    bob.send(bob.identity.answer(rejected, "Reject"))
    await stage.settle()
    heard += _named(alice, mark, "after a rejection", rejected)
    refused = [stage.call_id(), stage.call_id(), stage.call_id()]
    for offer in _refused(stage, alice, bob, refused):
        mark = alice.mark()
        alice.send(offer)
        await stage.settle(alice)
        heard += _named(alice, mark, "after a refused offer", codec.body_of(offer)["call_id"])
    mark = bob.mark()
    alice.leave()
    await stage.find(bob, "Hangup", since=mark, within=LOSS)
    heard += _named(bob, mark, "after the loss of the other party", rings, *refused)
    if not heard:
        message = "no Hangup arrived at all"
        raise Untestable(message)


@check("CALL-43", variant="quick")
async def test_a_hangup_in_time_names_its_call(stage: Stage) -> None:
    """Two calls are not answered; each Hangup{Timeout} must name one of them, and another each time."""
    alice, bob = await stage.register_all("alice", "bob")
    calls = [stage.call_id(), stage.call_id()]
    for call_id in calls:
        alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    patience = stage.relay.timers["ring"] + 1.5
    for party in (alice, bob):
        ended = await stage.until(lambda party=party: len(party.heard("Hangup")) >= len(calls), patience)
        if not ended:
            message = "the calls did not end in time (CALL-9)"
            raise Untestable(message)
        named = [str(one.body.get("call_id")) for one in party.heard("Hangup")]
        assert sorted(calls) == sorted(named), (
            f"the calls {calls} ended; the Hangups to {party.name} name {named}"
        )


@check("CALL-44")
async def test_a_hangup_ends_the_call_that_it_names(stage: Stage) -> None:
    """A client has two calls with one person and one with another, and hangs up one of the two.

    The others must live on, and nobody hear of them.
    """
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    kept, named = await stage.place(alice, bob), await stage.place(alice, bob)
    other = await stage.place(alice, carol)
    since = stage.marks()
    alice.send(identity.hangup(call_id=named))
    await stage.settle()
    told = len(bob.heard("Hangup", since[bob]))
    if not told:
        message = "the Hangup that names a call was not forwarded (CALL-30)"
        raise Untestable(message)
    assert told == 1, f"one call was named, and {told} of the two with bob ended"
    assert not carol.heard("Hangup", since[carol]), "the call with carol ended, and that with bob was named"
    for callee, call_id in ((bob, kept), (carol, other)):
        assert await stage.still_rings(callee, call_id), f"the other call, with {callee.name}, ended"


@check("CALL-45")
async def test_a_hangup_that_names_no_live_call_is_ignored(stage: Stage) -> None:
    """A client with a Ringing call names a call that has ended, and one that never was, in a Hangup.

    So does its callee. Nothing may come of it, and the call must go on.
    """
    alice, bob = await stage.register_all("alice", "bob")
    ended = await stage.place(alice, bob)
    alice.send(identity.hangup(call_id=ended))
    await stage.needs(bob, "Hangup")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    for party in (alice, bob):
        for named in (ended, stage.call_id()):
            party.send(identity.hangup(call_id=named))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"
