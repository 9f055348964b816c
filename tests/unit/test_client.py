"""The client's machine: registering, staying registered, and knowing when not to."""

from __future__ import annotations

import pytest

from reference.core.client import BACK_OFF, FINAL, JITTER, ClientCore
from reference.core.effects import Close, Dial, Effect, Send, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import FIRST_DIRECT, Account, Answer, Leg
from reference.core.messages import (
    AcceptMode,
    CallSetup,
    DirectCallAnswer,
    Hangup,
    MediaPathReport,
    Ping,
    Pong,
    ReflectResponse,
    RegisterPresenceAck,
)
from reference.core.phases import NEWEST
from reference.core.registration import Policy
from tests.world import KEY, RELAY, World, entropy, identity, registration

ALICE = identity("alice")
ACK = RegisterPresenceAck(success=True)


def fresh(jitter: float = 0.0) -> ClientCore:
    """Return a client that has not begun."""
    return ClientCore(Account(ALICE, RELAY), entropy("alice"), lambda: jitter)


def online(jitter: float = 0.0) -> ClientCore:
    """Return a client that is registered."""
    core = fresh(jitter)
    core.start(0.0)
    core.connected(Leg.SIGNAL, KEY, 0.0)
    core.receive(Leg.SIGNAL, ACK, 0.0)
    return core


def told(effects: list[Effect]) -> list[str]:
    """Return the names of what the user was told."""
    return [effect.event for effect in effects if isinstance(effect, Tell)]


def test_a_client_registers() -> None:
    """It dials, introduces itself, and is registered with the acknowledgement; then nothing is awaited."""
    core = fresh()
    assert [Dial(Leg.SIGNAL, RELAY, "_signal")] == core.start(0.0)
    assert 5.0 == core.deadline()
    assert [Send(Leg.SIGNAL, registration(ALICE))] == core.connected(Leg.SIGNAL, KEY, 0.0)
    assert [Tell("registered", {"fingerprint": ALICE.fingerprint})] == core.receive(Leg.SIGNAL, ACK, 0.1)
    assert [] == core.receive(Leg.SIGNAL, ACK, 0.2)
    assert (True, None) == (core.online, core.deadline())


def test_a_registration_reads_like_a_sequence() -> None:
    """The same through relay and wire."""
    world = World()
    alice = world.client("alice")
    alice.does(alice.core.ping(7))
    assert [
        "alice dials _signal",
        "alice -> relay RegisterPresence",
        "alice <- relay RegisterPresenceAck",
        "alice -> relay Ping",
        "alice <- relay Pong",
    ] == world.journal
    assert ["registered", "pong"] == alice.events


def test_a_refused_client_stops_and_says_why() -> None:
    """A refusal ends the program with the relay's words, and it does not come back."""
    world = World(policy=Policy.SIGNED)
    world.rewrite = lambda _: RegisterPresenceAck(success=False, error="not you")
    alice = world.client("alice")
    world.advance(3600)
    assert [Tell("stopped", {"kind": "refused", "why": "not you"})] == alice.told
    assert 1 == len(alice.links)
    assert alice.core.stopped


def test_nothing_is_said_offline() -> None:
    """A client that is not registered places no call, pings nobody and ends nothing."""
    core = fresh()
    core.start(0.0)
    core.connected(Leg.SIGNAL, KEY, 0.0)
    assert [[], [], [], []] == [
        core.place(ALICE.fingerprint, 0.0),
        core.ping(1),
        core.hangup(),
        core.answer(Answer.TRUSTED, 0.0),
    ]


def test_a_relay_that_never_answered_is_given_up() -> None:
    """The first attempt that fails, or meets silence for 5 s, stops the client."""
    assert ["stopped"] == told(fresh().lost(Leg.SIGNAL, -1, "no route", 1.0))
    core = fresh()
    core.start(0.0)
    assert [] == core.tick(4.9)
    effects = core.tick(5.0)
    assert Close(Leg.SIGNAL, CloseCode.NORMAL) == effects[0]
    assert ["stopped"] == told(effects)
    assert None is core.deadline()


