"""Checks of spec/federation.md: links between relays, and calls and media across them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance import codec, identity, neighbour, spec
from conformance.border import Across, Border, scene
from conformance.checking import PAIR, Function, check
from conformance.identity import ABSENT
from conformance.neighbour import ENVELOPE, HELLO, STRANGER, UNSAID, Neighbour, plain, ringing
from conformance.pair import Crosswind, Pair
from conformance.puppet import Heard, Puppet
from conformance.stage import STREAMS_OF_A_SHY_PUPPET, Stage
from conformance.targets import LINKED
from conformance.verdicts import Blocked, Untestable
from conformance.watch import GRACE

CODES = spec.close_codes()
AGE = 300
"""Seconds that a proof may be old (FED-3)."""
BAD = 61
"""More bad messages than a connection may have (spec/errors.md, Limits)."""
NO_PROOF = dict.fromkeys(("certificate", "time", "signature"), ABSENT)
REDIAL = 10.0
"""Seconds in which a relay that waits 1 s first has dialled again."""
MARK = codec.datagram(b"marker", sequence=4711)
LARGEST = codec.datagram(bytes(1138), sequence=4712)
"""A datagram of 1,150 bytes, the most that a client sends."""
RINGS = ("CALL-3", "CALL-4")
ACCEPTED = (*RINGS, "CALL-18", "CALL-19", "CALL-20")
ROOM = ("MEDIA-1", "MEDIA-9", "MEDIA-16", "MEDIA-17")


def links(rule: str, *needs: str) -> Callable[[Function], Function]:
    """Declare a check of a rule of links, which stands on these others."""
    return check(rule, variant=LINKED, needs=needs, last=True)


# Links


@links("FED-1")
async def test_a_stranger_is_not_trusted(stage: Border) -> None:
    """A relay that nobody has heard of proves who it is; its link must be closed with NOT_TRUSTED."""
    link = await stage.reach(STRANGER)
    link.send(link.hello())
    await stage.expects_close(link, CODES["NOT_TRUSTED"])
    assert not link.heard(), f"the stranger was sent {link.heard()[0]}"


async def _refused(stage: Border, spoilt: dict[str, dict[str, Any]]) -> None:
    """Say the hello of a trusted relay in each of these ways; raise Deviation unless all are refused."""
    for what, how in spoilt.items():
        link = await stage.reach(f"east with {what}", "east")
        link.send(link.hello(**how))
        await stage.expects_close(link, CODES["NOT_TRUSTED"])
        assert not link.heard(), f"a hello with {what} was answered with {link.heard()[0]}"


@links("FED-2")
async def test_a_fingerprint_is_proven(stage: Border) -> None:
    """The hello of a trusted relay comes without a proof, in parts, and with those of another relay.

    Each link must be closed with NOT_TRUSTED.
    """
    await _refused(
        stage,
        {
            "no proof": NO_PROOF,
            "no signature": {"signature": ABSENT},
            "no certificate": {"certificate": ABSENT},
            "an empty signature": {"signature": []},
            "another's certificate": {"shows": STRANGER, "signer": STRANGER},
            "another's signature": {"signer": STRANGER},
            "a certificate that is none": {"certificate": [48, 0]},
        },
    )


@scene(("downhill", "downhill"), ("uphill", "uphill"))
async def answers(stage: Border) -> None:
    """Let relays be dialled that answer with another's signature, and without a proof."""
    ways: dict[str, dict[str, Any]] = {"downhill": {"signer": STRANGER}, "uphill": NO_PROOF}
    for name, spoilt in ways.items():
        link = await _dialled(stage, name, **spoilt)
        await stage.expects_close(link, CODES["NOT_TRUSTED"])


@links("FED-2")
async def test_a_relay_that_was_dialled_proves_itself(stage: Border) -> None:
    """The relay dials neighbours, whose hellos prove nothing; each link must be closed with NOT_TRUSTED."""
    await stage.ahead("answers")


@links("FED-3")
async def test_a_proof_is_for_one_relay_and_one_moment(stage: Border) -> None:
    """The proof of a trusted relay is for another relay, of long ago, or of a time to come.

    Each link must be closed with NOT_TRUSTED.
    """
    await _refused(
        stage,
        {
            "a proof for west": {"to": neighbour.shown("west").fingerprint},
            "an old proof": {"later": -2 * AGE},
            "a proof of the future": {"later": 2 * AGE},
        },
    )


