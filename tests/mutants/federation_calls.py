"""Mutants of spec/federation.md: what is said of calls over a link, and what comes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference.core import messages, privacy
from reference.core.call import ROOM_PREFIX, By, Call, Event, Says, State
from reference.core.calls import Calls
from reference.core.effects import Effect, Log, Send
from reference.core.errors import HangupReason
from reference.core.federation import Federation
from reference.core.links import Link, Links
from reference.core.messages import CallSetup, DirectCallOffer, FederatedSignalForward, Hangup
from reference.core.rooms import Rooms
from reference.core.sessions import Session
from tests.mutants import breaks
from tests.mutants.federation import offered, says

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference.core.messages import Message
    from reference.core.strict_json import JsonObject


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


@breaks("FED-18-silent")
def gives_up_silently() -> None:
    """Tells the relays that were asked nothing when the time of a search is over."""
    honest = Federation.overdue

    def overdue(self: Federation, call: Call) -> list[Effect]:
        searched = call.away is By.CALLEE and call.state is State.PENDING
        asked = [link.session for link in call.links]
        return [
            effect
            for effect in honest(self, call)
            if not (searched and isinstance(effect, Send) and effect.session in asked)
        ]

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


@breaks("FED-20-answers")
def answers_third_relays() -> None:
    """Answers a message for a call that comes over another link than the call's with Hangup{Error}."""
    honest = Federation._of_a_call

    def of_a_call(
        self: Federation, link: Link, inner: Message, call_id: str | None, size: int
    ) -> list[Effect]:
        call = self._calls.registry.get(call_id or "")
        if call is None or link in call.links:
            return honest(self, link, inner, call_id, size)
        return [self._links.forward(link, Hangup(reason=HangupReason.ERROR, call_id=call_id))]

    Federation._of_a_call = of_a_call


@breaks("FED-20-room")
def seats_for_all() -> None:
    """Believes every relay who sits in the room of a call."""
    honest = Rooms.announced

    def announced(self: Rooms, link: Link, name: str, participants: Sequence[JsonObject]) -> list[Effect]:
        call = self._registry.get(name.removeprefix(ROOM_PREFIX))
        own = call.links[0] if call is not None and call.links else link
        return honest(self, own, name, participants)

    Rooms.announced = announced


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


@breaks("FED-21-once")
def rings_once() -> None:
    """Does not answer the repeated offer of a call from a link."""
    honest = Federation._offer

    def offer(
        self: Federation, link: Link, state: Session, offer: DirectCallOffer, now: float, size: int
    ) -> list[Effect]:
        live = self._calls.registry.get(offer.call_id)
        if live is not None and link in live.links:
            return []
        return honest(self, link, state, offer, now, size)

    Federation._offer = offer


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


def setting_up(change: Callable[[Call, CallSetup], None]) -> None:
    """Do something to a call before a CallSetup from its link is handed to the callee."""
    honest = Federation._set_up

    def set_up(self: Federation, call: Call, message: CallSetup) -> list[Effect]:
        kept = call.state, call.set_up, call.trusted
        change(call, message)
        effects = honest(self, call, message)
        call.state, call.trusted = kept[0], kept[2]
        call.set_up = call.set_up and kept[0] is State.ACTIVE
        return effects

    Federation._set_up = set_up


@breaks("FED-23-early")
def sets_up_early() -> None:
    """Hands a CallSetup to a callee that has not accepted."""
    setting_up(lambda call, message: setattr(call, "state", State.ACTIVE))


@breaks("FED-23-twice")
def sets_up_twice() -> None:
    """Hands every CallSetup to the callee."""
    setting_up(lambda call, message: setattr(call, "set_up", False))


@breaks("FED-23-trusted")
def sets_up_with_candidates() -> None:
    """Hands the caller's candidates to a callee that has not asked for them."""
    setting_up(lambda call, message: setattr(call, "trusted", True))


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


@breaks("FED-24-search")
def searches_on() -> None:
    """Tells the relays that were asked nothing when the caller hangs up while its callee is searched for."""
    honest = Calls.move

    def move(self: Calls, call: Call, event: Event, by: By, forwarded: Message | None = None) -> list[Effect]:
        searched = call.away is By.CALLEE and call.state is State.PENDING and event is Event.HANGUP
        asked = [link.session for link in call.links] if searched else []
        effects = honest(self, call, event, by, forwarded)
        return [one for one in effects if not (isinstance(one, Send) and one.session in asked)]

    Calls.move = move


@breaks("FED-24-loss")
def loses_silently() -> None:
    """Sends no Hangup over a link for a party that is lost."""
    telling(Says.NORMAL)


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


@breaks("FED-35")
def takes_namesakes() -> None:
    """Takes whoever has the fingerprint of a party for that party, which may be away."""

    def side(self: Call, of: str) -> By | None:
        if of == self.caller:
            return By.CALLER
        return By.CALLEE if of == self.callee else None

    Call.side = side