@pytest.mark.parametrize("code", [-1, *CloseCode])
def test_a_close_says_whether_to_come_back(code: int) -> None:
    """After the closes that spec/errors.md calls final the client stops; after any other it tries again."""
    core = online()
    effects = core.lost(Leg.SIGNAL, code, "x", 0.0)
    final = code in set(FINAL)
    assert ["stopped" if final else "offline"] == told(effects)
    assert (None if final else BACK_OFF[0]) == core.deadline()


def test_an_unknown_code_is_no_reason_to_stay_away() -> None:
    """A later phase may have codes that this one does not know."""
    assert ["offline"] == told(online().lost(Leg.SIGNAL, 4711, "new", 0.0))


def test_waits_grow_and_are_never_shorter_for_jitter() -> None:
    """With the most jitter each wait is a quarter longer than the back-off (REG-16)."""
    core = online(1.0)
    now, waits = 0.0, []
    for _ in range(8):
        core.lost(Leg.SIGNAL, -1, "x", now)
        due = core.deadline()
        assert due is not None
        waits.append(due - now)
        now = due
        assert [Dial(Leg.SIGNAL, RELAY, "_signal")] == core.tick(now)
    assert pytest.approx([wait * (1 + JITTER) for wait in (*BACK_OFF, 30.0, 30.0)]) == waits


def test_a_registration_begins_the_back_off_anew() -> None:
    """Once it is back, the next loss is met with the first wait."""
    core = online()
    for at in (0.0, 1.0):
        core.lost(Leg.SIGNAL, -1, "x", at)
        core.tick(100.0)
    core.receive(Leg.SIGNAL, ACK, 100.0)
    core.lost(Leg.SIGNAL, -1, "x", 100.0)
    assert 101.0 == core.deadline()


def test_a_wrong_key_in_the_room_ends_the_call_in_its_order() -> None:
    """When the media connection shows another key, the other end is told before all is left (SEC-2)."""
    world = World()
    alice, bob = world.client("alice", pin=KEY), world.client("bob", Answer.TRUSTED)
    alice.does(alice.core.place(bob.fingerprint, world.now), settle=False)
    while Leg.MEDIA not in alice.legs:
        world._queue.popleft()()
    world.key = "another"
    world.settle()
    mine = [line for line in world.journal if line.startswith("alice")][-3:]
    assert ["alice -> relay Hangup{Normal}", "alice x> relay _signal"] == [mine[0], mine[2]]
    assert "wrong-key" == alice.told[-1].members["kind"]
    assert {} == alice.legs


def test_stopping_hangs_up_and_leaves() -> None:
    """Hangup goes first, then both connections end; a second time does nothing."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    mark = len(world.journal)
    alice.does(alice.core.stop())
    mine = [line for line in world.journal[mark:] if line.startswith("alice")]
    assert ["alice -> relay Hangup{Normal}", f"alice x> relay {alice.links[1][2].sni}"] == mine[:2]
    assert "alice x> relay _signal" in mine
    assert [] == alice.core.stop()
    assert None is alice.core.deadline()
    assert [] == alice.core.lost(Leg.SIGNAL, 0, "x", 0.0)


def test_a_lost_signal_connection_ends_the_call() -> None:
    """The call is over on both ends, and the client comes back without it."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob", Answer.TRUSTED)
    alice.place(bob)
    world.cut(alice.legs[Leg.SIGNAL])
    world.advance(5)
    assert (None, None) == (alice.core.telephone.call, bob.core.telephone.call)
    assert ["ended", "offline", "registered"] == alice.events[-3:]
    assert "Normal" == bob.told[-1].members["reason"]


@pytest.mark.parametrize(
    "message", [Ping(timestamp_ms=1), Pong(timestamp_ms=1), Hangup(reason=HangupReason.ERROR)]
)
def test_signalling_means_nothing_in_a_room(message: Ping | Pong | Hangup) -> None:
    """A message of signalling that comes on the media connection does nothing."""
    assert [] == online().receive(Leg.MEDIA, message, 0.0)


def test_a_call_that_was_cut_is_hung_up_behind_the_next_registration() -> None:
    """The relay may not have noticed the loss; without a call nothing but the registration is sent."""
    for calling in (True, False):
        core = online()
        hangup: list[Effect] = []
        if calling:
            core.place(identity("bob").fingerprint, 0.0)
            assert core.telephone.call is not None
            over = Hangup(reason=HangupReason.NORMAL, call_id=core.telephone.call.call_id)
            hangup = [Send(Leg.SIGNAL, over)]
        core.lost(Leg.SIGNAL, -1, "idle timeout", 1.0)
        core.tick(2.0)
        core.connected(Leg.SIGNAL, KEY, 2.0)
        told_first = Tell("registered", {"fingerprint": ALICE.fingerprint})
        assert [*hangup, told_first] == core.receive(Leg.SIGNAL, ACK, 2.1)


