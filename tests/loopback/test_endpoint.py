"""The endpoint over real UDP on loopback (spec/transport.md): handshakes, datagrams, and its handler.

Its streams are tried in test_frames.py, the ends of its connections in test_ends.py.
"""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace
from typing import Any, cast

import aioquic
import pytest
from aioquic.quic import events

from reference.core.addresses import format_address
from reference.core.errors import Misuse
from reference.core.wire import frame
from reference.endpoint import DatagramFate
from reference.notices import Notices
from reference.quic import connection as adapter
from reference.quic.selftest import self_test
from reference.session import Session
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Puppet, Recorder, opened, pair, path, puppet, run


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
