"""Checks of spec/federation.md: calls over links, from the search for the callee to the setup of both."""

from __future__ import annotations

from conformance import codec, identity, neighbour
from conformance.border import Border, scene
from conformance.checks.linked import ACCEPTED, RINGS, links, naming, peer
from conformance.neighbour import UNSAID, ringing
from conformance.stage import STREAMS_OF_A_SHY_PUPPET


@links("FED-13")
async def test_every_relay_is_asked(stage: Border) -> None:
    """A client calls somebody who is not registered; the offer must come over each of two links."""
    alice = await stage.register("alice")
    asked = await stage.links("east", "west")
    call_id, bob = stage.call_id(), stage.person("bob")
    alice.send(alice.identity.offer(bob.fingerprint, call_id))
    for link in asked:
        offer = (await stage.expects(link, "DirectCallOffer", call_id=call_id)).body
        assert offer["target_fingerprint"] == bob.fingerprint
        assert offer["caller_fingerprint"] == alice.identity.fingerprint
    await stage.settle()
    assert not alice.heard("Hangup"), "the caller was refused although nobody had refused it"


@links("FED-14", "FED-13", "PRIV-1", "PRIV-2")
async def test_an_offer_over_a_link_has_no_candidates(stage: Border) -> None:
    """A caller advertises all that it may; no candidate may come over a link before the answer."""
    alice = await stage.register("alice")
    asked = await stage.links("east", "west")
    call_id, bob = await stage.ask(alice, *asked)
    asked[0].say(ringing(call_id))
    await stage.settle()
    texts = (alice.identity.reflexive, *alice.identity.local)
    for link in asked:
        offer = link.heard("DirectCallOffer", call_id=call_id)[0].body
        found = [name for name in UNSAID if name in offer]
        assert not found, f"the offer over the link has {found}"
        leaks = [text for text in texts for data in link.received() if text.encode() in data]
        assert not leaks, f"the candidate {leaks[0]} came over the link before the answer"
    assert bob.fingerprint


@links("FED-15", "CALL-1")
async def test_an_offer_from_a_link_rings(stage: Border) -> None:
    """An offer for a registered client comes over a link; it must reach it, with its caller."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call_id, bob = stage.call_id(), stage.person("bob")
    link.say(bob.offer(alice.identity.fingerprint, call_id, **UNSAID))
    offer = (await stage.expects(alice, "DirectCallOffer", call_id=call_id)).body
    caller = offer.get("caller_fingerprint")
    assert caller == bob.fingerprint, f"the offer of {bob.fingerprint} names the caller {caller}"


@links("FED-16")
async def test_a_refusal_goes_back_over_the_link(stage: Border) -> None:
    """Over a link come offers to nobody, with the call_id of a call of others, and too large.

    A Hangup for each must come back over the link.
    """
    alice, carol = await stage.register_all("alice", "carol")
    link = await stage.link("east")
    bob, taken = stage.person("bob"), await stage.place(carol, alice)
    large = {"padding": "x" * 20_000}
    for what, offer in {
        "whose target is not registered": bob.offer(stage.person("nobody").fingerprint, stage.call_id()),
        "with a call_id that is taken": bob.offer(alice.identity.fingerprint, taken),
        "of 20,000 bytes": bob.offer(alice.identity.fingerprint, stage.call_id(), **large),
    }.items():
        body = codec.body_of(offer)
        link.say({"DirectCallOffer": {name: body[name] for name in body if name not in UNSAID}})
        came = await stage.find(link, "Hangup", call_id=body["call_id"])
        assert came is not None, f"nothing comes back for an offer {what}"
    assert await stage.still_rings(alice, taken), "a refused offer ended the call of others"


@links("FED-17", "FED-13", "CALL-3", "CALL-30", "CALL-43")
async def test_refused_by_all_is_refused(stage: Border) -> None:
    """Two relays are asked and refuse, with Error and then with Busy; Hangup{Busy} must reach the caller.

    It must not come before the second refusal.
    """
    alice = await stage.register("alice")
    asked = await stage.links("east", "west")
    call_id, _ = await stage.ask(alice, *asked)
    asked[0].hang_up(call_id, "Error")
    await stage.settle()
    early = alice.heard("Hangup")
    asked[1].hang_up(call_id, "Busy")
    await stage.expects(alice, "Hangup", reason="Busy", **naming(stage, call_id))
    assert not early, "the caller was told before every relay had answered"


@links("FED-17", "FED-13", "CALL-3", "CALL-30", "CALL-43")
async def test_a_link_that_ends_refuses(stage: Border) -> None:
    """The link to the only relay that was asked is closed; Hangup{Error} must reach the caller."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call_id, _ = await stage.ask(alice, link)
    link.leave()
    await stage.expects(alice, "Hangup", reason="Error", within=1.0, **naming(stage, call_id))


