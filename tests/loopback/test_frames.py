"""The streams of the endpoint over real UDP: frames in order, faults that cost one stream, receipts."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import pytest
from aioquic.quic import events
from aioquic.quic.stream import QuicStream

from reference.core.errors import Misuse
from reference.core.wire import FRAME_LIMIT, frame
from reference.endpoint import EndpointLimits
from reference.quic.flow import RECEIVE_WINDOW, STREAM_WINDOW
from tests.loopback.conftest import Puppet, Recorder, opened, pair, path, puppet, run

TALKATIVE = EndpointLimits(said=1 << 40)
"""A client may say whatever it likes (TRANS-19)."""


def test_frames_come_in_order_though_packets_do_not() -> None:
    """Frames are delivered in the order sent, however the packets were shuffled."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        shuffle = random.Random(7).shuffle
        async with opened(heard) as server, opened(told, None) as client, path(server.address) as way:
            dialled = client.dial(way.address, "_signal")
            await heard.times("connected")
            sent = [bytes([number]) * 200 for number in range(40)]
            way.holding.add("client")
            for payload in sent:
                client.send(dialled, payload, payload)
            await told.times("flushed", len(sent))
            await way.until(lambda: len(way.held) >= 10)
            way.release(shuffle)
            await heard.times("frame", len(sent))
            assert [("frame", payload) for payload in sent] == heard.of("frame")

    run(test())


def test_both_sides_open_streams_for_ever() -> None:
    """Ten thousand messages pass each way on one connection: stream credit never runs out."""
    count = 10_000

    class Echo(Recorder):
        def frame(self, session: int, payload: bytes) -> None:
            self.endpoint.send(session, payload)

        endpoint: Any = None

    class Counter(Recorder):
        sent = 0
        expected = 0
        endpoint: Any = None

        def more(self, session: int) -> None:
            self.endpoint.send(session, self.sent.to_bytes(4, "big"))
            self.sent += 1

        def frame(self, session: int, payload: bytes) -> None:
            assert self.expected.to_bytes(4, "big") == payload
            self.expected += 1
            if self.sent < count:
                self.more(session)
            self.changed()

    async def test() -> None:
        heard, told = Echo(), Counter()
        async with opened(heard, limits=TALKATIVE) as server, opened(told, None) as client:
            heard.endpoint, told.endpoint = server, client
            dialled = client.dial(server.address, "_signal")
            for _ in range(32):
                told.more(dialled)
            await told.until(lambda: told.expected == count)
            assert [] == [*told.of("slow", "lost"), *heard.of("slow", "lost")]

    run(test())


def test_a_frame_of_the_largest_size_passes() -> None:
    """A payload of 1,048,576 bytes passes both ways, twice; one byte more is our caller's mistake."""

    async def test() -> None:
        payload = random.Random(1).randbytes(FRAME_LIMIT)
        async with pair(TALKATIVE) as (server, heard, session, client, told, dialled):
            for _ in range(2):
                client.send(dialled, payload)
                server.send(session, payload)
            await asyncio.gather(heard.times("frame", 2), told.times("frame", 2))
            assert 2 * [("frame", payload)] == heard.of("frame") == told.of("frame")
            with pytest.raises(Misuse, match="1048577"):
                client.send(dialled, payload + b"!")

    run(test())


