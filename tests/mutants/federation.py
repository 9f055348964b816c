"""Mutants of spec/federation.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import links, messages, privacy
from reference.core.call import TAG_SIZE, By, Call, Says, State
from reference.core.calls import Calls
from reference.core.effects import Close, Effect, Log, Send, SendDatagram
from reference.core.errors import CloseCode, HangupReason
from reference.core.federation import Federation
from reference.core.links import Link, Links
from reference.core.messages import CallSetup, DirectCallOffer, FederatedSignalForward, Hangup
from reference.core.proof import plain
from reference.core.rooms import Rooms
from reference.core.sessions import Peer, Session
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference.core.messages import FederationHello, Message
    from reference.core.strict_json import JsonObject


def says(effect: Effect, kind: type[Message]) -> bool:
    """Tell whether an effect sends a message of this kind, over a link or to a client."""
    if not isinstance(effect, Send):
        return False
    inner = effect.message.inner if isinstance(effect.message, FederatedSignalForward) else {}
    return isinstance(effect.message, kind) or kind.__name__ in inner


# Links


@breaks("FED-1")
def trusts_anybody() -> None:
    """Takes a link from every relay that proves its fingerprint."""
    honest = Links.hello

    def hello(self: Links, session: int, message: FederationHello, now: float) -> list[Effect]:
        name = message.tls_fingerprint
        self._peers.setdefault(plain(name), Peer(name, "anybody"))
        return honest(self, session, message, now)

    Links.hello = hello


def proving(change: Callable[[FederationHello, str, float], str]) -> None:
    """Change why a hello proves nothing."""
    links.unproven = change


@breaks("FED-2")
def believes_a_name() -> None:
    """Takes a hello without a signature."""
    honest = links.unproven
    proving(lambda hello, own, wall: "" if hello.signature is None else honest(hello, own, wall))


@breaks("FED-3")
def proofs_last() -> None:
    """Takes a proof of any time."""
    honest = links.unproven
    proving(lambda hello, own, wall: honest(hello, own, wall if hello.time is None else hello.time))


@breaks("FED-4")
def waits_for_a_hello() -> None:
    """Leaves a link open on which nothing is said."""
    Links.unanswered = lambda _self, _session, _now: []


def receiving(change: Callable[[Federation, int, Message], list[Effect] | None]) -> None:
    """Do something else with what comes over a link, where there is something to do."""
    honest = Federation.receive

    def receive(
        self: Federation, session: int, state: Session, message: Message, now: float, size: int
    ) -> list[Effect]:
        instead = change(self, session, message)
        return honest(self, session, state, message, now, size) if instead is None else instead

    Federation.receive = receive


@breaks("FED-5")
def answers_strangers() -> None:
    """Answers a Ping that comes before the hello."""

    def change(federation: Federation, session: int, message: Message) -> list[Effect] | None:
        del federation
        if isinstance(message, messages.Ping):
            return [Send(session, messages.Pong(timestamp_ms=message.timestamp_ms))]
        return None

    receiving(change)


@breaks("FED-6")
def two_links() -> None:
    """Leaves the older of two links to one relay open."""
    honest = Links._rise
    Links._rise = lambda self, link, peer, now: [
        effect for effect in honest(self, link, peer, now) if not isinstance(effect, Close)
    ]


@breaks("FED-7")
def greets_everybody() -> None:
    """Says its hello to whoever answers at the address of a peer."""
    honest = Links.connected

    def connected(self: Links, session: int, fingerprint: str | None, now: float) -> list[Effect]:
        link = self.get(session)
        meant = link.peer.fingerprint if link is not None and link.peer is not None else fingerprint
        return honest(self, session, meant, now)

    Links.connected = connected


@breaks("FED-8")
def dials_once() -> None:
    """Does not dial again when a link has ended."""
    honest = Links.lost

    def lost(self: Links, session: int) -> Link | None:
        link = honest(self, session)
        if link is not None and link.peer is not None:
            self._timers.cancel(link.peer)
        return link

    Links.lost = lost


@breaks("FED-9")
def answers_no_ping() -> None:
    """Does not answer a Ping on a link."""
    receiving(lambda federation, session, message: [] if isinstance(message, messages.Ping) else None)


# Envelopes


def opening(change: Callable[[Federation, Link, FederatedSignalForward], FederatedSignalForward]) -> None:
    """Change every envelope before it is opened."""
    honest = Federation._forwarded

    def forwarded(
        self: Federation, link: Link, state: Session, message: FederatedSignalForward, now: float, size: int
    ) -> list[Effect]:
        return honest(self, link, state, change(self, link, message), now, size)

    Federation._forwarded = forwarded


@breaks("FED-10")
def believes_the_envelope() -> None:
    """Takes an envelope that names another relay for one of its sender."""
    opening(
        lambda federation, link, message: replace(
            message, origin_relay_fp=link.peer.fingerprint if link.peer is not None else ""
        )
    )


@breaks("FED-11")
def gives_up() -> None:
    """Closes a link on which a message comes that nobody can read."""
    honest = Federation._forwarded

    def forwarded(
        self: Federation, link: Link, state: Session, message: FederatedSignalForward, now: float, size: int
    ) -> list[Effect]:
        effects = honest(self, link, state, message, now, size)
        bad = [effect for effect in effects if getattr(effect, "counter", "") == "bad_forwarded"]
        return [*effects, Close(link.session, CloseCode.BAD_MESSAGES)] if bad else effects

    Federation._forwarded = forwarded


def offered(change: Callable[[Federation, Link, DirectCallOffer, list[Effect]], list[Effect]]) -> None:
    """Change what an offer from a link leads to."""
    honest = Federation._offer

    def offer(
        self: Federation, link: Link, state: Session, offer: DirectCallOffer, now: float, size: int
    ) -> list[Effect]:
        return change(self, link, offer, honest(self, link, state, offer, now, size))

    Federation._offer = offer


@breaks("FED-12")
def passes_on() -> None:
    """Sends an offer that came over a link over every other one."""
    offered(
        lambda federation, link, offer, effects: [
            *effects,
            *(federation._links.forward(other, offer) for other in federation._links if other is not link),
        ]
    )


# Calls


def beginning(change: Callable[[Call, By | None, list[Link]], list[Link]]) -> None:
    """Change over which links a call goes."""
    honest = Calls.begin

    def begin(self: Calls, call: Call, away: By | None, links: list[Link], now: float) -> None:
        honest(self, call, away, change(call, away, links), now)

    Calls.begin = begin


@breaks("FED-13")
def asks_one() -> None:
    """Asks only the oldest of several relays for a callee."""
    beginning(lambda call, away, links: links[:1])


@breaks("FED-14")
def tells_where() -> None:
    """Leaves the caller's candidates in the offer that goes over a link."""
    honest = Links.say

    def say(self: Links, link: Link, call: Call, message: Message) -> Send:
        if isinstance(message, DirectCallOffer):
            message = privacy.offer_for_deployed(message, call.advertised)
        return honest(self, link, call, message)

    Links.say = say


