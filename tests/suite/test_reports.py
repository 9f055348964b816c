"""Tests of what is made from the results: evidence, drawings, the page, the summary, and bad input."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.console import Console
from rich.progress import Progress

from conformance import evidence, formats, page, report, runner, sequence, spec, wording
from conformance.dialogue import FENCES, LIMIT, Dialogue
from conformance.known import Known
from conformance.puppet import Heard
from conformance.report import Run
from conformance.verdicts import Deviation, Evidence, Exit, Outcome, Verdict
from tests.suite.test_exit import here, sentence

HOSTILE = (
    "<script>alert(1)</script> \u202egnp.exe\u2066 \x00\x1b[31m ](http://directcall.invalid) `x` \ud800 e"
    + "\u0301" * 99
)
"""What a target may say: markup, a turned direction, control characters, half a character, many accents."""


@cache
def hostile() -> Run:
    """Return a run whose target says nothing but harmful things."""
    dialogue = Dialogue()
    for number in range(LIMIT + 1):
        dialogue.note(f"{HOSTILE}{number % 50}", "->", {HOSTILE: {"alias": "A" * 2**20, "reason": HOSTILE}})
        dialogue.note("alice", "<-", {"Hangup": {"reason": HOSTILE, "n": [[[[[[[[[[[1]]]]]]]]]]]}})
    outcome = Outcome("CALL-9", "test_late", Verdict.FAIL, HOSTILE * 1000, 1.0, dialogue.steps())
    outcome = replace(outcome, expected=HOSTILE, received=HOSTILE, step=LIMIT - 1, plan=HOSTILE, text=HOSTILE)
    outcome = replace(outcome, performed=3, failed=2, record="CALL-9", record_note=HOSTILE)
    return Run(
        f"exec:{HOSTILE}",
        "7",
        0,
        [outcome],
        known={"CALL-9": Known("CALL-9", HOSTILE, re.compile("."))},
        stale=[HOSTILE],
        complete=False,
        fault=HOSTILE,
        ready={"name": HOSTILE, "version": [HOSTILE], HOSTILE: {HOSTILE: "B" * 2**20}},
        exit_status=Exit.BROKE_PROTOCOL,
    )


class Reader(HTMLParser):
    """Reads a page: the names of its elements and attributes, its ids, links, headings and text."""

    def __init__(self, text: str) -> None:
        """Read the whole page."""
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what an element is."""
        given = dict(attrs)
        self.tags.add(tag)
        self.attributes |= set(given)
        self.ids += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])] if "href" in given else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []


def test_what_a_target_says_is_only_text() -> None:
    """Markup, turned directions and control characters of a target are shown in the page and do nothing."""
    text = page.html(report.build(hostile()))
    read = Reader(text)
    assert set() == read.tags & {"script", "img", "iframe", "object", "form-action", "base", "b"}
    assert [] == [one for one in read.attributes if one.startswith("on")]
    assert "\\u202egnp.exe" in text
    assert "&lt;script&gt;" in text
    assert [] == [one for one in text if not one.isprintable() and one != "\n"]
    assert "\u0301" * 3 not in text


def test_what_a_target_says_is_bounded() -> None:
    """Names of a mebibyte and dialogues without end leave every report small."""
    results = report.build(hostile())
    assert len(page.html(results)) < 600_000
    assert len(formats.summary(results)) < 30_000
    assert len(json.dumps(results)) < 1_500_000


def test_a_summary_has_no_markup_of_others() -> None:
    """In Markdown a link, an element or a code span that a target says stays text."""
    text = formats.summary(report.build(hostile()))
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text.replace(r"\`", ""))
    assert [] == re.findall(r"(?<!\\)[<\[\]]|(?<!\\)://", outside)


def test_hostile_results_are_written_and_read(tmp_path: Path) -> None:
    """Half a character does not keep the results from being written, read, and made into every report."""
    run = hostile()
    report.write(report.build(run), tmp_path)
    assert {"results.json", *(name for name, _ in report.FORMATS.values())} == {
        one.name for one in tmp_path.iterdir()
    }
    assert run.complete == report.load(tmp_path)["complete"]
    ET.parse(tmp_path / "junit.xml")  # noqa: S314 - our own file


