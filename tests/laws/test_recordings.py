"""What is recorded of real runs: it is sound, what is not is found, and pictures show what is recorded."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pytest

from tools import record as command
from tools import sequence, timeline
from tools.recording import made, order, picture, verdicts
from tools.recording.made import FOLDER, Record, RecordError
from tools.recording.scenes import BY_NAME
from tools.site import dialogues, results

DIRECT = made.load(FOLDER / "direct-call.json")
Change = Callable[[list[dict[str, Any]]], object]

SHOWN = {path.stem: path.read_text(encoding="utf-8") for path in dialogues.TEXTS.glob("*.md")}
CALLS = sorted(name for name, text in SHOWN.items() if dialogues.DRAWN in text)
RACES = [mark["name"] for mark in dialogues.RACED.finditer(SHOWN["race"])]


def find(rows: list[dict[str, Any]], name: str, to: str) -> dict[str, Any]:
    """Return the first message of a name to somebody."""
    return next(row for row in rows if row.get("name") == name and row["to"] == to)


def earlier(rows: list[dict[str, Any]]) -> None:
    """Let the relay set the call up before it is answered."""
    setup = find(rows, "CallSetup", "callee")
    rows.remove(setup)
    rows.insert(rows.index(find(rows, "DirectCallAnswer", "relay")), setup | {"ms": 1.0})
    rows.sort(key=lambda row: row["ms"])


def test_what_is_committed_is_sound() -> None:
    """Each record has its scene, shapes of the schemas and the order of the specification."""
    assert [] == command.unsound()
    assert {*BY_NAME} == {*CALLS, *RACES}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows.clear(), "it has no rows"),
        (lambda rows: rows.reverse(), "stands behind that of"),
        (lambda rows: rows[1].update(kind="shout"), "there is no kind 'shout'"),
        (lambda rows: rows[1].update(to="mallory"), "'mallory' takes no part"),
        (lambda rows: rows[1].update(took=-1), "took -1 ms"),
        (lambda rows: rows[1].update(name="Register"), "Register is no message of the schemas"),
        (lambda rows: rows[1]["members"].update(colour="red"), "RegisterPresence has no member colour"),
        (
            lambda rows: find(rows, "ReflectResponse", "caller")["members"].update(
                observed_addr="127.0.0.1:9"
            ),
            "'127.0.0.1:9' is another one in every run",
        ),
        (
            lambda rows: find(rows, "DirectCallOffer", "relay")["members"].update(
                target_fingerprint="00" * 16
            ),
            None,
        ),
        (
            lambda rows: find(rows, "DirectCallOffer", "relay")["members"].update(
                target_fingerprint=":".join(["0000"] * 8)
            ),
            "is another one in every run",
        ),
        (lambda rows: rows.remove(find(rows, "CallRinging", "caller")), None),
        (
            lambda rows: rows.remove(find(rows, "CallSetup", "callee")),
            "the relay sends no CallSetup to the callee",
        ),
        (
            lambda rows: rows.remove(find(rows, "DirectCallAnswer", "relay")),
            "the relay sends DirectCallAnswer to the caller, and no row of the table asks for it (Ringing)",
        ),
        (earlier, "the relay sends CallSetup to the callee, and no row of the table asks for it"),
        (lambda rows: rows[1].pop("members"), "it is no dialogue: KeyError('members')"),
    ],
)
def test_a_record_that_is_not_sound_is_told(change: Change, complaint: str | None) -> None:
    """One thing that is wrong is told in a sentence that names it; None where the table leaves it open."""
    record = copy.deepcopy(DIRECT)
    change(record["rows"])
    found = order.faults(record)
    assert bool(complaint) == bool(found), found
    assert complaint is None or any(complaint in one for one in found), found


def test_a_refusal_has_its_reasons() -> None:
    """An offer that reaches nobody is refused as the chapter says, and with no other reason."""
    record = made.load(FOLDER / "nobody-there.json")
    assert [] == order.faults(record)
    find(record["rows"], "Hangup", "caller")["members"]["reason"] = "Declined"
    assert ["nobody-there: an offer is refused with Declined"] == order.faults(record)


@pytest.mark.parametrize("text", ["", "[]", '{"made": {"command": "x"}}'])
def test_a_record_says_how_it_was_made(tmp_path: Path, text: str) -> None:
    """A file without command, day and machine is no record."""
    path = tmp_path / "some.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=r"some\.json"):
        made.load(path)


def test_a_record_is_written_as_it_is_read(tmp_path: Path) -> None:
    """A record survives its file, and the committed ones are written in this one way."""
    made.write(tmp_path / "some.json", DIRECT)
    assert (FOLDER / "direct-call.json").read_bytes() == (tmp_path / "some.json").read_bytes()


@pytest.mark.parametrize("call", CALLS)
def test_a_page_shows_every_row(call: str) -> None:
    """Picture and table have every message of the record, and its schema is linked."""
    record = made.load(FOLDER / f"{call}.json")
    page = dialogues.dialogue(call)
    svg = next(line for line in page.splitlines() if "<svg" in line)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(record["rows"]) == len(rows) - 1
    messages = [row["name"] for row in record["rows"] if row["kind"] == "message"]
    inner = [row["members"]["inner"] for row in record["rows"] if "inner" in row.get("members", {})]
    shown = [*messages, *inner]
    assert len(shown) == sum(svg.count(f">{name}<") for name in set(shown))
    assert all(f"schemas/{name}.md)" in page for name in messages)
    assert f"`{record['made']['command']}` on {record['made']['date']}" in page


@pytest.mark.parametrize("call", RACES)
def test_a_race_has_a_mark_for_every_step(call: str) -> None:
    """Every step is in the list and in the picture, in order, and the first one is the dialer's CallSetup."""
    steps = timeline.steps(made.load(FOLDER / f"{call}.json")["rows"])
    page = dialogues.race(call)
    assert sorted(steps, key=lambda step: step.ms) == steps
    assert 0.0 in {step.ms for step in steps if step.words == "CallSetup reaches the caller."}
    assert all(f"{sequence.milliseconds(step.ms)} ms</b> {escape(step.words)}" in page for step in steps)
    drawn = timeline.Picture(steps, dialogues.LANES).svg("x", "a < b", "words")
    assert [*range(1, len(steps) + 1)] == [
        number for number in range(1, 100) if f'<g data-step="{number}"' in drawn
    ]
    assert '<title id="x-title">a &lt; b</title>' in drawn


