"""Archive: the records of the failing checks of a run, each in a folder of its own beside the results.

Rules of this file: so many failures are recorded and no more, and of every other it is said; that a record
cannot be written changes no verdict.
"""

from __future__ import annotations

from pathlib import Path

from conformance.checking import Check, catalogue
from conformance.dialogue import Dialogue
from conformance.record import Recorder

RECORDS = 20
"""Failing checks that a run records."""


class Archive:
    """Where a run keeps its records; nowhere without a folder."""

    def __init__(self, out: Path | None = None) -> None:
        """Begin with nothing recorded."""
        self._out = out
        self._kept = 0

    def recorder(self, *, logs: bool) -> Recorder | None:
        """Return what records one performance of a check, if it would be kept."""
        return None if self._out is None or self._kept >= RECORDS else Recorder(logs=logs)

    def keep(self, check: Check, recorder: Recorder | None, dialogue: Dialogue) -> tuple[str, str]:
        """Write a record; return its folder, beside the results, and a sentence about what it lacks."""
        if self._out is None:
            return "", ""
        if recorder is None:
            return "", f"not recorded: a run records {RECORDS} failures, and these have been"
        if not recorder.seen:
            return "", "not recorded: the check rests on what was seen in the performance of another one"
        folder = self._out / place(check)
        try:
            _clear(folder)
            lacks = recorder.write(folder, dialogue)
        except OSError as error:
            return "", f"not recorded: {error.filename or folder.name}: {error.strerror}"
        self._kept += 1
        if not recorder.logs:
            lacks = "; ".join(filter(None, (lacks, "no qlog is kept of a check's first performance")))
        return folder.name, lacks


def place(check: Check) -> str:
    """Return the name of a check's folder: its id, with a number behind it from the id's second check on."""
    names = [one.name for one in catalogue(check.role) if one.id == check.id]
    number = names.index(check.name) + 1 if check.name in names else 1
    return check.id if number == 1 else f"{check.id}-{number}"


def _clear(folder: Path) -> None:
    """Take away the qlogs of an earlier run: they may be of people who are not there any more."""
    for old in folder.glob("*.qlog"):
        old.unlink()
