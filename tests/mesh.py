"""Mesh: relays that are linked, people at their telephones, and a clock that a test turns.

Rules of this file: every message crosses as the bytes that an endpoint would send; what is said on one
connection arrives in order, each after a delay that is drawn; what is under way on a connection that is cut
is lost, and each end notices it for itself, later; a relay that acts on a connection which it knows to be
over fails the test; nothing else happens but what a test asks for. Everything that arrives anywhere stands
in `delivered`, as bytes. What a relay hears is told by `hears`, with what comes in an envelope in brackets:

    assert ["[CallRinging]", "[DirectCallAnswer]"] == north.hears("south")
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Protocol, cast

from cryptography.hazmat.primitives.serialization import Encoding

from reference.core import wire as codec
from reference.core.effects import Close, Count, Dial, Effect, Log, Send, SendDatagram, Stop
from reference.core.errors import BadMessage, CloseCode, HangupReason, UnknownMessage
from reference.core.links import SERVER_NAME, Link
from reference.core.media import Header
from reference.core.messages import (
    AcceptMode,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    FederatedSignalForward,
    FederationHello,
    Hangup,
    MediaPathReport,
    Message,
)
from reference.core.phases import NEWEST, Phase
from reference.core.proof import plain, statement
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Peer, Setting, Trust
from reference.core.strict_json import JsonObject
from reference.quic.credentials import Credentials
from tests.world import entropy, identity, introduction, offer, registration, word

EPOCH = 1_795_000_000.0
"""The time of day, in seconds since 1970, at which a mesh begins."""
IDLE = 30.0
"""Seconds after which the end of a connection notices at the latest that the other one is gone."""
HANDSHAKE = 10.0
"""Seconds after which an attempt to connect is given up."""
MOST = 200_000
"""How much may happen before a mesh that never comes to rest fails its test."""


@cache
def credentials(name: str) -> Credentials:
    """Return the credentials that a relay of this name shows in all tests."""
    return Credentials.from_private_seed(identity(name).tls_private_seed())


@cache
def shown(name: str) -> str:
    """Return the TLS fingerprint of a relay."""
    return credentials(name).fingerprint


@cache
def der(name: str) -> bytes:
    """Return the certificate of a relay in DER."""
    return credentials(name).certificate.public_bytes(Encoding.DER)


def hello(sender: str, receiver: str, time: float = EPOCH) -> FederationHello:
    """Return the hello of one relay for another one, with its proof."""
    signed = statement(plain(shown(sender)), plain(shown(receiver)), int(time))
    signature = credentials(sender).private_key.sign(signed)
    return FederationHello(
        tls_fingerprint=shown(sender), certificate=der(sender), time=int(time), signature=signature
    )


def envelope(
    origin: str, inner: Message, call_id: str | None = None, phase: Phase = NEWEST
) -> FederatedSignalForward:
    """Return the envelope in which a relay sends a message."""
    value = cast("JsonObject", json.loads(json.dumps(codec.written(inner, phase))))
    return FederatedSignalForward(inner=value, origin_relay_fp=shown(origin), call_id=call_id)


def spoken(message: Message, phase: Phase = NEWEST) -> str:
    """Return a message as `hears` tells it; what an envelope carries stands in brackets."""
    if not isinstance(message, FederatedSignalForward):
        return word(message)
    try:
        return f"[{word(codec.read(message.inner, phase))}]"
    except BadMessage:
        return f"[{next(iter(message.inner))}?]"


class End(Protocol):
    """Whoever has one end of a connection."""

    name: str
    address: str
    alive: bool

    def opened(self, wire: Wire) -> None:
        """Learn that the handshake is complete."""

    def hear(self, wire: Wire, payload: bytes) -> None:
        """Take the payload of a message."""

    def catch(self, wire: Wire, data: bytes) -> None:
        """Take a datagram."""

    def flushed(self, wire: Wire, receipt: object) -> None:
        """Learn that a message with a receipt has left."""

    def lost(self, wire: Wire, code: int) -> None:
        """Learn that the connection has ended, unless this end closed it."""


@dataclass(eq=False)
class Wire:
    """One connection; `over` are the ends that know of its end.

    Without `credit` what the listener says waits, as without stream credit.
    """

    dialler: End
    listener: End
    sni: str
    open: bool = False
    cut: bool = False
    credit: bool = True
    over: set[End] = field(default_factory=set)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    arrives: dict[End, float] = field(default_factory=dict)

    def other(self, end: End) -> End:
        """Return who has the other end."""
        return self.listener if end is self.dialler else self.dialler


class Mesh:
    """Relays, everybody who talks to them, and the time in seconds.

    Each pair of relays trusts each other, and `dials` has the pairs of names of which the first one dials
    the second. `delay` draws how long something is under way, `notice` how long a loss goes unnoticed.
    """

    def __init__(
        self,
        *names: str,
        dials: Iterable[tuple[str, str]] | None = None,
        strangers: Iterable[str] = (),
        trust: Trust = Trust.PROVEN,
        limits: Limits | None = None,
        phase: Phase = NEWEST,
        delay: Callable[[], float] = lambda: 0.01,
        notice: Callable[[], float] = lambda: IDLE,
    ) -> None:
        """Start the relays `names`; they trust `strangers` too, which the test plays itself."""
        self.now = 0.0
        self.phase = phase
        self.delay, self.notice = delay, notice
        self.delivered: list[tuple[End, bytes]] = []
        self.offered: Counter[tuple[str, str, str]] = Counter()
        self.wires: list[Wire] = []
        self.ends: dict[str, End] = {}
        self.stations: dict[str, Station] = {}
        self._serial = 0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        everybody = [*names, *strangers]
        self.addresses = {name: f"203.0.113.{place + 5}:4433" for place, name in enumerate(everybody)}
        pairs = {(one, two) for at, one in enumerate(names) for two in names[at + 1 :]}
        pairs = pairs if dials is None else set(dials)
        for name in names:
            peers = tuple(self._peer(name, other, pairs) for other in everybody if other != name)
            setting = Setting(identity(name), self.addresses[name], limits=limits or Limits(), phase=phase)
            known = replace(setting, peers=peers, trust=trust, certificate=der(name), epoch=EPOCH)
            self.stations[name] = station = Station(self, known, name)
            self.ends[station.address] = station
            station.starts()

    def _peer(self, name: str, other: str, pairs: set[tuple[str, str]]) -> Peer:
        """Return what one relay is told of another one."""
        return Peer(shown(other), other, self.addresses[other] if (name, other) in pairs else "")

    def __getitem__(self, name: str) -> Station:
        """Return a relay."""
        return self.stations[name]

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Let something happen at a time."""
        self._serial += 1
        heapq.heappush(self._coming, (when, self._serial, action))

    def run(self, seconds: float = 1.0) -> None:
        """Turn the clock on; what comes meanwhile, and what becomes due, happens at its time."""
        until = self.now + seconds
        for _ in range(MOST):
            coming = self._coming[0][0] if self._coming else until + 1
            wakes = [(wake, one) for one in self.stations.values() if (wake := one.deadline()) is not None]
            wake, station = min(wakes, key=lambda one: one[0], default=(until + 1, None))
            if min(coming, wake) > until:
                self.now = until
                return
            self.now = max(self.now, min(coming, wake))
            if station is not None and wake < coming:
                station.does(station.core.tick(self.now))
            else:
                heapq.heappop(self._coming)[2]()
        raise AssertionError("the mesh never comes to rest")

    def dial(self, dialler: End, address: str, sni: str) -> Wire:
        """Open a connection to an address; an attempt at one where nobody is ends after a while."""
        wire = Wire(dialler, self.ends.get(address, NOBODY), sni)
        self.wires.append(wire)
        self.carry(wire, dialler, partial(self._greet, wire))
        self.at(self.now + HANDSHAKE, partial(self._give_up, wire))
        return wire

    def send(self, wire: Wire, sender: End, payload: bytes, receipt: object = None) -> None:
        """Put a message on a connection, or let one of the listener's wait for credit."""
        if wire.credit or sender is wire.dialler:
            self._say(wire, sender, payload, receipt)
        else:
            wire.waiting.append(partial(self._say, wire, sender, payload, receipt))

    def grant(self, wire: Wire) -> None:
        """Let the messages go that waited for credit."""
        wire.credit = True
        waiting, wire.waiting = wire.waiting, []
        for say in waiting:
            say()

    def carry(self, wire: Wire, sender: End, deliver: Callable[[], None]) -> None:
        """Let something arrive at the other end, behind what is under way there."""
        there = wire.other(sender)
        wire.arrives[there] = max(self.now + self.delay(), wire.arrives.get(there, 0.0))
        self.at(wire.arrives[there], partial(self._arrive, wire, there, deliver))

    def close(self, wire: Wire, end: End, code: int) -> None:
        """Close a connection at one end; the other one learns it behind what was said before."""
        wire.over.add(end)
        self.carry(wire, end, partial(self._lose, wire, wire.other(end), code))

    def cut(self, wire: Wire) -> None:
        """Break a connection: what is under way is lost, and each end notices later."""
        if not wire.cut:
            wire.cut = True
            for end in (wire.dialler, wire.listener):
                self.at(self.now + self.notice(), partial(self._lose, wire, end, -1))

    def _say(self, wire: Wire, sender: End, payload: bytes, receipt: object) -> None:
        self.carry(wire, sender, partial(self._deliver, wire, wire.other(sender), payload))
        if receipt is not None:
            self.at(self.now, partial(self._flush, wire, sender, receipt))

    def _flush(self, wire: Wire, sender: End, receipt: object) -> None:
        if sender not in wire.over:
            sender.flushed(wire, receipt)

    def _deliver(self, wire: Wire, end: End, payload: bytes) -> None:
        self.delivered.append((end, payload))
        end.hear(wire, payload)

    def _arrive(self, wire: Wire, end: End, deliver: Callable[[], None]) -> None:
        if not wire.cut and end not in wire.over:
            deliver()

    def _greet(self, wire: Wire) -> None:
        if wire.listener.alive:
            self.carry(wire, wire.listener, partial(self._complete, wire))

    def _complete(self, wire: Wire) -> None:
        wire.open = True
        self.carry(wire, wire.dialler, partial(wire.listener.opened, wire))
        wire.dialler.opened(wire)

    def _give_up(self, wire: Wire) -> None:
        if not wire.open:
            self._lose(wire, wire.dialler, -1)

    def _lose(self, wire: Wire, end: End, code: int) -> None:
        if end not in wire.over:
            wire.over.add(end)
            end.lost(wire, code)