def failing(step: int | None, *steps: dict[str, Any], **others: Any) -> report.Results:  # noqa: ANN401
    """Return the results of a run in which one check failed with this dialogue."""
    outcome = Outcome("CALL-9", "test_late", Verdict.FAIL, "late", dialogue=steps, step=step)
    return report.build(replace(Run("ref:", "7", 3, [outcome], exit_status=Exit.FAILED), **others))


CAME = {"who": "alice", "direction": "<-", "what": {"Hangup": {"reason": "Timeout"}}}


def test_a_page_holds_together() -> None:
    """Ids are used once, each link leads to one of them, and headings leave no level out."""
    read = Reader(page.html(failing(0, CAME)))
    assert len(read.ids) == len(set(read.ids))
    assert set() == {one for one in read.links if one != "data:,"} - {f"#{one}" for one in read.ids}
    assert {*spec.requirements()} <= set(read.ids)
    assert [1] == read.headings[:1]
    pairs = zip(read.headings, read.headings[1:], strict=False)
    assert [] == [(one, other) for one, other in pairs if other > one + 1]


@pytest.mark.parametrize(("step", "words"), [(0, "the failure shows here"), (None, "No single step")])
def test_the_failing_step_is_told_in_words(step: int | None, words: str) -> None:
    """The step that shows a failure is named beside its colour; without one the page says so."""
    assert words in page.html(failing(step, CAME))


def test_a_message_that_never_came_is_dashed() -> None:
    """What was missing has an arrow of its own kind and the words for it."""
    text = page.html(failing(0, CAME | {"missing": True}))
    assert 'class="missing"' in text
    assert "this never came" in text


def test_a_step_that_is_not_there_marks_nothing() -> None:
    """Results that name a step beyond the dialogue are shown without a mark."""
    assert "No single step" in page.html(failing(5, CAME))


def test_the_command_shows_it_again() -> None:
    """A failure is run again with its words quoted for a shell, or replayed when there is a plan."""
    run = failing(0, CAME, command=["run", "--target", "exec:./my relay"])
    rule = run["requirements"][0]
    assert formats.again(run, "CALL-9", rule["checks"][0]) == (
        "python -m conformance run --target 'exec:./my relay' --only CALL-9"
    )
    planned = rule["checks"][0] | {"plan": "plans/CALL-9.json"}
    assert formats.again(run, "CALL-9", planned) == (
        "python -m conformance replay plans/CALL-9.json --target ref:"
    )


def test_every_requirement_stands_in_the_results() -> None:
    """What was not judged is listed with the reason, in the words of the schema."""
    run = Run("ref:", "0", 0, [Outcome("CALL-3", "t", Verdict.PASS)], only=["CALL"], selected={"CALL-4"})
    results = report.build(run)
    jsonschema.Draft202012Validator(report.schema()).validate(results)
    because = {one["id"]: one["because"] for one in results["unjudged"]}
    assert set(spec.requirements()) == {"CALL-3", *because}
    assert ("not reached", "not selected", "role", "phase", "no check") == tuple(
        because[name] for name in ("CALL-4", "TRANS-1", "MEDIA-26", "REFL-1", "MEDIA-25")
    )


def test_what_an_adapter_reported_is_told() -> None:
    """A verdict that rests on an adapter's word says so, in the results of a client and in the page."""
    outcome = Outcome("MEDIA-26", "test_counts", Verdict.FAIL, "no", rests_on="reported")
    results = report.build(Run("exec:x", "7", 0, [outcome], role="client", exit_status=Exit.FAILED))
    assert "reported" == results["requirements"][0]["rests_on"]
    assert "Reported by the adapter" in page.html(results)
    assert "DirectCall client" in formats.badge(results)


def test_an_interrupted_run_says_so() -> None:
    """The page and the summary of a run that was interrupted say it before all else."""
    results = failing(0, CAME, complete=False, interrupted=True, fault="somebody pressed ctrl-C")
    assert "<strong>Interrupted.</strong>" in page.html(results)
    assert "somebody pressed ctrl-C" in formats.summary(results)


