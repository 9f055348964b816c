"""The gate: what it says of its steps, how far they are, and that nothing is left when it is stopped."""

from __future__ import annotations

import shlex
import signal
import socket
import sys
from contextlib import closing

import pytest

from tests.terminal import CTRL_C, GUARD, terminal
from tools import gate, running, tree

CHILD = """
import signal, socket
signal.signal(signal.SIGINT, signal.SIG_IGN)
socket.create_connection(('127.0.0.1', {port})).recv(1)
"""
STEP = """
import signal, subprocess, sys
subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)
{habit}
print('.... [ 34%]', flush=True)
signal.pause()
"""
GATE = """
import sys
from tools import gate
gate.HASTE = 0.2
gate.STEPS = tuple(gate.Step(name, ('-c', code)) for name, code in {steps!r}.items())
sys.exit(gate.main([]))
"""
HABITS = {"kind": "", "stubborn": "signal.signal(signal.SIGINT, signal.SIG_IGN)"}
"""What a step does about ctrl-C; what it has started ignores it, and is in a session of its own."""
SAID = """\
dots [ 50%]
more dots [100%]

SKIPPED [2] a.py:1: no device
time machine: 9,000 combinations of phases played
=== 3 passed, 2 skipped in 442.10s (0:07:22) ===
"""


def performed(step: gate.Step) -> gate.Outcome:
    """Run one step and return what became of it."""
    one = gate.Gate(running.News())
    assert 0 == one.go([step], 1)
    (outcome,) = one.outcomes
    return outcome


def test_a_step_of_the_gate_fails_with_its_words() -> None:
    """A step that ends with a status is reported with that status and what it said."""
    outcome = performed(gate.Step("broken", ("-c", "import sys; print('words'); sys.exit(3)")))
    assert (3, "words\n") == (outcome.status, outcome.output)


def test_a_step_of_the_gate_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that never ends is stopped, and has failed."""
    monkeypatch.setattr(gate, "LIMIT", 0.2)
    outcome = performed(gate.Step("endless", ("-c", "import threading; threading.Event().wait()")))
    assert outcome.status != 0
    assert "stopped: not done after" in outcome.output


def test_a_step_that_holds_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Of tests that pass, their count, what they skipped and what they played are told, and no dots."""
    gate.report(gate.Outcome(gate.Step("tests", ()), 0, 442.1, SAID))
    assert [
        "  SKIPPED [2] a.py:1: no device",
        "  time machine: 9,000 combinations of phases played",
        "tests            442.1 s  ok, 3 passed, 2 skipped",
    ] == capsys.readouterr().out.splitlines()


def test_a_step_that_fails_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Of tests that fail, everything is told, and in the last line the count."""
    gate.report(gate.Outcome(gate.Step("tests", ()), 1, 442.1, SAID))
    shown = capsys.readouterr().out
    assert f"\n--- tests\n{SAID}---\n" in shown
    assert shown.endswith("tests            442.1 s  FAILED (status 1), 3 passed, 2 skipped\n")


def test_a_step_that_talks_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """What the suite says is told although it holds."""
    gate.report(gate.Outcome(gate.Step("suite", (), talks=True), 0, 1.0, "212 pass\n"))
    assert "\n--- suite\n212 pass\n---\nsuite              1.0 s  ok\n" == capsys.readouterr().out


def test_a_log_tells_how_far_the_steps_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no terminal, a line says now and then how far each step is, as far as that is known."""
    news = running.News()
    tests = running.Running(("-c", f"print({SAID!r})"), news)
    silent = running.Running(("-c", ""), news)
    assert (0, 0) == (tests.status(GUARD), silent.status(GUARD))
    watch = gate.Watch()
    watch.show({"tests": tests})
    assert "" == capsys.readouterr().out
    monkeypatch.setattr(gate, "PULSE", 0.0)
    watch.show({"tests": tests, "silent": silent})
    assert "… tests 100%, silent (0 s)\n" == capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_when_the_gate_is_stopped(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or SIGHUP end each step with all that it started; one line and the status tell."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(GUARD)
        child = CHILD.format(port=server.getsockname()[1])
        steps = {name: STEP.format(child=child, habit=habit) for name, habit in HABITS.items()}
        with terminal((sys.executable, "-c", GATE.format(steps=steps)), tree.ROOT) as shown:
            lives = [server.accept()[0] for _ in steps]
            shown.until("kind 34%, stubborn 34%")
            if number == signal.SIGINT:
                shown.type(CTRL_C)
            else:
                shown.process.send_signal(number)
            assert 128 + number == shown.end()
    assert "gate: stopped" == shown.text.strip().rpartition("\x1b[2K")[2]
    for life in lives:
        with closing(life):
            life.settimeout(GUARD)
            assert b"" == life.recv(1)


def test_the_gate_counts_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All steps run whatever became of the others, and the last line counts them."""
    steps = (gate.Step("bad", ("-c", "raise SystemExit(1)")), gate.Step("good", ("-c", "")))
    monkeypatch.setattr(gate, "STEPS", steps)
    assert 1 == gate.main([])
    assert "1 passed, 1 failed" == capsys.readouterr().out.splitlines()[-1]
    assert 0 == gate.main(["good"])
    assert "1 passed, 0 failed" == capsys.readouterr().out.splitlines()[-1]


def test_the_gate_counts_what_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that skips is not failed, and the number of what it skipped is told."""
    monkeypatch.setattr(gate, "STEPS", (gate.Step("lab", ("-c", "print('SKIPPED lab: no namespaces')")),))
    assert 0 == gate.main([])
    assert "ok, 1 SKIPPED" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["nonsense", "of suite"])
def test_the_gate_knows_its_steps(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A step that does not exist ends the command with status 2, and is named with those that do."""
    with pytest.raises(SystemExit) as ended:
        gate.main(["lint", word])
    assert 2 == ended.value.code
    assert f"gate: no step is called {word!r}: there are tests, traffic" in capsys.readouterr().err


def test_steps_can_be_typed() -> None:
    """The name of a step is one word for a shell."""
    assert [] == [step.name for step in gate.STEPS if [step.name] != shlex.split(step.name)]


def test_the_gate_goes_through_every_room_of_tests() -> None:
    """A room of tests that is new is not forgotten by the gate."""
    rooms = {path.parts[1] for path in tree.select("tests/*/test_*.py")}
    assert set(gate.ROOMS) == rooms
