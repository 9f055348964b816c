"""Mutants of spec/federation.md: links and what proves a relay, and the envelopes that come over them.

Those of calls and of media over links stand beside this file, in federation_calls.py and federation_media.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import links, messages
from reference.core.effects import Close, Effect, Send
from reference.core.errors import CloseCode
from reference.core.federation import Federation
from reference.core.links import Link, Links
from reference.core.messages import DirectCallOffer, FederatedSignalForward
from reference.core.proof import plain
from reference.core.sessions import Peer, Session
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.messages import FederationHello, Message


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


@breaks("FED-8-linked")
def dials_although_linked() -> None:
    """Dials a peer again after the end of a link, although another link to it is up."""
    honest_lost, honest_due = Links.lost, Links.due

    def lost(self: Links, session: int) -> Link | None:
        link = honest_lost(self, session)
        if link is not None and link.peer is not None and link.peer.address and not self.stopped:
            self._timers.set(link.peer, 0.0)
        return link

    def due(self: Links, peer: Peer, now: float) -> list[Effect]:
        up = self._to.pop(peer, None)
        effects = honest_due(self, peer, now)
        if up is not None:
            self._to[peer] = up
        return effects

    Links.lost, Links.due = lost, due


@breaks("FED-34")
def calls_move_over() -> None:
    """Lets the calls of a link that is replaced go on over the newer one."""
    honest = Links._rise

    def rise(self: Links, link: Link, peer: Peer, now: float) -> list[Effect]:
        older = self._to.get(peer)
        effects = honest(self, link, peer, now)
        if older is not None and self._to[peer] is link:
            link.calls, link.rooms, older.calls, older.rooms = older.calls, older.rooms, {}, {}
            for call in link.calls.values():
                call.links = [link if one is older else one for one in call.links]
        return effects

    Links._rise = rise


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
