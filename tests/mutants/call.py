"""Mutants of spec/call.md and spec/security.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference.core import calls as callings
from reference.core.call import TRANSITIONS, By, Call, Event, Row, Says, State
from reference.core.calls import Calls
from reference.core.effects import Effect, Send
from reference.core.errors import HangupReason
from reference.core.messages import CallSetup, DirectCallAnswer, DirectCallOffer, Hangup, Message
from reference.core.registration import fingerprint
from reference.core.registry import Registry
from reference.core.sessions import Session
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable


def row(state: State | None, event: Event, by: By, **changed: Any) -> None:
    """Change a row of the table."""
    TRANSITIONS[state, event, by] = TRANSITIONS[state, event, by]._replace(**changed)


def rows(event: Event, by: By, **changed: Any) -> None:
    """Change every row of this event by this side."""
    for state, what, who in list(TRANSITIONS):
        if (what, who) == (event, by):
            row(state, event, by, **changed)


def refusing(
    change: Callable[[HangupReason | None, str, DirectCallOffer, Calls, int], HangupReason | None],
) -> None:
    """Change which offers are refused: from reason, sender, offer, calls and size."""
    honest = Calls.refusal

    def refusal(
        self: Calls, sender: str, state: Session, message: DirectCallOffer, now: float, size: int
    ) -> HangupReason | None:
        reason = honest(self, sender, state, message, now, size)
        return change(reason, sender, message, self, size)

    Calls.refusal = refusal


def instead_of_refusing(holds: Callable[[str, DirectCallOffer, Calls], bool]) -> None:
    """Say nothing where the refusal of an offer for which this holds would be Hangup{Error}."""
    honest = Calls.direct_call_offer

    def offer(
        self: Calls, session: int, sender: str, state: Session, message: DirectCallOffer, *others: Any
    ) -> list[Effect]:
        silent = holds(sender, message, self)
        effects = honest(self, session, sender, state, message, *others)
        error = Send(session, Hangup(reason=HangupReason.ERROR, call_id=message.call_id))
        return [effect for effect in effects if not (silent and effect == error)]

    Calls.direct_call_offer = offer


@breaks("CALL-1", "CALL-15", "CALL-TABLE")
def everybody_rings() -> None:
    """Sends the offer to one more registered client."""
    honest = Calls.move

    def move(self: Calls, call: Call, event: Event, by: By, forwarded: Message | None = None) -> list[Effect]:
        effects = honest(self, call, event, by, forwarded)
        if event is Event.OFFER and call.state is State.PENDING:
            parties = {call.caller, call.callee}
            others = [it for who, it in self.presence._sessions.items() if who not in parties]
            effects += [Send(other, call.offer) for other in others[-1:] if call.offer is not None]
        return effects

    Calls.move = move


@breaks("CALL-2")
def any_name() -> None:
    """Forwards the caller's fingerprint as the caller wrote it."""
    callings.replace = lambda message, **_: message


@breaks("CALL-3", "FED-17", "FED-18")
def rings_at_once() -> None:
    """Sends CallRinging together with the offer."""
    row(None, Event.OFFER, By.CALLER, to=State.RINGING, caller=(Says.RINGING,))


@breaks("CALL-4", "CALL-TABLE")
def never_rings() -> None:
    """Sends no CallRinging when the offer has left."""
    row(State.PENDING, Event.FLUSHED, By.RELAY, caller=())


@breaks("CALL-5", "CALL-TABLE")
def rings_once() -> None:
    """Does not answer a repeated offer."""
    row(State.RINGING, Event.OFFER, By.CALLER, caller=())


@breaks("CALL-6", "CALL-TABLE")
def rings_twice() -> None:
    """Sends a repeated offer to the callee again."""
    row(State.RINGING, Event.OFFER, By.CALLER, callee=(Says.OFFER,))


@breaks("CALL-7", "CALL-TABLE")
def rings_when_active() -> None:
    """Answers the repeated offer of an Active call with CallRinging."""
    TRANSITIONS[State.ACTIVE, Event.OFFER, By.CALLER] = Row(State.ACTIVE, (Says.RINGING,))


@breaks("CALL-8", "CALL-TABLE")
def silent_return() -> None:
    """Does not ring on the new connection of a callee."""
    rows(Event.REGISTRATION, By.CALLEE, callee=())


@breaks("CALL-9", "CALL-TABLE")
def rings_on() -> None:
    """Ends an unanswered call without telling the callee."""
    rows(Event.TIMEOUT, By.RELAY, callee=())


