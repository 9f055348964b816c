"""The endpoint over real UDP: how connections end, how many there may be, and what is left of them."""

from __future__ import annotations

import asyncio
import random

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection

from reference.core.errors import REASONS, CloseCode, Misuse
from reference.endpoint import EndpointLimits
from tests.loopback.conftest import LOOPBACK, Puppet, Recorder, opened, pair, path, puppet, run


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
