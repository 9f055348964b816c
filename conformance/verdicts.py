"""Verdicts: what a check can end in, the exceptions that say so, and the exit statuses.

A check passes by returning. Everything else is raised, and the class says whose fault it is:

    Deviation      the implementation broke the sentence under test              fail
    Untestable     the precondition of the check was not observed                untestable
    Unsupported    the target does not offer what the check needs                unsupported
    Blocked        another requirement failed that this check stands on          blocked
    anything else  a defect of the suite                                         error
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a check says of its requirement."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    WARN = "warn"
    UNSUPPORTED = "unsupported"
    UNTESTABLE = "untestable"
    BLOCKED = "blocked"
    ERROR = "error"


# Of several checks of one requirement the worst speaks.
SEVERITY = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.UNTESTABLE,
    Verdict.BLOCKED,
    Verdict.WARN,
    Verdict.PASS,
    Verdict.UNSUPPORTED,
)
RED = frozenset({Verdict.FAIL, Verdict.UNTESTABLE, Verdict.BLOCKED})
"""Verdicts that keep a target from conforming."""


class Exit(IntEnum):
    """Exit statuses of the command."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    NOT_JUDGED = 3
    BROKE_PROTOCOL = 4
    STALE = 5


class Interruption:
    """Remembers that the run is to stop, even if the exception that says so is lost in a finalizer."""

    def __init__(self) -> None:
        """Start uninterrupted."""
        self.happened = False

    def handle(self, number: int, frame: object) -> None:
        """Be the handler of a signal."""
        del number, frame
        self.happened = True
        raise KeyboardInterrupt


INTERRUPTION = Interruption()


class Deviation(AssertionError):  # noqa: N818 - named for what it is
    """The implementation did not do what the sentence asks for."""


class Untestable(Exception):  # noqa: N818 - named for the verdict
    """The state that the check starts from was not reached."""


class Unsupported(Exception):  # noqa: N818 - named for the verdict
    """The target cannot be put into the configuration that the check needs."""


class Blocked(Exception):  # noqa: N818 - named for the verdict
    """A requirement that the check stands on is broken; its id comes first in the sentence."""


class TargetFaultError(Exception):
    """The target did not start, did not answer, or died: nothing more can be judged.

    `status` is the exit status that this leads to.
    """

    def __init__(self, sentence: str, status: Exit) -> None:
        """Say whose fault it was and what to do."""
        super().__init__(sentence)
        self.status = status


class UsageError(Exception):
    """The command was given something that it cannot act on."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check: its verdict, why, and the dialogue it rests on."""

    id: str
    name: str
    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    dialogue: tuple[dict[str, Any], ...] = field(default=())
    error: BaseException | None = None


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict that speaks for all of these; raises ValueError when there are none."""
    return min(verdicts, key=SEVERITY.index)