@breaks("CALL-10")
def nobody_there() -> None:
    """Says nothing when the target is not registered."""
    instead_of_refusing(
        lambda sender, message, calls: calls.presence.session(message.target_fingerprint) is None
    )


@breaks("CALL-11")
def self_call() -> None:
    """Places a call to oneself."""
    refusing(
        lambda reason, sender, message, calls, size: (
            None if message.target_fingerprint == sender and reason is HangupReason.ERROR else reason
        )
    )


def taken(sender: str, message: DirectCallOffer, calls: Calls) -> bool:
    """Tell whether the call_id is that of a live call of others."""
    live = calls.registry.get(message.call_id)
    return live is not None and live.side(sender) is None


@breaks("CALL-12")
def silent_collision() -> None:
    """Says nothing when a call_id is that of a live call of others."""
    instead_of_refusing(taken)


@breaks("CALL-13")
def takes_over() -> None:
    """Makes the sender of a refused offer the caller of the live call of that call_id."""
    honest = Calls.direct_call_offer

    def offer(
        self: Calls, session: int, sender: str, state: Session, message: DirectCallOffer, *others: Any
    ) -> list[Effect]:
        live = self.registry.get(message.call_id) if taken(sender, message, self) else None
        effects = honest(self, session, sender, state, message, *others)
        if live is not None:
            self.registry.remove(live)
            live.caller = sender
            self.registry.add(live)
        return effects

    Calls.direct_call_offer = offer


@breaks("CALL-14", "CALL-43")
def large_offers() -> None:
    """Takes offers of any size."""
    honest: Any = Calls.direct_call_offer

    def offer(self: Calls, *others: Any) -> list[Effect]:
        effects: list[Effect] = honest(self, *others[:-1], 0)
        return effects

    Calls.direct_call_offer = offer


@breaks("CALL-15")
def any_number_of_calls() -> None:
    """Sets no limit to the live calls of a fingerprint."""
    honest = Calls.refusal

    def refusal(
        self: Calls, sender: str, state: Session, message: DirectCallOffer, now: float, size: int
    ) -> HangupReason | None:
        limit, count = self.registry.count, self.registry
        count.count = lambda _fingerprint: 0
        try:
            return honest(self, sender, state, message, now, size)
        finally:
            count.count = limit

    Calls.refusal = refusal


@breaks("CALL-16")
def any_rate() -> None:
    """Takes offers at any rate."""
    Session.may_offer = lambda _self, _now: True


@breaks("CALL-17")
def remembers() -> None:
    """Refuses the call_id of a call that has ended."""
    ended: set[str] = set()
    honest = Registry.remove

    def remove(self: Registry, call: Call) -> None:
        ended.add(call.call_id)
        honest(self, call)

    Registry.remove = remove
    refusing(
        lambda reason, sender, message, calls, size: (
            HangupReason.ERROR if message.call_id in ended else reason
        )
    )


ACCEPTED = (State.PENDING, State.RINGING)


@breaks("CALL-18", "CALL-19", "CALL-TABLE")
def no_answer() -> None:
    """Sets a call up without forwarding the answer."""
    rows(Event.ACCEPT, By.CALLEE, caller=(Says.SETUP,))


@breaks("CALL-19")
def something_between() -> None:
    """Sends CallRinging between the answer and CallSetup."""
    rows(Event.ACCEPT, By.CALLEE, caller=(Says.ANSWER, Says.RINGING, Says.SETUP))


@breaks("CALL-20", "CALL-21", "CALL-22", "CALL-TABLE")
def callee_waits() -> None:
    """Sends no CallSetup to the callee."""
    rows(Event.ACCEPT, By.CALLEE, callee=())


