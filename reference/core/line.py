"""One call as a client sees it (spec/call.md, The client): its states, and the table that joins them.

A message or a decision that has no row here does nothing: a CallSetup for a call that was neither placed
nor accepted finds no row, and no microphone opens (CALL-35).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from reference.core.media import Sender
from reference.core.messages import AcceptMode

if TYPE_CHECKING:
    from reference.core.registration import Identity


class Line(StrEnum):
    """Where a client's call stands."""

    PLACED = "placed"
    RINGING = "ringing"
    ANSWERED = "answered"
    INCOMING = "incoming"
    ACCEPTED = "accepted"
    JOINING = "joining"
    WAITING = "waiting"
    TALKING = "talking"


class Cue(StrEnum):
    """What moves it: a message by its name, or a decision of the user."""

    PLACE = "place"
    OFFER = "DirectCallOffer"
    RINGING = "CallRinging"
    ANSWER = "DirectCallAnswer"
    ACCEPT = "accept"
    SETUP = "CallSetup"
    ADMITTED = "CallAnswer"
    TOGETHER = "both in the room"
    MEDIA_LOST = "media connection lost"


LINES: dict[tuple[Line | None, Cue], Line] = {
    (None, Cue.PLACE): Line.PLACED,
    (Line.PLACED, Cue.RINGING): Line.RINGING,
    (Line.RINGING, Cue.RINGING): Line.RINGING,
    (Line.PLACED, Cue.ANSWER): Line.ANSWERED,
    (Line.RINGING, Cue.ANSWER): Line.ANSWERED,
    (Line.ANSWERED, Cue.SETUP): Line.JOINING,
    (None, Cue.OFFER): Line.INCOMING,
    (Line.INCOMING, Cue.ACCEPT): Line.ACCEPTED,
    (Line.ACCEPTED, Cue.SETUP): Line.JOINING,
    (Line.JOINING, Cue.ADMITTED): Line.WAITING,
    (Line.WAITING, Cue.TOGETHER): Line.TALKING,
    (Line.TALKING, Cue.TOGETHER): Line.TALKING,
    (Line.JOINING, Cue.MEDIA_LOST): Line.JOINING,
    (Line.WAITING, Cue.MEDIA_LOST): Line.JOINING,
    (Line.TALKING, Cue.MEDIA_LOST): Line.JOINING,
}
"""The whole table; what ends a call ends it from every state."""


@dataclass(slots=True)
class OwnCall:
    """The one call of a client: whom with, where it stands, and what is needed to join its room."""

    call_id: str
    peer: str
    line: Line
    relay_addr: str = ""
    media_losses: int = 0
    rejections: int = 0
    sender: Sender = field(default_factory=Sender)

    def cue(self, cue: Cue) -> bool:
        """Go to the next state; tell whether the table has such a row."""
        line = LINES.get((self.line, cue))
        if line is None:
            return False
        self.line = line
        return True


class Leg(IntEnum):
    """The two connections of a client."""

    SIGNAL = 0
    MEDIA = 1


class Answer(StrEnum):
    """What to do with an incoming call; to ask is the default (CALL-39)."""

    ASK = "ask"
    TRUSTED = "trusted"
    GENERIC = "generic"
    REJECT = "reject"


MODES = {
    Answer.TRUSTED: AcceptMode.ACCEPT_TRUSTED,
    Answer.GENERIC: AcceptMode.ACCEPT_GENERIC,
    Answer.REJECT: AcceptMode.REJECT,
}


class Alarm(StrEnum):
    """What a client waits for."""

    SIGNAL = "the signal connection and its acknowledgement"
    RETRY = "the next attempt to connect"
    ANSWER = "an answer"
    MEDIA = "the media connection and its admission"
    MEDIA_AGAIN = "the next attempt to join the room"
    HANGUP = "the Hangup of a call whose room has been closed"


@dataclass(frozen=True, slots=True)
class Account:
    """Who a client is and where; `relay` is `ip:port`, `pin` a TLS fingerprint or "", times in seconds."""

    identity: Identity
    relay: str
    pin: str = ""
    alias: str | None = None
    answer: Answer = Answer.ASK
    signal_timeout: float = 5.0
    answer_timeout: float = 90.0
    media_timeout: float = 10.0
