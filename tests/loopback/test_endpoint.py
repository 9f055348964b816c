"""The endpoint over real UDP on the loopback interface (spec/transport.md)."""

from __future__ import annotations

import asyncio
import random
import re
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import aioquic
import pytest
from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.stream import QuicStream

from reference.core.addresses import format_address
from reference.core.errors import REASONS, CloseCode, Misuse
from reference.core.wire import FRAME_LIMIT, frame
from reference.endpoint import DatagramFate, EndpointLimits
from reference.notices import Notices
from reference.quic import connection as adapter
from reference.quic.flow import RECEIVE_WINDOW, STREAM_WINDOW
from reference.quic.selftest import self_test
from reference.session import Session
from tests.loopback.conftest import (
    CREDENTIALS,
    LOOPBACK,
    Puppet,
    Recorder,
    opened,
    pair,
    path,
    puppet,
    run,
)

TALKATIVE = EndpointLimits(said=1 << 40)
"""A client may say whatever it likes (TRANS-19)."""


@pytest.mark.parametrize(
    ("dialled", "seen"),
    [("_signal", "_signal"), ("Call-ABC", "call-abc"), (None, None), ("127.0.0.1", None), ("::1", None)],
)
def test_both_ends_learn_who_is_there(dialled: str | None, seen: str | None) -> None:
    """A server learns the server name in lower case, a client the server's fingerprint."""

    async def test() -> None:
        async with pair(sni=dialled) as (server, heard, _, client, told, _):
            from_client = format_address(*client.address)
            assert [("connected", seen, from_client, None)] == heard.of("connected")
            expected = ("connected", seen, format_address(*server.address), CREDENTIALS.fingerprint)
            assert [expected] == told.of("connected")

    run(test())


def test_ipv4_is_reached_from_a_dual_stack_socket() -> None:
    """An IPv6 socket dials an IPv4 address, and its text is the IPv4 one."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None, host="::") as client:
            client.dial(server.address, None)
            await told.times("connected")
            assert format_address(*server.address) == told.of("connected")[0][2]

    run(test())


@pytest.mark.parametrize(
    ("address", "sni", "complaint"),
    [
        (("relay.example", 1), None, "relay.example"),
        (("::1", 1), None, "does not reach ::1"),
        ((LOOPBACK, 1), "-room", "'-room' is no server name"),
        ((LOOPBACK, 1), "a" * 64, "is no server name"),
        ((LOOPBACK, 1), "room.", "is no server name"),
    ],
)
def test_what_cannot_be_dialled_is_refused(address: Any, sni: str | None, complaint: str) -> None:  # noqa: ANN401 - parameters
    """A host name, another address family and a bad server name are our caller's mistakes."""

    async def test() -> None:
        async with opened(Recorder(), None) as client:
            with pytest.raises(Misuse, match=re.escape(complaint)):
                client.dial(address, sni)

    run(test())


@pytest.mark.parametrize(
    ("settings", "alert"),
    [
        ({"alpn_protocols": ["h3"]}, 120),
        ({"alpn_protocols": None}, 120),
        ({"server_name": "a room"}, 47),
    ],
)
def test_a_bad_client_hello_fails_the_handshake(settings: dict[str, Any], alert: int) -> None:
    """A wrong or missing ALPN and an invalid server name end in a TLS alert, unknown to the handler."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet(**settings)) as client:
            client.dial(server.address)
            await client.event(events.ConnectionTerminated, error_code=0x100 + alert)
            assert [] == heard.told

    run(test())


def test_a_failed_dial_is_lost_once() -> None:
    """A server without our ALPN costs the dialled session, with a readable reason."""

    async def test() -> None:
        told = Recorder()
        async with opened(told, None) as client, puppet(Puppet(alpn_protocols=["h3"])) as server:
            client.dial(server.address, "_signal")
            await told.times("lost")
            ((_, code, reason, by_peer),) = told.of("lost")
            assert (-1, True) == (code, by_peer)
            assert "ALPN" in reason
            assert "0x178" in reason

    run(test())


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


def test_datagrams_pass_both_ways_and_oversize_ones_do_not_stall() -> None:
    """1170 bytes pass; one more is refused and nothing waits behind it."""

    async def test() -> None:
        async with pair() as (server, heard, session, client, told, dialled):
            assert DatagramFate.TOO_LARGE == client.send_datagram(dialled, bytes(1171))
            assert DatagramFate.QUEUED == client.send_datagram(dialled, bytes(1170))
            assert DatagramFate.QUEUED == server.send_datagram(session, b"")
            await asyncio.gather(heard.times("datagram"), told.times("datagram"))
            assert [("datagram", bytes(1170))] == heard.of("datagram")
            assert [("datagram", b"")] == told.of("datagram")
            client.close(dialled, 0, "normal close")
            assert DatagramFate.CLOSED == client.send_datagram(dialled, b"late")
            assert DatagramFate.CLOSED == client.send_datagram(99, b"nobody")

    run(test())


def test_a_peer_without_datagrams_is_sent_none() -> None:
    """To a peer that announces no datagrams every one is too large, and its connection lives."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet(max_datagram_frame_size=None)) as client:
            client.dial(server.address)
            await heard.times("connected")
            session = heard.last("connected")
            assert DatagramFate.TOO_LARGE == server.send_datagram(session, b"")
            server.send(session, b"alive")
            await client.event(events.StreamDataReceived, data=frame(b"alive"))

    run(test())