@scene()
async def silence(stage: Border) -> None:
    """Open a link and say nothing."""
    link = await stage.reach("east")
    await stage.expects_close(link, CODES["HELLO_TIMEOUT"], stage.relay.timers["hello"] + 1.5)


@links("FED-4")
async def test_a_silent_link_is_closed(stage: Border) -> None:
    """A link is opened and nothing said; it must be closed with HELLO_TIMEOUT after the time for it."""
    await stage.ahead("silence")


@links("FED-5")
async def test_nothing_counts_before_the_hello(stage: Border) -> None:
    """An offer, a Ping and announcements come in front of the hello; none may have any effect."""
    alice = await stage.register("alice")
    link = await stage.reach("east")
    call_id, bob = stage.call_id(), stage.person("bob")
    link.say(bob.offer(alice.identity.fingerprint, call_id, **UNSAID))
    link.send(identity.ping(1))
    link.say(ringing(call_id))
    link.send({"GlobalRoomInactive": {"room": f"call-{call_id}"}})
    link.datagram(neighbour.tag(call_id) + MARK)
    link.send(link.hello())
    await stage.needs(link, HELLO, within=1.0)
    link.speaks = True
    mark = alice.mark()
    await stage.settle(alice, link)
    assert not alice.heard("DirectCallOffer"), "an offer in front of the hello reached its target"
    early = [one for one in link.heard() if one.name != HELLO]
    assert not early, f"what was said in front of the hello was answered with {early[0]}"
    assert 1 not in link.answered, "a Ping in front of the hello was answered"
    assert not alice.heard(since=mark)


@links("FED-6")
async def test_the_newer_link_stays(stage: Border) -> None:
    """A relay dials again while its link is up; the older link must be closed with REPLACED."""
    older = await stage.link("east")
    newer = await stage.link("east again", "east")
    await stage.expects_close(older, CODES["REPLACED"])
    assert await stage.fence(newer), f"the newer link was closed with {newer.closed}"


@scene(("harbour", "harbour"), ("upriver", "upriver"))
async def crossing(stage: Border) -> None:
    """Let two relays be dialled that dial at the same time, one of a small and one of a large fingerprint."""
    for name in ("harbour", "upriver"):
        theirs = await _dialled(stage, name)
        ours = await stage.reach(f"{name} itself", name)
        ours.send(ours.hello())
        smaller = plain(ours.own.fingerprint) < ours.relay
        stays, goes = (ours, theirs) if smaller else (theirs, ours)
        await stage.expects_close(goes, CODES["REPLACED"])
        stays.speaks = True
        assert await stage.fence(stays), f"both links to {name} were closed, the second with {stays.closed}"


async def _dialled(stage: Border, name: str, **spoilt: Any) -> Neighbour:  # noqa: ANN401 - see Neighbour.hello
    """Return the first link that the relay opens to a neighbour, whose hello is answered."""
    known = stage.dialled[name]
    if not await stage.until(lambda: _greeted(known), REDIAL):
        message = f"the relay says no hello to {name}, which it is to dial"
        raise Untestable(message)
    link = next(one for one in known if one.heard(HELLO))
    link.send(link.hello(**spoilt))
    return link


@links("FED-6")
async def test_of_two_that_cross_one_stays(stage: Border) -> None:
    """The relay and a neighbour dial each other; the link of the smaller fingerprint must stay.

    The other one must be closed with REPLACED.
    """
    await stage.ahead("crossing")


@scene(("north", STRANGER))
async def impostor(stage: Border) -> None:
    """Let the relay dial an address at which somebody else is."""
    known = stage.dialled["north"]
    if not await stage.until(lambda: any(one.connected for one in known), REDIAL):
        message = "the relay does not dial its peer"
        raise Untestable(message)
    await stage.until(lambda: any(one.closed or one.heard() for one in known), 1.0)
    told = [one for link in known for one in link.heard()]
    assert not told, f"the impostor was told {told[0]}"


@links("FED-7")
async def test_an_impostor_hears_no_hello(stage: Border) -> None:
    """The relay dials a peer, and somebody with another certificate answers; no hello may arrive there."""
    await stage.ahead("impostor")


