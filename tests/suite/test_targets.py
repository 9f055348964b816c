"""Tests of conformance/targets.py: which relay stands for an older one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import spec
from conformance.targets import OLDEST, Target
from conformance.verdicts import Unsupported

NOWHERE = "udp:127.0.0.1:9"
RELAY = """
import json, signal, sys
phase = sys.argv[sys.argv.index("--phase") + 1] if "--phase" in sys.argv else "none"
ready = {{"addr": "127.0.0.1:9"}}
if {says}:
    ready["phase"] = phase
print(json.dumps({{"ready": ready}}), flush=True)
signal.pause()
"""


@pytest.fixture
def relay(tmp_path: Path) -> Callable[..., str]:
    """Return a maker of targets: relays that do nothing but say their phase, or leave it out."""

    def make(*, says: bool, options: str = "{options}") -> str:
        path = tmp_path / "relay.py"
        path.write_text(RELAY.format(says=says), encoding="utf-8")
        return f"exec:{sys.executable} {path} {options}"

    return make


@pytest.mark.parametrize("phase", ["0", "1", "3", "5.5"])
def test_a_relay_that_misses_a_message_is_an_older_one_itself(phase: str) -> None:
    """Where a message is younger than the phase judged, the relay under test is the one that is asked."""
    assert phase == Target(NOWHERE, phase=phase).relay("older").phase


@pytest.mark.parametrize("phase", ["6", "7"])
def test_a_running_relay_has_no_older_one(phase: str) -> None:
    """A relay that the suite cannot start with options is not judged as an older one."""
    with pytest.raises(Unsupported):
        Target(NOWHERE, phase=phase).relay("older")


def test_an_older_relay_is_started(relay: Callable[..., str]) -> None:
    """A relay that takes options is started as one of the oldest phase, beside the one that is judged."""
    with Target(relay(says=True)) as target:
        target.start("signed", "older")
        assert (spec.NEWEST, OLDEST) == (target.relay("signed").phase, target.relay("older").phase)
        assert OLDEST == target.relay("older").ready["phase"]


def test_a_relay_of_one_phase_is_not_taken_for_an_older_one(relay: Callable[..., str]) -> None:
    """A relay may ignore the option that names a phase; unless it says that it obeyed, nothing is judged."""
    with Target(relay(says=False)) as target, pytest.raises(Unsupported, match="ready line"):
        target.relay("older")


def test_a_relay_without_options_is_not_started_twice(relay: Callable[..., str]) -> None:
    """A command that takes no options gives one relay, and none that is older."""
    with Target(relay(says=True, options="")) as target:
        target.start("signed", "older", "open")
        assert spec.NEWEST == target.relay("signed").phase
        with pytest.raises(Unsupported):
            target.relay("older")
