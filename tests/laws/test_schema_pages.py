"""The pages about the schemas and the script of the playground: what they say, and what they refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import schemas
from tools.site import bundle, members, messages, playground
from tools.site.examples import examples, named
from tools.site.faults import Fault, faults

NEWEST = schemas.PHASES[-1]
HANGUP = '{"Hangup": {"reason": "Busy", "call_id": %s}}'


def row(member: str, *cells: str) -> str:
    """Return a row of a table that begins with a member."""
    return f"| {' | '.join((members.code(member), *cells))} |"


def test_every_message_and_every_member_has_its_place() -> None:
    """Each message has a page that names each of its members, its chapter, its source and every example."""
    pages = messages.pages()
    for name, (stem, node) in messages.definitions().items():
        if not node.get("x-message"):
            assert f"## {name}\n" in str(pages["schemas/types.md"])
            continue
        page = str(pages[f"schemas/{name}.md"])
        assert f"[{name}" not in page.partition("\n")[0]
        assert f"[{stem}](../spec/{stem}.md)" in page
        assert f"[{stem}.schema.json]({stem}.schema.json)" in page
        for member in node.get("properties", {}):
            assert f"| {members.code(member)} |" in page
        for one in examples()[name]:
            assert f"(playground.md#{one.anchor})" in page
            assert f"schemas/examples/{name}/{one.file}" in pages


def test_the_rules_of_members_are_those_of_the_views() -> None:
    """A member's row says what the views say: written or not, null, empty, or without an item."""
    hangup = list(members.rules("Hangup"))
    assert row("call_id", "0 to 6", "does not write it", "anything, and ignores it") in hangup
    assert row("call_id", "7", "may write it or leave it out", "a value, `null`, or no member") in hangup
    report = list(members.rules("MediaPathReport"))
    assert "In phases 0 to 5.5 nobody sends it, and a receiver ignores it (WIRE-6)." == report[0]
    winner = ("6 to 7", "always writes it", "a value, an empty text, or no member; never `null`")
    assert row("race_winner", *winner) in report
    offer = list(members.rules("DirectCallOffer"))
    addresses = ("5.5 to 7", "may write it with one item or more, or leave it out")
    assert row("caller_local_addrs", *addresses, "a list, an empty list, or no member; never `null`") in offer
    alias = ("0 to 7", "may write it, write `null` or leave it out", "a value, `null`, or no member")
    assert row("caller_alias", *alias) in offer
    assert "In phases 1 to 7 it is sent and taken as the string alone (WIRE-15)." in members.rules("Reflect")


@pytest.mark.parametrize(
    ("text", "phase", "view", "expected"),
    [
        (HANGUP % '"c1"', NEWEST, "emit", []),
        (HANGUP % '"c1"', "6", "emit", [("/Hangup/call_id", 'the phase has no member "call_id"')]),
        (HANGUP % "null", NEWEST, "emit", [("/Hangup/call_id", "null is not a string")]),
        (HANGUP % "null", NEWEST, "accept", []),
        (HANGUP % "[1]", NEWEST, "accept", [("/Hangup/call_id", "an array of 1 is not a string or null")]),
        (HANGUP % '"C"', NEWEST, "emit", [("/Hangup/call_id", '"C" does not match ^[a-z0-9-]{1,58}$')]),
        (
            HANGUP % '"c\\n"',
            NEWEST,
            "emit",
            [("/Hangup/call_id", '"c\\n" matches \\n, which is not allowed')],
        ),
        ('{"Hangup": {}}', "0", "accept", [("/Hangup", "the member reason is missing")]),
        ('{"Hangup": []}', "0", "accept", [("/Hangup", "an array of 0 is not an object")]),
        ('{"Ping": {"timestamp_ms": -1}}', "0", "emit", [("/Ping/timestamp_ms", "-1 is under 0")]),
        ('"Reflect"', "0", "accept", [("", "Reflect exists since phase 1")]),
        (
            '{"Reflect": null}',
            "1",
            "emit",
            [("/Reflect", "Reflect has no members and is written as a string")],
        ),
        ('"Ping"', "0", "emit", [("/Ping", "Ping has members and is written as an object")]),
        ('{"Dance": {}}', "7", "emit", [("", 'no message is called "Dance"')]),
        ("{}", "7", "emit", [("", "an object of 0 is neither an object of one member nor a string")]),
    ],
)
def test_a_fault_names_place_value_and_limit(
    text: str, phase: str, view: schemas.View, expected: list[tuple[str, str]]
) -> None:
    """What a view refuses is said once, in a sentence with the place."""
    assert expected == [(one.pointer, one.text) for one in faults(json.loads(text), phase, view)]