@scene()
async def search(stage: Border) -> None:
    """Let a relay be asked that says nothing."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call_id, _ = await stage.ask(alice, link)
    patience = stage.relay.timers["search"] + 1.5
    await stage.expects(alice, "Hangup", reason="Error", within=patience, **naming(stage, call_id))
    assert not alice.heard("CallRinging"), "the caller heard CallRinging, and nobody had rung"
    await stage.expects(link, "Hangup", call_id=call_id)


@links("FED-18", "FED-13", "CALL-3", "CALL-30", "CALL-43")
async def test_a_search_has_an_end(stage: Border) -> None:
    """A relay is asked and says nothing; Hangup{Error} must reach the caller after the time for it.

    A Hangup for the call must come over the link.
    """
    await stage.ahead("search")


@links("FED-19", "FED-13")
async def test_the_first_that_rings_is_the_one(stage: Border) -> None:
    """Two relays are asked; one says that it rings, and of another call one answers at once.

    A Hangup for the call must come over the other link, and none over its own.
    """
    alice = await stage.register("alice")
    first, other = await stage.links("east", "west")
    for answers in (False, True):
        call_id, bob = await stage.ask(alice, first, other)
        first.say(bob.answer(call_id) if answers else ringing(call_id))
        await stage.expects(other, "Hangup", call_id=call_id)
        await stage.settle()
        assert not first.heard("Hangup"), "the relay that has the callee was sent a Hangup too"


@links("FED-20", *ACCEPTED, "FED-13")
async def test_another_relay_has_no_say(stage: Border) -> None:
    """Calls to and from a neighbour ring and are Active; another one answers, rejects, ends and sets up.

    Nothing may come of it, and the calls must go on.
    """
    alice, carol = await stage.register_all("alice", "carol")
    east, west = await stage.links("east", "west")
    ringing_out, active_in = await stage.ring_out(alice, east), await stage.call_in(east, carol)
    ringing_in = await stage.ring_in(east, alice)
    await stage.settle()
    since = stage.marks()
    for call in (ringing_out, active_in, ringing_in):
        west.say(ringing(call.call_id))
        west.say(call.away.answer(call.call_id))
        west.say(neighbour.setup(call.call_id, stage.person("eve")))
        west.say(call.away.answer(call.call_id, "Reject"))
        if stage.knows("6"):
            west.say(identity.report(call.call_id))
        west.hang_up(call.call_id)
    await stage.settle()
    for party in (alice, carol, east, west):
        heard = party.heard(since=since[party])
        assert not heard, f"{heard[0]} reached {party.name}, and came of what another relay said"
    east.say(ringing_out.away.answer(ringing_out.call_id))
    await stage.expects(alice, "DirectCallAnswer", call_id=ringing_out.call_id)


@links("FED-21", *RINGS, "CALL-5")
async def test_a_repeated_offer_over_a_link_rings(stage: Border) -> None:
    """The offer of a call that rings comes over its link once more; CallRinging must come back again."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.ring_in(link, alice)
    await stage.needs(link, "CallRinging", call_id=call.call_id)
    mark = link.mark()
    link.say(call.away.offer(alice.identity.fingerprint, call.call_id, **UNSAID))
    await stage.expects(link, "CallRinging", since=mark, call_id=call.call_id)


