"""Ending: a tool that is interrupted, or that the system refuses something, ends with one line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.processes import ROOT

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of what ctrl-C has ended, as shells give it."""


@contextmanager
def ending(tool: str) -> Iterator[None]:
    """End the tool of this name with 130 when it is interrupted, with 1 when a file is refused."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"{tool}: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:
        sys.exit(f"{tool}: cannot go on: {refusal(error)}")


def refusal(error: OSError) -> str:
    """Say which file or folder the system refused, and why."""
    name, why = error.filename, (error.strerror or str(error)).lower()
    if name is None:
        return why
    place = Path(name)
    return f"{place.relative_to(ROOT) if place.is_relative_to(ROOT) else place}: {why}"
