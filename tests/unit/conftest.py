"""What the tests of the client's rules are given, and what the unit tests say at their end."""

from __future__ import annotations

import pytest

from reference.core.client import ClientCore
from reference.core.phases import NEWEST
from tests.mutants.client_base import Parts
from tests.world import World


@pytest.fixture
def world() -> World:
    """Return an empty world."""
    return World(ClientCore, phase=NEWEST)


@pytest.fixture
def parts() -> Parts:
    """Return what a client has beside its machine."""
    return Parts()


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
