"""Messages (spec/wire.md): one class a message, its fields in the order of its schema.

A field is called as its member is. Keys and signatures are bytes; profiles and participants stay
JSON objects, so that members we do not know survive in them. An optional member that is absent or
null is None (WIRE-8), an optional list that is absent or empty is () (WIRE-13). `rest` holds the
members of the message itself that our phase does not know: nothing acts on them (WIRE-7), and they
go out again with the message (WIRE-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, get_args

from reference.core.errors import HangupReason
from reference.core.strict_json import JsonObject


class AcceptMode(StrEnum):
    """What the callee decides (spec/call.md, table of accept modes)."""

    REJECT = "Reject"
    ACCEPT_TRUSTED = "AcceptTrusted"
    ACCEPT_GENERIC = "AcceptGeneric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What every message has: the members that our phase does not know."""

    rest: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Body):
    """Ask the other side for a sign of life; `timestamp_ms` is opaque, 64 bits unsigned."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Body):
    """Answer a Ping with its own number."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthToken(Body):
    """Show the secret that the relay's operator handed out."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPresence(Body):
    """Ask to be called here: a key of 32 bytes, a signature of 64 or 0 (spec/registration.md)."""

    identity_pub: bytes
    signature: bytes
    alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPresenceAck(Body):
    """Tell the outcome of a registration; `error` is for a person to read."""

    success: bool
    error: str | None = None
    relay_build: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reflect(Body):
    """Ask for one's own address (spec/reflection.md); it has no members, and its `rest` stays empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflectResponse(Body):
    """Tell a client the address that its packets come from, as `ip:port` or `[ipv6]:port`."""

    observed_addr: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCallOffer(Body):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCallAnswer(Body):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSetup(Body):
    """Tell a party where to meet: the room, the relay's `ip:port` (spec/call.md), the other's candidates."""

    call_id: str
    room: str
    relay_addr: str
    peer_direct_addr: str | None = None
    peer_local_addrs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRinging(Body):
    """Tell the caller that the offer has been handed to the callee."""

    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hangup(Body):
    """End a call, or tell that it cannot be; without `call_id` every call of the sender is meant."""

    reason: HangupReason
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPathReport(Body):
    """Tell the other party how the direct attempt ended; `race_winner` is for a person to read."""

    call_id: str
    direct_ok: bool
    race_winner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffer(Body):
    """Ask to be let into a media room (spec/media.md)."""

    identity_pub: bytes
    ephemeral_pub: bytes
    signature: bytes
    supported_profiles: Sequence[JsonObject]
    alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer(Body):
    """Let a party into a media room (spec/media.md)."""

    identity_pub: bytes
    ephemeral_pub: bytes
    signature: bytes
    chosen_profile: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomUpdate(Body):
    """Tell who is in a media room: RoomParticipant objects (spec/media.md)."""

    count: int
    participants: Sequence[JsonObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationHello(Body):
    """Open a link (spec/federation.md): a fingerprint of 95 characters and, since our repair, its proof."""

    tls_fingerprint: str
    certificate: bytes | None = None
    time: int | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedSignalForward(Body):
    """Carry a message across a link, as JSON; `call_id` names the call of one that does not name it."""

    inner: JsonObject
    origin_relay_fp: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalRoomActive(Body):
    """Tell the relay of the other party who sits in the room here: RoomParticipant objects."""

    room: str
    participants: Sequence[JsonObject] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalRoomInactive(Body):
    """Tell the relay of the other party that nobody sits in the room here any more."""

    room: str


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
    | FederationHello
    | FederatedSignalForward
    | GlobalRoomActive
    | GlobalRoomInactive
)
"""Any message."""

NAMES: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}
"""The class of each message, by its name on the wire."""
