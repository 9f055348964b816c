"""Memory of a relay: what is loaded is searched once, and a crowd's is given back once most have gone."""

from __future__ import annotations

import asyncio
import gc

import pytest

from reference import memory
from reference.memory import CROWD, Crowd


def test_what_is_loaded_is_not_searched_again() -> None:
    """A search for circles looks at what was made after the settling, and not at what was there before."""
    before = gc.get_freeze_count()
    try:
        memory.settle()
        later = [object()]
        searched = {id(each) for each in gc.get_objects()}
        assert before + 1_000 < gc.get_freeze_count()
        assert [True, False] == [id(each) in searched for each in (later, vars(memory))]
    finally:
        gc.unfreeze()


@pytest.mark.parametrize(
    ("most", "left", "times"), [(CROWD, CROWD // 4, 1), (CROWD, CROWD // 2, 0), (CROWD - 1, 0, 0)]
)
def test_memory_is_given_back_when_three_of_four_have_gone(
    most: int, left: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd's memory is given back once, a while after three of four have gone; fewer are no crowd."""

    async def test() -> None:
        asked: list[float] = []
        monkeypatch.setattr(
            asyncio.get_running_loop(),
            "call_later",
            lambda seconds, _what: asked.append(seconds),
            raising=False,
        )
        crowd = Crowd()
        for still in range(most, left - 1, -1):
            crowd.left(still)
        monkeypatch.undo()
        assert times * [memory.CLOSING] == asked

    asyncio.run(test())
