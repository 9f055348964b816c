"""The readers and tools that the laws and the gate rest on: each is shown to be able to say no."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.terminal import CTRL_C, GUARD, terminal
from tools import chapters, diagram, pins, setup, tree
from tools.chapters import Table

SENTENCE = """\
**AREA-1** (relay, since 3.5): A relay MUST NOT do this.
> Why: because.
> It matters.
> Seen: that.
"""
HASH = "    --hash=sha256:" + "0" * 64
ADDRESS = "https:/" + "/index/simple"  # in two parts, because no file may name one
INSTALLER = """
import signal, socket
signal.signal(signal.SIGINT, signal.SIG_IGN)
life = socket.create_connection(('127.0.0.1', {port}))
print('Collecting aioquic==1', flush=True)
life.recv(1)
"""
SETUP = """
import sys
from tools import setup
setup.GRACE = 0.1
setup.up_to_date = lambda: setup.run([sys.executable, '-c', {installer!r}], 'installing', 9)
sys.exit(setup.main())
"""
CALL = Table(
    "States",
    ("from", "event", "by", "to"),
    (
        ("–", "offer", "caller", "Pending"),
        ("Pending", "offer", "caller", "Pending"),
        ("Pending", "hangup", "caller", "Ended"),
        ("Pending", "hangup", "callee", "Ended"),
        ("Ended", "–", "–", "–"),
    ),
)


def test_a_requirement_is_read_whole() -> None:
    """Id, role, phase, keyword and notes are read, a note of two lines as one."""
    (found,) = chapters.requirements("area", f"# Title\n\n{SENTENCE}")
    assert ("AREA-1", "AREA", "relay", "3.5", 3) == (
        found.id,
        found.area,
        found.role,
        found.since,
        found.line,
    )
    assert ("MUST NOT",) == found.keywords
    assert {"Why": "because. It matters.", "Seen": "that."} == found.notes


@pytest.mark.parametrize(
    "line",
    [
        "**AREA-1** A relay MUST.",
        "**AREA-01** (relay, since 0): A.",
        "**Area-1** (relay, since 0): A.",
        "  **AREA-1**",
    ],
)
def test_a_line_that_is_almost_a_requirement_is_an_error(line: str) -> None:
    """A requirement that is not written as one is not passed over."""
    with pytest.raises(ValueError, match=r"area\.md:1"):
        chapters.requirements("area", line)


def test_fenced_lines_are_no_requirements() -> None:
    """What stands in a fence is an example; the numbers of the lines behind it still hold."""
    (found,) = chapters.requirements("area", f"```\n{SENTENCE}```\n{SENTENCE}")
    assert 7 == found.line


def test_an_open_fence_is_an_error() -> None:
    """A fence that is never closed would hide the rest of its chapter."""
    with pytest.raises(ValueError, match="line 2 is never closed"):
        list(chapters.fences("text\n```json\n{}\n"))


def test_a_table_is_read_with_its_heading() -> None:
    """Cells are read without blanks, and an escaped bar is part of its cell."""
    text = "## Here\n\n| a | b |\n|---|---|\n| 1 | x \\| y |\n"
    assert [Table("Here", ("a", "b"), (("1", "x | y"),))] == chapters.tables(text)


def test_a_table_that_is_not_there_is_an_error() -> None:
    """A law about a table fails when the table has gone."""
    with pytest.raises(ValueError, match="0 tables no such column"):
        chapters.table("errors", "no such column")


def test_rows_of_one_event_are_one_arrow() -> None:
    """Rows with the same event and target are drawn once, a row that stays where it is as a loop."""
    expected = [
        diagram.Transition(("·",), "offer", ("caller",), "Pending"),
        diagram.Transition(("Pending",), "offer", ("caller",), "·"),
        diagram.Transition(("Pending",), "hangup", ("caller", "callee"), "Ended"),
    ]
    assert expected == diagram.transitions(CALL)


def test_a_drawing_names_every_state_and_event() -> None:
    """Each state and each event of the table is written in the drawing, in one line of SVG."""
    drawn = diagram.draw(CALL, "a < b")
    assert "\n" not in drawn
    assert "<title>a &lt; b</title>" in drawn
    for word in (">Pending<", ">Ended<", ">offer (caller)<", ">hangup (caller, callee)<"):
        assert word in drawn


def test_a_table_without_events_is_not_drawn() -> None:
    """A table in which nothing happens is an error, not an empty picture."""
    with pytest.raises(ValueError, match="nothing happens"):
        diagram.draw(Table("", ("from", "event", "to"), (("A", "–", "B"),)), "")


@pytest.mark.parametrize(
    ("lock", "complaint"),
    [
        (f"aioquic==1.7.2 \\\n{HASH}\n", None),
        (f"other==1 \\\n{HASH}\n", "aioquic<1.8 is not pinned"),
        (f"aioquic==1.8.0 \\\n{HASH}\n", "aioquic 1.8.0 is pinned, pyproject.toml asks for aioquic<1.8"),
        ("aioquic==1.7.2\n", "aioquic 1.7.2 has no hash"),
        (f"aioquic==1.7.2 \\\n{HASH}\n--index-url x\n", "'--index-url x' is neither a pin nor a hash"),
        (f"aioquic==1.7.2 \\\n{HASH}\n# {ADDRESS}\n", f"'# {ADDRESS}' is neither a pin nor a hash"),
    ],
)
def test_a_lock_is_judged(lock: str, complaint: str | None) -> None:
    """A lock is judged right, or with one sentence that names what is wrong."""
    expected = [f"lock: {complaint}"] if complaint else []
    assert expected == pins.complaints("lock", lock, [Requirement("aioquic<1.8")])


def test_set_up_blames_the_network() -> None:
    """When the index cannot be reached, set-up says so and what to do, with the last words it heard."""
    said = setup.explain(
        "installing packages", ["WARNING: Retrying after connection broken\n", "ERROR: gave up\n"]
    )
    assert "cannot be reached" in said
    assert "ERROR: gave up" in said


def test_set_up_does_not_blame_the_network_for_all() -> None:
    """Another failure is told by its own last lines."""
    assert "making .venv failed. The last lines of what it said:\nno space left" == setup.explain(
        "making .venv", ["no space left\n"]
    )


def test_set_up_names_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where environments cannot be made, the system package is named."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(setup.SetupError, match="python3-venv"):
        setup.require_ensurepip()


def test_set_up_names_the_python_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under an old Python with no newer one beside it, the version that is needed is named."""
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(setup, "newer_interpreter", lambda: None)
    with pytest.raises(setup.SetupError, match=r"Python 3\.11 or newer is needed"):
        setup.require_python()


