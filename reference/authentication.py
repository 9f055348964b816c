"""The authentication service: asked over HTTP, in threads, whether a token is right (docs/how-to/authenticate.md).

The rules of this file:

- A token goes to the one URL that the operator named, over TLS whose certificate is verified, or to this
  machine; no redirect is followed, and nothing of a token or of an answer is logged.
- A question has one time-out from beginning to end; at most 8 are asked at once and 256 wait.
- What is not an answer is nobody's refusal: the service is unavailable.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from reference.core.authentication import Verdict

if TYPE_CHECKING:
    import structlog

    from reference.metrics import Metrics

AT_ONCE, WAITING = 8, 256
ANSWER_LIMIT = 16_384
"""The most bytes of an answer."""
NO = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that say no to a token; any other one but success says that something is wrong with the service."""

Judged = tuple[Verdict, str]
"""A verdict, and the fingerprint that a confirmed token stands for."""


class UnavailableError(Exception):
    """The service gave no answer; the text says why, and holds nothing of a token."""


def service_url(text: str) -> SplitResult:
    """Return the parts of a service's URL; raises ValueError for one that no token should be sent to."""
    url = urlsplit(text)
    if url.scheme not in {"https", "http"} or not url.hostname:
        raise ValueError(f"{text!r} is no URL of a service: write https://HOST/PATH")
    if url.username is not None or url.fragment:
        raise ValueError(f"{text!r} names a user or a fragment, which are not sent")
    if url.port == 0:
        raise ValueError(f"{text!r} names port 0")
    if url.scheme == "http" and not _on_this_machine(url.hostname):
        raise ValueError(f"{text!r} would send tokens over the network for everybody to read: use https")
    return url


def _on_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Question:
    """One token on its way: asked in a thread, given up by the event loop."""

    def __init__(self, url: SplitResult, tls: ssl.SSLContext, token: str, until: float) -> None:
        """Prepare; `until` is when the answer has to be there, by the clock of time.monotonic."""
        self._url = url
        self._tls = tls
        self._token = token
        self._until = until
        self._connection: HTTPConnection | None = None
        self._given_up = False

    def ask(self) -> Judged:
        """Ask and wait for the answer; raises UnavailableError."""
        try:
            with self._connect() as connection:
                return self._asked(connection)
        except (OSError, HTTPException, ValueError) as error:
            raise UnavailableError("no answer in time" if self._late() else _why(error)) from None

    def give_up(self) -> None:
        """End the wait of the thread, whatever it waits for."""
        self._given_up = True
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            with suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)

    def _late(self) -> bool:
        return self._given_up or time.monotonic() >= self._until

    def _connect(self) -> _Closing:
        left = self._until - time.monotonic()
        if self._late():
            raise TimeoutError
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            self._connection = HTTPSConnection(host, port, timeout=left, context=self._tls)
        else:
            self._connection = HTTPConnection(host, port, timeout=left)
        return _Closing(self._connection)

    def _asked(self, connection: HTTPConnection) -> Judged:
        connection.connect()
        if self._late():
            raise TimeoutError
        path = f"{self._url.path or '/'}{'?' if self._url.query else ''}{self._url.query}"
        body = json.dumps({"token": self._token}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        connection.request("POST", path, body, headers)
        return _judged(connection.getresponse())


class _Closing:
    """A connection that is closed whatever happens."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def __enter__(self) -> HTTPConnection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _judged(response: HTTPResponse) -> Judged:
    """Return what an answer says; raises UnavailableError for what is none."""
    if response.status in NO:
        return Verdict.REFUSED, ""
    if response.status // 100 != HTTPStatus.OK // 100:
        raise UnavailableError(f"it answers with the status {response.status}")
    body = response.read(ANSWER_LIMIT + 1)
    if len(body) > ANSWER_LIMIT:
        raise UnavailableError(f"its answer is larger than {ANSWER_LIMIT} bytes")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise UnavailableError("its answer is no JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("valid"), bool):
        raise UnavailableError("its answer has no valid that is true or false")
    fingerprint = answer.get("fingerprint")
    if not answer["valid"] or not isinstance(fingerprint, str) or not fingerprint:
        return Verdict.REFUSED, ""  # a token that is nobody's is no better than a wrong one
    return Verdict.CONFIRMED, fingerprint


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    return f"it cannot be asked: {getattr(error, 'strerror', None) or type(error).__name__}".lower()


class Service:
    """The service that judges tokens; `tell` hears of each session's verdict once, in the event loop."""

    def __init__(
        self,
        url: str,
        timeout: float,
        metrics: Metrics,
        logger: structlog.stdlib.BoundLogger,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare to ask `url` and wait `timeout` seconds; raises ValueError for a URL that is none."""
        self._url = service_url(url)
        self._timeout = timeout
        self._metrics = metrics
        self._logger = logger
        self._tls = tls or ssl.create_default_context()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="authentication")
        self._asking: dict[Question, asyncio.TimerHandle] = {}
        self._trouble = False
        self.tell: Callable[[int, Verdict, str], None] = lambda *_: None

    def ask(self, session: int, token: str) -> None:
        """Let the token of a session be judged."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        if len(self._asking) >= AT_ONCE + WAITING:
            why = UnavailableError("too many tokens wait to be judged")
            loop.call_soon(self._conclude, session, now, why)
            return
        question = Question(self._url, self._tls, token, now + self._timeout)
        self._asking[question] = loop.call_later(self._timeout, question.give_up)
        answer = loop.run_in_executor(self._pool, question.ask)
        answer.add_done_callback(partial(self._answered, session, question, now))

    def close(self) -> None:
        """Give up whatever is being asked; nobody hears of it any more."""
        self.tell = lambda *_: None
        for question, timer in self._asking.items():
            timer.cancel()
            question.give_up()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answered(self, session: int, question: Question, asked: float, answer: asyncio.Future[Judged]) -> None:
        self._asking.pop(question).cancel()
        if not answer.cancelled():
            self._conclude(session, asked, answer.exception() or answer.result())

    def _conclude(self, session: int, asked: float, outcome: Judged | BaseException) -> None:
        """Tell, count, and log when the service begins to fail and when it is back."""
        verdict, fingerprint = outcome if isinstance(outcome, tuple) else (Verdict.UNAVAILABLE, "")
        self._metrics.authentications.labels(str(verdict)).inc()
        self._metrics.asked.observe(time.monotonic() - asked)
        trouble = verdict is Verdict.UNAVAILABLE
        if trouble and not self._trouble:
            self._logger.warning("authentication.unavailable", why=str(outcome))
        elif self._trouble and not trouble:
            self._logger.info("authentication.available")
        self._trouble = trouble
        self.tell(session, verdict, fingerprint)
        if isinstance(outcome, BaseException) and not isinstance(outcome, UnavailableError):
            raise outcome
