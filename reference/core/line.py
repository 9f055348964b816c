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
from reference.core.phases import NEWEST, Phase
from reference.core.race import Door

if TYPE_CHECKING:
    from reference.core.gathering import Gathering
    from reference.core.paths import Paths
    from reference.core.registration import Identity


class Line(StrEnum):
    """Where a client's call stands."""

    PREPARING = "preparing"
    PLACED = "placed"
    RINGING = "ringing"
    ANSWERED = "answered"
    INCOMING = "incoming"
    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    CONNECTING = "connecting"
    TALKING = "talking"


class Cue(StrEnum):
    """What moves it: a message by its name, a decision of the user, or what has been found out."""

    PLACE = "place"
    GATHERED = "the own addresses are known, or nobody told them"
    OFFER = "DirectCallOffer"
    RINGING = "CallRinging"
    ANSWER = "DirectCallAnswer"
    ACCEPT = "accept"
    SETUP = "CallSetup"
    PATH = "media can flow"


LINES: dict[tuple[Line | None, Cue], Line] = {
    (None, Cue.PLACE): Line.PREPARING,
    (Line.PREPARING, Cue.GATHERED): Line.PLACED,
    (Line.PLACED, Cue.RINGING): Line.RINGING,
    (Line.RINGING, Cue.RINGING): Line.RINGING,
    (Line.PLACED, Cue.ANSWER): Line.ANSWERED,
    (Line.RINGING, Cue.ANSWER): Line.ANSWERED,
    (Line.ANSWERED, Cue.SETUP): Line.CONNECTING,
    (None, Cue.OFFER): Line.INCOMING,
    (Line.INCOMING, Cue.ACCEPT): Line.ACCEPTING,
    (Line.ACCEPTING, Cue.GATHERED): Line.ACCEPTED,
    (Line.ACCEPTED, Cue.SETUP): Line.CONNECTING,
    (Line.CONNECTING, Cue.PATH): Line.TALKING,
}
"""The whole table; what ends a call ends it from every state."""


@dataclass(slots=True)
class OwnCall:
    """The one call of a client: whom with, where it stands, and what it needs on its way.

    `mode` is how it was accepted, `early` a report of the other end that came before the setup.
    """

    call_id: str
    peer: str
    line: Line
    gathering: Gathering
    mode: AcceptMode | None = None
    early: bool | None = None
    paths: Paths | None = None
    rejections: int = 0
    door: Door = field(default_factory=Door)
    sender: Sender = field(default_factory=Sender)

    def cue(self, cue: Cue) -> bool:
        """Go to the next state; tell whether the table has such a row."""
        line = LINES.get((self.line, cue))
        if line is None:
            return False
        self.line = line
        return True


class Leg(IntEnum):
    """The connections of a client to its relay; those to a peer have the numbers above."""

    SIGNAL = 0
    MEDIA = 1


FIRST_DIRECT = 2
"""The smallest leg that may be a connection between the two ends."""


class Way(StrEnum):
    """Which path the user wants."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


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
    REFLECT = "the own address as the relay sees it"
    HOSTS = "the addresses of the own interfaces"
    ANSWER = "an answer"
    DIRECT = "the direct path"
    HEAD_START = "the head start of the direct path"
    REPORT = "the other end's report"
    SILENCE = "a word on the direct path"
    UNHEARD = "a word on any path, of which the user is told when none comes"
    FAREWELL = "the Hangup of an end that has closed the direct path"
    MEDIA = "the media connection and its admission"
    MEDIA_AGAIN = "the next attempt to join the room"
    HANGUP = "the Hangup of a call whose room has been closed"


@dataclass(frozen=True, slots=True)
class Account:
    """Who a client is and where; `relay` is `ip:port`, `pin` a TLS fingerprint or "", times in seconds.

    `build` names its version to the other end, `token` is shown to a relay that asks for one (REG-26).
    """

    identity: Identity
    relay: str
    pin: str = ""
    alias: str | None = None
    answer: Answer = Answer.ASK
    way: Way = Way.AUTO
    phase: Phase = NEWEST
    build: str | None = None
    signal_timeout: float = 5.0
    answer_timeout: float = 90.0
    media_timeout: float = 10.0
    reflect_timeout: float = 1.0
    hosts_timeout: float = 0.1
    direct_timeout: float = 2.0
    head_start: float = 0.5
    report_timeout: float = 3.0
    silence: float = 1.0
    token: str = field(default="", repr=False)