def test_a_lost_target_is_one_error() -> None:
    """Checks that were not tried are skipped in JUnit; why the run could not go on stands there once."""
    outcomes = [Outcome(name, name, Verdict.ERROR, "nobody answers") for name in ("CALL-3", "CALL-28")]
    run = Run("udp:127.0.0.1:1", "7", 0, outcomes, complete=False, fault="nobody answers")
    tree = ET.fromstring(formats.junit(report.build(run)))  # noqa: S314 - our own text
    assert ["nobody answers"] == [one.get("message") for one in tree.iter("error")]
    assert 2 == len([*tree.iter("skipped")])
    assert [] == [*formats.troubles(report.build(run))]


def test_the_summary_tells_a_failure() -> None:
    """Sentence, message, expected, received and the command stand in the summary."""
    outcome = Outcome("CALL-9", "t", Verdict.FAIL, "late", expected="Hangup", received="nothing")
    text = formats.summary(report.build(Run("ref:", "7", 3, [outcome], exit_status=Exit.FAILED)))
    for words in (
        spec.requirements()["CALL-9"].sentence,
        "late",
        "expected: `Hangup`",
        "received: `nothing`",
    ):
        assert words in text
    assert "--only CALL-9" in text


def test_the_summary_tells_what_could_not_be_judged() -> None:
    """Why requirements are unsupported is told, each under its rarest reason, and not of what passed."""
    lacking = [("FED-2", "no link"), ("FED-1", "no link"), ("FED-3", "no link"), ("ERR-6", "no link")]
    lacking += [("ERR-6", "no stop"), ("ERR-5", "no stop"), ("CALL-9", "no stop")]
    outcomes = [Outcome(rule, rule + why, Verdict.UNSUPPORTED, why) for rule, why in lacking]
    outcomes += [Outcome("CALL-9", "t", Verdict.PASS), Outcome("CALL-3", "t", Verdict.PASS)]
    text = formats.summary(report.build(Run("udp:127.0.0.1:1", "7", 3, outcomes)))
    assert "## Unsupported: 5" in text
    assert ["- FED-1 to FED-3: no link", "- ERR-5 ERR-6: no stop"] == [
        one for one in text.splitlines() if one.startswith("- ")
    ]
    assert re.search(r"^\d+ not judged: \d+ of the other role, \d+ without a check,", text, re.MULTILINE)


def test_a_run_without_reasons_has_no_list_of_them() -> None:
    """Where everything was judged the summary says nothing of what was unsupported."""
    text = formats.summary(report.build(Run("ref:", "7", 3, [Outcome("CALL-3", "t", Verdict.PASS)])))
    assert "Unsupported" not in text


def test_reasons_without_end_are_counted() -> None:
    """Of a target that has another reason for each requirement some are told and the rest is counted."""
    lacking = [Outcome(one, one, Verdict.UNSUPPORTED, f"because of {one}") for one in spec.requirements()]
    text = formats.summary(report.build(Run("ref:", "7", 3, lacking)))
    assert f"and for {len(lacking) - 50} reasons more" in text


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["CALL-3"], "CALL-3"),
        (["CALL-4", "CALL-3", "CALL-3"], "CALL-3 CALL-4"),
        (["CALL-9", "CALL-10", "CALL-8", "WIRE-1"], "CALL-8 to CALL-10 WIRE-1"),
        (["FED-PAIR", "FED-2", "CALL-TABLE", "FED-1"], "FED-1 FED-2 FED-PAIR CALL-TABLE"),
        (["WIRE-1", "CALL-2", "WIRE-3"], "WIRE-1 WIRE-3 CALL-2"),
    ],
)
def test_ids_are_told_in_few_words(names: list[str], words: str) -> None:
    """Ids of one area stand together in order, three and more that follow one another as a run."""
    assert words == wording.ids(names)


def test_a_count_is_a_sentence() -> None:
    """None, one and several requirements are counted as a person would."""
    assert "no requirement was judged" == formats.judged({})
    assert "1 requirement judged: 1 fail" == formats.judged({"fail": 1})
    assert "3 requirements judged: 2 pass, 1 fail" == formats.judged({"pass": 2, "fail": 1})


