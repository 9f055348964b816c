"""The calls of a relay (spec/call.md): one method a message; who may say it, and what follows.

What a message does to a call stands in the table of `core/call.py`; a message from anybody that the table
does not name changes nothing and is answered with nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import privacy
from reference.core.call import By, Call, Event, Receipt, Says, State, tag_of
from reference.core.effects import Count, Effect, Log, Send
from reference.core.errors import HangupReason
from reference.core.messages import AcceptMode, DirectCallAnswer, Hangup
from reference.core.privacy import NOTHING
from reference.core.registry import Registry
from reference.core.rooms import Rooms
from reference.core.sessions import SMALL_MESSAGE, Session, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.draining import Draining
    from reference.core.links import Link, Links
    from reference.core.messages import DirectCallOffer, MediaPathReport, Message
    from reference.core.registration import Presence
    from reference.core.sessions import Deadlines


class Calls:
    """All live calls of one relay, their deadlines and their rooms."""

    def __init__(
        self,
        setting: Setting,
        presence: Presence,
        timers: Deadlines,
        ephemeral: Callable[[], bytes],
        links: Links,
    ) -> None:
        """Reach the parties through `presence` or `links`; put ring time-outs into `timers`."""
        self.setting = setting
        self.presence = presence
        self.timers = timers
        self.links = links
        self.registry = Registry()
        self.waiting: dict[int, int] = {}  # offers that have not left towards a session yet
        self.rooms = Rooms(setting.identity, self.registry, ephemeral)
        self.draining: Draining | None = None

    def direct_call_offer(
        self, session: int, sender: str, state: Session, message: DirectCallOffer, now: float, size: int
    ) -> list[Effect]:
        """Place a call, ring again for one that rings, or refuse (CALL-1, CALL-2, CALL-5, CALL-6, CALL-7).

        The caller's candidates stay with the call until it is accepted (PRIV-1, PRIV-7); those of a repeated
        offer change nothing.
        """
        reason = self.refusal(sender, state, message, now, size)
        if reason is not None:
            refused = Hangup(reason=reason, call_id=message.call_id)  # CALL-43
            return [Send(session, refused), Count("offers_refused", reason)]
        live = self.registry.get(message.call_id)
        if live is not None:
            repeated = (live.caller, live.callee) == (sender, message.target_fingerprint)
            return self.move(live, Event.OFFER, By.CALLER) if repeated else [Count("ignored", Event.OFFER)]
        offer = privacy.offer_for_callee(replace(message, caller_fingerprint=sender))
        call = Call(message.call_id, sender, message.target_fingerprint, offer)
        call.advertised = privacy.by_caller(message)
        here = self.presence.session(call.callee) is not None
        self.begin(call, None if here else By.CALLEE, [] if here else list(self.links), now)
        return self.move(call, Event.OFFER, By.CALLER)

    def begin(self, call: Call, away: By | None, links: list[Link], now: float) -> None:
        """Keep a new call; one whose callee has to be searched for has less time at first (FED-18)."""
        call.away, call.links, call.ring_by = away, links, now + self.setting.limits.ring_timeout
        self.registry.add(call)
        call.tag = tag_of(call.room) if links else b""
        for link in links:
            link.calls[call.call_id] = call
        searched = min(now + self.setting.limits.search_timeout, call.ring_by)
        self.timers.set(call, searched if away is By.CALLEE else call.ring_by)

    def refusal(
        self, sender: str, state: Session, message: DirectCallOffer, now: float, size: int
    ) -> HangupReason | None:
        """Return why an offer is refused, or None; the first row that applies decides (call, Refusals).

        CALL-10: nobody there. CALL-11: oneself. CALL-12, CALL-13: the call_id of others. CALL-14: size.
        CALL-15, CALL-16, CALL-42: limits. A call_id is free again when its call has ended (CALL-17).
        """
        target = message.target_fingerprint
        live = self.registry.get(message.call_id)
        if live is not None and live.side(sender):  # a Hangup would end the call that is live (CALL-40)
            return None
        if self.draining is not None:
            return HangupReason.ERROR  # ERR-7
        if not state.may_offer(now):
            return HangupReason.BUSY
        if size > SMALL_MESSAGE or target == sender or live is not None:
            return HangupReason.ERROR
        there = self.presence.session(target)
        if there is None and not self.links:  # FED-13
            return HangupReason.ERROR
        return HangupReason.BUSY if self.crowded(sender, target, there) else None

    def crowded(self, sender: str, target: str, there: int | None) -> bool:
        """Tell whether a party has as many calls, or offers on their way to it, as it may have."""
        waiting = 0 if there is None else self.waiting.get(there, 0)
        calls = max(self.registry.count(sender), self.registry.count(target))
        return max(calls, waiting) >= self.setting.limits.calls

    def direct_call_answer(self, sender: str, message: DirectCallAnswer, size: int) -> list[Effect]:
        """Accept or reject a call, if it is the callee who says so (CALL-18 to CALL-29).

        The caller (CALL-23) and a second answer (CALL-25) have no row in the table; a third party
        (CALL-24, SEC-1), an unknown call (CALL-26) and a large answer (CALL-27) end here, in silence.
        Who answers is the connection's registrant, whatever the body says (SEC-3).
        """
        if size > SMALL_MESSAGE:
            return [Count("ignored", "DirectCallAnswer")]
        event = Event.REJECT if message.accept_mode is AcceptMode.REJECT else Event.ACCEPT
        return self._named(sender, message.call_id, event, message)

    def hangup(self, sender: str, message: Hangup, size: int) -> list[Effect]:
        """End the call that is named, or every call of the sender when none is (CALL-30, CALL-32, CALL-44).

        The call of others (CALL-33), one that is not live (CALL-45) and a large Hangup (CALL-41) end here.
        """
        if size > SMALL_MESSAGE:
            return [Count("ignored", "Hangup")]
        if message.call_id is None:
            return self._each(sender, Event.HANGUP, message)
        return self._named(sender, message.call_id, Event.HANGUP, message)

    def media_path_report(self, sender: str, message: MediaPathReport, size: int) -> list[Effect]:
        """Hand a party's report on to the other one while the call is Active (AGREE-1, AGREE-3).

        That of a third party (AGREE-2), a large one (AGREE-4) and a second one (AGREE-17) end here.
        """
        call = self.registry.get(message.call_id)
        side = call.side(sender) if call else None
        if call is None or side is None or size > SMALL_MESSAGE:
            return [Count("ignored", "MediaPathReport")]
        return self.report(call, side, message)

    def report(self, call: Call, side: By, message: MediaPathReport) -> list[Effect]:
        """Pass on a party's report, wherever that party is."""
        if side in call.reported:
            return [Count("ignored", "MediaPathReport")]
        if call.state is State.ACTIVE:
            call.reported.add(side)
        return self.move(call, Event.REPORT, side, message)

    def registered(self, fingerprint: str) -> list[Effect]:
        """Ring again on the new connection of a callee (CALL-8)."""
        return self._each(fingerprint, Event.REGISTRATION)

    def unreachable(self, fingerprint: str) -> list[Effect]:
        """End the calls of a party whose newest connection is gone (CALL-34)."""
        return self._each(fingerprint, Event.LOSS)

    def flushed(self, receipt: object) -> list[Effect]:
        """Note that an offer has left towards the callee; the receipt names its call (CALL-3, CALL-4)."""
        if not isinstance(receipt, Receipt):
            return []
        if self.waiting.get(receipt.session, 0) > 1:
            self.waiting[receipt.session] -= 1
        else:
            self.waiting.pop(receipt.session, None)
        call = receipt.call
        if call.away is By.CALLEE and all(link.session != receipt.session for link in call.links):
            return []  # the relay that it went to is asked no more
        return self.move(call, Event.FLUSHED, By.RELAY) if self.registry.get(call.call_id) is call else []

    def lost(self, session: int) -> None:
        """Forget what was on its way to a session that has ended."""
        self.waiting.pop(session, None)

    def shutdown(self) -> list[Effect]:
        """End every call because the relay stops (ERR-5)."""
        return [effect for call in self.registry for effect in self.move(call, Event.SHUTDOWN, By.RELAY)]

    def move(self, call: Call, event: Event, by: By, forwarded: Message | None = None) -> list[Effect]:
        """Move a call by its table and say what the row says; without a row nothing happens."""
        before = call.state
        row = call.move(event, by)
        if row is None:
            return [Count("ignored", event)]
        told = Log(f"call.{event}", {"call_id": call.call_id, "state": row.to})
        effects: list[Effect] = [] if row.to is before else [told]  # a repeated offer fills no log
        effects += self._tell(call, By.CALLER, call.caller, row.caller, forwarded)
        effects += self._tell(call, By.CALLEE, call.callee, row.callee, forwarded)
        if row.to is State.RINGING:
            self.timers.set(call, call.ring_by)
        if isinstance(forwarded, DirectCallAnswer) and row.to is State.ACTIVE:
            self.timers.cancel(call)
            call.trusted = forwarded.accept_mode is AcceptMode.ACCEPT_TRUSTED
            call.offer, call.advertised = None, NOTHING  # nobody is sent them again, and they may be large
            for link in call.links:
                link.rooms[call.tag] = call
        if row.to is State.ENDED:
            self._forget(call)
            effects += self.rooms.close(call.call_id)
            effects += self.draining.ended(call) if self.draining is not None else []
        return effects

    def _forget(self, call: Call) -> None:
        self.timers.cancel(call)
        self.registry.remove(call)
        for link in call.links:
            del link.calls[call.call_id]
            link.rooms.pop(call.tag, None)

    def _each(self, fingerprint: str, event: Event, forwarded: Message | None = None) -> list[Effect]:
        effects: list[Effect] = []
        for call in self.registry.of(fingerprint):
            side = call.side(fingerprint)
            if side is not None:
                effects += self.move(call, event, side, forwarded)
        return effects

    def _named(self, sender: str, call_id: str, event: Event, forwarded: Message) -> list[Effect]:
        call = self.registry.get(call_id)
        side = call.side(sender) if call else None
        if call is None or side is None:
            return [Count("ignored", type(forwarded).__name__)]
        return self.move(call, event, side, forwarded)

    def _tell(
        self, call: Call, to: By, party: str, words: tuple[Says, ...], forwarded: Message | None
    ) -> list[Effect]:
        """Say the words of a row to a party, here or through the relays where it may be."""
        words = tuple(says for says in words if not call.held_back(says, to))
        if to is call.away:
            spoken = {says: call.spoken(says, to, forwarded, self.setting.relay_addr) for says in words}
            return [self.links.say(link, call, one) for one in spoken.values() for link in call.links]
        session = self.presence.session(party)
        return [] if session is None else [self._say(session, call, says, to, forwarded) for says in words]

    def _say(self, session: int, call: Call, says: Says, to: By, forwarded: Message | None) -> Send:
        spoken = call.spoken(says, to, forwarded, self.setting.relay_addr)
        if says is not Says.OFFER:
            return Send(session, spoken)
        self.waiting[session] = self.waiting.get(session, 0) + 1
        return Send(session, spoken, receipt=Receipt(call, session))
