"""Tests of relays that are forked off a server: they are as good as started, and none is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance import warm
from conformance.footprint import MUTANTS
from conformance.process import Process, cold
from conformance.verdicts import TargetFaultError

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60.0

SUITE = """
import sys
from pathlib import Path
from conformance import warm
from conformance.footprint import MUTANTS
from conformance.process import Process
server = warm.Server(MUTANTS)
relay = Process([*MUTANTS, *sys.argv[2:]], Path(sys.argv[1]), 60.0, server.launch)
relay.ready()
print(server._process.pid, relay._child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[warm.Server]:
    """A server of mutants for all tests, as a process of the pool has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        made = warm.Server(MUTANTS)
    yield made
    made.close()


def options(tmp_path: Path) -> list[str]:
    """Return the options of a relay that needs nothing else."""
    return ["--listen", "127.0.0.1:0", "--identity", str(tmp_path / "identity"), "--log-level", "error"]


def relay(server: warm.Server, tmp_path: Path, *arguments: str) -> Process:
    """Start a relay."""
    return Process([*MUTANTS, *arguments, *options(tmp_path)], tmp_path / "log", LIMIT, server.launch)


def forked(process: Process) -> warm.Fork:
    """Return what a warm process consists of."""
    assert isinstance(process._child, warm.Fork)
    return process._child


def ends(descriptor: int) -> bool:
    """Wait for the end of the process behind a descriptor."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    ended = bool(waiting.poll(LIMIT * 1000))
    os.close(descriptor)
    return ended


def test_a_forked_relay_gets_ready_and_stops(server: warm.Server, tmp_path: Path) -> None:
    """It prints its ready line, and SIGTERM leads to exit status 0, as with one that was started."""
    process = relay(server, tmp_path, "CALL-4")
    assert "127.0.0.1" == process.ready()["addr"].rpartition(":")[0]
    assert "" == process.died()
    process.stop()
    assert 0 == process.wait()
    assert "" == (tmp_path / "log").read_text(encoding="utf-8")


def test_a_forked_relay_is_a_process_of_its_own(server: warm.Server, tmp_path: Path) -> None:
    """It leads a session, so that ctrl-C is not its own, and two of them do not share their secrets."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (relay(server, folder, "CALL-4") for folder in folders)
    assert first.ready()["tls_fingerprint"] != second.ready()["tls_fingerprint"]
    pids = [forked(one).pid for one in (first, second)]
    assert pids == [os.getsid(pid) for pid in pids]
    for one in (first, second):
        one.stop()
    assert [0, 0] == [one.wait() for one in (first, second)]


def test_a_relay_with_wrong_options_says_why(server: warm.Server, tmp_path: Path) -> None:
    """A command line that cannot be followed ends the relay, and its last words are quoted."""
    process = relay(server, tmp_path, "NO-1")
    with pytest.raises(TargetFaultError, match=r"status 2 before its ready line.*no such mutant: 'NO-1"):
        process.ready()


def test_a_relay_that_crashes_says_why(server: warm.Server, tmp_path: Path) -> None:
    """An exception that nobody catches ends the relay with status 1, and its last line is quoted."""
    process = relay(server, tmp_path, "--footprint", str(tmp_path / "nowhere"))
    with pytest.raises(TargetFaultError, match=r"status 1 before its ready line.*FileNotFoundError"):
        process.ready()


def test_a_relay_that_is_killed_has_died(server: warm.Server, tmp_path: Path) -> None:
    """A relay that ends by itself in the middle of a run is told of, with the signal that ended it."""
    process = relay(server, tmp_path, "CALL-4")
    process.ready()
    descriptor = os.pidfd_open(forked(process).pid)
    os.kill(forked(process).pid, signal.SIGKILL)
    assert ends(descriptor)
    assert "status -9 in the middle of the run" in process.died()


def test_threads_may_wait_for_the_same_relay(server: warm.Server, tmp_path: Path) -> None:
    """Whoever waits is told the one status, and each relay that is started meanwhile is its starter's own."""
    process = relay(server, tmp_path, "CALL-4")
    process.ready()
    process.stop()
    with ThreadPoolExecutor(8) as threads:
        waits = [threads.submit(forked(process).wait, LIMIT) for _ in range(8)]
        starts = [threads.submit(relay, server, tmp_path, "NO-1") for _ in range(4)]
        assert {0} == {one.result() for one in waits}
        others = [one.result() for one in starts]
    assert 4 == len({forked(one).pid for one in others})
    assert [2] * 4 == [one.wait() for one in others]


def test_another_command_is_started_cold(server: warm.Server, tmp_path: Path) -> None:
    """What is not the server's command is a process like any other."""
    with (tmp_path / "log").open("wb") as errors:
        child = server.launch([sys.executable, "-c", "raise SystemExit(7)"], errors)
    assert isinstance(child, subprocess.Popen)
    assert 7 == child.wait()
    assert child.stdout is not None
    child.stdout.close()


@pytest.mark.parametrize("how", ["closed", "terminated", "suite killed"])
def test_nothing_outlives_the_suite(tmp_path: Path, how: str) -> None:
    """Whether the suite lets go, is killed, or its server is told to stop: server and relay end."""
    command = [sys.executable, "-c", SUITE, str(tmp_path / "log"), "CALL-4", *options(tmp_path)]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as suite:
        assert suite.stdout is not None
        assert suite.stdin is not None
        pids = [int(word) for word in suite.stdout.readline().split()]
        descriptors = [os.pidfd_open(pid) for pid in pids]
        if how == "closed":
            suite.stdin.close()
        elif how == "terminated":
            os.kill(pids[0], signal.SIGTERM)
        else:
            suite.kill()
        assert [True, True] == [ends(one) for one in descriptors]


def test_a_server_that_has_gone_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server was killed, starting a relay fails with a sentence instead of waiting."""
    monkeypatch.chdir(ROOT)
    server = warm.Server(MUTANTS)
    server._process.kill()
    server._process.wait()
    with pytest.raises(TargetFaultError, match="cannot be started"):
        relay(server, tmp_path, "CALL-4")
    server.close()


def test_a_system_without_forks_starts_relays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no fork the suite starts a process a relay, as for any other target."""
    from conformance import trial  # noqa: PLC0415 - loads the checks

    monkeypatch.delattr(os, "fork")
    trial.server.cache_clear()
    assert cold is trial.launcher()
    trial.server.cache_clear()
