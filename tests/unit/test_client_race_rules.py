"""Rules of the client: the roles, the dials and the times of a direct attempt (RACE)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core import media
from reference.core.effects import Close
from reference.core.errors import CloseCode
from reference.core.messages import AcceptMode, DirectCallAnswer, ReflectResponse
from reference.core.phases import NEWEST
from tests.unit.rules import (
    FIRST,
    LAN,
    LARGE,
    NAME,
    NEXT,
    SMALL,
    acts,
    call_of,
    called,
    closed,
    comes_in,
    completes,
    dialled,
    dials,
    ends,
    joined,
    reported,
    reports,
    rooms,
    spoken,
)
from tests.world import World


@pytest.mark.rule("RACE-1")
def test_the_larger_text_dials_and_the_smaller_one_accepts(world: World) -> None:
    """Roles follow from the two addresses compared as text, and both ends compare alike."""
    pairs = [
        ("192.0.2.1:4433", "198.51.100.9:4433"),
        ("127.0.0.1:4433", "127.0.0.1:54321"),
        ("10.0.0.1:1", "9.0.0.1:1"),
        ("192.0.2.1:4433", "[2001:db8::1]:4433"),
    ]
    for smaller, larger in pairs:
        assert "acceptor" == role_of(world, smaller, larger)
        assert "dialer" == role_of(world, larger, smaller)


def role_of(world: World, own: str | None, peer: str | None) -> str:
    """Return what a client does with two reflexive addresses: dial, let in, or neither."""
    again = World(world.client_kind, phase=NEWEST)
    again.rewrite = lambda message: (
        replace(message, observed_addr=own or "unknown") if isinstance(message, ReflectResponse) else message
    )
    alice = again.client("alice")
    done = acts(alice)
    called(again, alice, peer, [LAN])
    names = frozenset({f"call-{call_of(alice)}", f"call-call-{call_of(alice)}"})
    does = {(True, frozenset()): "dialer", (False, names): "acceptor", (False, frozenset()): "none"}
    return does.get((bool(dials(done)), alice.welcome), f"{dials(done)}, welcome {alice.welcome}")


@pytest.mark.rule("RACE-2")
def test_without_two_addresses_there_is_no_direct_attempt(world: World) -> None:
    """With an address missing, unreadable or the peer's own, nobody is dialled and nobody let in."""
    for own, peer in [(SMALL, None), (SMALL, SMALL), (SMALL, "nonsense"), (None, SMALL), (None, None)]:
        assert "none" == role_of(world, own, peer)


@pytest.mark.rule("RACE-3")
def test_all_candidates_are_dialled_at_once(world: World) -> None:
    """Every candidate is dialled before anything is known of another one."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, NEXT])
    assert [LAN, NEXT, SMALL] == [one.address for one in dials(done)]


@pytest.mark.rule("RACE-4")
def test_a_dialer_names_the_call(world: World) -> None:
    """Every direct dial has the server name `call-<call_id>`."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    assert {f"call-{call_of(alice)}"} == {one.sni for one in dials(done)}


@pytest.mark.rule("RACE-5")
def test_the_first_handshake_wins(world: World) -> None:
    """The attempt that completes first is kept; those under way are closed, and late ones too."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN, NEXT])
    completes(alice, FIRST + 1)
    assert {FIRST, FIRST + 2} == closed(done)
    completes(alice, FIRST)
    assert FIRST + 1 not in closed(done)
    assert [Close(FIRST, CloseCode.NOT_SELECTED)] == done[-1:]


@pytest.mark.rule("RACE-6")
def test_one_failure_is_no_failure(world: World) -> None:
    """While an attempt is open no failure is reported and no room dialled; the open one may still win."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    ends(alice, FIRST)
    assert ([], 0) == (reports(alice), rooms(alice))
    completes(alice, FIRST + 1)
    assert [True] == reports(alice)
    assert FIRST + 1 not in closed(done)


@pytest.mark.rule("RACE-7")
def test_strangers_are_refused(world: World) -> None:
    """An acceptor closes what comes under another name than its call's two, and any client outside a call."""
    alice = world.client("alice")
    leg, effects = alice.core.accepted(NAME, LARGE, world.now)
    assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    assert frozenset() == alice.welcome
    called(world, alice, LARGE)
    own = f"call-{call_of(alice)}"
    assert {own, f"call-{own}"} == alice.welcome
    for name in ("call-another", "_signal", f"call-call-{own}", None):
        leg, effects = alice.core.accepted(name, LARGE, world.now)
        assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    alice.hangup()
    assert frozenset() == alice.welcome