def test_what_was_not_selected_is_no_news() -> None:
    """What was not judged is counted by reason; where somebody selected, only what was not reached is."""
    left = [{"because": one} for one in ("role", "phase", "role", "not reached", "not selected")]
    assert (
        "5 not judged: 2 of the other role, 1 of a later phase, 1 not selected, 1 not reached before "
        "the run ended"
    ) == formats.left_out(left, [])
    assert "3 not judged: 3 not reached before the run ended" == formats.left_out(left, ["CALL"], 2)
    assert "" == formats.left_out([{"because": "not selected"}], ["CALL"])


@pytest.mark.parametrize(("disabled", "expected"), [(True, ["2 of 4", "3 of 4"]), (False, [])])
def test_a_run_without_a_terminal_tells_how_far_it_is(disabled: bool, expected: list[str]) -> None:  # noqa: FBT001
    """Where no bar moves, a line comes after a check when half a minute has passed, but for the last."""
    times = iter((0.0, 29.0, 31.0, 75.0, 200.0))
    said = io.StringIO()
    with Progress(console=Console(file=said), disable=disabled) as bar:
        follower = runner._Follower(cast("Any", None), bar, 4, lambda: next(times))
        for _ in range(4):
            for when in ("setup", "call", "teardown"):
                follower.pytest_runtest_logreport(cast("Any", SimpleNamespace(when=when)))
    assert expected == [
        words.rpartition(" checks")[0] for words in said.getvalue().splitlines() if " of " in words
    ]


# Evidence

RINGING = Heard(1, "CallRinging", {"call_id": "1"})
SECOND = Heard(5, "CallRinging", {"call_id": "1"})


def spoken() -> Dialogue:
    """Return a dialogue in which the same message came twice, and a datagram."""
    dialogue = Dialogue()
    for heard in (RINGING, SECOND):
        dialogue.note("alice", "<-", {heard.name: heard.body})
    dialogue.note("bob", "<-", {"datagram": "00ff", "bytes": 2})
    return dialogue


def _denies() -> None:
    alice = SimpleNamespace(heard=lambda _: [RINGING, SECOND])
    ringing = alice.heard("CallRinging")
    assert not ringing, "it rang"


def _compares() -> None:
    expected, actual = "2", SECOND.body.get("call_id")
    assert expected == actual, "another call"


def _counts() -> None:
    offers = [RINGING, SECOND]
    assert len(offers) == 1, "twice"


def _finds() -> None:
    data, datagrams = b"\x00\xff", [b"\x00\xff"]
    assert data not in datagrams, "it came"


def _cannot_be_read() -> None:
    assert next(iter([0])), "nothing to read"


def _deviates() -> None:
    message = "no Hangup"
    raise Deviation(message, Evidence("alice", "Hangup", "nothing", missing={"Hangup": {}}))


@pytest.mark.parametrize(
    ("fails", "expected", "received", "step"),
    [
        (_denies, "no CallRinging", "CallRinging, CallRinging", 0),
        (_compares, "2", "1", 1),
        (_counts, "1", "2", None),
        (_finds, "", "", 2),
        (_cannot_be_read, "", "", None),
        (_deviates, "Hangup", "nothing", 3),
    ],
)
def test_a_failure_shows_its_evidence(
    fails: Callable[[], None], expected: str, received: str, step: int | None
) -> None:
    """What an assert compares and the one message it is about are read from it; a Deviation brings them."""
    dialogue = spoken()
    with pytest.raises(AssertionError) as raised:
        fails()
    found, place = evidence.conclude(raised.value, dialogue)
    assert (expected, received, step) == (found.expected, found.received, place)


# Drawings


def test_a_long_dialogue_keeps_the_failing_step() -> None:
    """Of hundreds of steps few are drawn, the failing one among them, and what is left out is counted."""
    steps = [CAME | {"what": {"Hangup": {"n": number}}} for number in range(300)]
    rows = sequence.select(steps, 200).rows
    assert 200 in [row.place for row in rows]
    assert len(rows) < 50
    assert len(steps) == sum(row.omitted or 1 for row in rows)