def test_a_frame_counts_before_the_end_of_its_stream_and_nothing_after_it() -> None:
    """A whole frame is delivered without its FIN; bytes behind it are discarded and stopped."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.stream(0, frame(b"one"), fin=False)
            await heard.times("frame")
            client.stream(0, frame(b"more"), fin=False)
            await client.event(events.StopSendingReceived, stream_id=0)
            client.stream(4, frame(b"two") + frame(b"three"), fin=True)
            client.stream(8, frame(b"four"))
            await heard.times("frame", 3)
            expected = [("frame", b"one"), ("frame", b"two"), ("frame", b"four")]
            assert expected == heard.of("frame", "fault", "lost")

    run(test())


def test_a_stopped_half_is_no_error() -> None:
    """A peer that stops the unused half of each stream still gets credit for more than 128."""
    count = 400

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            for number in range(count):
                stream_id = client.connection.get_next_available_stream_id()
                client.connection.send_stream_data(stream_id, frame(bytes([number % 256])), end_stream=True)
                client.connection.stop_stream(stream_id, 0)
                client.go()
                await heard.times("frame", number + 1)
            assert [] == heard.of("fault", "lost")

    run(test())


def test_our_own_frame_that_is_stopped_costs_nothing() -> None:
    """A peer that stops our stream gives no receipt and no error, and later frames pass."""

    async def test() -> None:
        told = Recorder()
        tight = Puppet(max_stream_data=10)
        async with opened(told, None) as client, puppet(tight) as server:
            dialled = client.dial(server.address, "_signal")
            await told.times("connected")
            client.send(dialled, bytes(100), "stopped")
            await server.event(events.StreamDataReceived, stream_id=0)
            server.connection.stop_stream(0, 0)
            server.go()
            await server.event(events.StreamReset, stream_id=0)
            client.send(dialled, b"short", "passed")
            await server.event(events.StreamDataReceived, stream_id=4)
            assert [("flushed", "passed")] == told.of("flushed", "fault", "lost", "slow")
            assert 0 == client.stats()["unsent"]

    run(test())


async def faulty(client: Puppet, kind: str) -> None:
    """Send the faulty stream 0 of a kind."""
    if kind == "too long":
        client.stream(0, (FRAME_LIMIT + 1).to_bytes(4, "big") + bytes(5000), fin=False)
    elif kind == "ended":
        client.stream(0, frame(b"whole")[:-1])
    elif kind == "empty":
        client.stream(0, b"")
    else:
        client.stream(0, frame(b"whole")[:-1], fin=False)
        if kind == "reset":
            client.connection.reset_stream(0, 5)
            client.go()


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("too long", "FrameTooLong"),
        ("ended", "FrameCutShort"),
        ("empty", "FrameCutShort"),
        ("reset", "FrameCutShort"),
        ("stalled", "FrameCutShort"),
    ],
)
def test_a_bad_frame_costs_its_stream_alone(kind: str, fault: str) -> None:
    """A faulty stream is reset and reported in its turn; the streams behind it are delivered."""

    async def test() -> None:
        heard = Recorder()
        limits = EndpointLimits(stream_timeout=0.1)
        async with opened(heard, limits=limits) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            await faulty(client, kind)
            client.stream(4, frame(b"later"))
            await heard.times("frame")
            assert [("fault", fault), ("frame", b"later")] == heard.of("frame", "fault", "lost")
            await client.event(events.StreamReset, stream_id=0)
            if kind in ("too long", "stalled"):
                await client.event(events.StopSendingReceived, stream_id=0)
            client.stream(8, frame(b"latest"))
            await heard.times("frame", 2)

    run(test())


def test_many_faulty_streams_do_not_use_up_the_credit() -> None:
    """Three hundred streams that are too long leave credit and window for the next frame."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            for number in range(300):
                client.stream(4 * number, bytes([255]) * 20_000, fin=False)
                await heard.times("fault", number + 1)
            client.stream(1200, frame(bytes(FRAME_LIMIT)))
            await heard.times("frame")
            assert [] == heard.of("lost")

    run(test())


def test_a_stream_that_never_comes_is_skipped_in_time() -> None:
    """A frame waits for a lower stream id, and not for ever."""

    async def test() -> None:
        heard = Recorder()
        limits = EndpointLimits(stream_timeout=0.1)
        async with opened(heard, limits=limits) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.stream(8, frame(b"third"))
            await heard.times("frame")
            expected = [("fault", "FrameCutShort"), ("fault", "FrameCutShort"), ("frame", b"third")]
            assert expected == heard.of("frame", "fault")

    run(test())