@links("FED-21", *RINGS)
async def test_ringing_goes_over_the_link(stage: Border) -> None:
    """An offer comes over a link for a client that takes it; CallRinging must come back."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.ring_in(link, alice)
    await stage.expects(link, "CallRinging", call_id=call.call_id)


@links("FED-21", *RINGS)
async def test_ringing_over_a_link_is_a_promise(stage: Border) -> None:
    """The callee grants no stream for an offer from a link; no CallRinging may come before it does."""
    alice = await stage.register("alice", streams=STREAMS_OF_A_SHY_PUPPET)
    link = await stage.link("east")
    while alice.quic.frozen and len(alice.inbox) < STREAMS_OF_A_SHY_PUPPET:
        await stage.settle(alice, rounds=1)
    stage.withholds(alice)
    alice.speaks = False  # its next Pong would find no stream
    call_id = stage.call_id()
    link.say(stage.person("bob").offer(alice.identity.fingerprint, call_id, **UNSAID))
    await stage.settle(link)
    early = link.heard("CallRinging")
    alice.grant()
    await stage.needs(alice, "DirectCallOffer", call_id=call_id, within=1.0)
    assert not early, "CallRinging came over the link while the offer could not leave the relay"
    await stage.expects(link, "CallRinging", call_id=call_id)


@links("FED-22", *ACCEPTED, "FED-13", "PRIV-6", "CAND-2", "CAND-3", "CAND-5")
async def test_the_setup_of_the_callee_goes_over_the_link(stage: Border) -> None:
    """Callees who are away accept with trust and without; CallSetup must come over the link.

    It must tell of the caller what such a callee may know, and no more.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    for mode, known in (("AcceptTrusted", alice), ("AcceptGeneric", None)):
        call = await stage.ring_out(alice, link)
        early = link.heard("CallSetup", call_id=call.call_id)
        assert not early, "CallSetup came over the link before the callee had accepted"
        link.say(call.away.answer(call.call_id, mode))
        body = (await stage.expects(link, "CallSetup", call_id=call.call_id)).body
        expected, actual = peer(stage, known), {name: body[name] for name in body if name[:5] == "peer_"}
        assert expected == actual, f"after {mode} the callee's CallSetup has {actual}, not {expected}"


@links("FED-23", *ACCEPTED)
async def test_the_setup_names_the_callees_relay(stage: Border) -> None:
    """A callee accepts a call from a link, and its CallSetup comes; it must reach it.

    Its relay_addr must be the address that the callee's relay was told to name.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.call_in(link, alice)
    link.say(neighbour.setup(call.call_id, call.away))
    actual = (await stage.expects(alice, "CallSetup", call_id=call.call_id)).body.get("relay_addr")
    expected = stage.relay.advertise
    assert expected == actual, f"relay_addr is {actual!r}; the relay is reached at {expected!r}"


@links("FED-23", *ACCEPTED, "PRIV-6")
async def test_a_callee_is_set_up_once(stage: Border) -> None:
    """CallSetup comes while a call from a link rings, and twice when its callee has accepted without trust.

    The second one of these three must reach the callee, without candidates, and no other.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.ring_in(link, alice)
    setup = neighbour.setup(call.call_id, call.away)
    link.say(setup)
    await stage.settle()
    early = alice.heard("CallSetup")
    alice.send(alice.identity.answer(call.call_id, "AcceptGeneric"))
    await stage.needs(link, "DirectCallAnswer", call_id=call.call_id)
    mark = alice.mark()
    link.say(setup)
    body = (await stage.expects(alice, "CallSetup", since=mark, call_id=call.call_id)).body
    link.say(setup)
    await stage.settle()
    assert not early, "CallSetup reached the callee before it had accepted"
    assert len(alice.heard("CallSetup")) == 1, "a second CallSetup reached the callee"
    told = [name for name in body if name[:5] == "peer_"]
    assert not told, f"after AcceptGeneric the callee's CallSetup has {told}"