def test_every_step_is_drawn_or_counted() -> None:
    """However long a dialogue is and wherever it fails, each step is shown once or counted once, in order."""
    for length in range(sequence.FIRST + sequence.LAST + 5):
        for at in (None, *range(length)):
            rows = sequence.select([CAME] * length, at).rows
            places = [row.place for row in rows if row.step is not None]
            assert sorted(set(places)) == places
            assert length == len(places) + sum(row.omitted for row in rows)
            assert at is None or at in places


def test_fences_are_left_out_unless_they_show_the_failure() -> None:
    """The suite's own Pings are no part of a drawing, but for one that is marked."""
    fence = CAME | {"what": {"Pong": {"timestamp_ms": FENCES}}}
    assert [0] == [row.place for row in sequence.select([CAME, fence], None).rows]
    assert [0, 1] == [row.place for row in sequence.select([CAME, fence], 1).rows]


def test_a_crowd_is_bounded() -> None:
    """Of many people those of the failure and those who spoke last have a line."""
    picture = sequence.select([CAME | {"who": f"p{number}"} for number in range(40)], 2)
    assert sequence.PEOPLE == len(picture.people)
    assert "p2" in picture.people


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("Pong", "Pong"),
        ({"Hangup": {"reason": "Busy"}}, "Hangup{Busy}"),
        ({"RegisterPresenceAck": {"success": True}}, "RegisterPresenceAck{true}"),
        ({"close": 5, "reason": "x"}, "close 5"),
        ({"datagram": "00", "bytes": 1}, "datagram, 1 bytes"),
        ({"bytes": 9, "begin": "00", "fin": True}, "9 raw bytes"),
        ({"streams granted": 200}, "grants 200 streams"),
        ({"x" * 99: {}}, "x" * 43 + "…"),
        ({}, "{}"),
        ([1], "[1]"),
    ],
)
def test_a_step_has_a_short_label(what: object, words: str) -> None:
    """Whatever was said has a label of one short line."""
    assert words == sequence.label(what)


@pytest.mark.parametrize(
    ("words", "letters", "shown"),
    [
        ("DirectCallOffer", 15, "DirectCallOffer"),
        ("DirectCallOffer", 12, "DirectCallO…"),
        ("RegisterPresenceAck{true}", 16, "RegisterP…{true}"),
        ("Hangup{a reason without end}", 12, "Hangup{a re…"),
    ],
)
def test_a_label_is_cut_to_its_place(words: str, letters: int, shown: str) -> None:
    """What is too long is cut, and before that which a message tells, as long as its name can be known."""
    assert (shown, True) == (sequence.fit(words, letters), len(shown) <= letters)


def test_a_label_stays_between_its_lines() -> None:
    """However many people there are, no label is wider than its arrow, and its title has what was cut."""
    told = {"RegisterPresenceAck": {"success": True}}
    steps = [CAME | {"who": f"p{number}", "what": told} for number in range(sequence.PEOPLE)]
    text = page.html(failing(len(steps) - 1, *steps))
    arrows = re.findall(r'x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"[^>]*/><path class="tip"', text)
    labels = re.findall(r'<text class="label"[^>]*>([^<]*)</text>', text)
    assert sequence.PEOPLE == len(arrows) == len(labels)
    for (begin, end), label in zip(arrows, labels, strict=True):
        assert len(label) * 6.1 <= abs(float(begin) - float(end)) + 7 + 8
    assert "<title>RegisterPresenceAck{true}</title>" in text
    assert [] == [one for one in labels if not one.endswith("{true}")]


OFFER = {
    "DirectCallOffer": {
        "call_id": "c0ffee",
        "caller_alias": None,
        "caller_local_addrs": ["192.0.2.1:40001", "192.0.2.2:40002"],
        "caller_reflexive_addr": "198.51.100.9:40003",
        "direct_ok": True,
    }
}


