"""Checks of spec/media.md: admission to a room, its seats, and the datagrams in it."""

from __future__ import annotations

import asyncio

from conformance import codec, identity, spec
from conformance.checking import check
from conformance.identity import verifies
from conformance.puppet import Heard, Puppet
from conformance.stage import Stage
from conformance.verdicts import Untestable
from conformance.watch import FAST, GRACE

CODES = spec.close_codes()
ROOM = ("MEDIA-1",)
"""What every check stands on that needs two people in a room."""
MARK = codec.datagram(b"marker", sequence=4711)
PORTION, PORTIONS, COUNTS = 8, 13, 3
"""Datagrams in one go, half of what waits for a participant at least; goes in a count; counts."""
PATIENT = 0.1
"""Seconds for a portion to arrive; what comes later, before the count is closed, has arrived too."""


@check("MEDIA-1")
async def test_a_party_is_admitted(stage: Stage) -> None:
    """Both parties of an Active call introduce themselves; CallAnswer must reach each."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    for party in (alice, bob):
        media = await stage.knock(party, call_id)
        await stage.until(lambda media=media: bool(media.heard()) or bool(media.closed), 1.0)
        await stage.expects(media, "CallAnswer")


@check("MEDIA-2", needs=ROOM)
async def test_the_answer_is_signed_by_its_key(stage: Stage) -> None:
    """A party is admitted; the signature of CallAnswer must be right for the key that it names."""
    alice, bob = await stage.register_all("alice", "bob")
    media = await stage.join(alice, await stage.set_up(alice, bob))
    answer = (await stage.needs(media, "CallAnswer")).body
    key, ephemeral, signature = (
        bytes(answer[name]) for name in ("identity_pub", "ephemeral_pub", "signature")
    )
    assert verifies(key, signature, ephemeral + b"call-answer"), "the signature of CallAnswer is wrong"


async def _unknown_call(stage: Stage) -> Puppet:
    alice = await stage.register("alice of no call")
    return await stage.knock(alice, stage.call_id())


async def _ringing_call(stage: Stage) -> Puppet:
    alice, bob = await stage.register_all("alice of a ringing call", "bob of a ringing call")
    return await stage.knock(alice, await stage.place(alice, bob))


async def _third_party(stage: Stage) -> Puppet:
    alice, bob, carol = await stage.register_all("alice", "bob", "carol")
    return await stage.knock(carol, await stage.set_up(alice, bob))


async def _wrong_signature(stage: Stage) -> Puppet:
    alice, bob, eve = await stage.register_all("alice forged", "bob forged", "eve")
    call_id = await stage.set_up(alice, bob)
    return await stage.knock(alice, call_id, alice.identity.admission(eve.identity))


@check("MEDIA-3")
async def test_no_call_has_no_room(stage: Stage) -> None:
    """A registered client asks for the room of a call that does not exist; it must not be admitted."""
    assert not await stage.admitted(await _unknown_call(stage)), "admitted to the room of no call"


@check("MEDIA-4")
async def test_a_ringing_call_has_no_room(stage: Stage) -> None:
    """The caller of a Ringing call asks for its room; it must not be admitted."""
    assert not await stage.admitted(await _ringing_call(stage)), "admitted while the call rings"


@check("MEDIA-5")
async def test_a_third_party_is_not_admitted(stage: Stage) -> None:
    """A registered third party asks for the room of an Active call; it must not be admitted."""
    assert not await stage.admitted(await _third_party(stage)), "a third party was admitted"


@check("MEDIA-6")
async def test_a_wrong_signature_is_not_admitted(stage: Stage) -> None:
    """Somebody names a party's key and signs with another; it must not be admitted."""
    assert not await stage.admitted(await _wrong_signature(stage)), "a wrong signature was admitted"


@check("MEDIA-7")
async def test_refusals_cannot_be_told_apart(stage: Stage) -> None:
    """The four refusals are provoked; all must be the same close NOT_ADMITTED with nothing before it."""
    cases = {"no call": _unknown_call, "a ringing call": _ringing_call, "a third party": _third_party}
    cases["a wrong signature"] = _wrong_signature
    seen: dict[str, tuple[int, str]] = {}
    for name, case in cases.items():
        media = await case(stage)
        closed = await stage.close_of(media, 0.5)
        if closed is None:
            assert media.heard(), f"refused for {name}, the connection stays open"
            continue  # admitted, which is for other checks to say
        assert not media.heard(), f"refused for {name}, the relay sent {media.heard()[0]} before the close"
        assert closed.application, f"refused for {name}, the connection ended with {closed}"
        seen[name] = (closed.code, closed.reason)
    if not seen:
        message = "nobody was refused"
        raise Untestable(message)
    assert {code for code, _ in seen.values()} == {CODES["NOT_ADMITTED"]}, f"the refusals close with {seen}"
    assert len(set(seen.values())) == 1, f"the refusals differ: {seen}"


