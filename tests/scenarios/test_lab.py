"""The laboratory's own logic: what it says where it cannot be done, what it judges, what it leaves."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tools import lab, lab_network, lab_scenes
from tools.demo import Flow, Taken
from tools.lab_network import FOUR, OUTSIDE, SIX, WAN, NetworkError
from tools.lab_scenes import Check, Outcome, addresses
from tools.processes import GUARD, Process, ProcessError, troupe

NEAR = addresses(six=True)
SOUND = [Flow("caller → callee", 9, 9, 0, 0.95), Flow("callee → caller", 8, 8, 0, 0.95)]
DIALLED = [f"{FOUR['callee']}:1", f"[{SIX['callee']}]:2", f"{WAN}:1"]
RELAY = f"{OUTSIDE}:4433"


def paths(path: str, caller: str, callee: str) -> list[Taken]:
    """Return the paths of both ends."""
    return [Taken("caller", path, caller, path, 0.1), Taken("callee", path, callee, path, 0.1)]


def dials(*candidates: str) -> dict[str, list[str]]:
    """Return whom the ends dial when the caller is the dialer."""
    return {"caller": [*candidates], "callee": []}


def counts(between: int, turned: int) -> dict[str, int]:
    """Return what the three places counted."""
    return {"caller": between, "callee": 0, "router": turned}


BY_FOUR = paths("direct", f"{FOUR['callee']}:1", f"{FOUR['caller']}:1")
BY_SIX = paths("direct", f"[{SIX['callee']}]:2", f"[{SIX['caller']}]:2")
BY_WAN = paths("direct", f"{WAN}:1", f"{WAN}:2")
BY_RELAY = paths("relay", RELAY, RELAY)
HALF = [replace(BY_SIX[0], heard="relay"), BY_SIX[1]]
MUTE = [SOUND[0], replace(SOUND[1], received=7)]
GOOD = {
    "neighbours": Outcome(BY_FOUR, SOUND, dials(*DIALLED), counts(20, 1)),
    "strangers": Outcome(BY_RELAY, SOUND, dials(f"{WAN}:1"), counts(0, 5)),
    "hidden": Outcome(BY_RELAY, SOUND, dials(), counts(0, 0)),
    "six": Outcome(BY_SIX, SOUND, dials(*DIALLED), counts(20, 1)),
}
JUDGES = {scene.name: scene.judge for scene in lab_scenes.SCENES}


def wrong(name: str, outcome: Outcome) -> int:
    """Count the checks of a scene that do not hold."""
    return sum(not check.holds for check in JUDGES[name](outcome, NEAR))


def test_every_scene_has_its_outcome_here() -> None:
    """No scene of the laboratory is without a good outcome in this file."""
    assert set(GOOD) == set(JUDGES)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_outcome_holds(name: str) -> None:
    """When all is as it should be no check of the scene says otherwise."""
    assert 0 == wrong(name, GOOD[name])


@pytest.mark.parametrize(
    ("name", "bad", "expected"),
    [
        ("neighbours", replace(GOOD["neighbours"], paths=BY_RELAY), 2),
        ("neighbours", replace(GOOD["neighbours"], paths=BY_WAN), 2),
        ("neighbours", replace(GOOD["neighbours"], paths=HALF), 1),
        ("neighbours", replace(GOOD["neighbours"], paths=[*reversed(paths("direct", "1:1", "1:1"))]), 2),
        ("neighbours", replace(GOOD["neighbours"], candidates=dials(*DIALLED[1:])), 1),
        ("neighbours", replace(GOOD["neighbours"], candidates=dials(*DIALLED[:2])), 1),
        ("neighbours", replace(GOOD["neighbours"], candidates=dials()), 1),
        ("neighbours", replace(GOOD["neighbours"], candidates={"caller": DIALLED, "callee": DIALLED}), 1),
        ("neighbours", replace(GOOD["neighbours"], candidates={"caller": [], "callee": DIALLED}), 1),
        ("neighbours", replace(GOOD["neighbours"], counts=counts(16, 0)), 1),
        ("neighbours", replace(GOOD["neighbours"], flows=MUTE), 1),
        ("strangers", replace(GOOD["strangers"], paths=BY_WAN), 2),
        ("strangers", replace(GOOD["strangers"], candidates=dials()), 1),
        ("strangers", replace(GOOD["strangers"], candidates=dials(*DIALLED)), 1),
        ("strangers", replace(GOOD["strangers"], counts=counts(0, 0)), 1),
        ("strangers", replace(GOOD["strangers"], counts=counts(1, 5)), 1),
        ("hidden", replace(GOOD["hidden"], paths=BY_FOUR), 2),
        ("hidden", replace(GOOD["hidden"], candidates=dials(f"{WAN}:1")), 1),
        ("hidden", replace(GOOD["hidden"], counts=counts(1, 0)), 1),
        ("hidden", replace(GOOD["hidden"], counts=counts(0, 1)), 1),
        ("six", replace(GOOD["six"], paths=BY_FOUR), 2),
        ("six", replace(GOOD["six"], candidates=dials(DIALLED[0], DIALLED[2])), 1),
    ],
)
def test_what_is_wrong_is_seen(name: str, bad: Outcome, expected: int) -> None:
    """A path, an address, a candidate, a count or a sound that should not be so is found."""
    assert expected == wrong(name, bad)


def without(*names: str) -> Callable[[str], str | None]:
    """Return a finder of commands that does not find these."""
    return lambda name: None if name in names else name


def test_missing_commands_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks a command is told which, and the Debian package that it is in."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", without("nft", "ip"))
    with pytest.raises(NetworkError, match=r"no command ip, nft: .* Debian packages iproute2 nftables$"):
        lab_network.way_in()


def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux there is nothing to install."""
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(NetworkError, match="a thing of Linux, and this is plan9"):
        lab_network.way_in()


