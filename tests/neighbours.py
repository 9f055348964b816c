"""Neighbours: a relay among relays whose words the test says (`Hub`), and three relays of ours (`Pair`).

What crosses a link in an envelope stands in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import replace

from reference.core.call import tag_of
from reference.core.errors import HangupReason
from reference.core.links import SERVER_NAME
from reference.core.media import Header
from reference.core.messages import (
    AcceptMode,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    FederationHello,
    Hangup,
    MediaPathReport,
    Message,
)
from reference.core.phases import NEWEST, Phase
from reference.core.sessions import Limits, Trust
from tests.mesh import EPOCH, Mesh, Party, Station, envelope, hello, shown
from tests.world import identity, introduction, offer, registration

ALICE, BOB, NOBODY = identity("alice"), identity("bob"), identity("nobody")
CALLER = {"caller_reflexive_addr": "192.0.2.1:4433", "caller_local_addrs": ("10.1.1.1:5000",)}
CALLEE = {"callee_reflexive_addr": "198.51.100.9:4433", "callee_local_addrs": ("10.2.2.2:5000",)}
TRUSTED = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.ACCEPT_TRUSTED, **CALLEE)  # type: ignore[arg-type]
GENERIC = replace(TRUSTED, accept_mode=AcceptMode.ACCEPT_GENERIC)
REJECT = DirectCallAnswer(call_id="c1", accept_mode=AcceptMode.REJECT)
RINGING = CallRinging(call_id="c1")
REPORT = MediaPathReport(call_id="c1", direct_ok=True, race_winner="Direct")
HANGUP = Hangup(reason=HangupReason.BUSY, call_id="c1")
"""A reason that a relay itself does not use once a call is live."""
SETUP = CallSetup(
    call_id="c1",
    room="call-c1",
    relay_addr="203.0.113.99:1",
    peer_direct_addr="192.0.2.1:4433",
    peer_local_addrs=("10.1.1.1:5000",),
)
OFFER = offer(ALICE, BOB, "c1", **CALLER)
SEARCH, RING = 5.0, 60.0
STATES = [
    ("outgoing", "searching"),
    ("outgoing", "ringing"),
    ("outgoing", "active"),
    ("incoming", "pending"),
    ("incoming", "ringing"),
    ("incoming", "active"),
]
"""What a call may be that goes out of north, or comes in, over a link."""
AUDIO = Header(codec=0, sequence=1, timestamp=20, low_bits=3, reserved=255, version=True).encode() + b"audio"
TAG = tag_of("call-c1")
MODES = [TRUSTED, GENERIC]
PHASES = [Phase.FEDERATION, NEWEST]


def register(mesh: Mesh, name: str, at: Station) -> Party:
    """Return somebody who is registered at a relay."""
    party = Party(mesh, name, at, phase=mesh.phase)
    party.says(registration(party.identity))
    mesh.run(0.1)
    assert ["RegisterPresenceAck"] == party.hears()
    return party


def end(call_id: str = "c1", reason: HangupReason = HangupReason.NORMAL) -> Hangup:
    """Return the Hangup of a call."""
    return Hangup(reason=reason, call_id=call_id)


def nothing_remains(station: Station) -> bool:
    """Tell whether no call is left in any table of a relay, nor in one of its links."""
    calls, links = station.core.calls, list(station.core.links)
    tables: list[Sized] = [calls.registry, calls.registry._of, calls.waiting, calls.rooms, calls.rooms._seats]
    return not any(len(one) for one in [*tables, *(x for link in links for x in (link.calls, link.rooms))])


class Hub:
    """North is ours and has links to south and west, who are played; alice and bob are at north."""

    def __init__(
        self,
        *names: str,
        phase: Phase = NEWEST,
        limits: Limits | None = None,
        deployed: tuple[str, ...] = (),
        dials: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Open the links; those of `deployed` relays prove nothing."""
        names = names or ("south", "west")
        trust = Trust.OPEN if deployed else Trust.PROVEN
        self.mesh = Mesh("north", strangers=names, trust=trust, phase=phase, limits=limits, dials=dials)
        self.north = self.mesh["north"]
        self.relays = {name: self.open(name, proven=name not in deployed) for name in names}
        self.alice, self.bob = (register(self.mesh, name, self.north) for name in ("alice", "bob"))

    def open(self, name: str, *, proven: bool = True) -> Party:
        """Open a link of a relay that the test plays."""
        relay = Party(self.mesh, name, self.north, SERVER_NAME, self.mesh.phase)
        bare = FederationHello(tls_fingerprint=shown(name))
        relay.says(hello(name, "north", EPOCH + self.mesh.now) if proven else bare)
        self.mesh.run(0.1)
        assert ["FederationHello"] == relay.hears()
        return relay

    @property
    def south(self) -> Party:
        """Return the relay of the call."""
        return self.relays["south"]

    @property
    def west(self) -> Party:
        """Return the other relay."""
        return self.relays["west"]

    def says(self, name: str, *inner: Message, call_id: str | None = None) -> None:
        """Let another relay say something of a call."""
        relay = self.relays[name]
        relay.says(*(envelope(name, one, call_id, self.mesh.phase) for one in inner))
        self.mesh.run(0.1)

    def calls(self, target: str = "nobody", call_id: str = "c1") -> None:
        """Let alice call somebody who is not here."""
        self.alice.says(offer(ALICE, identity(target), call_id, **CALLER))
        self.mesh.run(0.1)

    def forget(self) -> None:
        """Forget what everybody has heard so far."""
        for party in (self.alice, self.bob, *self.relays.values()):
            party.hears()

    def outgoing(self, state: str) -> None:
        """Bring a call of alice to somebody at south to a state: searching, ringing or active."""
        self.calls()
        if state != "searching":
            self.says("south", RINGING)
        if state == "active":
            self.says("south", TRUSTED)
        self.forget()

    def incoming(self, state: str, answer: DirectCallAnswer = TRUSTED) -> None:
        """Bring a call from somebody at south to bob to a state: pending, ringing or active."""
        self.bob.wire.credit = state != "pending"
        self.says("south", offer(NOBODY, BOB, "c1"))
        if state == "active":
            self.bob.says(answer)
            self.mesh.run(0.1)
        self.forget()

    def brings(self, way: str, state: str) -> None:
        """Bring a call that goes out or comes in to a state."""
        {"outgoing": self.outgoing, "incoming": self.incoming}[way](state)


