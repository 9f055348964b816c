"""Tests of conformance/service.py: what the suite's own authentication service answers."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from conformance.service import LONGEST, Service, judged

GUARD = 10.0


def question(token: object) -> bytes:
    """Return what a relay asks about a token."""
    return json.dumps({"token": token}).encode()


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("right:a:b", (200, {"valid": True, "fingerprint": "a:b"})),
        ("wrong:a:b", (200, {"valid": False})),
        ("nameless:a:b", (200, {"valid": True})),
        ("broken:a:b", (500, {})),
        ("", (200, {"valid": False})),
        (5, (400, {"valid": False})),
    ],
)
def test_a_token_says_what_becomes_of_it(token: object, answer: object) -> None:
    """The first word of a token decides the answer."""
    assert answer == judged(question(token))


@pytest.mark.parametrize("asked", [b"", b"{", b"[]", b"{}", b'"token"'])
def test_what_is_no_question_is_refused(asked: bytes) -> None:
    """A relay that asks otherwise is told that it does."""
    assert (400, {"valid": False}) == judged(asked)


def test_it_answers_over_http() -> None:
    """A POST is answered in JSON; a body that is announced as too large is not waited for."""
    with closing(Service()) as service:
        host = urlsplit(service.url).netloc
        for body, size, status in ((question("right:a"), 0, 200), (b"", LONGEST + 1, 400)):
            with closing(HTTPConnection(host, timeout=GUARD)) as connection:
                connection.request("POST", "/", body, {"Content-Length": str(size or len(body))})
                response = connection.getresponse()
                assert (status, status == 200) == (response.status, json.loads(response.read())["valid"])
