"""Liar: an adapter that breaks the control protocol in the way its first argument names."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

GREETING = {
    "control": 1,
    "name": "liar",
    "version": "1",
    "roles": ["client"],
    "phase": "7",
    "features": ["candidates", "fingerprint", "media", "nat", "path", "timers"],
}
STANDING = {"registered": True, "call_id": None, "path": None}
OKS: dict[str, Any] = {"hello": GREETING, "state": STANDING}


def say(value: object, end: str = "\n") -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(value) + end)
    sys.stdout.flush()


def agree(request: dict[str, Any]) -> None:
    """Reply ok to everything, and do nothing of it."""
    say({"id": request["id"], "ok": OKS.get(request["do"], {})})
    if request["do"] == "bye":
        sys.exit(0)


def crash(_: dict[str, Any]) -> None:
    """End without a word."""
    sys.exit("out of paper")


def crash_later(request: dict[str, Any]) -> None:
    """End once it is configured."""
    sys.exit("out of ink") if request["do"] == "configure" else agree(request)


def hang(_: dict[str, Any]) -> None:
    """Answer nothing, and never end by itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pause()


def banner(request: dict[str, Any]) -> None:
    """Print something for people."""
    sys.stdout.write("Liar 1.0 ready\n")
    agree(request)


def twice(request: dict[str, Any]) -> None:
    """Reply twice."""
    agree(request)
    agree(request)


def disorder(request: dict[str, Any]) -> None:
    """Reply to another request than the one that was sent."""
    agree(request | {"id": request["id"] + 7})


def neither(request: dict[str, Any]) -> None:
    """Reply with nothing in it."""
    say({"id": request["id"]})


def stranger(request: dict[str, Any]) -> None:
    """Greet as something else."""
    roles = GREETING | {"roles": ["toaster"]}
    say({"id": request["id"], "ok": roles})


def young(request: dict[str, Any]) -> None:
    """Be of another phase than the one that is judged."""
    say({"id": request["id"], "ok": GREETING | {"phase": "3"}})


def close(request: dict[str, Any]) -> None:
    """Close standard output and live on."""
    agree(request)
    os.close(1)
    signal.pause()


def endless(_: dict[str, Any]) -> None:
    """Write a line that does not end."""
    sys.stdout.write("x" * 200_000)
    sys.stdout.flush()
    signal.pause()


def flood(request: dict[str, Any]) -> None:
    """Tell far more than anybody wants to hear."""
    if request["do"] == "register":
        for number in range(20_000):
            say({"event": "received", "seq": number % 65536, "digest": "00" * 32})
    agree(request)


def half(request: dict[str, Any]) -> None:
    """End in the middle of a line."""
    say({"id": request["id"], "ok": GREETING}, end="")
    sys.stdout.write("\n{")
    sys.exit(0)


def wrong_event(request: dict[str, Any]) -> None:
    """Tell an event without what it has to have."""
    say({"event": "registered"})
    agree(request)


def split(request: dict[str, Any]) -> None:
    """Keep to the protocol, byte by byte, with members and events that nobody knows."""
    for letter in json.dumps({"event": "yawned", "at": 5}) + "\n":
        sys.stdout.write(letter)
        sys.stdout.flush()
    agree(request | {"mood": "fine"})


LIES: dict[str, Callable[[dict[str, Any]], None]] = {
    lie.__name__: lie
    for lie in (
        *(agree, crash, crash_later, hang, banner, twice, disorder, neither, stranger, young, close),
        *(endless, flood, half, wrong_event, split),
    )
}

if __name__ == "__main__":
    for line in sys.stdin.buffer:
        with contextlib.suppress(ValueError):
            asked = json.loads(line)
            if isinstance(asked, dict):
                LIES[sys.argv[1]](asked)
