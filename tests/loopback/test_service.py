"""The authentication service: what is asked, what counts as an answer, and what a bad service can do."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reference import authentication
from reference.authentication import Service
from reference.core.authentication import Verdict
from reference.metrics import Metrics
from reference.question import ANSWER_LIMIT, service_url

GUARD = 10.0
SECRET = "hunter2"  # noqa: S105 - a test's
WHO = "0258:ab5d:7c27:9b61:3b75:a4e3:7ce7:1bf9"
Line = structlog.typing.EventDict
Said = list[tuple[str, dict[str, object]]]
Judgement = tuple[int, Verdict, str]
Authority = Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]


def answering(status: str, body: bytes, *headers: str) -> bytes:
    """Return an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def saying(answer: object) -> bytes:
    """Return a response that says this in JSON."""
    return answering("200 OK", json.dumps(answer).encode(), "Content-Type: application/json")


class Fake:
    """A service on loopback: every question gets the same bytes, or none; it keeps what it is asked."""

    def __init__(self, answer: bytes, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        self.asked: list[bytes] = []
        self._answer = answer
        self._tls = tls
        self._held: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where to ask."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/tokens?of=relay"

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for each in self._held:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self._one(connection)
            except OSError:  # it did not like us
                connection.close()

    def _one(self, connection: socket.socket) -> None:
        request = b""
        while b"}" not in request:
            request += connection.recv(4096)
        self.asked.append(request)
        connection.sendall(self._answer)
        if self._answer:
            connection.close()
        else:
            self._held.append(connection)


@contextmanager
def fake(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Fake]:
    """Run a service for a while."""
    made = Fake(answer, tls)
    try:
        yield made
    finally:
        made.close()


def judged(url: str, *tokens: str, within: float = GUARD, tls: ssl.SSLContext | None = None) -> Outcome:
    """Let tokens be judged by the service at `url`."""
    return asyncio.run(_judged(url, tokens, within, tls))


class Outcome:
    """Verdicts, counters and what was logged."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.verdicts: list[Judgement] = []
        self.metrics = Metrics()
        self.logged: Said = []

    def log(self, _logger: object, method: str, event: Line) -> Line:
        """Keep a line of the log."""
        self.logged.append((method, dict(event)))
        raise structlog.DropEvent


async def _judged(url: str, tokens: tuple[str, ...], within: float, tls: ssl.SSLContext | None) -> Outcome:
    outcome, everything = Outcome(), asyncio.Event()

    def tell(*judgement: object) -> None:
        outcome.verdicts.append(judgement)  # type: ignore[arg-type] # as it is told
        if len(outcome.verdicts) == len(tokens):
            everything.set()

    logger = structlog.wrap_logger(None, [outcome.log], structlog.stdlib.BoundLogger)
    service = Service(url, within, outcome.metrics, logger, tls)
    service.tell = tell
    try:
        for session, token in enumerate(tokens):
            service.ask(session, token)
        await asyncio.wait_for(everything.wait(), GUARD)
    finally:
        service.close()
    return outcome


def test_a_service_is_asked_as_it_expects() -> None:
    """A POST of the token in JSON to the path and query of the URL, and nothing more is sent."""
    with fake(saying({"valid": True, "fingerprint": WHO, "alias": "a"})) as there:
        outcome = judged(there.url, SECRET)
        (request,) = there.asked
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /tokens?of=relay HTTP/1.1\r\n")
    assert {"token": SECRET} == json.loads(body)
    assert [(0, Verdict.CONFIRMED, WHO)] == outcome.verdicts
    assert 1 == outcome.metrics.totals()["authentications_total/confirmed"]
    assert [] == outcome.logged


@pytest.mark.parametrize(
    "answer",
    [
        saying({"valid": False}),
        saying({"valid": False, "fingerprint": WHO}),
        saying({"valid": True}),
        saying({"valid": True, "fingerprint": None}),
        saying({"valid": True, "fingerprint": ""}),
        saying({"valid": True, "fingerprint": 5}),
        answering("401 Unauthorized", b""),
        answering("403 Forbidden", b"{}"),
        answering("400 Bad Request", b"x"),
        answering("422 Unprocessable", b"x"),
    ],
)
def test_a_no_is_a_refusal(answer: bytes) -> None:
    """A token that is called invalid, stands for nobody, or is turned down by its status is refused."""
    with fake(answer) as there:
        assert [(0, Verdict.REFUSED, "")] == judged(there.url, SECRET).verdicts


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answering("500 Oops", b"x"), "it answers with the status 500"),
        (answering("404 Not Found", b"x"), "it answers with the status 404"),
        (answering("302 Found", b"", "Location: /elsewhere"), "it answers with the status 302"),
        (answering("200 OK", b"valid"), "its answer is no JSON"),
        (answering("200 OK", b"[" * 9000), "its answer is no JSON"),
        (answering("200 OK", b"[]"), "its answer has no valid that is true or false"),
        (saying({"valid": "true", "fingerprint": WHO}), "its answer has no valid that is true or false"),
        (answering("200 OK", b" " * (ANSWER_LIMIT + 1)), f"its answer is larger than {ANSWER_LIMIT} bytes"),
        (b"SSH-2.0-x\r\n", "it cannot be asked: badstatusline"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, "it cannot be asked: httpexception"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "its answer is no JSON"),
    ],
)
def test_what_is_no_answer_refuses_nobody(answer: bytes, why: str) -> None:
    """An error, a redirect, garbage and too much are a service in trouble, which is logged."""
    with fake(answer) as there:
        outcome = judged(there.url, SECRET)
    assert [(0, Verdict.UNAVAILABLE, "")] == outcome.verdicts
    assert [("warning", {"event": "authentication.unavailable", "why": why})] == outcome.logged


def test_a_service_that_is_silent_is_given_up() -> None:
    """After the time-out everybody who waits is told, those in the queue too, and the log has one line."""
    with fake(b"") as there:
        outcome = judged(there.url, *[SECRET] * (authentication.AT_ONCE + 3), within=0.2)
    assert {Verdict.UNAVAILABLE} == {verdict for _, verdict, _ in outcome.verdicts}
    assert [
        ("warning", {"event": "authentication.unavailable", "why": "no answer in time"})
    ] == outcome.logged


def test_a_service_that_is_not_there() -> None:
    """A port where nobody listens is a service in trouble."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
    outcome = judged(f"http://127.0.0.1:{port}/", SECRET)
    assert [(0, Verdict.UNAVAILABLE, "")] == outcome.verdicts
    assert "it cannot be asked: connection refused" == outcome.logged[0][1]["why"]


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the queue a question is not asked, and its client is not refused."""
    monkeypatch.setattr(authentication, "WAITING", 2 - authentication.AT_ONCE)
    with fake(saying({"valid": False})) as there:
        outcome = judged(there.url, *[SECRET] * 5)
    assert [Verdict.REFUSED, Verdict.UNAVAILABLE] == sorted({one for _, one, _ in outcome.verdicts})
    assert 3 == outcome.metrics.totals()["authentications_total/unavailable"]


def test_that_it_is_back_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble and its end are one line each, however many ask; no line holds a token (REG-27)."""
    monkeypatch.setattr(authentication, "WAITING", 3 - authentication.AT_ONCE)
    with fake(saying({"valid": False})) as there:
        outcome = judged(there.url, *[SECRET] * 6)
    told = [line["event"] for _, line in outcome.logged]
    assert ["authentication.unavailable", "authentication.available"] == told
    assert SECRET not in str(outcome.logged)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return what makes a server's TLS for a name, and that of a client who trusts it."""

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key, subject = (
            generate_private_key(SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "t")]),
        )
        host: x509.GeneralName = x509.DNSName(name)
        if name[0].isdigit():
            host = x509.IPAddress(ipaddress.ip_address(name))
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "both.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file)
        return server, ssl.create_default_context(cafile=file)

    return make


