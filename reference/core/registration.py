"""Registration (spec/registration.md): identities, the policy, and who owns a fingerprint.

Who sent a message is decided by its connection alone; `Presence` is that decision's memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reference.core.errors import Misuse

ZERO_KEY = bytes(32)
REGISTER = b"register-presence"
KEY_SIZE = 32
SIGNATURE_SIZE = 64


def derive(key: bytes, info: bytes, length: int = 32) -> bytes:
    """Return HKDF-SHA256 (RFC 5869) of `key` without salt."""
    return HKDF(SHA256(), length, None, info).derive(key)


def fingerprint(public: bytes) -> str:
    """Return the fingerprint of a 32-byte Ed25519 public key: 39 characters (registration, Identity)."""
    digits = hashlib.sha256(public).hexdigest()[:32]
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


def verified(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Tell whether `signature` over `signed` is that of the Ed25519 key `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity: a 32-byte seed and what is derived from it."""

    seed: bytes
    public: bytes
    fingerprint: str

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        """Derive an identity; raises Misuse when the seed is not 32 bytes."""
        if len(seed) != KEY_SIZE:
            message = f"a seed has 32 bytes, not {len(seed)}"
            raise Misuse(message)
        private = Ed25519PrivateKey.from_private_bytes(derive(seed, b"warzone-ed25519"))
        public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return cls(seed, public, fingerprint(public))

    def sign(self, data: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over `data`."""
        return Ed25519PrivateKey.from_private_bytes(derive(self.seed, b"warzone-ed25519")).sign(data)

    def tls_private_seed(self) -> bytes:
        """Return the 32-byte Ed25519 private seed of a relay's TLS key."""
        return derive(self.seed, b"wzp-tls-ed25519")

    def registration_signature(self) -> bytes:
        """Return the signature of a RegisterPresence (registration, Registering)."""
        return self.sign(REGISTER + self.public)


class Policy(StrEnum):
    """Which registrations a relay accepts (registration, table of policies)."""

    SIGNED = "signed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Registrant:
    """What a connection has registered as; `signed` tells whether it proved its key."""

    fingerprint: str
    signed: bool
    alias: str | None = None
    zero: bool = False


class Presence:
    """Who is reachable: fingerprint → newest session, session → registrant."""

    def __init__(self) -> None:
        """Start empty."""
        self._sessions: dict[str, int] = {}
        self._registrants: dict[int, Registrant] = {}

    def __len__(self) -> int:
        """Return how many fingerprints can be called."""
        return len(self._sessions)

    def session(self, of: str) -> int | None:
        """Return the newest session of the fingerprint `of`, or None when nobody can be called there."""
        return self._sessions.get(of)

    def registrant(self, session: int) -> Registrant | None:
        """Return what `session` registered as, or None."""
        return self._registrants.get(session)

    def refusal(self, public: bytes, signature: bytes, policy: Policy) -> str:
        """Return why a registration is refused, or "" when it is not (REG-3, REG-4, REG-7, REG-14)."""
        if signature:
            whole = len(signature) == SIGNATURE_SIZE and public != ZERO_KEY
            right = whole and verified(public, signature, REGISTER + public)
            return (
                "" if right else "the signature is wrong: it has to cover register-presence and identity_pub"
            )
        if policy is Policy.SIGNED:
            return "the signature is missing: this relay accepts signed registrations only"
        holder = self._sessions.get(fingerprint(public))
        if holder is not None and self._registrants[holder].signed:
            return "the signature is missing: a signed registration holds this fingerprint"
        return ""

    def register(self, session: int, who: Registrant) -> int | None:
        """Make `session` the newest of its fingerprint; return what it replaces (REG-11, REG-12)."""
        self._registrants[session] = who
        if who.zero:  # nobody's key: never callable, and never in another probe's way (REG-17, REG-19)
            return None
        older = self._sessions.get(who.fingerprint)
        self._sessions[who.fingerprint] = session
        return older

    def forget(self, session: int) -> str | None:
        """Forget `session`; return its fingerprint if that has now become unreachable (REG-13)."""
        who = self._registrants.pop(session, None)
        if who is None or self._sessions.get(who.fingerprint) != session:
            return None
        del self._sessions[who.fingerprint]
        return who.fingerprint
