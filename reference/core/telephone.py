"""The telephone of a client: one call at a time (spec/call.md, The client).

Where the call stands is the table of `core/line.py`; what has no row there does nothing. No media
connection is dialled or accepted, and so no microphone opens, but for a call that was placed or accepted
(CALL-35). Its two paths are those of `core/paths.py`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from reference.core import calling, messages
from reference.core.agreement import Path
from reference.core.effects import Close, Effect, Send, SendDatagram, Tell
from reference.core.errors import HangupReason
from reference.core.gathering import Gathering
from reference.core.line import FIRST_DIRECT, MODES, Account, Alarm, Answer, Cue, Leg, Line, OwnCall, Way
from reference.core.messages import AcceptMode
from reference.core.paths import Paths
from reference.core.seat import Over, Seat

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.timers import Timers

BEHIND = 2**64 - 1
"""The number of the Ping that follows a rejection."""


class Telephone:
    """The call of a client, if there is one; `entropy(n)` returns n random bytes."""

    def __init__(self, account: Account, timers: Timers[Alarm], entropy: Callable[[int], bytes]) -> None:
        """Start without a call; put what is waited for into `timers`."""
        self.account = account
        self.call: OwnCall | None = None
        self.families = frozenset({4})  # IP versions of our sockets
        self.new_leg = itertools.count(FIRST_DIRECT).__next__
        self._timers = timers
        self._entropy = entropy

    @property
    def paths(self) -> Paths | None:
        """The paths of the call, once it is set up."""
        return None if self.call is None else self.call.paths

    def place(self, target: str, now: float) -> list[Effect]:
        """Call the fingerprint `target` (CALL-36)."""
        if self.call is not None:
            return []
        self.call = self._new(self._entropy(16).hex(), target, Line.PREPARING)
        self._timers.set(Alarm.ANSWER, now + self.account.answer_timeout)
        return [*self.call.gathering.start(now), *self.prepared()]

    def prepared(self) -> list[Effect]:
        """Send the offer or the answer, once it is known what to advertise."""
        call = self.call
        if call is None or not call.gathering.done:
            return []
        calls = call.line is Line.PREPARING
        if not call.cue(Cue.GATHERED):
            return []
        opened = call.door.open(calling.expected(self.account, call))
        if calls:
            placed = Tell("placed", {"call_id": call.call_id, "peer": call.peer})
            return [*opened, Send(Leg.SIGNAL, calling.offer(self.account, call)), placed]
        accepted = Tell("accepted", {"mode": call.mode})
        return [*opened, Send(Leg.SIGNAL, calling.answer(self.account, call)), accepted]

    def call_ringing(self, message: messages.CallRinging) -> list[Effect]:
        """Tell that it rings at the other end."""
        return [Tell("ringing")] if self._cue(message.call_id, Cue.RINGING) else []

    def direct_call_answer(self, message: messages.DirectCallAnswer) -> list[Effect]:
        """Tell that the other end accepted; CallSetup comes next (CALL-19)."""
        if not self._cue(message.call_id, Cue.ANSWER) or self.call is None:
            return []
        if message.accept_mode is AcceptMode.REJECT:  # a relay should have said Hangup{Declined} (CALL-29)
            return self.end(HangupReason.DECLINED)
        self.call.mode = message.accept_mode
        return [Tell("answered", {"mode": message.accept_mode})]

    def direct_call_offer(self, message: messages.DirectCallOffer, now: float) -> list[Effect]:
        """Ring, or reject a second call; answer only by a policy that the user set (CALL-39)."""
        if self.call is not None:
            return self._busy(self.call, message)
        self.call = self._new(message.call_id, message.caller_fingerprint, Line.INCOMING)
        self._timers.set(Alarm.ANSWER, now + self.account.answer_timeout)
        members = {
            "call_id": message.call_id,
            "peer": message.caller_fingerprint,
            "alias": message.caller_alias,
        }
        return [Tell("incoming", members), *self.answer(self.account.answer, now)]

    def pong(self, message: messages.Pong) -> list[Effect]:
        """Note that the relay has handled a rejection (REG-20), or tell the answer to the user's own Ping."""
        if message.timestamp_ms != BEHIND:
            return [Tell("pong", {"timestamp_ms": message.timestamp_ms})]
        if self.call is not None and self.call.rejections:
            self.call.rejections -= 1
        return []

    def hangup_received(self, message: messages.Hangup) -> list[Effect]:
        """End the call (CALL-37), unless the Hangup is, or may be, that of another one (CALL-47).

        A Hangup of a phase before 7 names no call; while a rejection of ours is on its way it may be that of
        the rejected call, and the relay's close of the room tells whether it was ours (MEDIA-14).
        """
        call = self.call
        if call is None or message.call_id not in {None, call.call_id}:
            return []
        if message.call_id is None and call.rejections and call.paths is not None:
            return []
        return self.end(message.reason)

    def answer(self, answer: Answer, now: float) -> list[Effect]:
        """Answer the incoming call as the user decided; who stays hidden asks for no address (PRIV-9)."""
        call = self.call
        if call is None or call.line is not Line.INCOMING or answer is Answer.ASK:
            return []
        call.mode = MODES[answer]
        if answer is Answer.REJECT:
            return [Send(Leg.SIGNAL, calling.answer(self.account, call)), *self.end("rejected")]
        call.cue(Cue.ACCEPT)
        asked = call.gathering.start(now) if call.mode is AcceptMode.ACCEPT_TRUSTED else []
        return [*asked, *self.prepared()]

    def call_setup(self, message: messages.CallSetup, now: float) -> list[Effect]:
        """Set off for both paths of a call that was placed or accepted, and of no other (CALL-35)."""
        refusal = calling.wrong(self.account, message)
        if not self._cue(message.call_id, Cue.SETUP) or self.call is None:
            return []
        self._timers.cancel(Alarm.ANSWER)
        if refusal:
            return [Tell("error", {"why": refusal}), *self.hangup()]
        race = calling.race(self.account, self.call, message, self.families, self.new_leg)
        seat = Seat(message.call_id, message.relay_addr, self.account, self._timers, self._entropy)
        paths = self.call.paths = Paths(race, seat, self.account, self._timers)
        members = calling.setting(message, race)
        begun = [Tell("setup", members), *paths.start(now, early=self.call.early)]
        return self.follow([*begun, *paths.let_in(self.call.door, now)])

    def media_path_report(self, message: messages.MediaPathReport, now: float) -> list[Effect]:
        """Count the other end's report of this call, and of no other (AGREE-8, AGREE-9)."""
        call = self.call
        if call is None or message.call_id != call.call_id:
            return []
        if call.paths is None:
            call.early = message.direct_ok if call.early is None else call.early
            return []
        return self.follow(call.paths.report(message, now))

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Note a datagram of the other end."""
        paths = self.paths
        return [] if paths is None else self.follow(paths.heard(leg, now))

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Go on without a connection of the call that has ended."""
        call = self.call
        if call is None or call.paths is None:
            return [] if call is None else call.door.lost(leg)
        return self.follow(call.paths.lost(leg, code, reason, now))

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send one frame of audio if we talk; for None its time passes unsent (MEDIA-26 to MEDIA-28).

        Whichever path it takes, the numbers of the call go on (MEDIA-31).
        """
        call = self.call
        if call is None:
            return []
        leg = None if call.paths is None else call.paths.out
        if payload is None or leg is None:
            call.sender.pause()
            comfort = call.sender.comfort() if leg is not None and leg != Leg.MEDIA else None
            return [] if leg is None or comfort is None else [SendDatagram(leg, comfort)]
        return [SendDatagram(leg, call.sender.datagram(payload))]

    def hangup(self, reason: str = "hung up") -> list[Effect]:
        """End our call: first the relay learns it, then the media stops (CALL-38, CALL-46)."""
        call = self.call
        if call is None:
            return []
        if call.line is Line.PREPARING:  # nobody knows of it yet
            return self.end(reason)
        over = messages.Hangup(reason=HangupReason.NORMAL, call_id=call.call_id)
        return [Send(Leg.SIGNAL, over), *self.end(reason)]

    def end(self, reason: str) -> list[Effect]:
        """Stop all that belongs to the call (CALL-37)."""
        call, self.call = self.call, None
        if call is None:
            return []
        call.gathering.close()
        self._timers.cancel(Alarm.ANSWER)
        closed = call.door.shut() if call.paths is None else call.paths.close()
        return [*closed, Tell("ended", {"reason": reason, "line": call.line})]

    def alarm(self, alarm: Alarm, now: float) -> list[Effect]:
        """Do what has become due."""
        call = self.call
        if call is None:
            return []
        if alarm in {Alarm.REFLECT, Alarm.HOSTS}:
            return [*call.gathering.expire(alarm), *self.prepared()]
        if alarm is Alarm.HANGUP:
            return self.end(HangupReason.NORMAL)
        if call.paths is None:  # nobody answered
            return self.hangup(HangupReason.TIMEOUT)
        return self.follow(call.paths.alarm(alarm, now))

    def follow(self, effects: list[Effect]) -> list[Effect]:
        """Say when media can flow, and end a call that cannot go on."""
        call = self.call
        if call is None or call.paths is None:
            return effects
        paths = call.paths
        if self.account.way is Way.DIRECT and paths.path is Path.RELAY:
            return [*effects, Tell("error", {"why": "there is no direct path"}), *self.hangup()]
        if paths.over is Over.ELSEWHERE:  # another connection of ours goes on; a Hangup would end its call
            return [*effects, *self.end("taken over")]
        if paths.over is Over.LOST:
            closed = [effect for effect in effects if isinstance(effect, Close)]  # behind the Hangup: CALL-38
            first, *others = self.hangup(HangupReason.NORMAL if paths.left else "no room")
            return [*(effect for effect in effects if effect not in closed), first, *closed, *others]
        if paths.out is not None and call.cue(Cue.PATH):
            talking = {"peer": call.peer, "path": paths.path, "remote": paths.remote}
            return [*effects, Tell("talking", talking)]
        return effects

    def _new(self, call_id: str, peer: str, line: Line) -> OwnCall:
        return OwnCall(call_id, peer, line, Gathering(self.account, self._timers))

    def _busy(self, call: OwnCall, message: messages.DirectCallOffer) -> list[Effect]:
        if call.call_id == message.call_id:  # the same call, rung again on our new connection
            return []
        busy = messages.DirectCallAnswer(call_id=message.call_id, accept_mode=AcceptMode.REJECT)
        call.rejections += 1
        return [
            Send(Leg.SIGNAL, busy),
            Send(Leg.SIGNAL, messages.Ping(timestamp_ms=BEHIND)),
            Tell("missed", {"peer": message.caller_fingerprint}),
        ]

    def _cue(self, call_id: str, cue: Cue) -> bool:
        return self.call is not None and self.call.call_id == call_id and self.call.cue(cue)