def test_bytes_that_wait_are_bounded_and_never_block_the_one_whose_turn_it_is() -> None:
    """Behind an unfinished stream no other gets more than its small window; afterwards all pass."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.stream(0, frame(bytes(FRAME_LIMIT))[:-1], fin=False)
            peer, later = client.connection, range(4, 244, 4)
            for stream_id in later:
                client.stream(stream_id, frame(bytes(20_000)))
            behind = [peer._streams[stream_id].sender for stream_id in later]
            await client.until(lambda: all(sender.highest_offset == STREAM_WINDOW for sender in behind))
            await client.until(lambda: peer._streams[0].sender.highest_offset == FRAME_LIMIT + 3)
            assert RECEIVE_WINDOW == peer._remote_max_data
            assert [] == heard.of("frame")
            client.stream(0, b"\0")
            await heard.times("frame", 61)
            expected = [("frame", bytes(FRAME_LIMIT)), *60 * [("frame", bytes(20_000))]]
            assert expected == heard.of("frame", "fault", "lost")

    run(test())


def is_granted(stream: QuicStream) -> bool:
    """Tell whether the peer's credit covers a stream."""
    return not stream.is_blocked


def test_streams_that_wait_are_bounded() -> None:
    """A peer that stops our halves to get more credit loses the stream that all others wait for."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.stream(0, b"\0", fin=False)
            streams = client.connection._streams
            for stream_id in range(4, 1200, 4):
                client.stream(stream_id, frame(b"wait"))
                await client.until(partial(is_granted, streams[stream_id]))
                client.connection.stop_stream(stream_id, 0)
                client.go()
            await heard.times("frame", 299)
            assert [("fault", "FrameCutShort")] == heard.of("fault", "lost")

    run(test())


def test_unidirectional_streams_are_stopped() -> None:
    """A unidirectional stream is stopped and ignored, and the connection lives."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.stream(2, frame(b"nobody reads this"), fin=False)
            await client.event(events.StopSendingReceived, stream_id=2)
            client.stream(0, frame(b"this"))
            await heard.times("frame")
            assert [("frame", b"this")] == heard.of("frame", "fault", "lost")

    run(test())


class Grudging(Puppet):
    """A server that grants no streams."""

    def prepare(self) -> None:
        """Take the credit out of the transport parameters."""
        self.connection._local_max_streams_bidi.value = 0
        self.connection._local_max_streams_bidi.sent = 0

    def relent(self, streams: int) -> None:
        """Grant streams after all."""
        self.connection._local_max_streams_bidi.value = streams
        self.go()


def test_a_receipt_waits_for_stream_credit_and_a_full_queue_is_told() -> None:
    """Without stream credit no receipt comes back; one frame over the limit is not taken."""

    async def test() -> None:
        told = Recorder()
        limits = EndpointLimits(unsent=3)
        async with opened(told, None, limits) as client, puppet(Grudging()) as server:
            dialled = client.dial(server.address, "_signal")
            await told.times("connected")
            for number in range(4):
                client.send(dialled, bytes([number]), number)
            await told.times("slow")
            assert [("slow",)] == told.of("flushed", "slow", "lost")
            assert 3 == client.stats()["unsent"]
            assert isinstance(server, Grudging)
            server.relent(2)
            await told.times("flushed", 2)
            server.relent(3)
            await told.times("flushed", 3)
            assert [("flushed", number) for number in range(3)] == told.of("flushed")
            assert 0 == client.stats()["unsent"]

    run(test())


def test_a_receipt_waits_for_flow_control() -> None:
    """A frame that the peer's window holds back is flushed when the window opens, not before."""

    async def test() -> None:
        told = Recorder()
        async with opened(told, None) as client, puppet(Puppet(max_data=60)) as server:
            dialled = client.dial(server.address, "_signal")
            await told.times("connected")
            held_back = server.connection._local_max_data
            held_back.used = -1_000_000  # keeps the stack from doubling the window
            client.send(dialled, bytes(100), "receipt")
            await server.event(events.StreamDataReceived, stream_id=0)
            assert [] == told.of("flushed")
            held_back.used, held_back.value = 60, 4096
            server.go()
            await told.times("flushed")
            assert [("flushed", "receipt")] == told.of("flushed")

    run(test())
