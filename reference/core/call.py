"""One call (spec/call.md): its states, its events, and the table that joins them.

`TRANSITIONS` is the table of the chapter, row by row; a test holds the two against each other.
It does not know who is who: `By` says which side an event came from, and a row says what each side hears.
What is not in the table changes nothing and sends nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from reference.core import privacy
from reference.core.errors import HangupReason, Misuse
from reference.core.messages import CallRinging, CallSetup, DirectCallAnswer, Hangup, MediaPathReport
from reference.core.privacy import NOTHING, Advertised

if TYPE_CHECKING:
    from reference.core.links import Link
    from reference.core.messages import DirectCallOffer, Message
    from reference.core.strict_json import JsonObject


class State(StrEnum):
    """Where a call stands."""

    PENDING = "Pending"
    RINGING = "Ringing"
    ACTIVE = "Active"
    ENDED = "Ended"


class Event(StrEnum):
    """What moves a call."""

    OFFER = "offer"
    FLUSHED = "flushed"
    REGISTRATION = "registration"
    ACCEPT = "accept"
    REJECT = "reject"
    TIMEOUT = "timeout"
    HANGUP = "hangup"
    LOSS = "loss"
    REPORT = "report"
    SHUTDOWN = "shutdown"


class By(StrEnum):
    """Who moves it; a third party has no verbs and so no name here."""

    CALLER = "caller"
    CALLEE = "callee"
    RELAY = "relay"


class Says(StrEnum):
    """What a party hears of it, as the table writes it."""

    OFFER = "DirectCallOffer"
    RINGING = "CallRinging"
    ANSWER = "DirectCallAnswer"
    SETUP = "CallSetup"
    REPORT = "MediaPathReport"
    HANGUP = "Hangup"
    DECLINED = "Hangup{Declined}"
    TIMEOUT = "Hangup{Timeout}"
    NORMAL = "Hangup{Normal}"
    ERROR = "Hangup{Error}"


HANGUPS = {
    Says.DECLINED: HangupReason.DECLINED,
    Says.TIMEOUT: HangupReason.TIMEOUT,
    Says.NORMAL: HangupReason.NORMAL,
    Says.ERROR: HangupReason.ERROR,
}


class Row(NamedTuple):
    """The rest of a row: the next state and what the two parties hear, in order."""

    to: State
    caller: tuple[Says, ...] = ()
    callee: tuple[Says, ...] = ()


UNANSWERED = (State.PENDING, State.RINGING)
LIVE = (*UNANSWERED, State.ACTIVE)

# The answer, the caller's setup right behind it, and the callee's (CALL-18, CALL-19, CALL-20).
_ACCEPTED = Row(State.ACTIVE, (Says.ANSWER, Says.SETUP), (Says.SETUP,))

TRANSITIONS: dict[tuple[State | None, Event, By], Row] = {
    (None, Event.OFFER, By.CALLER): Row(State.PENDING, (), (Says.OFFER,)),
    (State.PENDING, Event.FLUSHED, By.RELAY): Row(State.RINGING, (Says.RINGING,)),
    (State.RINGING, Event.OFFER, By.CALLER): Row(State.RINGING, (Says.RINGING,)),  # CALL-5, CALL-6
    **{(state, Event.REGISTRATION, By.CALLEE): Row(state, (), (Says.OFFER,)) for state in UNANSWERED},
    **{(state, Event.ACCEPT, By.CALLEE): _ACCEPTED for state in UNANSWERED},
    # Told once, to the other side only, and the answer itself stays here (CALL-28, CALL-29, CALL-31).
    **{(state, Event.REJECT, By.CALLEE): Row(State.ENDED, (Says.DECLINED,)) for state in UNANSWERED},
    **{  # CALL-9
        (state, Event.TIMEOUT, By.RELAY): Row(State.ENDED, (Says.TIMEOUT,), (Says.TIMEOUT,))
        for state in UNANSWERED
    },
    **{(state, Event.HANGUP, By.CALLER): Row(State.ENDED, (), (Says.HANGUP,)) for state in LIVE},
    **{(state, Event.HANGUP, By.CALLEE): Row(State.ENDED, (Says.HANGUP,)) for state in LIVE},
    **{(state, Event.LOSS, By.CALLER): Row(State.ENDED, (), (Says.NORMAL,)) for state in LIVE},
    **{(state, Event.LOSS, By.CALLEE): Row(State.ENDED, (Says.NORMAL,)) for state in LIVE},
    (State.ACTIVE, Event.REPORT, By.CALLER): Row(State.ACTIVE, (), (Says.REPORT,)),  # AGREE-1, AGREE-3
    (State.ACTIVE, Event.REPORT, By.CALLEE): Row(State.ACTIVE, (Says.REPORT,)),
    **{(state, Event.SHUTDOWN, By.RELAY): Row(State.ENDED, (Says.ERROR,), (Says.ERROR,)) for state in LIVE},
}


@dataclass(slots=True, eq=False)
class Call:
    """One live call: two fingerprints, the offer as it is forwarded, and where it stands.

    `advertised` is what the caller told of itself for this call and no other (PRIV-7).
    `away` is the party at another relay, if one is, and `links` are the ways on which it may be found; of
    several the first that rings is the only one from then on (federation, Calls).
    Calls compare by identity, so that a late receipt for an ended call is not one for its successor.
    """

    call_id: str
    caller: str
    callee: str
    offer: DirectCallOffer | None
    state: State | None = None
    advertised: Advertised = NOTHING
    reported: set[By] = field(default_factory=set)
    ring_by: float = 0.0
    away: By | None = None
    links: list[Link] = field(default_factory=list)
    tag: bytes = b""  # what stands in front of its media on a link
    seated: JsonObject | None = None  # the other relay's participant, as it announced it
    trusted: bool = False  # the callee has answered AcceptTrusted
    set_up: bool = False  # the callee's CallSetup has come from the other relay

    @property
    def room(self) -> str:
        """Return the name of the media room (CALL-21)."""
        return room_name(self.call_id)

    def side(self, of: str) -> By | None:
        """Return which party the fingerprint `of` is at this relay; who is away is nobody here (FED-35)."""
        if of == self.caller and self.away is not By.CALLER:
            return By.CALLER
        return By.CALLEE if of == self.callee and self.away is not By.CALLEE else None

    def move(self, event: Event, by: By) -> Row | None:
        """Go to the next state and return the row, or None when the table has no such row."""
        row = TRANSITIONS.get((self.state, event, by))
        if row is not None:
            self.state = row.to
        return row

    def held_back(self, says: Says, to: By) -> bool:
        """Tell whether a setup is for the other relay to send: each sets its own client up (FED-22)."""
        if says is not Says.SETUP or self.away is None:
            return False
        if self.away is By.CALLEE:  # a deployed relay sets its callee up by itself
            return to is By.CALLEE and not self.links[0].proven
        return to is By.CALLER or self.links[0].proven

    def spoken(self, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        """Return the message that a word of the table stands for when it is said `to` a party.

        `forwarded` is the answer, hangup or report that moved the call; raises Misuse when there is none to
        forward. Every Hangup names this call (CALL-43).
        """
        if says in HANGUPS:
            return Hangup(reason=HANGUPS[says], call_id=self.call_id)
        match says, forwarded:
            case Says.OFFER, _ if self.offer is not None:
                return self.offer
            case Says.RINGING, _:
                return CallRinging(call_id=self.call_id)
            case Says.SETUP, DirectCallAnswer():
                return self._setup(to, forwarded, relay_addr)
            case Says.ANSWER, DirectCallAnswer():
                return privacy.answer_for_caller(forwarded)
            case Says.HANGUP, Hangup():
                return replace(forwarded, call_id=self.call_id)
            case Says.REPORT, MediaPathReport():
                return forwarded
        raise Misuse(f"{says} is forwarded, and there is nothing to forward")

    def _setup(self, to: By, answer: DirectCallAnswer, relay_addr: str) -> CallSetup:
        """Return the CallSetup of a party, with what it may know of the other one.

        The caller is told of the callee (CAND-1, CAND-4), the callee of the caller (CAND-2, CAND-5).
        """
        caller, callee = privacy.exchanged(self.advertised, answer)
        other = callee if to is By.CALLER else caller
        return CallSetup(
            call_id=self.call_id,
            room=self.room,
            relay_addr=relay_addr,
            peer_direct_addr=other.reflexive,
            peer_local_addrs=other.local,
        )


class Receipt(NamedTuple):
    """What comes back when an offer has left: its call, and the session it was for."""

    call: Call
    session: int


TAG_SIZE = 8
ROOM_PREFIX = "call-"


def room_name(call_id: str) -> str:
    """Return the room of a call (CALL-21)."""
    return ROOM_PREFIX + call_id


def tag_of(room: str) -> bytes:
    """Return the 8 bytes that stand in front of a room's media on a link (federation, Media)."""
    return hashlib.sha256(room.encode()).digest()[:TAG_SIZE]
