"""A small relay of the phases 0 to 5.5, as a stranger writes it from spec/ and schemas/.

    python -m tests.independent.relay --listen 127.0.0.1:0 --phase 5.5

It prints the ready line of docs/how-to/judge-your-relay.md and stops on SIGTERM.

What it leaves out, and the suite is to say so (relay.verdicts.json): the policy `open`, and a limit of
reflections a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aioquic.asyncio.server import QuicServer
from aioquic.quic.connection import QuicConnection
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import schemas
from tests.independent.wire import (
    CALL_ENDED,
    MEDIA_TIMEOUT,
    NO_SUCH_SERVICE,
    NORMAL,
    NOT_ADMITTED,
    OPUS,
    REGISTRATION_REFUSED,
    REGISTRATION_TIMEOUT,
    REPLACED,
    SEAT_TAKEN,
    SHUTDOWN,
    TOO_MANY_CONNECTIONS,
    Body,
    Identity,
    Link,
    address_text,
    certificate,
    fingerprint,
    read_address,
    settings,
    tls_fingerprint,
    verifies,
)

NEWEST = "5.5"
MOST_SIGNALLING = 16_384  # bytes of an offer, an answer or a hangup
MOST_CALLS = 8  # live calls of a fingerprint, and offers on their way to a target
BURST, REFILL = 20, 10  # offers of a connection: at once, and a second


class Allowance:
    """A bucket of BURST that is refilled by REFILL a second."""

    def __init__(self, now: float) -> None:
        """Begin full at the time `now`, in seconds."""
        self.left, self.at = float(BURST), now

    def take(self, now: float) -> bool:
        """Use one up; False when there is none."""
        self.left, self.at = min(BURST, self.left + (now - self.at) * REFILL), now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Call:
    """A live call: from its offer to its end."""

    name: str
    caller: str
    callee: str
    offer: Body
    timer: asyncio.TimerHandle
    state: str = "Pending"
    seats: dict[str, RelayLink] = field(default_factory=dict)
    aliases: dict[str, str | None] = field(default_factory=dict)

    def other(self, party: str) -> str:
        """Return the fingerprint of the other party."""
        return self.callee if party == self.caller else self.caller


class RelayLink(Link):
    """One connection to the relay, for signalling or for a room, whatever its server name says."""

    def __init__(self, relay: Relay, quic: QuicConnection, *rest: object, **named: object) -> None:
        """Serve `quic` for `relay`."""
        super().__init__(quic, *rest, **named)
        self.relay = relay
        self.phase = relay.phase
        self.stream_timeout = relay.options.stream_timeout
        self.keep_alive = relay.options.keep_alive
        self.who: str | None = None  # the fingerprint that registered, or was admitted
        self.call: Call | None = None  # of a media connection that was admitted
        self.waiting: asyncio.TimerHandle | None = None
        self.offers = Allowance(self._loop.time())

    @property
    def is_media(self) -> bool:
        """Whether this connection is for a room."""
        return self.server_name.startswith("call-")

    def opened(self) -> None:
        """Look at the server name (spec/transport.md)."""
        links, options = self.relay.links, self.relay.options
        if len(links) >= options.max_connections:
            self.shut(TOO_MANY_CONNECTIONS)
            return
        links.add(self)
        if self.server_name == "ping":
            self.shut(NORMAL)
        elif self.server_name == "_signal":
            self._expect(options.register_timeout, REGISTRATION_TIMEOUT)
        elif self.is_media:
            self._expect(options.media_timeout, MEDIA_TIMEOUT)
        else:
            self.shut(NO_SUCH_SERVICE)

    def _expect(self, seconds: float, code: int) -> None:
        self.waiting = self._loop.call_later(seconds, self.shut, code)

    def introduced(self, who: str) -> None:
        """Remember who is at the other end, and wait no longer."""
        self.who = who
        if self.waiting is not None:
            self.waiting.cancel()

    def closed(self, _code: int | None) -> None:
        """Leave the tables."""
        if self.waiting is not None:
            self.waiting.cancel()
        self.relay.links.discard(self)
        if self.call is not None:
            self.relay.left_room(self, self.call)
        elif self.who is not None and not self.is_media:
            self.relay.lost(self, self.who)

    def datagram(self, data: bytes) -> None:
        """Pass media on to the other seat of the room."""
        if self.call is None or not _is_media(data):
            return
        for seat in self.call.seats.values():
            if seat is not self:
                seat.throw(data)

    def message(self, name: str, body: Body, size: int) -> None:
        """Find out whose turn a message is."""
        if self.is_media:
            if name == "CallOffer" and self.who is None:
                self.relay.admit(self, body)
        elif self.who is None:
            if name == "RegisterPresence":
                self.relay.register(self, body)
        elif name == "Ping":
            self.say("Pong", {"timestamp_ms": body["timestamp_ms"]})
        elif name == "Reflect":
            self.say("ReflectResponse", {"observed_addr": self.remote})
        else:
            self._signalling(self.who, name, body, size)

    def _signalling(self, who: str, name: str, body: Body, size: int) -> None:
        if name == "DirectCallOffer":
            self.relay.offer(self, who, body, size)
        elif name == "DirectCallAnswer" and size <= MOST_SIGNALLING:
            self.relay.answer(who, body)
        elif name == "Hangup" and size <= MOST_SIGNALLING:
            self.relay.hangup(who, body)


def _is_media(data: bytes) -> bool:
    if len(data) < 12 or (data[0] >> 2) & 15 > 8:
        return False
    return not data[0] & 2 or len(data) >= 16


class Relay:
    """Who is registered, and which calls are live."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Serve as `options` say."""
        self.options = options
        self.phase: str = options.phase
        self.identity = Identity(_seed(options.identity))
        self.links: set[RelayLink] = set()
        self.people: dict[str, RelayLink] = {}
        self.calls: dict[str, Call] = {}
        self.advertised = ""
        self.loop = asyncio.get_running_loop()

    def since(self, phase: str) -> bool:
        """Tell whether this relay is of `phase` or of a later one."""
        return schemas.PHASES.index(phase) <= schemas.PHASES.index(self.phase)

    def send(self, who: str, name: str, body: Body, left: Callable[[], None] | None = None) -> None:
        """Send a message to the newest connection of a fingerprint."""
        if who in self.people:
            self.people[who].say(name, body, left)

    # Registration

    def register(self, link: RelayLink, body: Body) -> None:
        """Accept a registration with the right signature, and refuse every other one (REG-2 to REG-6)."""
        public, signature = bytes(body["identity_pub"]), bytes(body["signature"])
        if not verifies(public, signature, b"register-presence" + public):
            error = "the signature is wrong" if signature else "this relay wants a signature"
            link.say("RegisterPresenceAck", {"success": False, "error": error})
            link.shut(REGISTRATION_REFUSED)
            return
        who = fingerprint(public)
        link.introduced(who)
        link.say("RegisterPresenceAck", {"success": True})
        older = self.people.get(who)
        self.people[who] = link
        if older is not None:
            older.shut(REPLACED)
        for call in self.calls_of(who):
            if call.callee == who and call.state != "Active":
                self._ring(call)

    def lost(self, link: RelayLink, who: str) -> None:
        """End the calls of somebody whose connection is gone and not replaced (CALL-34, REG-13)."""
        if self.people.get(who) is not link:
            return
        del self.people[who]
        for call in self.calls_of(who):
            self.end(call)
            self.send(call.other(who), "Hangup", {"reason": "Normal"})

    # Calls

    def calls_of(self, who: str) -> list[Call]:
        """Return the live calls of a fingerprint."""
        return [call for call in self.calls.values() if who in (call.caller, call.callee)]

    def offer(self, link: RelayLink, who: str, body: Body, size: int) -> None:
        """Take an offer: a new one, a repeated one, or one to refuse."""
        call, target = self.calls.get(body["call_id"]), body["target_fingerprint"]
        if call is not None and who in (call.caller, call.callee):
            if call.state == "Ringing" and (who, target) == (call.caller, call.callee):
                link.say("CallRinging", {"call_id": call.name})
            return
        refusal = self._refusal(link, who, target, size, taken=call is not None)
        if refusal is not None:
            link.say("Hangup", {"reason": refusal})
            return
        timer = self.loop.call_later(self.options.ring_timeout, self._unanswered, body["call_id"])
        call = Call(body["call_id"], who, target, {**body, "caller_fingerprint": who}, timer)
        self.calls[call.name] = call
        self._ring(call)

    def _refusal(self, link: RelayLink, who: str, target: str, size: int, *, taken: bool) -> str | None:
        """Go through the rows of spec/call.md, Refusals."""
        if not link.offers.take(self.loop.time()):
            return "Busy"
        if size > MOST_SIGNALLING or target == who or taken or target not in self.people:
            return "Error"
        waiting = [out for out in self.people[target].outgoing.values() if out.name == "DirectCallOffer"]
        if max(len(self.calls_of(who)), len(self.calls_of(target)), len(waiting)) >= MOST_CALLS:
            return "Busy"
        return None

    def _ring(self, call: Call) -> None:
        hidden = [("3", "caller_reflexive_addr"), ("5.5", "caller_local_addrs")]
        removed = [member for phase, member in hidden if self.since(phase)]
        body = {key: value for key, value in call.offer.items() if key not in removed}
        self.send(call.callee, "DirectCallOffer", body, partial(self._rings, call))

    def _rings(self, call: Call) -> None:
        if self.calls.get(call.name) is call and call.state == "Pending":
            call.state = "Ringing"
            self.send(call.caller, "CallRinging", {"call_id": call.name})

    def _unanswered(self, name: str) -> None:
        call = self.calls[name]
        self.end(call)
        for party in (call.caller, call.callee):
            self.send(party, "Hangup", {"reason": "Timeout"})

    def answer(self, who: str, body: Body) -> None:
        """Take the callee's answer; nobody else's counts."""
        call = self.calls.get(body["call_id"])
        if call is None or call.callee != who or call.state == "Active":
            return
        if body["accept_mode"] == "Reject":
            self.end(call)
            self.send(call.caller, "Hangup", {"reason": "Declined"})
            return
        call.state = "Active"
        call.timer.cancel()
        trusted = body["accept_mode"] == "AcceptTrusted"
        hidden = [("3", "callee_reflexive_addr"), ("5.5", "callee_local_addrs")]
        removed = [] if trusted else [member for phase, member in hidden if self.since(phase)]
        forwarded = {key: value for key, value in body.items() if key not in removed}
        self.send(call.caller, "DirectCallAnswer", forwarded)
        self.send(call.caller, "CallSetup", self._setup(call, body if trusted else {}, "callee"))
        self.send(call.callee, "CallSetup", self._setup(call, call.offer if trusted else {}, "caller"))

    def _setup(self, call: Call, told: Body, whose: str) -> Body:
        """Return a CallSetup with the addresses that `told`, an offer or an answer, has of the other."""
        setup: Body = {"call_id": call.name, "room": f"call-{call.name}", "relay_addr": self.advertised}
        if self.since("3") and told.get(f"{whose}_reflexive_addr") is not None:
            setup["peer_direct_addr"] = told[f"{whose}_reflexive_addr"]
        if self.since("5.5") and told.get(f"{whose}_local_addrs"):
            setup["peer_local_addrs"] = told[f"{whose}_local_addrs"]
        return setup

    def hangup(self, who: str, body: Body) -> None:
        """End every call of somebody, and pass the Hangup on once a call."""
        for call in self.calls_of(who):
            self.end(call)
            self.send(call.other(who), "Hangup", body)

    def end(self, call: Call) -> None:
        """Forget a call and close its room."""
        call.timer.cancel()
        del self.calls[call.name]
        seats = list(call.seats.values())
        call.seats.clear()
        for seat in seats:
            seat.call = None
            seat.shut(CALL_ENDED)

    # Rooms

    def admit(self, link: RelayLink, body: Body) -> None:
        """Give a party of an Active call its seat; everybody else is refused alike (MEDIA-7)."""
        public, ephemeral = bytes(body["identity_pub"]), bytes(body["ephemeral_pub"])
        who = fingerprint(public)
        call = self.calls.get(link.server_name.removeprefix("call-"))
        proved = verifies(public, bytes(body["signature"]), ephemeral + b"call-offer")
        if call is None or call.state != "Active" or who not in (call.caller, call.callee) or not proved:
            link.shut(NOT_ADMITTED)
            return
        link.introduced(who)
        link.call = call
        fresh = X25519PrivateKey.generate().public_key().public_bytes_raw()
        link.say(
            "CallAnswer",
            {
                "identity_pub": list(self.identity.public),
                "ephemeral_pub": list(fresh),
                "signature": self.identity.signed(fresh + b"call-answer"),
                "chosen_profile": OPUS,
            },
        )
        older = call.seats.pop(who, None)
        call.seats[who], call.aliases[who] = link, body.get("alias")
        if older is not None:
            older.call = None
            older.shut(SEAT_TAKEN)
        self._tell_room(call)

    def left_room(self, link: RelayLink, call: Call) -> None:
        """Free the seat of a connection that is gone."""
        if link.who is not None and call.seats.get(link.who) is link:
            del call.seats[link.who]
            self._tell_room(call)

    def _tell_room(self, call: Call) -> None:
        people = [
            {"fingerprint": who, "alias": call.aliases.get(who), "relay_label": None} for who in call.seats
        ]
        for seat in call.seats.values():
            seat.say("RoomUpdate", {"count": len(people), "participants": people})

    def stop(self) -> None:
        """Say that it is over to all parties, then to all connections (ERR-5, ERR-6)."""
        for call in list(self.calls.values()):
            self.end(call)
            for party in (call.caller, call.callee):
                self.send(party, "Hangup", {"reason": "Error"})
        self.people.clear()
        for link in list(self.links):
            link.shut(SHUTDOWN)


