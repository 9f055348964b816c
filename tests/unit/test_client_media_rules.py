"""Rules of the client: its datagrams, and what it says in a room and on a direct path (MEDIA)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest

from reference.core import media
from reference.core.effects import Send, SendDatagram
from reference.core.errors import Misuse
from reference.core.line import Leg, Way
from reference.core.messages import CallAnswer, CallOffer, Message
from reference.core.phases import NEWEST
from tests.unit.rules import (
    FIRST,
    LARGE,
    SMALL,
    acts,
    called,
    callee,
    comes_in,
    completes,
    datagrams,
    direct,
    ends,
    joined,
    offers,
    reported,
    spoken,
    talking,
)
from tests.world import World, identity, introduction

LARGEST = 1150


@pytest.mark.rule("MEDIA-26")
def test_datagrams_are_counted(world: World) -> None:
    """The sequence number grows by one with every datagram, over silence and over a new connection."""
    alice, _ = talking(world)
    alice.speaks(b"a", b"b", None, b"c")
    world.cut(alice.legs[Leg.MEDIA])
    world.advance(2)
    alice.speaks(b"d", b"e")
    sequences = [media.Header.decode(one).sequence for one in datagrams(alice)]
    assert 5 == len(sequences)
    assert [1] * 4 == [(after - before) % 65_536 for before, after in pairwise(sequences)]


@pytest.mark.rule("MEDIA-27")
def test_silence_takes_time(world: World) -> None:
    """The timestamp grows by 20 ms with every frame of audio, those that are not sent included."""
    alice, _ = talking(world)
    alice.speaks(b"a", b"b", None, None, b"c")
    stamps = [media.Header.decode(one).timestamp for one in datagrams(alice)]
    assert [20, 60] == [(after - before) % 2**32 for before, after in pairwise(stamps)]


@pytest.mark.rule("MEDIA-28")
def test_no_datagram_is_too_large(world: World) -> None:
    """The largest payload makes 1150 bytes; a larger one is not sent at all."""
    alice, bob = talking(world)
    alice.speaks(bytes(LARGEST - media.HEADER_SIZE))
    with suppress(Misuse):
        alice.speaks(bytes(LARGEST - media.HEADER_SIZE + 1))
    assert [LARGEST] == [len(one) for one in datagrams(alice)]
    assert [LARGEST] == [len(one) for one in bob.heard]


@pytest.mark.rule("MEDIA-29")
def test_a_participant_introduces_itself_first(world: World) -> None:
    """CallOffer is the first on a media connection, whatever the user says meanwhile."""
    alice, bob = world.client("alice", way=Way.RELAY), callee(world)
    alice.does(alice.core.place(bob.fingerprint, world.now), settle=False)
    world.settle(between=alice.mumbles)
    world.advance(1)
    alice.speaks(b"audio")
    first, *rest = alice.sent(Leg.MEDIA)
    assert isinstance(first, CallOffer)
    assert rest
    assert {bytes} == {type(one) for one in rest}


@pytest.mark.rule("MEDIA-30")
def test_a_false_answer_ends_the_stay(world: World) -> None:
    """After a CallAnswer that another key signed the client closes the connection and sends no media."""
    alice, stranger = world.client("alice"), identity("a stranger")

    def forged(message: Message) -> Message:
        if isinstance(message, CallAnswer):
            return replace(message, signature=stranger.sign(message.ephemeral_pub + media.ANSWER))
        return message

    world.rewrite = forged
    bob = called(world, alice)
    world.advance(1)
    world.puppet("bob", f"call-{offers(alice)[0].call_id}").says(introduction(bob.identity))
    alice.speaks(b"audio")
    assert [CallOffer] == [type(one) for one in alice.sent(Leg.MEDIA)]
    assert Leg.MEDIA not in alice.legs


@pytest.mark.rule("MEDIA-31")
def test_numbers_run_on_over_a_change_of_path(world: World) -> None:
    """The datagram behind a change of path has the next number and the next time."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    assert [FIRST] == spoken(alice, done)
    ends(alice)
    world.advance(3)
    joined(alice, bob)
    assert [Leg.MEDIA] == spoken(alice, done)
    headers = [media.Header.decode(one.data) for one in done if isinstance(one, SendDatagram)]
    (before, after) = headers
    assert (before.sequence + 1) % 65_536 == after.sequence
    assert (before.timestamp + 20) % 2**32 == after.timestamp


@pytest.mark.rule("MEDIA-32")
def test_a_direct_path_carries_no_message(world: World) -> None:
    """On a direct connection, dialled or accepted, nothing but datagrams is sent."""
    for reflexive in (SMALL, LARGE):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        done = acts(alice)
        bob = called(again, alice, reflexive)
        leg = FIRST if reflexive == SMALL else comes_in(alice)
        if reflexive == SMALL:
            completes(alice)
        reported(alice, bob, ok=True)
        assert [leg] == spoken(alice, done)
        assert [] == [one for one in done if isinstance(one, Send) and one.session >= FIRST]


@pytest.mark.rule("MEDIA-33")
def test_a_muted_client_is_to_be_heard(world: World) -> None:
    """Of the frames that pass without audio on a direct path no 25 in a row, half a second, go unmarked."""
    alice, bob, done = direct(world)
    reported(alice, bob, ok=True)
    marked = []
    for _ in range(200):
        before = len(done)
        alice.does(alice.core.telephone.speak(None))
        marked.append([one.session for one in done[before:] if isinstance(one, SendDatagram)])
    for begin in range(0, 200, 25):
        assert [FIRST] in marked[begin : begin + 25]
    sent = [one.data for one in done if isinstance(one, SendDatagram)]
    assert {media.Codec.COMFORT_NOISE} == {media.Header.decode(data).codec for data in sent}