def test_set_up_fails_with_what_the_command_said() -> None:
    """A command that fails is told with its last lines."""
    with pytest.raises(setup.SetupError, match=r"trying failed(.|\n)*broken"):
        setup.run([sys.executable, "-c", "print('broken'); raise SystemExit(1)"], "trying")


def test_set_up_names_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that the system refuses is named with the reason and what to do, without a traceback."""
    monkeypatch.setattr(setup, "STAMP", tmp_path)
    monkeypatch.setattr(setup, "up_to_date", lambda: not setup.STAMP.read_text(encoding="utf-8"))
    assert 1 == setup.main()
    assert capsys.readouterr().err == (
        f"set-up failed: {tmp_path}: is a directory. "
        "If this tree is not yours to read and write, work in a copy of your own.\n"
    )


def test_set_up_can_be_stopped() -> None:
    """Ctrl-C ends set-up and what it runs, in one line and with status 130."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(GUARD)
        installer = INSTALLER.format(port=server.getsockname()[1])
        with terminal((sys.executable, "-c", SETUP.format(installer=installer)), tree.ROOT) as shown:
            life, _ = server.accept()
            shown.until("installing: 1 of 9, aioquic")
            shown.type(CTRL_C)
            assert 130 == shown.end()
    assert "set-up stopped" == shown.text.strip().rpartition("\x1b[2K")[2]
    with closing(life):
        life.settimeout(GUARD)
        assert b"" == life.recv(1)


def test_a_selector_that_finds_nothing_is_an_error() -> None:
    """A law about no file at all would always hold."""
    with pytest.raises(FileNotFoundError, match="no file matches"):
        tree.select("*.nonsense")


def test_relative_imports_are_read_as_absolute() -> None:
    """The reader of imports names modules of the tree in full."""
    assert "tools.chapters" in tree.imports(Path("tools/diagram.py"))