@scene(("south", "south"))
async def again(stage: Border) -> None:
    """End the link that the relay has dialled."""
    first = await _dialled(stage, "south")
    first.leave()
    known = stage.dialled["south"]
    came = await stage.until(lambda: _greeted(known[1:]), REDIAL)
    assert came, "the relay does not dial again after the end of its link"


@links("FED-8")
async def test_a_link_is_dialled_again(stage: Border) -> None:
    """The link that a relay has dialled is ended; it must be dialled again, with a hello."""
    await stage.ahead("again")


@scene(("estuary", "estuary"), ("weir", "weir"))
async def joined(stage: Border) -> None:
    """Dial a relay that dials too, so that its own link goes; then end the link of another peer.

    That one is dialled again after the same time: when it has been, the first one would have been too.
    """
    theirs, other = await _dialled(stage, "estuary"), await _dialled(stage, "weir")
    ours = await stage.reach("estuary itself", "estuary")
    ours.send(ours.hello())
    if not await stage.until(lambda: bool(theirs.closed or ours.closed), REDIAL):
        message = "FED-6: two links to one relay stay open"
        raise Blocked(message)
    other.leave()
    if not await stage.until(lambda: _greeted(stage.dialled["weir"][1:]), REDIAL):
        message = "the relay does not dial the peer again to which no link is left"
        raise Untestable(message)
    again = await stage.until(lambda: len(stage.dialled["estuary"]) > 1, GRACE)
    assert not again, "the relay dials a peer again to which it has a link"


def _greeted(known: list[Neighbour]) -> bool:
    """Tell whether the relay has said hello on one of these links."""
    return any(one.heard(HELLO) for one in known)


@links("FED-8", "FED-6")
async def test_a_peer_with_a_link_is_not_dialled(stage: Border) -> None:
    """A relay and a neighbour dial each other, and one of the two links goes; no third one may follow."""
    await stage.ahead("joined")


@links("FED-9", "REG-20")
async def test_a_ping_on_a_link_is_answered(stage: Border) -> None:
    """A Ping comes over a link; a Pong with its number must come back."""
    link = await stage.link("east")
    for number in (1, 0xFFFF_FFFF_FFFF):
        link.send(identity.ping(number))
        await stage.expects(link, "Pong", timestamp_ms=number, within=1.0)


# Envelopes


@links("FED-10")
async def test_nobody_speaks_for_another_relay(stage: Border) -> None:
    """An offer comes in an envelope that names another trusted relay, or a stranger, as its origin.

    It must have no effect; the same offer in the sender's own name rings.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    offers = [stage.person("bob").offer(alice.identity.fingerprint, stage.call_id(), **UNSAID) for _ in "ab"]
    since = stage.marks()
    for name, offer in zip(("west", STRANGER), offers, strict=True):
        link.say(offer, origin=neighbour.shown(name).fingerprint)
    await stage.expects_nothing(alice, link, since=since)
    link.say(offers[0])
    await stage.needs(alice, "DirectCallOffer")


@links("FED-11")
async def test_a_bad_envelope_costs_nothing_but_itself(stage: Border) -> None:
    """Envelopes carry messages that are unknown and malformed, more than a client may send.

    The link must stay up.
    """
    link = await stage.link("east")
    call_id = stage.call_id()
    for number in range(BAD):
        link.say({"Tomorrow": {"call_id": call_id, "number": number}})
        link.say({"DirectCallAnswer": {"call_id": call_id, "accept_mode": number}})
    link.say({"Hangup": {}}, call_id=call_id)
    kept = await stage.fence(link)
    assert kept, f"after messages that nobody can read the link ends: {link.closed or 'no Pong comes'}"


@links("FED-12", *ACCEPTED)
async def test_nothing_is_passed_on(stage: Border) -> None:
    """Over one link come an offer to somebody who is not here, and a whole call with somebody who is.

    The other link must see nothing of either.
    """
    alice = await stage.register("alice")
    east, west = await stage.links("east", "west")
    mark = west.mark()
    bob = stage.person("bob")
    nobody = stage.call_id()
    east.say(bob.offer(stage.person("nobody").fingerprint, nobody, **UNSAID))
    east.say(bob.answer(nobody))
    call = await stage.call_in(east, alice)
    east.say(neighbour.setup(call.call_id, call.away))
    east.send(neighbour.sits(call.call_id, call.away))
    east.hang_up(call.call_id)
    await stage.settle()
    seen = west.heard(since=mark)
    assert not seen, f"{seen[0]} came out over another link"


# Calls


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
    await stage.expects(alice, "Hangup", reason="Busy", **_named(stage, call_id))
    assert not early, "the caller was told before every relay had answered"


def _named(stage: Border, call_id: str) -> dict[str, Any]:
    """Return the members by which a Hangup names its call, where relays do."""
    return {"call_id": call_id} if stage.knows("7") else {}


@links("FED-17", "FED-13", "CALL-3", "CALL-30", "CALL-43")
async def test_a_link_that_ends_refuses(stage: Border) -> None:
    """The link to the only relay that was asked is closed; Hangup{Error} must reach the caller."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call_id, _ = await stage.ask(alice, link)
    link.leave()
    await stage.expects(alice, "Hangup", reason="Error", within=1.0, **_named(stage, call_id))


