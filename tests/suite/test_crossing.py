"""Tests of what puppets say in each phase, of the candidates that are drawn, and of how leaks are found."""

from __future__ import annotations

import pytest
from aioquic.quic import events

from conformance import codec, identity, spec, validation
from conformance.crossing import Candidates, Intrigue, Secret
from conformance.ground import Memory
from conformance.identity import ABSENT, Identity
from conformance.pulse import Pulse
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.targets import Target

ALICE, BOB = (Identity.named("seed", name) for name in ("alice", "bob"))


def stage(seed: str, phase: str = spec.NEWEST) -> Stage:
    """Return a stage without anybody."""
    target = Target("udp:127.0.0.1:9", phase=phase)
    return Stage(target, target.relay("signed"), seed, slow=1.0, memory=Memory(), phase=phase)


@pytest.mark.parametrize("phase", spec.REACHED)
def test_a_person_speaks_as_a_client_of_its_phase(phase: str) -> None:
    """What is said without being told otherwise passes the emit view of the phase."""
    one = ALICE.of(phase)
    said: list[codec.Message] = [one.registration(), one.offer(BOB.fingerprint, "c1"), one.hangup("c1")]
    said += [one.answer("c1", mode) for mode in ("AcceptTrusted", "AcceptGeneric", "Reject")]
    said += [identity.report("c1", direct_ok=False)] if spec.exists("6", phase) else []
    assert [] == [fault for message in said for fault in validation.faults(message, phase, "emit")]


@pytest.mark.parametrize("phase", spec.REACHED)
def test_a_person_says_all_that_its_phase_has(phase: str) -> None:
    """No member of an offer, an answer or a Hangup that is younger than phase 0 is forgotten."""
    one = ALICE.of(phase)
    for message in (one.offer(BOB.fingerprint, "c1"), one.answer("c1"), one.hangup("c1")):
        name, body = codec.name_of(message), codec.body_of(message)
        expected = {member for of, member in spec.younger("0") - spec.younger(phase) if of == name}
        assert expected == {member for of, member in spec.younger("0") if of == name and member in body}


def test_a_member_can_be_left_out() -> None:
    """ABSENT takes a member out that the phase would have."""
    told = ALICE.offer(BOB.fingerprint, "c1", caller_reflexive_addr=ABSENT)["DirectCallOffer"]
    assert "caller_reflexive_addr" not in told
    assert "caller_local_addrs" in told


def test_who_does_not_trust_advertises_nothing() -> None:
    """The candidates of a puppet are in an AcceptTrusted only, unless a check says otherwise."""
    for mode in ("AcceptGeneric", "Reject"):
        assert {"call_id", "accept_mode", "callee_build_version"} == set(
            ALICE.answer("c1", mode)["DirectCallAnswer"]
        )


def test_candidates_follow_from_the_seed() -> None:
    """The same seed draws the same candidates, another one others."""
    drawn = [Candidates(stage(seed)).advertised("caller") for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]


def test_no_candidate_is_a_part_of_another() -> None:
    """Whoever finds one in what arrived has not found another one."""
    draw = Candidates(stage("1"))
    texts = [draw.any() for _ in range(200)]
    assert [] == [(one, other) for one in texts for other in texts if one is not other and one in other]


def test_host_candidates_are_drawn_since_their_phase() -> None:
    """Before phase 5.5 nobody has any."""
    assert {"caller_reflexive_addr"} == set(Candidates(stage("1", "3")).advertised("caller"))


def hearing(name: str, who: Identity, data: bytes, on: Stage) -> Puppet:
    """Return a puppet on a stage to which these bytes came, in pieces."""
    puppet = Puppet(name, who, on.dialogue, Pulse(), on.phase)
    for piece in (data[:7], data[7:]):
        puppet.notice(events.StreamDataReceived(data=piece, end_stream=False, stream_id=1))
    on.puppets.append(puppet)
    return puppet


SETUP = {"CallSetup": {"call_id": "c1", "room": "call-c1", "relay_addr": "192.0.2.1:1"}}


@pytest.mark.parametrize("candidate", ["203.0.113.9:4433", 'straße "1"\\'])
@pytest.mark.parametrize(
    ("call_id", "who", "leaks"),
    [("c1", BOB, 0), ("c1", ALICE, 1), ("c2", BOB, 1)],
    ids=["the other party", "somebody else", "of another call"],
)
def test_a_leak_is_found(candidate: str, call_id: str, who: Identity, leaks: int) -> None:
    """A candidate may reach those it is for, and them in messages of its own call only."""
    on = stage("1")
    intrigue = Intrigue(on)
    intrigue.secrets.append(Secret(candidate, call_id, frozenset({BOB.fingerprint})))
    body = SETUP["CallSetup"] | {"peer_direct_addr": candidate}
    hearing("somebody", who, codec.encode({"CallSetup": body}), on)
    assert leaks == len(intrigue.leaks())


def test_a_leak_is_found_in_what_is_no_message() -> None:
    """Bytes that nobody can read are searched too, also where the text is escaped in them."""
    on = stage("1")
    intrigue = Intrigue(on)
    intrigue.secrets.append(Secret("straße 1", "c1", frozenset()))
    hearing("somebody", ALICE, b'\0\0\0\xffnot whole: "stra\\u00dfe 1"', on)
    assert 1 == len(intrigue.leaks())
