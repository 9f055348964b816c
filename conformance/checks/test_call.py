"""Checks of spec/call.md: the offer, what refuses it, and what becomes of it until it is answered.

The answers, the ends of calls, and the whole table are judged in the files that begin with this one's name.
"""

from __future__ import annotations

from conformance import codec
from conformance.checking import check
from conformance.puppet import Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage
from conformance.verdicts import Untestable


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


@check("CALL-14")
async def test_a_large_offer_is_refused(stage: Stage) -> None:
    """An offer of more than 16,384 bytes is sent; Hangup{Error} must come, and nothing reach the target."""
    alice, bob = await stage.register_all("alice", "bob")
    alice.send(codec.enlarged(alice.identity.offer(bob.identity.fingerprint, stage.call_id())))
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
    alice.send(codec.enlarged(alice.identity.hangup(call_id)))
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
