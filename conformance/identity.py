"""Identities (spec/registration.md, Identity) and what they sign.

Every identity of a run follows from the run's seed, the check and the person's name, so that the same
seed gives the same run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ZERO_KEY = bytes(32)
PROFILE = {"codec": "Opus24k", "fec_ratio": 0.2, "frame_duration_ms": 20, "frames_per_block": 5}


def fingerprint(public_key: bytes) -> str:
    """Return the fingerprint of an Ed25519 public key of 32 bytes."""
    text = hashlib.sha256(public_key).hexdigest()[:32]
    return ":".join(text[at : at + 4] for at in range(0, 32, 4))


def verifies(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """Tell whether an Ed25519 signature is right."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Identity:
    """One person: a seed of 32 bytes and what is derived from it."""

    seed: bytes

    @classmethod
    def named(cls, *words: object) -> Identity:
        """Return the identity that these words always give."""
        return cls(hashlib.sha256("\0".join(str(word) for word in words).encode()).digest())

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        derived = HKDF(SHA256(), 32, None, b"warzone-ed25519").derive(self.seed)
        return Ed25519PrivateKey.from_private_bytes(derived)

    @cached_property
    def public(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @cached_property
    def fingerprint(self) -> str:
        """The text that others call."""
        return fingerprint(self.public)

    def sign(self, signed: bytes) -> bytes:
        """Return an Ed25519 signature, 64 bytes."""
        return self._key.sign(signed)

    def registration(self, signature: bytes | None = None) -> dict[str, Any]:
        """Return RegisterPresence, rightly signed unless another signature is given."""
        if signature is None:
            signature = self.sign(b"register-presence" + self.public)
        body = {"identity_pub": [*self.public], "signature": [*signature], "alias": "puppet"}
        return {"RegisterPresence": body}

    def offer(self, target: str, call_id: str, **others: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return DirectCallOffer to the fingerprint `target`; `others` are further members."""
        body = {
            "caller_fingerprint": self.fingerprint,
            "caller_alias": "puppet",
            "target_fingerprint": target,
            "call_id": call_id,
            "identity_pub": [*self.public],
            "ephemeral_pub": [0] * 32,
            "signature": [],
            "supported_profiles": [dict(PROFILE)],
        }
        return {"DirectCallOffer": body | others}

    def admission(self, signer: Identity | None = None) -> dict[str, Any]:
        """Return CallOffer, the introduction to a media room; `signer` signs in the place of self."""
        ephemeral = hashlib.sha256(b"ephemeral" + self.seed).digest()
        body = {
            "identity_pub": [*self.public],
            "ephemeral_pub": [*ephemeral],
            "signature": [*(signer or self).sign(ephemeral + b"call-offer")],
            "supported_profiles": [dict(PROFILE)],
            "alias": "puppet",
        }
        return {"CallOffer": body}


def answer(call_id: str, mode: str = "AcceptTrusted", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return DirectCallAnswer."""
    return {"DirectCallAnswer": {"call_id": call_id, "accept_mode": mode} | others}


def hangup(reason: str = "Normal", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return Hangup."""
    return {"Hangup": {"reason": reason} | others}


def ping(number: int) -> dict[str, Any]:
    """Return Ping."""
    return {"Ping": {"timestamp_ms": number}}
