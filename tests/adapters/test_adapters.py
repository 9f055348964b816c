"""The example adapters of docs/how-to/adapter.md: each is built, judged, and calls the other through a relay.

A machine without one of the toolchains, or without a network to fetch what a build needs, skips and says why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.processes.test_subject import Seat
from tools import adapters
from tools.adapters import Absent, Broken
from tools.processes import GUARD, troupe

LIMIT = 240.0
"""Seconds for a run of the suite of half a minute."""
LANGUAGES = tuple(adapters.BUILDERS)
Built = Mapping[str, Path | Absent | Broken]
Line = dict[str, Any]


def _built(language: str) -> Path | Absent | Broken:
    try:
        return adapters.BUILDERS[language]()
    except (Absent, Broken) as fault:
        return fault


@pytest.fixture(scope="module")
def built() -> Built:
    """Build the examples beside each other: a program for each language, or what was in the way."""
    with ThreadPoolExecutor() as lanes:
        return dict(zip(LANGUAGES, lanes.map(_built, LANGUAGES), strict=True))


def program(built: Built, language: str) -> str:
    """Return the command of an example, or skip where this machine cannot build it."""
    found = built[language]
    if isinstance(found, Absent):
        pytest.skip(f"the adapter in {language} is not built: {found}")
    if isinstance(found, Broken):
        raise found
    return str(found)


def suite(*arguments: str) -> str:
    """Run the suite as its user does; return what it says."""
    whole = [sys.executable, "-m", "conformance", *arguments]
    done = subprocess.run(  # noqa: S603 - a command of our own
        whole, cwd=adapters.ROOT, check=False, capture_output=True, text=True, timeout=LIMIT
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def judged(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    """Judge all examples that were built beside each other; return the results of each run."""

    def judge(language: str) -> Line:
        out = tmp_path_factory.getbasetemp() / language
        target = ("--target", f"exec:{built[language]}", "--phase", "0")
        said = suite("run", "--role", "client", *target, "--out", str(out))
        results = out / "results.json"
        return {"said": said} | (json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {})

    there = [language for language in LANGUAGES if isinstance(built[language], Path)]
    with ThreadPoolExecutor() as lanes:
        return dict(zip(there, lanes.map(judge, there), strict=True))


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_passes(language: str, built: Built, judged: dict[str, Line]) -> None:
    """The client behind the adapter passes every requirement of phase 0, as far as there is one to judge."""
    program(built, language)
    found = {one["id"]: one["verdict"] for one in judged[language].get("requirements", [])}
    assert len(found) > 30, judged[language]["said"]
    rest = {name: verdict for name, verdict in found.items() if verdict != "pass"}
    assert {"PHASE-3": "unsupported"} == rest


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_verdict(language: str, built: Built, judged: dict[str, Line]) -> None:
    """What the suite says of an example stands in its page, word for word."""
    program(built, language)
    page = (adapters.EXAMPLES.parent / f"adapter-{language}.md").read_text(encoding="utf-8")
    assert judged[language]["said"].splitlines()[0] in page
    assert [] == [line for line in judged[language]["said"].splitlines() if line not in page]


@contextmanager
def seated(command: str) -> Iterator[Seat]:
    """Start an adapter; give the suite's end of it, and see that it ends by itself."""
    with subprocess.Popen([command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Seat(process.stdin, process.stdout)
            assert 0 == process.wait(GUARD)
        finally:
            process.kill()


def test_they_talk(built: Built, tmp_path: Path) -> None:
    """Each example calls the other at a relay of the reference; both are heard, and one hangs up."""
    programs = [program(built, language) for language in LANGUAGES]
    with ExitStack() as stack:
        relay = stack.enter_context(troupe(tmp_path)).relay().ready()["addr"]
        seats = [stack.enter_context(seated(each)) for each in programs]
        names = {seat: seat.registers(relay, f"person {number}") for number, seat in enumerate(seats)}
        for caller, callee in permutations(seats):
            caller.does("call", target=names[callee])
            call = {"call_id": callee.event("incoming")["call_id"]}
            assert call.items() <= caller.event("ringing").items()
            callee.does("answer", **call, mode="AcceptGeneric")
            assert ["relay", "relay"] == [seat.event("path")["path"] for seat in seats]
            talk(caller, callee)
            talk(callee, caller)
            caller.does("hangup")
            assert [call, call] == [{"call_id": seat.event("ended")["call_id"]} for seat in seats]
            assert {"registered": True, "call_id": None, "path": None} == callee.does("state")
            for seat in seats:
                seat.events.clear()
        for seat in seats:
            seat.ends()


def talk(speaker: Seat, listener: Seat) -> None:
    """Let one end be heard by the other, frame by frame."""
    speaker.does("send", n=20, every_ms=20)
    heard = [listener.event("received")["seq"] for _ in range(5)]
    assert list(range(heard[0], heard[0] + 5)) == heard


SEED = "5f" * 32
PERSON = "0000:" * 7 + "0000"
RELAY = {"do": "configure", "relay": "127.0.0.1:9", "seed": SEED}
BAD: tuple[tuple[Line, str, str], ...] = (
    ({"do": "dance"}, "unsupported", "dance"),
    ({"do": "nat", "relays": ["127.0.0.1:9"]}, "unsupported", "nat"),
    (RELAY | {"relay": "localhost:9"}, "error", "localhost:9"),
    (RELAY | {"relay": 7}, "error", ""),
    (RELAY | {"seed": "5g" * 32}, "error", "5g5g"),
    (RELAY | {"seed": "é" * 32}, "error", "é"),
    (RELAY | {"timers": 0}, "error", "0"),
    ({"do": "register"}, "error", "configur"),
    ({"do": "call", "target": PERSON.upper() + "0"}, "error", PERSON),
    ({"do": "call", "target": PERSON}, "error", "registered"),
    ({"do": "answer", "call_id": "c0ffee", "mode": "Perhaps"}, "error", "Perhaps"),
    ({"do": "answer", "call_id": "c0ffee", "mode": "AcceptTrusted"}, "error", "c0ffee"),
    ({"do": "send", "n": 0, "every_ms": 20}, "error", "0"),
    ({"do": "send", "n": 1, "every_ms": 30}, "error", "30"),
    ({"do": "send", "n": 1, "every_ms": 20}, "error", "no call"),
    ({"do": "hangup"}, "error", "no call"),
    ({"do": "reset"}, "ok", ""),
)
"""Requests that cannot be done, what the reply is, and what its sentence names."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_requests_are_answered(language: str, built: Built) -> None:
    """What cannot be done is refused by a sentence that names it, and the adapter goes on."""
    requests = "".join(json.dumps({"id": n} | one) + "\n" for n, (one, _, _) in enumerate(BAD, 1))
    noise = '[]\n{"id": 1}\n{"do": "hello"}\n{"id": "1", "do": "hello"}\n7\n'
    done = subprocess.run(  # noqa: S603 - built from our own sources
        [program(built, language)],
        input=(noise + requests).encode(),
        capture_output=True,
        timeout=GUARD,
        check=True,
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(n, kind) for n, (_, kind, _) in enumerate(BAD, 1)] == [
        (reply.pop("id"), *reply) for reply in replies
    ]
    assert [] == [
        (named, reply)
        for (_, kind, named), reply in zip(BAD, replies, strict=True)
        if kind != "ok" and named not in reply[kind]
    ]


def test_the_smallest_one_keeps_to_the_protocol() -> None:
    """The adapter in Python passes the check of adapters, and the page shows the words of that check."""
    said = suite("adapter", "check", "--target", f"exec:{sys.executable} docs/how-to/examples/adapter.py")
    page = (adapters.EXAMPLES.parent / "adapter.md").read_text(encoding="utf-8")
    assert said.startswith("good")
    assert said in page


@pytest.mark.parametrize(
    ("said", "fetches", "fault"),
    [
        ("dial tcp 127.0.0.1:9: connect: connection refused", True, Absent),
        ("note: see above\ngo: go.mod requires go >= 1.25.0 (running go 1.22.2)", True, Absent),
        ("checksum for `quinn` changed between lock files", True, Broken),
        ("error[E0277]: dial tcp is no trait", False, Broken),
    ],
)
def test_what_is_lacking_is_told_from_what_is_wrong(
    *, said: str, fetches: bool, fault: type[Exception], tmp_path: Path
) -> None:
    """A network or a version that is not there is no fault of the sources, and only a fetch can find it."""
    script = f"import sys; sys.exit({said!r})"
    with pytest.raises(fault, match=said.splitlines()[-1][:20].replace("[", r"\[").replace("(", r"\(")):
        adapters.perform(sys.executable, "-c", script, folder=tmp_path, fetches=fetches)


def test_a_toolchain_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A machine without the program of a toolchain is told which one it lacks."""
    with pytest.raises(Absent, match="there is no cargoo on this machine"):
        adapters.perform("cargoo", "build", folder=tmp_path)


def test_the_pins_of_rust_name_no_registry() -> None:
    """Every pinned package but the example itself has its hash, and none the address of a registry."""
    pins = adapters.PINS.read_text(encoding="utf-8")
    assert adapters.pinned(pins) == pins
    assert pins.count("[[package]]") == 1 + pins.count("\nchecksum = ")
