"""Federation: calls whose parties are at different relays, as one relay and as two of them see it.

In a `Hub` the test plays the other relays, south and west, and says what they say; in a `Pair` both relays
are ours. What crosses a link in an envelope stands in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import replace

import pytest

from reference.core import wire
from reference.core.call import tag_of
from reference.core.errors import CloseCode, HangupReason
from reference.core.links import SERVER_NAME
from reference.core.media import Header
from reference.core.messages import (
    AcceptMode,
    CallRinging,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    FederatedSignalForward,
    FederationHello,
    GlobalRoomActive,
    GlobalRoomInactive,
    Hangup,
    MediaPathReport,
    Message,
    RoomUpdate,
)
from reference.core.phases import NEWEST, Phase
from reference.core.sessions import SMALL_MESSAGE, Limits, Trust
from reference.core.strict_json import JsonObject
from tests.mesh import EPOCH, IDLE, Mesh, Party, Station, envelope, hello, shown
from tests.world import identity, introduction, nothing_is_left, offer, registration

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


# Envelopes.


def test_an_envelope_of_another_origin_does_nothing() -> None:
    """Whatever an envelope carries counts only when it names the relay that sends it (FED-10)."""
    hub = Hub()
    hub.south.says(envelope("west", OFFER), envelope("north", OFFER), envelope("nobody", OFFER))
    hub.mesh.run()
    assert [] == hub.bob.hears()
    hub.outgoing("ringing")
    hub.south.says(envelope("west", HANGUP), envelope("west", TRUSTED))
    hub.mesh.run()
    assert [] == hub.alice.hears()
    assert 5 == hub.north.counted["ignored", "origin"]


def test_an_origin_may_be_written_in_any_way() -> None:
    """The origin is compared as every TLS fingerprint is: without colons and case (FED-10)."""
    hub = Hub()
    bare = shown("south").replace(":", "").upper()
    hub.south.says(replace(envelope("south", offer(NOBODY, BOB, "c1")), origin_relay_fp=bare))
    hub.mesh.run()
    assert ["DirectCallOffer"] == hub.bob.hears()


STRANGE: dict[str, JsonObject] = {
    "unknown": {"CallTransferOffer": {"call_id": "c1"}},
    "malformed": {"CallRinging": {}},
    "of another type": {"CallRinging": "c1"},
    "no business there": {"RegisterPresence": {"identity_pub": [0] * 32, "signature": []}},
    "an envelope": {
        "FederatedSignalForward": {
            "inner": {"CallRinging": {"call_id": "c1"}},
            "origin_relay_fp": shown("south"),
        }
    },
}


@pytest.mark.parametrize("inner", STRANGE.values(), ids=STRANGE.keys())
def test_a_strange_message_costs_nothing_but_itself(inner: JsonObject) -> None:
    """However many envelopes cannot be understood, the link stays up and the next one counts (FED-11)."""
    hub = Hub()
    strange = FederatedSignalForward(inner=inner, origin_relay_fp=shown("south"))
    hub.south.says(*[strange] * 200)
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert not hub.south.gone
    assert ["[CallRinging]"] == hub.south.hears()
    assert ["DirectCallOffer"] == hub.bob.hears()


PASSING: list[Message] = [OFFER, RINGING, TRUSTED, SETUP, REPORT, HANGUP]


@pytest.mark.parametrize("inner", PASSING, ids=lambda one: type(one).__name__)
def test_nothing_is_passed_on(inner: Message) -> None:
    """What came in an envelope, of a call that is live or of none, reaches no other relay (FED-12)."""
    for state in (None, "outgoing", "incoming"):
        hub = Hub()
        if state is not None:
            hub.brings(state, "ringing")
        hub.says("south", inner)
        if state is None:
            hub.says("south", offer(BOB, NOBODY, "c2"))
        assert [] == hub.west.hears()


# Offers.


def test_an_offer_asks_every_relay() -> None:
    """An offer whose target is not here goes over every link that is up (FED-13)."""
    hub = Hub("south", "west", "east")
    hub.relays["east"].leaves()
    hub.mesh.run(0.1)
    hub.calls()
    assert [["[DirectCallOffer]"]] * 2 == [hub.south.hears(), hub.west.hears()]
    assert [] == hub.relays["east"].hears()
    assert [] == hub.alice.hears()


def test_an_offer_to_somebody_here_asks_nobody() -> None:
    """A callee that is registered here rings here, and no other relay hears of it."""
    hub = Hub()
    hub.calls("bob")
    assert ["DirectCallOffer"] == hub.bob.hears()
    assert ["CallRinging"] == hub.alice.hears()
    assert [[], []] == [hub.south.hears(), hub.west.hears()]


def test_without_a_link_nobody_is_asked() -> None:
    """A relay without a link refuses at once what it cannot place, as it would without peers (CALL-10)."""
    mesh = Mesh("north", strangers=["south"])
    alice = register(mesh, "alice", mesh["north"])
    alice.says(OFFER)
    mesh.run(0.1)
    assert ["Hangup{Error}"] == alice.hears()


@pytest.mark.parametrize("phase", [Phase.HOST_CANDIDATES, NEWEST], ids=str)
def test_no_candidate_is_in_an_offer_on_a_link(phase: Phase) -> None:
    """The offer names its caller as registered, keeps what nobody knows, and has no candidate (FED-14)."""
    hub = Hub(phase=phase)
    forged = offer(BOB, NOBODY, "c1", **CALLER, caller_alias="A", rest={"newer": [1]})
    hub.alice.says(forged)
    hub.mesh.run(0.1)
    expected = offer(
        BOB, NOBODY, "c1", caller_fingerprint=ALICE.fingerprint, caller_alias="A", rest={"newer": [1]}
    )
    assert [[envelope("north", expected, phase=phase)]] * 2 == [hub.south.messages, hub.west.messages]


def test_an_offer_from_a_link_rings() -> None:
    """The callee hears the offer without candidates, and its relay says that it rings (FED-15)."""
    hub = Hub()
    named = offer(NOBODY, BOB, "c1", caller_alias="N", rest={"newer": [1]})
    hub.says("south", replace(named, **CALLER))  # type: ignore[arg-type]
    assert [named] == hub.bob.messages
    assert [envelope("north", RINGING)] == hub.south.messages
    assert [[], []] == [hub.west.hears(), hub.alice.hears()]


def test_ringing_waits_until_the_offer_has_left() -> None:
    """CallRinging crosses when the offer has left towards the callee, not before (FED-21)."""
    hub = Hub()
    hub.incoming("pending")
    hub.mesh.run(10)
    assert [[], []] == [hub.south.hears(), hub.bob.hears()]
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    assert ["DirectCallOffer"] == hub.bob.hears()
    assert ["[CallRinging]"] == hub.south.hears()


def test_a_repeated_offer_from_a_link_is_told_that_it_rings() -> None:
    """The same offer again is answered with CallRinging while it rings, and the callee hears it once."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert ["[CallRinging]"] == hub.south.hears()
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    hub.south.hears()
    hub.says("south", offer(NOBODY, BOB, "c1"))
    assert [] == hub.south.hears()


