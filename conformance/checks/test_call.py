"""Checks of spec/call.md: the offer, its refusals, the answer, the end, and the whole table."""

from __future__ import annotations

import asyncio
from typing import Any

from conformance import codec, exploration, identity, model
from conformance.checking import TABLE, check
from conformance.puppet import Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage
from conformance.verdicts import Deviation, Untestable

LARGE = 16_384
LOSS = 2.5
"""Seconds until a closed connection is known to be lost."""


@check("CALL-1")
async def test_an_offer_reaches_its_target_only(stage: Stage) -> None:
    """Alice offers a call to Bob while Carol is registered; the offer must reach Bob and nobody else."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = stage.call_id()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await stage.expects(bob, "DirectCallOffer", call_id=call_id)
    await stage.settle()
    others = [one.name for one in (alice, carol) if one.heard("DirectCallOffer")]
    assert not others, f"the offer to bob also reached {others}"


@check("CALL-2")
async def test_nobody_calls_in_another_name(stage: Stage) -> None:
    """An offer claims another's fingerprint; it must arrive with that of the connection it came on."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id, claimed = stage.call_id(), stage.person("carol").fingerprint
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id, caller_fingerprint=claimed))
    offer = await stage.needs(bob, "DirectCallOffer", call_id=call_id)
    expected, actual = alice.identity.fingerprint, offer.body.get("caller_fingerprint")
    assert expected == actual, f"the offer of {expected} arrived as that of {actual!r}"


@check("CALL-3")
async def test_it_does_not_ring_before_the_offer_has_left(stage: Stage) -> None:
    """The callee grants no stream for the offer; no CallRinging may reach the caller until it does."""
    alice = await stage.register("alice")
    bob = await stage.register("bob", streams=STREAMS_OF_A_SHY_PUPPET)
    call_id = await stage.pend(alice, bob)
    ringing = alice.heard("CallRinging")
    bob.grant()
    await stage.needs(bob, "DirectCallOffer", call_id=call_id, within=1.0)
    assert not ringing, "CallRinging arrived while the offer could not leave the relay"


@check("CALL-4")
async def test_it_rings(stage: Stage) -> None:
    """An offer is sent to a callee that takes it; CallRinging with its call_id must reach the caller."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    await stage.expects(alice, "CallRinging", call_id=call_id)


@check("CALL-5")
async def test_a_repeated_offer_rings_again(stage: Stage) -> None:
    """The offer of a Ringing call is sent again; another CallRinging must reach the caller."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    mark = alice.mark()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await stage.expects(alice, "CallRinging", since=mark, call_id=call_id)


@check("CALL-6")
async def test_a_repeated_offer_is_not_sent_twice(stage: Stage) -> None:
    """The offer of a Ringing call is sent again twice; the callee must have received it once."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    for _ in range(2):
        alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await stage.settle()
    offers = len(bob.heard("DirectCallOffer", call_id=call_id))
    assert offers == 1, f"the callee received the same offer {offers} times"


@check("CALL-7")
async def test_a_repeated_offer_of_an_active_call_is_ignored(stage: Stage) -> None:
    """The offer of an Active call is sent again; nothing may follow, and the call must live."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    since = stage.marks()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_active(alice, bob, call_id), "the call ended"


