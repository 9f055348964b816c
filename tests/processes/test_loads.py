"""The programs that load relays and that misbehave (bench/soak.py, bench/abuse.py), each for a moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.abuse import abused
from bench.offender import Kind
from bench.soak import Sample, soaked


def test_a_moment_of_soak_leaves_nothing_unexplained(tmp_path: Path) -> None:
    """Calls within and between two relays, and people who come and go, explain all that was counted."""
    told: list[Sample] = []
    found = asyncio.run(soaked(1.0, 1, 1, tmp_path, told.append))
    assert [] == [account for account in found.accounts if not account.holds]
    assert [] == [verdict for verdict in found.verdicts if not verdict.holds]
    assert 0 < told[-1].calls
    assert 0 < told[-1].datagrams


def test_an_offender_is_a_process_beside_a_call_of_others(tmp_path: Path) -> None:
    """It waits until it is let loose, and what it did, how it ended and what was counted is told."""
    (case,) = asyncio.run(abused([Kind.STRANGERS], 0.2, tmp_path, print))
    assert 0 < case.done
    assert {"NOT_ADMITTED"} == set(case.ended)
    assert {"connections_closed/not_admitted", "refusals/room/not admitted"} == set(case.odd)
    assert case.beside.sent == case.beside.heard
    assert case.beside.set_up
