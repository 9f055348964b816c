"""Proof: which hellos prove a fingerprint, to whom, and when; links try it further in test_links."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from reference.core.messages import FederationHello
from reference.core.proof import AGE, coloned, plain, unproven
from tests.mesh import EPOCH, hello, shown

GOOD = hello("south", "north")
NORTH, WEST = plain(shown("north")), plain(shown("west"))


@pytest.mark.parametrize(
    ("word", "own", "wall", "reason"),
    [
        (GOOD, NORTH, EPOCH, ""),
        (GOOD, NORTH, EPOCH + AGE, ""),
        (GOOD, NORTH, EPOCH + AGE + 1, f"the proof is of the time {EPOCH:.0f}, and here it is"),
        (GOOD, NORTH, EPOCH - AGE - 1, f"the proof is of the time {EPOCH:.0f}, and here it is"),
        (GOOD, WEST, EPOCH, "the signature is wrong, or for another relay"),
        (replace(GOOD, tls_fingerprint=shown("west")), NORTH, EPOCH, "the certificate has another finger"),
        (replace(GOOD, signature=None), NORTH, EPOCH, "the hello proves nothing"),
        (replace(GOOD, signature=bytes(64)), NORTH, EPOCH, "the signature is wrong, or for another relay"),
    ],
)
def test_a_hello_proves_its_fingerprint(word: FederationHello, own: str, wall: float, reason: str) -> None:
    """Only the relay that is named has signed it, for the relay that hears it, at this time; or why not."""
    told = unproven(word, own, wall)
    assert (reason, bool(reason)) == (told[: len(reason)], bool(told))


@pytest.mark.parametrize("text", ["ab" * 32, ":".join(["AB"] * 32)])
def test_a_fingerprint_is_written_in_one_way(text: str) -> None:
    """Colons and capitals do not matter where fingerprints are compared (federation, Links)."""
    assert "ab" * 32 == plain(text)
    assert ":".join(["ab"] * 32) == coloned(plain(text))


def test_only_an_ed25519_key_proves_anything() -> None:
    """A certificate with a key of another kind is told apart, and so is one that cannot be read."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    dated = built.not_valid_before(datetime(1975, 1, 1, tzinfo=UTC)).not_valid_after(
        datetime(4096, 1, 1, tzinfo=UTC)
    )
    odd = dated.serial_number(1).sign(key, SHA256()).public_bytes(Encoding.DER)
    for certificate, reason in (
        (odd, "the certificate's key is no Ed25519 key"),
        (b"", "the signature is wrong, or for another relay"),
    ):
        fingerprint = hashlib.sha256(certificate).hexdigest()
        word = FederationHello(
            tls_fingerprint=coloned(fingerprint), certificate=certificate, time=0, signature=b""
        )
        assert reason == unproven(word, plain(shown("north")), 0.0)
