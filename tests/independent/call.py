"""One call of a client: signalling connection, race and room (spec/call.md, spec/race.md, spec/media.md)."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import struct
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic.quic.connection import QuicConnection
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.independent.endpoint import may_dial, plain
from tests.independent.wire import (
    CALL_ENDED,
    NO_SUCH_SERVICE,
    NORMAL,
    NOT_ADMITTED,
    NOT_SELECTED,
    OPUS,
    REGISTRATION_REFUSED,
    SEAT_TAKEN,
    Body,
    Identity,
    Link,
    read_address,
    tls_fingerprint,
    verifies,
)

if TYPE_CHECKING:
    from tests.independent.client import Client

REFLECT_WAIT = 1.0  # seconds, as all that follow; each is multiplied by `timers`
REGISTRATION = ROOM = 10.0
HEAD_START, DIRECT_DEADLINE = 0.5, 2.0
SILENCE = 1.0
ROOM_TRIES = 3
MOST_DIALS = 16
FRAME_MS = 20
HEADER = 12  # bytes of a datagram before its payload


class AlertUnrecognizedName(tls.Alert):
    """The refusal of a server name (RFC 8446, section 6)."""

    description = tls.AlertDescription.unrecognized_name


class ClientLink(Link):
    """A connection of a client, at its pace."""

    def __init__(self, client: Client, quic: QuicConnection, *rest: object, **named: object) -> None:
        """Belong to `client`."""
        super().__init__(quic, *rest, **named)
        self.client = client
        self.phase = client.phase
        self.stream_timeout *= client.pace
        self.keep_alive *= client.pace

    def is_expected_relay(self) -> bool:
        """Tell whether the other end has the key that the user named, if any (SEC-2)."""
        leaf = self._quic.tls._peer_certificate
        return self.client.pin is None or (leaf is not None and tls_fingerprint(leaf) == self.client.pin)


class SignalLink(ClientLink):
    """The connection to the relay."""

    def __init__(self, client: Client, identity: Identity, quic: QuicConnection) -> None:
        """Register `identity` as soon as the handshake is complete."""
        super().__init__(client, quic)
        self.identity = identity
        self.acknowledged = False
        self.refusal = ""
        self.asked: asyncio.Future[str] | None = None
        self.when_registered: Callable[[], None] = lambda: None
        self.when_closed: Callable[[int | None], None] = lambda _code: None
        self.hears: Callable[[str, Body], None] = lambda _name, _body: None

    def opened(self) -> None:
        """Introduce the user, if this is the right relay."""
        if not self.is_expected_relay():
            self.refusal = "the relay has another key than the one that was named"
            self.shut(REGISTRATION_REFUSED, "this is not the relay that was expected")
            return
        public = self.identity.public
        body = {
            "identity_pub": list(public),
            "signature": self.identity.signed(b"register-presence" + public),
            "alias": None,
        }
        self.say("RegisterPresence", body)
        self._loop.call_later(REGISTRATION * self.client.pace, self._unanswered)

    def _unanswered(self) -> None:
        if not self.acknowledged:
            self.shut(NORMAL, "no acknowledgement")

    def message(self, name: str, body: Body, size: int) -> None:  # noqa: ARG002 - as Link has it
        """Take what concerns the connection; the rest is for the call."""
        if name == "RegisterPresenceAck" and not self.acknowledged:
            if body["success"]:
                self.acknowledged = True
                self.when_registered()
            else:
                self.refusal = body.get("error") or "the relay refused the registration"
        elif name == "ReflectResponse" and self.asked is not None and not self.asked.done():
            self.asked.set_result(body["observed_addr"])
        elif name == "Ping":
            self.say("Pong", {"timestamp_ms": body["timestamp_ms"]})
        elif self.acknowledged:
            self.hears(name, body)

    def closed(self, code: int | None) -> None:
        """Tell who is waiting."""
        if self.asked is not None and not self.asked.done():
            self.asked.cancel()
        self.when_closed(code)

    async def reflexive(self) -> str | None:
        """Ask for the own address; None when there is no answer in time (REFL-6)."""
        self.asked = self._loop.create_future()
        self.say("Reflect")
        done, _ = await asyncio.wait({self.asked}, timeout=REFLECT_WAIT * self.client.pace)
        return self.asked.result() if done and not self.asked.cancelled() else None


class DirectLink(ClientLink):
    """A connection between the two ends; the dialer knows its call, the acceptor finds it by name."""

    def __init__(
        self, client: Client, quic: QuicConnection, *_: object, call: Call | None = None, **__: object
    ) -> None:
        """Be a dial of `call`, or somebody who knocks."""
        super().__init__(client, quic)
        self.call = call

    def _named(self, server_name: str) -> None:
        super()._named(server_name)
        self.call = self.client.call
        if self.call is None or not self.call.expects(server_name):
            raise AlertUnrecognizedName("this name means nothing here")

    def opened(self) -> None:
        """Be the direct path, or one of several."""
        if self.call is None or (not self._quic.configuration.is_client and not self.call.accepting()):
            self.shut(NO_SUCH_SERVICE)
        else:
            self.call.direct_up(self)

    def datagram(self, data: bytes) -> None:
        """Hear the peer."""
        if self.call is not None:
            self.call.hear(self, data)

    def closed(self, code: int | None) -> None:
        """Be a path no longer."""
        if self.call is not None:
            self.call.direct_down(self, code)


class RoomLink(ClientLink):
    """The media connection to the relay."""

    def __init__(self, client: Client, call: Call, quic: QuicConnection) -> None:
        """Join the room of `call`."""
        super().__init__(client, quic)
        self.call = call
        self.admitted = False
        self.peer_is_there = False

    def opened(self) -> None:
        """Introduce the user (MEDIA-29)."""
        if not self.is_expected_relay():
            self.shut(NORMAL, "this is not the relay that was expected")
            return
        fresh = X25519PrivateKey.generate().public_key().public_bytes_raw()
        body = {
            "identity_pub": list(self.client.identity.public),
            "ephemeral_pub": list(fresh),
            "signature": self.client.identity.signed(fresh + b"call-offer"),
            "supported_profiles": [OPUS],
            "alias": None,
        }
        self.say("CallOffer", body)

    def message(self, name: str, body: Body, size: int) -> None:  # noqa: ARG002 - as Link has it
        """Be let in, and learn who else is there."""
        if name == "CallAnswer" and not self.admitted:
            ephemeral = bytes(body["ephemeral_pub"])
            signature = bytes(body["signature"])
            if not verifies(bytes(body["identity_pub"]), signature, ephemeral + b"call-answer"):
                self.shut(NORMAL, "the signature of the relay is wrong")
                return
            self.admitted = True
        elif name == "RoomUpdate" and self.admitted:
            there = [each["fingerprint"] for each in body["participants"]]
            self.peer_is_there = self.call.peer in there
        self.call.choose()

    def datagram(self, data: bytes) -> None:
        """Hear the peer."""
        if self.admitted:
            self.call.hear(self, data)

    def closed(self, code: int | None) -> None:
        """Be a path no longer."""
        self.call.room_down(self, code)


class Call:
    """The one call of a client, from its first request to its end."""

    def __init__(self, client: Client, name: str, peer: str, *, ours: bool) -> None:
        """Begin a call with `peer`, placed by us or by them."""
        self.client, self.name, self.peer, self.ours = client, name, peer, ours
        self.agreed = ours  # placed or accepted: its CallSetup may be acted on (CALL-35)
        self.mode: str | None = None
        self.own: str | None = None  # the reflexive candidate as it was advertised
        self.role: str | None = None
        self.over = self.was_set_up = self.attempt_over = False
        self.relay = ""
        self.dials: list[DirectLink] = []
        self.direct: list[DirectLink] = []  # those whose handshake is complete, oldest first
        self.heard: DirectLink | None = None
        self.heard_at = 0.0
        self.prefers_room = self.ending = False
        self.room: RoomLink | None = None
        self.room_tries = 0
        self.told: tuple[str, str] | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.sequence, self.first_frame, self.clock = int.from_bytes(os.urandom(2)), 0.0, 0
        self.loop = asyncio.get_running_loop()

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something in a while, unless the call is over by then."""
        self.timers.append(self.loop.call_later(seconds * self.client.pace, do))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that takes time, until the call is over."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def addresses(self, whose: str) -> Body:
        """Return the members that advertise our candidates: none without a reflexive one."""
        client, signal_link = self.client, self.client.signal
        if not client.since("3") or client.path == "relay" or signal_link is None:
            return {}
        observed = await signal_link.reflexive()
        if observed is None or signal_link is not client.signal:
            return {}
        self.own = observed
        members: Body = {f"{whose}_reflexive_addr": observed}
        hosts = client.host_candidates() if client.since("5.5") else []
        return {**members, f"{whose}_local_addrs": hosts} if hosts else members

    async def place(self) -> None:
        """Send the offer."""
        client = self.client
        members = await self.addresses("caller")
        body = {
            "caller_fingerprint": client.identity.fingerprint,
            "caller_alias": None,
            "target_fingerprint": self.peer,
            "call_id": self.name,
            "identity_pub": list(client.identity.public),
            "ephemeral_pub": [0] * 32,
            "signature": [],
            "supported_profiles": [OPUS],
        }
        client.say("DirectCallOffer", {**body, **members})

    async def answer(self, mode: str) -> None:
        """Send the answer of the user, or send it again."""
        self.mode, self.agreed = mode, True
        members = await self.addresses("callee") if mode == "AcceptTrusted" else {}
        body = {"call_id": self.name, "accept_mode": mode, "chosen_profile": OPUS}
        self.client.say("DirectCallAnswer", {**body, **members})

    # The race

    def accepting(self) -> bool:
        """Tell whether a direct connection of this call is let in."""
        expected = self.own is not None and self.role in (None, "acceptor") and self.client.since("3.5")
        return expected and not self.over and not self.attempt_over and self.heard is None

    def expects(self, server_name: str) -> bool:
        """Tell whether a server name is that of this call (RACE-7)."""
        return self.accepting() and server_name in (f"call-{self.name}", f"call-call-{self.name}")

    def set_up(self, body: Body) -> None:
        """Take CallSetup: find the role and start the race."""
        self.was_set_up = True
        self.relay = body["relay_addr"]
        named = body.get("peer_direct_addr")
        own, peer = (plain(text) if text is not None else None for text in (self.own, named))
        if self.mode == "AcceptGeneric" or not self.client.since("3.5"):
            own = None
        if own is None or peer is None or own == peer:
            self.role = "none"
        else:
            self.role = "acceptor" if own.encode() < peer.encode() else "dialer"
        if self.role == "dialer" and named is not None:
            self._dial([*body.get("peer_local_addrs", []), named])
        if self.role != "acceptor":
            for early in list(self.direct):
                early.shut(NOT_SELECTED)
        if self.role == "none" or (self.role == "dialer" and not self.dials):
            self._attempt_over()
            return
        self.later(HEAD_START, self._join)
        self.later(DIRECT_DEADLINE, self._attempt_over)

    def _dial(self, named: list[str]) -> None:
        """Dial all usable candidates at once, from the one socket (RACE-3, CAND-13 to CAND-16)."""
        known = list(dict.fromkeys(text for text in map(plain, named) if text is not None))
        loopback = ipaddress.ip_address(read_address(self.client.relay)[0]).is_loopback
        medium = self.client.socket
        usable = [
            text for text in known if may_dial(text, loopback=loopback) and medium and medium.reaches(text)
        ]
        for text in usable[:MOST_DIALS]:
            make = partial(DirectLink, self.client, call=self)
            link = self.client.dial(text, f"call-{self.name}", make, DIRECT_DEADLINE)
            self.dials.append(link)  # type: ignore[arg-type]

    def direct_up(self, link: DirectLink) -> None:
        """Keep the first dial that succeeds, or every connection that the peer opened (RACE-5, RACE-9)."""
        if self.role == "dialer" and (self.direct or self.attempt_over):
            link.shut(NOT_SELECTED)
            return
        self.direct.append(link)
        if self.role == "dialer":
            for other in self.dials:
                if other is not link:
                    other.shut(NOT_SELECTED)
            self.dials = [link]
        self.choose()

    def direct_down(self, link: DirectLink, code: int | None) -> None:
        """Do without a direct connection, or without one more dial."""
        if link in self.direct:
            self.direct.remove(link)
            if code == NORMAL and not self.direct and not self.over:
                self.ending = True  # a Hangup is on its longer way
                self.later(SILENCE, self._not_ending)
        if link in self.dials:
            self.dials.remove(link)
        if self.heard is link:
            self.heard = None
        if self.over:
            return
        if self.role == "dialer" and not self.dials and not self.attempt_over:
            self._attempt_over()
        self.choose()

    def _attempt_over(self) -> None:
        """End the attempt: whoever has not come by now does not come (RACE-11)."""
        self.attempt_over = True
        for link in list(self.dials):
            if link not in self.direct:
                link.shut(NOT_SELECTED)
        self._join()
        self.choose()

    def _not_ending(self) -> None:
        self.ending = False
        self.choose()

    # The room

    def _join(self) -> None:
        if self.over or self.room is not None:
            return
        if plain(self.relay) is None or self.room_tries >= ROOM_TRIES:
            if not self.direct:
                self.client.hang_up("the room cannot be reached")
            return
        self.room_tries += 1
        make = partial(RoomLink, self.client, self)
        self.room = self.client.dial(self.relay, f"call-{self.name}", make, ROOM)  # type: ignore[assignment]

    def room_down(self, link: RoomLink, code: int | None) -> None:
        """Try again while the call lives, unless the close says that there is no use."""
        if self.room is not link or self.over:
            return
        self.room = None
        if code == CALL_ENDED:
            self.ending = True
            self.later(0 if self.client.doubt else SILENCE, self._room_is_closed)
        elif code in (NOT_ADMITTED, SEAT_TAKEN, NO_SUCH_SERVICE) or not link.is_expected_relay():
            self.room_tries = ROOM_TRIES
            self.later(0, self._join)
        else:
            self.later(SILENCE, self._join)
        self.choose()

    def _room_is_closed(self) -> None:
        self.client.forget_call("the relay closed the room")

    # Media

    def speaks_on(self) -> DirectLink | RoomLink | None:
        """Return the path of our own media: the direct one if there is one, else the relay."""
        if self.ending:
            return None
        if self.direct and not self.prefers_room:
            return self.heard or self.direct[0]
        if self.was_set_up and self.attempt_over and self.room is not None and self.room.admitted:
            return self.room
        return None

    def choose(self) -> None:
        """Tell when the path has changed."""
        link = self.speaks_on()
        if link is None or self.over:
            return
        told = ("relay" if isinstance(link, RoomLink) else "direct", link.remote)
        if told != self.told:
            self.told = told
            self.client.tell("path", call_id=self.name, path=told[0], remote=told[1])

    def hear(self, link: DirectLink | RoomLink, data: bytes) -> None:
        """Take a datagram in, from whichever path it comes (RACE-15)."""
        codec = (data[0] >> 2) & 15 if len(data) >= HEADER else 15
        if codec > 8 or (data[0] & 2 and len(data) < HEADER + 4):
            return
        now = self.loop.time()
        if isinstance(link, DirectLink):
            self.heard_at = now
            self.prefers_room = False
            if self.role == "acceptor" and self.heard is None:
                self.heard = link
                for other in [each for each in self.direct if each is not link]:
                    other.shut(NOT_SELECTED)
        elif self.direct and now - self.heard_at > SILENCE * self.client.pace and self.attempt_over:
            self.prefers_room = True
        self.choose()
        if codec != 5:
            digest = hashlib.sha256(data[HEADER:]).hexdigest()
            self.client.tell("received", seq=int.from_bytes(data[2:4]), digest=digest)

    async def send(self, count: int, every_ms: int) -> None:
        """Send frames of audio; those that fall before there is a path are dropped."""
        begun, pace = self.loop.time(), self.client.pace
        if self.first_frame == 0.0:
            self.first_frame = begun
        passed = round((begun - self.first_frame) / pace * 1000 / FRAME_MS) * FRAME_MS
        self.clock = max(self.clock, passed)
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number * every_ms / 1000 * pace - self.loop.time()))
            link = self.speaks_on()
            if link is not None and (isinstance(link, DirectLink) or link.peer_is_there):
                header = struct.pack(">BBHIBBBB", 0, 0, self.sequence, self.clock & 0xFFFFFFFF, 0, 0, 0, 0)
                link.throw(header + os.urandom(60))
                self.sequence = (self.sequence + 1) & 0xFFFF
            self.clock += every_ms

    def end(self) -> None:
        """Stop all media and close all paths."""
        self.over = True
        for timer in self.timers:
            timer.cancel()
        for task in list(self.tasks):
            task.cancel()
        for link in [*self.dials, *self.direct]:
            link.shut(NORMAL)
        if self.room is not None:
            self.room.shut(NORMAL)
