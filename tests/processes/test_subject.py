"""The client behind the suite's control protocol as a program: of every phase, on pipes and over TCP."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import pytest

from reference.core.addresses import parse_address
from reference.core.phases import IMPLEMENTED, Phase
from tools.processes import GUARD, troupe

Said = dict[str, Any]


class Seat:
    """The suite's end of a subject: a stream to write to, one to read from."""

    def __init__(self, requests: IO[bytes], replies: IO[bytes]) -> None:
        """Talk through these streams."""
        self.events: list[Said] = []
        self._requests = requests
        self._number = 0
        self._lines: queue.Queue[bytes] = queue.Queue(10_000)
        self._reader = threading.Thread(target=self._read, args=(replies,), daemon=True)
        self._reader.start()

    def does(self, do: str, **members: object) -> Said:
        """Send a request; return the `ok` of its reply."""
        self._number += 1
        self._requests.write(json.dumps({"id": self._number, "do": do, **members}).encode() + b"\n")
        self._requests.flush()
        while (said := self.line()).get("id") != self._number:
            self.events.append(said)
        assert {"id", "ok"} == said.keys(), said
        ok: Said = said["ok"]
        return ok

    def event(self, name: str) -> Said:
        """Wait for an event and take it."""
        for place, event in enumerate(self.events):
            if event["event"] == name:
                return self.events.pop(place)
        while (said := self.line())["event"] != name:
            self.events.append(said)
        return said

    def line(self) -> Said:
        """Return the next line; none at all is an empty object."""
        line = self._lines.get(timeout=GUARD)
        said: Said = json.loads(line or b"{}")
        return said

    def registers(self, relay: str, name: str) -> str:
        """Configure and register; return the fingerprint."""
        seed = hashlib.sha256(name.encode()).hexdigest()
        self.does("configure", relay=relay, seed=seed, timers=0.25, candidates=["127.0.0.1"])
        self.does("register")
        return str(self.event("registered")["fingerprint"])

    def ends(self) -> None:
        """Say bye, and see that nothing comes behind the reply."""
        self.does("bye")
        self.is_over()

    def is_over(self) -> None:
        """See that nothing comes any more, and let go."""
        assert {} == self.line()
        self._requests.close()
        self._reader.join(GUARD)

    def _read(self, replies: IO[bytes]) -> None:
        with replies:
            for line in replies:
                self._lines.put(line)
        self._lines.put(b"")


class Server:
    """A server of subjects (tests/mutants/serving.py): twenty programs that load everything take long."""

    def __init__(self) -> None:
        """Start it and let it load what a subject needs."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(GUARD)
        with theirs:
            command = [sys.executable, "-m", "tests.mutants", "--serve"]
            self._process = subprocess.Popen(  # noqa: S603 - the project's own
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )
        assert {"loaded": 2} == self._ask({"load": ["reference.subject", "tests.mutants.client"]})

    def start(self, errors: Path, *arguments: str) -> tuple[int, Seat]:
        """Start a subject; return its process and the suite's end of it."""
        requests, replies = os.pipe(), os.pipe()
        with errors.open("wb") as log:
            theirs = requests[0], replies[1], log.fileno()
            pid = self._ask({"start": arguments}, *theirs)["pid"]
        for descriptor in theirs[:2]:
            os.close(descriptor)
        return pid, Seat(os.fdopen(requests[1], "wb"), os.fdopen(replies[0], "rb"))

    def reap(self, pid: int) -> int:
        """Return the exit status of a subject that has ended."""
        status: int = self._ask({"reap": pid})["status"]
        return status

    def close(self) -> None:
        """End it, and whatever of its subjects is left."""
        self._control.close()
        self._process.wait(GUARD)

    def _ask(self, question: Said, *descriptors: int) -> Said:
        socket.send_fds(self._control, [json.dumps(question).encode()], descriptors)
        answer: Said = json.loads(self._control.recv(4096))
        return answer


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give the tests of this file one server."""
    with closing(Server()) as made:
        yield made


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the tests of this file one relay: its address."""
    with troupe(tmp_path_factory.mktemp("relay")) as cast:
        yield cast.relay().ready()["addr"]


