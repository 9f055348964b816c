"""Tests of conformance/targets.py: which relay stands for an older one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance import spec
from conformance.targets import OLDEST, Target
from conformance.verdicts import Exit, TargetFaultError, Unsupported

NOWHERE = "udp:127.0.0.1:9"
RELAY = """
import json, signal, sys
phase = sys.argv[sys.argv.index("--phase") + 1] if "--phase" in sys.argv else ""
ready = {{"addr": "127.0.0.1:9"}}
if {says} and phase:
    ready["phase"] = {phase!r} or phase
print(json.dumps({{"ready": ready}}), flush=True)
signal.pause()
"""


@pytest.fixture
def relay(tmp_path: Path) -> Callable[..., str]:
    """Return a maker of targets: relays that do nothing but say their phase, or another, or leave it out."""

    def make(*, says: bool, options: str = "{options}", phase: str = "") -> str:
        path = tmp_path / "relay.py"
        path.write_text(RELAY.format(says=says, phase=phase), encoding="utf-8")
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


@pytest.mark.parametrize(
    ("options", "advice"),
    [("{options}", "obey the --phase 7"), ("--phase 5.5", "take --phase with {options}")],
)
def test_a_relay_of_another_phase_is_not_judged(relay: Callable[..., str], options: str, advice: str) -> None:
    """A relay that says that it is of another phase is refused, with what to do about it."""
    with Target(relay(says=True, phase="5.5", options=options)) as target:
        with pytest.raises(TargetFaultError, match=r"say --phase 5\.5, or") as refused:
            target.relay("signed")
        assert Exit.NOT_JUDGED == refused.value.status
        assert advice in str(refused.value)


def test_a_relay_of_no_phase_is_not_judged(relay: Callable[..., str]) -> None:
    """A relay that says something else where its phase was expected is quoted."""
    with (
        Target(relay(says=True, phase="newest")) as target,
        pytest.raises(TargetFaultError, match="phase 'newest', and phase 7 is judged: let it obey"),
    ):
        target.relay("signed")


def test_who_was_started_as_told_is_not_advised_to_be_started_so(relay: Callable[..., str]) -> None:
    """A relay that was told to be open, and says that it is not, is asked to obey or to say that it did."""
    with Target(relay(says=False)) as target:
        assert "open" == target.relay("open").policy
    closed = relay(says=False, options="")
    with Target(closed) as target, pytest.raises(Unsupported, match=r"start yours with \{options\}"):
        target.relay("open")


def test_a_relay_that_says_nothing_of_draining_is_not_judged_by_it(relay: Callable[..., str]) -> None:
    """A relay may ignore the option that lets it drain; unless it says that it obeyed, nothing is judged."""
    with Target(relay(says=True)) as target:
        target.start("signed", "draining")
        for _ in range(2):
            with pytest.raises(Unsupported, match="takes --drain: its ready line does not say so"):
                target.relay("draining")
        assert "" == target.died()


@pytest.mark.parametrize("target", [NOWHERE, "exec:true"])
def test_who_cannot_be_told_to_drain_is_not_judged_by_it(target: str) -> None:
    """Without options there is no relay that drains, and none is started."""
    with Target(target) as here, pytest.raises(Unsupported, match=r"start yours with \{options\}"):
        here.relay("draining")


def test_a_relay_that_does_not_know_an_option_is_judged_all_the_same(tmp_path: Path) -> None:
    """One that ends because it does not know --drain has not died: what needs it is unsupported."""
    path = tmp_path / "relay.py"
    strict = 'import sys\nif "--drain" in sys.argv:\n    sys.exit("relay: --drain: no such option")\n'
    path.write_text(strict + RELAY.format(says=False, phase=""), encoding="utf-8")
    with Target(f"exec:{sys.executable} {path} {{options}}") as target:
        target.start("signed", "draining")
        with pytest.raises(Unsupported, match="no such option"):
            target.relay("draining")
        assert ("", "signed") == (target.died(), target.relay("signed").policy)