def test_a_repeated_offer_of_a_caller_does_not_cross() -> None:
    """The caller's own relay says again that it rings, and no relay is asked a second time."""
    hub = Hub()
    hub.outgoing("searching")
    hub.calls()
    assert [[], [], []] == [hub.alice.hears(), hub.south.hears(), hub.west.hears()]
    hub.says("south", RINGING)
    hub.forget()
    hub.calls()
    assert [["CallRinging"], [], []] == [hub.alice.hears(), hub.south.hears(), hub.west.hears()]


def test_a_callee_that_registers_again_is_rung_again() -> None:
    """A call from a link rings on the callee's new connection, and goes on (CALL-8)."""
    hub = Hub()
    hub.incoming("ringing")
    again = Party(hub.mesh, "bob", hub.north)
    again.says(registration(BOB))
    hub.mesh.run(0.1)
    assert ["RegisterPresenceAck", "DirectCallOffer"] == again.hears()
    again.says(TRUSTED)
    hub.mesh.run(0.1)
    assert ["[DirectCallAnswer]"] == hub.south.hears()


# Refusals.

REFUSED: dict[str, tuple[DirectCallOffer, HangupReason]] = {
    "not registered": (offer(NOBODY, identity("zoe"), "c9"), HangupReason.ERROR),
    "to oneself": (offer(BOB, BOB, "c9"), HangupReason.ERROR),
    "the call_id of others": (offer(NOBODY, BOB, "here"), HangupReason.ERROR),
    "too large": (
        offer(NOBODY, BOB, "c9", rest={"padding": "x" * 2 * SMALL_MESSAGE}),
        HangupReason.ERROR,
    ),
}