def test_a_blocked_path_drops_the_oldest_datagrams() -> None:
    """While nothing is acknowledged a bounded queue keeps the newest datagrams, in order."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client, path(server.address) as way:
            dialled = client.dial(way.address, "room")
            await heard.times("connected")
            way.holding.add("client")
            sent = [number.to_bytes(2, "big") * 500 for number in range(60)]
            fates = [client.send_datagram(dialled, data) for data in sent]
            assert 20 * [DatagramFate.DROPPED_OLDEST] == fates[40:]
            assert DatagramFate.QUEUED == fates[0]
            way.release(list.copy)
            await heard.until(lambda: ("datagram", sent[-1]) in heard.of("datagram"))
            assert [("datagram", data) for data in sent[-16:]] == heard.of("datagram")[-16:]

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


def test_a_close_is_told_at_once_with_code_and_reason() -> None:
    """Both handlers learn a close once, while the stack is still in its closing period."""

    async def test() -> None:
        async with pair() as (server, heard, session, client, told, dialled):
            client.send(dialled, b"last words")
            client.close(dialled, CloseCode.CALL_ENDED, "call ended")
            client.close(dialled, 0, "again")
            await asyncio.gather(heard.times("lost"), told.times("lost"))
            assert [("frame", b"last words"), ("lost", 6, "call ended", True)] == heard.of("frame", "lost")
            assert [("lost", 6, "call ended", False)] == told.of("lost")
            assert (1, 1) == (server.stats()["ended"], client.stats()["ended"])
            server.send(session, b"to nobody")
            await server.forgotten.until(lambda: not server.stats()["ended"])
            await client.forgotten.until(lambda: not client.stats()["ended"])
            assert {0} == {*server.stats().values(), *client.stats().values()}

    run(test())


def test_frames_go_out_before_the_close_behind_them() -> None:
    """What was sent in the same turn as a close arrives before it, as far as the window reaches."""

    async def test() -> None:
        async with pair() as (_, heard, _, client, _, dialled):
            pacer = client._sessions[dialled].connection._loss._pacer
            pacer.packet_time, pacer.bucket_max, pacer.bucket_time = 100.0, 0.0, 0.0
            for number in range(8):
                client.send(dialled, bytes([number]) * 1000)
            client.close(dialled, 0, "normal close")
            await heard.times("lost")
            assert [("frame", bytes([number]) * 1000) for number in range(8)] == heard.of("frame")

    run(test())


def test_a_peer_may_change_its_connection_ids_for_ever() -> None:
    """Packets find their connection under every id that was issued, and retired ids are forgotten."""

    async def test() -> None:
        heard = Recorder()
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            for number in range(30):
                await client.until(lambda: client.connection._peer_cid_available)
                client.connection.change_connection_id()
                client.stream(4 * number, frame(bytes([number])))
                await heard.times("frame", number + 1)
            assert server.stats()["routes"] <= 10
            assert [] == heard.of("fault", "lost")

    run(test())


def test_a_close_reason_has_a_limit() -> None:
    """A reason of more than 256 bytes is our caller's mistake."""

    async def test() -> None:
        async with pair() as (_, _, _, client, _, dialled):
            with pytest.raises(Misuse, match="257 bytes"):
                client.close(dialled, 0, "r" * 257)

    run(test())


