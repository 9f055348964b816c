"""Client ground: a client under test, and around it a relay, the other party and the user, all of the suite.

The client's buttons are pressed through its adapter; everything else is what it meets: a relay whose every
word the check decides, and hosts of the other party.

Rules of this file: what is judged is seen on the wire where it can be; what only the adapter says is noted
(`reported`). Nothing sleeps. That something does *not* come is known when the client has acknowledged all
that was said to it (QUIC) and has answered one question of the suite after that.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aioquic.quic.events import QuicEvent

from conformance import identity, validation
from conformance.adapter import Adapter, Event
from conformance.codec import Message
from conformance.host import Host
from conformance.identity import Identity
from conformance.link import Link
from conformance.puppet import Heard, Puppet
from conformance.tap import Address
from conformance.verdicts import Deviation, Evidence, Unsupported, Untestable
from conformance.watch import Watch

PATIENCE = 2.0
"""Seconds that a client may take for what it does at once."""
SPEED = 0.2
"""What the times of a client are multiplied by where it can run faster."""
LARGE, SMALL = "203.0.113.9:50000", "1.1.1.1:1024"
"""Reflexive addresses that are larger, and smaller, than any of a host on loopback (RACE-1)."""
SIGNAL = "_signal"


@dataclass
class Manners:
    """What the puppet relay does by itself; a check changes what it is about.

    `observes` is told to who asks for its address: the real one for None, and nothing at all for "".
    Further relays tell what `elsewhere` has under their name.
    """

    acknowledges: bool = True
    observes: str | None = None
    admits: bool = True
    company: int = 2
    pongs: bool = True
    elsewhere: dict[str, str] = field(default_factory=dict)


@dataclass
class Party:
    """The other party on one socket: who it is, its host, and the connections that reached it."""

    identity: Identity
    host: Host
    dialled: list[tuple[str | None, Puppet]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address of the socket in the one text form."""
        return written(self.host.address)