def with_setup(change: Callable[[CallSetup, Call], CallSetup]) -> None:
    """Change every CallSetup."""
    honest = Call.spoken

    def spoken(self: Call, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        message = honest(self, says, to, forwarded, relay_addr)
        return change(message, self) if isinstance(message, CallSetup) else message

    Call.spoken = spoken


@breaks("CALL-21")
def other_room() -> None:
    """Names the room by the call_id alone."""
    with_setup(lambda setup, call: replace(setup, room=call.call_id))


@breaks("CALL-22")
def address_of_the_client() -> None:
    """Derives relay_addr from the client's address, as deployed relays once did."""
    with_setup(lambda setup, call: replace(setup, relay_addr="192.0.2.99:4433"))


@breaks("CALL-23", "CALL-TABLE")
def answers_itself() -> None:
    """Takes the answer of a caller to its own call."""
    for state in ACCEPTED:
        TRANSITIONS[state, Event.ACCEPT, By.CALLER] = TRANSITIONS[state, Event.ACCEPT, By.CALLEE]
        TRANSITIONS[state, Event.REJECT, By.CALLER] = Row(State.ENDED, (), (Says.DECLINED,))


def answering(change: Callable[[Calls, str, DirectCallAnswer, int], tuple[str, int]]) -> None:
    """Change who an answer is from and how large it seems."""
    honest = Calls.direct_call_answer

    def answer(self: Calls, sender: str, message: DirectCallAnswer, size: int) -> list[Effect]:
        sender, size = change(self, sender, message, size)
        return honest(self, sender, message, size)

    Calls.direct_call_answer = answer


@breaks("CALL-24", "CALL-TABLE")
def anybody_answers() -> None:
    """Takes the answer of a third party for the callee's."""

    def change(calls: Calls, sender: str, message: DirectCallAnswer, size: int) -> tuple[str, int]:
        call = calls.registry.get(message.call_id)
        stranger = call is not None and call.side(sender) is None and message.identity_pub is None
        return (call.callee if call is not None and stranger else sender), size

    answering(change)


@breaks("CALL-25", "CALL-TABLE")
def answers_again() -> None:
    """Takes a second answer of the callee."""
    TRANSITIONS[State.ACTIVE, Event.ACCEPT, By.CALLEE] = TRANSITIONS[State.RINGING, Event.ACCEPT, By.CALLEE]
    TRANSITIONS[State.ACTIVE, Event.REJECT, By.CALLEE] = Row(State.ENDED, (Says.DECLINED,))


def replying(holds: Callable[[Calls, str, DirectCallAnswer], bool]) -> None:
    """Reply Hangup{Error} to an answer for which this holds."""
    honest = Calls.direct_call_answer

    def answer(self: Calls, sender: str, message: DirectCallAnswer, size: int) -> list[Effect]:
        session = self.presence.session(sender)
        if session is not None and holds(self, sender, message):
            return [Send(session, Hangup(reason=HangupReason.ERROR, call_id=message.call_id))]
        return honest(self, sender, message, size)

    Calls.direct_call_answer = answer


@breaks("CALL-26", "CALL-TABLE")
def tells_unknown() -> None:
    """Answers Hangup{Error} to an answer for a call that does not exist."""
    replying(lambda calls, sender, message: calls.registry.get(message.call_id) is None)


@breaks("CALL-27")
def large_answers() -> None:
    """Takes answers of any size."""
    answering(lambda calls, sender, message, size: (sender, 0))


@breaks("CALL-40", "CALL-TABLE")
def refuses_its_own() -> None:
    """Refuses an offer with the call_id of a live call of its sender."""

    def change(
        reason: HangupReason | None, sender: str, message: DirectCallOffer, calls: Calls, size: int
    ) -> HangupReason | None:
        live = calls.registry.get(message.call_id)
        repeated = live is not None and (live.caller, live.callee) == (sender, message.target_fingerprint)
        return HangupReason.ERROR if live is not None and not repeated else reason

    refusing(change)


@breaks("CALL-41")
def large_hangups() -> None:
    """Takes hangups of any size."""
    honest = Calls.hangup
    Calls.hangup = lambda self, sender, message, size: honest(self, sender, message, 0)


@breaks("CALL-28", "CALL-TABLE")
def reject_is_normal() -> None:
    """Tells the caller of a rejected call Hangup{Normal}, as deployed relays do."""
    rows(Event.REJECT, By.CALLEE, caller=(Says.NORMAL,))


@breaks("CALL-29", "CALL-TABLE")
def forwards_reject() -> None:
    """Forwards a rejecting answer besides the Hangup."""
    rows(Event.REJECT, By.CALLEE, caller=(Says.ANSWER, Says.DECLINED))


@breaks("CALL-30", "CALL-32", "CALL-TABLE", "WIRE-8", "WIRE-11", "WIRE-12")
def hangup_stops_here() -> None:
    """Ends a call without telling the other party."""
    rows(Event.HANGUP, By.CALLER, callee=())
    rows(Event.HANGUP, By.CALLEE, caller=())


@breaks("CALL-31", "CALL-43", "CALL-TABLE")
def hangup_echoes() -> None:
    """Sends Hangup{Normal} to the party that hung up or rejected, too."""
    rows(Event.HANGUP, By.CALLER, caller=(Says.NORMAL,))
    rows(Event.HANGUP, By.CALLEE, callee=(Says.NORMAL,))
    rows(Event.REJECT, By.CALLEE, callee=(Says.NORMAL,))


@breaks("CALL-32")
def ends_one() -> None:
    """Ends only the oldest call of a party that hangs up."""
    honest = Calls.hangup

    def hangup(self: Calls, sender: str, message: Hangup, size: int) -> list[Effect]:
        every = Registry.of
        Registry.of = lambda registry, who: every(registry, who)[:1]
        try:
            return honest(self, sender, message, size)
        finally:
            Registry.of = every

    Calls.hangup = hangup


@breaks("CALL-33", "CALL-TABLE", "SEC-3")
def anybody_hangs_up() -> None:
    """Ends the call that a third party's Hangup names."""
    honest = Calls.hangup

    def hangup(self: Calls, sender: str, message: Hangup, size: int) -> list[Effect]:
        call = self.registry.get(message.call_id or str(message.rest.get("call_id", "")))
        if call is not None and call.side(sender) is None:
            return self.move(call, Event.HANGUP, By.CALLER, message)
        return honest(self, sender, message, size)

    Calls.hangup = hangup


@breaks("CALL-34", "CALL-TABLE")
def loss_is_silent() -> None:
    """Ends the calls of a lost party without telling the other one."""
    rows(Event.LOSS, By.CALLER, callee=())
    rows(Event.LOSS, By.CALLEE, caller=())


@breaks("SEC-1", "CALL-24", "CALL-TABLE")
def tells_strangers() -> None:
    """Answers Hangup{Error} to a third party's answer."""

    def stranger(calls: Calls, sender: str, message: DirectCallAnswer) -> bool:
        call = calls.registry.get(message.call_id)
        return call is not None and call.side(sender) is None

    replying(stranger)


@breaks("SEC-3")
def believes_the_body() -> None:
    """Takes an answer for that of the key in its body."""

    def change(calls: Calls, sender: str, message: DirectCallAnswer, size: int) -> tuple[str, int]:
        del calls
        return (fingerprint(message.identity_pub) if message.identity_pub else sender), size

    answering(change)


@breaks("CALL-42")
def any_number_on_the_way() -> None:
    """Sets no limit to the offers that are still on their way to somebody."""
    honest = Calls._say

    def say(self: Calls, session: int, call: Call, says: Says, to: By, forwarded: Message | None) -> Send:
        effect = honest(self, session, call, says, to, forwarded)
        self.waiting.clear()
        return effect

    Calls._say = say


@breaks("CALL-43", "FED-24")
def names_no_call() -> None:
    """Names no call in the Hangups that it sends, and adds none to those that it forwards."""
    honest_spoken, honest_offer = Call.spoken, Calls.direct_call_offer

    def spoken(self: Call, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        message = honest_spoken(self, says, to, forwarded, relay_addr)
        named = isinstance(forwarded, Hangup) and forwarded.call_id is not None
        return replace(message, call_id=None) if isinstance(message, Hangup) and not named else message

    def offer(self: Calls, *arguments: Any) -> list[Effect]:
        return [
            Send(effect.session, replace(effect.message, call_id=None), effect.receipt)
            if isinstance(effect, Send) and isinstance(effect.message, Hangup)
            else effect
            for effect in honest_offer(self, *arguments)
        ]

    Call.spoken = spoken
    Calls.direct_call_offer = offer


def forgetting_the_name(holds: Callable[[Calls, str, str], bool]) -> None:
    """Take a Hangup for one without a call_id when this holds of its sender and its call_id."""
    honest = Calls.hangup

    def hangup(self: Calls, sender: str, message: Hangup, size: int) -> list[Effect]:
        if message.call_id is not None and holds(self, sender, message.call_id):
            return honest(self, sender, replace(message, call_id=None), size)
        return honest(self, sender, message, size)

    Calls.hangup = hangup


def is_party(calls: Calls, sender: str, call_id: str) -> bool:
    """Tell whether somebody is a party of the live call of this call_id."""
    call = calls.registry.get(call_id)
    return call is not None and call.side(sender) is not None


@breaks("CALL-44")
def ends_the_others_too() -> None:
    """Ends every call of a party that hangs up on one."""
    forgetting_the_name(is_party)


@breaks("CALL-45")
def ends_something() -> None:
    """Ends every call of a client whose Hangup names none of them."""
    forgetting_the_name(lambda calls, sender, call_id: not is_party(calls, sender, call_id))
