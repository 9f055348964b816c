"""Tests of the puppets that are left running: a puppet relay and a puppet callee talk to each other."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from conformance.verdicts import Exit
from tests.suite.test_exit import sentence, suite

ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def served(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Leave a puppet running; interrupt it in the end, as its user does, and expect it to end well."""
    command = [sys.executable, "-m", "conformance", "serve", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
    with process:
        try:
            yield process
            os.kill(process.pid, signal.SIGINT)
            assert Exit.PASSED == process.wait(20)
        finally:
            process.kill()


def said(stdout: IO[str] | None, word: str) -> dict[str, Any]:
    """Return the first line that has a word in it."""
    assert stdout is not None
    return next(json.loads(line) for line in stdout if word in line)


def test_a_puppet_relay_rings_a_puppet_callee() -> None:
    """The relay calls whoever registers; the callee answers, is set up, and is admitted to its room."""
    with served("relay", "--at", "127.0.0.1:0", "--ring") as relay:
        address = said(relay.stdout, "ready")["ready"]["addr"]
        with served("callee", "--at", address, "--mode", "AcceptGeneric") as callee:
            assert said(callee.stdout, "ready")["ready"]["fingerprint"]
            assert "callee" == said(callee.stdout, "CallSetup")["who"]
            assert "<-" == said(callee.stdout, "CallAnswer")["direction"]
        answer = said(relay.stdout, "DirectCallAnswer")["what"]["DirectCallAnswer"]
        assert "AcceptGeneric" == answer["accept_mode"]


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("caller", "--at", "127.0.0.1:1"), Exit.USAGE, "--target"),
        (("callee", "--at", "127.0.0.1:1", "--mode", "Perhaps"), Exit.USAGE, "'Perhaps'"),
        (("callee", "--at", "127.0.0.1:1"), Exit.NOT_JUDGED, "did not complete"),
        (("relay", "--at", "192.0.2.1:4433"), Exit.USAGE, "192.0.2.1:4433"),
        (("relay", "--at", "127.0.0.1:0", "--phase", "8"), Exit.USAGE, "'8'"),
    ],
)
def test_what_cannot_be_served_is_said(words: tuple[str, ...], status: Exit, why: str) -> None:
    """Each ends with its status and one sentence that names the value."""
    done = suite("serve", *words)
    assert status == done.returncode, done.stderr
    assert why in sentence(done.stderr)
