"""What both ends of a connection do: spec/transport.md, spec/wire.md, the identity of spec/registration.md.

Nothing here knows what a message means.
A `Link` is one QUIC connection: it hands on whole messages in the order of their streams and tells which
of its own messages have left.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import os
import re
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aioquic import tls
from aioquic._buffer import Buffer
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jsonschema import Draft202012Validator, validators

import schemas

MAX_PAYLOAD = 1_048_576
MAX_DEPTH = 64
MAX_MEMBERS = 16_384
MOST_SAID, SAID_PER_SECOND = 1_310_720, 262_144
MAX_DATAGRAM = 1160  # what surely fits a QUIC packet of 1200 bytes beside its header, its tag and an ACK
ZERO_KEY = bytes(32)
OPUS = {"codec": "Opus24k", "fec_ratio": 0.0, "frame_duration_ms": 20, "frames_per_block": 1}

NORMAL, SHUTDOWN, REPLACED, REGISTRATION_REFUSED, REGISTRATION_TIMEOUT = range(5)
NOT_ADMITTED, CALL_ENDED, SEAT_TAKEN, NO_SUCH_SERVICE, BAD_MESSAGES = range(5, 10)
TOO_MANY_CONNECTIONS, TOO_SLOW, MEDIA_TIMEOUT, NOT_SELECTED = range(10, 14)
REASONS = (
    "normal close",
    "shutting down",
    "replaced by a newer registration",
    "registration refused",
    "no registration in time",
    "not admitted",
    "call ended",
    "seat taken over",
    "no such service",
    "too many bad messages",
    "too many connections",
    "peer does not read",
    "no media handshake in time",
    "not selected",
)
"""The reasons of the close codes, by code (spec/errors.md)."""

Body = dict[str, Any]


class BadMessageError(ValueError):
    """A payload that is malformed or that the accept view of the phase refuses (WIRE-4, WIRE-5)."""


class Identity:
    """A key pair made from a seed of 32 bytes (spec/registration.md)."""

    def __init__(self, seed: bytes) -> None:
        """Derive the signing key and the key for TLS from `seed`."""
        self.key = Ed25519PrivateKey.from_private_bytes(_derive(seed, b"warzone-ed25519"))
        self.tls_key = Ed25519PrivateKey.from_private_bytes(_derive(seed, b"wzp-tls-ed25519"))
        self.public = self.key.public_key().public_bytes_raw()
        self.fingerprint = fingerprint(self.public)

    def signed(self, statement: bytes) -> list[int]:
        """Return the signature over `statement` as a message carries it."""
        return list(self.key.sign(statement))


def _derive(seed: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(seed)


def fingerprint(public: bytes) -> str:
    """Return the name of the owner of a public key of 32 bytes."""
    digits = hashlib.sha256(public).hexdigest()[:32]
    return ":".join(digits[i : i + 4] for i in range(0, 32, 4))


def verifies(public: bytes, signature: bytes, statement: bytes) -> bool:
    """Tell whether `signature` is that of `public` over `statement`; nothing is for the zero key."""
    if public == ZERO_KEY:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def certificate(key: Ed25519PrivateKey) -> x509.Certificate:
    """Return a self-signed certificate of `key`, the same one for the same key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wzp")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=36500))
        .sign(key, None)
    )


def tls_fingerprint(leaf: x509.Certificate) -> str:
    """Return the TLS fingerprint of spec/transport.md."""
    digest = hashlib.sha256(leaf.public_bytes(serialization.Encoding.DER)).digest()
    return ":".join(f"{byte:02x}" for byte in digest)


def settings(*, is_client: bool, name: str | None = None, idle: float = 30.0) -> QuicConfiguration:
    """Return the parameters of a connection; `name` is the server name that a client asks for."""
    return QuicConfiguration(
        alpn_protocols=["wzp"],
        is_client=is_client,
        idle_timeout=idle,
        max_datagram_frame_size=65535,
        server_name=name,
        verify_mode=0,
    )


def address_text(host: str, port: int) -> str:
    """Return an address in the one text form."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


def read_address(text: str) -> tuple[str, int]:
    """Return host and port of `ip:port` or `[ipv6]:port`; raises ValueError for anything else."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"this is no address with a port: {text!r}")
    address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    if (address.version == 6) != host.startswith("[") or "%" in host:
        raise ValueError(f"an IPv6 address stands in brackets and has no zone: {text!r}")
    return str(address), int(port)


