"""Credentials (spec/transport.md): the Ed25519 key and the certificate that a QUIC server shows.

The certificate is a function of the key alone, so the fingerprint of a key never changes. Nobody
verifies names or dates: a peer is known by its fingerprint.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from reference.core.errors import Misuse

_SEED_BYTES = 32
_VALID_FROM = datetime(1975, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(4096, 1, 1, tzinfo=UTC)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the certificate's DER: 32 lower-case hex pairs joined by colons."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest().hex(":")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key with its self-signed certificate for the name `localhost`."""

    certificate: x509.Certificate
    private_key: Ed25519PrivateKey

    @classmethod
    def from_private_seed(cls, seed: bytes) -> Self:
        """Return the credentials of a 32-byte Ed25519 private seed (RFC 8032), always the same ones.

        Raises Misuse when the seed is not 32 bytes long.
        """
        if len(seed) != _SEED_BYTES:
            raise Misuse(f"a private seed has {_SEED_BYTES} bytes, not {len(seed)}")
        private_key = Ed25519PrivateKey.from_private_bytes(seed)
        public_key = private_key.public_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "directcall")])
        digest = hashlib.sha256(public_key.public_bytes_raw()).digest()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public_key)
            # A serial is positive and has at most 20 bytes (RFC 5280 section 4.1.2.2).
            .serial_number((int.from_bytes(digest[:20], "big") >> 1) | 1)
            .not_valid_before(_VALID_FROM)
            .not_valid_after(_VALID_UNTIL)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(private_key, None)
        )
        return cls(certificate, private_key)

    @classmethod
    def fresh(cls) -> Self:
        """Return the credentials of a fresh random key: for whoever is known by no key (a client)."""
        return cls.from_private_seed(secrets.token_bytes(_SEED_BYTES))

    @property
    def fingerprint(self) -> str:
        """The certificate's fingerprint, 95 characters."""
        return fingerprint_of(self.certificate)
