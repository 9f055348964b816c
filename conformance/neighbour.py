"""Neighbour (spec/federation.md): a relay of the suite's, at the other end of a link.

    east, west      the relay under test trusts them, and they dial it
    stranger        it has never heard of them
    south, north    it dials them; at north's address somebody else is

Rules of this file: who a neighbour is never changes, so that a relay can be configured before it is judged;
what a neighbour says is valid and proven unless a check spoils it; what it hears is an envelope's message
under its own name, and under another one where the envelope is missing or names another relay.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from conformance import codec
from conformance.codec import Message
from conformance.dialogue import Dialogue
from conformance.host import Certificate, certificate
from conformance.identity import ABSENT, Identity
from conformance.pulse import Pulse
from conformance.puppet import Heard, Puppet
from conformance.spec import exists

TRUSTED = ("east", "west")
"""Neighbours that the relay under test has to trust."""
STRANGER = "stranger"
SERVER_NAME = "_federation"
ENVELOPE = "FederatedSignalForward"
HELLO = "FederationHello"
BARE = frozenset({ENVELOPE, HELLO, "GlobalRoomActive", "GlobalRoomInactive", "Ping", "Pong"})
"""What stands on a link without an envelope."""
TAG = 8
"""Bytes in front of a datagram on a link."""
UNSAID = {"caller_reflexive_addr": ABSENT, "caller_local_addrs": ABSENT}
"""What an offer on a link leaves out."""


class Peer(NamedTuple):
    """A relay that another one is told about: its TLS fingerprint, label and, to be dialled, address."""

    fingerprint: str
    label: str
    address: str = ""


def host_name(name: str) -> str:
    """Return what a host is called that has the certificate of a neighbour."""
    return f"neighbour {name}"


def shown(name: str) -> Certificate:
    """Return the certificate and the key of a neighbour, the same in every run."""
    return certificate(host_name(name))


def trusted() -> tuple[Peer, ...]:
    """Return the neighbours that a relay under test has to trust."""
    return tuple(Peer(shown(name).fingerprint, name) for name in TRUSTED)


def plain(fingerprint: str) -> str:
    """Return a TLS fingerprint as it is compared (spec/federation.md, Links)."""
    return fingerprint.replace(":", "").lower()


def tables(peers: Sequence[Peer]) -> str:
    """Return the file in TOML that tells a relay of its peers: those to dial, and those to trust only."""
    lines = []
    for peer in peers:
        lines.append("[[peers]]" if peer.address else "[[trusted]]")
        lines += [f'address = "{peer.address}"'] if peer.address else []
        lines += [f'fingerprint = "{peer.fingerprint}"', f'label = "{peer.label}"', ""]
    return "\n".join(lines)


def tag(call_id: str) -> bytes:
    """Return what stands in front of the datagrams of a call on a link (spec/federation.md, Media)."""
    return hashlib.sha256(f"call-{call_id}".encode()).digest()[:TAG]


def proof(signer: Certificate, sender: str, receiver: str, at: int) -> bytes:
    """Return the signature of a hello; the fingerprints are plain, `at` is in seconds since 1970."""
    said = b"directcall-link" + bytes.fromhex(sender) + bytes.fromhex(receiver) + at.to_bytes(8, "big")
    return signer.key.sign(said)


def ringing(call_id: str) -> Message:
    """Return CallRinging."""
    return {"CallRinging": {"call_id": call_id}}


def setup(call_id: str, peer: Identity) -> Message:
    """Return the CallSetup of a callee whose caller is `peer`, as the caller's relay makes it."""
    body: dict[str, Any] = {
        "call_id": call_id,
        "room": f"call-{call_id}",
        "relay_addr": "192.0.2.77:4433",
        "peer_direct_addr": peer.reflexive,
    }
    later = {"peer_local_addrs": peer.local} if exists("5.5", peer.phase) else {}
    return {"CallSetup": body | later}


def sits(call_id: str, *people: Identity) -> Message:
    """Return GlobalRoomActive: these sit in the room of a call."""
    those = [{"fingerprint": one.fingerprint, "alias": "puppet", "relay_label": None} for one in people]
    return {"GlobalRoomActive": {"room": f"call-{call_id}", "participants": those}}


def empty(call_id: str) -> Message:
    """Return GlobalRoomInactive."""
    return {"GlobalRoomInactive": {"room": f"call-{call_id}"}}


class Neighbour(Puppet):
    """One link to the relay under test, seen from the relay at its other end."""

    def __init__(
        self, name: str, dialogue: Dialogue, pulse: Pulse, phase: str, *, own: str = "", accepts: bool = False
    ) -> None:
        """Start unconnected as the neighbour `own`, or as the one of this name."""
        who = Identity.named("neighbour", name, phase=phase)
        super().__init__(name, who, dialogue, pulse, phase, accepts=accepts)
        self.own = shown(own or name)

    @property
    def relay(self) -> str:
        """The plain fingerprint of the relay under test: that of its certificate, or of its hello."""
        certificate = self.quic.peer_certificate
        if certificate:
            return hashlib.sha256(certificate).hexdigest()
        hello = next(iter(super().heard(HELLO)), None)
        return plain(str(hello.body.get("tls_fingerprint", ""))) if hello is not None else ""

    def hello(
        self, *, to: str = "", later: int = 0, signer: str = "", shows: str = "", **others: object
    ) -> Message:
        """Return the hello for the relay under test.

        To spoil it: a proof for the relay with the fingerprint `to`, of `later` seconds, signed by the
        neighbour `signer`, with the certificate of the neighbour `shows`, or with `others` for members.
        """
        at = int(time.time()) + later
        by = shown(signer) if signer else self.own
        signature = proof(by, plain(self.own.fingerprint), plain(to) or self.relay, at)
        certificate = (shown(shows) if shows else self.own).certificate.public_bytes(Encoding.DER)
        body = {
            "tls_fingerprint": self.own.fingerprint,
            "certificate": [*certificate],
            "time": at,
            "signature": [*signature],
        } | others
        return {HELLO: {name: value for name, value in body.items() if value is not ABSENT}}

    def say(self, inner: Message, *, call_id: str = "", origin: str = "") -> None:
        """Send a message in an envelope, which names the call where `call_id` does."""
        named = {"call_id": call_id} if call_id else {}
        body = {"inner": inner, "origin_relay_fp": origin or self.own.fingerprint}
        self.send({ENVELOPE: body | named})

    def hang_up(self, call_id: str, reason: str = "Normal") -> None:
        """Send Hangup for a call."""
        self.say(self.identity.hangup(call_id, reason), call_id=call_id)

    def heard(self, name: str | None = None, since: int = 0, **members: Any) -> list[Heard]:  # noqa: ANN401
        """Return what was said over the link from `since` on, out of its envelopes."""
        return [
            one
            for one in map(self._opened, self.inbox[since:])
            if (one.name == name if name else one.name != "Pong")
            and all(one.body.get(key) == value for key, value in members.items())
        ]

    def _opened(self, one: Heard) -> Heard:
        """Return a message of the link, by the call that its envelope or itself names."""
        if one.name != ENVELOPE:
            return one if one.name in BARE else Heard(one.stream, f"{one.name} without an envelope", one.body)
        inner = one.body.get("inner")
        if not isinstance(inner, dict) or not inner:
            return one
        name, body = codec.name_of(inner), dict(codec.body_of(inner))
        body.setdefault("call_id", one.body.get("call_id"))
        if plain(str(one.body.get("origin_relay_fp"))) != self.relay:
            name = f"{name} of another relay"
        return Heard(one.stream, name, body)