@scene()
async def search(stage: Border) -> None:
    """Let a relay be asked that says nothing."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call_id, _ = await stage.ask(alice, link)
    patience = stage.relay.timers["search"] + 1.5
    await stage.expects(alice, "Hangup", reason="Error", within=patience, **_named(stage, call_id))
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


def _peer(stage: Stage, who: Puppet | None) -> dict[str, Any]:
    """Return the members by which a CallSetup tells of somebody, or of nobody."""
    if who is None:
        return {}
    told: dict[str, Any] = {"peer_direct_addr": who.identity.reflexive}
    return told | ({"peer_local_addrs": who.identity.local} if stage.knows("5.5") else {})


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
        expected, actual = _peer(stage, known), {name: body[name] for name in body if name[:5] == "peer_"}
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


@links("FED-24", "FED-13", "CALL-30", "CALL-34")
async def test_the_end_of_a_search_goes_over_every_link(stage: Border) -> None:
    """Two relays are asked, and the caller hangs up; of another call one has refused, and the caller is lost.

    Hangup must come over each link where the callee may still be, and over no other.
    """
    alice = await stage.register("alice")
    east, west = await stage.links("east", "west")
    call_id, _ = await stage.ask(alice, east, west)
    alice.send(alice.identity.hangup(call_id))
    for link in (east, west):
        await stage.expects(link, "Hangup", call_id=call_id)
    call_id, _ = await stage.ask(alice, east, west)
    west.hang_up(call_id, "Error")
    await stage.settle()
    alice.leave()
    await stage.expects(east, "Hangup", call_id=call_id, within=1.0)
    await stage.settle(east, west)
    assert not west.heard("Hangup", call_id=call_id), "the relay that had refused was sent a Hangup"


@links("FED-24", *ACCEPTED, "CALL-34", "FED-13")
async def test_a_lost_party_hangs_up_over_the_link(stage: Border) -> None:
    """The connections of a caller that rings and of a callee in an Active call end.

    Hangup{Normal} must come over the link for each.
    """
    alice, bob = await stage.register_all("alice", "bob")
    link = await stage.link("east")
    for call in (await stage.ring_out(alice, link), await stage.call_in(link, bob)):
        call.here.leave()
        await stage.expects(link, "Hangup", call_id=call.call_id, reason="Normal", within=1.0)


@links("FED-24", *ACCEPTED, "CALL-30", "FED-13")
async def test_a_hangup_goes_over_the_link(stage: Border) -> None:
    """Callers and callees hang up calls that ring and that are Active; Hangup must come over the link.

    Its envelope must name the call.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    for begin in (stage.ring_out, stage.call_out, stage.ring_in, stage.call_in):
        call = await begin(*((alice, link) if begin.__name__.endswith("out") else (link, alice)))
        alice.send(alice.identity.hangup(call.call_id))
        await stage.expects(link, "Hangup", call_id=call.call_id)
        bodies = [one.body for one in link.inbox if one.name == ENVELOPE]
        named = [one.get("call_id") for one in bodies if codec.name_of(one["inner"]) == "Hangup"]
        assert named[-1] == call.call_id, f"the envelope of the Hangup names {named[-1] or 'no call'}"


