"""Checks of spec/security.md: what strangers learn, and who is believed."""

from __future__ import annotations

from typing import Any

from conformance import identity
from conformance.checking import check
from conformance.codec import Message
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable


@check("SEC-1")
async def test_a_stranger_learns_nothing(stage: Stage) -> None:
    """A third party names the call of others in answers and hangups; nothing may come back to it."""
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    ringing = await stage.place(alice, bob)
    since = {carol: carol.mark()}
    for message in (
        carol.identity.answer(ringing, "Reject"),
        carol.identity.answer(ringing),
        identity.hangup(call_id=ringing),
    ):
        carol.send(message)
    await stage.expects_nothing(carol, since=since)


async def _moved(stage: Stage, parties: tuple[Puppet, Puppet], third: Puppet, message: Message) -> bool:
    marks = stage.marks()
    third.send(message)
    await stage.settle()
    return any(one.heard(since=marks[one]) for one in parties)


@check("SEC-3")
async def test_a_body_does_not_say_who_sent_it(stage: Stage) -> None:
    """A third party answers and hangs up with the key and fingerprint of a party.

    The parties must hear nothing of it.
    """
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    call_id = await stage.place(alice, bob)
    names: dict[str, Any] = {
        "fingerprint": bob.identity.fingerprint,
        "callee_fingerprint": bob.identity.fingerprint,
        "caller_fingerprint": alice.identity.fingerprint,
    }
    key: dict[str, Any] = {"identity_pub": [*bob.identity.public]}
    for plain, named in (
        (carol.identity.answer(call_id), carol.identity.answer(call_id, **names, **key)),
        (identity.hangup(call_id=call_id), identity.hangup(call_id=call_id, **names, **key)),
    ):
        if await _moved(stage, (alice, bob), carol, plain):
            message = "a third party moves the call without naming anybody (CALL-24, CALL-33)"
            raise Untestable(message)
        told = await _moved(stage, (alice, bob), carol, named)
        assert not told, f"a third party moved the call by naming a party in {next(iter(named))}"
