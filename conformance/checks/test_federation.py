"""Checks of spec/federation.md: links between relays, what proves a relay, and envelopes.

Calls over links, their ends, their media, and two relays under test at once are judged in the files that
begin with this one's name.
"""

from __future__ import annotations

from typing import Any

from conformance import identity, neighbour
from conformance.border import Border, scene
from conformance.checks.linked import ACCEPTED, CODES, MARK, links
from conformance.identity import ABSENT
from conformance.neighbour import HELLO, STRANGER, UNSAID, Neighbour, plain, ringing
from conformance.verdicts import Blocked, Untestable
from conformance.watch import GRACE

AGE = 300
"""Seconds that a proof may be old (FED-3)."""
BAD = 61
"""More bad messages than a connection may have (spec/errors.md, Limits)."""
NO_PROOF = dict.fromkeys(("certificate", "time", "signature"), ABSENT)
REDIAL = 10.0
"""Seconds in which a relay that waits 1 s first has dialled again."""


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
