"""Links (spec/federation.md, Links): which relays this one is joined to, and how each has proved itself.

A link is a connection between two relays, whichever of them dialled. The dialled one is known by its
certificate, the dialling one by a signed hello; a relay has one link to another at most.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reference.core import privacy, wire
from reference.core.call import Receipt
from reference.core.effects import Close, Count, Dial, Effect, Log, Send
from reference.core.errors import CloseCode
from reference.core.messages import DirectCallOffer, FederatedSignalForward, FederationHello, Hangup
from reference.core.proof import coloned, plain, statement, unproven
from reference.core.sessions import Trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference.core.call import Call
    from reference.core.messages import Message
    from reference.core.sessions import Deadlines, Peer, Setting
    from reference.core.strict_json import JsonObject

SERVER_NAME = "_federation"
AT_ONCE = 10.0
"""Seconds within which two links to one relay are taken for two that were dialled at the same time."""
FIRST_REST, LONGEST_REST = 1.0, 60.0
"""Seconds before a peer is dialled again, doubled after each failure (FED-8)."""


@dataclass(slots=True, eq=False)
class Link:
    """A connection to another relay; `peer` is None until its hello, `calls` are those that go over it."""

    session: int
    peer: Peer | None = None
    dialled: bool = False
    up: bool = False
    proven: bool = True
    since: float = 0.0
    calls: dict[str, Call] = field(default_factory=dict)
    rooms: dict[bytes, Call] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What the relay at the other end is called here."""
        return self.peer.label if self.peer is not None else "unknown"


