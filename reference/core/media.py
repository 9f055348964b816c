"""Media (spec/media.md): the datagram, the handshake of a room, and who sits in it.

The session key of the handshake is derived as deployed peers derive it, and protects nothing:
media is plain inside each QUIC hop until phase 10 (spec/security.md).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from reference.core.errors import Misuse
from reference.core.registration import derive, verified
from reference.core.strict_json import JsonObject

HEADER = struct.Struct(">BBHIBBBB")
HEADER_SIZE = HEADER.size
REPORT_SIZE = 4
DATAGRAM_LIMIT = 1150
"""The largest datagram a sender makes, in bytes (MEDIA-28)."""
FRAME_MS = 20
COMFORT_EVERY = 10
"""Frames that pass unsent for one datagram of ComfortNoise (MEDIA-33)."""
COMFORT_LEVEL = 50
GOOD: JsonObject = {"codec": "Opus24k", "fec_ratio": 0.2, "frame_duration_ms": 20, "frames_per_block": 5}
"""The QualityProfile that every implementation sends and plays (spec/media.md)."""
OFFER = b"call-offer"
ANSWER = b"call-answer"


class Codec(IntEnum):
    """Codec ids of the header (media, table of codecs); 9 to 15 are dropped."""

    OPUS_24K = 0
    OPUS_16K = 1
    OPUS_6K = 2
    CODEC2_3200 = 3
    CODEC2_1200 = 4
    COMFORT_NOISE = 5
    OPUS_32K = 6
    OPUS_48K = 7
    OPUS_64K = 8


def encode_fec_ratio(ratio: float) -> int:
    """Return the 7-bit code of a repair ratio of 0.0 to 2.0 (media, The datagram)."""
    return min(127, int(ratio * 63.5 + 0.5))


@dataclass(frozen=True, slots=True)
class Header:
    """The 12 bytes in front of every payload; `fec_ratio` is the 7-bit code, `timestamp` in ms."""

    codec: int
    sequence: int
    timestamp: int
    version: bool = False
    repair: bool = False
    report: bool = False
    fec_ratio: int = 0
    fec_block: int = 0
    fec_symbol: int = 0
    reserved: int = 0
    csrc_count: int = 0
    low_bits: int = 0

    @classmethod
    def decode(cls, datagram: bytes) -> Header:
        """Read the header; raises Misuse when the datagram was not checked with `unfit` before."""
        if len(datagram) < HEADER_SIZE:
            message = f"a datagram of {len(datagram)} bytes has no header"
            raise Misuse(message)
        first, second, sequence, timestamp, block, symbol, reserved, csrc = HEADER.unpack_from(datagram)
        return cls(
            codec=first >> 2 & 15,
            sequence=sequence,
            timestamp=timestamp,
            version=bool(first & 128),
            repair=bool(first & 64),
            report=bool(first & 2),
            fec_ratio=(first & 1) << 6 | second >> 2,
            fec_block=block,
            fec_symbol=symbol,
            reserved=reserved,
            csrc_count=csrc,
            low_bits=second & 3,
        )

    def encode(self) -> bytes:
        """Return the 12 bytes."""
        first = (
            self.version << 7 | self.repair << 6 | self.codec << 2 | self.report << 1 | self.fec_ratio >> 6
        )
        return HEADER.pack(
            first,
            (self.fec_ratio & 63) << 2 | self.low_bits,
            self.sequence,
            self.timestamp,
            self.fec_block,
            self.fec_symbol,
            self.reserved,
            self.csrc_count,
        )


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The last four bytes when Q is set: loss 0..255, round trip in 4 ms, jitter in ms, cap in kbit/s."""

    loss: int
    round_trip: int
    jitter: int
    cap: int = 200

    @classmethod
    def measured(cls, loss_percent: float, round_trip_ms: float, jitter_ms: float) -> QualityReport:
        """Scale measurements into the four bytes; what does not fit is capped at 255."""
        loss = int(min(loss_percent, 100.0) * 255 / 100)
        return cls(loss, min(255, int(round_trip_ms / 4)), min(255, int(jitter_ms)))

    def encode(self) -> bytes:
        """Return the four bytes."""
        return bytes((self.loss, self.round_trip, self.jitter, self.cap))


