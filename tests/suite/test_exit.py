"""Tests of the command: liars for relays, exit statuses, and that nothing is left behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.capture import CaptureResult

from conformance import cli, spec
from conformance.verdicts import Exit

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60
READY = '{{"ready":{{"addr":"127.0.0.1:{}","tls_fingerprint":""}}}}'


def command(*arguments: str) -> list[str]:
    """Return the command of the suite."""
    return [sys.executable, "-m", "conformance", *arguments]


def suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
    )


def here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, CaptureResult[str]]:
    """Run the command in this process; return its status and what it said."""
    monkeypatch.setattr(sys, "argv", ["conformance", *arguments])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the process is pytest's
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), capsys.readouterr()


def liar(tmp_path: Path, body: str) -> str:
    """Return the target of a relay that does what `body` says."""
    path = tmp_path / "liar.py"
    path.write_text(f"import os, sys, time, signal\n{body}\n", encoding="utf-8")
    return f"exec:{sys.executable} {path}"


def sentence(complaint: str) -> str:
    """Return what was complained of: it has to be one line."""
    lines = complaint.strip().splitlines()
    assert 1 == len(lines), complaint
    return lines[0]


@pytest.fixture
def silent() -> socket.socket:
    """A UDP socket that answers nothing."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(LIMIT)
    return made


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("sys.exit('out of order')", "out of order"),
        ("print('hello', flush=True); signal.pause()", "'hello"),
        ('print(\'{"ready":{"addr":"nowhere"}}\', flush=True); signal.pause()', "makes no sense"),
        ("print('{\"ready\":[]}', flush=True); signal.pause()", "ready line"),
        ("signal.pause()", "no ready line"),
    ],
    ids=["crashes", "talks", "has no address", "is no object", "hangs"],
)
def test_a_relay_that_does_not_get_ready_broke_the_protocol(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    body: str,
    words: str,
) -> None:
    """A liar that crashes, talks or hangs before its ready line is at fault: exit 4 and one sentence."""
    arguments = ("--target", liar(tmp_path, body), "--only", "TRANS-2", "--slow", "0.1")
    status, said = here(monkeypatch, capsys, "run", *arguments)
    assert Exit.BROKE_PROTOCOL == status
    assert words in sentence(said.err)


def test_a_relay_that_dies_in_the_middle_broke_the_protocol(tmp_path: Path) -> None:
    """A liar that announces itself and dies is at fault, and what was judged is kept, marked incomplete."""
    target = liar(tmp_path, f"print('{READY.format(9)}', flush=True); os._exit(3)")
    done = suite("run", "--target", target, "--only", "TRANS", "--slow", "0.1", "--out", str(tmp_path))
    assert Exit.BROKE_PROTOCOL == done.returncode
    assert "ended with status 3" in sentence(done.stderr)
    assert json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["complete"] is False


def test_one_fault_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A relay of another phase stops the run: exit 3, one sentence, and no row for what was not tried."""
    ready = READY.format(9).replace('""', '"","phase":"5.5"')
    target = liar(tmp_path, f"print('{ready}', flush=True); signal.pause()")
    status, said = here(monkeypatch, capsys, "run", "--target", target, "--only", "TRANS")
    assert Exit.NOT_JUDGED == status
    assert "say --phase 5.5" in sentence(said.err)
    assert ["no requirement was judged", "19 not judged: 19 not reached before the run ended"] == (
        said.out.splitlines()
    )


def test_one_reason_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A relay that speaks another ALPN protocol fails one requirement, and all others are one row."""
    arguments = ("--target", "mutant:TRANS-18", "--only", "TRANS", "--only", "SEC")
    status, said = here(monkeypatch, capsys, "run", *arguments)
    assert Exit.FAILED == status
    assert 1 == said.out.count("blocked │")
    assert 1 == said.out.count("fail    │")
    assert "1 fail" in said.out.splitlines()[-1]


