"""Rules of the client: every requirement that clients have, played against the machine.

Each test has the mark of its rule and one argument, a world whose first client is under test. With
`DIRECTCALL_CLIENT_MUTANT=CALL-35` that client is the mutant of CALL-35, and the test of that rule fails.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest

from reference.core import media
from reference.core.client import ClientCore
from reference.core.errors import HangupReason, Misuse
from reference.core.line import Answer, Leg
from reference.core.messages import (
    AcceptMode,
    CallAnswer,
    CallOffer,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    Hangup,
    Message,
    RegisterPresence,
)
from tests.mutants.client import chosen
from tests.world import KEY, RELAY, Client, World, identity, introduction, offer

CALL_ID = "c1"
SETUP = CallSetup(call_id=CALL_ID, room=f"call-{CALL_ID}", relay_addr=RELAY)
LARGEST = 1150


@pytest.fixture
def world() -> World:
    """Return a world whose clients are those that the environment asks for."""
    return World(chosen())


def callee(world: World) -> Client:
    """Return a client that keeps every rule and accepts every call."""
    return world.client("bob", Answer.TRUSTED, kind=ClientCore)


def talking(world: World) -> tuple[Client, Client]:
    """Return the client under test and the other end of the call that it has placed."""
    alice, bob = world.client("alice"), callee(world)
    alice.place(bob)
    assert ["talking"] == alice.events[-1:]
    return alice, bob


def from_the_relay(world: World, client: Client, message: Message) -> None:
    """Let the relay say what no honest relay would say now."""
    world.relay_says(client.legs[Leg.SIGNAL], message)
    world.settle()


def datagrams(client: Client) -> list[bytes]:
    """Return the datagrams that a client sent on its media connections."""
    return [one for one in client.sent(Leg.MEDIA) if isinstance(one, bytes)]


@pytest.mark.rule("REG-1")
def test_registration_comes_first(world: World) -> None:
    """RegisterPresence is the first message of each signal connection, the second one too."""
    alice = world.client("alice")
    alice.does(alice.core.ping(1))
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(10)
    assert 2 == len(alice.links)
    assert [RegisterPresence] * 2 == [type(link.sent[0]) for _, _, link in alice.links]


@pytest.mark.rule("REG-15")
def test_a_replaced_client_stays_away(world: World) -> None:
    """After a close with REPLACED the client does not connect again in a day."""
    alice = world.client("alice")
    world.puppet("alice")
    world.advance(86_400)
    assert 1 == len(alice.links)
    assert "alice <x relay REPLACED" in world.journal
    assert "replaced" == alice.told[-1].members["kind"]


@pytest.mark.rule("REG-16")
def test_attempts_are_spaced(world: World) -> None:
    """Attempts to restore a lost connection are 1, 2, 4, 8, 15, 30 and again 30 s apart at least."""
    alice = world.client("alice")
    world.reachable = False
    lost_at = world.now
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(120)
    attempts = [lost_at, *(when for when, _, _ in alice.links[1:])]
    waits = [after - before for before, after in pairwise(attempts)]
    assert 7 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15, 30, 30], strict=False)), waits


@pytest.mark.rule("REG-16")
def test_attempts_that_nobody_answers_are_spaced(world: World) -> None:
    """An attempt that meets only silence is given up, and the next one is not sooner for it."""
    alice = world.client("alice")
    world.rewrite = lambda _: Hangup(reason=HangupReason.ERROR)  # no acknowledgement any more
    world.cut(alice.legs[Leg.SIGNAL])
    world.settle()
    world.advance(80)
    waits = [after[0] - before[0] for before, after in pairwise(alice.links)]
    assert 5 <= len(waits)
    assert all(wait >= least for wait, least in zip(waits, [1, 2, 4, 8, 15], strict=False)), waits


@pytest.mark.rule("CALL-35")
def test_a_setup_out_of_the_blue_is_ignored(world: World) -> None:
    """No connection follows a CallSetup when no call is on, and none when another call was placed."""
    alice, bob = world.client("alice"), world.puppet("bob")
    from_the_relay(world, alice, SETUP)
    alice.place(bob)
    from_the_relay(world, alice, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in alice.links]


@pytest.mark.rule("CALL-35")
def test_a_setup_of_a_rejected_call_is_ignored(world: World) -> None:
    """No connection follows a CallSetup for a call that the client rejected."""
    bob = world.client("bob", Answer.REJECT)
    alice = world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    assert "Hangup{Declined}" == alice.hears()[-1]
    from_the_relay(world, bob, SETUP)
    assert [Leg.SIGNAL] == [leg for _, leg, _ in bob.links]


@pytest.mark.rule("CALL-36")
def test_a_call_id_is_drawn(world: World) -> None:
    """Each call has a call_id of its own: 16 bytes from the source of randomness, as lowercase hex."""
    alice, bob = world.client("alice"), world.puppet("bob")
    for _ in range(3):
        alice.place(bob)
        alice.hangup()
    call_ids = [one.call_id for one in alice.sent(Leg.SIGNAL) if isinstance(one, DirectCallOffer)]
    assert 3 == len(set(call_ids))
    assert [16] * 3 == [len(bytes.fromhex(call_id)) for call_id in call_ids]
    assert set(call_ids) <= {drawn.hex() for drawn in alice.drawn}


@pytest.mark.rule("CALL-37")
def test_a_hangup_ends_the_media(world: World) -> None:
    """After a Hangup the client sends no datagram any more, though its connection would take it."""
    alice, _ = talking(world)
    alice.speaks(b"before")
    from_the_relay(world, alice, Hangup(reason=HangupReason.NORMAL))
    alice.speaks(b"after", b"after")
    assert [b"before"] == [media.split(one)[1] for one in datagrams(alice)]


@pytest.mark.rule("CALL-38")
def test_hangup_goes_first(world: World) -> None:
    """A client that ends its call sends Hangup and closes the media connection after it."""
    alice, _ = talking(world)
    mark = len(world.journal)
    alice.hangup()
    mine = [line for line in world.journal[mark:] if line.startswith("alice") and "relay" in line]
    assert ["alice -> relay Hangup{Normal}", "alice x> relay " + alice.links[-1][2].sni] == mine[:2]


@pytest.mark.rule("CALL-39")
def test_nobody_accepts_but_the_user(world: World) -> None:
    """A client that was told nothing lets it ring, and says nothing but what its user decides."""
    bob, alice = world.client("bob"), world.puppet("alice")
    alice.says(offer(alice.identity, bob.core.account.identity, CALL_ID))
    world.advance(30)
    assert [] == [one for one in bob.sent(Leg.SIGNAL) if isinstance(one, DirectCallAnswer)]
    assert "incoming" in bob.events
    bob.answer(Answer.GENERIC)
    answers = [one for one in bob.sent(Leg.SIGNAL) if isinstance(one, DirectCallAnswer)]
    assert [AcceptMode.ACCEPT_GENERIC] == [one.accept_mode for one in answers]


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
    alice, bob = world.client("alice"), callee(world)
    alice.does(alice.core.place(bob.fingerprint, world.now), settle=False)
    world.settle(between=alice.mumbles)
    alice.speaks(b"audio")
    first, *rest = alice.sent(Leg.MEDIA)
    assert isinstance(first, CallOffer)
    assert rest
    assert {bytes} == {type(one) for one in rest}


@pytest.mark.rule("MEDIA-30")
def test_a_false_answer_ends_the_stay(world: World) -> None:
    """After a CallAnswer that another key signed the client closes the connection and sends no media."""
    alice, bob, stranger = world.client("alice"), world.puppet("bob"), identity("a stranger")

    def forged(message: Message) -> Message:
        if isinstance(message, CallAnswer):
            return replace(message, signature=stranger.sign(message.ephemeral_pub + media.ANSWER))
        return message

    world.rewrite = forged
    alice.place(bob)
    (call_id,) = [one.call_id for one in bob.messages if isinstance(one, DirectCallOffer)]
    bob.says(DirectCallAnswer(call_id=call_id, accept_mode=AcceptMode.ACCEPT_TRUSTED))
    world.puppet("bob", f"call-{call_id}").says(introduction(bob.identity))
    alice.speaks(b"audio")
    assert [CallOffer] == [type(one) for one in alice.sent(Leg.MEDIA)]
    assert Leg.MEDIA not in alice.legs


@pytest.mark.rule("SEC-2")
def test_a_pin_is_kept(world: World) -> None:
    """A client with a pin registers at the relay that has it, and says nothing to one that has not."""
    right = world.client("alice", pin=KEY)
    assert "registered" in right.events
    wrong = world.client("bob", pin=":".join(["00"] * 32))
    assert [] == wrong.sent(Leg.SIGNAL)
    assert "bob x> relay _signal" in world.journal
    assert "wrong-key" == wrong.told[-1].members["kind"]
