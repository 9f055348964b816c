"""The race (spec/race.md): roles, attempts, who is let in, and what is left when it is over."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core.addresses import format_address
from reference.core.candidates import CANDIDATES
from reference.core.effects import Close, Dial, Effect, Tell, Welcome
from reference.core.errors import CloseCode
from reference.core.race import Door, Race, Role, role, server_names
from tools.chapters import table

NAMES = frozenset({"call-c1", "call-call-c1"})
LAN, WAN = "10.0.0.7:5000", "198.51.100.9:5000"
OPPOSITE = {Role.ACCEPTOR: Role.DIALER, Role.DIALER: Role.ACCEPTOR, Role.NONE: Role.NONE}
ADDRESSES = st.builds(format_address, st.ip_addresses().map(str), st.integers(0, 65_535))


def race(what: Role, *candidates: str) -> Race:
    """Return a race that has begun, with legs from 2 on."""
    made = Race("c1", what, candidates, itertools.count(2).__next__)
    made.start()
    return made


def closes(effects: list[Effect], code: CloseCode = CloseCode.NOT_SELECTED) -> list[int]:
    """Return the legs that are closed with a code."""
    return [effect.session for effect in effects if isinstance(effect, Close) and effect.code is code]


@pytest.mark.parametrize(
    ("own", "peer", "expected"),
    [
        ("192.0.2.1:4433", "198.51.100.9:4433", Role.ACCEPTOR),
        ("127.0.0.1:4433", "127.0.0.1:54321", Role.ACCEPTOR),
        ("10.0.0.1:1", "9.0.0.1:1", Role.ACCEPTOR),
        ("192.0.2.1:4433", "[2001:db8::1]:4433", Role.ACCEPTOR),
        ("[2001:db8::1]:1", "[2001:DB8:0::2]:1", Role.ACCEPTOR),
        ("192.0.2.1:4433", "192.0.2.1:4433", Role.NONE),
        ("192.0.2.1:4433", "[::ffff:192.0.2.1]:4433", Role.NONE),
        ("192.0.2.1:4433", None, Role.NONE),
        ("192.0.2.1:4433", "", Role.NONE),
        ("192.0.2.1:4433", "nonsense", Role.NONE),
        (None, None, Role.NONE),
    ],
)
def test_the_two_ends_take_opposite_roles(own: str | None, peer: str | None, expected: Role) -> None:
    """Each pair of addresses gives a role, and the opposite one seen from the other end (RACE-1, RACE-2)."""
    assert expected is role(own, peer)
    assert OPPOSITE[expected] is role(peer, own)


def test_the_roles_are_those_of_the_chapter() -> None:
    """Each row of the table of roles holds for an example of it."""
    examples = {
        "own is smaller": ("192.0.2.1:1", "192.0.2.2:1"),
        "own is larger": ("192.0.2.2:1", "192.0.2.1:1"),
        "equal, or one is missing or cannot be read": ("192.0.2.1:1", "192.0.2.1:1"),
    }
    rows = {
        row[0]: row[1].partition(":")[0] for row in table("race", "own address and the peer's", "role").rows
    }
    assert rows == {row: str(role(*pair)) for row, pair in examples.items()}


@given(ADDRESSES, ADDRESSES)
def test_any_two_addresses_give_opposite_roles(own: str, peer: str) -> None:
    """Whatever the addresses are, one end dials and the other accepts, or neither does."""
    assert OPPOSITE[role(own, peer)] is role(peer, own)
    assert (role(own, peer) is Role.NONE) is (own == peer)


def test_the_names_are_those_of_dialers() -> None:
    """A dialer comes under the room's name, deployed ones under a longer one (RACE-7)."""
    assert NAMES == server_names("c1")


def test_an_acceptor_opens_its_door_and_dials_nobody() -> None:
    """Candidates mean nothing to an acceptor; two names are welcome."""
    made = Race("c1", Role.ACCEPTOR, [LAN], itertools.count(2).__next__)
    assert [Welcome(NAMES)] == made.start()
    assert (None, False) == (made.ok, made.over)


def test_a_dialer_dials_everybody_at_once() -> None:
    """Every candidate is dialled in its order under the room's name (RACE-3, RACE-4)."""
    made = Race("c1", Role.DIALER, [LAN, WAN], itertools.count(2).__next__)
    expected = [
        *(Dial(2, LAN, "call-c1"), Tell("attempt", {"address": LAN})),
        *(Dial(3, WAN, "call-c1"), Tell("attempt", {"address": WAN})),
    ]
    assert expected == made.start()