# Messages


def _only_an_integer(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_Strict = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _only_an_integer),
)


@cache
def _names(phase: str) -> frozenset[str]:
    return frozenset(schemas.messages(phase))


@cache
def _accepting(phase: str, name: str) -> Any:  # noqa: ANN401 - jsonschema makes its classes while it runs
    definitions = schemas.view(phase, "accept")["$defs"]
    return _Strict({"$ref": f"#/$defs/{name}", "$defs": definitions})


def _no_twins(pairs: list[tuple[str, Any]]) -> Body:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadMessageError("a member stands twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadMessageError(f"the number is outside the range of a double: {text[:20]}")
    return number


def _integer(text: str) -> int:
    _finite(text)
    return int(text)


def _no_constant(text: str) -> float:
    raise BadMessageError(f"{text} is no JSON")


def _depth(value: object) -> int:
    """Return how many objects and arrays are open at once in `value`, without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        inner, level = todo.pop()
        if isinstance(inner, dict | list):
            deepest = max(deepest, level)
            todo.extend((each, level + 1) for each in (inner.values() if isinstance(inner, dict) else inner))
    return deepest


def _crowd(text: str) -> int:
    """Return how many members and entries a JSON text has, more or less if it is none (WIRE-16)."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "0", text)
    return bare.count(",") + len(re.findall(r"[\[{](?!\s*[\]}])", bare))


def _json(payload: bytes) -> Any:  # noqa: ANN401 - it may be anything
    try:
        text = payload.decode()
        if text.count(",") + text.count("[") + text.count("{") > MAX_MEMBERS and _crowd(text) > MAX_MEMBERS:
            raise BadMessageError(f"the payload has more than {MAX_MEMBERS} members and entries")
        value = json.loads(
            text,
            object_pairs_hook=_no_twins,
            parse_float=_finite,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
        if b"\\u" in payload:
            json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate
    except (ValueError, RecursionError) as why:
        raise BadMessageError(f"the payload is malformed: {why}") from why
    if _depth(value) > MAX_DEPTH:
        raise BadMessageError(f"the payload is malformed: more than {MAX_DEPTH} levels")
    return value


def read(payload: bytes, phase: str) -> tuple[str, Body] | None:
    """Return name and body of a message, or None for a name that `phase` lacks; raises BadMessageError."""
    value = _json(payload)
    body: object
    if isinstance(value, str):
        name, body = value, value
    elif isinstance(value, dict) and len(value) == 1:
        ((name, body),) = value.items()
    else:
        raise BadMessageError("a message is an object with one member, or a string")
    if name not in _names(phase):
        return None
    if not _accepting(phase, name).is_valid(body):
        raise BadMessageError(f"the schema refuses this {name}")
    return name, body if isinstance(body, dict) else {}


def frame(name: str, body: Body | None) -> bytes:
    """Return the frame of a message; `body` is None for one without members."""
    value: object = name if body is None else {name: body}
    payload = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack(">I", len(payload)) + payload


# Connections


def learn_server_name(quic: QuicConnection, told: Callable[[str], None]) -> None:
    """Have the server name of the client that connects told in lower case; aioquic keeps it to itself."""
    initialize = quic._initialize

    def initialized(peer_cid: bytes) -> None:
        initialize(peer_cid)
        context = quic.tls
        handle = context._server_handle_hello

        def hello(given: Buffer, *buffers: Buffer) -> None:
            start = given.tell()
            told((tls.pull_client_hello(given).server_name or "").lower())
            given.seek(start)
            handle(given, *buffers)

        vars(context)["_server_handle_hello"] = hello

    vars(quic)["_initialize"] = initialized


@dataclass
class _Incoming:
    """One stream of the other side, until its message has had its turn."""

    deadline: asyncio.TimerHandle
    buffer: bytearray = field(default_factory=bytearray)
    settled: bool = False
    payload: bytes | None = None


@dataclass
class _Outgoing:
    """One message of ours, until its last byte has left."""

    name: str
    size: int
    left: Callable[[], None] | None


class Link(QuicConnectionProtocol):
    """One connection; a subclass says what its messages mean."""

    phase = "5.5"
    stream_timeout = 10.0
    keep_alive = 5.0
    most_bad = 60
    most_unread = 64

    def __init__(self, quic: QuicConnection, *_: object, **__: object) -> None:
        """Take over `quic`; QuicServer passes a stream handler, which has no place here."""
        super().__init__(quic)
        self.server_name = quic.configuration.server_name or ""
        self.up = False
        self.over = False
        self.outgoing: dict[int, _Outgoing] = {}
        self._incoming: dict[int, _Incoming] = {}
        self._first_unopened = self._next_in_turn = 1 if quic.configuration.is_client else 0
        self._bad: deque[float] = deque(maxlen=self.most_bad + 1)
        self._alive: asyncio.TimerHandle | None = None
        self._said = self._said_at = 0.0
        self._held_back = False
        if not quic.configuration.is_client:
            learn_server_name(quic, self._named)

    def _named(self, server_name: str) -> None:
        self.server_name = server_name

    # What a subclass hears

    def opened(self) -> None:
        """Hear that the handshake is complete."""

    def message(self, name: str, body: Body, size: int) -> None:
        """Hear a message that the phase knows; `size` is the length of its payload."""

    def datagram(self, data: bytes) -> None:
        """Hear a datagram."""

    def closed(self, code: int | None) -> None:
        """Hear that the connection is over, once; `code` is None when nobody closed it."""

    # What a subclass says

    @property
    def remote(self) -> str:
        """The address that packets of the other side come from now."""
        host, port = self._quic._network_paths[0].addr[:2]
        return address_text(host, port)

    def say(self, name: str, body: Body | None = None, left: Callable[[], None] | None = None) -> None:
        """Send a message; `left` is called when its last byte has left."""
        if self.over:
            return
        data = frame(name, body)
        stream_id = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream_id, data, end_stream=True)
        self.outgoing[stream_id] = _Outgoing(name, len(data), left)
        self._transmit_soon()

    def throw(self, data: bytes) -> None:
        """Send a datagram; of 16 that wait the oldest gives way, and one that cannot fit is dropped."""
        limit = min(MAX_DATAGRAM, (self._quic._remote_max_datagram_frame_size or 0) - 3)
        if self.over or len(data) > limit:
            return
        while len(self._quic._datagrams_pending) >= 16:
            self._quic._datagrams_pending.popleft()
        self._quic.send_datagram_frame(data)
        self._transmit_soon()

    def shut(self, code: int, reason: str = "") -> None:
        """Close with a code of spec/errors.md, behind what has been said so far."""
        if self.over:
            return
        super().transmit()
        self._finish(code)
        self.close(code, reason or REASONS[code])

    def abandon(self) -> None:
        """Give up when the handshake is not complete by now."""
        if not self.up:
            self.shut(NORMAL)

    def bad(self) -> None:
        """Count a bad message or a bad frame (ERR-3)."""
        now = self._loop.time()
        self._bad.append(now)
        if len(self._bad) > self.most_bad and now - self._bad[0] < 60:
            self.shut(BAD_MESSAGES)

    # From aioquic

    def transmit(self) -> None:
        """Send what is pending, and see which messages have left."""
        super().transmit()
        if self.over:
            return
        gone = [(stream_id, message) for stream_id, message in self.outgoing.items() if self._left(stream_id)]
        for stream_id, _ in gone:
            del self.outgoing[stream_id]
        for _, message in gone:
            if message.left is not None:
                message.left()
        if len(self.outgoing) > self.most_unread:
            self.shut(TOO_SLOW)

    def _left(self, stream_id: int) -> bool:
        stream = self._quic._streams.get(stream_id)
        if stream is None or stream.sender._reset_error_code is not None:
            return True
        return not stream.is_blocked and stream.sender.highest_offset >= self.outgoing[stream_id].size

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        """Take a packet; a close counts when it comes, not when aioquic has done draining."""
        super().datagram_received(data, addr)
        if self._quic._close_event is not None:
            self.quic_event_received(self._quic._close_event)

    def quic_event_received(self, event: events.QuicEvent) -> None:
        """Turn the events of aioquic into those of this class."""
        if self.over:
            return
        match event:
            case events.HandshakeCompleted():
                self.up = True
                self._stay_alive()
                self.opened()
            case events.StreamDataReceived() if event.stream_id % 4 == self._next_in_turn % 4:
                self._open_up_to(event.stream_id)
                self._take(event.stream_id, event.data, ended=event.end_stream)
            case events.StreamReset() if event.stream_id % 4 == self._next_in_turn % 4:
                self._open_up_to(event.stream_id)
                self._take(event.stream_id, b"", ended=True)
            case events.DatagramFrameReceived():
                self.datagram(event.data)
            case events.ConnectionTerminated():
                application = event.frame_type is None and event.reason_phrase != "Idle timeout"
                self._finish(event.error_code if application else None)
            case _:
                pass

    def _finish(self, code: int | None) -> None:
        self.over = True
        for incoming in self._incoming.values():
            incoming.deadline.cancel()
        self._incoming.clear()
        self.outgoing.clear()
        if self._alive is not None:
            self._alive.cancel()
        self.closed(code)

    def _stay_alive(self) -> None:
        self._alive = self._loop.call_later(self.keep_alive * 0.8, self._stay_alive)
        self._quic.send_ping(int.from_bytes(os.urandom(4)))
        self._transmit_soon()

    # Streams of the other side

    def _open_up_to(self, stream_id: int) -> None:
        for opened in range(self._first_unopened, stream_id + 1, 4):
            deadline = self._loop.call_later(self.stream_timeout, self._give_up, opened)
            self._incoming[opened] = _Incoming(deadline)
            self._first_unopened = opened + 4

    def _take(self, stream_id: int, data: bytes, *, ended: bool) -> None:
        incoming = self._incoming.get(stream_id)
        if incoming is None or incoming.settled:
            return
        incoming.buffer += data
        if len(incoming.buffer) >= 4:
            length = int.from_bytes(incoming.buffer[:4])
            if length > MAX_PAYLOAD:
                self._give_up(stream_id)
                return
            if len(incoming.buffer) >= 4 + length:
                self._settle(incoming, bytes(incoming.buffer[4 : 4 + length]))
                return
        if ended:
            self.bad()
            self._settle(incoming, None)

    def _give_up(self, stream_id: int) -> None:
        incoming = self._incoming[stream_id]
        if stream_id in self._quic._streams:
            self._quic.stop_stream(stream_id, 0)
            self._quic.reset_stream(stream_id, 0)
            self._transmit_soon()
        self.bad()
        self._settle(incoming, None)

    def _settle(self, incoming: _Incoming, payload: bytes | None) -> None:
        incoming.deadline.cancel()
        incoming.settled = True
        incoming.payload = payload
        incoming.buffer.clear()
        if not self._held_back:
            self._go_on()

    def _go_on(self) -> None:
        """Handle the messages whose turn it is, as far as the other side may say so much (TRANS-19)."""
        self._held_back = False
        while not self.over and (first := self._incoming.get(self._next_in_turn)) and first.settled:
            if first.payload is not None and (wait := self._excess(len(first.payload) + 4096)) > 0:
                self._held_back = True
                self._loop.call_later(wait, self._go_on)
                return
            stream_id = self._next_in_turn
            del self._incoming[stream_id]
            self._next_in_turn += 4
            self._end_own_half(stream_id)
            if first.payload is not None:
                self._handle(first.payload)

    def _excess(self, size: int) -> float:
        """Count what a client says, or return in how many seconds it may say it."""
        if self._quic.configuration.is_client:
            return 0
        now = self._loop.time()
        self._said = max(0, self._said - (now - self._said_at) * SAID_PER_SECOND)
        self._said_at = now
        if self._said + size > MOST_SAID:
            return (self._said + size - MOST_SAID) / SAID_PER_SECOND + 0.01
        self._said += size
        return 0

    def _end_own_half(self, stream_id: int) -> None:
        stream = self._quic._streams.get(stream_id)
        if stream is not None and stream.sender._reset_error_code is None:
            self._quic.send_stream_data(stream_id, b"", end_stream=True)
            self._transmit_soon()

    def _handle(self, payload: bytes) -> None:
        try:
            found = read(payload, self.phase)
        except BadMessageError:
            self.bad()
            return
        if found is not None:
            self.message(*found, len(payload))
