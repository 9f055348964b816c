"""World: a relay, clients and scripted parties, a wire between them that is a queue, a clock turned by hand.

Rules of this file: every message crosses the wire as the bytes that an endpoint would send; what the relay
does to a connection that it has closed fails the test; nothing happens but what a test asks for; whatever
has been said stands in `journal`, one line each, so that a test reads like a sequence diagram:

    alice dials _signal
    alice -> relay RegisterPresence
    alice <- relay RegisterPresenceAck
    alice <x relay REPLACED
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from reference.core import media, wire
from reference.core.client import ClientCore
from reference.core.effects import (
    Close,
    Count,
    Dial,
    Effect,
    Gather,
    Log,
    Send,
    SendDatagram,
    Stop,
    Tell,
    Validate,
    Welcome,
)
from reference.core.errors import REASONS, BadMessage, CloseCode, UnknownMessage
from reference.core.line import FIRST_DIRECT, Account, Answer, Leg, Way
from reference.core.media import GOOD
from reference.core.messages import CallOffer, DirectCallOffer, Hangup, Message, RegisterPresence
from reference.core.phases import Phase
from reference.core.registration import Identity, Policy
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Setting

RELAY = "203.0.113.5:4433"
KEY = ":".join(["ab"] * 32)
"""The TLS fingerprint that the relay shows."""

MOST = 20_000
"""How much may happen before a world that never comes to rest fails its test."""


def identity(name: str) -> Identity:
    """Return the identity that belongs to a name in all tests."""
    return Identity.from_seed(hashlib.sha256(name.encode()).digest())


def entropy(name: str) -> Callable[[int], bytes]:
    """Return a source of bytes that never repeats itself and is the same in every run."""
    count = iter(range(MOST))
    return lambda size: hashlib.shake_256(f"{name} {next(count)}".encode()).digest(size)


def word(message: Message) -> str:
    """Return a message as the tables write it: its name, and the reason of a Hangup."""
    name = type(message).__name__
    return f"{name}{{{message.reason}}}" if isinstance(message, Hangup) else name


def offer(caller: Identity, callee: Identity | str, call_id: str, **others: object) -> DirectCallOffer:
    """Return the offer of a call; `callee` is an identity or a fingerprint."""
    members: dict[str, object] = {
        "caller_fingerprint": caller.fingerprint,
        "target_fingerprint": callee if isinstance(callee, str) else callee.fingerprint,
        "call_id": call_id,
        "identity_pub": caller.public,
        "ephemeral_pub": bytes(32),
        "signature": b"",
        "supported_profiles": [GOOD],
    }
    return DirectCallOffer(**{**members, **others})  # type: ignore[arg-type]


def introduction(who: Identity, constant: bytes = media.OFFER, alias: str | None = None) -> CallOffer:
    """Return the CallOffer of a participant, signed over `constant`."""
    public = media.ephemeral_public(who.seed)
    signature = who.sign(public + constant)
    return CallOffer(
        identity_pub=who.public,
        ephemeral_pub=public,
        signature=signature,
        supported_profiles=[GOOD],
        alias=alias,
    )


def registration(who: Identity, *, signed: bool = True, alias: str | None = None) -> RegisterPresence:
    """Return the RegisterPresence of an identity."""
    signature = who.registration_signature() if signed else b""
    return RegisterPresence(identity_pub=who.public, signature=signature, alias=alias)


class Party(Protocol):
    """Whoever stands at the other end of a connection to the relay."""

    name: str
    phase: Phase
    address: str

    def connected(self, link: Link) -> None:
        """Learn that the handshake is complete."""

    def hear(self, link: Link, message: Message) -> None:
        """Take a message."""

    def datagram(self, link: Link, data: bytes) -> None:
        """Take a datagram."""

    def lost(self, link: Link, code: int, reason: str) -> None:
        """Learn that the connection has ended, unless the party closed it itself."""


@dataclass(eq=False)
class Link:
    """One connection; with `granted` False the relay's messages wait, as without stream credit."""

    session: int
    party: Party
    sni: str
    open: bool = True
    over: bool = False
    granted: bool = True
    waiting: list[tuple[bytes, object]] = field(default_factory=list)
    sent: list[Message | bytes] = field(default_factory=list)


@dataclass(eq=False)
class Tie:
    """A connection between two clients: who dialled, who let it in, and the leg that it is for each."""

    dialer: Client
    acceptor: Client
    sni: str
    legs: dict[Client, int]
    open: bool = True

    def other(self, client: Client) -> Client:
        """Return who is at the other end."""
        return self.acceptor if client is self.dialer else self.dialer