@pytest.mark.parametrize(("refused", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_offer_is_answered(refused: DirectCallOffer, reason: HangupReason) -> None:
    """A refusal crosses as a Hangup that names the call, in the envelope too, and reaches nobody (FED-16)."""
    hub = Hub()
    hub.calls("bob", "here")
    hub.forget()
    hub.says("south", refused)
    call_id = refused.call_id
    assert [envelope("north", end(call_id, reason), call_id)] == hub.south.messages
    assert [[], [], []] == [hub.bob.hears(), hub.alice.hears(), hub.west.hears()]
    assert 1 == hub.north.counted["offers_refused", reason]
    assert 1 == len(hub.north.core.calls.registry)


def test_a_callee_with_too_many_calls_is_busy() -> None:
    """The limit of live calls holds for offers from links, and is told apart (FED-16, CALL-15)."""
    hub = Hub(limits=Limits(calls=2))
    for call_id in ("c1", "c2", "c3"):
        hub.says("south", offer(NOBODY, BOB, call_id))
    assert ["[CallRinging]", "[CallRinging]", "[Hangup{Busy}]"] == hub.south.hears()
    assert ["DirectCallOffer"] * 2 == hub.bob.hears()


def test_a_link_is_allowed_more_offers_than_a_client() -> None:
    """A link has its own allowance of offers, beyond which it is told Busy (FED-16, CALL-16)."""
    limits = Limits(offers_burst=1, link_offers_burst=3, link_offers_per_second=0.001)
    hub = Hub(limits=limits)
    hub.says("south", *(offer(NOBODY, identity("zoe"), f"c{at}") for at in range(4)))
    assert ["[Hangup{Error}]"] * 3 + ["[Hangup{Busy}]"] == hub.south.hears()
    hub.says("west", offer(NOBODY, BOB, "c1"))
    assert ["[CallRinging]"] == hub.west.hears()


def test_the_caller_is_refused_when_all_relays_refuse() -> None:
    """The last refusal of those that were asked ends the call, and not one before it (FED-17)."""
    hub = Hub()
    hub.calls()
    hub.forget()
    hub.says("west", end(reason=HangupReason.ERROR))
    assert [] == hub.alice.hears()
    hub.says("south", end(reason=HangupReason.ERROR))
    assert [end(reason=HangupReason.ERROR)] == hub.alice.messages
    assert [[], []] == [hub.south.hears(), hub.west.hears()]
    assert nothing_remains(hub.north)


def test_the_reason_of_a_single_relay_is_handed_on() -> None:
    """Where one relay was asked, its own reason is the caller's (FED-17)."""
    hub = Hub("south")
    hub.calls()
    hub.says("south", end(reason=HangupReason.BUSY))
    assert ["Hangup{Busy}"] == hub.alice.hears()


def test_a_link_that_ends_has_nothing_to_say_any_more() -> None:
    """While a callee is searched for, a relay that goes away counts as one that does not have it (FED-17)."""
    hub = Hub()
    hub.calls()
    hub.south.leaves()
    hub.mesh.run(0.1)
    assert [] == hub.alice.hears()
    hub.says("west", end(reason=HangupReason.ERROR))
    assert ["Hangup{Error}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


def test_a_search_has_its_time() -> None:
    """After 5 s without CallRinging the caller is told Error, and whoever was asked hears of it (FED-18)."""
    hub = Hub()
    hub.calls()
    hub.forget()
    hub.mesh.run(SEARCH - 0.2)
    assert [] == hub.alice.hears()
    hub.mesh.run(0.2)
    assert [end(reason=HangupReason.ERROR)] == hub.alice.messages
    assert [["[Hangup{Normal}]"]] * 2 == [hub.south.hears(), hub.west.hears()]
    assert nothing_remains(hub.north)


def test_a_call_that_was_found_has_the_time_of_every_call() -> None:
    """One that rings elsewhere is ended with Timeout, 60 s after its offer, at both ends (CALL-9, FED-18)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.mesh.run(RING - 0.3)
    assert [] == hub.alice.hears()
    hub.mesh.run(0.2)
    assert ["Hangup{Timeout}"] == hub.alice.hears()
    assert ["[Hangup{Timeout}]"] == hub.south.hears()
    assert [] == hub.west.hears()
    assert nothing_remains(hub.north)


def test_a_call_from_a_link_has_the_time_of_every_call() -> None:
    """One that nobody here answers ends with Timeout for both, whether its offer has left or not (CALL-9)."""
    for state in ("pending", "ringing"):
        hub = Hub()
        hub.incoming(state)
        hub.mesh.grant(hub.bob.wire)
        hub.mesh.run(RING + 1)
        assert "Hangup{Timeout}" == hub.bob.hears()[-1]
        assert "[Hangup{Timeout}]" == hub.south.hears()[-1]
        assert nothing_remains(hub.north)


# Two relays that have the callee, and relays that have nothing to do with a call.


@pytest.mark.parametrize("first", [RINGING, TRUSTED], ids=["rings", "answers"])
def test_the_first_relay_that_rings_has_the_call(first: Message) -> None:
    """The others hear a Hangup, and what they say afterwards is not heard by the caller (FED-19, FED-20)."""
    hub = Hub("south", "west", "east")
    hub.calls()
    hub.forget()
    hub.says("south", first)
    for name in ("west", "east"):
        assert [envelope("north", end(), "c1")] == hub.relays[name].messages
    heard = hub.alice.hears()
    assert (["CallRinging"] if first is RINGING else ["DirectCallAnswer", "CallSetup"]) == heard
    hub.says("west", RINGING, TRUSTED, HANGUP)
    assert [] == hub.alice.hears()
    hub.says("south", HANGUP)
    assert ["Hangup{Busy}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
@pytest.mark.parametrize("state", ["ringing", "active"])
def test_a_third_relay_changes_nothing(way: str, state: str) -> None:
    """Nothing that comes over another link than the call's is heard by anybody, nor answered (FED-20)."""
    hub = Hub()
    hub.brings(way, state)
    hub.says("west", RINGING, REPORT, TRUSTED, REJECT, SETUP, HANGUP, replace(HANGUP, call_id=None))
    hub.west.says(GlobalRoomActive(room="call-c1"), GlobalRoomInactive(room="call-c1"))
    hub.mesh.run()
    everybody = (hub.alice, hub.bob, hub.south, hub.west)
    assert [[]] * 4 == [one.hears() for one in everybody]
    hub.says("south", HANGUP)
    assert ["Hangup{Busy}"] == (hub.alice if way == "outgoing" else hub.bob).hears()


def test_a_third_relay_does_not_take_a_call_over() -> None:
    """An offer of a call that is live comes in vain over another link: the call goes on (FED-20, CALL-13)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("west", offer(NOBODY, BOB, "c1"))
    assert ["[Hangup{Error}]"] == hub.west.hears()
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    assert ["[DirectCallAnswer]"] == hub.south.hears()
    assert [] == hub.west.hears()


WRONG_SIDE: list[tuple[str, Message]] = [
    ("outgoing", SETUP),
    ("incoming", RINGING),
    ("incoming", TRUSTED),
    ("incoming", REJECT),
]


@pytest.mark.parametrize(("way", "inner"), WRONG_SIDE, ids=lambda one: type(one).__name__)
def test_a_relay_speaks_for_its_own_party_only(way: str, inner: Message) -> None:
    """The caller's relay does not answer, the callee's relay does not set up (FED-20)."""
    for state in ("ringing", "active"):
        hub = Hub()
        hub.brings(way, state)
        hub.says("south", inner)
        everybody = (hub.alice, hub.bob, hub.south, hub.west)
        assert [[]] * 4 == [one.hears() for one in everybody]


@pytest.mark.parametrize(
    "inner", [RINGING, TRUSTED, REJECT, SETUP, REPORT], ids=lambda one: type(one).__name__
)
def test_a_word_of_a_call_that_is_over_is_answered(inner: Message) -> None:
    """Whoever believes in a call that is not live hears Hangup{Error} for it (FED-27)."""
    hub = Hub()
    hub.says("south", inner)
    assert [envelope("north", end(reason=HangupReason.ERROR), "c1")] == hub.south.messages


def test_a_hangup_of_a_call_that_is_over_is_not_answered() -> None:
    """A Hangup for a call that is not live, or for none, is heard by nobody (FED-27)."""
    hub = Hub()
    hub.says("south", HANGUP, replace(HANGUP, call_id=None))
    hub.says("south", replace(HANGUP, call_id=None), call_id="c1")
    everybody = (hub.alice, hub.bob, hub.south, hub.west)
    assert [[]] * 4 == [one.hears() for one in everybody]


# The answer and what follows.


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callees_relay_is_sent_its_setup(answer: DirectCallAnswer) -> None:
    """An accept sets up the caller here and crosses as CallSetup with what the callee may know (FED-22)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.says("south", answer)
    trusted = answer is TRUSTED
    base = CallSetup(call_id="c1", room="call-c1", relay_addr=hub.north.address)
    mine = replace(base, peer_direct_addr="198.51.100.9:4433", peer_local_addrs=("10.2.2.2:5000",))
    theirs = replace(base, peer_direct_addr="192.0.2.1:4433", peer_local_addrs=("10.1.1.1:5000",))
    bare = replace(answer, callee_reflexive_addr=None, callee_local_addrs=())
    assert [answer if trusted else bare, mine if trusted else base] == hub.alice.messages
    assert [envelope("north", theirs if trusted else base)] == hub.south.messages
    assert [] == hub.west.hears()
    hub.forget()
    hub.says("south", answer)
    assert [[], []] == [hub.alice.hears(), hub.south.hears()]


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_an_answer_crosses_as_the_caller_may_see_it(answer: DirectCallAnswer) -> None:
    """The callee's candidates cross with AcceptTrusted and stay here with AcceptGeneric (PRIV-3, PRIV-4)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.bob.says(answer)
    hub.mesh.run(0.1)
    bare = replace(answer, callee_reflexive_addr=None, callee_local_addrs=())
    assert [envelope("north", answer if answer is TRUSTED else bare)] == hub.south.messages
    assert [] == hub.bob.hears()


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callee_is_set_up_at_its_own_relay(answer: DirectCallAnswer) -> None:
    """A CallSetup from the link is handed on once, with our own address and the room's own name (FED-23).

    Candidates that the callee did not want are taken out (PRIV-6).
    """
    hub = Hub()
    hub.incoming("active", answer)
    hub.says("south", replace(SETUP, room="call-another"), SETUP)
    expected = replace(SETUP, relay_addr=hub.north.address)
    bare = replace(expected, peer_direct_addr=None, peer_local_addrs=())
    assert [expected if answer is TRUSTED else bare] == hub.bob.messages


def test_nobody_is_set_up_before_the_answer() -> None:
    """A CallSetup for a call that rings opens no microphone, and does not come later either (FED-23)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.says("south", SETUP)
    assert [] == hub.bob.hears()
    hub.bob.says(TRUSTED)
    hub.mesh.run(0.1)
    assert [] == hub.bob.hears()
    hub.says("south", SETUP)
    assert ["CallSetup"] == hub.bob.hears()


def test_a_rejection_crosses_as_a_hangup() -> None:
    """The answer Reject stays here, and Hangup{Declined} crosses (CALL-28, CALL-29, FED-24)."""
    hub = Hub()
    hub.incoming("ringing")
    hub.bob.says(REJECT)
    hub.mesh.run(0.1)
    assert [envelope("north", end(reason=HangupReason.DECLINED), "c1")] == hub.south.messages
    assert [] == hub.bob.hears()
    assert nothing_remains(hub.north)


def test_a_rejection_in_an_envelope_is_understood() -> None:
    """A relay that sends the answer Reject itself is understood, and the caller hears Declined."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.says("south", REJECT)
    assert ["Hangup{Declined}"] == hub.alice.hears()
    assert [] == hub.south.hears()
    assert nothing_remains(hub.north)


@pytest.mark.parametrize(("phase", "call_id"), [(Phase.FEDERATION, None), (NEWEST, None), (NEWEST, "c1")])
@pytest.mark.parametrize(("way", "state"), STATES)
def test_a_hangup_crosses(way: str, state: str, phase: Phase, call_id: str | None) -> None:
    """The Hangup of either party crosses in every state, in an envelope that names the call (FED-24).

    It does so in every phase, and over every link that was asked while the callee is searched for.
    """
    hub = Hub(phase=phase)
    hub.brings(way, state)
    party = hub.alice if way == "outgoing" else hub.bob
    party.says(replace(HANGUP, call_id=call_id))
    hub.mesh.run(0.1)
    inner = {"reason": "Busy", "call_id": "c1"} if phase is NEWEST else {"reason": "Busy"}
    expected = FederatedSignalForward(inner={"Hangup": inner}, origin_relay_fp=shown("north"), call_id="c1")
    assert [expected] == hub.south.messages
    assert ([expected] if state == "searching" else []) == hub.west.messages
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    assert [] == [one for one in party.hears() if "Hangup" in one]
    assert nothing_remains(hub.north)


@pytest.mark.parametrize("phase", PHASES, ids=str)
@pytest.mark.parametrize("where", ["inner", "envelope"])
@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_hangup_arrives(way: str, where: str, phase: Phase) -> None:
    """A Hangup over the link, which names its call in itself or in its envelope, ends the call (FED-24)."""
    for state in ("ringing", "active"):
        hub = Hub(phase=phase)
        hub.brings(way, state)
        inner: JsonObject = {"reason": "Busy", **({"call_id": "c1"} if where == "inner" else {})}
        hub.south.says(
            FederatedSignalForward(
                inner={"Hangup": inner},
                origin_relay_fp=shown("south"),
                call_id="c1" if where == "envelope" or phase is not NEWEST else None,
            )
        )
        hub.mesh.run(0.1)
        assert ["Hangup{Busy}"] == (hub.alice if way == "outgoing" else hub.bob).hears()
        assert [[], []] == [hub.south.hears(), hub.west.hears()]
        assert nothing_remains(hub.north)


def test_a_hangup_ends_only_the_call_that_it_names() -> None:
    """Of two calls over one link the other one goes on (CALL-44)."""
    hub = Hub()
    hub.outgoing("active")
    hub.says("south", offer(NOBODY, BOB, "c2"))
    hub.forget()
    hub.says("south", end("c2"))
    assert [[], ["Hangup{Normal}"]] == [hub.alice.hears(), hub.bob.hears()]
    assert ["c1"] == [call.call_id for call in hub.north.core.calls.registry]


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_lost_party_crosses_as_a_hangup(way: str) -> None:
    """Whose connection ends, ends its call at the other relay too (CALL-34, FED-24)."""
    for state in ("ringing", "active"):
        hub = Hub()
        hub.brings(way, state)
        (hub.alice if way == "outgoing" else hub.bob).leaves()
        hub.mesh.run(0.1)
        assert [envelope("north", end(), "c1")] == hub.south.messages
        assert nothing_remains(hub.north)


@pytest.mark.parametrize("way", ["outgoing", "incoming"])
def test_a_report_crosses(way: str) -> None:
    """The first report of a party of an Active call crosses, and the first of the other arrives (FED-25)."""
    hub = Hub()
    hub.brings(way, "active")
    party = hub.alice if way == "outgoing" else hub.bob
    party.says(REPORT, REPORT)
    hub.says("south", replace(REPORT, direct_ok=False), REPORT)
    assert [envelope("north", REPORT)] == hub.south.messages
    assert [replace(REPORT, direct_ok=False)] == party.messages
    assert [] == hub.west.hears()


def test_a_report_is_of_an_active_call() -> None:
    """A report of a call that rings crosses neither way (FED-25, AGREE-1)."""
    for way in ("outgoing", "incoming"):
        hub = Hub()
        hub.brings(way, "ringing")
        (hub.alice if way == "outgoing" else hub.bob).says(REPORT)
        hub.says("south", REPORT)
        everybody = (hub.alice, hub.bob, hub.south, hub.west)
        assert [[]] * 4 == [one.hears() for one in everybody]


# The end of a link.


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "closed"])
@pytest.mark.parametrize(("way", "state"), STATES)
def test_a_call_ends_when_its_link_does(way: str, state: str, cut: bool) -> None:  # noqa: FBT001 - two kinds
    """The party that is here hears of the end, whatever the state of the call (FED-26)."""
    hub = Hub("south")
    hub.brings(way, state)
    if cut:
        hub.mesh.notice = lambda: 3.0
        hub.mesh.cut(hub.south.wire)
    else:
        hub.south.leaves()
    hub.mesh.run(4)
    hub.mesh.grant(hub.bob.wire)
    hub.mesh.run(0.1)
    party = hub.alice if way == "outgoing" else hub.bob
    heard = [one for one in party.hears() if one != "DirectCallOffer"]
    assert ["Hangup{Error}" if state == "searching" else "Hangup{Normal}"] == heard
    assert nothing_remains(hub.north)


def test_other_calls_outlive_a_link() -> None:
    """Calls over another link, and calls between two clients of one relay, go on (FED-26)."""
    hub = Hub()
    hub.outgoing("active")
    hub.says("west", offer(NOBODY, BOB, "c2"))
    hub.calls("bob", "c3")
    hub.forget()
    hub.south.leaves()
    hub.mesh.run(0.1)
    assert [["Hangup{Normal}"], []] == [hub.alice.hears(), hub.bob.hears()]
    assert {"c2", "c3"} == {call.call_id for call in hub.north.core.calls.registry}


# Media.


class Talk(Hub):
    """An Active call between alice here and somebody at south, and alice in its room."""

    def __init__(self) -> None:
        """Let alice join."""
        super().__init__()
        self.outgoing("active")
        self.room = self.join("alice")

    def join(self, name: str) -> Party:
        """Let a party take its seat here."""
        room = Party(self.mesh, name, self.north, "call-c1")
        room.says(introduction(room.identity, alias=name))
        self.mesh.run(0.1)
        return room


def seat(name: str, label: str | None = None, alias: str | None = None) -> dict[str, str | None]:
    """Return a participant as RoomUpdate and GlobalRoomActive list it."""
    return {"fingerprint": identity(name).fingerprint, "alias": alias, "relay_label": label}


def test_media_crosses_the_link_of_the_call() -> None:
    """A datagram of the party here crosses with the tag in front, and over no other link (FED-28)."""
    talk = Talk()
    talk.room.throws(AUDIO)
    talk.mesh.run(0.1)
    assert [TAG + AUDIO] == talk.south.datagrams
    assert [] == talk.west.datagrams
    assert 8 == len(TAG)


def test_media_from_the_link_reaches_the_party() -> None:
    """A datagram from the link is handed on byte for byte, without its tag, and not sent back (FED-29)."""
    talk = Talk()
    talk.south.throws(TAG + AUDIO)
    talk.mesh.run(0.1)
    assert [AUDIO] == talk.room.datagrams
    assert [[], [], [], []] == [one.datagrams for one in (talk.south, talk.west, talk.alice, talk.bob)]


DROPPED = {
    "another tag": (tag_of("call-c2") + AUDIO, "no such room"),
    "no tag": (b"", "no such room"),
    "a tag alone": (TAG, "short"),
    "cut short": (TAG + AUDIO[:11], "short"),
    "an unknown codec": (TAG + bytes([9 << 2]) + AUDIO[1:], "codec"),
}


@pytest.mark.parametrize(("data", "reason"), DROPPED.values(), ids=DROPPED.keys())
def test_what_a_relay_drops_in_its_rooms_it_drops_from_links(data: bytes, reason: str) -> None:
    """A datagram of no call, or one that is unfit, is dropped and counted (FED-30)."""
    talk = Talk()
    talk.south.throws(data)
    talk.mesh.run(0.1)
    assert [] == talk.room.datagrams
    assert 1 == talk.north.counted["datagrams_dropped", reason]


def test_what_a_relay_drops_in_its_rooms_does_not_cross() -> None:
    """A datagram of the party that is unfit, and one of a stranger, reach no link."""
    talk = Talk()
    stranger = Party(talk.mesh, "bob", talk.north, "call-c1")
    talk.mesh.run(0.1)
    stranger.throws(AUDIO)
    talk.room.throws(AUDIO[:11], bytes([9 << 2]) + AUDIO[1:])
    talk.mesh.run(0.1)
    assert [] == talk.south.datagrams


def test_media_of_another_link_is_dropped() -> None:
    """The right tag over the wrong link is the tag of no call (FED-30)."""
    talk = Talk()
    talk.west.throws(TAG + AUDIO)
    talk.mesh.run(0.1)
    assert [] == talk.room.datagrams
    assert 1 == talk.north.counted["datagrams_dropped", "no such room"]


def test_media_counts_while_the_call_is_active() -> None:
    """Before the answer and after the end a tag is none, and nobody in the room is no fault (FED-30)."""
    hub = Hub()
    hub.outgoing("ringing")
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 1 == hub.north.counted["datagrams_dropped", "no such room"]
    hub.says("south", TRUSTED)
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 1 == hub.north.counted["datagrams_dropped", "alone"]
    hub.says("south", HANGUP)
    hub.south.throws(TAG + AUDIO)
    hub.mesh.run(0.1)
    assert 2 == hub.north.counted["datagrams_dropped", "no such room"]


def test_the_room_is_announced_over_the_link_of_the_call() -> None:
    """Who joins is told to the other party's relay, who leaves too, and to nobody else (FED-31, FED-32)."""
    talk = Talk()
    active = GlobalRoomActive(room="call-c1", participants=(seat("alice", alias="alice"),))
    assert [active] == talk.south.messages
    talk.room.leaves()
    talk.mesh.run(0.1)
    assert [active, GlobalRoomInactive(room="call-c1")] == talk.south.messages
    assert [] == talk.west.hears()


def test_a_seat_that_is_taken_over_stays_taken() -> None:
    """A party that joins again is announced again, and never said to have left (FED-31, FED-32)."""
    talk = Talk()
    talk.join("alice")
    assert ["GlobalRoomActive", "GlobalRoomActive"] == talk.south.hears()
    assert CloseCode.SEAT_TAKEN is talk.room.code


def test_the_other_party_is_named_in_the_room() -> None:
    """RoomUpdate counts who sits at the other relay, with its label, while it says so (FED-33)."""
    talk = Talk()
    mine = seat("alice", alias="alice")
    alone = RoomUpdate(count=1, participants=[mine])
    assert alone == talk.room.messages[-1]
    away = GlobalRoomActive(room="call-c1", participants=[seat("nobody", "its own", "N")])
    talk.south.says(away)
    talk.mesh.run(0.1)
    both = RoomUpdate(count=2, participants=[mine, seat("nobody", "south", "N")])
    assert both == talk.room.messages[-1]
    again = talk.join("alice")
    assert both == again.messages[-1]
    talk.south.says(GlobalRoomInactive(room="call-c1"))
    talk.mesh.run(0.1)
    assert alone == again.messages[-1]


NOT_THERE: list[Message] = [
    GlobalRoomActive(room="call-c2", participants=[seat("nobody")]),
    GlobalRoomActive(room="c1", participants=[seat("nobody")]),
    GlobalRoomActive(room="call-call-c1", participants=[seat("nobody")]),
    GlobalRoomActive(room="call-c1", participants=[seat("alice"), seat("bob")]),
    GlobalRoomActive(room="call-c1"),
]


@pytest.mark.parametrize("announced", NOT_THERE)
def test_nobody_else_is_named_in_the_room(announced: Message) -> None:
    """Only the other party of the call counts, in the room of the call (FED-33)."""
    talk = Talk()
    talk.south.says(announced)
    talk.mesh.run(0.1)
    updates = [one for one in talk.room.messages if isinstance(one, RoomUpdate)]
    assert {1} == {one.count for one in updates}


# Two relays of ours.


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_a_call_across_two_relays(answer: DirectCallAnswer) -> None:
    """Both parties hear what they would hear at one relay, and a third relay hears the search alone."""
    pair = Pair()
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.bob.says(answer)
    pair.mesh.run()
    assert ["DirectCallOffer", "CallSetup"] == [type(one).__name__ for one in pair.bob.messages]
    assert ["CallRinging", "DirectCallAnswer", "CallSetup"] == pair.alice.hears()
    setup = pair.bob.messages[1]
    assert isinstance(setup, CallSetup)
    assert pair.south.address == setup.relay_addr
    assert ("192.0.2.1:4433" if answer is TRUSTED else None) == setup.peer_direct_addr
    assert ["[CallRinging]", "[DirectCallAnswer]"] == pair.north.hears("south")
    assert ["[DirectCallOffer]", "[CallSetup]"] == pair.south.hears("north")
    assert ["[DirectCallOffer]"] == pair.west.hears("north")
    assert ["[Hangup{Error}]"] == pair.north.hears("west")
    assert [] == pair.carol.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
@pytest.mark.parametrize("by", ["alice", "bob"])
@pytest.mark.parametrize("phase", PHASES, ids=str)
def test_a_hangup_reaches_the_other_end(by: str, state: str, phase: Phase) -> None:
    """Whoever hangs up, in whatever state and phase, the other one hears of it, and no relay remembers."""
    pair = Pair(phase=phase)
    pair.brings(state)
    one, other = (pair.alice, pair.bob) if by == "alice" else (pair.bob, pair.alice)
    one.says(HANGUP if phase is NEWEST else Hangup(reason=HangupReason.BUSY))
    pair.mesh.grant(pair.bob.wire)
    pair.mesh.run()
    assert ["Hangup{Busy}"] == [heard for heard in other.hears() if "Hangup" in heard]
    assert [] == [heard for heard in one.hears() if "Hangup" in heard]
    assert pair.empty()


def test_media_crosses_both_ways() -> None:
    """Each hears the other byte for byte, both are counted in both rooms, and the end empties the rooms."""
    pair = Pair()
    pair.brings("active")
    alice, bob = pair.room("alice"), pair.room("bob")
    alice.throws(AUDIO)
    bob.throws(AUDIO + b"!")
    pair.mesh.run()
    assert [[AUDIO + b"!"], [AUDIO]] == [alice.datagrams, bob.datagrams]
    assert (
        RoomUpdate(count=2, participants=[seat("alice", None, "alice"), seat("bob", "south", "bob")])
        == (alice.messages[-1])
    )
    assert (
        RoomUpdate(count=2, participants=[seat("bob", None, "bob"), seat("alice", "north", "alice")])
        == (bob.messages[-1])
    )
    assert not any(end is pair.west for end, data in pair.mesh.delivered if AUDIO in data)
    pair.alice.says(end())
    pair.mesh.run()
    assert [CloseCode.CALL_ENDED, CloseCode.CALL_ENDED] == [alice.code, bob.code]
    assert pair.empty()


@pytest.mark.parametrize("phase", [Phase.FEDERATION, Phase.PATH_AGREEMENT, NEWEST], ids=str)
def test_reports_cross_since_phase_6(phase: Phase) -> None:
    """Both reports arrive at the other end where the relays know them, and nowhere before (FED-25)."""
    pair = Pair(phase=phase)
    pair.brings("active")
    for party in (pair.alice, pair.bob):
        if phase >= Phase.PATH_AGREEMENT:
            party.says(REPORT)
    for name, station in (("north", pair.south), ("south", pair.north)):
        wired = pair.mesh[name].wire(station.name)
        pair.mesh.send(wired, pair.mesh[name], wire.encode(envelope(name, REPORT), phase))
    pair.mesh.run()
    expected = ["MediaPathReport"] if phase >= Phase.PATH_AGREEMENT else []
    assert [expected, expected] == [pair.alice.hears(), pair.bob.hears()]
    assert all(station.link("west") for station in (pair.north, pair.south))


def test_an_offer_that_crosses_the_hangup_of_its_call() -> None:
    """A caller that hangs up at once stops a telephone that has begun to ring, and nothing is left."""
    pair = Pair()
    pair.alice.says(OFFER, end())
    pair.mesh.run()
    assert ["DirectCallOffer", "Hangup{Normal}"] == pair.bob.hears()
    assert [] == pair.alice.hears()
    assert pair.empty()


def test_an_answer_that_crosses_the_hangup_of_its_call() -> None:
    """An accept that meets the caller's Hangup on the way leaves no call, and nobody is set up."""
    pair = Pair()
    pair.brings("ringing")
    pair.alice.says(end())
    pair.bob.says(TRUSTED)
    pair.mesh.run()
    assert ["Hangup{Normal}"] == pair.bob.hears()
    assert [] == pair.alice.hears()
    assert pair.empty()


def test_two_hangups_that_cross() -> None:
    """Both parties hang up at once: neither hears of it, and no relay remembers (CALL-31)."""
    for state in ("ringing", "active"):
        pair = Pair()
        pair.brings(state)
        pair.alice.says(end())
        pair.bob.says(end())
        pair.mesh.run()
        assert [[], []] == [pair.alice.hears(), pair.bob.hears()]
        assert pair.empty()


def test_one_call_id_from_both_sides_at_once() -> None:
    """Two calls that share a call_id refuse each other, and nothing is left of either (CALL-12)."""
    pair = Pair()
    pair.alice.says(OFFER)
    pair.bob.says(offer(BOB, ALICE, "c1"))
    pair.mesh.run()
    assert [["Hangup{Error}"], ["Hangup{Error}"]] == [pair.alice.hears(), pair.bob.hears()]
    assert pair.empty()


def test_a_callee_at_two_relays_is_in_one_call() -> None:
    """Of two telephones of one person the first that rings goes on, and the other one stops (FED-19)."""
    pair = Pair()
    second = register(pair.mesh, "bob", pair.west)
    pair.west.wire("north").credit = False  # its CallRinging comes later
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.mesh.grant(pair.west.wire("north"))
    pair.mesh.run()
    assert ["DirectCallOffer", "Hangup{Normal}"] == second.hears()
    assert ["DirectCallOffer"] == pair.bob.hears()
    second.says(TRUSTED)
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()
    pair.bob.says(GENERIC)
    pair.mesh.run()
    assert ["DirectCallAnswer", "CallSetup"] == pair.alice.hears()
    assert ["CallSetup"] == pair.bob.hears()
    assert [] == second.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
def test_a_second_registration_has_nothing_to_do_with_a_call(state: str) -> None:
    """A call goes on whatever its party does at a relay that the call does not go over.

    It may be registered there too, lose that registration, hang up there and answer there.
    """
    pair = Pair()
    twin, other = register(pair.mesh, "alice", pair.south), register(pair.mesh, "bob", pair.west)
    pair.bob.wire.credit = state != "pending"
    pair.west.wire("north").credit = False
    pair.alice.says(OFFER)
    pair.mesh.run()
    pair.mesh.grant(pair.west.wire("north"))
    pair.mesh.run()
    if state == "active":
        pair.bob.says(TRUSTED)
        pair.mesh.run()
    pair.alice.hears()
    if state != "pending":
        other.leaves()
    twin.says(HANGUP, Hangup(reason=HangupReason.BUSY), TRUSTED, REPORT)
    pair.mesh.run()
    twin.leaves()
    pair.mesh.run()
    assert [] == [one for one in pair.alice.hears() if one != "CallRinging"]
    assert [] == [one for one in pair.bob.hears() if "Hangup" in one]
    assert None is not pair.north.core.calls.registry.get("c1")


def test_a_twin_is_not_let_into_the_room() -> None:
    """Who is a party at the other relay has no seat at this one (MEDIA-5)."""
    pair = Pair()
    twin = register(pair.mesh, "alice", pair.south)
    pair.brings("active")
    room = Party(pair.mesh, "alice", pair.south, "call-c1")
    room.says(introduction(ALICE))
    pair.mesh.run()
    assert CloseCode.NOT_ADMITTED is room.code
    assert [] == twin.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
def test_both_ends_hear_when_their_link_is_cut(state: str) -> None:
    """Each relay tells its own party, when it notices, and the next call goes over the new link (FED-26)."""
    pair = Pair()
    pair.brings(state)
    pair.mesh.cut(pair.north.wire("south"))
    pair.mesh.run(IDLE + 5)
    pair.mesh.grant(pair.bob.wire)
    pair.mesh.run()
    assert ["Hangup{Normal}" if state != "pending" else "Hangup{Error}"] == pair.alice.hears()
    assert "Hangup{Normal}" == pair.bob.hears()[-1]
    assert pair.empty()
    pair.alice.says(OFFER)
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()


@pytest.mark.parametrize("state", ["pending", "ringing", "active"])
@pytest.mark.parametrize("name", ["north", "south"])
def test_a_relay_that_stops_ends_its_calls_at_both_ends(name: str, state: str) -> None:
    """The party at the other relay hears Hangup{Error} too, before the link ends (ERR-5)."""
    pair = Pair()
    pair.brings(state)
    pair.mesh.grant(pair.bob.wire)
    pair.mesh[name].stops()
    pair.mesh.run()
    assert "Hangup{Error}" == pair.alice.hears()[-1]
    assert "Hangup{Error}" == pair.bob.hears()[-1]
    assert ["[Hangup{Error}]"] == [
        one for one in pair.mesh["south" if name == "north" else "north"].hears(name) if "Hangup" in one
    ]
    assert pair.empty()


def test_a_relay_that_drains_takes_no_call_from_a_link() -> None:
    """Offers from a link are refused as those of clients are, and nobody is searched for (ERR-7, FED-16)."""
    pair = Pair(limits=Limits(drain=100.0))
    pair.brings("active")
    twin = register(pair.mesh, "bob", pair.north)
    pair.south.drains()
    pair.alice.says(offer(ALICE, identity("carol"), "c2"))
    pair.mesh.run()
    pair.carol.says(offer(identity("carol"), BOB, "c3"))
    pair.bob.says(offer(BOB, ALICE, "c4"))
    pair.mesh.run()
    assert ["CallRinging"] == pair.alice.hears()
    assert ["Hangup{Error}"] == pair.bob.hears()
    assert ["DirectCallOffer"] == twin.hears()
    assert {"[Hangup{Error}]"} == {one for one in pair.west.hears("south") if "Hangup" in one}


def test_a_call_across_a_link_may_end_before_its_relay_stops() -> None:
    """A relay that drains waits for a call over a link too, and its link ends after the call (ERR-9)."""
    pair = Pair(limits=Limits(drain=100.0))
    pair.brings("active")
    pair.south.drains()
    pair.mesh.run(50)
    assert [[], []] == [pair.alice.hears(), pair.bob.hears()]
    assert ["north", "south", "west"] == pair.alive()
    pair.alice.says(HANGUP)
    pair.mesh.run()
    assert ["Hangup{Busy}"] == pair.bob.hears()
    assert ["north", "west"] == pair.alive()
    assert None is pair.north.link("south")
    assert pair.empty()


def test_nothing_is_left_of_two_relays() -> None:
    """When a call across a link has ended and everybody has gone, every table is empty."""
    pair = Pair()
    pair.brings("active")
    rooms = [pair.room("alice"), pair.room("bob")]
    for party in (pair.alice, pair.bob, pair.carol):
        party.leaves()
    pair.mesh.run()
    assert {CloseCode.CALL_ENDED} == {room.code for room in rooms}
    for station in (pair.north, pair.south, pair.west):
        station.stops()
        station.core.timers.clear()
        assert nothing_is_left(station.core)


# Deployed relays.


def test_a_deployed_relay_is_sent_the_whole_offer() -> None:
    """It has the caller's candidates, as a relay that proves itself has not.

    The caller hears that it rings when the offer has left.
    """
    hub = Hub("south", "west", deployed=("south",))
    hub.south.wire.credit = False
    hub.calls()
    assert [] == hub.alice.hears()
    assert [envelope("north", offer(ALICE, NOBODY, "c1"))] == hub.west.messages
    hub.mesh.grant(hub.south.wire)
    hub.mesh.run(0.1)
    assert [envelope("north", offer(ALICE, NOBODY, "c1", **CALLER))] == hub.south.messages
    assert ["CallRinging"] == hub.alice.hears()


def test_a_deployed_relay_that_does_not_answer_is_waited_for() -> None:
    """It never refuses, so that the call ends with its ring time-out and not with the search."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.says("west", end(reason=HangupReason.ERROR))
    hub.mesh.run(RING - 0.5)
    assert ["CallRinging"] == hub.alice.hears()
    hub.mesh.run(1)
    assert ["Hangup{Timeout}"] == hub.alice.hears()
    assert nothing_remains(hub.north)


def test_a_relay_that_rings_is_preferred_to_a_deployed_one() -> None:
    """Where a deployed relay was asked too, the one that says it rings has the call (FED-19)."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.forget()
    hub.says("west", RINGING)
    assert ["[Hangup{Normal}]"] == hub.south.hears()
    hub.says("south", TRUSTED)
    assert [] == hub.alice.hears()
    hub.says("west", TRUSTED)
    assert ["DirectCallAnswer", "CallSetup"] == hub.alice.hears()


def test_the_answer_of_a_deployed_relay_sets_its_caller_up() -> None:
    """The caller hears the answer and its setup, with the callee's candidates, as from any relay."""
    hub = Hub("south", "west", deployed=("south",))
    hub.calls()
    hub.forget()
    hub.says("south", TRUSTED)
    assert ["DirectCallAnswer", "CallSetup"] == [type(one).__name__ for one in hub.alice.messages]
    setup = hub.alice.messages[1]
    assert isinstance(setup, CallSetup)
    assert "198.51.100.9:4433" == setup.peer_direct_addr
    assert ["[Hangup{Normal}]"] == hub.west.hears()


@pytest.mark.parametrize("answer", MODES, ids=lambda one: str(one.accept_mode))
def test_the_callee_of_a_deployed_relays_caller_is_set_up_here(answer: DirectCallAnswer) -> None:
    """The candidates of the offer, which the callee has not seen, are in its CallSetup if it trusts."""
    hub = Hub("south", deployed=("south",))
    hub.says("south", offer(NOBODY, BOB, "c1", **CALLER))
    assert [offer(NOBODY, BOB, "c1")] == hub.bob.messages
    hub.bob.says(answer)
    hub.mesh.run(0.1)
    trusted = answer is TRUSTED
    setup = CallSetup(
        call_id="c1",
        room="call-c1",
        relay_addr=hub.north.address,
        peer_direct_addr="192.0.2.1:4433" if trusted else None,
        peer_local_addrs=("10.1.1.1:5000",) if trusted else (),
    )
    assert setup == hub.bob.messages[-1]
    hub.south.hears()
    hub.bob.hears()
    hub.says("south", SETUP)
    assert [] == hub.bob.hears()


def test_two_relays_in_open_federation_prove_themselves() -> None:
    """Between two of ours nothing is different: no candidate is in an offer, and refusals count."""
    pair = Pair(trust=Trust.OPEN)
    pair.alice.says(offer(ALICE, NOBODY, "c9", **CALLER))
    pair.mesh.run()
    assert ["Hangup{Error}"] == pair.alice.hears()
    relays = {pair.south, pair.west}
    assert not any(b"192.0.2.1:4433" in data for end_, data in pair.mesh.delivered if end_ in relays)