@check("CALL-8")
async def test_a_new_connection_of_the_callee_rings(stage: Stage) -> None:
    """The callee of a Ringing call registers again; the offer must arrive on the new connection."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    new = await stage.register("bob")
    await stage.expects_offer(new, call_id, "the callee of a Ringing call registered again")


@check("CALL-9", variant="quick")
async def test_an_unanswered_call_ends(stage: Stage) -> None:
    """A call is not answered; Hangup{Timeout} must reach both parties when the time is over."""
    alice, bob = await stage.register_all("alice", "bob")
    await stage.place(alice, bob)
    patience = stage.relay.timers["ring"] + 1.5
    for party in (alice, bob):
        await stage.expects(party, "Hangup", reason="Timeout", within=patience)


@check("CALL-10")
async def test_an_absent_target_is_told(stage: Stage) -> None:
    """A call is offered to a fingerprint nobody registered; Hangup{Error} and no CallRinging must come."""
    alice = await stage.register("alice")
    alice.send(alice.identity.offer(stage.person("nobody").fingerprint, stage.call_id()))
    await stage.expects(alice, "Hangup", reason="Error")
    assert not alice.heard("CallRinging"), "it rings at nobody"


@check("CALL-11")
async def test_nobody_calls_oneself(stage: Stage) -> None:
    """A client offers a call to itself; Hangup{Error} must come, and neither the offer nor CallRinging."""
    alice = await stage.register("alice")
    alice.send(alice.identity.offer(alice.identity.fingerprint, stage.call_id()))
    await stage.expects(alice, "Hangup", reason="Error")
    await stage.settle()
    assert not alice.heard("CallRinging"), "the call to oneself rings"
    assert not alice.heard("DirectCallOffer"), "the sender received its own offer"


@check("CALL-12")
async def test_a_call_id_in_use_is_refused(stage: Stage) -> None:
    """A third party offers a call with the call_id of a live call; Hangup{Error} must reach it."""
    alice, bob, carol, dave = await stage.register_all("alice", "bob", "carol", "dave")
    call_id = await stage.place(alice, bob)
    carol.send(carol.identity.offer(dave.identity.fingerprint, call_id))
    await stage.expects(carol, "Hangup", reason="Error")
    assert not carol.heard("CallRinging"), "the second call with the same call_id rings"


@check("CALL-13")
async def test_an_offer_of_another_takes_no_call_over(stage: Stage) -> None:
    """A third party offers a call with the call_id of a Ringing call, to its callee and to another.

    When the callee accepts, the setup must go to the caller, and nothing of it to the newcomer.
    """
    alice, bob, carol, dave = await stage.register_all("alice", "bob", "carol", "dave")
    call_id = await stage.place(alice, bob)
    mark = alice.mark()
    for target in (bob, dave):
        carol.send(carol.identity.offer(target.identity.fingerprint, call_id))
    await stage.settle()
    assert not alice.heard("Hangup", mark), "the live call ended"
    bob.send(bob.identity.answer(call_id))
    await stage.is_set_up(call_id)
    taken = carol.heard("DirectCallAnswer") + carol.heard("CallSetup")
    assert not taken, "the setup of the live call went to the newcomer"
    assert alice.heard("DirectCallAnswer") + alice.heard("CallSetup"), "the caller was not told of the setup"


def _enlarged(message: codec.Message) -> codec.Message:
    codec.body_of(message)["later"] = "x" * (LARGE + 1 - len(codec.payload(message)))
    return message


@check("CALL-14")
async def test_a_large_offer_is_refused(stage: Stage) -> None:
    """An offer of more than 16,384 bytes is sent; Hangup{Error} must come, and nothing reach the target."""
    alice, bob = await stage.register_all("alice", "bob")
    alice.send(_enlarged(alice.identity.offer(bob.identity.fingerprint, stage.call_id())))
    await stage.expects(alice, "Hangup", reason="Error")
    await stage.settle()
    assert not bob.heard("DirectCallOffer"), "the large offer reached its target"


async def _fill(stage: Stage, caller: Puppet, callee: Puppet) -> None:
    for _ in range(int(stage.relay.limits["calls"])):
        caller.send(caller.identity.offer(callee.identity.fingerprint, stage.call_id()))
    await stage.settle()
    if caller.heard("Hangup"):
        message = "a call below the limit of live calls was refused"
        raise Untestable(message)


@check("CALL-15")
async def test_a_caller_with_too_many_calls_is_busy(stage: Stage) -> None:
    """A caller has eight live calls and offers another, to somebody else; Hangup{Busy} must come."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    await _fill(stage, alice, bob)
    call_id = stage.call_id()
    alice.send(alice.identity.offer(carol.identity.fingerprint, call_id))
    await stage.expects(alice, "Hangup", reason="Busy")
    await stage.settle()
    assert not carol.heard("DirectCallOffer", call_id=call_id), "the call beyond the limit reached its target"