class World:
    """One relay, everybody who talks to it, and the time in seconds.

    Relay, clients and puppets are of `phase` unless they are told otherwise. Whether a client reaches an
    address of another one is for `passes` to say; `parties` has them all by address.
    """

    def __init__(
        self,
        client_kind: type[ClientCore] = ClientCore,
        policy: Policy = Policy.SIGNED,
        limits: Limits | None = None,
        phase: Phase = Phase.SIGNALLED_CALL,
    ) -> None:
        """Start with a relay and nobody else; clients are of `client_kind`."""
        self.client_kind = client_kind
        self.phase = phase
        self.passes: Callable[[Client, str], bool] = lambda _dialer, _address: True
        self.parties: dict[str, Client] = {}
        self.now = 0.0
        self.setting = Setting(identity("relay"), RELAY, policy, limits or Limits())
        drawn = entropy("relay")
        self.relay = RelayCore(self.setting, lambda: drawn(32))
        self.key = KEY
        self.reachable = True
        self.stopped = False
        self.shown: list[tuple[int, str]] = []
        self.rewrite: Callable[[Message], Message] = lambda message: message
        self.journal: list[str] = []
        self.counted: Counter[tuple[str, str]] = Counter()
        self.logged: list[Log] = []
        self.links: dict[int, Link] = {}
        self.clients: list[Client] = []
        self._last = 0
        self._queue: deque[Callable[[], None]] = deque()

    def client(
        self,
        name: str,
        answer: Answer = Answer.ASK,
        pin: str = "",
        *,
        kind: type[ClientCore] | None = None,
        phase: Phase | None = None,
        way: Way = Way.AUTO,
    ) -> Client:
        """Start a client and let it register; `kind` and `phase` may differ from the world's."""
        account = Account(identity(name), RELAY, pin, name, answer, way, phase or self.phase)
        client = Client(self, name, account, kind)
        self.clients.append(client)
        for address in (client.address, *client.hosts):
            self.parties[address] = client
        client.does(client.core.start(self.now))
        return client

    def puppet(self, name: str, sni: str = "_signal", *, registered: bool = True) -> Puppet:
        """Connect a party whose every message the test writes."""
        puppet = Puppet(self, name, sni)
        if registered and sni == "_signal":
            puppet.says(registration(puppet.identity))
            assert ["RegisterPresenceAck"] == puppet.hears()
        return puppet

    def settle(self, between: Callable[[], None] | None = None) -> None:
        """Let everything arrive that is on its way; `between` is called before each arrival."""
        for _ in range(MOST):
            if not self._queue:
                return
            if between is not None:
                between()
            self._queue.popleft()()
        raise AssertionError("the world never comes to rest")

    def advance(self, seconds: float) -> None:
        """Turn the clock on; what becomes due meanwhile happens at its time."""
        self.settle()
        until = self.now + seconds
        for _ in range(MOST):
            wakes = [self.relay.deadline(), *(client.core.deadline() for client in self.clients)]
            due = min((wake for wake in wakes if wake is not None), default=until + 1)
            if due > until:
                break
            self.now = max(self.now, due)
            self.relay_does(self.relay.tick(self.now))
            for client in self.clients:
                client.does(client.core.tick(self.now))
        else:
            raise AssertionError("the timers never come to rest")
        self.now = until

    def dial(self, party: Party, sni: str) -> Link:
        """Open a connection to the relay; its handshake is complete once it has arrived."""
        self._last += 1
        link = self.links[self._last] = Link(self._last, party, sni)
        self.journal.append(f"{party.name} dials {sni}")
        self._queue.append(lambda: self._connect(link))
        return link

    def say(self, link: Link, message: Message) -> None:
        """Put a message of a party on the wire."""
        payload = wire.encode(message, link.party.phase)
        self.journal.append(f"{link.party.name} -> relay {word(message)}")
        link.sent.append(message)
        self._queue.append(lambda: self._take(link, payload))

    def throw(self, link: Link, data: bytes) -> None:
        """Put a datagram of a party on the wire."""
        link.sent.append(data)
        self._queue.append(lambda: self._catch(link, data))

    def hang(self, link: Link) -> None:
        """End a connection from the party's side."""
        if link.open:
            link.open = False
            self.journal.append(f"{link.party.name} x> relay {link.sni}")
            self._queue.append(lambda: self._lose(link))

    def cut(self, link: Link) -> None:
        """Break a connection: both ends learn of it, and what is under way is lost."""
        link.open = False
        self._queue.append(lambda: self._lose(link))
        self._queue.append(lambda: link.party.lost(link, -1, "connection lost"))

    def tie(self, dialer: Client, leg: int, address: str, sni: str) -> None:
        """Dial a client directly: it is let in under a welcome name, and otherwise nothing comes back."""
        there = self.parties.get(address)
        self.journal.append(f"{dialer.name} dials {address}")
        if there is None or there is dialer or not self.passes(dialer, address):
            return
        if sni not in there.welcome:
            self._queue.append(lambda: dialer.direct_lost(leg, "refused"))
            return
        tie = Tie(dialer, there, sni, {dialer: leg})
        dialer.ties[leg] = tie
        self._queue.append(lambda: dialer.direct_connected(tie))
        self._queue.append(lambda: there.let_in(tie))

    def untie(self, client: Client, leg: int, code: CloseCode) -> None:
        """End a direct connection, or the attempt; the other end learns it."""
        tie = client.ties.pop(leg, None)
        if tie is None or not tie.open:
            return
        tie.open = False
        other = tie.other(client)
        self.journal.append(f"{client.name} x> {other.name} {code.name}")
        if other in tie.legs:
            self._queue.append(lambda: other.direct_lost(tie.legs[other], REASONS[code], code))

    def snap(self, tie: Tie) -> None:
        """Break a direct connection: both ends learn of it."""
        tie.open = False
        for client, leg in tie.legs.items():
            self._queue.append(partial(client.direct_lost, leg, "connection lost"))
        self.settle()

    def grant(self, link: Link) -> None:
        """Let the messages go that waited for stream credit."""
        link.granted = True
        waiting, link.waiting = link.waiting, []
        for payload, receipt in waiting:
            self._queue.append(partial(self._arrive, link, payload, receipt))
        self.settle()

    def relay_does(self, effects: Iterable[Effect], *, settle: bool = True) -> None:
        """Perform what the relay wants, in order."""
        for effect in effects:
            match effect:
                case Send():
                    self.relay_says(self._alive(effect.session), effect.message, effect.receipt)
                case SendDatagram():
                    link, data = self._alive(effect.session), effect.data
                    self._queue.append(partial(link.party.datagram, link, data))
                case Close():
                    link = self._alive(effect.session)
                    link.over = True
                    self.journal.append(f"{link.party.name} <x relay {effect.code.name}")
                    self._queue.append(partial(self._close, link, effect.code))
                case Count():
                    self.counted[effect.counter, effect.reason] += 1
                case Log() | Validate() | Stop():
                    self._note(effect)
                case Dial() | Tell() | Welcome() | Gather():
                    raise AssertionError(f"a relay neither dials nor tells: {effect}")
        if settle:
            self.settle()

    def relay_says(self, link: Link, message: Message, receipt: object = None) -> None:
        """Put a message of the relay on the wire, or one that an honest relay would not send."""
        said = self.rewrite(message)
        payload = wire.encode(said, self.phase)
        self.journal.append(f"{link.party.name} <- relay {word(said)}")
        if link.granted:
            self._queue.append(partial(self._arrive, link, payload, receipt))
        else:
            link.waiting.append((payload, receipt))

    def _note(self, effect: Log | Validate | Stop) -> None:
        match effect:
            case Log():
                json.dumps([dict(effect.members), dict(effect.private)])
                self.logged.append(effect)
            case Validate():
                self.shown.append((effect.session, effect.token))
            case Stop():
                self.stopped = True

    def _alive(self, session: int) -> Link:
        link = self.links[session]
        assert not link.over, f"the relay acts on {link.sni} of {link.party.name}, which it closed"
        return link

    def _connect(self, link: Link) -> None:
        seen = link.party.address
        self.relay_does(self.relay.connected(link.session, link.sni, seen, self.now), settle=False)
        if link.open:
            link.party.connected(link)

    def _close(self, link: Link, code: CloseCode) -> None:
        """Let the close of the relay arrive, behind what it said before."""
        if link.open:
            link.open = False
            self.relay_does(self.relay.lost(link.session), settle=False)
            link.party.lost(link, code, REASONS[code])

    def _take(self, link: Link, payload: bytes) -> None:
        if link.over:
            return
        try:
            message = wire.decode(payload, self.phase)
        except BadMessage as fault:
            effects = self.relay.bad(link.session, fault, self.now)
        else:
            effects = self.relay.receive(link.session, message, self.now, len(payload))
        self.relay_does(effects, settle=False)

    def _catch(self, link: Link, data: bytes) -> None:
        if not link.over:
            self.relay_does(self.relay.datagram(link.session, data), settle=False)

    def _arrive(self, link: Link, payload: bytes, receipt: object) -> None:
        if link.open:
            if receipt is not None:
                self.relay_does(self.relay.flushed(receipt), settle=False)
            with suppress(UnknownMessage):  # of a phase that the party does not know
                link.party.hear(link, wire.decode(payload, link.party.phase))

    def _lose(self, link: Link) -> None:
        link.over = True  # it is gone: whoever acts on it now is wrong
        self.relay_does(self.relay.lost(link.session), settle=False)


