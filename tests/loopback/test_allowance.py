"""What a client may say on a connection (spec/transport.md, TRANS-19): the rest waits, and none is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aioquic.quic.events import HandshakeCompleted

from reference.allowance import MESSAGE
from reference.core.wire import frame
from reference.endpoint import EndpointLimits
from reference.options import LARGEST_MESSAGE, Options
from reference.quic.flow import STREAM_WINDOW
from tests.loopback.conftest import Puppet, Recorder, opened, pair, puppet, run
from tools.chapters import table

TEXTS = [b'"%02d"' % number for number in range(60)]
EACH = 4_096 + len(TEXTS[0])
BURST, PER_SECOND = 3, 50
NEVER = 1e-6
"""Bytes a second: nothing that has to wait comes back while a test runs."""


def limits(per_second: float, **others: float) -> EndpointLimits:
    """Let three of the texts be said at once, and then so many bytes a second."""
    return EndpointLimits(said=BURST * EACH, said_per_second=per_second, **others)  # type: ignore[arg-type]


class Timed(Recorder):
    """A handler that notes when each frame came."""

    def __init__(self) -> None:
        """Start at no time."""
        super().__init__()
        self.times_of_frames: list[float] = []

    def frame(self, session: int, payload: bytes) -> None:
        """Note the time."""
        self.times_of_frames.append(time.monotonic())
        super().frame(session, payload)


def test_the_defaults_are_those_of_the_chapter() -> None:
    """The numbers of the specification are the defaults, and the largest message is within them."""
    rows = {limit: default for limit, default, _ in table("errors", "limit", "default").rows}
    said, per_second = EndpointLimits().said, EndpointLimits().said_per_second
    expected = rows["what a client says on a connection"]
    assert expected == f"{said:,} bytes, refilled by {per_second:,.0f} a second"
    assert (said, per_second) == (Options().max_said, Options().said_per_second)
    assert LARGEST_MESSAGE == 1_048_576 + MESSAGE <= said


def test_what_is_too_much_waits_its_time_and_comes_in_order() -> None:
    """Of 12 messages three are handled at once; the others follow by themselves, none before its time."""

    async def test() -> None:
        heard = Timed()
        async with opened(heard, limits=limits(PER_SECOND * EACH)) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(HandshakeCompleted)
            began = time.monotonic()
            for number, text in enumerate(TEXTS[:12]):
                client.connection.send_stream_data(4 * number, frame(text), end_stream=True)
            client.go()
            await heard.times("frame", 12)
            assert [("frame", text) for text in TEXTS[:12]] == heard.of("frame")
            early = [
                number
                for number, at in enumerate(heard.times_of_frames, start=1)
                if number > BURST + PER_SECOND * (at - began)
            ]
            assert [] == early
            assert [] == heard.of("fault", "lost")

    run(test())


@pytest.mark.parametrize(
    ("name", "most"), [("_signal", BURST), ("call-1", BURST), ("_federation", 16 * BURST)]
)
def test_a_client_may_say_so_much_and_a_link_sixteen_times_as_much(name: str, most: int) -> None:
    """Of 60 messages so many are handled; the client is not closed, and its datagrams still count."""

    async def test() -> None:
        async with pair(limits(NEVER), name) as (server, heard, _, client, _seen, dialled):
            for text in TEXTS:
                client.send(dialled, text)
            client.send_datagram(dialled, b"behind them")
            await heard.times("frame", most)
            await heard.times("datagram")
            assert [("frame", text) for text in TEXTS[:most]] == heard.of("frame")
            assert 1 == server.stats()["throttled"]
            assert [] == heard.of("fault", "lost")

    run(test())


@pytest.mark.parametrize(("name", "most"), [("_signal", len(TEXTS)), ("_federation", 16 * BURST)])
def test_who_was_dialled_may_say_what_it_likes_but_on_a_link(name: str, most: int) -> None:
    """A client handles sixty messages of its relay at once; on a link the dialled end has its limit too."""

    async def test() -> None:
        async with pair(limits(NEVER), name) as (server, _, accepted, client, seen, _dialled):
            for text in TEXTS:
                server.send(accepted, text)
            server.send_datagram(accepted, b"behind them")
            await seen.times("frame", most)
            await seen.times("datagram")
            assert [("frame", text) for text in TEXTS[:most]] == seen.of("frame")
            assert int(most < len(TEXTS)) == client.stats()["throttled"]

    run(test())


def test_the_time_of_waiting_is_not_the_time_to_complete_a_frame() -> None:
    """Messages that get no credit, because one before them waits, are not given up for it."""

    async def test() -> None:
        large = EndpointLimits(said=3 * STREAM_WINDOW + MESSAGE, said_per_second=NEVER)
        async with pair(large) as (server, heard, accepted, client, seen, dialled):
            for number in range(4):
                client.send(dialled, bytes(3 * STREAM_WINDOW), number)
            await seen.times("flushed", 2)
            client.send_datagram(dialled, b"behind them")
            await heard.times("datagram")
            waiting: Any = server._sessions[accepted]
            waiting.expire(time.monotonic() + large.stream_timeout)
            assert [True] * 3 == [
                inbound.deadline > waiting.resume_at > large.stream_timeout
                for inbound in waiting.streams.values()
            ]
            assert [] == heard.of("fault", "lost")

    run(test())


def test_who_waits_is_not_woken_for_what_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole message that waits longer than a frame may take is neither given up nor a reason to wake."""

    async def test() -> None:
        async with pair(limits(NEVER, stream_timeout=0.0)) as (server, heard, accepted, client, _, dialled):
            for text in TEXTS[: BURST + 1]:
                client.send(dialled, text)
            client.send_datagram(dialled, b"behind them")
            await heard.times("datagram")
            assert 1 == server.stats()["throttled"]
            waiting: Any = server._sessions[accepted]
            monkeypatch.setattr(type(waiting.connection), "wake_at", lambda _self: None)
            waiting.expire(time.monotonic())
            assert min(waiting.ping_at, waiting.resume_at) == waiting.wake_at()
            assert [] == heard.of("fault")
            monkeypatch.undo()

    run(test())
