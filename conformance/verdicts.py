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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a check expected and what came instead, in words; whatever is not known is left out.

    `who` is a name of the dialogue. `missing` is what never came to them and `seen` what came, each as a
    step of the dialogue says it: a message, or a close as {"close": code}. `plan` is the file of a plan that
    shows it, beside the results.
    """

    who: str = ""
    expected: str = ""
    received: str = ""
    missing: Any = None
    seen: Any = None
    plan: str = ""


class Deviation(AssertionError):  # noqa: N818 - named for what it is
    """The implementation did not do what the sentence asks for."""

    def __init__(self, sentence: str, evidence: Evidence | None = None) -> None:
        """Say what is wrong, and what shows it."""
        super().__init__(sentence)
        self.evidence = evidence or Evidence()


class Untestable(Exception):  # noqa: N818 - named for the verdict
    """The state that the check starts from was not reached."""

    def __init__(self, sentence: str, evidence: Evidence | None = None) -> None:
        """Say what did not come about, and what shows it."""
        super().__init__(sentence)
        self.evidence = evidence or Evidence()


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
    """What became of one check: its verdict, why, and the dialogue it rests on.

    `step` is the place in the dialogue of what shows it, None where no single step does. `plan` is the
    file, beside the results, of a dialogue that can be replayed. `rests_on` is `observed` when the wire
    showed it and `reported` when an adapter said so. `text` says what is sent and what a pass looks like.
    A check that failed was `performed` several times, of which it did not pass `failed` times; `causes` are
    the messages of its failures. `record` is the folder, beside the results, of what passed on the wire, and
    `record_note` says what that lacks, or why there is none.
    """

    id: str
    name: str
    verdict: Verdict
    message: str = ""
    seconds: float = 0.0
    dialogue: tuple[dict[str, Any], ...] = field(default=())
    error: BaseException | None = None
    expected: str = ""
    received: str = ""
    step: int | None = None
    plan: str = ""
    rests_on: str = "observed"
    text: str = ""
    performed: int = 1
    failed: int = 0
    causes: tuple[str, ...] = ()
    record: str = ""
    record_note: str = ""

    @property
    def flaky(self) -> bool:
        """Whether the check failed some times, and not each time."""
        return 0 < self.failed < self.performed


def times(failed: int, performed: int) -> str:
    """Return how often a check failed, in words."""
    return f"failed {failed} of {performed} times"


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict that speaks for all of these; raises ValueError when there are none."""
    return min(verdicts, key=SEVERITY.index)