class Client:
    """A client machine, its two connections, and what it told its user."""

    def __init__(
        self, world: World, name: str, account: Account, kind: type[ClientCore] | None = None
    ) -> None:
        """Prepare a client of `kind`, or of the kind that the world has."""
        self.world = world
        self.name = name
        self.phase = account.phase
        place = len(world.clients) + 1
        self.address = f"198.51.100.{place}:5000"
        self.interfaces = [f"192.168.1.{place}"]
        self.ports = {4: 5000}
        self.hosts = [f"192.168.1.{place}:5000"]
        self.welcome: frozenset[str] = frozenset()
        self.ties: dict[int, Tie] = {}
        self.drawn: list[bytes] = []
        self.told: list[Tell] = []
        self.heard: list[bytes] = []
        self.legs: dict[Leg, Link] = {}
        self.links: list[tuple[float, Leg, Link]] = []
        source = entropy(name)

        def draw(size: int) -> bytes:
            self.drawn.append(source(size))
            return self.drawn[-1]

        self.core = (kind or world.client_kind)(account, draw, lambda: 0.0)

    @property
    def fingerprint(self) -> str:
        """Return how others call this client."""
        return self.core.account.identity.fingerprint

    @property
    def events(self) -> list[str]:
        """Return the names of what the user was told."""
        return [tell.event for tell in self.told]

    def sent(self, leg: Leg) -> list[Message | bytes]:
        """Return what was sent on all connections of a leg, in order, datagrams as bytes."""
        return [one for _, which, link in self.links if which is leg for one in link.sent]

    def wants(self, answer: Answer, way: Way) -> None:
        """Change what the user wants of the next call."""
        account = replace(self.core.account, answer=answer, way=way)
        self.core.account = self.core.telephone.account = account

    def place(self, target: Client | Puppet) -> None:
        """Call somebody."""
        self.does(self.core.place(target.fingerprint, self.world.now))

    def answer(self, answer: Answer) -> None:
        """Decide about the incoming call."""
        self.does(self.core.answer(answer, self.world.now))

    def hangup(self) -> None:
        """End the call."""
        self.does(self.core.hangup())

    def speaks(self, *payloads: bytes | None) -> None:
        """Say frames of audio, None for one of silence, and let them arrive."""
        for payload in payloads:
            self.does(self.core.telephone.speak(payload))

    def mumbles(self) -> None:
        """Say a frame of audio, unless three are out already, and let nothing arrive."""
        if sum(isinstance(one, bytes) for one in self.sent(Leg.MEDIA)) < 3:
            self.does(self.core.telephone.speak(b"audio"), settle=False)

    def does(self, effects: Iterable[Effect], *, settle: bool = True) -> None:
        """Perform what the machine wants, in order."""
        for effect in effects:
            self._one(effect)
        if settle:
            self.world.settle()

    def _one(self, effect: Effect) -> None:
        match effect:
            case Dial():
                self._dial(effect)
            case Send() if effect.session in self.legs:
                self.world.say(self.legs[Leg(effect.session)], effect.message)
            case SendDatagram():
                self._throw(effect.session, effect.data)
            case Close() if effect.session in self.legs:
                self.world.hang(self.legs.pop(Leg(effect.session)))
            case Close():
                self.world.untie(self, effect.session, effect.code)
            case Welcome():
                self.welcome = effect.names
            case Gather():
                self.world._queue.append(self._list)
            case Tell():
                json.dumps(dict(effect.members))
                self.told.append(effect)
            case Log() | Count():
                raise AssertionError(f"a client neither logs nor counts: {effect}")

    def connected(self, link: Link) -> None:
        """Tell the machine of a completed handshake."""
        if (leg := self._leg(link)) is not None:
            self.does(self.core.connected(leg, self.world.key, self.world.now), settle=False)

    def direct_connected(self, tie: Tie) -> None:
        """Tell the machine of a direct handshake that is complete."""
        leg = tie.legs[self]
        if self.ties.get(leg) is tie:
            self.does(self.core.connected(leg, "", self.world.now), settle=False)

    def let_in(self, tie: Tie) -> None:
        """Tell the machine of a connection that another client opened."""
        if not tie.open:
            return
        leg, effects = self.core.accepted(tie.sni, tie.dialer.address, self.world.now)
        tie.legs[self], self.ties[leg] = leg, tie
        self.does(effects, settle=False)

    def direct_lost(self, leg: int, reason: str, code: int = -1) -> None:
        """Tell the machine of a direct connection that has ended."""
        self.ties.pop(leg, None)
        self.does(self.core.lost(leg, code, reason, self.world.now), settle=False)

    def hear(self, link: Link, message: Message) -> None:
        """Tell the machine of a message."""
        if (leg := self._leg(link)) is not None:
            self.does(self.core.receive(leg, message, self.world.now), settle=False)

    def datagram(self, link: Link, data: bytes) -> None:
        """Keep what the user hears."""
        if self._leg(link) is Leg.MEDIA:
            self._take(Leg.MEDIA, data)

    def lost(self, link: Link, code: int, reason: str) -> None:
        """Tell the machine of a connection that has ended."""
        if (leg := self._leg(link)) is not None:
            del self.legs[leg]
            self.does(self.core.lost(leg, code, reason, self.world.now), settle=False)

    def _leg(self, link: Link) -> Leg | None:
        return next((leg for leg, mine in self.legs.items() if mine is link), None)

    def _list(self) -> None:
        self.does(self.core.gathered(self.interfaces, self.ports), settle=False)

    def _throw(self, leg: int, data: bytes) -> None:
        if leg in self.legs:
            self.world.throw(self.legs[Leg(leg)], data)
        tie = self.ties.get(leg)
        if tie is not None and tie.open and tie.other(self) in tie.legs:
            other = tie.other(self)
            self.world._queue.append(partial(other._take, tie.legs[other], data))

    def _take(self, leg: int, data: bytes) -> None:
        paths = self.core.telephone.paths
        if paths is not None and paths.hears(leg):
            self.heard.append(data)
            self.does(self.core.heard(leg, self.world.now), settle=False)

    def _dial(self, effect: Dial) -> None:
        if effect.leg >= FIRST_DIRECT:
            self.world.tie(self, effect.leg, effect.address, effect.sni)
            return
        leg = Leg(effect.leg)
        if leg in self.legs:
            self.world.hang(self.legs.pop(leg))
        link = self.legs[leg] = self.world.dial(self, effect.sni)
        self.links.append((self.world.now, leg, link))
        if not self.world.reachable or effect.address != RELAY:
            self.world._queue.pop()
            self.world._queue.append(lambda: self.lost(link, -1, "no answer"))