def test_an_invalid_example_is_shown_with_its_one_fault() -> None:
    """Each invalid example has one fault, which its page tells; a valid one has none."""
    for those in examples().values():
        for one in those:
            found: list[Fault] = messages.reasons(one, "accept")
            assert (one.kind == "invalid") == bool(found), one.anchor
            assert len(found) <= 1, one.anchor


def test_a_message_that_tells_nobody_is_refused() -> None:
    """A description of a message has to say who tells whom before it says what."""
    with pytest.raises(ValueError, match="who tells whom, then a colon, then what; not 'Something'"):
        messages.said({"description": "Something"})


def test_an_example_of_no_kind_is_refused() -> None:
    """A file of the examples is valid, accept or invalid, and nothing else."""
    assert ("call-id-null", "accept") == named("call-id-null.accept.json")
    assert ("busy", "valid") == named("busy.json")
    with pytest.raises(ValueError, match=r"busy\.wrong\.json is wrong"):
        named("busy.wrong.json")


def test_the_script_knows_every_view_to_the_last_digit() -> None:
    """What the script is given is what the views say, and limits beyond a double are there as text."""
    known = playground.data()
    assert list(schemas.PHASES) == list(known["phases"])
    for phase in schemas.PHASES:
        for view in playground.VIEWS:
            whole = schemas.view(phase, view)["$defs"]
            numbers: dict[str, Any] = known["views"][view][phase]
            assert {name: playground.exact(body) for name, body in whole.items()} == {
                name: known["bodies"][number] for name, number in numbers.items()
            }
    stamp = known["bodies"][known["views"]["emit"]["0"]["Ping"]]["properties"]["timestamp_ms"]
    assert {"minimum": "0", "maximum": "18446744073709551615"} == stamp["x-limits"]


def test_the_lock_has_a_hash_for_everything() -> None:
    """Each package behind the script is pinned with its hash, and no address says where it comes from."""
    lock = json.loads((bundle.SOURCE / "package-lock.json").read_text("utf-8"))
    wanted = json.loads((bundle.SOURCE / "package.json").read_text("utf-8"))
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert len(packages) > len(wanted["dependencies"])
    assert [] == [path for path, one in packages.items() if not one["integrity"].startswith("sha512-")]
    assert [] == [path for path, one in packages.items() if "resolved" in one]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert version == packages[f"node_modules/{name}"]["version"]


def test_without_npm_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A machine without npm gets the page without the script, and a line that is counted as skipped."""
    monkeypatch.setenv("PATH", str(tmp_path))
    pages = playground.pages(tmp_path / "made")
    assert {"schemas/playground.md"} == set(pages)
    assert "This site was built without the playground: there is no npm here" in str(
        pages["schemas/playground.md"]
    )
    assert capsys.readouterr().err.startswith("SKIPPED [1] the playground is not built: there is no npm here")


@pytest.mark.skipif(os.name != "posix", reason="the npm that fails is a script of the shell")
@pytest.mark.parametrize(
    ("said", "fault", "words"),
    [
        ("npm error code ENOTFOUND", bundle.MissingError, "npm has no network here"),
        (
            "npm error code EINTEGRITY",
            RuntimeError,
            "npm ci .* ended with status 1: npm error code EINTEGRITY",
        ),
    ],
)
def test_what_npm_says_is_no_network_or_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, fault: type[Exception], words: str
) -> None:
    """A missing network is told apart from a fault such as a wrong hash, which ends the build."""
    program = tmp_path / "npm"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(fault, match=words):
        bundle.script("{}", tmp_path / "made")
