"""The relay's machine: what a connection is for, who may speak on it, and how it ends."""

from __future__ import annotations

import pytest

from reference.core.effects import Close, Count, Send
from reference.core.errors import CloseCode, FrameTooLong, HangupReason, Malformed, UnknownMessage
from reference.core.messages import (
    AcceptMode,
    AuthToken,
    DirectCallAnswer,
    Hangup,
    Message,
    Ping,
    Pong,
    RegisterPresence,
    RegisterPresenceAck,
)
from reference.core.registration import ZERO_KEY, Policy, fingerprint
from reference.core.sessions import Limits
from tests.world import World, identity, introduction, nothing_is_left, offer, registration

ALICE, BOB = identity("alice"), identity("bob")
ZERO = RegisterPresence(identity_pub=ZERO_KEY, signature=b"")
ACCEPT = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED)
HANGUP = Hangup(reason=HangupReason.NORMAL)
EVERYTHING: list[Message] = [
    Ping(timestamp_ms=1),
    AuthToken(token="t"),  # noqa: S106 - a word, no secret
    offer(ALICE, BOB, "c1"),
    ACCEPT,
    HANGUP,
    introduction(ALICE),
    RegisterPresenceAck(success=True),
]


@pytest.mark.parametrize(
    ("sni", "code"),
    [
        ("ping", CloseCode.NORMAL),
        ("version", CloseCode.NO_SUCH_SERVICE),
        ("_federation", CloseCode.NO_SUCH_SERVICE),
        ("podcast", CloseCode.NO_SUCH_SERVICE),
        ("callback", CloseCode.NO_SUCH_SERVICE),
        ("signal", CloseCode.NO_SUCH_SERVICE),
        (None, CloseCode.NO_SUCH_SERVICE),
    ],
)
def test_a_name_that_is_not_served_is_closed(sni: str | None, code: CloseCode) -> None:
    """A connection to any other name is closed at once, and nothing is kept of it (TRANS-7, TRANS-8)."""
    relay = World().relay
    (close,) = relay.connected(1, sni, "198.51.100.1:1", 0.0)
    assert isinstance(close, Close)
    assert (1, code) == (close.session, close.code)
    assert nothing_is_left(relay)


@pytest.mark.parametrize("sni", ["_signal", "call-c1", "call-"])
def test_a_name_that_is_served_is_kept_for_a_while(sni: str) -> None:
    """A signal or media connection waits for its first message, and not for ever (REG-8, MEDIA-8)."""
    world = World()
    party = world.puppet("alice", sni, registered=False)
    assert (1, 10.0) == (len(world.relay.sessions), world.relay.deadline())
    world.advance(9.9)
    assert [None] == [party.code]
    world.advance(0.1)
    assert (CloseCode.REGISTRATION_TIMEOUT if sni == "_signal" else CloseCode.MEDIA_TIMEOUT) == party.code
    assert nothing_is_left(world.relay)


@pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: type(one).__name__)
def test_nothing_is_heard_before_a_registration(message: Message) -> None:
    """Every message but RegisterPresence is only counted, and the registration may follow (REG-9)."""
    world = World()
    bob, alice = world.puppet("bob"), world.puppet("alice", registered=False)
    alice.says(message)
    assert ([], []) == (alice.hears(), bob.hears())
    alice.says(registration(ALICE))
    assert ["RegisterPresenceAck"] == alice.hears()
    assert 1 == world.counted["ignored", type(message).__name__]


@pytest.mark.parametrize("policy", Policy)
def test_a_refusal_is_told_and_then_closed(policy: Policy) -> None:
    """A refused registration is answered with a reason, then closed, and nobody is there (REG-5, REG-6)."""
    world = World(policy=policy)
    alice = world.puppet("alice", registered=False)
    alice.says(RegisterPresence(identity_pub=ALICE.public, signature=bytes(64)))
    (refusal,) = alice.messages
    assert isinstance(refusal, RegisterPresenceAck)
    assert (False, True) == (refusal.success, bool(refusal.error))
    assert CloseCode.REGISTRATION_REFUSED is alice.code
    assert nothing_is_left(world.relay)


def test_a_second_registration_on_a_connection_is_ignored() -> None:
    """A connection stays who it was, whatever it registers later (REG-10)."""
    world = World()
    alice = world.puppet("alice")
    alice.says(registration(BOB))
    assert [] == alice.hears()
    assert None is world.relay.presence.session(BOB.fingerprint)


def test_the_newest_connection_replaces_the_older() -> None:
    """The older connection is closed with REPLACED after the acknowledgement, and its end is nothing new."""
    world = World()
    older = world.puppet("alice")
    newer = world.puppet("alice")
    assert [CloseCode.REPLACED, None] == [older.code, newer.code]
    bob = world.puppet("bob")
    bob.says(offer(BOB, ALICE, "c1"))
    assert (["DirectCallOffer"], []) == (newer.hears(), older.hears())


def test_a_ping_is_answered_with_its_number() -> None:
    """A registered connection gets its own number back, the largest too (REG-20)."""
    world = World()
    alice = world.puppet("alice")
    alice.says(Ping(timestamp_ms=2**64 - 1), Ping(timestamp_ms=0))
    assert [Pong(timestamp_ms=2**64 - 1), Pong(timestamp_ms=0)] == alice.messages


