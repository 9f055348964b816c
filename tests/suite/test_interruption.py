"""Tests of interruptions: whenever ctrl-C comes, what was judged is kept, and nothing else is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from conformance import exploration, interruption, kills, link, performance, process, runner
from conformance.interruption import INTERRUPTION, Interrupted, Interruption
from conformance.process import Process
from conformance.runner import Order
from conformance.verdicts import Exit, UsageError
from tests.suite.test_exit import LIMIT, ROOT, command, here, sentence

TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
"""Runs a command at a terminal of its own; what is written to it is typed there."""
CTRL_C = b"\x03"


@pytest.fixture
def interrupts() -> Iterator[Callable[[], None]]:
    """Return what interrupts the suite in this process, as the signal does."""
    yield INTERRUPTION.handle
    INTERRUPTION.happened = False


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A UDP socket that answers nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(LIMIT)
        yield made


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def _at_once(interruption: Interruption, work: Coroutine[Any, Any, None]) -> None:
    asyncio.get_running_loop().call_soon(interruption.handle)
    await work


async def _gathered() -> None:
    await asyncio.gather(_forever(), asyncio.ensure_future(_forever()))


async def _stubborn() -> None:
    for _ in range(3):
        with contextlib.suppress(asyncio.CancelledError):
            await _forever()
    await _forever()


@pytest.mark.parametrize("work", [_forever, _gathered, _stubborn])
def test_an_interruption_ends_what_waits(
    work: Callable[[], Coroutine[Any, Any, None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What waits for ever, in tasks of its own or against its cancellation, ends, and leaves no task."""
    monkeypatch.setattr(interruption, "INSISTING", 0.0)
    asked = Interruption()
    with asyncio.Runner() as loop:
        with pytest.raises(Interrupted):
            asked.complete(loop, _at_once(asked, work()))
        assert set() == asyncio.all_tasks(loop.get_loop())
    assert [] == caplog.records


def test_nothing_is_begun_after_an_interruption() -> None:
    """What is to be run after the signal is not begun, and is no coroutine that nobody awaited."""
    asked, begun = Interruption(), []

    async def work() -> None:
        begun.append(1)

    asked.handle()
    with pytest.raises(Interrupted):
        asked.run(work())
    assert [] == begun


def test_what_is_cancelled_otherwise_is_no_interruption() -> None:
    """Work that ends cancelled although nobody interrupted says so, and what comes to its end is returned."""

    async def work(result: int) -> int:
        if not result:
            raise asyncio.CancelledError
        return result

    asked = Interruption()
    assert 1 == asked.run(work(1))
    with pytest.raises(asyncio.CancelledError):
        asked.run(work(0))


def test_nobody_waits_for_a_ready_line_any_more(tmp_path: Path, interrupts: Callable[[], None]) -> None:
    """Who waits for a relay that says nothing stops at an interruption, long before its patience ends."""
    relay = Process([sys.executable, "-c", "import signal; signal.pause()"], tmp_path / "log", LIMIT)
    asked = iter((lambda: None, interrupts))
    lines = relay._lines

    class Waited:
        def get(self, *, timeout: float) -> str:
            next(asked)()
            return lines.get(timeout=timeout)

    relay._lines = Waited()  # type: ignore[assignment]
    with pytest.raises(Interrupted):
        relay.ready()
    relay.stop()
    assert -signal.SIGTERM == relay.wait()


