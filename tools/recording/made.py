"""Made: what every record says of itself: how it was made, on which day, and on which machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tools.processes import ROOT

Record = dict[str, Any]
"""What a file holds: JSON values."""

FOLDER = ROOT / "docs" / "dialogues"
LINE = 110
MEMBERS = ("command", "date", "machine")
_PROCESSORS = Path("/proc/cpuinfo")


class RecordError(Exception):
    """A record cannot be made, or is none; the text says which and why."""


def machine() -> str:
    """Return what a reader may want to know of this machine, in one line, and nothing that names it."""
    system = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    count = os.cpu_count() or 1
    processors = f"{count} {'processor' if count == 1 else 'processors'}"
    return ", ".join(filter(None, (python, system, platform.machine(), _model(), processors)))


def _model() -> str:
    """Return the name of the processor as Linux knows it, or nothing."""
    try:
        lines = _PROCESSORS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "")


def made(command: str) -> Record:
    """Return how a record is made: the command that makes it again, the day, the machine."""
    return {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
    }


def said(how: Mapping[str, str]) -> str:
    """Return the sentences that stand above everything that is made from a record."""
    return f"Made by `{how['command']}` on {how['date']}.\nThe machine: {how['machine']}."


def write(path: Path, record: Record) -> None:
    """Write a record so that a change of one time is a change of one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"{text(record)}\n".encode())


def text(value: object, depth: int = 0) -> str:
    """Return JSON in which whatever fits on a line stands on one."""
    short = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or (depth and len(short) + depth <= LINE):
        return short
    inner = " " * (depth + 1)
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {text(one, depth + 1)}" for name, one in value.items()]
        opened, closed = "{}"
    else:
        parts = [text(one, depth + 1) for one in value]
        opened, closed = "[]"
    joined = ",\n".join(f"{inner}{part}" for part in parts)
    return f"{opened}\n{joined}\n{' ' * depth}{closed}"


def load(path: Path) -> Record:
    """Return a record; raises RecordError when there is none, or one that does not say how it was made."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path.name}: {error}") from error
    how = found.get("made") if isinstance(found, dict) else None
    if not isinstance(how, dict) or not all(isinstance(how.get(name), str) for name in MEMBERS):
        raise RecordError(f"{path.name} does not say how it was made: it has no {', '.join(MEMBERS)}")
    record: Record = found
    return record