class ClientGround(Watch):
    """One client under test and its whole world."""

    def __init__(self, adapter: Adapter, seed: str, *, slow: float, phase: str) -> None:
        """Set the stage; `seed` decides every identity and call_id."""
        super().__init__(seed, slow=slow, phase=phase)
        self.adapter = adapter
        self.scale = SPEED if adapter.offers("timers") else 1.0
        self.manners = Manners()
        self.subject = self.person("the client")
        self.other = self.person("the other party")
        self.signals: list[Puppet] = []
        self.rooms: list[tuple[str, Puppet]] = []
        self.strangers: list[Puppet] = []
        self.hosts: list[Host] = []
        self.moments: dict[str, float] = {}
        self._relay: Host | None = None
        self._calls = itertools.count(1)
        self._pings = itertools.count(1)
        self._noted = 0
        adapter.told = self._heard_adapter
        adapter.events.clear()

    # The relay and the hosts

    @property
    def relay(self) -> Host:
        """The puppet relay's host; raises RuntimeError before there is one."""
        if self._relay is None:
            message = "the puppet relay is not open"
            raise RuntimeError(message)
        return self._relay

    @property
    def signal(self) -> Puppet:
        """The client's newest signal connection; raises Untestable before there is one."""
        if not self.signals:
            message = "the client has not connected to its relay"
            raise Untestable(message)
        return self.signals[-1]

    async def open(self, name: str = "relay", address: Address = ("127.0.0.1", 0)) -> Host:
        """Open a puppet relay: the check's first one is the client's."""

        def arrived(
            link: Link, server_name: str | None, source: Address
        ) -> Callable[[QuicEvent | None], None]:
            del source
            return self._arrived_at_relay(link, server_name, name)

        host = await Host.open(name, arrived, address, self.recorder)
        self.hosts.append(host)
        self._relay = self._relay or host
        return host

    async def party(self, name: str = "other", address: Address = ("127.0.0.1", 0)) -> Party:
        """Open a host of the other party, under this name in the dialogue."""

        def arrived(
            link: Link, server_name: str | None, source: Address
        ) -> Callable[[QuicEvent | None], None]:
            puppet = self._accept(f"{name} {len(party.dialled) + 1}", link)
            self.dialogue.note(puppet.name, "<-", {"dials": server_name, "from": written(source)})
            party.dialled.append((server_name, puppet))
            return puppet.notice

        party = Party(self.other, await Host.open(name, arrived, address, self.recorder))
        self.hosts.append(party.host)
        return party

    async def dial(
        self,
        party: Party,
        server_name: str | None,
        *,
        to: Address | None = None,
        alpn: str = "wzp",
        handshake: bool | None = True,
    ) -> Puppet:
        """Dial the client's own socket from a party's; with `handshake` raise Untestable when it fails.

        None for `handshake`: it is not awaited at all.
        """
        puppet = Puppet(f"{party.host.name}'s dial", party.identity, self.dialogue, self._pulse, self.phase)
        self.puppets.append(puppet)
        self.dialogue.note(puppet.name, "->", {"dials": server_name})
        address = to or self.address
        puppet.attach(party.host.dial(address, puppet.notice, server_name=server_name, alpn=alpn))
        if handshake is None:
            return puppet
        await self.until(lambda: puppet.connected or puppet.closed is not None, 1.0)
        if handshake and not puppet.connected:
            why = f"with {puppet.closed}" if puppet.closed else "by silence"
            message = f"the client refused the dial of {party.host.name} under {server_name!r} {why}"
            raise Untestable(message)
        return puppet

    @property
    def address(self) -> Address:
        """Where the client's signal socket is, as its relay sees it."""
        host, port, *_ = self.signal.quic.get_peer_address() or ("", 0)
        return str(host), int(port)

    def close(self, puppet: Puppet, code: int) -> None:
        """Close a connection with this code (spec/errors.md, Close codes)."""
        self.dialogue.note(puppet.name, "->", {"close": code})
        puppet.quic.close(error_code=code, reason_phrase="as the check says")
        puppet.link.transmit()
        puppet.connected = False

    def say(self, puppet: Puppet, message: Message) -> None:
        """Send a message of the relay, which has to be one that a relay of the phase may send."""
        for fault in validation.faults(message, self.phase, "emit"):
            sentence = f"the suite would send what its own schema refuses: {fault}"
            raise RuntimeError(sentence)
        puppet.send(message)

    # The user

    async def ask(self, do: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
        """Press a button; raises Refused, Unsupported or TargetFaultError."""
        self.dialogue.note("user", "->", {do: members})
        return await self.adapter.ask(do, **members)

    def offers(self, feature: str) -> bool:
        """Tell whether the adapter has a feature."""
        return self.adapter.offers(feature)

    def wants(self, *features: str) -> None:
        """Raise Unsupported unless the adapter has these features."""
        for feature in features:
            if not self.offers(feature):
                message = f"this needs an adapter with the feature {feature!r}"
                raise Unsupported(message)

    async def configure(self, **members: Any) -> None:  # noqa: ANN401 - any JSON value
        """Let the client be somebody new at the puppet relay, which is opened if need be."""
        if self._relay is None:
            await self.open()
        given: dict[str, Any] = {"relay": written(self.relay.address), "seed": self.subject.seed.hex()}
        if self.offers("timers"):
            given["timers"] = self.scale
        if self.offers("candidates"):
            given["candidates"] = []
        await self.ask("configure", **given | members)

    async def online(self, **members: Any) -> Puppet:  # noqa: ANN401 - see configure
        """Configure and register the client; return its signal connection."""
        began = len(self.adapter.events)
        await self.configure(**members)
        await self.ask("register")
        await self.has("registered", since=began)
        return self.signal

    def events(self, name: str, since: int = 0, **members: Any) -> list[Event]:  # noqa: ANN401
        """Return the events of one name from the place `since` on."""
        return [
            one
            for one in self.adapter.events[since:]
            if one["event"] == name and all(one.get(key) == value for key, value in members.items())
        ]

    async def tells(self, name: str, within: float = PATIENCE, since: int = 0, **members: Any) -> Event:  # noqa: ANN401
        """Return an event that has to come; raises Deviation when it does not. The verdict is *reported*."""
        self.reported = True
        found = await self._event(name, within, since, members)
        if found is None:
            raise Deviation(*self._not_told(name, members))
        return found

    async def has(self, name: str, within: float = PATIENCE, since: int = 0, **members: Any) -> Event:  # noqa: ANN401
        """Return an event that the check stands on; raises Untestable when it does not come."""
        found = await self._event(name, within, since, members)
        if found is None:
            raise Untestable(*self._not_told(name, members))
        return found

    async def _event(self, name: str, within: float, since: int, members: dict[str, Any]) -> Event | None:
        def there() -> bool:
            return bool(self.events(name, since, **members)) or self.adapter.fault is not None

        await self.until(there, within)
        if self.adapter.fault is not None:
            raise self.adapter.fault
        return next(iter(self.events(name, since, **members)), None)

    def _not_told(self, name: str, members: dict[str, Any]) -> tuple[str, Evidence]:
        wanted = f"the event {name!r}" + (f" with {members}" if members else "")
        got = ", ".join(one["event"] for one in self.adapter.events[-8:]) or "nothing"
        message = f"the adapter was to tell {wanted}, and told {got}"
        return message, Evidence("user", wanted, got, missing={name: members})

    # Waiting

    async def find(self, puppet: Puppet, name: str, **how: Any) -> Heard | None:  # noqa: ANN401 - see Watch
        """Return the first such message, or None when it does not come in time."""
        return await super().find(puppet, name, **{"within": PATIENCE} | how)

    async def settle(self) -> None:
        """Wait until the client has received all that was said to it, and has had its turn after that."""
        for puppet in [one for one in self.puppets if one.connected and one.closed is None]:
            number = next(self._pings)
            puppet.quic.send_ping(number)
            puppet.link.transmit()

            def through(puppet: Puppet = puppet, number: int = number) -> bool:
                return number in puppet.acknowledged or puppet.closed is not None

            await self.until(through, PATIENCE)
        await self.adapter.ask("state")

    async def quiet(self) -> None:
        """Wait until all that was said has been handled."""
        await self.settle()

    async def passes(self, seconds: float) -> None:
        """Let so much of the client's time pass, and make sure that it has had its turn after it.

        For what must not happen within a time of the specification: nothing else can tell.
        """
        await self.until(lambda: self.adapter.fault is not None, seconds * self.scale / self.slow)
        await self.settle()

    def now(self) -> float:
        """Return the suite's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def since(self, moment: str) -> float:
        """Return how much of the client's time has passed since a moment was noted, in seconds."""
        return (self.now() - self.moments[moment]) / self.scale

    def note(self, moment: str) -> None:
        """Note that this is a moment to measure from."""
        self.moments[moment] = self.now()

    # The end

    async def leave(self) -> None:
        """Let the client go, and free every socket."""
        try:
            if self.adapter.fault is None:
                await self.adapter.ask("reset")
        finally:
            self.adapter.told = lambda: None
            for puppet in self.puppets:
                puppet.abandon()
            for host in self.hosts:
                host.close()

    # What the puppet relay does by itself

    def call_id(self) -> str:
        """Return a call_id that no other check uses."""
        return Identity.named(self._seed, "call", next(self._calls)).seed.hex()[:32]

    def _accept(self, name: str, link: Link) -> Puppet:
        puppet = Puppet(name, self.other, self.dialogue, self._pulse, self.phase, accepts=True)
        puppet.attach(link)
        self.puppets.append(puppet)
        return puppet

    def _arrived_at_relay(
        self, link: Link, server_name: str | None, relay: str
    ) -> Callable[[QuicEvent | None], None]:
        name = (server_name or "").lower()
        if name == SIGNAL:
            puppet = self._accept("relay" if not self.signals else f"relay {len(self.signals) + 1}", link)
            puppet.reflex = lambda heard: self._signal_reflex(puppet, heard, relay)
            self.signals.append(puppet)
        elif name.startswith("call-"):
            puppet = self._accept("room" if not self.rooms else f"room {len(self.rooms) + 1}", link)
            puppet.reflex = lambda heard: self._room_reflex(puppet, heard)
            self.rooms.append((name, puppet))
        else:
            puppet = self._accept("relay?", link)
            self.strangers.append(puppet)
        self.dialogue.note(puppet.name, "<-", {"dials": server_name})
        self.moments.setdefault(puppet.name, self.now())
        return puppet.notice

    def _signal_reflex(self, puppet: Puppet, heard: Heard, relay: str) -> None:
        observes = self.manners.elsewhere.get(relay, self.manners.observes)
        if heard.name == "RegisterPresence" and self.manners.acknowledges:
            puppet.send({"RegisterPresenceAck": {"success": True}})
        elif heard.name == "Reflect" and observes != "":
            observed = observes or written(self.address)
            puppet.send({"ReflectResponse": {"observed_addr": observed}})
        elif heard.name == "Ping" and self.manners.pongs:
            puppet.send({"Pong": heard.body})

    def _room_reflex(self, puppet: Puppet, heard: Heard) -> None:
        if heard.name == "CallOffer" and self.manners.admits:
            puppet.send(self.admission())
            self.company(puppet, self.manners.company)

    def admission(self, signer: Identity | None = None) -> Message:
        """Return CallAnswer, signed by the relay or, wrongly, by somebody else."""
        relay = self.person("the relay")
        offered = relay.admission(signer)["CallOffer"]
        signature = (signer or relay).sign(bytes(offered["ephemeral_pub"]) + b"call-answer")
        body = {name: offered[name] for name in ("identity_pub", "ephemeral_pub")}
        body |= {"signature": [*signature], "chosen_profile": dict(identity.PROFILE)}
        return {"CallAnswer": body}

    def company(self, room: Puppet, count: int) -> None:
        """Tell the client how many are in the room."""
        people = [self.subject, self.other][:count]
        those = [{"fingerprint": one.fingerprint, "alias": "puppet"} for one in people]
        room.send({"RoomUpdate": {"count": count, "participants": those}})

    def _heard_adapter(self) -> None:
        events = self.adapter.events
        for event in events[self._noted :]:
            members = {key: value for key, value in event.items() if key != "event"}
            self.dialogue.note("user", "<-", {event["event"]: members})
        self._noted = len(events)
        self._pulse.beat()


def written(address: Address) -> str:
    """Return an IP address and port in the one text form (spec/conventions.md, Addresses)."""
    ip, port = address
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