@links("FED-25", *ACCEPTED, "AGREE-1", "AGREE-3", "FED-13")
async def test_a_report_goes_over_the_link(stage: Border) -> None:
    """A caller and a callee report of an Active call; MediaPathReport must come over the link."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    for call in (await stage.call_out(alice, link), await stage.call_in(link, alice)):
        alice.send(identity.report(call.call_id))
        await stage.expects(link, "MediaPathReport", call_id=call.call_id, direct_ok=True)


@links("FED-26", *ACCEPTED, "CALL-34", "CALL-43", "FED-13")
async def test_a_call_ends_with_its_link(stage: Border) -> None:
    """The link of calls that ring and that are Active is closed; Hangup{Normal} must reach each party."""
    people = await stage.register_all("alice", "bob", "carol", "dave")
    link = await stage.link("east")
    calls = [await stage.ring_out(people[0], link), await stage.call_out(people[1], link)]
    calls += [await stage.ring_in(link, people[2]), await stage.call_in(link, people[3])]
    await stage.settle()
    link.leave()
    for call in calls:
        named = _named(stage, call.call_id)
        await stage.expects(call.here, "Hangup", reason="Normal", within=1.0, **named)


@links("FED-27")
async def test_what_concerns_no_call_is_answered(stage: Border) -> None:
    """Messages of calls that do not exist come over a link; Hangup{Error} must come back for each.

    For a Hangup nothing may come back.
    """
    link = await stage.link("east")
    bob = stage.person("bob")
    over = stage.call_id()
    mark = link.mark()
    link.hang_up(over)
    await stage.settle()
    assert not link.heard(since=mark), f"a Hangup was answered with {link.heard(since=mark)[0]}"
    kinds: list[Callable[[str], Any]] = [
        ringing,
        bob.answer,
        lambda call_id: bob.answer(call_id, "Reject"),
        lambda call_id: neighbour.setup(call_id, bob),
        *([identity.report] if stage.knows("6") else []),
    ]
    for message in kinds:
        call_id = stage.call_id()
        link.say(message(call_id))
        came = await stage.find(link, "Hangup", call_id=call_id, reason="Error")
        assert came is not None, f"nothing comes back for {codec.name_of(message(call_id))} of no call"


@links("FED-34", *ACCEPTED, "FED-6", "FED-26", "FED-27")
async def test_a_call_does_not_outlive_its_link(stage: Border) -> None:
    """A link with calls that ring and that are Active is replaced; Hangup{Normal} must reach each party.

    What the newer link then says of the calls must be answered as of calls that do not exist.
    """
    alice, bob = await stage.register_all("alice", "bob")
    older = await stage.link("east")
    calls = [await stage.ring_in(older, alice), await stage.call_in(older, bob)]
    newer = await stage.link("east again", "east")
    for call in calls:
        await stage.expects(call.here, "Hangup", reason="Normal", within=1.0, **_named(stage, call.call_id))
        newer.say(neighbour.setup(call.call_id, call.away))
        await stage.expects(newer, "Hangup", call_id=call.call_id)


@links("FED-35", *ACCEPTED, "CALL-24", "CALL-33", "AGREE-2", "MEDIA-5", "MEDIA-7", "FED-13")
async def test_a_namesake_is_no_party(stage: Border) -> None:
    """The caller of a call from a link, and the callee of one over it, are registered at the relay as well.

    They ring no more, report, answer, join, hang up and leave here; nothing may come of it.
    """
    bob, carol = await stage.register_all("bob", "carol")
    link = await stage.link("east")
    calls = [await stage.call_in(link, bob), await stage.ring_out(carol, link)]
    await stage.settle()
    since = stage.marks()
    twins = [await stage.register(f"namesake {call.call_id}", who=call.away) for call in calls]
    await stage.settle()
    for twin, call in zip(twins, calls, strict=True):
        assert not twin.heard("DirectCallOffer"), "the call rings at a namesake of the callee"
        await _meddles(stage, twin, call)
    for twin in twins:
        twin.leave()
    await stage.settle(bob, carol, link)
    await stage.expects_nothing(bob, carol, link, since=since)


async def _meddles(stage: Border, twin: Puppet, call: Across) -> None:
    """Let a client do here what the party of a call may do that is away; raise where it is let in."""
    if stage.knows("6"):
        twin.send(identity.report(call.call_id))
    twin.send(twin.identity.answer(call.call_id))
    twin.send(twin.identity.answer(call.call_id, "Reject"))
    await stage.settle(twin)
    media = await stage.knock(twin, call.call_id)
    await stage.expects_close(media, CODES["NOT_ADMITTED"])
    twin.send(twin.identity.hangup(call.call_id))
    await stage.settle(twin)


# Media


@links("FED-28", *ACCEPTED, *ROOM, "FED-13")
async def test_media_goes_over_the_link(stage: Border) -> None:
    """Parties of calls to and from a neighbour send datagrams; they must come over the link.

    The tag of the room must stand in front of each, and nothing may come over another link.
    """
    alice, carol = await stage.register_all("alice", "carol")
    east, west = await stage.links("east", "west")
    out, back = await stage.call_in(east, alice), await stage.call_in(east, carol)
    for number, call in enumerate((out, back)):
        media = await stage.join(call.here, call.call_id)
        first = codec.datagram(bytes(range(64)), sequence=number)
        for data in (first, codec.datagram(b"", reserved=True), LARGEST):
            arrived = await stage.arrives(media, data, east, call.tag + data)
            got = [one[:24].hex() for one in east.datagrams[-3:]]
            assert arrived, f"{data[:24].hex()} does not come over the link; last came {got or 'nothing'}"
        await stage.arrives(east, call.tag + MARK, media, MARK)
    await stage.settle()
    assert not west.datagrams, "a datagram came over the link of another relay"
    echo = [one for one in east.datagrams if one.endswith(MARK)]
    assert not echo, "what came over a link went back over it"


@links("FED-29", *ACCEPTED, *ROOM, "FED-13")
async def test_media_comes_from_the_link(stage: Border) -> None:
    """Datagrams come over the link of calls to and from a neighbour.

    Each must reach the party here byte for byte, without the tag.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    for call in (await stage.call_out(alice, link), await stage.call_in(link, alice)):
        media = await stage.join(alice, call.call_id)
        sent = [codec.datagram(bytes(range(20 + n)), codec=n, sequence=n) for n in range(9)]
        sent += [LARGEST, codec.datagram(b"", reserved=True)]
        for data in sent:
            arrived = await stage.arrives(link, call.tag + data, media, data)
            assert arrived, f"the datagram {data[:24].hex()} of the link does not arrive"
        extra = [data for data in media.datagrams if data not in sent]
        assert not extra, f"{extra[0][:24].hex()} arrived, which nobody sent"


