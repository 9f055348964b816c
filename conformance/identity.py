"""Identities (spec/registration.md, Identity) and what they sign.

Every identity of a run follows from the run's seed, the check and the person's name, so that the same
seed gives the same run. A person speaks as a client of its phase does, and says all that such a client may
say: whoever has candidates advertises them, and a Hangup names its call.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import schemas
from conformance.spec import NEWEST, exists

ZERO_KEY = bytes(32)
ANONYMOUS = {"RegisterPresence": {"identity_pub": [*ZERO_KEY], "signature": [], "alias": "probe"}}
"""The registration of the zero key."""
ABSENT = object()
"""The value of a member that is to be left out."""
BUILD = "puppet"
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
    """One person: a seed of 32 bytes and what is derived from it, and the phase of its client."""

    seed: bytes
    phase: str = NEWEST

    @classmethod
    def named(cls, *words: object, phase: str = NEWEST) -> Identity:
        """Return the identity that these words always give."""
        return cls(hashlib.sha256("\0".join(str(word) for word in words).encode()).digest(), phase)

    def of(self, phase: str) -> Identity:
        """Return the same person with a client of another phase."""
        return replace(self, phase=phase)

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

    @property
    def reflexive(self) -> str:
        """An address for documentation, as if a relay had observed it."""
        return f"203.0.113.{self.seed[0]}:{40_000 + self.seed[1]}"

    @property
    def local(self) -> list[str]:
        """Two addresses as if they were those of the person's interfaces."""
        port = 50_000 + self.seed[2]
        return [f"10.{self.seed[3]}.{self.seed[4]}.1:{port}", f"[2001:db8::{self.seed[5] + 1:x}]:{port}"]

    def _known(self, members: dict[str, tuple[str, Any]]) -> dict[str, Any]:
        """Return those members that the phase knows; each comes with the phase it exists since."""
        return {name: value for name, (since, value) in members.items() if exists(since, self.phase)}

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
        later: dict[str, tuple[str, Any]] = {
            "caller_reflexive_addr": ("3", self.reflexive),
            "caller_local_addrs": ("5.5", self.local),
            "caller_build_version": ("7", BUILD),
        }
        return _present("DirectCallOffer", body | self._known(later) | others)

    def answer(self, call_id: str, mode: str = "AcceptTrusted", **others: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return DirectCallAnswer; candidates are in it when it trusts (PRIV-8)."""
        candidates: dict[str, tuple[str, Any]] = {
            "callee_reflexive_addr": ("3", self.reflexive),
            "callee_local_addrs": ("5.5", self.local),
        }
        later: dict[str, tuple[str, Any]] = candidates if mode == "AcceptTrusted" else {}
        later = later | {"callee_build_version": ("7", BUILD)}
        body = {"call_id": call_id, "accept_mode": mode}
        return _present("DirectCallAnswer", body | self._known(later) | others)

    def hangup(self, call_id: str, reason: str = "Normal", **others: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Hangup of one call, which names it since phase 7."""
        return hangup(reason, **self._known({"call_id": ("7", call_id)}), **others)

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


def hangup(reason: str = "Normal", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return Hangup, which names no call unless `others` does."""
    return _present("Hangup", {"reason": reason} | others)


def report(call_id: str, *, direct_ok: bool = True, **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return MediaPathReport."""
    body = {"call_id": call_id, "direct_ok": direct_ok, "race_winner": "Direct" if direct_ok else "Relay"}
    return _present("MediaPathReport", body | others)


def ping(number: int) -> dict[str, Any]:
    """Return Ping."""
    return {"Ping": {"timestamp_ms": number}}


@cache
def _order(message: str) -> tuple[str, ...]:
    return tuple(schemas.view(NEWEST, "emit")["$defs"][message]["properties"])


def _present(message: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message without what is absent, its members in the order of the schema and then the others."""
    known = {name: body[name] for name in _order(message) if name in body}
    return {message: {name: value for name, value in (known | body).items() if value is not ABSENT}}
