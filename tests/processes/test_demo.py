"""The demo: its sentences, what it leaves, and how it ends when it is stopped."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.terminal import CTRL_C, GUARD, terminal
from tools import demo
from tools.demo import Flow, Scene, Taken, carried
from tools.ending import INTERRUPTED, ending
from tools.processes import ROOT, Troupe
from tools.running import family

DEMO = """
import sys
from pathlib import Path
from tools import demo
from tools.ending import ending
demo.OUT = Path({out!r})
with ending("demo"):
    sys.exit(demo.main([]))
"""
TRY_AGAIN = "this machine is busy (load 8.0 on 2 processors), which may be why; try again when it is not"


@pytest.mark.parametrize(
    ("flow", "fault"),
    [
        (Flow("a", 0, 0, 0, 0.9), "a: nothing was sent"),
        (
            Flow("a", 2, 1, 1, 0.9),
            "a: 1 of 2 packets did not arrive: 1 in between, 0 at the beginning or the end",
        ),
        (
            Flow("a", 248, 246, 0, 0.9),
            "a: 2 of 248 packets did not arrive: 0 in between, 2 at the beginning or the end",
        ),
        (Flow("a", 2, 3, 0, 0.9), "a: 2 packets were sent, and 3 arrived"),
        (Flow("a", 2, 2, 1, 0.9), "a: 2 of 2 packets arrived, and yet 1 are counted as lost"),
        (Flow("a", 2, 2, 0, 0.899), "a: the recording is not what was said: 0.899 of 0.9"),
    ],
)
def test_a_direction_can_fail(flow: Flow, fault: str) -> None:
    """Nothing sent, packets that did not arrive, another recording: each is a sentence that adds up."""
    assert [fault] == list(flow.faults())


def test_a_path_can_be_another_one() -> None:
    """A call that took another path, and media heard by another, are a sentence each."""
    expected = [
        "b: the call took the path relay (1:1), not direct",
        "b: the first media was heard by relay, not direct",
    ]
    assert expected == list(Taken("b", "relay", "1:1", "relay", 0.1).faults("direct"))


@pytest.mark.parametrize(("counts", "said"), [([4.0], "4"), ([], "an unknown number of")])
def test_a_relay_can_forward_another_number(counts: list[float], said: str) -> None:
    """A relay that forwarded too much or too little, or does not say, is a sentence."""
    log: list[dict[str, object]] = [{"event": "stopped", "datagrams_forwarded_total": one} for one in counts]
    assert [f"the relay forwarded {said} packets, not 500"] == list(carried(log, 500))
    assert [] == list(carried([{"event": "stopped", "datagrams_forwarded_total": 500.0}], 500))


def test_the_demo_says_what_to_listen_to(capsys: pytest.CaptureFixture[str]) -> None:
    """At its end it names recordings, what similarity is, and where to go from here."""
    assert 0 == demo.concluded(Console(width=80), [])
    shown = capsys.readouterr().out
    assert "out/demo/direct/callee-heard.wav is what the callee heard the caller say" in shown
    assert "1 is the same, 0.9 is enough" in shown
    assert shown.endswith("next:        docs/tutorial.md does the same by hand\n")


@pytest.mark.parametrize(("load", "words"), [(8.04, [TRY_AGAIN]), (0.5, [])])
def test_the_demo_knows_a_busy_machine(
    load: float, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When it fails on a machine with too much to do, it says so, and that it is to be tried again."""
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert 1 == demo.concluded(Console(), ["direct: why"])
    first, *others, last = capsys.readouterr().err.splitlines()
    assert ("demo: failed: direct: why", "look: out/demo/ holds") == (first, last[:21])
    assert words == others


def test_the_demo_leaves_no_empty_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log in which nothing was said is not left."""

    def played(cast: Troupe, _: object) -> Scene:
        (cast.folder / "callee.log").touch()
        (cast.folder / "relay.log").write_text("said", encoding="ascii")
        return Scene("played")

    monkeypatch.setattr(demo, "OUT", tmp_path)
    monkeypatch.setitem(demo.CALLS, "direct", played)
    demo.perform("direct", Console(quiet=True))
    assert ["relay.log"] == [place.name for place in (tmp_path / "direct").iterdir()]


@pytest.mark.parametrize("word", ["extra", "--bogus"])
def test_the_demo_takes_no_arguments(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An argument ends it with status 2 before anything is played."""
    with pytest.raises(SystemExit) as ended:
        demo.main([word])
    assert 2 == ended.value.code
    assert f"unrecognized arguments: {word}" in capsys.readouterr().err


def test_the_demo_tells_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for help it says what it is, and plays nothing."""
    with pytest.raises(SystemExit) as ended:
        demo.main(["--help"])
    assert 0 == ended.value.code
    assert "Demo: three calls on this machine" in capsys.readouterr().out


def test_the_demo_names_what_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made is named with the reason, in a line."""
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(demo, "OUT", blocked / "demo")
    says = rf"^demo: cannot go on: {blocked}/demo: not a directory$"
    with pytest.raises(SystemExit, match=says), ending("demo"):
        demo.main([])


def test_the_demo_names_what_it_cannot_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier run left and cannot be removed is named with the reason."""
    blocked = tmp_path / "demo"
    blocked.touch()
    monkeypatch.setattr(demo, "OUT", blocked)
    says = rf"^demo: cannot go on: {blocked}: not a directory$"
    with pytest.raises(SystemExit, match=says), ending("demo"):
        demo.main([])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_demo_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C ends it with one line and status 130; also when it is killed, its programs end."""
    with terminal((sys.executable, "-c", DEMO.format(out=str(tmp_path))), ROOT) as shown:
        shown.until("they talk")
        there = [os.pidfd_open(pid) for pid, _ in family(shown.process.pid)]
        if number == signal.SIGINT:
            shown.type(CTRL_C)
        else:
            shown.process.kill()
        ended = shown.end()
    for one in there:
        assert [one] == select.select([one], [], [], GUARD)[0]
        os.close(one)
    assert there
    if number == signal.SIGINT:
        assert INTERRUPTED == ended
        assert "demo: stopped" == shown.text.strip().rpartition("\x1b[2K")[2]
        assert "Traceback" not in shown.text