@check("MEDIA-8", variant="quick")
async def test_a_silent_participant_is_closed(stage: Stage) -> None:
    """A party connects to its room and says nothing; it must be closed with MEDIA_TIMEOUT."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    media = await stage.dial("alice's media", f"call-{call_id}", who=alice.identity)
    await stage.expects_close(media, CODES["MEDIA_TIMEOUT"], stage.relay.timers["media"] + 1.5)


@check("MEDIA-9", needs=ROOM)
async def test_a_stranger_does_not_speak(stage: Stage) -> None:
    """Somebody connects to a room and sends datagrams without an introduction; none may be forwarded."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id, at_alice, at_bob = await stage.meet(alice, bob)
    stranger = await stage.dial("stranger", f"call-{call_id}")
    data = codec.datagram(b"from a stranger")
    stranger.datagram(data, data)
    await stage.marker(at_bob, at_alice, MARK)
    await stage.marker(at_alice, at_bob, MARK)
    assert data not in at_alice.datagrams + at_bob.datagrams, "a participant received a stranger's datagram"


@check("MEDIA-10", needs=ROOM)
async def test_the_newest_connection_has_the_seat(stage: Stage) -> None:
    """A participant joins again on a new connection; the other's media must arrive there."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id, _, at_bob = await stage.meet(alice, bob)
    new = await stage.join(alice, call_id)
    assert await stage.carries(at_bob, new, MARK), "the newcomer receives no media"


@check("MEDIA-11", needs=ROOM)
async def test_the_older_connection_loses_its_seat(stage: Stage) -> None:
    """A participant joins again on a new connection; the older must be closed with SEAT_TAKEN."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id, old, _ = await stage.meet(alice, bob)
    await stage.join(alice, call_id)
    await stage.expects_close(old, CODES["SEAT_TAKEN"])


def _shows(update: Heard, *people: Puppet) -> bool:
    shown = [one.get("fingerprint") for one in update.body.get("participants", [])]
    names = sorted(one.identity.fingerprint for one in people)
    return update.body.get("count") == len(names) and sorted(map(str, shown)) == names


async def _expects_update(
    stage: Stage, media: Puppet, *people: Puppet, after: str, since: int = 0, within: float = 0.5
) -> None:
    """Raise AssertionError unless a RoomUpdate with these people arrives; `after` tells what it is due to."""
    names = " and ".join(one.name for one in people)
    shown = await stage.until(
        lambda: any(_shows(one, *people) for one in media.heard("RoomUpdate", since)), within
    )
    got = [one.body for one in media.heard("RoomUpdate", since)]
    assert shown, (
        f"after {after} {media.name} received no RoomUpdate with {names} alone; it received {got or 'none'}"
    )


@check("MEDIA-12", needs=ROOM)
async def test_everybody_learns_who_joins(stage: Stage) -> None:
    """One party joins, then the other; RoomUpdate with all participants must reach everybody each time."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    at_alice = await stage.join(alice, call_id)
    await _expects_update(stage, at_alice, alice, after="alice had joined")
    at_bob = await stage.join(bob, call_id)
    for media in (at_alice, at_bob):
        await _expects_update(stage, media, alice, bob, after="bob had joined alice")


@check("MEDIA-13", needs=ROOM)
async def test_who_stays_learns_who_leaves(stage: Stage) -> None:
    """A participant closes its media connection; RoomUpdate with the one left must reach the other."""
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    await stage.marker(at_bob, at_alice, MARK)
    since = at_alice.mark()
    at_bob.leave()
    await _expects_update(stage, at_alice, alice, after="bob had left the room", since=since, within=2.5)


@check("MEDIA-14", needs=ROOM)
async def test_media_ends_with_the_call(stage: Stage) -> None:
    """A party hangs up; both media connections must be closed with CALL_ENDED."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id, *media = await stage.meet(alice, bob)
    alice.send(alice.identity.hangup(call_id))
    for one in media:
        await stage.expects_close(one, CODES["CALL_ENDED"])