def test_the_zero_key_may_only_ping() -> None:
    """Connections of the zero key live side by side, are never called and never heard but for Ping."""
    world = World(policy=Policy.OPEN)
    bob = world.puppet("bob")
    probes = [world.puppet("probe", registered=False) for _ in range(2)]
    for probe in probes:
        probe.says(ZERO, *EVERYTHING)
    assert [["RegisterPresenceAck", "Pong"]] * 2 == [probe.hears() for probe in probes]
    bob.says(offer(BOB, fingerprint(ZERO_KEY), "c1"))
    assert ["Hangup{Error}"] == bob.hears()
    assert [None, None] == [probe.code for probe in probes]


def test_the_zero_key_is_refused_where_signatures_are_asked_for() -> None:
    """Under `signed` the zero key is refused as every registration without a signature is (REG-3)."""
    world = World()
    probe = world.puppet("probe", registered=False)
    probe.says(ZERO)
    assert CloseCode.REGISTRATION_REFUSED is probe.code


@pytest.mark.parametrize("fault", [Malformed("x"), FrameTooLong("x")])
def test_a_flood_of_bad_messages_is_cut_off(fault: Malformed | FrameTooLong) -> None:
    """Sixty bad messages or frames a minute are borne, and the next one ends the connection (ERR-3)."""
    world = World()
    alice = world.puppet("alice")
    session = alice.link.session
    for _ in range(60):
        world.relay_does(world.relay.bad(session, fault, world.now))
    assert [None] == [alice.code]
    world.relay_does(world.relay.bad(session, fault, world.now))
    assert CloseCode.BAD_MESSAGES is alice.code
    assert 61 == world.counted["bad", type(fault).__name__]
    assert [] == world.relay.bad(session, fault, world.now)
    assert nothing_is_left(world.relay)


def test_messages_of_a_later_phase_are_no_flood() -> None:
    """A message whose name is unknown is counted and never held against its sender (WIRE-6)."""
    world = World()
    alice = world.puppet("alice")
    for _ in range(1000):
        world.relay_does(world.relay.bad(alice.link.session, UnknownMessage("x"), world.now))
    assert (None, 1000) == (alice.code, world.counted["bad", "UnknownMessage"])


def test_bad_messages_of_a_long_time_are_borne() -> None:
    """One bad message a second is a nuisance and no flood (ERR-2)."""
    world = World()
    room = world.puppet("alice", "call-c1", registered=False)
    world.relay.timers.cancel(room.link.session)
    for _ in range(300):
        world.relay_does(world.relay.bad(room.link.session, Malformed("x"), world.now))
        world.advance(1.01)
    assert None is room.code


def test_a_peer_that_does_not_read_is_given_up() -> None:
    """A connection that leaves too much unread is closed with TOO_SLOW, and its calls end (ERR-4)."""
    world = World()
    alice, bob = world.puppet("alice"), world.puppet("bob")
    alice.says(offer(ALICE, BOB, "c1"))
    alice.hears()
    world.relay_does(world.relay.slow(bob.link.session))
    assert CloseCode.TOO_SLOW is bob.code
    assert ["Hangup{Normal}"] == alice.hears()
    assert [] == world.relay.slow(bob.link.session)


def test_a_datagram_means_nothing_on_a_signal_connection() -> None:
    """A datagram there is dropped and counted, and the connection lives (TRANS-15)."""
    world = World()
    alice = world.puppet("alice")
    alice.throws(bytes(20))
    assert 1 == world.counted["datagrams_dropped", "not admitted"]
    alice.says(Ping(timestamp_ms=1))
    assert ["Pong"] == alice.hears()


def test_a_relay_that_stops_takes_leave() -> None:
    """Both parties of a call hear Hangup{Error}, and every connection ends once, with its reason."""
    world = World()
    alice, bob, carol = (world.puppet(name) for name in ("alice", "bob", "carol"))
    alice.says(offer(ALICE, BOB, "c1"))
    bob.says(ACCEPT)
    room = world.puppet("alice", "call-c1")
    room.says(introduction(ALICE))
    world.relay_does(world.relay.shutdown())
    assert ["Hangup{Error}", "Hangup{Error}"] == [one.hears()[-1] for one in (alice, bob)]
    assert [] == carol.hears()
    assert [CloseCode.SHUTDOWN] * 3 == [one.code for one in (alice, bob, carol)]
    assert CloseCode.CALL_ENDED is room.code
    assert nothing_is_left(world.relay)
    assert [] == world.relay.shutdown()


def test_what_comes_for_a_closed_connection_is_nothing() -> None:
    """Messages, losses and faults of a session that is gone, or never was, do nothing."""
    relay = World().relay
    assert [] == relay.receive(9, HANGUP, 0.0)
    assert [] == relay.lost(9)
    assert [] == relay.bad(9, Malformed("x"), 0.0)
    assert [] == relay.tick(1e9)
    assert None is relay.deadline()


def test_effects_are_plain_values() -> None:
    """What the relay wants is compared with what was expected, in one line."""
    world = World(limits=Limits(register_timeout=3.0))
    alice = world.puppet("alice")
    sent = Send(alice.link.session, Pong(timestamp_ms=7))
    assert [sent] == world.relay.receive(alice.link.session, Ping(timestamp_ms=7), 0.0)
    assert [Count("ignored", "Pong")] == world.relay.receive(alice.link.session, Pong(timestamp_ms=7), 0.0)