def test_a_close_that_was_lost_is_repeated() -> None:
    """A peer that goes on sending after a close that never arrived is told again."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client, path(server.address) as way:
            dialled = client.dial(way.address, "_signal")
            await heard.times("connected")
            way.holding.add("server")
            server.close(heard.last("connected"), 2, "replaced")
            (ended,) = server._ended
            await way.until(lambda: ended.farewell[-1][0] in [data for data, _ in way.held])
            way.release(list.clear)
            client.send(dialled, b"are you there?")
            await told.times("lost")
            assert [("lost", 2, "replaced", True)] == told.of("lost")

    run(test())


def test_a_dial_can_be_closed_before_its_handshake() -> None:
    """Closing a session that is still dialling is told as our own close."""

    async def test() -> None:
        told = Recorder()
        async with opened(told, None) as client, path((LOOPBACK, 9)) as nowhere:
            nowhere.holding.add("client")
            dialled = client.dial(nowhere.address, "_signal")
            client.close(dialled, 0, "normal close")
            await told.times("lost")
            assert [("lost", dialled, 0, "normal close", False)] == told.told

    run(test())


def test_a_dial_that_nobody_answers_ends() -> None:
    """A handshake that does not complete in time is lost with a readable reason."""

    async def test() -> None:
        told = Recorder()
        limits = EndpointLimits(handshake_timeout=0.1)
        async with opened(told, None, limits) as client, path((LOOPBACK, 9)) as nowhere:
            nowhere.holding.add("client")
            client.dial(nowhere.address, "_signal")
            await told.times("lost")
            assert [("lost", -1, "no handshake within 0.1 s", False)] == told.of("lost")

    run(test())


def first_packet(server: tuple[str, int]) -> bytes:
    """Return the first packet of a client that will never answer."""
    settings = QuicConfiguration(alpn_protocols=["wzp"])
    connection = QuicConnection(configuration=settings)
    connection.connect(server, now=0.0)
    return connection.datagrams_to_send(now=0.0)[0][0]


class Listener(Puppet):
    """A socket that only collects packets."""

    def __init__(self) -> None:
        """Start without a packet."""
        super().__init__()
        self.packets: list[bytes] = []

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Collect a packet."""
        del addr
        self.packets.append(data)
        self.changed()


def test_half_open_connections_are_bounded_in_number_and_time() -> None:
    """Only the newest unfinished handshakes are kept, a real one completes, the others end in time."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        limits = EndpointLimits(half_open=4, handshake_timeout=0.5)
        flood = Listener()
        async with (
            opened(heard, limits=limits) as server,
            opened(told, None) as client,
            puppet(flood),
        ):
            for _ in range(10):
                flood.transport.sendto(first_packet(server.address), server.address)
            await flood.until(lambda: len({packet[6:14] for packet in flood.packets}) == 10)
            assert server.stats()["half_open"] <= 4
            client.dial(server.address, "_signal")
            await told.times("connected")
            await server.forgotten.until(lambda: not server.stats()["half_open"])
            assert 1 == server.stats()["connections"] == server.stats()["timers"]
            assert [] == heard.of("lost")

    run(test())


def test_junk_leaves_nothing_behind_and_delays_nobody() -> None:
    """A hundred unreadable first packets make no connection, and a handshake completes beside them."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        limits = EndpointLimits(half_open=1)
        async with (
            opened(heard, limits=limits) as server,
            opened(told, None) as client,
            puppet(Listener()) as junk,
        ):
            noise = random.Random(3)
            for number in range(100):
                packet = bytearray(first_packet(server.address))
                packet[60:] = noise.randbytes(len(packet) - 60)
                junk.transport.sendto(bytes(packet), server.address)
                if number == 50:
                    client.dial(server.address, "_signal")
            for length in (0, 1, 8, 9, 30, 1200):
                junk.transport.sendto(noise.randbytes(length), server.address)
                junk.transport.sendto(b"\xc0" + noise.randbytes(length), server.address)
            await asyncio.gather(heard.times("connected"), told.times("connected"))
            assert 0 == server.stats()["half_open"]

    run(test())