@check("MEDIA-15", needs=ROOM)
async def test_a_room_takes_no_signals(stage: Stage) -> None:
    """A participant sends signalling before and after its CallOffer; it must have no effect and no answer."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    at_alice = await stage.dial("alice's media", f"call-{call_id}", who=alice.identity)
    at_alice.send(identity.ping(2))
    at_alice.send(alice.identity.admission())
    at_bob = await stage.join(bob, call_id)
    await stage.marker(at_bob, at_alice, MARK)
    since = stage.marks()
    for message in (
        identity.ping(1),
        alice.identity.answer(call_id, "Reject"),
        alice.identity.offer(bob.identity.fingerprint, stage.call_id()),
        alice.identity.admission(),
        alice.identity.hangup(call_id),
    ):
        at_alice.send(message)
    await stage.expects_nothing(alice, bob, since=since)
    behind = codec.datagram(b"behind it")
    assert await stage.carries(at_alice, at_bob, behind), "signalling on a media connection ended its media"
    await stage.expects_nothing(at_alice, at_bob, since=since)
    assert not at_alice.heard("Pong"), "a Ping on a media connection was answered"


@check("MEDIA-16", needs=ROOM)
async def test_datagrams_are_forwarded_byte_for_byte(stage: Stage) -> None:
    """Datagrams of every codec and length class go both ways; each must arrive as it is."""
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    for sender, receiver in ((at_alice, at_bob), (at_bob, at_alice)):
        sent = [codec.datagram(bytes(range(20 + n)), codec=n, sequence=n) for n in range(9)]
        sent += [codec.datagram(bytes(length), sequence=60000 + length) for length in (0, 1, 500, 1100)]
        sent.append(codec.datagram(b"report" + bytes.fromhex("191914c8"), quality=True))
        for data in sent:
            assert await stage.carries(sender, receiver, data), (
                f"the datagram {data[:24].hex()} does not arrive"
            )
        extra = [data for data in receiver.datagrams if data not in sent]
        assert not extra, f"{extra[0][:24].hex()} arrived, which nobody sent"


@check("MEDIA-16", needs=ROOM)
async def test_no_datagram_is_lost(stage: Stage) -> None:
    """Numbered datagrams go both ways, a portion when the one before it has arrived; each must arrive.

    The network may lose one. What is missing has to be missing in each of three counts.
    """
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    for sender, receiver in ((at_alice, at_bob), (at_bob, at_alice)):
        await stage.marker(sender, receiver, MARK)
        missing: list[list[int]] = []
        for number in range(COUNTS):
            missing.append(await _count(stage, sender, receiver, number * PORTION * PORTIONS))
            if not missing[-1]:
                break
        assert not missing[-1], (
            f"of {PORTION * PORTIONS} datagrams of {sender.name}, {PORTION} at a time, "
            f"{' and then '.join(str(len(one)) for one in missing)} did not arrive at {receiver.name}; "
            f"at last those with the numbers {', '.join(map(str, missing[-1][:8]))} were missing"
        )


async def _count(stage: Stage, sender: Puppet, receiver: Puppet, first: int) -> list[int]:
    """Send numbered datagrams in portions; return the numbers of those that do not arrive.

    A portion is over when it has arrived, or a moment later; the rest of a count in which a whole portion was
    lost is not sent. A marker closes the count, because a relay that reorders may hold back its last one.
    """
    sent: dict[int, bytes] = {}
    since = len(receiver.datagrams)

    def lost() -> list[int]:
        there = {*receiver.datagrams[since:]}
        return [number for number, data in sent.items() if data not in there]

    for begin in range(first, first + PORTION * PORTIONS, PORTION):
        known, portion = len(lost()), range(begin, begin + PORTION)
        sent |= {number: codec.datagram(b"counted", sequence=number) for number in portion}
        sender.datagram(*(sent[number] for number in portion))
        if await stage.until(lambda known=known: len(lost()) <= known, PATIENT):
            continue
        if len(lost()) == known + PORTION:
            break
    await stage.carries(sender, receiver, codec.datagram(b"counted", sequence=first + PORTION * PORTIONS))
    await stage.until(lambda: not lost(), FAST)
    return lost()


@check("MEDIA-17", needs=ROOM)
async def test_reserved_bits_are_forwarded(stage: Stage) -> None:
    """A datagram with every reserved bit set is sent; it must arrive with them."""
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    await stage.marker(at_alice, at_bob, MARK)
    data = codec.datagram(b"reserved bits", reserved=True)
    arrived = await stage.carries(at_alice, at_bob, data, times=2)
    changed = [one[:12].hex() for one in at_bob.datagrams if one != MARK]
    assert arrived, f"the header {data[:12].hex()} arrived as {changed or 'nothing'}"


@check("MEDIA-18", needs=ROOM)
async def test_there_is_no_echo(stage: Stage) -> None:
    """A participant sends datagrams, alone in the room and with the other; none may come back."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    at_alice = await stage.join(alice, call_id)
    data = codec.datagram(b"who hears me?")
    at_alice.datagram(data)
    at_bob = await stage.join(bob, call_id)
    await stage.marker(at_alice, at_bob, data)
    await stage.marker(at_bob, at_alice, MARK)
    assert data not in at_alice.datagrams, "the sender received its own datagram"