class Links:
    """All links of one relay; a peer with an address is dialled while there is none to it."""

    def __init__(self, setting: Setting, timers: Deadlines) -> None:
        """Be known by the setting's certificate; dial as soon as the timers tell."""
        self._setting = setting
        self._timers = timers
        self._own = hashlib.sha256(setting.certificate).hexdigest()
        self._key = Ed25519PrivateKey.from_private_bytes(setting.identity.tls_private_seed())
        self._peers = {plain(peer.fingerprint): peer for peer in setting.peers}
        self._of: dict[int, Link] = {}
        self._to: dict[Peer, Link] = {}
        self._rest: dict[Peer, float] = {}  # how long each peer that cannot be reached is left alone
        self._resting: set[Peer] = set()
        self.stopped = False  # nobody is dialled any more
        for peer in setting.peers:
            self._want(peer)

    def __iter__(self) -> Iterator[Link]:
        """Iterate over the links that are up, safe against ends."""
        return iter(list(self._to.values()))

    def __len__(self) -> int:
        """Return how many links are up."""
        return len(self._to)

    @property
    def origin(self) -> str:
        """What this relay calls itself in every envelope."""
        return coloned(self._own)

    def states(self) -> dict[str, int]:
        """Count the links that are up, and those whose hello has not come yet."""
        return {"up": len(self._to), "opening": sum(not link.up for link in self._of.values())}

    def get(self, session: int) -> Link | None:
        """Return the link on a session, up or not, or None."""
        return self._of.get(session)

    def say(self, link: Link, call: Call, message: Message) -> Send:
        """Say a word of a call over a link: FED-21, FED-25; an offer without candidates, FED-14.

        A relay that never rings back gets the whole offer.
        """
        if link.proven or not isinstance(message, DirectCallOffer):
            return self.forward(link, message)
        whole = privacy.offer_for_deployed(message, call.advertised)
        return self.forward(link, whole, Receipt(call, link.session))

    def forward(self, link: Link, message: Message, receipt: object | None = None) -> Send:
        """Return what carries a message over a link; the envelope names the call of a Hangup (FED-24)."""
        named = message.call_id if isinstance(message, Hangup) else None
        inner = wire.written(message, self._setting.phase)
        envelope = FederatedSignalForward(
            inner=cast("JsonObject", inner), origin_relay_fp=self.origin, call_id=named
        )
        return Send(link.session, envelope, receipt)

    def due(self, peer: Peer, now: float) -> list[Effect]:
        """Dial a peer after its rest; the tick that follows a loss begins the rest (FED-8)."""
        if peer in self._to:
            return []
        if peer not in self._resting:
            rest = self._rest.get(peer, FIRST_REST)
            self._rest[peer] = min(2 * rest, LONGEST_REST)
            self._resting.add(peer)
            self._timers.set(peer, now + rest)
            return []
        self._resting.discard(peer)
        return [Dial(self._setting.peers.index(peer), peer.address, SERVER_NAME)]

    def adopt(self, peers: tuple[Peer, ...]) -> list[Effect]:
        """Go on with other peers: part from those that are none any more, dial those that are new.

        A peer that has another label or address than before keeps the link that it has.
        """
        before, self._setting = self._setting.peers, replace(self._setting, peers=peers)
        self._peers = {plain(peer.fingerprint): peer for peer in peers}
        effects: list[Effect] = []
        for old in before:
            if old not in peers:
                effects += self._exchange(old, self._peers.get(plain(old.fingerprint)))
        for peer in peers:
            if peer not in before and not any(link.peer == peer for link in self._of.values()):
                self._want(peer)
        return effects

    def dialled(self, leg: int, session: int | None) -> None:
        """Learn on which session the peer `leg` of the setting is dialled; None where that cannot be."""
        peer = self._setting.peers[leg]
        if session is None:
            self._timers.set(peer, 0.0)
        else:
            self._of[session] = Link(session, peer, dialled=True)

    def connected(self, session: int, fingerprint: str | None, now: float) -> list[Effect]:
        """Take in a link; a peer that was dialled hears our hello if it is the one that was meant (FED-7)."""
        link = self._of.setdefault(session, Link(session))
        if link.peer is None:
            return []
        if plain(fingerprint or "") != plain(link.peer.fingerprint):
            return self._refused(session, f"it shows the fingerprint {fingerprint}")
        return [Send(session, self._hello(link.peer, now))]

    def hello(self, session: int, message: FederationHello, now: float) -> list[Effect]:
        """Take a link up when its hello proves a fingerprint that is trusted (FED-1 to FED-4)."""
        link = self._of[session]
        peer = self._peers.get(plain(message.tls_fingerprint))
        if peer is None or link.peer not in (None, peer):
            return self._refused(session, f"{message.tls_fingerprint} is not trusted here")
        reason = unproven(message, self._own, self._setting.epoch + now)
        better = peer in self._to and self._to[peer].proven
        if reason and (better or message.signature is not None or self._setting.trust is not Trust.OPEN):
            return self._refused(session, reason)
        answer: list[Effect] = [] if link.dialled else [Send(session, self._hello(peer, now))]
        link.peer, link.proven = peer, not reason
        return answer + self._rise(link, peer, now)

    def unanswered(self, session: int, now: float) -> list[Effect]:
        """Give up on a hello, or take its dialled sender for a deployed relay where that is asked for."""
        link = self._of[session]
        if link.dialled and link.peer is not None and self._setting.trust is Trust.OPEN:
            link.proven = False
            return self._rise(link, link.peer, now)
        return [Count("links_refused", "no hello"), Close(session, CloseCode.HELLO_TIMEOUT)]

    def lost(self, session: int) -> Link | None:
        """Forget a session; return its link if it was one."""
        link = self._of.pop(session, None)
        if link is None or link.peer is None:
            return link
        if self._to.get(link.peer) is link:
            del self._to[link.peer]
        wanted = link.peer.address and link.peer in self._setting.peers
        if wanted and link.peer not in self._to and not self.stopped:
            self._timers.set(link.peer, 0.0)
        return link

    def _want(self, peer: Peer) -> None:
        """Dial a peer with an address as soon as the timers tell."""
        if peer.address and not self.stopped:
            self._timers.set(peer, 0.0)
            self._resting.add(peer)

    def _exchange(self, old: Peer, new: Peer | None) -> list[Effect]:
        """Let a peer's links be those of what it is now, or end them where it is no peer any more (FED-1)."""
        self._timers.cancel(old)
        self._resting.discard(old)
        self._rest.pop(old, None)
        up = self._to.pop(old, None)
        theirs = [link for link in self._of.values() if link.peer == old]
        if new is None:
            return [Close(link.session, CloseCode.NOT_TRUSTED, "no peer any more") for link in theirs]
        for link in theirs:
            link.peer = new
        if up is not None:
            self._to[new] = up
        return []

    def _rise(self, link: Link, peer: Peer, now: float) -> list[Effect]:
        """Make a link the only one to its peer (FED-6): the newer or, of two at once, the smaller one's."""
        link.since = now
        self._timers.cancel(link.session)
        older = self._to.get(peer)
        if older is not None:
            crossed = older.dialled != link.dialled and now - older.since < AT_ONCE
            if crossed and link.dialled != (self._own < plain(peer.fingerprint)):
                return [Close(link.session, CloseCode.REPLACED)]
        link.up = True
        self._to[peer] = link
        self._timers.cancel(peer)
        self._resting.discard(peer)
        self._rest.pop(peer, None)
        event = "link.up" if link.proven else "link.unproven"
        up = Log(event, {"peer": link.label, "fingerprint": peer.fingerprint, "dialled": link.dialled})
        # Nothing is handed over to the newer link: its calls end when the older one is lost (FED-34).
        return [up] if older is None else [up, Close(older.session, CloseCode.REPLACED)]

    def _refused(self, session: int, reason: str) -> list[Effect]:
        told = Log("link.refused", {"reason": reason})
        return [told, Count("links_refused", "not trusted"), Close(session, CloseCode.NOT_TRUSTED, reason)]

    def _hello(self, peer: Peer, now: float) -> FederationHello:
        """Return the hello for a peer, with its proof (federation, The proof)."""
        time = int(self._setting.epoch + now)
        return FederationHello(
            tls_fingerprint=self.origin,
            certificate=self._setting.certificate,
            time=time,
            signature=self._key.sign(statement(self._own, plain(peer.fingerprint), time)),
        )