class Puppet:
    """A party without a machine: it says what the test writes, and keeps what it hears."""

    def __init__(self, world: World, name: str, sni: str) -> None:
        """Connect to the relay under the server name `sni`."""
        self.world = world
        self.name = name
        self.phase = world.phase
        self.address = f"192.0.2.{len(world.links) % 250 + 1}:5000"
        self.identity = identity(name)
        self.messages: list[Message] = []
        self.datagrams: list[bytes] = []
        self.code: CloseCode | None = None
        self.link = world.dial(self, sni)
        world.settle()

    @property
    def fingerprint(self) -> str:
        """Return how others call this party."""
        return self.identity.fingerprint

    def says(self, *messages: Message) -> None:
        """Send messages and let everything arrive."""
        for message in messages:
            self.world.say(self.link, message)
        self.world.settle()

    def throws(self, *data: bytes) -> None:
        """Send datagrams and let everything arrive."""
        for one in data:
            self.world.throw(self.link, one)
        self.world.settle()

    def leaves(self) -> None:
        """Close the connection and let the relay learn it."""
        self.world.hang(self.link)
        self.world.settle()

    def hears(self) -> list[str]:
        """Return what was heard since the last time, as the tables write it."""
        messages, self.messages = self.messages, []
        return [word(message) for message in messages]

    def connected(self, link: Link) -> None:
        """Wait for the test to say something."""

    def hear(self, link: Link, message: Message) -> None:
        """Keep a message."""
        del link
        self.messages.append(message)

    def datagram(self, link: Link, data: bytes) -> None:
        """Keep a datagram."""
        del link
        self.datagrams.append(data)

    def lost(self, link: Link, code: int, reason: str) -> None:
        """Keep the code of the close."""
        del link, reason
        self.code = CloseCode(code) if code >= 0 else None


def nothing_is_left(relay: RelayCore) -> bool:
    """Tell whether no table of the relay holds anything."""
    calls = relay.calls
    tables = (
        relay.sessions,
        relay.presence,
        relay.timers,
        relay.reception.authentication,
        calls.registry,
        calls.rooms,
    )
    inner = (relay.presence._registrants, calls.rooms._seats, calls.registry._of)
    return not any(len(one) for one in (*tables, *inner))