def split(datagram: bytes) -> tuple[Header, bytes, QualityReport | None]:
    """Return header, payload and report of a datagram that is not `unfit`."""
    header = Header.decode(datagram)
    if not header.report:
        return header, datagram[HEADER_SIZE:], None
    return header, datagram[HEADER_SIZE:-REPORT_SIZE], QualityReport(*datagram[-REPORT_SIZE:])


def unfit(datagram: bytes) -> str:
    """Return why a relay drops this datagram, or "" when it forwards it (MEDIA-20, MEDIA-21, MEDIA-22)."""
    if len(datagram) < HEADER_SIZE:
        return "short"
    if datagram[0] >> 2 & 15 > Codec.OPUS_64K:
        return "codec"
    if datagram[0] & 2 and len(datagram) < HEADER_SIZE + REPORT_SIZE:
        return "report"
    return ""


@dataclass(slots=True)
class Sender:
    """Numbers the datagrams of one side of one call, for all of its life (MEDIA-26, MEDIA-27)."""

    codec: Codec = Codec.OPUS_24K
    sequence: int = 0
    timestamp: int = 0
    frame_ms: int = FRAME_MS
    paused: int = 0

    def datagram(self, payload: bytes) -> bytes:
        """Return the datagram of the next frame; raises Misuse over 1150 bytes (MEDIA-28)."""
        if HEADER_SIZE + len(payload) > DATAGRAM_LIMIT:
            message = f"a payload of {len(payload)} bytes makes a datagram of more than {DATAGRAM_LIMIT}"
            raise Misuse(message)
        data = self._header(self.codec) + payload
        self.pause()
        self.paused = 0
        return data

    def pause(self) -> None:
        """Let a frame's time pass without sending it."""
        self.timestamp = (self.timestamp + self.frame_ms) % 2**32
        self.paused += 1

    def comfort(self) -> bytes | None:
        """Return a datagram of ComfortNoise when enough frames have passed unsent, else None (MEDIA-33)."""
        if not self.paused or self.paused % COMFORT_EVERY:
            return None
        return self._header(Codec.COMFORT_NOISE) + bytes((COMFORT_LEVEL,))

    def _header(self, codec: Codec) -> bytes:
        header = Header(codec=codec, sequence=self.sequence, timestamp=self.timestamp)
        self.sequence = (self.sequence + 1) % 65536
        return header.encode()


@dataclass(slots=True)
class Room:
    """The media room of one Active call: a seat a fingerprint, in order of joining, and the names to show."""

    seats: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, str | None] = field(default_factory=dict)

    def sit(self, fingerprint: str, session: int, alias: str | None) -> int | None:
        """Give the seat to `session`; return the session that held it (MEDIA-10, MEDIA-11)."""
        older = self.seats.pop(fingerprint, None)
        self.seats[fingerprint] = session
        self.aliases[fingerprint] = alias
        return older

    def leave(self, fingerprint: str, session: int) -> bool:
        """Free the seat if `session` still holds it; tell whether it did."""
        if self.seats.get(fingerprint) != session:
            return False
        del self.seats[fingerprint], self.aliases[fingerprint]
        return True

    def participants(self) -> list[dict[str, str | None]]:
        """Return the participants as RoomUpdate lists them."""
        return [{"fingerprint": who, "alias": self.aliases[who], "relay_label": None} for who in self.seats]


def ephemeral_public(private: bytes) -> bytes:
    """Return the X25519 public key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def introduced(public: bytes, ephemeral: bytes, signature: bytes, constant: bytes) -> bool:
    """Tell whether a CallOffer or CallAnswer is signed by the key that it names (MEDIA-2, MEDIA-6)."""
    return verified(public, signature, ephemeral + constant)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What both ends derive from the handshake: a 32-byte key, its 4-byte id, and a code to read aloud."""

    key: bytes
    session_id: bytes
    code: int

    @classmethod
    def agree(cls, private: bytes, peer_public: bytes) -> SessionKey:
        """Derive the session from our X25519 private bytes and the other end's public ones."""
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(peer_public)
        )
        key = derive(shared, b"warzone-session-key")
        code = int.from_bytes(derive(shared, b"warzone-sas-code", 4), "big") % 10000
        return cls(key, hashlib.sha256(key).digest()[:4], code)

    def nonce(self, counter: int, direction: int = 0) -> bytes:
        """Return the 12-byte AEAD nonce of the `counter`-th packet."""
        return self.session_id + counter.to_bytes(4, "big") + bytes((direction, 0, 0, 0))