def test_an_unknown_version_is_answered_and_a_negotiation_is_not() -> None:
    """A first packet of another version gets a version negotiation; that packet itself gets nothing."""

    async def test() -> None:
        listener = Listener()
        async with opened(Recorder()) as server, puppet(listener):

            def ask(version: int, name: bytes) -> None:
                packet = b"\xc0" + version.to_bytes(4, "big") + b"\x08" + name + b"\x05hello"
                listener.transport.sendto(packet.ljust(1200, b"\0"), server.address)

            ask(0, b"nothing.")
            ask(0x1A2A3A4A, b"greased.")
            ask(0, b"nothing!")
            ask(0x6B3343CF, b"version2")
            await listener.until(lambda: len(listener.packets) >= 2)
            expected = [
                bytes(4) + b"\x05hello\x08" + name + (1).to_bytes(4, "big")
                for name in (b"greased.", b"version2")
            ]
            assert expected == [packet[1:] for packet in listener.packets]

    run(test())


def test_a_connection_too_many_is_refused_readably() -> None:
    """Beyond the limit a peer connects, reads why it cannot stay, and is no session of ours."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        limits = EndpointLimits(connections=1)
        async with opened(heard, limits=limits) as server, opened(told, None) as client:
            kept = client.dial(server.address, "_signal")
            await heard.times("connected")
            refused = client.dial(server.address, "_signal")
            await told.times("lost")
            code = CloseCode.TOO_MANY_CONNECTIONS
            assert [("lost", refused, code, REASONS[code], True)] == told.told[-1:]
            assert [("connected", 1)] == [what[:2] for what in heard.told]
            client.send(kept, b"still here")
            await heard.times("frame")
            with pytest.raises(Misuse, match="dials no more: 1 connections"):
                server.dial(client.address, None)

    run(test())


def test_a_dead_path_is_noticed_and_a_quiet_one_kept() -> None:
    """Pings from this end alone keep a silent connection; once the path is dead it times out."""

    async def test() -> None:
        told = Recorder()
        limits = EndpointLimits(idle_timeout=0.4, keep_alive=0.05)
        async with opened(told, None, limits) as client, puppet(Puppet()) as server:
            client.dial(server.address, "_signal")
            await told.times("connected")
            alive = server.received
            await server.until(lambda: server.received >= alive + 16)
            assert [] == told.of("lost")
            server.stop()
            server.transport.abort()
            await told.times("lost")
            ((_, code, reason, by_peer),) = told.of("lost")
            assert (-1, False) == (code, by_peer)
            assert "Idle timeout" in reason

    run(test())


def test_a_thousand_connections_leave_nothing_behind() -> None:
    """After a thousand connects and closes no table, route, timer or notice is left."""
    count, at_once = 1000, 20

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client:
            for done in range(0, count, at_once):
                dialled = [client.dial(server.address, "_signal") for _ in range(at_once)]
                await told.times("connected", done + at_once)
                for session in dialled:
                    client.close(session, 0, "normal close")
                await heard.times("lost", done + at_once)
            await server.forgotten.until(lambda: not server.stats()["ended"])
            await client.forgotten.until(lambda: not client.stats()["ended"])
            assert {0} == {*server.stats().values(), *client.stats().values()}
            sessions = [what[1] for what in told.told if what[0] == "connected"]
            assert count == len(set(sessions))
            scheduled = [timer for timer in vars(server._loop)["_scheduled"] if not timer.cancelled()]
            assert 1 == len(scheduled), "the guard of the test is the only timer"

    run(test())


def test_a_handler_is_never_called_from_inside_its_own_call() -> None:
    """What a handler causes in a call is told after that call has returned."""

    class Busy(Recorder):
        inside = 0
        endpoint: Any = None

        def frame(self, session: int, payload: bytes) -> None:
            self.inside += 1
            self.endpoint.send(session, payload, "receipt")
            self.endpoint.close(session, 3, "busy")
            assert self.inside == 1
            super().frame(session, payload)
            self.inside -= 1

        def _tell(self, *what: Any) -> None:  # noqa: ANN401 - any notice
            assert self.inside == 0 or what[0] == "frame"
            super()._tell(*what)

    async def test() -> None:
        heard, told = Busy(), Recorder()
        async with opened(heard) as server, opened(told, None) as client:
            heard.endpoint = server
            dialled = client.dial(server.address, "_signal")
            client.send(dialled, b"ping")
            await told.times("lost")
            expected = ["connected", "frame", "lost"]
            assert expected == [what[0] for what in heard.told]
            assert [("frame", b"ping"), ("lost", 3, "busy", True)] == told.of("frame", "lost")

    run(test())


def test_a_handler_that_raises_misses_nothing_else() -> None:
    """An error in a handler reaches the event loop, and the next notices are told all the same."""

    class Clumsy(Recorder):
        def frame(self, session: int, payload: bytes) -> None:
            super().frame(session, payload)
            if payload == b"one":
                raise LookupError("clumsy")

    async def test() -> None:
        heard = Clumsy()
        caught: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: caught.append(what["exception"]))
        async with opened(heard) as server, puppet(Puppet()) as client:
            client.dial(server.address)
            await client.event(events.HandshakeCompleted)
            client.connection.send_stream_data(0, frame(b"one"), end_stream=True)
            client.stream(4, frame(b"two"))
            await heard.times("frame", 2)
            assert [("frame", b"one"), ("frame", b"two")] == heard.of("frame")
            assert ["clumsy"] == [str(error) for error in caught]

    run(test())


def fail() -> None:
    """Raise what a broken handler would."""
    raise ValueError("clumsy")


def test_notices_behind_an_error_wait_for_no_packet() -> None:
    """What a raising handler left to tell is told in the next turn of the event loop."""

    async def test() -> None:
        caught: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: caught.append(what["exception"]))
        notices, told = Notices(loop), asyncio.Event()
        session = cast("Session", SimpleNamespace(silenced=False))
        notices.add(session, fail)
        notices.add(session, told.set)
        notices.tell_soon()
        await told.wait()
        assert [ValueError] == [type(error) for error in caught]
        assert 0 == len(notices)

    run(test())


def test_ended_connections_are_bounded() -> None:
    """Of the connections in their closing period only the newest are kept."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        limits = EndpointLimits(half_open=2)
        async with opened(heard, limits=limits) as server, opened(told, None, limits) as client:
            for number in range(5):
                session = client.dial(server.address, None)
                await told.times("connected", number + 1)
                client.close(session, 0, "normal close")
                assert client.stats()["ended"] <= 2
            await heard.times("lost", 5)
            assert server.stats()["ended"] <= 2

    run(test())


