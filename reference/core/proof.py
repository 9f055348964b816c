"""Proof (spec/federation.md, The proof): TLS fingerprints of relays, and how a hello proves one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from reference.core.messages import FederationHello

PROOF = b"directcall-link"
AGE = 300
"""Seconds that a proof may be old, or that two relays' clocks may differ (FED-3)."""


def plain(fingerprint: str) -> str:
    """Return a TLS fingerprint as it is compared: 64 hex digits in lower case (federation, Links)."""
    return fingerprint.replace(":", "").lower()


def coloned(fingerprint: str) -> str:
    """Return a plain fingerprint as it is written: 32 pairs joined by colons."""
    return bytes.fromhex(fingerprint).hex(":")


def statement(sender: str, receiver: str, time: int) -> bytes:
    """Return what the signature of a hello covers; fingerprints are plain (federation, The proof)."""
    return PROOF + bytes.fromhex(sender) + bytes.fromhex(receiver) + time.to_bytes(8, "big")


def unproven(hello: FederationHello, own: str, wall: float) -> str:
    """Return why a hello does not prove its fingerprint to the relay `own`, or "" (FED-2, FED-3)."""
    if hello.certificate is None or hello.time is None or hello.signature is None:
        return "the hello proves nothing"
    sender = plain(hello.tls_fingerprint)
    if hashlib.sha256(hello.certificate).hexdigest() != sender:
        return "the certificate has another fingerprint"
    if abs(hello.time - wall) > AGE:
        return f"the proof is of the time {hello.time}, and here it is {wall:.0f}"
    try:
        key = x509.load_der_x509_certificate(hello.certificate).public_key()
        if not isinstance(key, Ed25519PublicKey):
            return "the certificate's key is no Ed25519 key"
        key.verify(hello.signature, statement(sender, own, hello.time))
    except (InvalidSignature, ValueError):
        return "the signature is wrong, or for another relay"
    return ""
