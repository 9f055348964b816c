"""Registration: identities, the two policies, and who owns a fingerprint."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.errors import Misuse
from reference.core.registration import (
    REGISTER,
    ZERO_KEY,
    Identity,
    Policy,
    Presence,
    Registrant,
    fingerprint,
    verified,
)
from tests.world import identity

ALICE, BOB = identity("alice"), identity("bob")
RIGHT = ALICE.registration_signature()
WRONG = {
    "of another key": BOB.registration_signature(),
    "of another text": ALICE.sign(ALICE.public),
    "flipped": bytes([RIGHT[0] ^ 1]) + RIGHT[1:],
    "short": RIGHT[:63],
    "long": RIGHT + b"\0",
    "zeros": bytes(64),
    "one byte": b"\0",
}


def registrant(who: Identity = ALICE, *, signed: bool = True) -> Registrant:
    """Return what a connection registers as."""
    return Registrant(who.fingerprint, signed)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_signature_is_refused_under_every_policy(policy: Policy, wrong: str) -> None:
    """A signature that is neither empty nor right is refused, and the reason says why (REG-4)."""
    assert "signature is wrong" in Presence().refusal(ALICE.public, WRONG[wrong], policy)


@pytest.mark.parametrize("policy", Policy)
def test_a_right_signature_is_accepted_under_every_policy(policy: Policy) -> None:
    """A signature over register-presence and the key is right."""
    assert verified(ALICE.public, RIGHT, REGISTER + ALICE.public)
    assert "" == Presence().refusal(ALICE.public, RIGHT, policy)


def test_no_signature_is_a_matter_of_policy() -> None:
    """Without a signature nobody registers under `signed`, and everybody under `open`."""
    assert "signature is missing" in Presence().refusal(ALICE.public, b"", Policy.SIGNED)
    assert "" == Presence().refusal(ALICE.public, b"", Policy.OPEN)


def test_a_signed_holder_is_not_thrown_out_unsigned() -> None:
    """Under `open` the fingerprint of a signed registration is not had without a signature (REG-14)."""
    presence = Presence()
    presence.register(1, registrant(signed=True))
    assert "a signed registration holds" in presence.refusal(ALICE.public, b"", Policy.OPEN)
    assert "" == presence.refusal(ALICE.public, RIGHT, Policy.OPEN)
    assert "" == presence.refusal(BOB.public, b"", Policy.OPEN)


def test_an_unsigned_holder_is_replaced_unsigned() -> None:
    """Under `open` an unsigned registration gives way to any other, and after it has gone to all."""
    presence = Presence()
    presence.register(1, registrant(signed=False))
    assert "" == presence.refusal(ALICE.public, b"", Policy.OPEN)
    presence.register(2, registrant(signed=True))
    presence.forget(2)
    assert "" == presence.refusal(ALICE.public, b"", Policy.OPEN)


def test_the_newest_registration_wins() -> None:
    """A fingerprint is where it registered last, and the older session is named (REG-11, REG-12)."""
    presence = Presence()
    assert None is presence.register(1, registrant())
    assert 1 == presence.register(2, registrant())
    assert 2 == presence.session(ALICE.fingerprint)


def test_the_end_of_a_replaced_session_changes_nothing() -> None:
    """Only the end of the newest session makes a fingerprint unreachable (REG-13)."""
    presence = Presence()
    presence.register(1, registrant())
    presence.register(2, registrant())
    assert None is presence.forget(1)
    assert 2 == presence.session(ALICE.fingerprint)
    assert ALICE.fingerprint == presence.forget(2)
    assert None is presence.session(ALICE.fingerprint)
    assert None is presence.forget(2)
    assert 0 == len(presence)


@pytest.mark.parametrize("policy", Policy)
def test_nobody_signs_for_the_zero_key(policy: Policy) -> None:
    """The zero key is a point of order four, and what verifies under it proves nothing: it is refused."""
    forged = b"\xec" + b"\xff" * 30 + b"\x7f" + bytes(32)  # the point of order two, made without a secret
    assert verified(ZERO_KEY, forged, REGISTER + ZERO_KEY)
    assert "signature is wrong" in Presence().refusal(ZERO_KEY, forged, policy)


def test_the_zero_key_is_nobody() -> None:
    """Any number of sessions hold the zero key, and none of them can be called (REG-17, REG-19)."""
    presence = Presence()
    zero = Registrant(fingerprint(ZERO_KEY), signed=False, zero=True)
    assert [None, None] == [presence.register(session, zero) for session in (1, 2)]
    assert None is presence.session(zero.fingerprint)
    assert [zero, zero] == [presence.registrant(session) for session in (1, 2)]
    assert [None, None] == [presence.forget(session) for session in (1, 2)]
    assert {} == presence._registrants


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size: int) -> None:
    """A seed of another size is a mistake of the caller of the function, which names the size."""
    with pytest.raises(Misuse, match=f"not {size}"):
        Identity.from_seed(bytes(size))


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_what_is_no_key_verifies_nothing(key: bytes) -> None:
    """A key that no curve has, or of another size, is an answer and not an error."""
    assert not verified(key, RIGHT, REGISTER + ALICE.public)


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_an_identity_verifies_what_it_signs(seed: bytes, data: bytes) -> None:
    """Whatever the seed, its key verifies its signatures over these bytes and over no others."""
    who = Identity.from_seed(seed)
    assert verified(who.public, who.sign(data), data)
    assert not verified(who.public, who.sign(data), data + b"x")
    assert who == Identity.from_seed(seed)
