"""The suite's speed: drawn dialogues a second before the reference, and the time of a whole verdict.

Rules of this file: both are as a run of the suite does them, the suite in one process and the relay in
another; drawing, predicting and judging count, and so do the handshakes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import process
from bench.process import BenchError
from bench.report import Report, Row, Verdict
from bench.scenario import Size
from conformance import drawing, spec
from conformance.exploration import Explorer
from conformance.seats import Company
from conformance.targets import LIMITS

SECOND = 100.0
"""Dialogues a second that are asked for on two processors."""
VERDICT = 60.0
"""Seconds that a verdict on a relay may take on two processors."""
SEED = 4
_GIVEN_UP = 180.0


@dataclass(frozen=True, slots=True)
class Speed:
    """Dialogues, their steps, the seconds they took, how many show something; the seconds of a verdict."""

    dialogues: int
    steps: int
    seconds: float
    shown: int
    verdict: float


async def measured(size: Size, out: Path, told: Callable[[str, int, int], None]) -> Speed:
    """Perform many dialogues, and judge the reference; raises BenchError when the suite could not judge."""
    async with process.relay("dialogues", out, "--log-level", "error") as relay:
        company = Company(relay.address, "bench", phase=spec.NEWEST, slow=1.0, limits=LIMITS)
        try:
            began = time.monotonic()
            plans = drawing.drawn(size.dialogues, SEED)
            shown, stuck = await Explorer(company, "bench").explore(plans)
            seconds = time.monotonic() - began
        finally:
            company.close()
    told("suite", 1, 2)
    steps = sum(len(beat) for plan in plans for beat in plan.beats)
    verdict = await _verdict(size, out)
    told("suite", 1, 2)
    return Speed(len(plans), steps, seconds, len(shown) + len(stuck), verdict)


async def _verdict(size: Size, out: Path) -> float:
    """Return the seconds of a verdict on the reference."""
    only = [word for selector in size.judged for word in ("--only", selector)]
    command = ("-m", "conformance", "run", "--target", "ref:", "--out", str(out / "verdict"), *only)
    began = time.monotonic()
    with (out / "verdict.log").open("wb") as log:
        done = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=process.ROOT, stdout=log, stderr=log
        )
        try:
            status = await asyncio.wait_for(done.wait(), _GIVEN_UP)
        except TimeoutError:
            done.terminate()
            status = await done.wait()
    if status != 0:
        raise BenchError(f"the verdict on the reference ended with status {status}: see verdict.log")
    return time.monotonic() - began


def rows(report: Report, speed: Speed, size: Size) -> None:
    """Add what was measured to the report."""
    report.rows += [
        Row("suite: dialogues", speed.dialogues / speed.seconds, "/s", "asked for", SECOND),
        Row("suite: steps of a dialogue", speed.steps / speed.dialogues, ""),
        Row(
            f"suite: verdict on {'a relay' if not size.judged else ' '.join(size.judged)}",
            speed.verdict,
            "s",
            "allowed",
            VERDICT,
        ),
    ]
    evidence = f"{speed.dialogues} before the reference, {speed.shown} of them show something"
    report.verdicts.append(Verdict("dialogues", speed.shown == 0, evidence))
