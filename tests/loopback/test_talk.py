"""The loop that carries the audio of a call."""

from __future__ import annotations

import pytest

from reference import opus
from reference.core.media import Codec, Header
from reference.talk import AudioPlan, Talk
from tests.loopback.conftest import run


def test_a_second_start_does_nothing() -> None:
    """When a room is joined again the loop goes on as it is, and its end ends it."""

    async def scenario() -> None:
        spoken: list[bytes | None] = []
        failed: list[str] = []
        talk = Talk(AudioPlan(), spoken.append, failed.append)
        talk.start()
        timer = talk._pace._timer
        assert timer is not None
        talk.start()
        assert timer is talk._pace._timer
        talk.close()
        assert timer.cancelled()
        assert ([None], []) == (spoken, failed)

    run(scenario())


def test_the_silence_at_the_end_is_counted_in_turns() -> None:
    """It runs from the last datagram that came, of sound or of comfort noise, and not from the beginning."""

    async def scenario() -> None:
        talk = Talk(AudioPlan(), lambda _: None, lambda _: None)
        talk.prepare()
        for turn in range(400):
            if turn == 200:
                talk.hear(Header(codec=Codec.COMFORT_NOISE, sequence=1, timestamp=20).encode() + b"2")
            talk._turn()
        assert {"sent": 0, "received": 1, "lost": 0, "unheard": 4.0} == talk.close()

    run(scenario())


def test_a_call_without_sound_needs_no_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends nothing and keeps nothing of what is heard loads no codec: the first time it takes long."""
    loaded: list[str] = []
    monkeypatch.setattr(opus, "library", loaded.append)

    async def scenario() -> None:
        spoken: list[bytes | None] = []
        failed: list[str] = []
        talk = Talk(AudioPlan(), spoken.append, failed.append)
        talk.start()
        talk.hear(Header(codec=Codec.OPUS_24K, sequence=1, timestamp=20).encode() + b"sound")
        assert ([None], [], 1) == (spoken, failed, talk.playout.received)
        talk.close()

    run(scenario())
    assert [] == loaded


def test_a_talk_that_is_over_does_not_start() -> None:
    """A call that ended before its first word opens nothing any more."""

    async def scenario() -> None:
        spoken: list[bytes | None] = []
        talk = Talk(AudioPlan("mic"), spoken.append, lambda _: None)
        talk.close()
        talk.prepare()
        talk.start()
        assert ([], False, False) == (spoken, talk._pace.started, talk.ready)

    run(scenario())


@pytest.mark.parametrize(("delay", "held"), [(20, 1), (60, 3), (400, 20)])
def test_sound_is_held_back_as_long_as_is_asked_for(delay: int, held: int) -> None:
    """Playing begins with the packet that fills the delay, so what is late by less than it is heard."""

    async def scenario() -> None:
        talk = Talk(AudioPlan(playout_delay=delay), lambda _: None, lambda _: None)
        for number in range(1, held + 1):
            assert not talk.playout.take().started
            talk.hear(
                Header(codec=Codec.OPUS_24K, sequence=number, timestamp=20 * number).encode() + b"sound"
            )
        assert b"sound" == talk.playout.take().payload
        talk.close()

    run(scenario())