def test_the_last_message_to_a_relay_that_dies_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A relay that dies of a message has it named, with the check that sent it; exit 4."""
    body = (
        "from reference import relay\nfrom reference.core.calls import Calls\n"
        "Calls.hangup = lambda *_: os._exit(3)\nrelay.app()"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    target = f"{liar(tmp_path, body)} {{options}}"
    status, said = here(monkeypatch, capsys, "run", "--target", target, "--only", "TRANS-9", "--slow", "0.3")
    assert Exit.BROKE_PROTOCOL == status
    assert 'in the check of TRANS-9: bob -> {"Hangup": {"reason": "Normal"' in sentence(said.err)


def test_a_relay_that_is_not_there_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], silent: socket.socket
) -> None:
    """An address where nobody answers gives exit 3 and the sentence says what to do."""
    with silent:
        target = f"udp:127.0.0.1:{silent.getsockname()[1]}"
        status, said = here(
            monkeypatch, capsys, "run", "--target", target, "--only", "TRANS", "--slow", "0.1"
        )
    assert Exit.NOT_JUDGED == status
    assert "start the relay" in sentence(said.err)


def test_an_interrupted_run_keeps_its_results(tmp_path: Path, silent: socket.socket) -> None:
    """SIGTERM gives exit 3, one sentence, and results that say they are incomplete."""
    arguments = ("run", "--target", f"udp:127.0.0.1:{silent.getsockname()[1]}", "--out", str(tmp_path))
    with (
        silent,
        subprocess.Popen(  # noqa: S603 - our own command
            command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as process,
    ):
        silent.recv(2048)  # the suite knocks: it is in the middle of a check
        process.send_signal(signal.SIGTERM)
        _, complaint = process.communicate(timeout=LIMIT)
    assert Exit.NOT_JUDGED == process.returncode
    assert "interrupted" in complaint
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (False, True) == (results["complete"], results["interrupted"])
    assert "Interrupted." in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--target", "tcp:127.0.0.1:1"),
        ("--target", "udp:127.0.0.1"),
        ("--target", "udp:127.0.0.1:0"),
        ("--target", "exec:"),
        ("--target", "exec:'"),
        ("--target", "ref:", "--only", "CALL-none"),
        ("--target", "ref:", "--phase", "3.7"),
        ("--target", "ref:", "--phase", "0", "--only", "REFL"),
        ("--target", "udp:127.0.0.1:4433", "--role", "client"),
        ("--target", "udp:127.0.0.1:1", "--timers", "lunch=3"),
        ("--target", "ref:", "--known-failures", "nowhere.toml"),
        ("--target", "ref:", "--out", "/dev/null/results"),
    ],
    ids=" ".join,
)
def test_a_command_that_makes_no_sense_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    """What the suite cannot act on gives exit 2 and one sentence, and nothing is started."""
    status, said = here(monkeypatch, capsys, "run", *arguments)
    assert Exit.USAGE == status
    assert 1 == len(said.err.strip().splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--target", "udp:"), "the target 'udp:' has '' where HOST:PORT belongs"),
        (("run", "--target", "udp:127.0.0.1:0"), "'udp:127.0.0.1:0' has '127.0.0.1:0' where HOST:PORT"),
        (("run", "--role", "client", "--target", "tcp:1"), "the target 'tcp:1' has '1' where HOST:PORT"),
        (("run", "--target", "tcp:127.0.0.1:1"), "tcp: is for the adapter of a client: say --role client"),
        (("run", "--role", "client", "--target", "udp:127.0.0.1:1"), "udp: is for a relay: say --role relay"),
        (("run", "--target", "mutant:NOPE-1"), "no mutant of a relay is called 'NOPE-1'"),
        (
            ("run", "--role", "client", "--target", "mutant:CALL-3"),
            "no mutant of a client is called 'CALL-3'",
        ),
        (("run", "--target", "ref:", "--timers", "ring=1"), "--timers says nothing about the target 'ref:'"),
        (("run", "--target", "udp:127.0.0.1:1", "--timers", "ring=-1"), "'ring=-1' is no timer: it takes"),
        (("run", "--target", "udp:127.0.0.1:1", "--timers", "ring=nan"), "'ring=nan' is no timer: it takes"),
        (("run", "--target", "udp:127.0.0.1:1", "--timers", "ring=inf"), "'ring=inf' is no timer: it takes"),
        (("run", "--target", "udp:127.0.0.1:1", "--timers", "ring=x"), "'ring=x' is no timer: say name="),
        (("run", "--target", "ref:", "--only", "call-1"), "say CALL-1, ids are in upper case"),
        (("run", "--target", "ref:", "--only", "call"), "say CALL, ids are in upper case"),
        (
            ("run", "--target", "ref:", "--only", "CALL-x"),
            "no requirement 'CALL-x': CALL has CALL-1 to CALL-",
        ),
        (("run", "--target", "ref:", "--only", "CALLS"), "the areas are "),
        (("explain", "priv-plans"), "say PRIV-PLANS, ids are in upper case"),
        (("explain", "REG-x"), "there is no requirement 'REG-x': REG has REG-1 to REG-"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_complaint_says_what_is_wrong_and_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """What was given wrongly is named with its rule, in one sentence, before anything is started."""
    status, said = here(monkeypatch, capsys, *arguments)
    assert Exit.USAGE == status
    assert words in sentence(said.err)


def test_an_area_and_a_sweeping_check_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`explain` lists the requirements of an area, and what judges many of them has a heading too."""
    _, said = here(monkeypatch, capsys, "explain", "SEC")
    assert len([one for one in spec.requirements().values() if one.area == "SEC"]) == said.out.count(
        ", since "
    )
    _, said = here(monkeypatch, capsys, "explain", "PRIV-PLANS")
    assert said.out.startswith("PRIV-PLANS (since 3)\n  It judges many requirements at once.\n")