def _seed(path: Path | None) -> bytes:
    if path is None:
        return os.urandom(32)
    if not path.exists():
        path.write_text(os.urandom(32).hex(), encoding="ascii")
    return bytes.fromhex(path.read_text(encoding="ascii"))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.independent.relay", description="A small relay.")
    parser.add_argument("--listen", type=read_address, default=("127.0.0.1", 4433))
    parser.add_argument("--advertise", help="what is named in relay_addr; the address of --listen by itself")
    parser.add_argument("--identity", type=Path, help="a file with the seed, made when there is none")
    parser.add_argument("--registration", help="is ignored: this relay takes signed registrations only")
    parser.add_argument("--max-connections", type=int, default=10_000)
    for name, seconds in {"register": 10, "ring": 60, "media": 10, "stream": 10}.items():
        parser.add_argument(f"--{name}-timeout", type=float, default=float(seconds))
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--log-level", help="is ignored: this relay writes no log")
    parser.add_argument("--phase", choices=schemas.PHASES, default=NEWEST)
    options = parser.parse_args(arguments)
    if schemas.PHASES.index(options.phase) > schemas.PHASES.index(NEWEST):
        options.phase = NEWEST
    return options


def _ready(relay: Relay, address: str, leaf: str) -> str:
    options = relay.options
    timers = {name: getattr(options, f"{name}_timeout") for name in ("register", "ring", "media", "stream")}
    ready = {
        "addr": address,
        "tls_fingerprint": leaf,
        "phase": relay.phase,
        "registration": "signed",
        "advertise": relay.advertised,
        "timers": {**timers, "keep_alive": options.keep_alive},
        "limits": {"connections": options.max_connections},
    }
    return json.dumps({"ready": ready})


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    relay = Relay(options)
    configuration = settings(is_client=False)
    configuration.certificate = certificate(relay.identity.tls_key)
    configuration.private_key = relay.identity.tls_key
    loop = asyncio.get_running_loop()
    transport, _server = await loop.create_datagram_endpoint(
        lambda: QuicServer(configuration=configuration, create_protocol=partial(RelayLink, relay)),
        local_addr=options.listen,
    )
    address = address_text(*transport.get_extra_info("sockname")[:2])
    relay.advertised = options.advertise or address
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    sys.stdout.write(_ready(relay, address, tls_fingerprint(configuration.certificate)) + "\n")
    sys.stdout.flush()
    await told_to_stop.wait()
    relay.stop()
    transport.close()


if __name__ == "__main__":
    asyncio.run(serve(_options(None)))
