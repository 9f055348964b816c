"""Tokens of a client: from the command line or a file, and never in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from reference.commandline import CommandError
from reference.options import Options
from reference.tokens import LONGEST, token_of

SECRET = "hunter2"  # noqa: S105 - a test's


def test_a_token_is_given_or_read(tmp_path: Path) -> None:
    """It stands on the command line or in a file, whose last line break is not part of it."""
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    assert ("", SECRET, SECRET) == (token_of("", None), token_of(SECRET, None), token_of("", file))


@pytest.mark.parametrize(
    ("text", "content", "why"),
    [
        (SECRET, b"another", "there is one token, say it once"),
        ("", b" \n", "there is no token in it"),
        ("", b"\xff", "cannot be read: it is not utf-8"),
        ("", None, "cannot be read: no such file or directory"),
        ("x" * (LONGEST + 1), None, f"a token has at most {LONGEST} characters, this one has {LONGEST + 1}"),
        ("", b"x" * (LONGEST + 1), f"a token has at most {LONGEST} characters"),
    ],
)
def test_a_token_that_is_none(tmp_path: Path, text: str, content: bytes | None, why: str) -> None:
    """What cannot be a token is told in a sentence that does not quote it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    named = file if content is not None or not text else None
    with pytest.raises(CommandError, match=why) as raised:
        token_of(text, named)
    assert SECRET not in str(raised.value)
    assert "xx" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"auth_url": "directcall.invalid"}, "--auth-url: 'directcall.invalid' is no URL of a service"),
        ({"auth_url": "http://localhost/", "auth_timeout": 10.0}, "--auth-timeout 10 has to be shorter"),
    ],
)
def test_a_relay_that_cannot_ask(options: dict[str, object], why: str) -> None:
    """A URL that is none and a time that nobody waits are refused before the relay starts."""
    with pytest.raises(CommandError, match=why):
        Options(**options).check()  # type: ignore[arg-type] # by name


def test_a_relay_that_can_ask() -> None:
    """A service on this machine and the default time are fine, and so is a long time without a service."""
    Options(auth_url="http://localhost/").check()
    Options(auth_timeout=60.0).check()
