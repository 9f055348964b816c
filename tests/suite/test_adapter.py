"""Tests of the smallest adapter, which a page of the documentation shows."""

from __future__ import annotations

import sys
from pathlib import Path

from conformance import adapter_check, runner
from conformance.clients import ClientTarget
from conformance.runner import Order
from conformance.verdicts import Exit, Verdict

SHOWN = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "examples" / "adapter.py"
TARGET = f"exec:{sys.executable} {SHOWN}"
LONGEST = 60
"""Lines, blank ones not counted: whoever writes an adapter is not to write more than that."""


def test_it_is_short() -> None:
    """The whole program fits on a page."""
    lines = [line for line in SHOWN.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LONGEST


def test_it_keeps_to_the_protocol() -> None:
    """Every probe of `adapter check` finds it good."""
    found: list[adapter_check.Found] = []
    assert Exit.PASSED == adapter_check.run(ClientTarget(TARGET), slow=1.0, told=found.append), found
    assert len(adapter_check.PROBES) == len(found)


def test_a_client_is_judged_through_it() -> None:
    """What needs no feature is judged and holds; what needs one is unsupported, and that is no failure."""
    done = runner.perform(Order(TARGET, only=("REG-1", "CALL-39", "SEC-2"), role="client"))
    assert Exit.PASSED == done.exit_status, done.fault
    verdicts = {one.id: one.verdict for one in done.outcomes}
    assert {"REG-1": Verdict.PASS, "CALL-39": Verdict.PASS, "SEC-2": Verdict.UNSUPPORTED} == verdicts
