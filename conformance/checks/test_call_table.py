"""Checks of spec/call.md: its whole table, cell by cell, and in dialogues that are drawn."""

from __future__ import annotations

import asyncio

from conformance import exploration, model
from conformance.checking import TABLE, check
from conformance.stage import Stage
from conformance.verdicts import Deviation


@check(TABLE)
async def test_the_whole_table(stage: Stage) -> None:
    """Every event in every state by every sender; each must have what the table says and nothing else."""
    cells = model.cells(stage.phase)
    shares = [cells[first :: model.AT_ONCE] for first in range(model.AT_ONCE)]
    troupes = [model.Troupe(stage, number) for number in range(model.AT_ONCE)]
    told = await asyncio.gather(*(one.play(share) for one, share in zip(troupes, shares, strict=True)))
    faults = [fault for those in told for fault in those]
    if faults:
        more = f"; {len(faults) - 1} more of {len(cells)} cells differ" if len(faults) > 1 else ""
        message = f"{'; '.join(faults[:8])}{more}"
        raise Deviation(message)


@check("CALL-PLANS")
async def test_the_table_holds_in_every_dialogue(stage: Stage) -> None:
    """Many drawn dialogues are performed: calls that run into each other, strangers, double answers, faults.

    Everybody must hear what the table of spec/call.md says, and nothing else.
    """
    await exploration.holds(stage, "table")
