"""Gathering (spec/reflection.md, spec/candidates.md): what is asked, waited for, and told."""

from __future__ import annotations

import pytest

from reference.core.effects import Effect, Gather, Send, Tell
from reference.core.gathering import Gathering
from reference.core.line import Account, Alarm, Leg, Way
from reference.core.messages import Reflect, ReflectResponse
from reference.core.phases import Phase
from reference.core.timers import Timers
from tests.world import RELAY, identity

OWN = "198.51.100.1:5000"
RESPONSE = ReflectResponse(observed_addr=OWN)
REFLECT = Send(Leg.SIGNAL, Reflect())
HOSTS = ("192.168.1.1:5000",)


def gathering(phase: Phase = Phase.DUAL_STACK, way: Way = Way.AUTO) -> Gathering:
    """Return a gathering that has not begun."""
    return Gathering(Account(identity("alice"), RELAY, phase=phase, way=way), Timers())


def begun(phase: Phase = Phase.DUAL_STACK) -> Gathering:
    """Return one that has, at 0."""
    made = gathering(phase)
    made.start(0.0)
    return made


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("phase", Phase)
def test_a_phase_asks_for_what_it_advertises(phase: Phase, way: Way) -> None:
    """The relay is asked since phase 3, the shell since 5.5, nobody for a user who wants the relay."""
    expected: list[Effect] = []
    if phase >= Phase.HOST_CANDIDATES:
        expected.append(Gather())
    if phase >= Phase.ADVERTISING:
        expected.append(REFLECT)
    made = gathering(phase, way)
    assert ([] if way is Way.RELAY else expected) == made.start(0.0)
    assert made.done is (way is Way.RELAY or not expected)


def test_what_has_not_begun_is_done() -> None:
    """Without a start nothing is waited for and nothing is known; answers that nobody asked for are none."""
    made = gathering()
    assert [] == made.reflected(RESPONSE)
    made.listed(HOSTS)
    assert (True, None, ()) == (made.done, made.reflexive, made.advertised_hosts)


def test_both_answers_make_it_done() -> None:
    """With the reflexive address the host candidates are waited for, and both are advertised."""
    made = begun()
    assert [Tell("reflexive", {"address": OWN})] == made.reflected(RESPONSE)
    assert False is made.done
    made.listed(HOSTS)
    assert (True, OWN, HOSTS) == (made.done, made.reflexive, made.advertised_hosts)
    assert 0 == len(made.timers)


def test_the_order_of_the_answers_does_not_matter() -> None:
    """The interfaces may be quicker than the relay."""
    made = begun()
    made.listed(HOSTS)
    assert False is made.done
    made.reflected(RESPONSE)
    assert (True, HOSTS) == (made.done, made.advertised_hosts)


def test_the_interfaces_have_a_tenth_of_a_second() -> None:
    """Then the reflexive address goes out alone, and what is listed later is dropped (CAND-11)."""
    made = begun()
    made.reflected(RESPONSE)
    assert [Alarm.HOSTS] == made.timers.due(0.1)
    assert [] == made.expire(Alarm.HOSTS)
    made.listed(HOSTS)
    assert (True, OWN, ()) == (made.done, made.reflexive, made.advertised_hosts)


def test_the_relay_has_a_second() -> None:
    """Then nothing is advertised, the host candidates neither, and a late answer is dropped (REFL-6)."""
    made = begun()
    made.listed(HOSTS)
    assert [Alarm.REFLECT] == made.timers.due(1.0)
    assert [Tell("reflexive", {"address": None})] == made.expire(Alarm.REFLECT)
    assert [] == made.reflected(RESPONSE)
    assert (True, None, ()) == (made.done, made.reflexive, made.advertised_hosts)


def test_without_an_address_nothing_else_is_waited_for() -> None:
    """An answer that is no address ends the wait for host candidates, which would be of no use."""
    made = begun()
    (told,) = made.reflected(ReflectResponse(observed_addr="[fe80::1%eth0]:1"))
    assert isinstance(told, Tell)
    assert "error" == told.event
    assert (True, None, ()) == (made.done, made.reflexive, made.advertised_hosts)


def test_an_address_is_told_in_the_one_text_form() -> None:
    """Whatever form the relay writes, the canonical one is advertised."""
    made = begun()
    made.reflected(ReflectResponse(observed_addr="[::ffff:198.51.100.1]:5000"))
    assert OWN == made.reflexive


def test_the_first_answer_counts() -> None:
    """A second ReflectResponse in one call changes nothing."""
    made = begun()
    made.reflected(RESPONSE)
    assert [] == made.reflected(ReflectResponse(observed_addr="192.0.2.2:2"))
    assert OWN == made.reflexive


@pytest.mark.parametrize("phase", [Phase.ADVERTISING, Phase.DUAL_STACK])
def test_closing_waits_for_nothing(phase: Phase) -> None:
    """A call that ends while it gathers leaves no alarm, and later answers mean nothing."""
    made = begun(phase)
    made.close()
    assert (True, 0) == (made.done, len(made.timers))
    assert [] == made.reflected(RESPONSE)
    made.listed(HOSTS)
    assert (None, ()) == (made.reflexive, tuple(made.hosts))
