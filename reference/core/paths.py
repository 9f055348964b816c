"""Paths: the two ways of one call's media, and which of them it takes (spec/race.md, spec/agreement.md).

A pure machine of one call, from its CallSetup to its end. The race says whether there is a direct path, the
seat whether there is one through the relay, the agreement which one is taken. Both are listened to while
they are open (RACE-15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.agreement import RACE_WINNER, Agreement, Path
from reference.core.effects import Effect, Send, Tell
from reference.core.errors import CloseCode
from reference.core.hearing import Hearing
from reference.core.line import Account, Alarm, Leg
from reference.core.messages import MediaPathReport, Message
from reference.core.phases import Phase
from reference.core.race import Door, Race, Role
from reference.core.seat import HANGUP_WITHIN, Over, Seat, Sitting

if TYPE_CHECKING:
    from reference.core.timers import Timers

ALARMS = (Alarm.DIRECT, Alarm.HEAD_START, Alarm.REPORT, Alarm.SILENCE, Alarm.FAREWELL, Alarm.UNHEARD)


class Paths:
    """The direct path and the relay path of one call; `over` says that there is none any more.

    `left` tells that the other end closed the direct path, as one does who hangs up, and was not heard since.
    """

    def __init__(self, race: Race, seat: Seat, account: Account, timers: Timers[Alarm]) -> None:
        """Prepare; nothing is dialled before `start`."""
        self.race = race
        self.seat = seat
        self.account = account
        self.agreement = Agreement()
        self.path: Path | None = None
        self._agrees = account.phase >= Phase.PATH_AGREEMENT
        self._timers = timers
        self._hearing = Hearing(timers)
        self._farewell = self._spoken = self.left = False
        self._direct_heard = self._relay_heard = float("-inf")

    @property
    def over(self) -> Over:
        """Why the call cannot go on, or Over.NO: it needs the room when it has taken the relay."""
        return self.seat.over if self.path is Path.RELAY else Over.NO

    @property
    def remote(self) -> str:
        """Return the address at the other end of the path that is taken."""
        return self.seat.relay_addr if self.path is Path.RELAY else self.race.open.get(self.race.leg or 0, "")

    @property
    def out(self) -> int | None:
        """The leg to speak on, or None: before the decision nobody speaks (AGREE-10)."""
        if self.path is Path.DIRECT:
            return self.race.leg
        if self.path is Path.RELAY and self.seat.sitting is Sitting.TOGETHER:
            return Leg.MEDIA
        return None

    def start(self, now: float, *, early: bool | None) -> list[Effect]:
        """Begin the race; `early` is a report of the other end that came before (AGREE-9)."""
        self._hearing.start(now)
        self.agreement.peer = early if self._agrees else None
        effects = self.race.start()
        if self.race.ok is None:
            self._timers.set(Alarm.DIRECT, now + self.account.direct_timeout)
            self._timers.set(Alarm.HEAD_START, now + self.account.head_start)  # RACE-12
        return [*effects, *self._follow(now)]

    def let_in(self, door: Door, now: float) -> list[Effect]:
        """Take in who came before the setup, or shut the door when we accept nobody (RACE-7)."""
        if self.race.role is not Role.ACCEPTOR:
            return door.shut()
        waiting = [(leg, *came) for leg, came in door.waiting.items()]
        return [effect for one in waiting for effect in self.accepted(*one, now)]

    def connected(self, leg: int, now: float) -> list[Effect]:
        """Take a dialled connection; on a direct path nobody introduces himself (MEDIA-32)."""
        if leg == Leg.MEDIA:
            return self.seat.connected()
        return [*self.race.connected(leg), *self._follow(now)]

    def accepted(self, leg: int, sni: str | None, address: str, now: float) -> list[Effect]:
        """Take in a connection that somebody opened to us."""
        return [*self.race.accepted(leg, sni, address), *self._follow(now)]

    def receive(self, message: Message, now: float) -> list[Effect]:
        """Handle what the room says."""
        return [*self.seat.receive(message), *self._after_it(now), *self._follow(now)]

    def report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Count the first report of the other end (AGREE-6, AGREE-9)."""
        if not self._agrees or self.agreement.peer is not None:
            return []
        self.agreement.peer = message.direct_ok
        return [Tell("report heard", {"direct_ok": message.direct_ok}), *self._follow(now)]

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Go on without a connection that has ended."""
        if leg == Leg.MEDIA:
            return [*self.seat.lost(code, reason, now), *self._follow(now)]
        if code == CloseCode.NORMAL and self.path is Path.DIRECT:
            self._farewell = self.left = True  # its Hangup goes the longer way (AGREE-12)
            self._timers.set(Alarm.FAREWELL, now + HANGUP_WITHIN)
        return [*self.race.lost(leg, reason), *self._follow(now)]

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Note where the other end speaks; go after it when it has left the direct path (AGREE-14)."""
        path = Path.RELAY if leg == Leg.MEDIA else Path.DIRECT
        self.left = False
        effects = self._hearing.heard(path, now)
        if path is Path.DIRECT:
            self._direct_heard = now
            self._spoken = True  # nobody speaks there who has not taken it (AGREE-16)
            return [*effects, *self.race.heard(leg), *self._follow(now)]
        self._relay_heard = now
        return effects + self._after_it(now)

    def hears(self, leg: int) -> bool:
        """Tell whether media of this leg is played (RACE-15)."""
        return leg in self.race.open or (leg == Leg.MEDIA and self.seat.open)

    def alarm(self, alarm: Alarm, now: float) -> list[Effect]:
        """Do what has become due."""
        effects: list[Effect] = []
        match alarm:
            case Alarm.DIRECT:
                effects = self.race.conclude()
            case Alarm.HEAD_START:
                effects = self.seat.join(now)
            case Alarm.MEDIA_AGAIN:
                effects = self.seat.again(now)
            case Alarm.REPORT:
                self.agreement.waited = True
            case Alarm.SILENCE:
                effects = self._silence(now)
            case Alarm.FAREWELL:
                self._farewell = False
            case Alarm.UNHEARD:
                effects = self._hearing.alarm(now)
            case Alarm.MEDIA:
                effects = self.seat.expire(now)
        return [*effects, *self._follow(now)]

    def close(self, code: CloseCode = CloseCode.NORMAL) -> list[Effect]:
        """End both paths."""
        for alarm in ALARMS:
            self._timers.cancel(alarm)
        return [*self.seat.leave(code), *self.race.close(code)]

    def _follow(self, now: float) -> list[Effect]:
        """Report, decide, and leave a direct path that has ended."""
        effects: list[Effect] = []
        if self.race.ok is not None and self.agreement.own is None:
            effects += self._tell_other_end(now)
        if self.race.ok is False:
            effects += self.seat.join(now)  # RACE-13
        if self.path is None:
            path = self._decided()
            effects += self._take(path, now) if path else []
        ended = not self.race.open and self.race.over and not self._farewell
        if self.path is Path.DIRECT and (ended or self.agreement.peer is False):
            effects += self._take(Path.RELAY, now)  # AGREE-6, AGREE-12
        if self.out is not None:
            self._hearing.listen(now)
        return effects

    def _decided(self) -> Path | None:
        path = self.agreement.path
        if not self._agrees:
            path = {None: None, True: Path.DIRECT, False: Path.RELAY}[self.race.ok]
        if self.agreement.own and self.race.over and not self.race.open:
            return Path.RELAY  # AGREE-12
        if path is None and self._spoken and self.agreement.own:
            return Path.DIRECT
        return path

    def _tell_other_end(self, now: float) -> list[Effect]:
        ok = self.agreement.own = bool(self.race.ok)
        if not self._agrees:
            return []
        if self.agreement.path is None:
            self._timers.set(Alarm.REPORT, now + self.account.report_timeout)  # AGREE-7
        report = MediaPathReport(call_id=self.race.call_id, direct_ok=ok, race_winner=RACE_WINNER[ok])
        return [Send(Leg.SIGNAL, report), Tell("report sent", {"direct_ok": ok})]  # AGREE-5

    def _take(self, path: Path, now: float) -> list[Effect]:
        """Take a path, and since phase 6 leave the other one (AGREE-11)."""
        self.path = path
        self._timers.cancel(Alarm.REPORT)
        told: list[Effect] = [Tell("path", {"path": path, "remote": self.remote})]
        if path is Path.DIRECT:
            self._timers.set(Alarm.SILENCE, now + self.account.silence)
            self._direct_heard = now
            if self._agrees:
                self._timers.cancel(Alarm.HEAD_START)
                return [*told, *self.seat.leave(CloseCode.NOT_SELECTED)]
            return told
        left = self.race.close(CloseCode.NOT_SELECTED) if self._agrees else self.race.conclude()
        for alarm in (Alarm.DIRECT, Alarm.HEAD_START, Alarm.SILENCE):
            self._timers.cancel(alarm)
        reported = [] if self.agreement.own is not None else self._tell_other_end(now)
        return [*reported, *told, *left, *self.seat.join(now)]

    def _silence(self, now: float) -> list[Effect]:
        """Join the room when the direct path is silent (AGREE-13)."""
        silent = self._is_silent(now)
        again = now if silent else self._direct_heard
        self._timers.set(Alarm.SILENCE, again + self.account.silence)
        return [*self.seat.join(now), *self._after_it(now)] if silent else []

    def _is_silent(self, now: float) -> bool:
        # The same sum as the alarm's: a difference may round to less, and the alarm would ring for ever.
        return now >= self._direct_heard + self.account.silence

    def _after_it(self, now: float) -> list[Effect]:
        """Go where the other end is, when it is not to be heard on the direct path (AGREE-14, AGREE-15)."""
        if self.path is not Path.DIRECT or not self._is_silent(now):
            return []
        there = self._relay_heard > self._direct_heard or self.seat.sitting is Sitting.TOGETHER
        return self._take(Path.RELAY, now) if there else []