def test_a_relay_that_is_full_at_first_is_tried_again() -> None:
    """A close that says come back is followed even before the first registration."""
    core = fresh()
    core.start(0.0)
    effects = core.lost(Leg.SIGNAL, CloseCode.TOO_MANY_CONNECTIONS, "too many connections", 1.0)
    assert ["offline"] == told(effects)
    assert 2.0 == core.deadline()


def calling(reflexive: str | None = "203.0.113.9:5000") -> tuple[ClientCore, str]:
    """Return a client whose call has just been set up, as the acceptor of a race, and its call_id."""
    core = online()
    core.place(identity("bob").fingerprint, 0.0)
    core.receive(Leg.SIGNAL, ReflectResponse(observed_addr="198.51.100.1:5000"), 0.0)
    core.gathered([], {4: 5000})
    assert core.telephone.call is not None
    call_id = core.telephone.call.call_id
    accept = DirectCallAnswer(call_id=call_id, accept_mode=AcceptMode.ACCEPT_TRUSTED)
    core.receive(Leg.SIGNAL, accept, 0.0)
    setup = CallSetup(call_id=call_id, room=f"call-{call_id}", relay_addr=RELAY, peer_direct_addr=reflexive)
    core.receive(Leg.SIGNAL, setup, 0.0)
    assert core.telephone.paths is not None
    return core, call_id


def test_outside_a_call_nobody_is_let_in() -> None:
    """A connection is closed whatever its name, and each one has a leg of its own."""
    core = online()
    legs = []
    for sni in ("call-c1", "_signal", None):
        leg, effects = core.accepted(sni, "192.0.2.1:1", 0.0)
        assert [Close(leg, CloseCode.NO_SUCH_SERVICE)] == effects
        legs.append(leg)
    assert len(legs) == len(set(legs))
    assert FIRST_DIRECT <= min(legs)


def test_what_comes_after_the_end_of_a_call_means_nothing() -> None:
    """A late handshake is closed; ends, datagrams, addresses and alarms of the call do nothing."""
    core, _ = calling("192.0.2.9:5000")
    core.hangup()
    assert [Close(FIRST_DIRECT, CloseCode.NOT_SELECTED)] == core.connected(FIRST_DIRECT, "", 0.1)
    assert [] == core.connected(Leg.MEDIA, KEY, 0.1)
    for leg in (FIRST_DIRECT, Leg.MEDIA):
        assert [[], []] == [core.lost(leg, -1, "x", 0.1), core.heard(leg, 0.1)]
    assert [] == core.gathered(["192.168.1.1"], {4: 5000})
    assert [] == core.receive(Leg.SIGNAL, ReflectResponse(observed_addr="192.0.2.1:1"), 0.1)
    assert ([], None) == (core.tick(100.0), core.deadline())


def test_the_legs_of_one_call_are_not_those_of_the_next() -> None:
    """A dial of the call before that completes or ends now is no attempt of this one."""
    core, _ = calling("192.0.2.9:5000")
    core.hangup()
    core.place(identity("bob").fingerprint, 1.0)
    core.receive(Leg.SIGNAL, ReflectResponse(observed_addr="198.51.100.1:5000"), 1.0)
    core.gathered([], {4: 5000})
    call = core.telephone.call
    assert call is not None
    accept = DirectCallAnswer(call_id=call.call_id, accept_mode=AcceptMode.ACCEPT_TRUSTED)
    core.receive(Leg.SIGNAL, accept, 1.0)
    room = f"call-{call.call_id}"
    setup = CallSetup(call_id=call.call_id, room=room, relay_addr=RELAY, peer_direct_addr="192.0.2.9:5000")
    assert Dial(FIRST_DIRECT + 1, "192.0.2.9:5000", room) in core.receive(Leg.SIGNAL, setup, 1.0)
    assert [Close(FIRST_DIRECT, CloseCode.NOT_SELECTED)] == core.connected(FIRST_DIRECT, "", 1.1)
    assert [] == core.lost(FIRST_DIRECT, -1, "x", 1.1)
    assert None is (call.paths and call.paths.race.ok)


