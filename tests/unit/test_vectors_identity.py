"""Vectors: identities, signatures and the session key are those of deployed peers, byte for byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from reference.core import media
from reference.core.call import room_name, tag_of
from reference.core.media import SessionKey
from reference.core.registration import REGISTER, ZERO_KEY, Identity, derive, fingerprint, verified

VECTORS = Path(__file__).parents[1] / "vectors"
IDENTITY: dict[str, Any] = json.loads((VECTORS / "identity.json").read_text(encoding="utf-8"))
SESSION: dict[str, Any] = json.loads((VECTORS / "session.json").read_text(encoding="utf-8"))
ROOMS: dict[str, Any] = json.loads((VECTORS / "rooms.json").read_text(encoding="utf-8"))
CONSTANTS = {"CallOffer": media.OFFER, "CallAnswer": media.ANSWER, "RegisterPresence": REGISTER}
ELSEWHERE = {
    "notes": "prose",
    "hkdf": "used by the rows of identities and session",
    "seed_forms": "forms of a file, not of the wire",
    "rekey": "never run by deployed peers",
    "room_name_hash": "rooms other than calls are outside this protocol",
    "global_room_names": "which rooms deployed relays announce; ours announces those of its calls alone",
}
"""Parts of the vectors that are not compared here, and why."""


def unhex(row: dict[str, Any], key: str) -> bytes:
    """Return a member that is written in hex."""
    return bytes.fromhex(row[f"{key}_hex"])


def session_key() -> SessionKey:
    """Return what side a of the vectors derives."""
    return SessionKey.agree(unhex(SESSION["x25519"], "a_secret"), unhex(SESSION["x25519"], "b_public"))


@pytest.mark.parametrize("row", IDENTITY["identities"], ids=lambda row: row["seed_hex"][:8])
def test_an_identity_is_derived_as_deployed(row: dict[str, Any]) -> None:
    """The private seeds, the public key and the fingerprint follow from the seed."""
    who = Identity.from_seed(unhex(row, "seed"))
    infos = IDENTITY["hkdf"]["info"]
    assert unhex(row, "ed25519_private_seed") == derive(who.seed, infos["identity"].encode())
    assert unhex(row, "ed25519_public") == who.public
    assert row["fingerprint"] == who.fingerprint == fingerprint(who.public)
    assert unhex(row, "tls_ed25519_private_seed") == who.tls_private_seed()
    tls = Ed25519PrivateKey.from_private_bytes(who.tls_private_seed())
    assert unhex(row, "tls_ed25519_public") == tls.public_key().public_bytes_raw()


def test_the_zero_key_has_its_fingerprint() -> None:
    """The key of deployed probes is named as they name it."""
    assert unhex(IDENTITY["zero_key"], "ed25519_public") == ZERO_KEY
    assert IDENTITY["zero_key"]["fingerprint"] == fingerprint(ZERO_KEY)


def test_a_tls_fingerprint_is_written_as_deployed() -> None:
    """SHA-256 as 32 pairs of lowercase hex digits joined by colons."""
    row = IDENTITY["tls_fingerprint_format"]
    digest = hashlib.sha256(unhex(row, "input"))
    assert row["text"] == digest.digest().hex(":")
    assert (row["characters"], row["normalised"]) == (len(row["text"]), digest.hexdigest())


@pytest.mark.parametrize(
    "row", SESSION["signatures"], ids=lambda row: f"{row['message']}-{row['seed_hex'][:2]}"
)
def test_a_signature_is_made_as_deployed(row: dict[str, Any]) -> None:
    """What is signed, and the signature, are those of the vectors; it verifies, and over nothing else."""
    who = Identity.from_seed(unhex(row, "seed"))
    constant = CONSTANTS[row["message"]]
    assert row["constant"] == constant.decode()
    if row["message"] == "RegisterPresence":
        signed, made = REGISTER + who.public, who.registration_signature()
    else:
        public = media.ephemeral_public(unhex(row, "ephemeral_secret"))
        assert unhex(row, "ephemeral_pub") == public
        signed, made = public + constant, who.sign(public + constant)
        assert media.introduced(who.public, public, made, constant)
    assert (unhex(row, "signed"), unhex(row, "signature")) == (signed, made)
    assert verified(unhex(row, "ed25519_public"), made, signed)
    assert not verified(unhex(row, "ed25519_public"), made, signed + b"x")


def test_both_ends_derive_the_deployed_session() -> None:
    """Key, session id and spoken code are those of the vectors, whichever end derives them."""
    x25519 = SESSION["x25519"]
    for end in "ab":
        assert unhex(x25519, f"{end}_public") == media.ephemeral_public(unhex(x25519, f"{end}_secret"))
    private = X25519PrivateKey.from_private_bytes(unhex(x25519, "a_secret"))
    assert unhex(x25519, "shared") == private.exchange(
        X25519PublicKey.from_public_bytes(unhex(x25519, "b_public"))
    )
    mine = session_key()
    assert mine == SessionKey.agree(unhex(x25519, "b_secret"), unhex(x25519, "a_public"))
    assert unhex(SESSION["session_key"], "session_key") == mine.key
    assert unhex(SESSION["session_id"], "session_id") == mine.session_id
    assert SESSION["sas"]["sas"] == mine.code
    spoken = derive(unhex(x25519, "shared"), SESSION["sas"]["hkdf_info"].encode(), 4)
    assert unhex(SESSION["sas"], "bytes") == spoken


@pytest.mark.parametrize("row", SESSION["aead"], ids=lambda row: str(row["counter"]))
def test_a_packet_would_be_sealed_as_deployed(row: dict[str, Any]) -> None:
    """Nonce and ciphertext follow from the session, though no media is encrypted before phase 10."""
    mine = session_key()
    nonce = mine.nonce(row["counter"], row["direction"])
    assert unhex(row, "nonce") == nonce
    sealed = ChaCha20Poly1305(mine.key).encrypt(nonce, unhex(row, "plaintext"), unhex(row, "aad"))
    assert unhex(row, "ciphertext") == sealed


@pytest.mark.parametrize("row", ROOMS["call_rooms"], ids=lambda row: row["call_id"])
def test_a_room_is_named_as_deployed(row: dict[str, Any]) -> None:
    """The room, and the server name of its media connection, are the call_id behind call-."""
    assert row["room"] == room_name(row["call_id"])
    assert row["relay_media_sni"] == room_name(row["call_id"])


@pytest.mark.parametrize("row", ROOMS["federation_room_hash"], ids=lambda row: row["name"])
def test_the_tag_of_a_room_is_the_deployed_one(row: dict[str, Any]) -> None:
    """What stands in front of a room's media on a link follows from its name, letter case included."""
    assert unhex(row, "hash") == tag_of(row["name"])


def test_nothing_of_the_vectors_is_passed_over() -> None:
    """Each part of the three files is compared here, or it is said why not."""
    compared = {
        *("identities", "zero_key", "tls_fingerprint_format"),
        *("x25519", "session_key", "sas", "session_id", "aead", "signatures", "call_rooms"),
        "federation_room_hash",
    }
    assert {*IDENTITY, *SESSION, *ROOMS} == compared | set(ELSEWHERE)
    assert set(CONSTANTS) == {row["message"] for row in SESSION["signatures"]}