@links("FED-30", *ACCEPTED, *ROOM, "MEDIA-20", "MEDIA-21", "MEDIA-22", "FED-29")
async def test_a_relay_speaks_in_its_own_calls_only(stage: Border) -> None:
    """Datagrams come over a link with the tag of another link's call, of none, and without a room.

    So do some that are dropped in every room. None may reach a party.
    """
    alice, carol = await stage.register_all("alice", "carol")
    east, west = await stage.links("east", "west")
    own, others = await stage.call_in(east, alice), await stage.call_in(west, carol)
    at_alice, at_carol = await stage.join(alice, own.call_id), await stage.join(carol, others.call_id)
    data = codec.datagram(b"from another relay")
    unfit = (b"", MARK[:11], codec.datagram(b"audio", codec=15), codec.datagram(b"", quality=True))
    east.datagram(others.tag + data, neighbour.tag(stage.call_id()) + data, data, b"", own.tag[:7])
    east.datagram(*(own.tag + one for one in unfit))
    for call, media in ((own, at_alice), (others, at_carol)):
        if not await stage.arrives(call.link, call.tag + MARK, media, MARK):
            message = f"no datagram of {call.link.name} arrives at {media.name}"
            raise Untestable(message)
        extra = [one for one in media.datagrams if one != MARK]
        assert not extra, f"{media.name} received {extra[0][:24].hex()}"


@links("FED-31", *ACCEPTED, *ROOM, "FED-13")
async def test_who_joins_is_announced(stage: Border) -> None:
    """Parties of calls to and from a neighbour join their rooms.

    GlobalRoomActive with the party alone must come over the link of its call, and over no other.
    """
    alice = await stage.register("alice")
    east, west = await stage.links("east", "west")
    for call in (await stage.call_in(east, alice), await stage.call_in(west, alice)):
        await stage.join(alice, call.call_id)
        room = f"call-{call.call_id}"
        body = (await stage.expects(call.link, "GlobalRoomActive", room=room)).body
        names = [one.get("fingerprint") for one in body.get("participants", [])]
        assert names == [alice.identity.fingerprint], f"GlobalRoomActive of {room} names {names}"
    await stage.settle()
    for link in (east, west):
        assert len(link.heard("GlobalRoomActive")) == 1, f"{link.name} heard of the room of another link"


