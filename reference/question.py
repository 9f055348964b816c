"""A question to the authentication service, over HTTP (docs/how-to/authenticate.md).

The rules of this file:

- A token goes to the one URL that the operator named, over TLS whose certificate is verified, or to this
  machine; no redirect is followed, and no error holds anything of it (REG-27).
- What is not an answer is nobody's refusal: the service is unavailable.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import time
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from reference.core.authentication import Verdict

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
"""Statuses that say no to a token; any other one but success says that the service is in trouble."""

Judged = tuple[Verdict, str]
"""A verdict, and the fingerprint that a confirmed token stands for."""


class UnavailableError(Exception):
    """The service gave no answer; the text says why, and holds nothing of a token."""


def service_url(text: str) -> SplitResult:
    """Return the parts of a service's URL; raises ValueError for one that no token should be sent to."""
    url = urlsplit(text)
    if url.scheme not in {"https", "http"} or not url.hostname:
        raise ValueError(f"{text!r} is no URL of a service: it begins with https and names a host")
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
            with closing(self._connect()) as connection:
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

    def _connect(self) -> HTTPConnection:
        left = self._until - time.monotonic()
        if self._late():
            raise TimeoutError
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            self._connection = HTTPSConnection(host, port, timeout=left, context=self._tls)
        else:
            self._connection = HTTPConnection(host, port, timeout=left)
        return self._connection

    def _asked(self, connection: HTTPConnection) -> Judged:
        connection.connect()
        if self._late():
            raise TimeoutError
        path = f"{self._url.path or '/'}{'?' if self._url.query else ''}{self._url.query}"
        body = json.dumps({"token": self._token}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
        connection.request("POST", path, body, headers)
        return _judged(connection.getresponse())


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
