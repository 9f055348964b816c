"""Mutants of spec/agreement.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core.call import TRANSITIONS, UNANSWERED, By, Event, Row, Says, State
from reference.core.calls import Calls
from tests.mutants import breaks

if TYPE_CHECKING:
    from reference.core.effects import Effect
    from reference.core.messages import MediaPathReport


@breaks("AGREE-1", "CALL-TABLE")
def report_stops_here() -> None:
    """Forwards no MediaPathReport."""
    for by in (By.CALLER, By.CALLEE):
        TRANSITIONS[State.ACTIVE, Event.REPORT, by] = Row(State.ACTIVE)


@breaks("AGREE-17")
def every_report() -> None:
    """Forwards each MediaPathReport of a party, however many there are."""
    honest = Calls.media_path_report

    def report(self: Calls, sender: str, message: MediaPathReport, size: int) -> list[Effect]:
        call = self.registry.get(message.call_id)
        if call is not None:
            call.reported.clear()
        return honest(self, sender, message, size)

    Calls.media_path_report = report


@breaks("AGREE-2", "CALL-TABLE")
def anybody_reports() -> None:
    """Forwards the MediaPathReport of a third party to the callee."""
    honest = Calls.media_path_report

    def report(self: Calls, sender: str, message: MediaPathReport, size: int) -> list[Effect]:
        call = self.registry.get(message.call_id)
        stranger = call is not None and call.side(sender) is None
        return honest(self, call.caller if stranger else sender, message, size)

    Calls.media_path_report = report


@breaks("AGREE-3", "CALL-TABLE")
def reports_at_any_time() -> None:
    """Forwards a MediaPathReport for a call that has not been answered."""
    for state in UNANSWERED:
        TRANSITIONS[state, Event.REPORT, By.CALLER] = Row(state, (), (Says.REPORT,))
        TRANSITIONS[state, Event.REPORT, By.CALLEE] = Row(state, (Says.REPORT,))


@breaks("AGREE-4")
def large_reports() -> None:
    """Forwards a MediaPathReport of any size."""
    honest = Calls.media_path_report
    Calls.media_path_report = lambda self, sender, message, size: honest(self, sender, message, 0)
