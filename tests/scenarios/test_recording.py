"""A recording is made again: real programs, traced, say what is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.recording import order, traced
from tools.recording.dialogue import Reading
from tools.recording.made import FOLDER, Record, load
from tools.recording.scenes import BY_NAME, play

Said = dict[tuple[str, str], list[tuple[str, dict[str, Any]]]]


def said(record: Record) -> Said:
    """Return who said what to whom, in order, without the times."""
    found: Said = {}
    for row in record["rows"]:
        if row["kind"] == "message":
            found.setdefault((row["from"], row["to"]), []).append((row["name"], row["members"]))
    return found


def test_a_call_is_recorded_again(tmp_path: Path) -> None:
    """The direct call, played anew, has the messages of its record, member by member, and is as sound."""
    scene = BY_NAME["direct-call"]
    play(scene, tmp_path)
    reading = Reading(scene, tmp_path)
    assert reading.dialer in {"caller", "callee"}
    again = reading.record()
    assert [] == order.faults(again)
    assert said(load(FOLDER / "direct-call.json")) == said(again)


@pytest.mark.parametrize("words", [[], [""], ["x"], ["x", "python", "reference.relay"]])
def test_a_trace_needs_a_command(words: list[str]) -> None:
    """What cannot be traced is told, and nothing is begun."""
    with pytest.raises(SystemExit, match="traced: say FILE"):
        traced.main(words)
    assert not Path("x").exists()
