"""Health: the door for whoever watches the relay: `/metrics`, `/healthz`, `/readyz` over HTTP.

The rules of this file:

- It is served by threads of its own, so that it also answers when the event loop does not turn any more.
- Whoever asks has 5 s from beginning to end, and no more than 16 are served at once.
- It has no secrets, and no guard: it is to be served where its owner alone reaches it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any

from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry, Histogram

INTERVAL = 0.5
"""Seconds between two looks at the clock by the event loop."""
STUCK = 5.0
"""Seconds without a turn of the event loop after which the relay is not healthy."""
PATIENCE = 5.0
"""Seconds that whoever asks has to ask and to take the answer."""
GUESTS = 16
"""How many may ask at once; more are closed without a word."""

Answer = tuple[HTTPStatus, str, bytes]


class Pulse:
    """A callback of the event loop that comes back twice a second, and how late it comes."""

    def __init__(self, lag: Histogram) -> None:
        """Observe lags in seconds into `lag`; `start` begins."""
        self._lag = lag
        self._last = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def age(self) -> float:
        """Return how many seconds ago the event loop last turned, and at least a look's interval too many."""
        return time.monotonic() - self._last

    def start(self) -> None:
        """Begin to beat in the running loop."""
        self._last = time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._beat)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._lag.observe(max(0.0, self.age - INTERVAL))
        self.start()


class Health:
    """What the relay says of itself; `unready` is why nobody should be sent to it, "" when one may be."""

    def __init__(self, registry: CollectorRegistry, age: Callable[[], float]) -> None:
        """Answer with the metrics of `registry`; `age` tells how many seconds ago the event loop turned."""
        self.unready = "starting"
        self._registry = registry
        self._age = age

    def answer(self, path: str, accept: str) -> Answer:
        """Return status, content type and body for a path; `accept` is the header of that name."""
        match path.partition("?")[0]:
            case "/metrics":
                encode, kind = choose_encoder(accept)
                return HTTPStatus.OK, kind, encode(self._registry)
            case "/healthz":
                return _verdict(self._stuck())
            case "/readyz":
                return _verdict(self._stuck() or self.unready)
        return HTTPStatus.NOT_FOUND, "text/plain", b"there are /metrics, /healthz and /readyz\n"

    def _stuck(self) -> str:
        age = self._age()
        return f"the event loop has not turned for {age:.1f} s" if age > STUCK else ""


def _verdict(why: str) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
    return status, "text/plain; charset=utf-8", f"{why or 'ok'}\n".encode()


class _Asking(BaseHTTPRequestHandler):
    """One connection, one question."""

    server: Door
    timeout = PATIENCE
    server_version, sys_version = "directcall", ""

    def do_GET(self) -> None:
        """Answer, and let the connection end."""
        status, kind, body = self.server.health.answer(self.path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the base
        """Keep the log for the relay's own affairs."""


class Door(ThreadingMixIn, HTTPServer):
    """The server: a thread that listens and one for each guest, each with an end."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = GUESTS

    def __init__(self, where: tuple[str, int], health: Health) -> None:
        """Listen; raises OSError when the address cannot be had."""
        self.health = health
        self.address_family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        self._guests: dict[socket.socket, float] = {}
        super().__init__(where, _Asking)
        self._thread = threading.Thread(target=self.serve_forever, args=(INTERVAL,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that are listened on."""
        return str(self.server_address[0]), self.server_address[1]

    def close(self) -> None:
        """Listen no more and let everybody go."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        self._send_away(0.0)

    def server_bind(self) -> None:
        """Bind as any server: who asks a name server for the own name may wait long."""
        TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - the base's words
        """Let somebody in while there is room."""
        del request, client_address
        return len(self._guests) < GUESTS

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Note when a guest has to have gone, and serve it."""
        self._guests[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as above
        """Let a guest go."""
        self._guests.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Send away who is slower than allowed; asked by the listening thread twice a second."""
        self._send_away(PATIENCE)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Say nothing: who went away while being answered is not the relay's affair."""

    def _send_away(self, patience: float) -> None:
        for guest, came in list(self._guests.items()):
            if time.monotonic() - came > patience:
                with suppress(OSError):  # it has gone by itself
                    guest.shutdown(socket.SHUT_RDWR)
