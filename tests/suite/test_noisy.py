"""Tests of relays that flood, send garbage, or whose clock jumps: each is judged to the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance import runner
from conformance.report import Run
from conformance.runner import Order
from conformance.verdicts import RED, Exit

NOISY = Path(__file__).with_name("noisy.py")


def judged(habit: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Judge the relay with this habit by a few requirements; the run has to come to its end."""
    monkeypatch.setenv("PYTHONPATH", str(NOISY.parents[2]))
    target = f"exec:{sys.executable} {NOISY} {habit} {{options}}"
    done = runner.perform(Order(target, only=("REG-20", "CALL-28")))
    assert (True, "") == (done.complete, done.fault)
    return done


@pytest.mark.parametrize("habit", ["garbage", "flood"])
def test_noise_is_a_failure(habit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that answers garbage, or far more than was asked, fails where its answers are judged."""
    done = judged(habit, monkeypatch)
    assert Exit.FAILED == done.exit_status
    assert "REG-20" in {one.id for one in done.outcomes if one.verdict in RED}


def test_a_clock_that_jumps_is_the_relays_own_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it survives the jumps or closes connections too early, the suite has a verdict."""
    assert judged("clock", monkeypatch).exit_status in (Exit.PASSED, Exit.FAILED)
