"""Rooms: who is admitted, who sits where, and where a datagram goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core import media
from reference.core.effects import Count
from reference.core.errors import CloseCode, HangupReason
from reference.core.media import GOOD, Header
from reference.core.messages import AcceptMode, CallAnswer, DirectCallAnswer, Hangup, Ping, RoomUpdate
from tests.world import Puppet, World, identity, introduction, nothing_is_left, offer

AUDIO = Header(codec=0, sequence=1, timestamp=20, low_bits=3, reserved=255, version=True).encode() + b"audio"
HANGUP = Hangup(reason=HangupReason.NORMAL)


class Called:
    """A world with an Active call c1 between Alice and Bob."""

    def __init__(self, call_id: str = "c1", world: World | None = None) -> None:
        """Place the call and accept it."""
        self.world = world or World()
        self.alice, self.bob = (self.world.puppet(f"{name} of {call_id}") for name in ("alice", "bob"))
        self.call_id = call_id
        self.alice.says(offer(self.alice.identity, self.bob.identity, call_id))
        self.bob.says(DirectCallAnswer(call_id=call_id, accept_mode=AcceptMode.ACCEPT_TRUSTED))

    def opens(self, who: Puppet) -> Puppet:
        """Open the media connection of a party without introducing it."""
        return self.world.puppet(who.name, f"call-{self.call_id}")

    def joins(self, who: Puppet, alias: str | None = None) -> Puppet:
        """Open the media connection of a party and let it introduce itself."""
        room = self.opens(who)
        room.says(introduction(room.identity, alias=alias))
        return room


def participant(who: Puppet, alias: str | None = None) -> dict[str, str | None]:
    """Return a participant as RoomUpdate lists it."""
    return {"fingerprint": who.fingerprint, "alias": alias, "relay_label": None}


def test_both_parties_join_and_learn_of_each_other() -> None:
    """Each is answered first and then told who is there, with names, in the order of joining (MEDIA-12)."""
    called = Called()
    one, two = called.joins(called.alice, "A"), called.joins(called.bob)
    answer, alone, together = one.messages
    assert isinstance(answer, CallAnswer)
    assert RoomUpdate(count=1, participants=[participant(one, "A")]) == alone
    assert RoomUpdate(count=2, participants=[participant(one, "A"), participant(two)]) == together
    assert ["CallAnswer", "RoomUpdate"] == two.hears()


def test_the_answer_is_signed_and_fresh() -> None:
    """CallAnswer has the relay's key, a signature by it, a profile, and a new key each time (MEDIA-2)."""
    called = Called()
    answers = [called.joins(who).messages[0] for who in (called.alice, called.bob)]
    fresh = set()
    for answer in answers:
        assert isinstance(answer, CallAnswer)
        assert identity("relay").public == answer.identity_pub
        assert media.introduced(answer.identity_pub, answer.ephemeral_pub, answer.signature, media.ANSWER)
        assert GOOD == answer.chosen_profile
        fresh.add(answer.ephemeral_pub)
    assert 2 == len(fresh)


def refused(case: str) -> Puppet:
    """Return the media connection of somebody who is not to be admitted, introduced."""
    called = Called()
    world, alice = called.world, called.alice.identity
    if case == "no such call":
        called.call_id = "c2"
    elif case == "a call that rings":
        called.alice.says(offer(alice, world.puppet("carol").identity, "c2"))
        called.call_id = "c2"
    elif case == "a call that has ended":
        called.bob.says(HANGUP)
    room = called.opens(called.alice)
    made = introduction(alice)
    offers = {
        "a third party": introduction(identity("mallory")),
        "a signature of another key": replace(made, identity_pub=called.bob.identity.public),
        "a signature over another text": introduction(alice, media.ANSWER),
        "another fresh key": replace(made, ephemeral_pub=bytes(32)),
        "no signature": replace(made, signature=bytes(64)),
    }
    room.says(offers.get(case, made))
    return room


@pytest.mark.parametrize(
    "case",
    [
        "no such call",
        "a call that rings",
        "a call that has ended",
        "a third party",
        "a signature of another key",
        "a signature over another text",
        "another fresh key",
        "no signature",
    ],
)
def test_everybody_else_is_refused_in_one_way(case: str) -> None:
    """Whatever is wrong, the connection is closed with NOT_ADMITTED and nothing is said before (MEDIA-7)."""
    room = refused(case)
    assert (CloseCode.NOT_ADMITTED, []) == (room.code, room.hears())
    assert 1 == room.world.counted["rooms_refused", "not admitted"]
    assert 0 == len(room.world.relay.calls.rooms)