@breaks("FED-15")
def other_caller() -> None:
    """Names the callee as the caller of an offer that came over a link."""

    def change(call: Call, away: By | None, links: list[Link]) -> list[Link]:
        if away is By.CALLER and call.offer is not None:
            call.offer = replace(call.offer, caller_fingerprint=call.callee)
        return links

    beginning(change)


@breaks("FED-16")
def refuses_silently() -> None:
    """Refuses an offer from a link without a word."""
    offered(
        lambda federation, link, offer, effects: [effect for effect in effects if not says(effect, Hangup)]
    )


@breaks("FED-17")
def keeps_refusals() -> None:
    """Does not tell the caller that the last relay has refused."""
    honest = Federation._hangup

    def hangup(self: Federation, call: Call, link: Link, side: By, message: Hangup) -> list[Effect]:
        asked, effects = call.state is State.PENDING, honest(self, call, link, side, message)
        return [effect for effect in effects if not (asked and says(effect, Hangup))]

    Federation._hangup = hangup


@breaks("FED-18")
def searches_for_ever() -> None:
    """Waits for a relay that does not say that it rings."""
    honest = Federation.overdue

    def overdue(self: Federation, call: Call) -> list[Effect]:
        searched = call.away is By.CALLEE and call.state is State.PENDING
        return [] if searched else honest(self, call)

    Federation.overdue = overdue


@breaks("FED-19")
def lets_them_ring() -> None:
    """Tells the other relays nothing when one has the callee."""
    honest = Federation._found

    def found(self: Federation, call: Call, link: Link) -> list[Effect]:
        honest(self, call, link)
        return []

    Federation._found = found


def concerning(change: Callable[[Federation, Link, Message, str | None], Link | None]) -> None:
    """Change by which link a message for a call has come; None drops it."""
    honest = Federation._of_a_call

    def of_a_call(
        self: Federation, link: Link, inner: Message, call_id: str | None, size: int
    ) -> list[Effect]:
        by = change(self, link, inner, call_id)
        return [] if by is None else honest(self, by, inner, call_id, size)

    Federation._of_a_call = of_a_call


@breaks("FED-20")
def listens_to_all() -> None:
    """Takes a message for a call from any link."""

    def change(federation: Federation, link: Link, inner: Message, call_id: str | None) -> Link:
        del inner
        call = federation._calls.registry.get(call_id or "")
        return call.links[0] if call is not None and call.links and link not in call.links else link

    concerning(change)


def telling(*kept: Says) -> None:
    """Say none of these words over a link."""
    honest = Calls._tell

    def tell(
        self: Calls, call: Call, to: By, party: str, words: tuple[Says, ...], forwarded: Message | None
    ) -> list[Effect]:
        if to is call.away:
            words = tuple(one for one in words if one not in kept)
        return honest(self, call, to, party, words, forwarded)

    Calls._tell = tell


@breaks("FED-21")
def rings_quietly() -> None:
    """Sends no CallRinging over a link."""
    telling(Says.RINGING)


