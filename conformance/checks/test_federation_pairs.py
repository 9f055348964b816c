"""Checks of spec/federation.md: two relays under test that are linked to each other."""

from __future__ import annotations

from conformance import codec, identity
from conformance.border import Border
from conformance.checking import PAIR
from conformance.checks.linked import CODES, links, peer, seated
from conformance.pair import Crosswind, Pair
from conformance.puppet import Puppet


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
        expected |= peer(pair, other if trusted else None)
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
        met = await pair.until(lambda one=one: len(seated(one.heard("RoomUpdate")[-1])) == len(media), 1.0)
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