@check("CALL-15")
async def test_a_callee_with_too_many_calls_is_busy(stage: Stage) -> None:
    """A callee has eight live calls and somebody else calls; Hangup{Busy} must come."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    await _fill(stage, alice, bob)
    call_id = stage.call_id()
    carol.send(carol.identity.offer(bob.identity.fingerprint, call_id))
    await stage.expects(carol, "Hangup", reason="Busy")
    await stage.settle()
    assert not bob.heard("DirectCallOffer", call_id=call_id), "the call beyond the limit reached its target"


@check("CALL-16")
async def test_a_burst_of_offers_is_cut_off(stage: Stage) -> None:
    """Offers to nobody are sent in a burst; beyond the limit Hangup{Busy} must come."""
    alice = await stage.register("alice")
    nobody = "0123:4567:89ab:cdef:0123:4567:89ab:cdef"  # so that no other limit is reached
    limits = stage.relay.limits
    offers = int(limits["offers_burst"] + 2 * limits["offers_per_second"])
    for _ in range(offers):
        alice.send_bytes(codec.encode(alice.identity.offer(nobody, stage.call_id())), flush=False)
    alice.link.transmit()
    await stage.expects(alice, "Hangup", reason="Busy")


@check("CALL-17")
async def test_a_call_id_is_free_after_the_end(stage: Stage) -> None:
    """A call ends and its call_id is offered again; the offer must reach the callee."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    alice.send(alice.identity.hangup(call_id))
    await stage.settle()
    mark = bob.mark()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await stage.expects(bob, "DirectCallOffer", since=mark, call_id=call_id)


@check("CALL-40")
async def test_an_offer_that_misuses_ones_own_call_is_ignored(stage: Stage) -> None:
    """A party offers a call with the call_id of its own call, to somebody else; nothing may follow.

    Caller and callee do so while the call rings, which must go on.
    """
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    for party, target in ((alice, carol), (bob, carol), (bob, alice)):
        party.send(party.identity.offer(target.identity.fingerprint, call_id))
    await stage.expects_nothing(alice, bob, carol, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-41")
async def test_a_large_hangup_is_ignored(stage: Stage) -> None:
    """A party of a Ringing call sends Hangup with more than 16,384 bytes; nothing may follow."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    alice.send(_enlarged(alice.identity.hangup(call_id)))
    await stage.expects_nothing(alice, bob, since=since)
    assert await stage.still_rings(bob, call_id), "the call ended"


@check("CALL-42")
async def test_offers_do_not_pile_up(stage: Stage) -> None:
    """A callee grants no streams, and a caller places and ends one call after the other.

    The ninth must be refused with Hangup{Busy}, or others must have been taken back: of all nine no more
    than eight may reach the callee once it grants streams.
    """
    alice = await stage.register("alice")
    bob = await stage.register("bob", streams=STREAMS_OF_A_SHY_PUPPET)
    waiting = int(stage.relay.limits["offers_waiting"])
    for _ in range(waiting):
        call_id = await stage.pend(alice, bob)
        alice.send(alice.identity.hangup(call_id))
    await stage.settle(alice)
    if alice.heard("Hangup"):
        message = "an offer was refused before the limit of offers on their way was reached"
        raise Untestable(message)
    alice.send(alice.identity.offer(bob.identity.fingerprint, stage.call_id()))
    await stage.settle(alice)
    busy = bool(alice.heard("Hangup", reason="Busy"))
    bob.grant()
    await stage.settle(bob)
    arrived = len(bob.heard("DirectCallOffer"))
    assert arrived <= waiting, f"{arrived} offers waited for a callee that granted no streams"
    assert busy or arrived, "the offer beyond the limit was neither refused nor sent"


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
    bob.send(_enlarged(bob.identity.answer(call_id)))
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
        _enlarged(large),
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


@check(TABLE)
async def test_the_whole_table(stage: Stage) -> None:
    """Every event in every state by every sender; each must have what the table says and nothing else."""
    cells = model.cells(stage.phase)
    shares = [cells[first :: model.AT_ONCE] for first in range(model.AT_ONCE)]
    troupes = [model.Troupe(stage, number) for number in range(model.AT_ONCE)]
    told = await asyncio.gather(*(one.play(share) for one, share in zip(troupes, shares, strict=True)))
    faults = [fault for those in told for fault in those]
    if faults:
        more = f"; {len(faults) - 1} more of {len(cells)} cells differ" if len(faults) > 1 else ""
        message = f"{'; '.join(faults[:8])}{more}"
        raise Deviation(message)


@check("CALL-PLANS")
async def test_the_table_holds_in_every_dialogue(stage: Stage) -> None:
    """Many drawn dialogues are performed: calls that run into each other, strangers, double answers, faults.

    Everybody must hear what the table of spec/call.md says, and nothing else.
    """
    await exploration.holds(stage, "table")