def talk(speaker: Seat, listener: Seat, frames: int) -> None:
    """Let one end say more frames than needed, until the other has heard so many, each once and in order."""
    speaker.does("send", n=10 * frames, every_ms=20)
    heard = [listener.event("received") for _ in range(frames)]
    numbers = [one["seq"] for one in heard]
    assert list(range(numbers[0], numbers[0] + frames)) == numbers
    assert frames == len({one["digest"] for one in heard})


def test_every_phase_calls_the_next(server: Server, there: str, tmp_path: Path) -> None:
    """Each phase says its name, calls the one behind it on the path that both have, and is heard."""
    programs = [
        server.start(tmp_path / f"{phase}.log", "--subject", "--phase", str(phase)) for phase in IMPLEMENTED
    ]
    seats = [seat for _, seat in programs]
    names = {}
    for phase, seat in zip(IMPLEMENTED, seats, strict=True):
        assert str(phase) == seat.does("hello")["phase"]
        names[phase] = seat.registers(there, str(phase))
    ring = zip([*IMPLEMENTED, IMPLEMENTED[0]], [*seats, seats[0]], strict=True)
    for (older, caller), (younger, callee) in pairwise(ring):
        caller.does("call", target=names[younger])
        call = {"call_id": callee.event("incoming")["call_id"]}
        callee.does("answer", **call, mode="AcceptTrusted")
        path = "direct" if min(older, younger) >= Phase.RACE else "relay"
        assert [path, path] == [seat.event("path")["path"] for seat in (caller, callee)]
        talk(caller, callee, 5)
        talk(callee, caller, 5)
        callee.does("hangup")
        assert call.items() <= caller.event("ended").items()
        assert call.items() <= callee.event("ended").items()
        for seat in (caller, callee):
            seat.events.clear()
    for pid, seat in programs:
        seat.ends()
        assert 0 == server.reap(pid)
    assert [""] * len(programs) == [(tmp_path / f"{phase}.log").read_text() for phase in IMPLEMENTED]


def test_suites_come_one_after_the_other(tmp_path: Path) -> None:
    """With `--tcp` the program says where it listens, serves who comes, then the next; SIGTERM ends it."""
    with troupe(tmp_path) as cast:
        program = cast.start("subject", "reference.subject", "--tcp", "127.0.0.1:0", "--phase", "3")
        address = parse_address(program.ready()["addr"])
        with (
            socket.create_connection(address, GUARD) as first,
            socket.create_connection(address, GUARD) as other,
        ):
            seat, waiting = (Seat(one.makefile("wb"), one.makefile("rb")) for one in (first, other))
            assert "3" == seat.does("hello")["phase"]
            seat.ends()
            assert "3" == waiting.does("hello")["phase"]
            program.send(signal.SIGTERM)
            waiting.is_over()
        assert (0, "") == (program.end(), program.errors())
        assert 1 == len(program.lines)


def test_a_mutant_client_is_a_subject(server: Server, there: str, tmp_path: Path) -> None:
    """The mutant of a client's rule speaks the control protocol, with its one rule broken."""
    programs = [server.start(tmp_path / name, name) for name in ("CALL-39", "--subject")]
    (_, callee), (_, caller) = programs
    name = callee.registers(there, "callee")
    caller.registers(there, "caller")
    caller.does("call", target=name)
    assert "relay" == caller.event("path")["path"]  # the callee has accepted, and nobody asked it to
    for pid, seat in programs:
        seat.ends()
        assert 0 == server.reap(pid)


def test_a_mutant_client_takes_the_options_of_the_subject(server: Server, tmp_path: Path) -> None:
    """An option that is wrong ends it with status 2 and a sentence."""
    pid, seat = server.start(tmp_path / "log", "CALL-39", "--phase", "8")
    seat.is_over()
    assert 2 == server.reap(pid)
    assert (tmp_path / "log").read_text().startswith("subject: --phase: no phase is called '8'")