@pytest.mark.rule("RACE-8")
def test_a_stranger_does_not_use_up_the_attempt(world: World) -> None:
    """After a refusal the connection of the call is let in, under either name."""
    alice = world.client("alice")
    called(world, alice, LARGE)
    comes_in(alice, "call-another")
    for name in (f"call-{call_of(alice)}", f"call-call-{call_of(alice)}"):
        _, effects = alice.core.accepted(name, LARGE, world.now)
        assert [] == [
            one for one in effects if isinstance(one, Close) and one.code is CloseCode.NO_SUCH_SERVICE
        ]


@pytest.mark.rule("RACE-9")
def test_an_acceptor_keeps_what_it_accepted(world: World) -> None:
    """Several connections of the call stay open until the dialer closes all but one."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, LARGE)
    first, second = comes_in(alice), comes_in(alice)
    assert set() == {first, second} & {one.session for one in done if isinstance(one, Close)}
    ends(alice, first)
    assert second not in {one.session for one in done if isinstance(one, Close)}


@pytest.mark.rule("RACE-10")
def test_nobody_speaks_on_a_closed_connection(world: World) -> None:
    """When the dialer closes the connection that came first, the acceptor speaks on the one that is left."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, LARGE)
    first, second = comes_in(alice), comes_in(alice)
    reported(alice, bob, ok=True)
    ends(alice, first)
    assert [second] == spoken(alice, done)


@pytest.mark.rule("RACE-17")
def test_the_dialers_first_word_settles_the_connection(world: World) -> None:
    """The connection on which media arrives is kept, and who comes later with the call's name is refused."""
    alice = world.client("alice")
    done = acts(alice)
    bob = called(world, alice, LARGE)
    first = comes_in(alice)
    reported(alice, bob, ok=True)
    alice.does(alice.core.heard(first, world.now))
    late = comes_in(alice)
    assert {late} == {one.session for one in done if isinstance(one, Close)} & {first, late}
    assert [first] == spoken(alice, done)


@pytest.mark.rule("RACE-16")
def test_a_quick_dialer_is_let_in(world: World) -> None:
    """A connection of the call that comes before the CallSetup is kept, and carries media behind it."""
    alice, bob = world.client("alice"), world.puppet("bob")
    done = acts(alice)
    alice.place(bob)
    leg = comes_in(alice)
    accept = DirectCallAnswer(call_id=call_of(alice), accept_mode=AcceptMode.ACCEPT_TRUSTED)
    bob.says(replace(accept, callee_reflexive_addr=LARGE))
    reported(alice, bob, ok=True)
    assert [leg] == spoken(alice, done)


@pytest.mark.rule("RACE-11")
def test_a_dialer_gives_up_after_two_seconds(world: World) -> None:
    """Two seconds after CallSetup every dial that is still under way is closed."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    world.advance(2)
    assert dials(done)
    assert {one.leg for one in dials(done)} <= closed(done)


@pytest.mark.rule("RACE-11")
def test_an_acceptor_gives_up_after_two_seconds(world: World) -> None:
    """Two seconds after CallSetup nobody is let in any more."""
    alice = world.client("alice")
    called(world, alice, LARGE)
    world.advance(2)
    leg, effects = alice.core.accepted(f"call-{call_of(alice)}", LARGE, world.now)
    assert [leg] == [one.session for one in effects if isinstance(one, Close)]
    assert frozenset() == alice.welcome


@pytest.mark.rule("RACE-12")
def test_the_relay_is_spared_for_half_a_second(world: World) -> None:
    """While the direct attempt is open no room is dialled in the first half second, by either role."""
    for reflexive in (SMALL, LARGE):
        again = World(world.client_kind, phase=NEWEST)
        alice = again.client("alice")
        called(again, alice, reflexive)
        again.advance(0.49)
        assert 0 == rooms(alice)


@pytest.mark.rule("RACE-13")
def test_the_relay_is_dialled_at_once_without_an_attempt(world: World) -> None:
    """A room is dialled with the CallSetup when there is no direct attempt."""
    alice = world.client("alice")
    called(world, alice, None)
    assert 1 == rooms(alice)


@pytest.mark.rule("RACE-13")
def test_the_relay_is_dialled_at_once_when_all_has_failed(world: World) -> None:
    """A room is dialled when the last attempt has failed."""
    alice = world.client("alice")
    done = acts(alice)
    called(world, alice, SMALL, [LAN])
    dialled(world, alice, done)
    assert 1 == rooms(alice)


@pytest.mark.rule("RACE-15")
def test_both_paths_are_heard(world: World) -> None:
    """While the path is undecided, media is played from the room and from the direct connection."""
    alice = world.client("alice")
    bob = called(world, alice, LARGE)
    leg = comes_in(alice)
    world.advance(0.5)
    room = joined(alice, bob)
    sender = media.Sender()
    room.throws(sender.datagram(b"relay"))
    alice._take(leg, sender.datagram(b"direct"))
    assert [b"relay", b"direct"] == [media.split(one)[1] for one in alice.heard]
