"""Checks of spec/federation.md: how calls over links end, and what is said of calls that a link has not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conformance import codec, identity, neighbour
from conformance.border import Across, Border
from conformance.checks.linked import ACCEPTED, CODES, links, naming
from conformance.neighbour import ENVELOPE, ringing
from conformance.puppet import Puppet


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
        named = naming(stage, call.call_id)
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
        await stage.expects(call.here, "Hangup", reason="Normal", within=1.0, **naming(stage, call.call_id))
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