@pytest.mark.parametrize(
    ("name", "trusting", "why"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.1", False, "its certificate is not to be trusted: self-signed certificate"),
        ("elsewhere", True, "its certificate is not to be trusted: IP address mismatch"),
    ],
)
def test_a_certificate_is_verified(
    authority: Authority,
    name: str,
    trusting: bool,  # noqa: FBT001 - a parameter
    why: str,
) -> None:
    """A token goes to the service with a trusted certificate of its name, and to nobody else."""
    server, client = authority(name)
    with ExitStack() as behind:
        there = behind.enter_context(fake(saying({"valid": True, "fingerprint": WHO}), server))
        outcome = judged(there.url, SECRET, tls=client if trusting else None)
        assert bool(why) == (not there.asked)
    assert (Verdict.UNAVAILABLE if why else Verdict.CONFIRMED) is outcome.verdicts[0][1]
    assert all(str(line["why"]).startswith(why) for _, line in outcome.logged)


@pytest.mark.parametrize(
    ("scheme", "rest", "why"),
    [
        ("ftp", "directcall.invalid/x", "is no URL of a service"),
        ("https", "/x", "is no URL of a service"),
        ("http", "directcall.invalid/x", "for everybody to read: use https"),
        ("http", "127.0.0.1.directcall.invalid/x", "for everybody to read: use https"),
        ("http", "0.0.0.0/x", "for everybody to read: use https"),
        ("https", "user:word@directcall.invalid/", "names a user or a fragment"),
        ("https", "directcall.invalid/#x", "names a user or a fragment"),
        ("https", "directcall.invalid:0/", "names port 0"),
        ("https", "directcall.invalid:x/", "Port could not be cast"),
    ],
)
def test_a_url_that_no_token_should_go_to(scheme: str, rest: str, why: str) -> None:
    """Anything but https, and http on this machine, is refused before there is a token."""
    with pytest.raises(ValueError, match=why):
        service_url(f"{scheme}://{rest}")


@pytest.mark.parametrize("text", ["auth.directcall.invalid/x", "", "https"])
def test_a_url_that_is_none(text: str) -> None:
    """What has no scheme and no host is no URL."""
    with pytest.raises(ValueError, match="it begins with https and names a host"):
        service_url(text)


@pytest.mark.parametrize(
    ("scheme", "rest"),
    [("https", "directcall.invalid"), ("http", "127.0.0.1:1/"), ("http", "[::1]/"), ("http", "localhost/")],
)
def test_a_url_of_a_service(scheme: str, rest: str) -> None:
    """Https anywhere and http on this machine are fine."""
    assert service_url(f"{scheme}://{rest}").hostname
