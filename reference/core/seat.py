"""Seat: a client's place in the room of its call, on the media connection (spec/media.md).

A pure machine of one call: it dials, introduces itself, hears who is there, and comes back when the
connection is lost. What it cannot mend it says in `over`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.core import media, messages
from reference.core.call import room_name
from reference.core.effects import Close, Dial, Effect, Send, Tell
from reference.core.errors import CloseCode
from reference.core.line import Account, Alarm, Leg
from reference.core.media import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.timers import Timers

ATTEMPTS = 5
"""How often a call's media connection may be lost before the room is given up."""

AGAIN = 1.0
"""Seconds between two attempts to join the room."""

HANGUP_WITHIN = 1.0
"""Seconds between the close of a room and the Hangup that explains it."""

EVICTED = (CloseCode.NOT_ADMITTED, CloseCode.NO_SUCH_SERVICE, CloseCode.BAD_MESSAGES)
"""Closes after which a client does not try the room again (table of close codes)."""


class Sitting(StrEnum):
    """Where a client is in the room."""

    AWAY = "away"
    RESTING = "resting"
    JOINING = "joining"
    WAITING = "waiting"
    TOGETHER = "together"


class Over(StrEnum):
    """Why a room cannot be had any more, and so what becomes of a call that needs it."""

    NO = ""
    ENDED = "the call has ended"
    ELSEWHERE = "another connection of ours has the seat"
    LOST = "the room cannot be had"


@dataclass(slots=True)
class Seat:
    """One side's seat in the room of one call at `relay_addr`."""

    call_id: str
    relay_addr: str
    account: Account
    timers: Timers[Alarm]
    entropy: Callable[[int], bytes] = field(repr=False)
    sitting: Sitting = Sitting.AWAY
    losses: int = 0
    over: Over = Over.NO

    @property
    def open(self) -> bool:
        """Tell whether there is a media connection, or an attempt at one."""
        return self.sitting not in {Sitting.AWAY, Sitting.RESTING}

    def again(self, now: float) -> list[Effect]:
        """Come back after the rest that follows a loss."""
        if self.sitting is Sitting.RESTING:
            self.sitting = Sitting.AWAY
        return self.join(now)

    def join(self, now: float) -> list[Effect]:
        """Open the media connection, unless it is open, under way, or was lost just now."""
        if self.sitting is not Sitting.AWAY or self.over:
            return []
        self.sitting = Sitting.JOINING
        self.timers.cancel(Alarm.MEDIA_AGAIN)
        self.timers.set(Alarm.MEDIA, now + self.account.media_timeout)
        return [Dial(Leg.MEDIA, self.relay_addr, room_name(self.call_id))]

    def connected(self) -> list[Effect]:
        """Introduce ourselves in the room (MEDIA-29)."""
        identity = self.account.identity
        public = media.ephemeral_public(self.entropy(32))
        offer = messages.CallOffer(
            identity_pub=identity.public,
            ephemeral_pub=public,
            signature=identity.sign(public + media.OFFER),
            supported_profiles=[GOOD],
            alias=self.account.alias,
        )
        return [Send(Leg.MEDIA, offer)]

    def receive(self, message: messages.Message) -> list[Effect]:
        """Handle what the room says: the admission, and who is there."""
        match message:
            case messages.CallAnswer() if self.sitting is Sitting.JOINING:
                self.timers.cancel(Alarm.MEDIA)
                signed = media.introduced(
                    message.identity_pub, message.ephemeral_pub, message.signature, media.ANSWER
                )
                if signed:
                    self.sitting = Sitting.WAITING
                    self.losses = 0
                    return [Tell("joined")]
                self.over = Over.LOST
                why = "the relay's CallAnswer is signed by another key than it names"
                return [*self.leave(CloseCode.NORMAL), Tell("error", {"why": why})]  # MEDIA-30
            case messages.RoomUpdate():
                if self.sitting in {Sitting.WAITING, Sitting.TOGETHER}:
                    self.sitting = Sitting.TOGETHER if message.count > 1 else Sitting.WAITING
                return [Tell("room", {"count": message.count})]
        return []

    def lost(self, code: int, reason: str, now: float) -> list[Effect]:
        """Come back to the room while the call lives, or say in `over` why not."""
        if not self.open:
            return []
        self.sitting = Sitting.AWAY
        self.timers.cancel(Alarm.MEDIA)
        self.losses += 1
        if code == CloseCode.CALL_ENDED:  # the Hangup that says why comes on the other connection
            self.over = Over.ENDED
            self.timers.set(Alarm.HANGUP, now + HANGUP_WITHIN)
        elif code == CloseCode.SEAT_TAKEN:
            self.over = Over.ELSEWHERE
        elif code in EVICTED or self.losses >= ATTEMPTS:
            self.over = Over.LOST
        else:
            self.sitting = Sitting.RESTING
            self.timers.set(Alarm.MEDIA_AGAIN, now + AGAIN)
        return [Tell("media lost", {"reason": reason})]

    def expire(self, now: float) -> list[Effect]:
        """Give an attempt up that is not admitted in time."""
        return [Close(Leg.MEDIA, CloseCode.NORMAL), *self.lost(-1, "the room did not answer in time", now)]

    def leave(self, code: CloseCode) -> list[Effect]:
        """Close the media connection."""
        for alarm in (Alarm.MEDIA, Alarm.MEDIA_AGAIN, Alarm.HANGUP):
            self.timers.cancel(alarm)
        was_open, self.sitting = self.open, Sitting.AWAY
        return [Close(Leg.MEDIA, code)] if was_open else []
