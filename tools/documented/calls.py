"""Calls: holds what a page shows of one call against itself, so that nothing of it is of another call.

Rules of this file: the times of one command never go back; a call lasts as long as the command that placed it
says (`--duration`), at both ends and at the relay; who speaks sends a packet each 20 ms (decision 0018).
Only the page is read, and no clock: how long anything takes when the page is run does not matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tools.documented.blocks import MAIN, Block, PageError, blocks

CLOCKS = (
    re.compile(r"^ +(?P<seconds>\d+\.\d{3})  \S"),
    re.compile(r'"at": (?P<seconds>\d+\.\d+)'),
    re.compile(r"^(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z "),
)
"""How lines tell their time: people read the first, programs the second, the relay's log has the third."""
DURATION = re.compile(r"\bclient call\b.*--duration (?P<seconds>\d+(?:\.\d+)?)", re.DOTALL)
BEGINS = re.compile(r"  talking to |\] call\.accept ")
ENDS = re.compile(r"  the call is over: |\] call\.hangup ")
PACKETS = re.compile(r"\(sent (?P<sent>\d+), received (?P<received>\d+), lost (?P<lost>\d+) packets\)")
PACE = 0.02
"""Seconds from one packet of who speaks to the next (spec/media.md)."""
SILENCE = 5
"""As many packets may come from who says nothing: signs of life."""
FEW = 10
"""As many packets may be on their way, or before the first sound."""
SOON = 0.5
"""Seconds from the end of a call at one side to that at another, and from its set-up."""


@dataclass
class Teller:
    """The command of one terminal: the last time that it told, and when the call began of which it tells."""

    told: float = 0.0
    began: float | None = None


@dataclass
class Story:
    """What a page has told so far: by whom, and how long the last call was to be, in seconds."""

    tellers: dict[str, Teller] = field(default_factory=dict)
    lasts: float | None = None

    def block(self, block: Block) -> Iterator[tuple[int, str]]:
        """Take in a block; yield the number of each line that does not fit, and why."""
        for part in block.parts():
            if part.command is not None:
                self.tellers[block.terminal] = Teller()
                asked = DURATION.search(part.command)
                self.lasts = float(asked["seconds"]) if asked else self.lasts
            teller = self.tellers.setdefault(block.terminal, Teller())
            for number, line in enumerate(part.lines, part.line):
                yield from ((number, fault) for fault in self._line(teller, line))

    def _line(self, teller: Teller, line: str) -> Iterator[str]:
        now = clock(line)
        if now is None:
            return
        if now < teller.told:
            yield "the time is before that of the line above"
        teller.told = now
        if BEGINS.search(line):
            teller.began = now
        elif ENDS.search(line) and teller.began is not None:
            yield from self._over(now - teller.began, line)
            teller.began = None

    def _over(self, seconds: float, line: str) -> Iterator[str]:
        if self.lasts is not None and abs(seconds - self.lasts) > SOON:
            yield f"this call of {seconds:.3f} s was placed for {self.lasts:g} s"
        packets = PACKETS.search(line)
        for what in ("sent", "received") if packets else ():
            count = int(packets[what]) if packets else 0
            if count > SILENCE and abs(count - seconds / PACE) > FEW:
                yield f"{what} {count} packets in {seconds:.3f} s: one each 20 ms are {seconds / PACE:.0f}"


def clock(line: str) -> float | None:
    """Return the seconds that a line tells, of a start or of the calendar; None where it tells no time."""
    for form in CLOCKS:
        found = form.search(line)
        if found and "instant" in form.groupindex:
            return datetime.fromisoformat(f"{found['instant']}+00:00").timestamp()
        if found:
            return float(found["seconds"])
    return None


def held(path: str, text: str) -> None:
    """Hold what a page shows of each call against itself; raises PageError with the line that is at fault."""
    story = Story({MAIN: Teller()})
    for block in blocks(path, text):
        for number, fault in story.block(block) if block.language == "console" else ():
            shown = text.splitlines()[number - 1].strip()
            raise PageError(f"{path}:{number}: {shown}\nthis is of another call: {fault}")
