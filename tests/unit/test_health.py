"""Health: what whoever watches is told, and that nobody who watches can hold anything up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, Counter

from reference import health
from reference.health import STUCK, Door, Health, Pulse

GUARD = 10.0


@pytest.fixture
def age() -> list[float]:
    """Give the seconds since the event loop turned, for a test to set."""
    return [0.0]


@pytest.fixture
def there(age: list[float]) -> Health:
    """Give what a relay says of itself that has one counter and has just been opened."""
    registry = CollectorRegistry()
    Counter("things", "What is counted", registry=registry).inc()
    made = Health(registry, lambda: age[0])
    made.unready = ""
    return made


@pytest.fixture
def door(there: Health, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Give a door that looks for slow guests a hundred times a second."""
    monkeypatch.setattr(health, "INTERVAL", 0.01)
    made = Door(("127.0.0.1", 0), there)
    yield made
    made.close()
    assert {} == made._guests


def asked(door: Door, path: str, method: str = "GET") -> tuple[int, str]:
    """Ask for a path; return status and body."""
    connection = HTTPConnection(*door.address, timeout=GUARD)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_the_metrics_are_served(door: Door) -> None:
    """The counters are told in the Prometheus format, also when there is a query behind the path."""
    for path in ("/metrics", "/metrics?debug=1"):
        status, body = asked(door, path)
        assert (200, True) == (status, "things_total 1.0" in body)


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/metrics/", 404), ("/healthz/../metrics", 404)])
def test_there_is_nothing_else(door: Door, path: str, status: int) -> None:
    """Any other path is not found, and says which there are."""
    assert (status, "there are /metrics, /healthz and /readyz\n") == asked(door, path)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(door: Door, method: str) -> None:
    """Every method but GET is refused."""
    assert 501 == asked(door, "/metrics", method)[0]


def test_a_relay_is_healthy_while_its_loop_turns(there: Health, age: list[float]) -> None:
    """Without a turn for too long neither is well; the word says for how long."""
    assert [200, 200] == [there.answer(path, "")[0] for path in ("/healthz", "/readyz")]
    age[0] = STUCK + 1
    for path in ("/healthz", "/readyz"):
        status, _, body = there.answer(path, "")
        assert (503, b"the event loop has not turned for 6.0 s\n") == (status, body)


@pytest.mark.parametrize("why", ["starting", "draining"])
def test_a_relay_that_is_not_ready_is_healthy(there: Health, why: str) -> None:
    """While it starts and while it drains nobody is to be sent there, and nobody is to restart it."""
    there.unready = why
    assert (503, f"{why}\n".encode()) == there.answer("/readyz", "")[::2]
    assert (200, b"ok\n") == there.answer("/healthz", "")[::2]


def test_a_relay_is_not_ready_before_it_says_so() -> None:
    """It begins as one that starts."""
    assert 503 == Health(CollectorRegistry(), lambda: 0.0).answer("/readyz", "")[0]


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTT", b"GET /metrics HTTP/1.1\r\nX: "])
def test_who_dawdles_is_sent_away(door: Door, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """A guest that never ends its question is closed when its time is over, and others are answered."""
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    with socket.create_connection(door.address, timeout=GUARD) as slow:
        slow.sendall(said)
        assert b"" == slow.recv(1)
    assert 200 == asked(door, "/healthz")[0]


def test_no_more_than_so_many_are_let_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit guests are closed without a word; when one leaves there is room again."""
    monkeypatch.setattr(health, "GUESTS", 1)
    with socket.create_connection(door.address, timeout=GUARD) as first:
        first.sendall(b"GET /healthz HTTP/1.0\r\n")
        with socket.create_connection(door.address, timeout=GUARD) as second:
            assert b"" == second.recv(1)
        first.sendall(b"\r\n")
        assert first.recv(100).startswith(b"HTTP/1.0 200 OK")


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", b"G" * 70_000, b"GET / HTTP/9.9\r\n\r\n"]
)
def test_garbage_is_answered_or_closed(door: Door, garbage: bytes) -> None:
    """What is no HTTP request ends its own connection and nothing else."""
    with socket.create_connection(door.address, timeout=GUARD) as guest:
        guest.sendall(garbage)
        try:
            while guest.recv(4096):
                pass
        except ConnectionResetError:  # what was not read
            pass
    assert 200 == asked(door, "/healthz")[0]


def test_an_address_that_is_taken() -> None:
    """A door that cannot be opened says so to whoever opens it."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Door(taken.getsockname(), Health(CollectorRegistry(), lambda: 0.0))


def test_the_lag_of_a_held_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the loop is held up its age grows, and afterwards it is observed how late it was."""
    monkeypatch.setattr(health, "INTERVAL", 0.01)

    async def test() -> float:
        lag: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def observe(late: float) -> None:
            if not lag.done():
                lag.set_result(late)

        pulse = Pulse(cast("Any", SimpleNamespace(observe=observe)))
        pulse.start()
        while pulse.age < 0.1:
            pass
        try:
            return await asyncio.wait_for(lag, GUARD)
        finally:
            pulse.stop()

    assert asyncio.run(test()) >= 0.09
