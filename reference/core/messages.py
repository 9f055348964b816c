"""Messages (spec/wire.md): one class a message, its fields in the order of its schema.

A field is called as its member is. Keys and signatures are bytes; profiles and participants stay
JSON objects, so that members we do not know survive in them. An optional member that is absent or
null is None (WIRE-8), an optional list that is absent or empty is () (WIRE-13). `rest` holds the
members of the message itself that our phase does not know: nothing acts on them (WIRE-7), and they
go out again with the message (WIRE-11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from reference.core.errors import HangupReason

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""Any JSON value."""

JsonObject: TypeAlias = Mapping[str, Json]
"""A JSON object, such as a QualityProfile or a RoomParticipant."""


class AcceptMode(StrEnum):
    """What the callee decides (spec/call.md, table of accept modes)."""

    REJECT = "Reject"
    ACCEPT_TRUSTED = "AcceptTrusted"
    ACCEPT_GENERIC = "AcceptGeneric"


GOOD: JsonObject = {
    "codec": "Opus24k",
    "fec_ratio": 0.2,
    "frame_duration_ms": 20,
    "frames_per_block": 5,
}
"""The QualityProfile that every implementation sends and plays (spec/media.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask the other side for a sign of life; `timestamp_ms` is opaque, 64 bits unsigned."""

    timestamp_ms: int
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Answer a Ping with its own number."""

    timestamp_ms: int
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthToken:
    """Show the secret that the relay's operator handed out."""

    token: str = field(repr=False)
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPresence:
    """Ask to be called here: a key of 32 bytes, a signature of 64 or 0 (spec/registration.md)."""

    identity_pub: bytes
    signature: bytes
    alias: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPresenceAck:
    """Tell the outcome of a registration; `error` is for a person to read."""

    success: bool
    error: str | None = None
    relay_build: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflect:
    """Ask for one's own address (spec/reflection.md); it has no members, and its `rest` stays empty."""

    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectResponse:
    """Tell a client the address that its packets come from, as `ip:port` or `[ipv6]:port`."""

    observed_addr: str
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCallOffer:
    """Place a call (spec/call.md); keys of 32 bytes, a signature of any length, addresses `ip:port`."""

    caller_fingerprint: str
    caller_alias: str | None = None
    target_fingerprint: str
    call_id: str
    identity_pub: bytes
    ephemeral_pub: bytes
    signature: bytes
    supported_profiles: Sequence[JsonObject]
    caller_reflexive_addr: str | None = None
    caller_local_addrs: Sequence[str] = ()
    caller_build_version: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCallAnswer:
    """Accept or reject a call (spec/call.md); addresses with AcceptTrusted only (spec/privacy.md)."""

    call_id: str
    accept_mode: AcceptMode
    identity_pub: bytes | None = None
    ephemeral_pub: bytes | None = None
    signature: bytes | None = None
    chosen_profile: JsonObject | None = None
    callee_reflexive_addr: str | None = None
    callee_local_addrs: Sequence[str] = ()
    callee_build_version: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSetup:
    """Tell a party where to meet: the room, the relay's `ip:port` (spec/call.md), the other's candidates."""

    call_id: str
    room: str
    relay_addr: str
    peer_direct_addr: str | None = None
    peer_local_addrs: Sequence[str] = ()
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging:
    """Tell the caller that the offer has been handed to the callee."""

    call_id: str
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup:
    """End a call, or tell that it cannot be; without `call_id` every call of the sender is meant."""

    reason: HangupReason
    call_id: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPathReport:
    """Tell the other party how the direct attempt ended; `race_winner` is for a person to read."""

    call_id: str
    direct_ok: bool
    race_winner: str = ""
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffer:
    """Ask to be let into a media room (spec/media.md)."""

    identity_pub: bytes
    ephemeral_pub: bytes
    signature: bytes
    supported_profiles: Sequence[JsonObject]
    alias: str | None = None
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """Let a party into a media room (spec/media.md)."""

    identity_pub: bytes
    ephemeral_pub: bytes
    signature: bytes
    chosen_profile: JsonObject
    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomUpdate:
    """Tell who is in a media room: RoomParticipant objects (spec/media.md)."""

    count: int
    participants: Sequence[JsonObject]
    rest: JsonObject = field(default_factory=dict)


Message: TypeAlias = (
    Ping
    | Pong
    | AuthToken
    | RegisterPresence
    | RegisterPresenceAck
    | Reflect
    | ReflectResponse
    | DirectCallOffer
    | DirectCallAnswer
    | CallSetup
    | CallRinging
    | Hangup
    | MediaPathReport
    | CallOffer
    | CallAnswer
    | RoomUpdate
)
"""Any message."""

NAMES: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Ping,
        Pong,
        AuthToken,
        RegisterPresence,
        RegisterPresenceAck,
        Reflect,
        ReflectResponse,
        DirectCallOffer,
        DirectCallAnswer,
        CallSetup,
        CallRinging,
        Hangup,
        MediaPathReport,
        CallOffer,
        CallAnswer,
        RoomUpdate,
    )
}
"""The class of each message, by its name on the wire."""