def test_shutdown_closes_everything_with_one_reason() -> None:
    """Every peer reads the code and reason of a shutdown, every session is lost, nothing is dialled."""

    async def test() -> None:
        heard, told = Recorder(), Recorder()
        async with opened(heard) as server, opened(told, None) as client:
            for _ in range(5):
                client.dial(server.address, "_signal")
            await heard.times("connected", 5)
            await server.shutdown(CloseCode.SHUTDOWN, REASONS[CloseCode.SHUTDOWN])
            assert 5 * [("lost", 1, "shutting down", False)] == heard.of("lost")
            await told.times("lost", 5)
            assert 5 * [("lost", 1, "shutting down", True)] == told.of("lost")
            with pytest.raises(Misuse, match="dials no more"):
                server.dial(client.address, None)

    run(test())


def test_the_same_seed_makes_the_same_certificate() -> None:
    """A certificate is a function of its seed, and its fingerprint has 95 characters."""
    again = type(CREDENTIALS).from_private_seed(bytes(range(32)))
    other = type(CREDENTIALS).fresh()
    assert CREDENTIALS.certificate == again.certificate
    assert CREDENTIALS.fingerprint != other.fingerprint
    assert re.fullmatch(r"([0-9a-f]{2}:){31}[0-9a-f]{2}", CREDENTIALS.fingerprint)
    with pytest.raises(Misuse, match="not 31"):
        type(CREDENTIALS).from_private_seed(bytes(31))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("normalise_name", lambda _: None),
        ("fingerprint_of", lambda _: "aa"),
        ("discard", lambda stream: stream.receiver.stop() or stream.missing),
    ],
)
def test_a_stack_that_moved_is_refused_by_name(
    name: str,
    broken: Any,  # noqa: ANN401 - parameters
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When a hook of the adapter no longer works no socket opens, and the release is named."""
    self_test()
    self_test.cache_clear()
    monkeypatch.setattr(adapter, name, broken)
    with pytest.raises(RuntimeError, match=re.escape(f"aioquic {aioquic.__version__}")):
        self_test()
    monkeypatch.undo()
    self_test()
