"""Service: the one that a relay under test asks about tokens (spec/registration.md, Tokens).

A token says itself what the service is to say of it, so that nothing has to be remembered:

    right:FINGERPRINT   is valid for that fingerprint
    wrong:…             is not valid
    nameless:…          is valid, and stands for nobody
    broken:…            is answered with an error of the service

Rules of this file: it listens on loopback only, and ends with the target whose relay asks it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST = 65_536
"""The most bytes of a question."""
PATIENCE = 5.0


def judged(question: bytes) -> tuple[int, dict[str, object]]:
    """Return status and answer to what a relay asks."""
    try:
        token = json.loads(question)["token"]
        kind, _, whose = token.partition(":")
    except (ValueError, TypeError, KeyError, AttributeError):
        return 400, {"valid": False}
    if kind == "right":
        return 200, {"valid": True, "fingerprint": whose}
    if kind == "broken":
        return 500, {}
    return 200, {"valid": kind == "nameless"}


class _Asking(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def do_POST(self) -> None:
        """Answer one question."""
        length = self.headers.get("Content-Length", "")
        question = self.rfile.read(int(length)) if length.isdecimal() and int(length) <= LONGEST else b""
        status, answer = judged(question)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the base
        """Print nothing."""


class Service:
    """One running service; `url` is where to ask it."""

    def __init__(self) -> None:
        """Listen on a free port of loopback."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Asking)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
