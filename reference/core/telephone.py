"""The telephone of a client: one call at a time (spec/call.md, The client; spec/media.md).

Where the call stands is the table of `core/line.py`; what has no row there does nothing. No media
connection is dialled, and so no microphone opens, but for a call that was placed or accepted (CALL-35).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import media, messages
from reference.core.addresses import on_loopback, undialable
from reference.core.call import room_name
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Tell
from reference.core.errors import CloseCode, HangupReason
from reference.core.line import MODES, Account, Alarm, Answer, Cue, Leg, Line, OwnCall
from reference.core.messages import GOOD, AcceptMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.timers import Timers

MEDIA_ATTEMPTS = 5
"""How often a call's media connection may be lost before the call is given up."""

BEHIND = 2**64 - 1
"""The number of the Ping that follows a rejection."""

MEDIA_AGAIN = 1.0
"""Seconds between two attempts to join the room."""

HANGUP_WITHIN = 1.0
"""Seconds between the close of a room and the Hangup that explains it."""

EVICTED = (CloseCode.NOT_ADMITTED, CloseCode.NO_SUCH_SERVICE, CloseCode.BAD_MESSAGES)
"""Closes after which a client does not try the room again (table of close codes)."""


class Telephone:
    """The call of a client, if there is one; `entropy(n)` returns n random bytes."""

    def __init__(self, account: Account, timers: Timers[Alarm], entropy: Callable[[int], bytes]) -> None:
        """Start without a call; put what is waited for into `timers`."""
        self.account = account
        self.call: OwnCall | None = None
        self._timers = timers
        self._entropy = entropy

    def place(self, target: str, now: float) -> list[Effect]:
        """Call the fingerprint `target` (CALL-36)."""
        if self.call is not None:
            return []
        call_id = self._entropy(16).hex()
        self.call = OwnCall(call_id, target, Line.PLACED)
        self._timers.set(Alarm.ANSWER, now + self.account.answer_timeout)
        offer = messages.DirectCallOffer(
            caller_fingerprint=self.account.identity.fingerprint,
            caller_alias=self.account.alias,
            target_fingerprint=target,
            call_id=call_id,
            identity_pub=self.account.identity.public,
            ephemeral_pub=bytes(32),
            signature=b"",
            supported_profiles=[GOOD],
        )
        return [Send(Leg.SIGNAL, offer), Tell("placed", {"call_id": call_id, "peer": target})]

    def call_ringing(self, message: messages.CallRinging) -> list[Effect]:
        """Tell that it rings at the other end."""
        return [Tell("ringing")] if self._cue(message.call_id, Cue.RINGING) else []

    def direct_call_answer(self, message: messages.DirectCallAnswer) -> list[Effect]:
        """Tell that the other end accepted; CallSetup comes next (CALL-19)."""
        if not self._cue(message.call_id, Cue.ANSWER):
            return []
        if message.accept_mode is AcceptMode.REJECT:  # a relay should have said Hangup{Declined} (CALL-29)
            return self.end(HangupReason.DECLINED)
        return [Tell("answered", {"mode": message.accept_mode})]

    def direct_call_offer(self, message: messages.DirectCallOffer, now: float) -> list[Effect]:
        """Ring, or reject a second call; answer only by a policy that the user set (CALL-39)."""
        if self.call is not None:
            if self.call.call_id == message.call_id:  # the same call, rung again on our new connection
                return []
            busy = messages.DirectCallAnswer(call_id=message.call_id, accept_mode=AcceptMode.REJECT)
            behind = messages.Ping(timestamp_ms=BEHIND)
            self.call.rejections += 1
            return [
                Send(Leg.SIGNAL, busy),
                Send(Leg.SIGNAL, behind),
                Tell("missed", {"peer": message.caller_fingerprint}),
            ]
        self.call = OwnCall(message.call_id, message.caller_fingerprint, Line.INCOMING)
        self._timers.set(Alarm.ANSWER, now + self.account.answer_timeout)
        members = {
            "call_id": message.call_id,
            "peer": message.caller_fingerprint,
            "alias": message.caller_alias,
        }
        return [Tell("incoming", members), *self.answer(self.account.answer)]

    def pong(self, message: messages.Pong) -> list[Effect]:
        """Note that the relay has handled a rejection (REG-20), or tell the answer to the user's own Ping."""
        if message.timestamp_ms != BEHIND:
            return [Tell("pong", {"timestamp_ms": message.timestamp_ms})]
        if self.call is not None and self.call.rejections:
            self.call.rejections -= 1
        return []

    def hangup_received(self, message: messages.Hangup) -> list[Effect]:
        """End the call (CALL-37), unless the Hangup may be that of a call which we have just rejected.

        A Hangup of phase 0 names no call. In a room the relay's close tells whether it was ours (MEDIA-14).
        """
        call = self.call
        if call is not None and call.rejections and call.line in {Line.WAITING, Line.TALKING}:
            return []
        return self.end(message.reason)

    def answer(self, answer: Answer) -> list[Effect]:
        """Answer the incoming call as the user decided."""
        if self.call is None or self.call.line is not Line.INCOMING or answer is Answer.ASK:
            return []
        mode = MODES[answer]
        reply = messages.DirectCallAnswer(call_id=self.call.call_id, accept_mode=mode, chosen_profile=GOOD)
        if answer is Answer.REJECT:
            return [Send(Leg.SIGNAL, reply), *self.end("rejected")]
        self.call.cue(Cue.ACCEPT)
        return [Send(Leg.SIGNAL, reply), Tell("accepted", {"mode": mode})]

    def call_setup(self, message: messages.CallSetup, now: float) -> list[Effect]:
        """Join the room of a call that was placed or accepted, and of no other (CALL-35)."""
        refusal = self._wrong(message)
        if not self._cue(message.call_id, Cue.SETUP) or self.call is None:
            return []
        self._timers.cancel(Alarm.ANSWER)
        if refusal:
            return [Tell("error", {"why": refusal}), *self.hangup()]
        self.call.relay_addr = message.relay_addr
        return [Tell("setup", {"relay_addr": message.relay_addr, "path": "relay"}), *self._join(now)]

    def media_connected(self) -> list[Effect]:
        """Introduce ourselves in the room (MEDIA-29)."""
        public = media.ephemeral_public(self._entropy(32))
        offer = messages.CallOffer(
            identity_pub=self.account.identity.public,
            ephemeral_pub=public,
            signature=self.account.identity.sign(public + media.OFFER),
            supported_profiles=[GOOD],
            alias=self.account.alias,
        )
        return [Send(Leg.MEDIA, offer)]

    def in_room(self, message: messages.Message) -> list[Effect]:
        """Handle what the room says: the admission, and who is there."""
        call = self.call
        match message:
            case messages.CallAnswer() if call is not None and call.cue(Cue.ADMITTED):
                self._timers.cancel(Alarm.MEDIA)
                right = media.introduced(
                    message.identity_pub, message.ephemeral_pub, message.signature, media.ANSWER
                )
                if right:
                    return [Tell("joined")]
                why = "the relay's CallAnswer is signed by another key than it names"
                return [Tell("error", {"why": why}), *self.hangup()]  # MEDIA-30
            case messages.RoomUpdate() if call is not None:
                joined = Tell("room", {"count": message.count})
                first = call.line is Line.WAITING
                if message.count > 1 and call.cue(Cue.TOGETHER) and first:
                    return [joined, Tell("talking", {"peer": call.peer, "path": "relay"})]
                return [joined]
        return []

    def media_lost(self, code: int, reason: str, now: float) -> list[Effect]:
        """Join the room again while the call lives, or give the call up."""
        call = self.call
        if call is None or not call.cue(Cue.MEDIA_LOST):
            return []
        self._timers.cancel(Alarm.MEDIA)
        call.media_losses += 1
        lost = Tell("media lost", {"reason": reason})
        if code == CloseCode.CALL_ENDED:  # the Hangup that says why comes on the other connection
            self._timers.set(Alarm.HANGUP, now + HANGUP_WITHIN)
            return [lost]
        if code == CloseCode.SEAT_TAKEN:  # another connection of ours goes on; a Hangup would end its call
            return [lost, *self.end(HangupReason.NORMAL)]
        if code in EVICTED or call.media_losses >= MEDIA_ATTEMPTS:
            return [lost, *self.hangup()]
        self._timers.set(Alarm.MEDIA_AGAIN, now + MEDIA_AGAIN)
        return [lost]

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send one frame of audio if we talk; for None its time passes unsent (MEDIA-26 to MEDIA-28)."""
        if self.call is None:
            return []
        if payload is None or self.call.line is not Line.TALKING:
            self.call.sender.pause()
            return []
        return [SendDatagram(Leg.MEDIA, self.call.sender.datagram(payload))]

    def hangup(self) -> list[Effect]:
        """End our call: first the relay learns it, then the media stops (CALL-38)."""
        if self.call is None:
            return []
        return [Send(Leg.SIGNAL, messages.Hangup(reason=HangupReason.NORMAL)), *self.end("hung up")]

    def end(self, reason: str) -> list[Effect]:
        """Stop all that belongs to the call (CALL-37)."""
        if self.call is None:
            return []
        joined = self.call.line in {Line.JOINING, Line.WAITING, Line.TALKING}
        self.call = None
        for alarm in (Alarm.ANSWER, Alarm.MEDIA, Alarm.MEDIA_AGAIN, Alarm.HANGUP):
            self._timers.cancel(alarm)
        media_end: list[Effect] = [Close(Leg.MEDIA, CloseCode.NORMAL)] if joined else []
        return [*media_end, Tell("ended", {"reason": reason})]

    def alarm(self, alarm: Alarm, now: float) -> list[Effect]:
        """Stop waiting for an answer or a room, or try the room again."""
        if alarm is Alarm.MEDIA_AGAIN:
            return self._join(now)
        if alarm is Alarm.HANGUP:
            return self.end(HangupReason.NORMAL)
        if alarm is Alarm.MEDIA:
            lost = self.media_lost(-1, "the room did not answer in time", now)
            # When that was the last attempt, the call has been ended, in its order (CALL-38).
            return lost if self.call is None else [Close(Leg.MEDIA, CloseCode.NORMAL), *lost]
        return self.hangup()

    def _join(self, now: float) -> list[Effect]:
        if self.call is None:
            return []
        self._timers.set(Alarm.MEDIA, now + self.account.media_timeout)
        return [Dial(Leg.MEDIA, self.call.relay_addr, room_name(self.call.call_id))]

    def _wrong(self, message: messages.CallSetup) -> str:
        """Return why a CallSetup cannot be followed, or ""."""
        if message.room != room_name(message.call_id):
            return f"the relay names the room {message.room!r}, not {room_name(message.call_id)!r}"
        reason = undialable(message.relay_addr, loopback=on_loopback(self.account.relay))
        return f"the relay sends us to {message.relay_addr}: {reason}" if reason else ""

    def _cue(self, call_id: str, cue: Cue) -> bool:
        return self.call is not None and self.call.call_id == call_id and self.call.cue(cue)