@pytest.mark.parametrize(("what", "candidates"), [(Role.NONE, [LAN]), (Role.NONE, []), (Role.DIALER, [])])
def test_without_a_role_or_a_candidate_it_has_failed(what: Role, candidates: list[str]) -> None:
    """Nobody is dialled, and it is known at once that there is no direct path (RACE-2)."""
    made = Race("c1", what, candidates, itertools.count(2).__next__)
    assert [] == made.start()
    assert (False, True) == (made.ok, made.over)


@pytest.mark.parametrize("winner", [2, 3, 4])
def test_the_first_attempt_to_complete_wins(winner: int) -> None:
    """Whichever completes first is kept and the others are closed, late ones too (RACE-5)."""
    made = race(Role.DIALER, LAN, WAN, "10.0.0.8:1")
    losers = [leg for leg in (2, 3, 4) if leg != winner]
    assert losers == closes(made.connected(winner))
    assert (True, winner) == (made.ok, made.leg)
    for late in losers:
        assert [late] == closes(made.connected(late))
    assert [winner] == list(made.open)


@pytest.mark.parametrize("order", list(itertools.permutations((2, 3, 4))))
def test_the_last_failure_decides(order: tuple[int, ...]) -> None:
    """In whatever order attempts fail, the race has failed with the last of them (RACE-6)."""
    made = race(Role.DIALER, LAN, WAN, "10.0.0.8:1")
    for leg in order[:-1]:
        made.lost(leg, "refused")
        assert None is made.ok
    made.lost(order[-1], "refused")
    assert (False, True) == (made.ok, made.over)


def test_a_failure_is_told_once() -> None:
    """The address and the reason of a failed attempt are told; a leg that is nobody's says nothing."""
    made = race(Role.DIALER, LAN, WAN)
    assert [Tell("attempt failed", {"address": LAN, "why": "refused"})] == made.lost(2, "refused")
    assert [] == made.lost(2, "refused")
    assert [] == made.lost(99, "refused")
    assert None is made.ok


def test_the_end_of_the_winner_is_no_failed_attempt() -> None:
    """A direct connection that ends leaves nothing to speak on; that it once succeeded stays true."""
    made = race(Role.DIALER, LAN)
    made.connected(2)
    assert [] == made.lost(2, "closed")
    assert (True, None, True) == (made.ok, made.leg, made.over)


def test_an_acceptor_takes_in_several_and_no_stranger() -> None:
    """Both names lead in, any other is refused and uses nothing up (RACE-7, RACE-8, RACE-9)."""
    made = race(Role.ACCEPTOR)
    for leg, sni in enumerate(("call-c2", None, "_signal", "call-call-call-c1"), 2):
        assert [Close(leg, CloseCode.NO_SUCH_SERVICE)] == made.accepted(leg, sni, WAN)
    assert [None] == [made.ok]
    for leg, sni in enumerate(sorted(NAMES), 10):
        assert [Tell("direct", {"address": WAN})] == made.accepted(leg, sni, WAN)
    assert ([10, 11], True) == (list(made.open), made.ok)


@pytest.mark.parametrize("what", [Role.DIALER, Role.NONE])
def test_nobody_else_takes_anybody_in(what: Role) -> None:
    """A dialer, and a client without a role, refuses even the name of its call."""
    assert [Close(9, CloseCode.NO_SUCH_SERVICE)] == race(what, LAN).accepted(9, "call-c1", WAN)


def test_an_acceptor_has_no_more_than_a_dialer_may_dial() -> None:
    """Beyond the most candidates there can be, connections are refused; room comes back with an end."""
    made = race(Role.ACCEPTOR)
    for leg in range(2, 2 + CANDIDATES):
        assert [] == closes(made.accepted(leg, "call-c1", WAN), CloseCode.NO_SUCH_SERVICE)
    assert [99] == closes(made.accepted(99, "call-c1", WAN), CloseCode.NO_SUCH_SERVICE)
    made.lost(2, "closed")
    assert [] == closes(made.accepted(100, "call-c1", WAN), CloseCode.NO_SUCH_SERVICE)


def test_an_acceptor_speaks_on_an_open_connection() -> None:
    """At first on the oldest connection, and never on a closed one (RACE-10)."""
    made = race(Role.ACCEPTOR)
    assert [None] == [made.leg]
    for leg in (2, 3, 4):
        made.accepted(leg, "call-c1", WAN)
    assert 2 == made.leg
    made.lost(2, "closed")
    assert 3 == made.leg


