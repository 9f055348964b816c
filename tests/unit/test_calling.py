"""What a client says when it places or accepts a call, and the race it enters with its setup."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from reference.core import calling
from reference.core.effects import Dial
from reference.core.gathering import Gathering
from reference.core.line import Account, Line, OwnCall
from reference.core.media import GOOD
from reference.core.messages import AcceptMode, CallSetup
from reference.core.phases import Phase
from reference.core.race import Race, Role
from reference.core.timers import Timers
from tests.world import RELAY, identity

ALICE, BOB = identity("alice"), identity("bob")
ACCOUNT = Account(ALICE, RELAY, alias="Alice", build="1.0")
OWN, SMALL, LARGE, LAN = "198.51.100.1:5000", "192.0.2.9:5000", "203.0.113.9:5000", "10.0.0.7:5000"
SETUP = CallSetup(call_id="c1", room="call-c1", relay_addr=RELAY)


def call(mode: AcceptMode | None = None, reflexive: str | None = OWN) -> OwnCall:
    """Return a call whose own addresses are known."""
    gathering = Gathering(ACCOUNT, Timers(), reflexive, ("192.168.1.1:5000",))
    return OwnCall("c1", BOB.fingerprint, Line.PREPARING, gathering, mode)


def raced(mode: AcceptMode, account: Account = ACCOUNT, **members: Any) -> Race:  # noqa: ANN401 - of CallSetup
    """Return the race of an accepted call."""
    setup = replace(SETUP, **members)
    return calling.race(account, call(mode), setup, {4}, itertools.count(2).__next__)


@pytest.mark.parametrize("reflexive", [OWN, None])
def test_an_offer_says_who_calls_and_where_from(reflexive: str | None) -> None:
    """Host candidates are told beside a reflexive one and never alone (CAND-7)."""
    offer = calling.offer(ACCOUNT, call(reflexive=reflexive))
    who = (offer.caller_fingerprint, offer.target_fingerprint, offer.caller_alias, offer.identity_pub)
    assert (ALICE.fingerprint, BOB.fingerprint, "Alice", ALICE.public) == who
    assert ("c1", [GOOD], "1.0") == (offer.call_id, offer.supported_profiles, offer.caller_build_version)
    hosts = ("192.168.1.1:5000",) if reflexive else ()
    assert (reflexive, hosts) == (offer.caller_reflexive_addr, offer.caller_local_addrs)


@pytest.mark.parametrize("mode", AcceptMode)
def test_an_answer_says_how_the_call_is_taken(mode: AcceptMode) -> None:
    """The mode, the call and the profile are named, and the addresses that were gathered."""
    answer = calling.answer(ACCOUNT, call(mode))
    assert ("c1", mode, GOOD, "1.0") == (
        answer.call_id,
        answer.accept_mode,
        answer.chosen_profile,
        answer.callee_build_version,
    )
    assert (OWN, ("192.168.1.1:5000",)) == (answer.callee_reflexive_addr, answer.callee_local_addrs)


def test_who_has_gathered_nothing_tells_nothing() -> None:
    """An answer before anything was gathered has no address, and one without a decision rejects."""
    fresh = OwnCall("c1", BOB.fingerprint, Line.INCOMING, Gathering(ACCOUNT, Timers()))
    answer = calling.answer(ACCOUNT, fresh)
    assert (AcceptMode.REJECT, None, ()) == (
        answer.accept_mode,
        answer.callee_reflexive_addr,
        answer.callee_local_addrs,
    )


@pytest.mark.parametrize("phase", Phase)
def test_who_may_come_early(phase: Phase) -> None:
    """Names are expected since phase 3.5, of a call in which an address was advertised."""
    account = replace(ACCOUNT, phase=phase)
    expected = {"call-c1", "call-call-c1"} if phase >= Phase.RACE else set()
    assert expected == calling.expected(account, call())
    assert frozenset() == calling.expected(account, call(reflexive=None))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("mode", AcceptMode)
def test_only_trust_and_a_young_client_lead_to_a_race(mode: AcceptMode, phase: Phase) -> None:
    """The role follows from the addresses of a call accepted with trust, since phase 3.5 (PRIV-10)."""
    races = mode is AcceptMode.ACCEPT_TRUSTED and phase >= Phase.RACE
    account = replace(ACCOUNT, phase=phase)
    for peer, expected in ((SMALL, Role.DIALER), (LARGE, Role.ACCEPTOR), (None, Role.NONE)):
        made = raced(mode, account, peer_direct_addr=peer, peer_local_addrs=[LAN])
        assert (expected if races else Role.NONE) is made.role


def test_a_dialer_dials_hosts_first() -> None:
    """Host candidates in their order, then the reflexive one, without what cannot be used."""
    named = ["nonsense", LAN, "127.0.0.1:1", "[2001:db8::7]:1"]
    made = raced(AcceptMode.ACCEPT_TRUSTED, peer_direct_addr=SMALL, peer_local_addrs=named)
    assert [LAN, SMALL] == [effect.address for effect in made.start() if isinstance(effect, Dial)]


def test_an_acceptor_has_nobody_to_dial() -> None:
    """What the peer names is no business of an acceptor."""
    made = raced(AcceptMode.ACCEPT_TRUSTED, peer_direct_addr=LARGE, peer_local_addrs=[LAN])
    assert () == made.candidates


def test_loopback_is_for_a_relay_on_loopback() -> None:
    """A peer on loopback is dialled by a client whose relay is there too, and by no other (CAND-14)."""
    there = "127.0.0.1:1"
    for relay, expected in (("127.0.0.1:4433", (there,)), (RELAY, ())):
        account = replace(ACCOUNT, relay=relay)
        made = raced(AcceptMode.ACCEPT_TRUSTED, account, peer_direct_addr=there)
        assert (Role.DIALER, expected) == (made.role, made.candidates)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"room": "call-c2"}, "the relay names the room 'call-c2', not 'call-c1'"),
        ({"relay_addr": "127.0.0.1:1"}, "the relay sends us to 127.0.0.1:1: it is a loopback address"),
        ({"relay_addr": "here"}, "the relay sends us to here: 'here' is no address with a port"),
    ],
)
def test_a_setup_leads_to_its_own_room_at_a_real_place(changed: dict[str, str], why: str) -> None:
    """What cannot be followed is said in a sentence that names it."""
    assert why == calling.wrong(ACCOUNT, replace(SETUP, **changed))  # type: ignore[arg-type]


def test_a_user_learns_what_the_relay_told_of_the_other_end() -> None:
    """All that a setup tells is there, dialled or not, and nothing where it tells nothing."""
    told: dict[str, Any] = {"peer_direct_addr": LARGE, "peer_local_addrs": [LAN]}
    nothing: dict[str, Any] = {}
    for members in (told, nothing):
        made = raced(AcceptMode.ACCEPT_TRUSTED, **members)
        expected = [LARGE, LAN] if members else []
        assert expected == calling.setting(replace(SETUP, **members), made)["told"]