@pytest.mark.parametrize(
    ("what", "said", "shown"),
    [
        (OFFER, "bob read the address '198.51.100.9:40003'", "caller_reflexive_addr = 198.51.100.9:40003"),
        (OFFER, "192.0.2.2:40002 reached bob", "caller_local_addrs = 192.0.2.2:40002"),
        (OFFER, "direct_ok was said too early", "direct_ok = true"),
        (OFFER, "caller_local_addrs has 192.0.2.1:40001", "caller_local_addrs = 192.0.2.1:40001"),
        (OFFER, "it came too early", ""),
        (CAME["what"], "alice waited for Hangup with reason 'Timeout'", ""),
        ({"close": 5, "reason": "x"}, "reason", ""),
        ({"Wave": {HOSTILE: HOSTILE}}, HOSTILE, f"{wording.visible(HOSTILE)} = {wording.visible(HOSTILE)}"),
        ("Pong", "Pong", ""),
    ],
)
def test_the_member_that_is_wrong_is_known(what: object, said: str, shown: str) -> None:
    """The member that a failure names, or whose value it says, is told, unless the label has it already."""
    assert shown == sequence.fault(what, said)


def test_the_member_that_is_wrong_is_drawn() -> None:
    """Beside the step that shows a failure stands its wrong member; what is cut of it is in its title."""
    outcome = Outcome("PRIV-1", "t", Verdict.FAIL, f"it has {'a' * 99}", step=0)
    outcome = replace(outcome, dialogue=(CAME | {"what": {"DirectCallOffer": {"caller_alias": "a" * 99}}},))
    text = page.html(report.build(Run("ref:", "7", 3, [outcome], exit_status=Exit.FAILED)))
    assert f"<title>caller_alias = {'a' * 99}</title>caller_alias = aaa" in text


def test_prose_becomes_links_and_code() -> None:
    """Of Markdown a sentence keeps code, emphasis and the links that lead into the page."""
    text = wording.prose("A `<x>` of [WIRE-4](wire.md) and [call](call.md#a), *so*", {"WIRE-4": "WIRE-4"})
    assert text == 'A <code>&lt;x&gt;</code> of <a href="#WIRE-4">WIRE-4</a> and call, <em>so</em>'


# The command


def damage(folder: Path, text: bytes | None) -> Path:
    """Leave results that are none."""
    if text is not None:
        (folder / "results.json").write_bytes(text)
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there are no results"),
        (b"", "holds no results"),
        (b'{"suite": ', "holds no results"),
        (b"\xff\xfe", "holds no results"),
        (b"[" * 100_000, "holds no results"),
        (b"[]", "of this version"),
        (b'{"suite": "0.0.1"}', "of this version"),
        (b'{"openapi": "3.1.0", "info": {"title": "x"}}', "of this version"),
    ],
)
@pytest.mark.parametrize("kind", ["html", "junit"])
def test_what_is_no_results_file_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: bytes | None,
    words: str,
    kind: str,
) -> None:
    """A results file that is missing, garbled or another one's gives exit 2 and one sentence."""
    status, said = here(monkeypatch, capsys, "report", kind, str(damage(tmp_path, text)))
    assert Exit.USAGE == status
    assert words in sentence(said.err)
    assert len(said.err) < 600 + len(str(tmp_path))


@pytest.mark.parametrize("kind", [*report.FORMATS])
def test_each_report_is_made_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    """What `report` makes from the results is what the run wrote."""
    report.write(failing(0, CAME), tmp_path)
    file = tmp_path / report.FORMATS[kind][0]
    written = file.read_text(encoding="utf-8")
    file.unlink()
    status, said = here(monkeypatch, capsys, "report", kind, str(tmp_path))
    assert (Exit.PASSED, f"{file}\n", written) == (status, said.out, file.read_text(encoding="utf-8"))


def test_a_report_that_cannot_be_written_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where the file of the report cannot be, exit 2 and one sentence say which."""
    report.write(failing(0, CAME), tmp_path)
    (tmp_path / "report.html").unlink()
    (tmp_path / "report.html").mkdir()
    status, said = here(monkeypatch, capsys, "report", "html", str(tmp_path))
    assert Exit.USAGE == status
    assert "report.html" in sentence(said.err)