class Station:
    """One relay of a mesh: a core that can be killed and started again, and its connections by number."""

    core: RelayCore

    def __init__(self, mesh: Mesh, setting: Setting, name: str) -> None:
        """Prepare a relay that does not run yet."""
        self.mesh = mesh
        self.name = name
        self.setting = setting
        self.address = setting.relay_addr
        self.alive = False
        self.wires: dict[int, Wire] = {}
        self.numbers: dict[Wire, int] = {}
        self.counted: Counter[tuple[str, str]] = Counter()
        self.logged: list[Log] = []
        self.heard: list[tuple[str, Message]] = []
        self.dialled: list[tuple[float, str]] = []
        self._last = 0
        self._drawn = entropy(name)

    def starts(self) -> None:
        """Start with empty tables; the relays that it dials are dialled at once."""
        self.core = RelayCore(self.setting, lambda: self._drawn(32))
        self.alive = True

    def dies(self) -> None:
        """Stop without a word; whoever was connected notices later."""
        self.alive = False
        self.wires, self.numbers = {}, {}
        for wire in self.mesh.wires:
            if self in {wire.dialler, wire.listener} - wire.over:
                wire.over.add(self)
                self.mesh.cut(wire)

    def stops(self) -> None:
        """Stop with a word to everybody."""
        self.does(self.core.shutdown())
        self.dies()

    def reloads(self, *peers: Peer) -> None:
        """Go on with these peers instead of those that it had."""
        self.setting = replace(self.setting, peers=peers)
        self.does(self.core.adopt(self.setting))

    def drains(self) -> None:
        """Let the calls that are live come to their end, and stop then."""
        self.does(self.core.drain(self.mesh.now))

    def deadline(self) -> float | None:
        """Return when the relay wants to be woken, if it lives."""
        return self.core.deadline() if self.alive else None

    def link(self, name: str) -> Link | None:
        """Return the link that is up to a relay, or None."""
        return next((link for link in self.core.links if link.label == name), None)

    def wire(self, name: str) -> Wire:
        """Return the connection on which the link to a relay is up."""
        link = self.link(name)
        assert link is not None
        return self.wires[link.session]

    def hears(self, sender: str) -> list[str]:
        """Return what was heard of somebody since the last time, as the tables write it."""
        said = [spoken(message, self.setting.phase) for name, message in self.heard if name == sender]
        self.heard = [one for one in self.heard if one[0] != sender]
        return said

    def opened(self, wire: Wire) -> None:
        """Let the core take in a connection, with the certificate of the relay that was dialled."""
        other = wire.other(self)
        if wire.dialler is self:
            session = self.numbers[wire]
            fingerprint = shown(other.name)
        else:
            session, fingerprint = self._number(wire), None
        self.does(self.core.connected(session, wire.sni, other.address, self.mesh.now, fingerprint))

    def hear(self, wire: Wire, payload: bytes) -> None:
        """Let the core read a message."""
        session = self.numbers[wire]
        try:
            message = codec.decode(payload, self.setting.phase)
        except BadMessage as fault:
            self.does(self.core.bad(session, fault, self.mesh.now))
            return
        name = wire.other(self).name
        self.heard.append((name, message))
        if spoken(message) == "[DirectCallOffer]" and isinstance(message, FederatedSignalForward):
            (inner,) = message.inner.values()
            self.mesh.offered[name, self.name, cast("dict[str, str]", inner)["call_id"]] += 1
        self.does(self.core.receive(session, message, self.mesh.now, len(payload)))

    def catch(self, wire: Wire, data: bytes) -> None:
        """Let the core take a datagram."""
        self.mesh.delivered.append((self, data))
        self.does(self.core.datagram(self.numbers[wire], data))

    def flushed(self, wire: Wire, receipt: object) -> None:
        """Let the core learn what has left."""
        if wire in self.numbers:
            self.does(self.core.flushed(receipt))

    def lost(self, wire: Wire, code: int) -> None:
        """Let the core learn that a connection has ended."""
        del code
        session = self.numbers.pop(wire, None)
        if session is not None:  # otherwise its handshake was never complete here
            del self.wires[session]
            self.does(self.core.lost(session))

    def does(self, effects: Iterable[Effect]) -> None:
        """Perform what the core wants, in order."""
        for effect in effects:
            match effect:
                case Send():
                    payload = codec.encode(effect.message, self.setting.phase)
                    self.mesh.send(self._alive(effect.session), self, payload, effect.receipt)
                case SendDatagram():
                    wire = self._alive(effect.session)
                    self.mesh.carry(wire, self, partial(wire.other(self).catch, wire, effect.data))
                case Close():
                    self._close(effect)
                case Dial():
                    assert effect.sni == SERVER_NAME
                    self.dialled.append((self.mesh.now, effect.address))
                    wire = self.mesh.dial(self, effect.address, effect.sni)
                    self.core.dialled(effect.leg, self._number(wire))
                case Count():
                    self.counted[effect.counter, effect.reason] += 1
                case Stop():
                    self.mesh.at(self.mesh.now, partial(self._drained, self.core))
                case Log():
                    json.dumps([dict(effect.members), dict(effect.private)])
                    self.logged.append(effect)
                case _:
                    raise AssertionError(f"a relay has no user: {effect}")

    def _drained(self, core: RelayCore) -> None:
        if self.alive and self.core is core:
            self.stops()

    def _number(self, wire: Wire) -> int:
        self._last += 1
        self.wires[self._last], self.numbers[wire] = wire, self._last
        return self._last

    def _alive(self, session: int) -> Wire:
        wire = self.wires[session]
        assert self not in wire.over, f"{self.name} acts on {wire.sni}, which it knows to be over"
        return wire

    def _close(self, effect: Close) -> None:
        wire = self._alive(effect.session)
        self.mesh.close(wire, self, effect.code)
        self.mesh.at(self.mesh.now, partial(self._closed, wire))

    def _closed(self, wire: Wire) -> None:
        """Tell the core of an end that it brought about, as an endpoint does."""
        if wire in self.numbers:
            self.lost(wire, -1)