def test_the_first_word_of_the_dialer_settles_the_connection() -> None:
    """Where the dialer speaks is kept, the others are closed, and nobody comes in any more (RACE-17)."""
    made = race(Role.ACCEPTOR)
    for leg in (2, 3, 4):
        made.accepted(leg, "call-c1", WAN)
    others = [Close(leg, CloseCode.NOT_SELECTED) for leg in (2, 4)]
    assert [Welcome(frozenset()), *others] == made.heard(3)
    assert (3, {3: WAN}, True) == (made.leg, made.open, made.ok)
    assert [] == made.heard(3)
    assert [Close(5, CloseCode.NO_SUCH_SERVICE)] == made.accepted(5, "call-c1", WAN)
    assert [] == race(Role.ACCEPTOR).heard(9)


def test_the_first_word_settles_it_after_the_deadline_too() -> None:
    """A decision may come later than the deadline; the dialer's word still tells its connection (RACE-17)."""
    made = race(Role.ACCEPTOR)
    for leg in (2, 3):
        made.accepted(leg, "call-c1", WAN)
    made.conclude()
    assert [Close(2, CloseCode.NOT_SELECTED)] == made.heard(3)
    assert 3 == made.leg


def test_the_deadline_ends_what_has_not_succeeded() -> None:
    """Attempts are closed, the door is shut, and the outcome is what there is (RACE-11)."""
    dialer = race(Role.DIALER, LAN, WAN)
    assert [2, 3] == closes(dialer.conclude())
    assert (False, {}) == (dialer.ok, dialer.attempts)
    assert [2] == closes(dialer.connected(2))
    acceptor = race(Role.ACCEPTOR)
    acceptor.accepted(2, "call-c1", WAN)
    assert [Welcome(frozenset())] == acceptor.conclude()
    assert (True, {2: WAN}) == (acceptor.ok, acceptor.open)
    assert [Close(3, CloseCode.NO_SUCH_SERVICE)] == acceptor.accepted(3, "call-c1", WAN)


def test_an_acceptor_whose_connections_have_ended_has_none() -> None:
    """What was there and is not there at the deadline does not count."""
    acceptor = race(Role.ACCEPTOR)
    acceptor.accepted(2, "call-c1", WAN)
    acceptor.lost(2, "closed")
    assert (True, False) == (acceptor.ok, acceptor.over)
    acceptor.conclude()
    assert False is acceptor.ok


@pytest.mark.parametrize("code", [CloseCode.NORMAL, CloseCode.NOT_SELECTED])
def test_closing_leaves_nothing(code: CloseCode) -> None:
    """Everything that was dialled or accepted is closed, the winner with the code that is given, and once."""
    dialer, acceptor = race(Role.DIALER, LAN, WAN), race(Role.ACCEPTOR)
    assert [2, 3] == closes(dialer.close(code))
    for leg in (2, 3):
        acceptor.accepted(leg, "call-c1", WAN)
    assert [Welcome(frozenset()), Close(2, code), Close(3, code)] == acceptor.close(code)
    for made in (dialer, acceptor):
        assert [] == closes(made.close(code), code)
        assert ({}, {}, None) == (made.attempts, made.open, made.leg)


def test_a_door_takes_in_the_names_it_was_told() -> None:
    """A shut door refuses everybody; an open one keeps who has a right name, as many as may come."""
    door = Door()
    assert [Close(2, CloseCode.NO_SUCH_SERVICE)] == door.accepted(2, "call-c1", WAN)
    assert ([], []) == (door.open(frozenset()), door.shut())
    assert [Welcome(NAMES)] == door.open(NAMES)
    for leg in range(2, 2 + CANDIDATES):
        assert [] == door.accepted(leg, "call-c1", WAN)
    assert [Close(99, CloseCode.NO_SUCH_SERVICE)] == door.accepted(99, "call-c1", WAN)
    assert [Close(98, CloseCode.NO_SUCH_SERVICE)] == door.accepted(98, None, WAN)
    assert [] == door.lost(2)
    assert CANDIDATES - 1 == len(door.waiting)


def test_a_door_that_is_shut_lets_nobody_wait() -> None:
    """Those who wait are closed, nobody is welcome, and a second time there is nothing to do."""
    door = Door()
    door.open(NAMES)
    door.accepted(2, "call-c1", WAN)
    assert [Welcome(frozenset()), Close(2, CloseCode.NO_SUCH_SERVICE)] == door.shut()
    assert [] == door.shut()
    assert [Close(3, CloseCode.NO_SUCH_SERVICE)] == door.accepted(3, "call-c1", WAN)
