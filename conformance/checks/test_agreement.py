"""Checks of spec/agreement.md: the reports that the relay carries between the two ends."""

from __future__ import annotations

from conformance import codec, identity
from conformance.checking import check
from conformance.stage import Stage
from conformance.verdicts import Untestable

LARGE = 16_384


@check("AGREE-1")
async def test_a_report_reaches_the_other_party(stage: Stage) -> None:
    """Both parties of a call, accepted with trust and without, report both outcomes.

    Each report must reach the other party as it is, and nobody else.
    """
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    for mode in ("AcceptTrusted", "AcceptGeneric"):
        call_id = await stage.place(alice, bob)
        bob.send(bob.identity.answer(call_id, mode))
        if not await stage.is_set_up(call_id):
            message = f"the call accepted with {mode} was not set up"
            raise Untestable(message)
        for one, other, direct_ok in ((alice, bob, True), (bob, alice, False)):
            report = identity.report(call_id, direct_ok=direct_ok)
            mark = other.mark()
            one.send(report)
            body = codec.body_of(report)
            got = (await stage.expects(other, "MediaPathReport", since=mark, call_id=call_id)).body
            changed = [name for name, value in body.items() if got.get(name) != value]
            assert not changed, f"the report {body} arrived as {got}"
    extra = [one.name for one in (carol,) if one.heard("MediaPathReport")]
    assert not extra, "a report reached a third party"


@check("AGREE-17")
async def test_a_second_report_is_ignored(stage: Stage) -> None:
    """A party of an Active call reports three times; the other party must hear of the first one only."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    mark = bob.mark()
    for direct_ok in (True, False, True):
        alice.send(identity.report(call_id, direct_ok=direct_ok))
    await stage.needs(bob, "MediaPathReport", since=mark, call_id=call_id)
    await stage.settle(alice, bob)
    heard = len(bob.heard("MediaPathReport", mark))
    assert heard == 1, f"{heard} reports of one call reached the other party"


@check("AGREE-2")
async def test_a_strangers_report_is_ignored(stage: Stage) -> None:
    """A third party reports on an Active call; nothing may come of it, and a party's report must pass."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = await stage.set_up(alice, bob)
    since = stage.marks()
    for direct_ok in (True, False):
        carol.send(identity.report(call_id, direct_ok=direct_ok))
    await stage.expects_nothing(alice, bob, carol, since=since)
    alice.send(identity.report(call_id))
    await stage.needs(bob, "MediaPathReport", since=since[bob], call_id=call_id)


@check("AGREE-3")
async def test_a_report_needs_an_active_call(stage: Stage) -> None:
    """Both parties report on a Ringing call, on one that has ended and on none; nothing may come of it.

    The same report must pass once the call is Active.
    """
    alice, bob = await stage.register_all("alice", "bob")
    ended = await stage.place(alice, bob)
    alice.send(alice.identity.hangup(ended))
    await stage.needs(bob, "Hangup")
    call_id = await stage.place(alice, bob)
    since = stage.marks()
    for one in (alice, bob):
        for named in (call_id, ended, stage.call_id()):
            one.send(identity.report(named))
    await stage.expects_nothing(alice, bob, since=since)
    await stage.accept(bob, call_id)
    alice.send(identity.report(call_id))
    await stage.needs(bob, "MediaPathReport", call_id=call_id)


@check("AGREE-4")
async def test_a_large_report_is_ignored(stage: Stage) -> None:
    """A party of an Active call sends a report of more than 16,384 bytes; nothing may come of it.

    One of exactly that size must pass.
    """
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    empty = len(codec.payload(identity.report(call_id, later="")))
    since = stage.marks()
    alice.send(identity.report(call_id, later="x" * (LARGE + 1 - empty)))
    await stage.expects_nothing(alice, bob, since=since)
    alice.send(identity.report(call_id, later="x" * (LARGE - empty)))
    await stage.needs(bob, "MediaPathReport", since=since[bob], call_id=call_id)