class Party:
    """Somebody without a machine at one connection, a client or a relay: the test writes what it says.

    One that is not `at` a relay waits at `address` to be dialled.
    """

    def __init__(
        self, mesh: Mesh, name: str, at: Station | None = None, sni: str = "_signal", phase: Phase = NEWEST
    ) -> None:
        """Connect to a relay under the server name `sni`, or wait."""
        self.mesh = mesh
        self.name = name
        self.phase = phase
        self.alive = True
        self.identity = identity(name)
        self.messages: list[Message] = []
        self.datagrams: list[bytes] = []
        self.code: CloseCode | None = None
        self.gone = False
        self.hearing: Callable[[Message], None] = lambda _: None
        self.losing: Callable[[], None] = lambda: None
        self.unsaid: list[Message] = []
        self.wire: Wire
        if at is None:
            self.address = mesh.addresses[name]
            mesh.ends[self.address] = self
        else:
            self.address = f"192.0.2.{len(mesh.wires) % 250 + 1}:5000"
            self.wire = mesh.dial(self, at.address, sni)

    @property
    def fingerprint(self) -> str:
        """Return how others call this party."""
        return self.identity.fingerprint

    def says(self, *messages: Message) -> None:
        """Send messages, as soon as there is a connection; they are under way then."""
        self.unsaid += messages
        while self.unsaid and self.wire.open and not self.gone:
            self.mesh.send(self.wire, self, codec.encode(self.unsaid.pop(0), self.phase))

    def throws(self, *data: bytes) -> None:
        """Send datagrams."""
        for one in data:
            self.mesh.carry(self.wire, self, partial(self.wire.other(self).catch, self.wire, one))

    def leaves(self) -> None:
        """Close the connection."""
        self.gone = True
        self.mesh.close(self.wire, self, CloseCode.NORMAL)

    def hears(self) -> list[str]:
        """Return what was heard since the last time."""
        messages, self.messages = self.messages, []
        return [spoken(message) for message in messages]

    def opened(self, wire: Wire) -> None:
        """Say what waits to be said."""
        self.wire = wire
        self.says()

    def hear(self, wire: Wire, payload: bytes) -> None:
        """Keep a message, unless it is of a phase that this party does not know."""
        del wire
        with suppress(UnknownMessage):
            message = codec.decode(payload, self.phase)
            self.messages.append(message)
            self.hearing(message)

    def catch(self, wire: Wire, data: bytes) -> None:
        """Keep a datagram."""
        del wire
        self.mesh.delivered.append((self, data))
        self.datagrams.append(data)

    def flushed(self, wire: Wire, receipt: object) -> None:
        """Have no use for a receipt."""

    def lost(self, wire: Wire, code: int) -> None:
        """Keep the code of the close."""
        del wire
        self.gone = True
        self.code = CloseCode(code) if code >= 0 else None
        self.losing()