@pytest.mark.parametrize("message", [Ping(timestamp_ms=1), Hangup(reason=HangupReason.ERROR)])
def test_a_message_on_a_direct_path_means_nothing(message: Ping | Hangup) -> None:
    """A direct path carries datagrams; what else a peer says there ends nothing (MEDIA-32)."""
    core, call_id = calling()
    leg, _ = core.accepted(f"call-{call_id}", "203.0.113.9:5000", 0.1)
    assert [] == core.receive(leg, message, 0.2)
    assert core.telephone.call is not None


def test_a_room_says_nothing_about_paths() -> None:
    """A report or an answer that comes in the room is none."""
    core, call_id = calling(None)
    report = MediaPathReport(call_id=call_id, direct_ok=True)
    assert [] == core.receive(Leg.MEDIA, report, 0.1)


def test_the_key_of_a_peer_is_not_the_relays() -> None:
    """A pin holds for the relay; a direct connection shows whatever key the peer has."""
    world = World(phase=NEWEST)
    alice, bob = world.client("alice", pin=KEY), world.client("bob", Answer.TRUSTED, pin=KEY)
    alice.place(bob)
    assert ["talking", "talking"] == [one.events[-1] for one in (alice, bob)]
    assert [[Leg.SIGNAL], [Leg.SIGNAL]] == [[leg for _, leg, _ in one.links] for one in (alice, bob)]


@pytest.mark.parametrize("steps", range(30))
@pytest.mark.parametrize("caller_dials", [True, False])
def test_a_loss_at_any_time_leaves_nothing(steps: int, caller_dials: bool) -> None:  # noqa: FBT001 - a parameter
    """After however many arrivals the signal connection is lost: the call ends, and nothing is left of it."""
    world = World(phase=NEWEST)
    first, second = world.client("alice", Answer.TRUSTED), world.client("bob", Answer.TRUSTED)
    caller, callee = (second, first) if caller_dials else (first, second)
    caller.does(caller.core.place(callee.fingerprint, world.now), settle=False)
    for _ in range(steps):
        if world._queue:
            world._queue.popleft()()
    world.cut(caller.legs[Leg.SIGNAL])
    world.advance(5)
    assert [True, True] == [one.core.online for one in (caller, callee)]
    for one in (caller, callee):
        assert (None, 0) == (one.core.telephone.call, len(one.core._timers))
        assert ({}, frozenset(), [Leg.SIGNAL]) == (one.ties, one.welcome, list(one.legs))
    caller.place(callee)
    assert ["talking", "talking"] == [one.events[-1] for one in (caller, callee)]


@pytest.mark.parametrize("steps", range(30))
@pytest.mark.parametrize("hangs_up", ["caller", "callee"])
def test_a_hangup_at_any_time_leaves_nothing(steps: int, hangs_up: str) -> None:
    """After however many arrivals one end hangs up: both calls end, and nothing is left of them."""
    world = World(phase=NEWEST)
    callee, caller = world.client("bob", Answer.TRUSTED), world.client("alice")
    caller.does(caller.core.place(callee.fingerprint, world.now), settle=False)
    for _ in range(steps):
        if world._queue:
            world._queue.popleft()()
    if callee.core.telephone.call is None and hangs_up == "callee":
        world.settle()
    (caller if hangs_up == "caller" else callee).hangup()
    world.advance(5)
    for one in (caller, callee):
        assert (None, 0) == (one.core.telephone.call, len(one.core._timers))
        assert ({}, frozenset(), [Leg.SIGNAL]) == (one.ties, one.welcome, list(one.legs))


def test_a_call_that_rings_is_not_hung_up_by_a_reconnect() -> None:
    """The relay rings again on the new connection, and the call can be answered there (CALL-8)."""
    world = World()
    alice, bob = world.client("alice"), world.client("bob")
    alice.place(bob)
    lost = bob.legs[Leg.SIGNAL]
    lost.party.lost(lost, -1, "idle")
    world.advance(2)
    assert "incoming" == bob.events[-1]
    bob.answer(Answer.GENERIC)
    assert "talking" in alice.events