@links("FED-32", *ACCEPTED, *ROOM, "MEDIA-13", "FED-31")
async def test_who_leaves_is_announced(stage: Border) -> None:
    """A party joins its room and leaves it; GlobalRoomInactive must come over the link of its call."""
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.call_in(link, alice)
    room = f"call-{call.call_id}"
    media = await stage.join(alice, call.call_id)
    await stage.needs(link, "GlobalRoomActive", room=room)
    early = link.heard("GlobalRoomInactive")
    assert not early, "the room was said to be empty while the party sat there"
    media.leave()
    await stage.expects(link, "GlobalRoomInactive", room=room, within=2.5)


def _people(update: Heard) -> list[tuple[Any, Any]]:
    """Return who a RoomUpdate says is there: fingerprints and labels, in order; raise where it miscounts."""
    those = update.body.get("participants", [])
    assert update.body.get("count") == len(those), f"RoomUpdate counts {update.body.get('count')}: {those}"
    return sorted((str(one.get("fingerprint")), one.get("relay_label")) for one in those)


@links("FED-33", *ACCEPTED, *ROOM, "MEDIA-12")
async def test_it_is_one_room(stage: Border) -> None:
    """A neighbour says that the other party sits in the room, that a stranger does, and that nobody does.

    RoomUpdate must name the other party, with its relay's label, as long as it sits there, and nobody else.
    """
    alice = await stage.register("alice")
    link = await stage.link("east")
    call = await stage.call_in(link, alice)
    media = await stage.join(alice, call.call_id)
    label = "east" if stage.target.linkable else None
    here = (alice.identity.fingerprint, None)
    there = (call.away.fingerprint, label)
    for what, said, expected in (
        ("the other party", neighbour.sits(call.call_id, call.away), [here, there]),
        ("somebody else", neighbour.sits(call.call_id, stage.person("eve")), [here]),
        ("both", neighbour.sits(call.call_id, stage.person("eve"), call.away), [here, there]),
        ("nobody", neighbour.empty(call.call_id), [here]),
    ):
        link.send(said)
        await stage.settle(link, rounds=1)
        await stage.until(lambda expected=expected: _sorted(media, stage) == sorted(expected), 0.5)
        actual = _sorted(media, stage)
        assert sorted(expected) == actual, f"{what} sits in the room, and RoomUpdate says {actual}"


def _sorted(media: Puppet, stage: Border) -> list[tuple[Any, Any]]:
    """Return who the latest RoomUpdate names; a label that nobody told the suite stands for none."""
    people = _people(media.heard("RoomUpdate")[-1])
    return people if stage.target.linkable else [(name, None) for name, _ in people]


@links("FED-20", *ACCEPTED, *ROOM, "MEDIA-12", "FED-29", "FED-33")
async def test_another_relay_seats_nobody(stage: Border) -> None:
    """Another neighbour says that the other party sits in the room of a call, and then that nobody does.

    No RoomUpdate may follow; the neighbour of the call seats the party.
    """
    alice = await stage.register("alice")
    east, west = await stage.links("east", "west")
    call = await stage.call_in(east, alice)
    media = await stage.join(alice, call.call_id)
    there = neighbour.sits(call.call_id, call.away)
    for said, number in ((there, 1), (neighbour.empty(call.call_id), 2)):
        mark, behind = media.mark(), codec.datagram(b"behind it", sequence=number)
        west.send(said)
        await stage.settle(west, rounds=1)
        if not await stage.arrives(east, call.tag + behind, media, behind):
            message = "no datagram of the call's link arrives"
            raise Untestable(message)
        heard = media.heard("RoomUpdate", since=mark)
        assert not heard, f"{heard[0]} came of what another relay said"
        mark = media.mark()
        east.send(there)
        await stage.needs(media, "RoomUpdate", since=mark, count=2)


# A pair


