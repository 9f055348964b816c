"""What the unit tests say at their end besides passed and failed."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many combinations of phases the time machine played (tests/unit/test_time_machine.py)."""
    played = sum(
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == "combinations" and getattr(report, "when", "") == "call"
    )
    if played:
        terminalreporter.write_line(f"time machine: {played:,} combinations of phases played")