def test_the_newest_connection_has_the_seat() -> None:
    """The older connection of a fingerprint is closed with SEAT_TAKEN, the newer one hears and is heard."""
    called = Called()
    older, other, newer = called.joins(called.alice), called.joins(called.bob), called.joins(called.alice)
    assert [CloseCode.SEAT_TAKEN, None, None] == [one.code for one in (older, other, newer)]
    newer.throws(AUDIO)
    other.throws(AUDIO)
    assert ([], [AUDIO], [AUDIO]) == (older.datagrams, other.datagrams, newer.datagrams)
    update = other.messages[-1]
    assert RoomUpdate(count=2, participants=[participant(other), participant(newer)]) == update


def test_a_datagram_goes_to_the_other_and_to_nobody_else() -> None:
    """It arrives byte for byte at the other participant, not at its sender nor in another room."""
    called = Called()
    elsewhere = Called("c2", called.world)
    one, two, three, four = (
        place.joins(who) for place in (called, elsewhere) for who in (place.alice, place.bob)
    )
    one.throws(AUDIO, AUDIO[:12])
    assert [[], [AUDIO, AUDIO[:12]], [], []] == [room.datagrams for room in (one, two, three, four)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(bytes(11), "short"), (b"\x24" + bytes(12), "codec"), (b"\x02" + bytes(14), "report")],
)
def test_an_unfit_datagram_is_dropped_and_counted(data: bytes, reason: str) -> None:
    """What is too short, of no codec or without its report does not arrive, and what follows does."""
    called = Called()
    one, two = called.joins(called.alice), called.joins(called.bob)
    one.throws(data, AUDIO)
    assert [AUDIO] == two.datagrams
    assert 1 == called.world.counted["datagrams_dropped", reason]


def test_who_was_not_admitted_is_not_heard() -> None:
    """Datagrams before the CallOffer are dropped, and so are those of one who is alone (MEDIA-9)."""
    called = Called()
    one, two = called.opens(called.alice), called.joins(called.bob)
    one.throws(AUDIO)
    two.throws(AUDIO)
    assert ([], []) == (one.datagrams, two.datagrams)
    dropped = called.world.counted
    assert (1, 1) == (dropped["datagrams_dropped", "not admitted"], dropped["datagrams_dropped", "alone"])


def test_who_stays_is_told_who_left() -> None:
    """The remaining participant gets a RoomUpdate, and the empty room is forgotten (MEDIA-13)."""
    called = Called()
    one, two = called.joins(called.alice), called.joins(called.bob)
    two.messages.clear()
    one.leaves()
    assert [RoomUpdate(count=1, participants=[participant(two)])] == two.messages
    two.leaves()
    assert (0, {}) == (len(called.world.relay.calls.rooms), called.world.relay.calls.rooms._seats)


def test_the_end_of_a_call_empties_its_room() -> None:
    """Both media connections are closed with CALL_ENDED, and nothing is forwarded any more (MEDIA-14)."""
    called = Called()
    one, two = called.joins(called.alice), called.joins(called.bob)
    called.alice.says(HANGUP)
    assert [CloseCode.CALL_ENDED] * 2 == [one.code, two.code]
    late = called.world.relay.datagram(one.link.session, AUDIO)
    assert [Count("datagrams_dropped", "not admitted")] == late


def test_messages_in_a_room_are_ignored() -> None:
    """After its CallOffer a media connection is not heard: no answer, no end of the call (MEDIA-15)."""
    called = Called()
    room = called.joins(called.alice)
    room.hears()
    called.bob.hears()
    room.says(introduction(room.identity), HANGUP, Ping(timestamp_ms=1))
    assert ([], []) == (room.hears(), called.bob.hears())
    assert None is room.code


def test_a_first_message_that_is_no_introduction_is_ignored() -> None:
    """The CallOffer may still follow, within the time that there is for it."""
    called = Called()
    room = called.opens(called.alice)
    room.says(Ping(timestamp_ms=1))
    room.says(introduction(room.identity))
    assert ["CallAnswer", "RoomUpdate"] == room.hears()


def test_no_room_is_left_behind() -> None:
    """When everybody has gone, in whatever order, no room, seat or timer is left."""
    called = Called()
    parties = [called.joins(called.alice), called.alice, called.opens(called.bob), called.bob]
    for party in parties:
        party.leaves()
    assert nothing_is_left(called.world.relay)