def test_a_command_that_is_not_there_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that cannot be started gives exit 3."""
    status, said = here(monkeypatch, capsys, "run", "--target", "exec:/nowhere/relay", "--only", "TRANS-2")
    assert Exit.NOT_JUDGED == status
    assert "cannot be started" in sentence(said.err)


def test_the_reference_passes_and_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A good relay gives exit 0, and a known failure that it does not have is stale: exit 5."""
    done = suite("run", "--target", "ref:", "--only", "TRANS-2", "--out", str(tmp_path))
    assert (Exit.PASSED, "") == (done.returncode, done.stderr)
    known = tmp_path / "known.toml"
    known.write_text('[TRANS-2]\nreason = "x"\ncause = "y"\n', encoding="utf-8")
    arguments = ("--target", "ref:", "--only", "TRANS-2", "--known-failures", str(known))
    status, said = here(monkeypatch, capsys, "run", *arguments)
    assert Exit.STALE == status
    assert "TRANS-2 passes now" in sentence(said.err)


def test_pytest_judges_a_relay_too() -> None:
    """`pytest --pyargs conformance --target …` reports a check as a test."""
    arguments = [
        "-m",
        "pytest",
        "-c",
        "/dev/null",
        "--pyargs",
        "conformance",
        "--target",
        "ref:",
        "-k",
        "advertised",
    ]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, *arguments, "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    assert "1 passed" in done.stdout


def test_explain_says_what_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence of the chapter and the text of the check stand in the explanation."""
    status, said = here(monkeypatch, capsys, "explain", "CALL-3")
    assert Exit.PASSED == status
    assert "A relay MUST NOT send CallRinging before" in said.out
    assert "grants no stream" in said.out


def test_explain_leaves_addresses_of_links_to_the_pages(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a link in a sentence a terminal shows the words alone."""
    _, said = here(monkeypatch, capsys, "explain", "TRANS-19")
    assert "on a connection than the limit allows." in said.out
    assert "](" not in said.out


@pytest.mark.parametrize(
    ("rule", "words"),
    [("PRIV-7", "Six calls run"), ("REFL-3", "another port"), ("PHASE-4", "older phase"), ("RACE-1", "")],
)
def test_explain_knows_the_younger_chapters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rule: str, words: str
) -> None:
    """A rule since any phase is explained, with its phase, and with its check if it is one of a relay."""
    status, said = here(monkeypatch, capsys, "explain", rule)
    assert Exit.PASSED == status
    assert "since " in said.out
    assert words in said.out


def test_list_is_for_machines_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`list --json` gives every requirement with its level."""
    _, said = here(monkeypatch, capsys, "list", "--json")
    listed = json.loads(said.out)
    assert {"id", "level", "sentence", "checked"} <= set(listed[0])
