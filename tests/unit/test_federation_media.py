"""Federation: media and rooms of a call across a link, as one relay handles them."""

from __future__ import annotations

import pytest

from reference.core.call import tag_of
from reference.core.errors import CloseCode
from reference.core.messages import (
    GlobalRoomActive,
    GlobalRoomInactive,
    Message,
    RoomUpdate,
)
from tests.mesh import Party
from tests.neighbours import AUDIO, HANGUP, TAG, TRUSTED, Hub, seat
from tests.world import introduction


class Talk(Hub):
    """An Active call between alice here and somebody at south, and alice in its room."""

    def __init__(self) -> None:
        """Let alice join."""
        super().__init__()
        self.outgoing("active")
        self.room = self.join("alice")

    def join(self, name: str) -> Party:
        """Let a party take its seat here."""
        room = Party(self.mesh, name, self.north, "call-c1")
        room.says(introduction(room.identity, alias=name))
        self.mesh.run(0.1)
        return room


def test_media_crosses_the_link_of_the_call() -> None:
    """A datagram of the party here crosses with the tag in front, and over no other link (FED-28)."""
    talk = Talk()
    talk.room.throws(AUDIO)
    talk.mesh.run(0.1)
    assert [TAG + AUDIO] == talk.south.datagrams
    assert [] == talk.west.datagrams
    assert 8 == len(TAG)


def test_media_from_the_link_reaches_the_party() -> None:
    """A datagram from the link is handed on byte for byte, without its tag, and not sent back (FED-29)."""
    talk = Talk()
    talk.south.throws(TAG + AUDIO)
    talk.mesh.run(0.1)
    assert [AUDIO] == talk.room.datagrams
    assert [[], [], [], []] == [one.datagrams for one in (talk.south, talk.west, talk.alice, talk.bob)]


DROPPED = {
    "another tag": (tag_of("call-c2") + AUDIO, "no such room"),
    "no tag": (b"", "no such room"),
    "a tag alone": (TAG, "short"),
    "cut short": (TAG + AUDIO[:11], "short"),
    "an unknown codec": (TAG + bytes([9 << 2]) + AUDIO[1:], "codec"),
}


@pytest.mark.parametrize(("data", "reason"), DROPPED.values(), ids=DROPPED.keys())
def test_what_a_relay_drops_in_its_rooms_it_drops_from_links(data: bytes, reason: str) -> None:
    """A datagram of no call, or one that is unfit, is dropped and counted (FED-30)."""
    talk = Talk()
    talk.south.throws(data)
    talk.mesh.run(0.1)
    assert [] == talk.room.datagrams
    assert 1 == talk.north.counted["datagrams_dropped", reason]


def test_what_a_relay_drops_in_its_rooms_does_not_cross() -> None:
    """A datagram of the party that is unfit, and one of a stranger, reach no link."""
    talk = Talk()
    stranger = Party(talk.mesh, "bob", talk.north, "call-c1")
    talk.mesh.run(0.1)
    stranger.throws(AUDIO)
    talk.room.throws(AUDIO[:11], bytes([9 << 2]) + AUDIO[1:])
    talk.mesh.run(0.1)
    assert [] == talk.south.datagrams


def test_media_of_another_link_is_dropped() -> None:
    """The right tag over the wrong link is the tag of no call (FED-30)."""
    talk = Talk()
    talk.west.throws(TAG + AUDIO)
    talk.mesh.run(0.1)
    assert [] == talk.room.datagrams
    assert 1 == talk.north.counted["datagrams_dropped", "no such room"]


def test_media_counts_while_the_call_is_active() -> None:
    """Before the answer and after the end a tag is none, and nobody in the room is no fault (FED-30)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 1 == hub.north.counted["datagrams_dropped", "no such room"]
    hub.says("south", TRUSTED)
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 1 == hub.north.counted["datagrams_dropped", "alone"]
    hub.says("south", HANGUP)
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 2 == hub.north.counted["datagrams_dropped", "no such room"]


def test_the_room_is_announced_over_the_link_of_the_call() -> None:
    """Who joins is told to the other party's relay, who leaves too, and to nobody else (FED-31, FED-32)."""
    talk = Talk()
    active = GlobalRoomActive(room="call-c1", participants=(seat("alice", alias="alice"),))
    assert [active] == talk.south.messages
    talk.room.leaves()
    talk.mesh.run(0.1)
    assert [active, GlobalRoomInactive(room="call-c1")] == talk.south.messages
    assert [] == talk.west.hears()


def test_a_seat_that_is_taken_over_stays_taken() -> None:
    """A party that joins again is announced again, and never said to have left (FED-31, FED-32)."""
    talk = Talk()
    talk.join("alice")
    assert ["GlobalRoomActive", "GlobalRoomActive"] == talk.south.hears()
    assert CloseCode.SEAT_TAKEN is talk.room.code


def test_the_other_party_is_named_in_the_room() -> None:
    """RoomUpdate counts who sits at the other relay, with its label, while it says so (FED-33)."""
    talk = Talk()
    mine = seat("alice", alias="alice")
    alone = RoomUpdate(count=1, participants=[mine])
    assert alone == talk.room.messages[-1]
    away = GlobalRoomActive(room="call-c1", participants=[seat("nobody", "its own", "N")])
    talk.south.says(away)
    talk.mesh.run(0.1)
    both = RoomUpdate(count=2, participants=[mine, seat("nobody", "south", "N")])
    assert both == talk.room.messages[-1]
    again = talk.join("alice")
    assert both == again.messages[-1]
    talk.south.says(GlobalRoomInactive(room="call-c1"))
    talk.mesh.run(0.1)
    assert alone == again.messages[-1]


NOT_THERE: list[Message] = [
    GlobalRoomActive(room="call-c2", participants=[seat("nobody")]),
    GlobalRoomActive(room="c1", participants=[seat("nobody")]),
    GlobalRoomActive(room="call-call-c1", participants=[seat("nobody")]),
    GlobalRoomActive(room="call-c1", participants=[seat("alice"), seat("bob")]),
    GlobalRoomActive(room="call-c1"),
]


@pytest.mark.parametrize("announced", NOT_THERE)
def test_nobody_else_is_named_in_the_room(announced: Message) -> None:
    """Only the other party of the call counts, in the room of the call (FED-33)."""
    talk = Talk()
    talk.south.says(announced)
    talk.mesh.run(0.1)
    updates = [one for one in talk.room.messages if isinstance(one, RoomUpdate)]
    assert {1} == {one.count for one in updates}
