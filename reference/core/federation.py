"""Federation (spec/federation.md): what another relay says over a link, and what becomes of it.

The two relays of a call each move it by the table of `core/call.py`. The party that is away speaks through
its relay: what comes over the link that the call goes over is that party's word, and no other link's is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import messages, privacy, wire
from reference.core.call import By, Call, Event, State
from reference.core.effects import Count, Effect, Log, Send, ignored
from reference.core.errors import BadMessage, HangupReason
from reference.core.links import Link
from reference.core.messages import AcceptMode, Hangup
from reference.core.proof import plain
from reference.core.sessions import SMALL_MESSAGE

if TYPE_CHECKING:
    from reference.core.calls import Calls
    from reference.core.links import Links
    from reference.core.messages import Message
    from reference.core.sessions import Session, Setting

ENVELOPE = 1024
"""Bytes that an envelope may have beyond the message that it carries (FED-15)."""


class Federation:
    """The other relays' side of a relay's calls."""

    def __init__(self, setting: Setting, links: Links, calls: Calls) -> None:
        """Move `calls` as the relays at the other ends of `links` say."""
        self._setting = setting
        self._links = links
        self._calls = calls

    def receive(self, session: int, state: Session, message: Message, now: float, size: int) -> list[Effect]:
        """Handle a message that came over a link; before the hello nothing else counts (FED-5)."""
        link = self._links.get(session)
        if link is None or not link.up:
            if link is not None and isinstance(message, messages.FederationHello):
                return self._links.hello(session, message, now)
            return ignored(message)
        rooms = self._calls.rooms
        match message:
            case messages.Ping():
                return [Send(session, messages.Pong(timestamp_ms=message.timestamp_ms))]  # FED-9
            case messages.FederatedSignalForward():
                return self._forwarded(link, state, message, now, size)
            case messages.GlobalRoomActive():
                return rooms.announced(link, message.room, message.participants)
            case messages.GlobalRoomInactive():
                return rooms.announced(link, message.room, ())
        return ignored(message)

    def lost(self, session: int) -> list[Effect]:
        """End the calls that go over a link that has ended, each for the party that is here (FED-26)."""
        link = self._links.lost(session)
        if link is None or not link.up:
            return []
        effects: list[Effect] = [Log("link.down", {"peer": link.label, "calls": len(link.calls)})]
        for call in list(link.calls.values()):
            call.links.remove(link)
            if call.links:  # another one may still have the callee
                continue
            if call.away is By.CALLEE and call.state is State.PENDING:
                effects += self.nowhere(call)
            elif call.away is not None:
                effects += self._calls.move(call, Event.LOSS, call.away)
        return effects

    def overdue(self, call: Call) -> list[Effect]:
        """End a call that nobody answered, or whose callee no relay has found (CALL-9, FED-18)."""
        if call.away is not By.CALLEE or call.state is not State.PENDING:
            return self._calls.move(call, Event.TIMEOUT, By.RELAY)
        over = Hangup(reason=HangupReason.NORMAL, call_id=call.call_id)
        told: list[Effect] = [self._links.forward(link, over) for link in call.links]
        return told + self.nowhere(call)

    def nowhere(self, call: Call) -> list[Effect]:
        """Tell the caller that its callee is at no relay that could be asked (FED-17)."""
        return self._calls.move(call, Event.HANGUP, By.CALLEE, Hangup(reason=HangupReason.ERROR))

    def _forwarded(
        self,
        link: Link,
        state: Session,
        message: messages.FederatedSignalForward,
        now: float,
        size: int,
    ) -> list[Effect]:
        """Read what an envelope carries; a bad one costs nothing but itself (FED-10, FED-11, FED-12)."""
        if link.peer is None or plain(message.origin_relay_fp) != plain(link.peer.fingerprint):
            return [Count("ignored", "origin")]
        try:
            inner = wire.read(message.inner, self._setting.phase)
        except BadMessage as fault:
            return [Count("bad_forwarded", type(fault).__name__)]
        match inner:
            case messages.DirectCallOffer():
                return self._offer(link, state, inner, now, size)
            case messages.Hangup():
                return self._of_a_call(link, inner, inner.call_id or message.call_id, size)
            case (
                messages.CallRinging()
                | messages.DirectCallAnswer()
                | messages.CallSetup()
                | messages.MediaPathReport()
            ):
                return self._of_a_call(link, inner, inner.call_id, size)
        return ignored(inner)

    def _offer(
        self, link: Link, state: Session, offer: messages.DirectCallOffer, now: float, size: int
    ) -> list[Effect]:
        """Ring the callee, who has to be here: an offer is never passed on (FED-13 to FED-16)."""
        live = self._calls.registry.get(offer.call_id)
        if live is not None and live.away is By.CALLER and link in live.links:
            return self._calls.move(live, Event.OFFER, By.CALLER)
        reason = self._refusal(state, offer, live, now, size)
        if reason is not None:
            refused = Hangup(reason=reason, call_id=offer.call_id)
            return [self._links.forward(link, refused), Count("offers_refused", reason)]
        fit = privacy.offer_for_callee(offer)
        call = Call(offer.call_id, offer.caller_fingerprint, offer.target_fingerprint, fit)
        call.advertised = privacy.by_caller(offer)
        self._calls.begin(call, By.CALLER, [link], now)
        return self._calls.move(call, Event.OFFER, By.CALLER)

    def _refusal(
        self, state: Session, offer: messages.DirectCallOffer, live: Call | None, now: float, size: int
    ) -> HangupReason | None:
        """Return why an offer from a link is refused, or None; the rows are those of one's own clients."""
        target = offer.target_fingerprint
        if self._calls.draining is not None:
            return HangupReason.ERROR  # ERR-7
        if not state.may_offer(now):
            return HangupReason.BUSY
        large = size > SMALL_MESSAGE + ENVELOPE
        if large or live is not None or target == offer.caller_fingerprint:
            return HangupReason.ERROR
        there = self._calls.presence.session(target)
        if there is None:
            return HangupReason.ERROR
        return HangupReason.BUSY if self._calls.crowded(target, there) else None

    def _of_a_call(self, link: Link, inner: Message, call_id: str | None, size: int) -> list[Effect]:
        """Take the word of the party that is away, from its relay alone (FED-20, FED-27)."""
        call = self._calls.registry.get(call_id) if call_id is not None else None
        if call is None and call_id is not None and not isinstance(inner, Hangup):
            unknown = Hangup(reason=HangupReason.ERROR, call_id=call_id)
            return [self._links.forward(link, unknown)]
        if call is None or link not in call.links or size > SMALL_MESSAGE + ENVELOPE:
            return ignored(inner)
        match inner, call.away:
            case messages.CallRinging(), By.CALLEE:
                return self._found(call, link) + self._calls.move(call, Event.FLUSHED, By.RELAY)
            case messages.DirectCallAnswer(), By.CALLEE:
                event = Event.REJECT if inner.accept_mode is AcceptMode.REJECT else Event.ACCEPT
                return self._found(call, link) + self._calls.move(call, event, By.CALLEE, inner)
            case messages.CallSetup(), By.CALLER:
                return self._set_up(call, inner)
            case messages.MediaPathReport(), (By.CALLER | By.CALLEE) as side:
                return self._calls.report(call, side, inner)
            case Hangup(), (By.CALLER | By.CALLEE) as side:
                return self._hangup(call, link, side, replace(inner, call_id=call.call_id))
        return ignored(inner)

    def _found(self, call: Call, link: Link) -> list[Effect]:
        """Keep to the link that has the callee; the others need not ring any more (FED-19)."""
        others = [other for other in call.links if other is not link]
        over = Hangup(reason=HangupReason.NORMAL, call_id=call.call_id)
        for other in others:
            call.links.remove(other)
            del other.calls[call.call_id]
        return [self._links.forward(other, over) for other in others]

    def _hangup(self, call: Call, link: Link, side: By, message: Hangup) -> list[Effect]:
        """End a call; while several relays are asked, one that does not have the callee is one less."""
        if len(call.links) > 1:
            call.links.remove(link)
            del link.calls[call.call_id]
            return [Count("not_there")]
        return self._calls.move(call, Event.HANGUP, side, message)

    def _set_up(self, call: Call, message: messages.CallSetup) -> list[Effect]:
        """Hand the caller's side to the callee, once, with our own address (FED-22, FED-23)."""
        session = self._calls.presence.session(call.callee)
        if call.set_up or session is None or call.state is not State.ACTIVE or not call.links[0].proven:
            return ignored(message)
        call.set_up = True
        told = privacy.setup_for_callee(message, trusted=call.trusted)
        return [Send(session, replace(told, relay_addr=self._setting.relay_addr, room=call.room))]