@check("MEDIA-19", needs=ROOM)
async def test_rooms_are_apart(stage: Stage) -> None:
    """Two calls have media; a datagram of one must not arrive in the other."""
    people = await stage.register_all("alice", "bob", "carol", "dave")
    (_, at_alice, at_bob), (_, at_carol, at_dave) = await asyncio.gather(
        stage.meet(*people[:2]), stage.meet(*people[2:])
    )
    data = codec.datagram(b"for bob only")
    await stage.marker(at_alice, at_bob, data)
    await stage.marker(at_carol, at_dave, MARK)
    await stage.marker(at_dave, at_carol, MARK)
    assert data not in at_carol.datagrams + at_dave.datagrams, "a datagram arrived in another room"


async def _expects_dropped(stage: Stage, *bad: bytes) -> None:
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    at_alice.datagram(*bad)
    await stage.marker(at_alice, at_bob, MARK)
    arrived = [one.hex() for one in bad if one in at_bob.datagrams]
    assert not arrived, f"the datagram {arrived[0]!r} was forwarded"


@check("MEDIA-20", needs=ROOM)
async def test_a_short_datagram_is_dropped(stage: Stage) -> None:
    """Datagrams of 0, 1 and 11 bytes are sent; none may arrive."""
    await _expects_dropped(stage, b"", b"\0", MARK[:11])


@check("MEDIA-21", needs=ROOM)
async def test_an_unknown_codec_is_dropped(stage: Stage) -> None:
    """Datagrams with the codec ids 9 to 15 are sent; none may arrive."""
    await _expects_dropped(stage, *(codec.datagram(b"audio", codec=one) for one in range(9, 16)))


@check("MEDIA-22", needs=ROOM)
async def test_a_missing_report_is_dropped(stage: Stage) -> None:
    """Datagrams of 12 to 15 bytes with Q set are sent; none may arrive."""
    await _expects_dropped(stage, *(codec.datagram(bytes(length), quality=True) for length in range(4)))


@check("MEDIA-23", needs=ROOM)
async def test_the_order_is_kept(stage: Stage) -> None:
    """Bursts of numbered datagrams are sent over the loopback; they must arrive in their order."""
    alice, bob = await stage.register_all("alice", "bob")
    _, at_alice, at_bob = await stage.meet(alice, bob)
    for burst in range(3):
        at_bob.datagrams.clear()
        sent = [codec.datagram(b"in order", sequence=12 * burst + n) for n in range(12)]
        at_alice.datagram(*sent)
        await stage.until(lambda sent=sent: len(at_bob.datagrams) >= len(sent), GRACE)
        places = [sent.index(data) for data in at_bob.datagrams if data in sent]
        if len(places) < 2:
            message = f"{len(places)} of {len(sent)} datagrams arrived"
            raise Untestable(message)
        assert sorted(places) == places, f"datagrams that were sent in order arrived in the order {places}"


@check("MEDIA-24", needs=ROOM)
async def test_a_datagram_too_large_blocks_nothing(stage: Stage) -> None:
    """A participant on a wide path sends 1,400 bytes to one on a narrow path; what follows must arrive."""
    alice, bob = await stage.register_all("alice", "bob")
    call_id = await stage.set_up(alice, bob)
    at_bob = await stage.join(bob, call_id)
    wide = await stage.dial("alice's wide media", f"call-{call_id}", who=alice.identity, packet=1452)
    wide.send(alice.identity.admission())
    if not await stage.admitted(wide):
        message = "a participant with large packets was not admitted"
        raise Untestable(message)
    await stage.marker(wide, at_bob, MARK)
    wide.datagram(codec.datagram(bytes(1388)))
    behind = codec.datagram(b"behind the large one")
    assert await stage.carries(wide, at_bob, behind), (
        "after a datagram that does not fit nothing is forwarded"
    )
