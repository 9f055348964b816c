"""The relay's machine: what a connection is for, who may speak on it, and how it ends."""

from __future__ import annotations

import json
from functools import partial

import pytest

from reference.core.effects import Close, Count, Send
from reference.core.errors import CloseCode, FrameTooLong, HangupReason, Malformed, UnknownMessage
from reference.core.line import Answer, Leg
from reference.core.messages import (
    AcceptMode,
    AuthToken,
    DirectCallAnswer,
    Hangup,
    MediaPathReport,
    Message,
    Ping,
    Pong,
    Reflect,
    ReflectResponse,
    RegisterPresence,
    RegisterPresenceAck,
)
from reference.core.phases import NEWEST
from reference.core.registration import ZERO_KEY, Policy, fingerprint
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Setting
from tests.world import (
    RELAY,
    World,
    entropy,
    identity,
    introduction,
    nothing_is_left,
    offer,
    registration,
)

newest_world = partial(World, phase=NEWEST)
ALICE, BOB = identity("alice"), identity("bob")
ZERO = RegisterPresence(identity_pub=ZERO_KEY, signature=b"")
ACCEPT = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED)
HANGUP = Hangup(reason=HangupReason.NORMAL)
EVERYTHING: list[Message] = [
    Ping(timestamp_ms=1),
    Reflect(),
    AuthToken(token="t"),  # noqa: S106 - a word, no secret
    offer(ALICE, BOB, "c1"),
    ACCEPT,
    HANGUP,
    MediaPathReport(call_id="c1", direct_ok=True),
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
    relay = newest_world().relay
    (close,) = relay.connected(1, sni, "198.51.100.1:1", 0.0)
    assert isinstance(close, Close)
    assert (1, code) == (close.session, close.code)
    assert nothing_is_left(relay)


@pytest.mark.parametrize("sni", ["_signal", "call-c1", "call-"])
def test_a_name_that_is_served_is_kept_for_a_while(sni: str) -> None:
    """A signal or media connection waits for its first message, and not for ever (REG-8, MEDIA-8)."""
    world = newest_world()
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
    world = newest_world()
    bob, alice = world.puppet("bob"), world.puppet("alice", registered=False)
    alice.says(message)
    assert ([], []) == (alice.hears(), bob.hears())
    alice.says(registration(ALICE))
    assert ["RegisterPresenceAck"] == alice.hears()
    assert 1 == world.counted["ignored", type(message).__name__]


@pytest.mark.parametrize("policy", Policy)
def test_a_refusal_is_told_and_then_closed(policy: Policy) -> None:
    """A refused registration is answered with a reason, then closed, and nobody is there (REG-5, REG-6)."""
    world = newest_world(policy=policy)
    alice = world.puppet("alice", registered=False)
    alice.says(RegisterPresence(identity_pub=ALICE.public, signature=bytes(64)))
    (refusal,) = alice.messages
    assert isinstance(refusal, RegisterPresenceAck)
    assert (False, True) == (refusal.success, bool(refusal.error))
    assert CloseCode.REGISTRATION_REFUSED is alice.code
    assert nothing_is_left(world.relay)


def test_a_second_registration_on_a_connection_is_ignored() -> None:
    """A connection stays who it was, whatever it registers later (REG-10)."""
    world = newest_world()
    alice = world.puppet("alice")
    alice.says(registration(BOB))
    assert [] == alice.hears()
    assert None is world.relay.presence.session(BOB.fingerprint)


def test_the_newest_connection_replaces_the_older() -> None:
    """The older connection is closed with REPLACED after the acknowledgement, and its end is nothing new."""
    world = newest_world()
    older = world.puppet("alice")
    newer = world.puppet("alice")
    assert [CloseCode.REPLACED, None] == [older.code, newer.code]
    bob = world.puppet("bob")
    bob.says(offer(BOB, ALICE, "c1"))
    assert (["DirectCallOffer"], []) == (newer.hears(), older.hears())


def test_a_ping_is_answered_with_its_number() -> None:
    """A registered connection gets its own number back, the largest too (REG-20)."""
    world = newest_world()
    alice = world.puppet("alice")
    alice.says(Ping(timestamp_ms=2**64 - 1), Ping(timestamp_ms=0))
    assert [Pong(timestamp_ms=2**64 - 1), Pong(timestamp_ms=0)] == alice.messages


def test_a_client_is_told_its_address() -> None:
    """A Reflect is answered with the address that the connection came from (REFL-1, REFL-2)."""
    world = newest_world()
    alice = world.puppet("alice")
    alice.says(Reflect())
    address = world.relay.sessions[alice.link.session].address
    assert [ReflectResponse(observed_addr=address)] == alice.messages


def test_a_client_that_has_moved_is_told_its_new_address() -> None:
    """The address of now counts, not that of the start; nobody else's changes (REFL-3)."""
    world = newest_world()
    alice, bob = world.puppet("alice"), world.puppet("bob")
    theirs = world.relay.sessions[bob.link.session].address
    for address in ("203.0.113.7:1", "[2001:db8::7]:2"):
        assert [] == world.relay.moved(alice.link.session, address)
        alice.says(Reflect())
        bob.says(Reflect())
        assert [ReflectResponse(observed_addr=address)] == alice.messages
        assert [ReflectResponse(observed_addr=theirs)] == bob.messages
        alice.messages, bob.messages = [], []
    assert [] == world.relay.moved(99, "203.0.113.7:1")


def test_a_burst_of_reflections_is_cut_off() -> None:
    """Twenty are answered at once and ten a second later, the others ignored, and all else works (REFL-5)."""
    world = newest_world()
    alice = world.puppet("alice")
    alice.says(*[Reflect()] * 25, Ping(timestamp_ms=1))
    assert [*["ReflectResponse"] * 20, "Pong"] == alice.hears()
    assert 5 == world.counted["ignored", "Reflect"]
    world.advance(1)
    alice.says(*[Reflect()] * 11)
    assert ["ReflectResponse"] * 10 == alice.hears()
    assert None is alice.code


@pytest.mark.parametrize("build", [None, "1.2.3"])
def test_a_registration_is_told_the_build(build: str | None) -> None:
    """The acknowledgement names the relay's build, if it has one; a refusal does not."""
    drawn = entropy("relay")
    relay = RelayCore(Setting(identity("relay"), RELAY, build=build), lambda: drawn(32))
    for session in (1, 2):
        relay.connected(session, "_signal", "198.51.100.1:1", 0.0)
    sent = relay.receive(1, registration(ALICE), 0.0)[0]
    refused = relay.receive(2, registration(BOB, signed=False), 0.0)[0]
    assert Send(1, RegisterPresenceAck(success=True, relay_build=build)) == sent
    assert isinstance(refused, Send)
    assert isinstance(refused.message, RegisterPresenceAck)
    assert None is refused.message.relay_build


def test_the_zero_key_may_ping_and_reflect_and_nothing_else() -> None:
    """Connections of the zero key live side by side, are never called and heard for these two (REFL-4)."""
    world = newest_world(policy=Policy.OPEN)
    bob = world.puppet("bob")
    probes = [world.puppet("probe", registered=False) for _ in range(2)]
    for probe in probes:
        probe.says(ZERO, *EVERYTHING)
    assert [["RegisterPresenceAck", "Pong", "ReflectResponse"]] * 2 == [probe.hears() for probe in probes]
    bob.says(offer(BOB, fingerprint(ZERO_KEY), "c1"))
    assert ["Hangup{Error}"] == bob.hears()
    assert [None, None] == [probe.code for probe in probes]


def test_the_zero_key_is_refused_where_signatures_are_asked_for() -> None:
    """Under `signed` the zero key is refused as every registration without a signature is (REG-3)."""
    world = newest_world()
    probe = world.puppet("probe", registered=False)
    probe.says(ZERO)
    assert CloseCode.REGISTRATION_REFUSED is probe.code


@pytest.mark.parametrize("fault", [Malformed("x"), FrameTooLong("x")])
def test_a_flood_of_bad_messages_is_cut_off(fault: Malformed | FrameTooLong) -> None:
    """Sixty bad messages or frames a minute are borne, and the next one ends the connection (ERR-3)."""
    world = newest_world()
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


def test_the_log_of_a_whole_call_names_it_and_nobodys_address() -> None:
    """Every line of a call has its call_id, and above debug no line has the address of a party."""
    world = newest_world()
    alice, bob = world.client("alice", Answer.TRUSTED), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    world.advance(5.0)
    (call,) = world.relay.calls.registry
    words = (
        f'"{alice.address}"',
        f'{{"Ping": "{alice.address}"}}',
        f'{{"Hangup": {{"reason": "{alice.address}"}}}}',
    )
    room = world.puppet("mallory", f"call-{call.call_id}", registered=False)
    for link in (alice.legs[Leg.SIGNAL], room.link):
        for said in words:
            world._take(link, said.encode())
    alice.hangup()
    world.advance(1.0)
    events = [log.event for log in world.logged]
    assert {"registered", "call.offer", "call.accept", "room.joined", "bad", "call.hangup"} <= set(events)
    addresses = {*world.parties, *(party.address for party in (alice, bob, room))}
    for log in world.logged:
        told = json.dumps(dict(log.members))
        assert set() == {address for address in addresses if address in told}
        concerns = log.event.startswith(("call.", "room.")) or log.members.get("session") == room.link.session
        assert (call.call_id if concerns else None) == log.members.get("call_id")
    assert any(alice.address in str(log.private["evidence"]) for log in world.logged if log.event == "bad")


def test_messages_of_a_later_phase_are_no_flood() -> None:
    """A message whose name is unknown is counted and never held against its sender (WIRE-6)."""
    world = newest_world()
    alice = world.puppet("alice")
    for _ in range(1000):
        world.relay_does(world.relay.bad(alice.link.session, UnknownMessage("x"), world.now))
    assert (None, 1000) == (alice.code, world.counted["bad", "UnknownMessage"])


def test_bad_messages_of_a_long_time_are_borne() -> None:
    """One bad message a second is a nuisance and no flood (ERR-2)."""
    world = newest_world()
    room = world.puppet("alice", "call-c1", registered=False)
    world.relay.timers.cancel(room.link.session)
    for _ in range(300):
        world.relay_does(world.relay.bad(room.link.session, Malformed("x"), world.now))
        world.advance(1.01)
    assert None is room.code


def test_a_peer_that_does_not_read_is_given_up() -> None:
    """A connection that leaves too much unread is closed with TOO_SLOW, and its calls end (ERR-4)."""
    world = newest_world()
    alice, bob = world.puppet("alice"), world.puppet("bob")
    alice.says(offer(ALICE, BOB, "c1"))
    alice.hears()
    world.relay_does(world.relay.slow(bob.link.session))
    assert CloseCode.TOO_SLOW is bob.code
    assert ["Hangup{Normal}"] == alice.hears()
    assert [] == world.relay.slow(bob.link.session)


def test_a_datagram_means_nothing_on_a_signal_connection() -> None:
    """A datagram there is dropped and counted, and the connection lives (TRANS-15)."""
    world = newest_world()
    alice = world.puppet("alice")
    alice.throws(bytes(20))
    assert 1 == world.counted["datagrams_dropped", "not admitted"]
    alice.says(Ping(timestamp_ms=1))
    assert ["Pong"] == alice.hears()


def test_a_relay_that_stops_takes_leave() -> None:
    """Both parties of a call hear Hangup{Error}, and every connection ends once, with its reason."""
    world = newest_world()
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
    relay = newest_world().relay
    assert [] == relay.receive(9, HANGUP, 0.0)
    assert [] == relay.lost(9)
    assert [] == relay.bad(9, Malformed("x"), 0.0)
    assert [] == relay.tick(1e9)
    assert None is relay.deadline()


def test_effects_are_plain_values() -> None:
    """What the relay wants is compared with what was expected, in one line."""
    world = newest_world(limits=Limits(register_timeout=3.0))
    alice = world.puppet("alice")
    sent = Send(alice.link.session, Pong(timestamp_ms=7))
    assert [sent] == world.relay.receive(alice.link.session, Ping(timestamp_ms=7), 0.0)
    assert [Count("ignored", "Pong")] == world.relay.receive(alice.link.session, Pong(timestamp_ms=7), 0.0)
