"""Mutants of a client, of spec/agreement.md, and of spec/media.md where media goes on a direct path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from reference.core.agreement import Path
from reference.core.effects import Close, Effect, Send
from reference.core.line import FIRST_DIRECT, Alarm, Leg
from reference.core.media import Sender
from reference.core.messages import CallSetup, MediaPathReport, Ping
from reference.core.paths import Paths
from reference.core.telephone import Telephone
from tests.mutants.client_base import ClientMutant, OtherPaths


class ReportsNothing(Telephone):
    """The telephone of SilentWithoutAttempt."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Report an attempt only when there is one."""
        return [
            one
            for one in super().call_setup(message, now)
            if not (isinstance(one, Send) and isinstance(one.message, MediaPathReport))
        ]


class SilentWithoutAttempt(ClientMutant):
    """Sends no report when there is no direct attempt."""

    id = "AGREE-5"
    telephone_kind = ReportsNothing


class Believes(Telephone):
    """The telephone of WishfulReading."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Take every report for a good one."""
        return super().media_path_report(replace(message, direct_ok=True), now)


class WishfulReading(ClientMutant):
    """Takes the direct path when the other end has not got it."""

    id = "AGREE-6"
    telephone_kind = Believes


class WaitsLong(ClientMutant):
    """Waits 30 s for the other end's report."""

    id = "AGREE-7"
    times: ClassVar[Mapping[str, float]] = {"report_timeout": 30.0}


class TakesAnyReport(Telephone):
    """The telephone of AnyReport."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Take every report for that of our call."""
        call_id = message.call_id if self.call is None else self.call.call_id
        return super().media_path_report(replace(message, call_id=call_id), now)


class AnyReport(ClientMutant):
    """Counts reports of other calls."""

    id = "AGREE-8"
    telephone_kind = TakesAnyReport


class ForgetsEarly(Telephone):
    """The telephone of NotYet."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Drop what comes before the own attempt is decided."""
        if self.paths is None or self.paths.agreement.own is None:
            return []
        return super().media_path_report(message, now)


class NotYet(ClientMutant):
    """Drops a report that comes before its own attempt is decided."""

    id = "AGREE-9"
    telephone_kind = ForgetsEarly


class Hasty(Paths):
    """The paths of SpeaksFirst."""

    @property
    def out(self) -> int | None:
        """Speak as soon as there is a direct connection."""
        return self.race.leg if self.path is None else super().out


class SpeaksAtOnce(OtherPaths):
    """The telephone of SpeaksFirst."""

    paths_kind = Hasty


class SpeaksFirst(ClientMutant):
    """Sends media before the decision."""

    id = "AGREE-10"
    telephone_kind = SpeaksAtOnce


class ClosesNothing(Telephone):
    """The telephone of KeepsBoth."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Decide, and keep both paths."""
        return [one for one in super().media_path_report(message, now) if not isinstance(one, Close)]


class KeepsBoth(ClientMutant):
    """Does not close the path that was not chosen."""

    id = "AGREE-11"
    telephone_kind = ClosesNothing


class OverlooksTheEnd(Telephone):
    """The telephone of StaysDirect."""

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Note the end of the direct path and do nothing about it."""
        paths = self.paths
        if paths is not None and paths.path is Path.DIRECT and leg >= FIRST_DIRECT:
            return paths.race.lost(leg, reason)
        return super().lost(leg, code, reason, now)


class StaysDirect(ClientMutant):
    """Does not go on through the relay when its direct path ends."""

    id = "AGREE-12"
    telephone_kind = OverlooksTheEnd


class Trusting(Paths):
    """The paths of LateToDoubt."""

    def _silence(self, now: float) -> list[Effect]:
        due = now - self._direct_heard >= 3 * self.account.silence
        if due:
            return super()._silence(now)
        self._timers.set(Alarm.SILENCE, now + self.account.silence)
        return []


class DoubtsLate(OtherPaths):
    """The telephone of LateToDoubt."""

    paths_kind = Trusting


class LateToDoubt(ClientMutant):
    """Joins the room after 3 s of silence on the direct path."""

    id = "AGREE-13"
    telephone_kind = DoubtsLate


class Stubborn(Paths):
    """The paths of StaysBehind."""

    def _after_it(self, now: float) -> list[Effect]:
        self._relay_heard = float("-inf")
        return super()._after_it(now)


class NeverFollows(OtherPaths):
    """The telephone of StaysBehind."""

    paths_kind = Stubborn


class StaysBehind(ClientMutant):
    """Does not follow a peer that it hears through the relay."""

    id = "AGREE-14"
    telephone_kind = NeverFollows


class WaitsForAWord(Paths):
    """The paths of BothWait."""

    def _after_it(self, now: float) -> list[Effect]:
        return super()._after_it(now) if self._relay_heard > self._direct_heard else []


class FollowsWords(OtherPaths):
    """The telephone of BothWait."""

    paths_kind = WaitsForAWord


class BothWait(ClientMutant):
    """Stays on a silent direct path although its peer is in the room."""

    id = "AGREE-15"
    telephone_kind = FollowsWords


class WaitsForTheWord(Paths):
    """The paths of OnlyReports."""

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Hear the other end, and go on waiting for its report."""
        return [] if self.path is None and leg >= FIRST_DIRECT else super().heard(leg, now)


class InNoHurry(OtherPaths):
    """The telephone of OnlyReports."""

    paths_kind = WaitsForTheWord


class OnlyReports(ClientMutant):
    """Takes no direct path without a report, whoever speaks on it."""

    id = "AGREE-16"
    telephone_kind = InNoHurry


class BeginsAnew(Telephone):
    """The telephone of NewNumbers."""

    last: int | None = None

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Begin at nought when the path is another one."""
        leg = None if self.paths is None else self.paths.out
        if self.call is not None and leg is not None:
            if self.last is not None and (self.last == Leg.MEDIA) != (leg == Leg.MEDIA):
                self.call.sender = Sender()
            self.last = leg
        return super().speak(payload)


class NewNumbers(ClientMutant):
    """Counts its datagrams anew on another path."""

    id = "MEDIA-31"
    telephone_kind = BeginsAnew


class FallsSilent(Telephone):
    """The telephone of MuteIsSilent."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send nothing where there is nothing to say."""
        effects = super().speak(payload)
        return effects if payload is not None else []


class MuteIsSilent(ClientMutant):
    """Sends nothing on the direct path while it has no audio."""

    id = "MEDIA-33"
    telephone_kind = FallsSilent


class IntroducesItself(ClientMutant):
    """Says something on a direct path, where media alone is carried."""

    id = "MEDIA-32"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Take the other end for a room."""
        effects = super().connected(leg, fingerprint, now)
        if leg >= FIRST_DIRECT and not any(isinstance(one, Close) and one.session == leg for one in effects):
            return [*effects, Send(leg, Ping(timestamp_ms=0))]
        return effects


MUTANTS: list[type[ClientMutant]] = [
    SilentWithoutAttempt,
    WishfulReading,
    WaitsLong,
    AnyReport,
    NotYet,
    SpeaksFirst,
    KeepsBoth,
    StaysDirect,
    LateToDoubt,
    StaysBehind,
    BothWait,
    OnlyReports,
    NewNumbers,
    IntroducesItself,
    MuteIsSilent,
]