def test_every_way_that_was_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where namespaces are not permitted, what the system said to each attempt is told."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", without())
    asked: list[str] = []

    def refuse(command: list[str], _: str = "") -> str:
        asked.append(" ".join(command))
        raise NetworkError(f"no {len(asked)}")

    monkeypatch.setattr(lab_network, "run", refuse)
    with pytest.raises(NetworkError, match=r"no 1; no 2$"):
        lab_network.way_in()
    assert [False, True] == ["--user" in command for command in asked]


def test_a_command_that_fails_is_quoted() -> None:
    """The last words and the name of a command that fails are in the error."""
    with pytest.raises(NetworkError, match=r"^so it is \(in .*python"):
        lab_network.run([sys.executable, "-c", "import sys; sys.exit('well\\nso it is')"])


@pytest.mark.parametrize(("option", "status"), [([], 0), (["--required"], 1)])
def test_what_cannot_be_done_is_skipped(
    option: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laboratory that cannot be built says SKIPPED and why; that is a failure only where it is required."""
    monkeypatch.setattr(sys, "platform", "plan9")
    monkeypatch.setenv("PATH", os.environ["PATH"])  # it adds to it
    assert status == lab.main(option)
    said = capsys.readouterr().out
    assert said.startswith("SKIPPED the laboratory: network namespaces are a thing of Linux")
    assert said.endswith("0 hold, 0 do not, 1 SKIPPED\n")


def test_nothing_is_built_where_others_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the namespaces that it should have left the laboratory touches nothing."""
    monkeypatch.setenv("PATH", os.environ["PATH"])  # it adds to it
    monkeypatch.setattr(lab_network, "home", lambda: "mnt:[1]")
    monkeypatch.setattr(lab_network, "run", lambda *_: pytest.fail("a command was run"))
    assert 1 == lab.main(["--left", "mnt:[1]", "--out", str(tmp_path / "out")])
    assert "in namespaces of its own" in capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_one_wrong_check_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1 when one check does not hold, and what held is counted too."""
    report = lab.Report(Console())
    report.judge("A scene", [Check(holds=True, text="[so]"), Check(holds=False, text="not so")])
    assert 1 == report.sum_up(required=False)
    assert ["A scene", "  ok    [so]", "  WRONG not so", "", "1 hold, 1 do not, 0 SKIPPED"] == (
        capsys.readouterr().out.splitlines()[1:]
    )


def begun(process: Process) -> bool:
    """Wait until the callees of a laboratory wait; False when it was skipped here, as it then has to say."""
    try:
        process.event("said", line=lab.WAITING)
    except ProcessError:
        assert process.lines[0].startswith(lab.SKIPPED)
        return False
    return True


def started_for(folder: Path) -> list[int]:
    """Return the processes that write into a folder, by their numbers."""
    marks = ((int(it.parent.name), it) for it in Path("/proc").glob("[0-9]*/cmdline"))
    return [number for number, it in marks if number != os.getpid() and os.fsencode(folder) in words_of(it)]


def words_of(file: Path) -> bytes:
    """Return a command line, or nothing when its process has gone."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_lab_that_is_ended_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Ended in the middle, even by force, it leaves no process and no namespace that has a name."""
    out, names = tmp_path / "out", Path("/run/netns")
    before = sorted(names.iterdir()) if names.exists() else []
    with troupe(tmp_path) as cast, ExitStack() as stack:
        process = cast.start("lab", "tools.lab", "--out", out)
        there = begun(process)
        clients = [it for it in started_for(out) if it != process.pid]
        assert there == bool(clients)
        watched = [os.pidfd_open(client) for client in clients]
        for descriptor in watched:
            stack.callback(os.close, descriptor)
        process.send(number)
        expected = {signal.SIGTERM: 128 + number, signal.SIGKILL: -number}[number] if there else 0
        assert expected == process.end()
        for descriptor in watched:  # readable when the process has ended
            assert [descriptor] == select.select([descriptor], [], [], GUARD)[0]
    assert [] == started_for(out)
    assert before == (sorted(names.iterdir()) if names.exists() else [])