class Nobody:
    """What stands where nobody listens."""

    name = "nobody"
    address = "192.0.2.254:1"
    alive = False

    def opened(self, wire: Wire) -> None:
        """Never happens."""

    def hear(self, wire: Wire, payload: bytes) -> None:
        """Never happens."""

    def catch(self, wire: Wire, data: bytes) -> None:
        """Never happens."""

    def flushed(self, wire: Wire, receipt: object) -> None:
        """Never happens."""

    def lost(self, wire: Wire, code: int) -> None:
        """Nobody misses it."""


NOBODY = Nobody()


class Person:
    """A person at one telephone, who remembers of each call what the messages told; phase 7 and newer.

    `calls` has what a telephone would show: placed, rings, answered, in. When the connection is lost the
    telephone shows nothing, and its calls are hung up with the next registration, wherever that is.
    """

    def __init__(self, mesh: Mesh, name: str) -> None:
        """Have a telephone that is not connected; `name` is shared by all telephones of one identity."""
        self.mesh = mesh
        self.name = name
        self.identity = identity(name)
        self.at: Station
        self.line: Party | None = None
        self.calls: dict[str, str] = {}
        self.owed: set[str] = set()
        self.rooms: dict[str, Party] = {}
        self.told: list[Message] = []

    @property
    def up(self) -> bool:
        """Tell whether there is a line, as far as the telephone knows."""
        return self.line is not None

    def registers(self, at: Station) -> None:
        """Register at a relay, and hang up what this telephone had when its line was lost."""
        if self.line is not None:
            self.leaves()
        self.at = at
        self.line = Party(self.mesh, self.name, at)
        self.line.hearing = self._hear
        self.line.losing = self._lose
        self.line.says(registration(self.identity))
        self.line.says(*(Hangup(reason=HangupReason.NORMAL, call_id=one) for one in sorted(self.owed)))

    def leaves(self) -> None:
        """Close the line and every room."""
        if self.line is not None:
            line = self.line
            self._lose()
            line.leaves()

    def vanishes(self) -> None:
        """Lose every connection; both ends notice later."""
        for party in [self.line, *self.rooms.values()]:
            if party is not None:
                self.mesh.cut(party.wire)

    def places(self, callee: str, call_id: str, *addresses: str) -> None:
        """Call somebody, or say the same offer again."""
        reflexive, *local = addresses or ("",)
        self.calls[call_id] = "placed"
        self._says(
            offer(
                self.identity,
                identity(callee),
                call_id,
                caller_reflexive_addr=reflexive or None,
                caller_local_addrs=tuple(local),
            )
        )

    def answers(self, call_id: str, mode: AcceptMode, *addresses: str) -> None:
        """Answer a call that rings."""
        reflexive, *local = addresses or ("",)
        if mode is AcceptMode.REJECT:
            del self.calls[call_id]
        else:
            self.calls[call_id] = "answered"
        self._says(
            DirectCallAnswer(
                call_id=call_id,
                accept_mode=mode,
                callee_reflexive_addr=reflexive or None,
                callee_local_addrs=tuple(local),
            )
        )

    def hangs_up(self, call_id: str) -> None:
        """End a call."""
        self._end(call_id)
        self._says(Hangup(reason=HangupReason.NORMAL, call_id=call_id))

    def reports(self, call_id: str) -> None:
        """Report a direct path."""
        self._says(MediaPathReport(call_id=call_id, direct_ok=True))

    def joins(self, call_id: str) -> None:
        """Take the seat in the room of a call."""
        self.rooms[call_id] = room = Party(self.mesh, self.name, self.at, f"call-{call_id}")
        room.says(introduction(self.identity))

    def speaks(self, call_id: str, word: str) -> None:
        """Say something in the room of a call."""
        if call_id in self.rooms and not self.rooms[call_id].gone and self.rooms[call_id].wire.open:
            self.rooms[call_id].throws(Header(codec=0, sequence=0, timestamp=0).encode() + word.encode())

    def _says(self, message: Message) -> None:
        if self.line is not None:
            self.line.says(message)

    def _hear(self, message: Message) -> None:
        self.told.append(message)
        match message:
            case DirectCallOffer() if message.call_id not in self.owed:
                self.calls[message.call_id] = "rings"
            case CallRinging() if message.call_id in self.calls:
                self.calls[message.call_id] = "ringing"
            case DirectCallAnswer() if message.call_id in self.calls:
                self.calls[message.call_id] = "answered"
            case CallSetup() if message.call_id in self.calls:
                self.calls[message.call_id] = "in"
            case CallRinging() | CallSetup():  # of a call that is over here: an offer said again too late
                self._says(Hangup(reason=HangupReason.NORMAL, call_id=message.call_id))
            case Hangup() if message.call_id is not None:
                self._end(message.call_id)

    def _end(self, call_id: str) -> None:
        self.calls.pop(call_id, None)
        room = self.rooms.pop(call_id, None)
        if room is not None and not room.gone:
            room.leaves()

    def _lose(self) -> None:
        self.owed |= {call_id for call_id, stage in self.calls.items() if stage != "rings"}
        self.line = None
        for call_id in [*self.calls, *self.rooms]:
            self._end(call_id)