class Pair:
    """North, south and west are ours and all linked; alice is at north, bob at south, carol at west."""

    def __init__(
        self,
        *,
        phase: Phase = NEWEST,
        trust: Trust = Trust.PROVEN,
        limits: Limits | None = None,
        delay: Callable[[], float] = lambda: 0.01,
    ) -> None:
        """Link everybody."""
        self.mesh = Mesh("north", "south", "west", phase=phase, trust=trust, limits=limits, delay=delay)
        self.mesh.run()
        self.north, self.south, self.west = (self.mesh[name] for name in ("north", "south", "west"))
        self.alice = register(self.mesh, "alice", self.north)
        self.bob = register(self.mesh, "bob", self.south)
        self.carol = register(self.mesh, "carol", self.west)
        for station in (self.north, self.south, self.west):
            station.heard.clear()

    def brings(self, state: str, answer: DirectCallAnswer = TRUSTED) -> None:
        """Bring a call of alice to bob to a state: pending, ringing or active."""
        self.bob.wire.credit = state != "pending"
        self.alice.says(OFFER)
        self.mesh.run()
        if state == "active":
            self.bob.says(answer)
            self.mesh.run()
        for party in (self.alice, self.bob, self.carol):
            party.hears()
        for station in (self.north, self.south, self.west):
            station.heard.clear()

    def room(self, name: str) -> Party:
        """Let a party of the call join the room at its own relay."""
        at = {"alice": self.north, "bob": self.south}[name]
        room = Party(self.mesh, name, at, "call-c1")
        room.says(introduction(room.identity, alias=name))
        self.mesh.run()
        return room

    def alive(self) -> list[str]:
        """Return the relays that have not stopped."""
        return [name for name, station in self.mesh.stations.items() if station.alive]

    def empty(self) -> bool:
        """Tell whether no relay remembers a call."""
        return all(nothing_remains(one) for one in (self.north, self.south, self.west))


def seat(name: str, label: str | None = None, alias: str | None = None) -> dict[str, str | None]:
    """Return a participant as RoomUpdate and GlobalRoomActive list it."""
    return {"fingerprint": identity(name).fingerprint, "alias": alias, "relay_label": label}