def test_a_call_without_a_race_has_no_timeline() -> None:
    """A dialogue in which nobody dials the other end is an error, not an empty picture."""
    with pytest.raises(ValueError, match="there is no race"):
        timeline.steps(made.load(FOLDER / "relayed-call.json")["rows"])


def test_the_script_of_the_race_is_small() -> None:
    """What the page of the race loads is less than 5 kB, and loads nothing itself."""
    text = (FOLDER.parent / "assets" / "race.js").read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000
    assert [] == [word for word in ("import", "fetch(", "://") if word in text]


def test_a_picture_that_loads_something_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A font of elsewhere, too many bytes, or no word of how it was made: each is found."""
    bad = tmp_path / "demo.svg"
    monkeypatch.setattr(picture, "FILE", bad)
    assert ["demo.svg: No such file or directory"] == picture.faults()
    bad.write_text(f'@font-face {{ src: url("far/away.woff") }}{" " * picture.MOST_BYTES}', encoding="utf-8")
    assert 4 == len(picture.faults())


def _without_a_phase(record: Record) -> None:
    record["runs"].pop()


def _twice(record: Record) -> None:
    record["runs"].append(record["runs"][0])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_without_a_phase, "has 0 runs of a client of phase 7, not one"),
        (_twice, "has 2 runs of a relay of phase 0, not one"),
    ],
)
def test_a_run_too_few_or_too_many_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Record], None], complaint: str
) -> None:
    """The record of the verdicts has each role and phase exactly once."""
    record = made.load(verdicts.FILE)
    change(record)
    path = tmp_path / "verdicts.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "report-relay.html").touch()
    monkeypatch.setattr(verdicts, "FILE", path)
    assert [f"verdicts.json {complaint}", "report-client.html is not there"] == verdicts.faults()


def test_the_page_of_the_verdicts_adds_up() -> None:
    """Every run is a row, and what passed and what has no verdict are all that was to be judged."""
    text = str(results.pages()["results/verdicts.md"])
    header, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("## What has no verdict")[0].splitlines()
        if line.startswith("| ")
    ]
    assert len(made.load(verdicts.FILE)["runs"]) == len(rows)
    for row in rows:
        assert int(row[2]) == sum(map(int, row[3:-1])), dict(zip(header, row, strict=True))


@pytest.mark.parametrize("arguments", [["songs"], ["verdicts", "7"], ["--check", "x"], ["--out"]])
def test_what_cannot_be_made_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A word that the command does not know ends it with status 2 and is named."""
    assert 2 == command.main(arguments)
    assert " ".join(arguments) in capsys.readouterr().err


def test_a_dialogue_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A name without a scene ends the command before anything is played."""
    assert 1 == command.main(["dialogues", "serenade"])
    assert "there is no dialogue 'serenade': there are direct-call, " in capsys.readouterr().err