@links(PAIR, "FED-15", "FED-16", "FED-17", "FED-21", "FED-22", "FED-23")
async def test_a_call_between_two_relays(stage: Border) -> None:
    """Two relays dial each other; people of the one call people of the other, who accept and reject.

    Each call must go as if there were one relay: ringing, the answer, a setup for each party with its own
    relay's address, media both ways byte for byte, reports, and the end.
    """
    pair = await Pair.around(stage)
    people = await pair.register_all("alice", "bob")
    for caller, callee in (people, people[::-1]):
        await _rejected(pair, caller, callee)
        await _spoken(pair, caller, callee, "AcceptGeneric")
        await _spoken(pair, caller, callee, "AcceptTrusted")


async def _rejected(pair: Pair, alice: Puppet, bob: Puppet) -> None:
    """Let a call be rejected."""
    call_id = pair.call_id()
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await pair.expects(bob, "DirectCallOffer", call_id=call_id, within=1.0)
    mark = alice.mark()
    bob.send(bob.identity.answer(call_id, "Reject"))
    await pair.expects(alice, "Hangup", since=mark, reason="Declined", within=1.0)


async def _spoken(pair: Pair, alice: Puppet, bob: Puppet, mode: str) -> None:
    """Let a call be accepted, have media, and end."""
    call_id, trusted = pair.call_id(), mode == "AcceptTrusted"
    alice.send(alice.identity.offer(bob.identity.fingerprint, call_id))
    await pair.expects(bob, "DirectCallOffer", call_id=call_id, within=1.0)
    await pair.expects(alice, "CallRinging", call_id=call_id, within=1.0)
    bob.send(bob.identity.answer(call_id, mode))
    await pair.expects(alice, "DirectCallAnswer", call_id=call_id, accept_mode=mode, within=1.0)
    for party, other in ((alice, bob), (bob, alice)):
        setup = (await pair.expects(party, "CallSetup", call_id=call_id, within=1.0)).body
        expected = {"relay_addr": pair.homes[party.identity.fingerprint].advertise}
        expected |= _peer(pair, other if trusted else None)
        actual = {name: setup[name] for name in setup if name == "relay_addr" or name[:5] == "peer_"}
        assert expected == actual, f"after {mode} the CallSetup of {party.name} has {actual}, not {expected}"
    media = [await pair.join(party, call_id) for party in (alice, bob)]
    await _both_ways(pair, *media)
    if pair.knows("6"):
        for party, other in ((alice, bob), (bob, alice)):
            party.send(identity.report(call_id))
            await pair.expects(other, "MediaPathReport", call_id=call_id, within=1.0)
    mark = bob.mark()
    alice.send(alice.identity.hangup(call_id))
    await pair.expects(bob, "Hangup", since=mark, reason="Normal", within=1.0)
    for one in media:
        await pair.expects_close(one, CODES["CALL_ENDED"])


async def _both_ways(pair: Pair, *media: Puppet) -> None:
    """Let two participants hear of each other and each other, byte for byte and nothing else."""
    for one in media:
        met = await pair.until(lambda one=one: len(_people(one.heard("RoomUpdate")[-1])) == len(media), 1.0)
        assert met, f"{one.name} does not learn that the other party is in the room"
    for sender, receiver in (media, media[::-1]):
        sent = [codec.datagram(bytes(range(20 + n)), codec=n, sequence=n) for n in range(9)]
        sent += [codec.datagram(bytes(1000), sequence=60000), codec.datagram(b"", reserved=True)]
        for data in sent:
            arrived = await pair.carries(sender, receiver, data)
            assert arrived, f"the datagram {data[:24].hex()} of {sender.name} does not cross the link"
        extra = [data for data in receiver.datagrams if data not in sent]
        assert not extra, f"{extra[0][:24].hex()} arrived, which nobody sent"


@links(PAIR, "FED-15", "FED-16", "FED-17", "FED-22", "PRIV-7")
async def test_a_candidate_reaches_nobody_else_at_two_relays(stage: Border) -> None:
    """Six calls run beside each other between four people of two relays, with random candidates.

    Strangers answer them, callers answer their own calls, callees answer twice. No byte that anybody
    receives may hold a candidate of a call of others, or of another call.
    """
    wind = Crosswind(await Pair.around(stage))
    await wind.play()
    leaks = wind.leaks()
    assert not leaks, f"{leaks[0]}, and {len(leaks) - 1} more like it"