def _in_a_plan(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> None:
    """Interrupt in one of the tasks that perform plans beside each other."""
    perform, count = performance.perform, iter(range(1000))

    async def interrupted(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it is
        if next(count) == 9:
            interrupt()
        return await perform(*given, **named)

    monkeypatch.setattr(exploration, "perform", interrupted)


def _in_a_handshake(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> None:
    """Interrupt while a puppet opens its socket, in the second check."""
    dial, judged = link.dial, _between_two_checks(monkeypatch, lambda: None)

    async def interrupted(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever it is
        if judged:
            interrupt()
        return await dial(*given, **named)

    monkeypatch.setattr(link, "dial", interrupted)


def _between_two_checks(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> list[str]:
    """Interrupt when a check has been judged and the bar is moved; return what has been judged."""
    judged: list[str] = []

    def interrupted(self: Any, report: pytest.TestReport) -> None:  # noqa: ANN401 - private
        del self
        if report.when == "call":
            judged.append(report.nodeid)
            interrupt()

    monkeypatch.setattr(runner._Follower, "pytest_runtest_logreport", interrupted)
    return judged


def _before_the_first(monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None]) -> None:
    """Interrupt before the checks are collected."""
    del monkeypatch
    interrupt()


@pytest.mark.parametrize(
    ("arrange", "only", "judged"),
    [
        (_in_a_plan, ("CALL-3", "CALL-PLANS"), 1),
        (_in_a_handshake, ("CALL-3", "TRANS-2"), 1),
        (_between_two_checks, ("CALL-3", "TRANS-2"), 1),
        (_before_the_first, ("CALL-3", "TRANS-2"), 0),
    ],
)
def test_an_interruption_keeps_what_was_judged(
    arrange: Callable[[pytest.MonkeyPatch, Callable[[], None]], object],
    only: tuple[str, ...],
    judged: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    interrupts: Callable[[], None],
) -> None:
    """At whatever moment: exit 3, results and reports of what was judged, no process, nothing in the log."""
    arrange(monkeypatch, interrupts)
    started: list[Process] = []
    monkeypatch.setattr(process.Process, "__init__", _counted(Process.__init__, started))
    with caplog.at_level(logging.WARNING):
        done = runner.perform(Order("ref:", only=only, out=tmp_path))
    assert (Exit.NOT_JUDGED, True) == (done.exit_status, done.interrupted)
    assert judged == len(done.outcomes)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (judged, True, False) == (
        len(results["requirements"]),
        results["interrupted"],
        results["complete"],
    )
    assert "Interrupted." in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [] == [one for one in started if one._child.poll() is None]
    assert [] == caplog.records


def _counted(begin: Callable[..., None], started: list[Process]) -> Callable[..., None]:
    def counted(self: Process, *given: Any, **named: Any) -> None:  # noqa: ANN401 - whatever it is
        begin(self, *given, **named)
        started.append(self)

    return counted


@pytest.mark.parametrize("often", [1, 3])
def test_ctrl_c_at_a_terminal(tmp_path: Path, silent: socket.socket, often: int) -> None:
    """However often it is pressed: exit 3, one sentence, no traceback, and results that are incomplete."""
    target = f"udp:127.0.0.1:{silent.getsockname()[1]}"
    words = command("run", "--target", target, "--out", str(tmp_path))
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", TERMINAL, *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as terminal:
        silent.recv(2048)  # the suite knocks: it is in the middle of a check
        shown, _ = terminal.communicate(CTRL_C * often, timeout=LIMIT)
    said = shown.decode(errors="replace")
    assert Exit.NOT_JUDGED == terminal.returncode, said
    assert "the run was interrupted; what had been judged until then is kept" in said
    assert "Traceback" not in said
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (False, True) == (results["complete"], results["interrupted"])


def test_every_command_ends_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupts: Callable[[], None]
) -> None:
    """A command that was interrupted before it began anything ends with exit 3 and one sentence."""
    interrupts()
    for words in (("run", "--target", "ref:"), ("mutants",), ("adapter", "check", "--target", "ref:")):
        status, said = here(monkeypatch, capsys, *words)
        assert Exit.NOT_JUDGED == status
        assert "the run was interrupted" == sentence(said.err)


def test_mutants_are_not_waited_for_any_more(interrupts: Callable[[], None]) -> None:
    """Who waits for the mutants of a pool that never end stops at an interruption."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    waiting = kills._done([future])
    interrupts()
    with pytest.raises(Interrupted):
        next(waiting)


def test_what_an_interruption_brings_about_is_not_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupts: Callable[[], None]
) -> None:
    """A command that fails because it was interrupted says that it was interrupted, and not how it failed."""

    def failed(*_: object, **__: object) -> None:
        interrupts()
        message = "the list cannot be read"
        raise UsageError(message)

    monkeypatch.setattr(kills, "run", failed)
    status, said = here(monkeypatch, capsys, "mutants")
    assert (Exit.NOT_JUDGED, "the run was interrupted") == (status, sentence(said.err))
