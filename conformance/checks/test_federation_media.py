"""Checks of spec/federation.md: the media of calls over links, and who sits in their rooms."""

from __future__ import annotations

from typing import Any

from conformance import codec, neighbour
from conformance.border import Border
from conformance.checks.linked import ACCEPTED, MARK, ROOM, links, seated
from conformance.puppet import Puppet
from conformance.verdicts import Untestable

LARGEST = codec.datagram(bytes(1138), sequence=4712)
"""A datagram of 1,150 bytes, the most that a client sends."""


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
    people = seated(media.heard("RoomUpdate")[-1])
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