@breaks("FED-21-early")
def promises_early() -> None:
    """Says over the link that it rings as soon as the offer comes."""

    def change(
        federation: Federation, link: Link, offer: DirectCallOffer, effects: list[Effect]
    ) -> list[Effect]:
        ringing = messages.CallRinging(call_id=offer.call_id)
        begun = any(isinstance(effect, Log) for effect in effects)
        return [*effects, federation._links.forward(link, ringing)] if begun else effects

    offered(change)


@breaks("FED-22")
def sets_nobody_up() -> None:
    """Sends no CallSetup over a link."""
    telling(Says.SETUP)


@breaks("FED-23")
def other_address() -> None:
    """Hands the caller's relay's address to the callee."""
    honest = Federation._set_up

    def set_up(self: Federation, call: Call, message: CallSetup) -> list[Effect]:
        return [
            Send(effect.session, replace(effect.message, relay_addr=message.relay_addr))
            if isinstance(effect, Send) and isinstance(effect.message, CallSetup)
            else effect
            for effect in honest(self, call, message)
        ]

    Federation._set_up = set_up


@breaks("FED-24")
def hangs_up_here() -> None:
    """Sends no Hangup of a party over a link."""
    telling(Says.HANGUP)


@breaks("FED-24-name")
def names_no_call() -> None:
    """Names no call in the envelope of a Hangup."""
    honest = Links.forward

    def forward(self: Links, link: Link, message: Message, receipt: object | None = None) -> Send:
        effect = honest(self, link, message, receipt)
        if isinstance(effect.message, FederatedSignalForward):
            return Send(effect.session, replace(effect.message, call_id=None), effect.receipt)
        return effect

    Links.forward = forward


@breaks("FED-25")
def keeps_reports() -> None:
    """Sends no MediaPathReport over a link."""
    telling(Says.REPORT)


@breaks("FED-26")
def loss_is_silent() -> None:
    """Does not tell a party that the link of its call has ended."""
    honest = Federation.lost

    def told(effect: Effect) -> bool:
        over = effect.message if isinstance(effect, Send) else None
        return isinstance(over, Hangup) and over.reason is HangupReason.NORMAL

    Federation.lost = lambda self, session: [effect for effect in honest(self, session) if not told(effect)]


@breaks("FED-27")
def keeps_quiet() -> None:
    """Does not answer what comes for a call that does not exist."""
    concerning(
        lambda federation, link, inner, call_id: (
            link if call_id is None or federation._calls.registry.get(call_id) is not None else None
        )
    )


# Media


def sending(change: Callable[[Call, bytes], bytes]) -> None:
    """Change the bytes that go over a link."""
    honest = Rooms.datagram

    def datagram(self: Rooms, session: int, data: bytes) -> list[Effect]:
        seat = self._seats.get(session)
        call = self._registry.get(seat.call_id) if seat is not None else None
        over = [link.session for link in call.links] if call is not None else []
        return [
            SendDatagram(effect.session, change(call, effect.data))
            if isinstance(effect, SendDatagram) and call is not None and effect.session in over
            else effect
            for effect in honest(self, session, data)
        ]

    Rooms.datagram = datagram


@breaks("FED-28")
def no_tag() -> None:
    """Sends datagrams over a link without the tag of their room."""
    sending(lambda call, data: data[TAG_SIZE:])


@breaks("FED-29")
def changes_payload() -> None:
    """Turns over the last byte of a datagram of more than 30 bytes that comes over a link."""
    honest = Rooms.across

    def across(self: Rooms, link: Link, data: bytes) -> list[Effect]:
        return [
            SendDatagram(effect.session, effect.data[:-1] + bytes((effect.data[-1] ^ 255,)))
            if isinstance(effect, SendDatagram) and len(effect.data) > 30
            else effect
            for effect in honest(self, link, data)
        ]

    Rooms.across = across


@breaks("FED-30")
def any_room() -> None:
    """Hands a datagram of a link into the room of another link's call."""
    honest = Rooms.across

    def across(self: Rooms, link: Link, data: bytes) -> list[Effect]:
        calls = (call for call in self._registry if call.links and call.tag == data[:TAG_SIZE])
        call = next(calls, None)
        return honest(self, link if call is None else call.links[0], data)

    Rooms.across = across


@breaks("FED-31")
def joins_quietly() -> None:
    """Does not say over a link that a party has joined."""
    honest = Rooms.join

    def join(self: Rooms, session: int, call_id: str, offer: messages.CallOffer) -> list[Effect]:
        effects = honest(self, session, call_id, offer)
        return [effect for effect in effects if not says(effect, messages.GlobalRoomActive)]

    Rooms.join = join


@breaks("FED-32")
def leaves_quietly() -> None:
    """Does not say over a link that a party has left."""
    honest = Rooms.leave
    Rooms.leave = lambda self, session: [
        effect for effect in honest(self, session) if not says(effect, messages.GlobalRoomInactive)
    ]


@breaks("FED-33")
def shows_nobody() -> None:
    """Does not tell a participant who sits in the room at the other relay."""

    def announced(self: Rooms, link: Link, name: str, participants: Sequence[JsonObject]) -> list[Effect]:
        del self, link, name, participants
        return []

    Rooms.announced = announced
