"""The loop that carries the audio of a call."""

from __future__ import annotations

from reference.talk import AudioPlan, Talk
from tests.loopback.conftest import run


def test_a_second_start_does_nothing() -> None:
    """When a room is joined again the loop goes on as it is, and its end ends it."""

    async def scenario() -> None:
        spoken: list[bytes | None] = []
        failed: list[str] = []
        talk = Talk(AudioPlan(), spoken.append, failed.append)
        talk.start()
        timer = talk._timer
        assert timer is not None
        talk.start()
        assert timer is talk._timer
        talk.close()
        assert timer.cancelled()
        before = len(spoken)
        talk._turn()
        assert (before, timer, []) == (len(spoken), talk._timer, failed)

    run(scenario())
