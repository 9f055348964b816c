"""Laws of the text: requirements, tables and examples of `spec/`, against each other and the code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import schemas
from reference.core.call import TRANSITIONS
from reference.core.errors import REASONS, CloseCode, HangupReason
from tools import tree
from tools.chapters import CITED, KEYWORD, Requirement, chapters, every_requirement, fences, prose, table

ROLES = frozenset({"relay", "client", "relay and client"})
REQUIREMENTS = tuple(every_requirement().values())
AREAS = frozenset(requirement.area for requirement in REQUIREMENTS)
NAMES_KEYWORDS = {"conventions": "says what the keywords mean"}
NOT_SHOWN: Mapping[str, str] = {}
DIALOGUE = re.compile(r"^(?P<party>[a-z]+) (?P<way>->|<-) relay (?P<message>\S.*)$")
LINK = re.compile(r"\[(?P<id>[A-Z]+-[0-9]+)\]\((?P<file>[a-z./]*)#?[^)]*\)")
every = pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda one: one.id)


def test_there_are_requirements() -> None:
    """The chapters hold requirements of relays and of clients."""
    assert {"relay", "client"} <= {requirement.role for requirement in REQUIREMENTS}


def test_the_chapters_are_listed() -> None:
    """The table of chapters names every chapter once, in a link to its file."""
    rows = table("README", "chapter", "ids").rows
    assert sorted(f"[{stem}]({stem}.md)" for stem in set(chapters()) - {"README"}) == sorted(
        row[0] for row in rows
    )


def test_every_area_has_one_chapter() -> None:
    """The areas that the table of chapters names are those that the ids of each chapter have."""
    listed = {re.sub(r"\W.*", "", row[0][1:]): row[1] for row in table("README", "chapter", "ids").rows}
    found = {chapter: {one.area for one in REQUIREMENTS if one.chapter == chapter} for chapter in listed}
    assert {chapter: set() if word == "–" else {word} for chapter, word in listed.items()} == found


@every
def test_a_requirement_has_one_keyword(requirement: Requirement) -> None:
    """A requirement has exactly one keyword, so that its level can be read from it."""
    assert 1 == len(requirement.keywords), requirement.sentence


@every
def test_a_requirement_is_one_sentence(requirement: Requirement) -> None:
    """A requirement ends with its only full stop."""
    assert requirement.sentence.endswith(".")
    assert None is re.search(r"[.!?] [A-Z]", requirement.sentence)


@every
def test_a_requirement_names_its_role_and_phase(requirement: Requirement) -> None:
    """A requirement says who has to do it, and since which phase."""
    assert requirement.role in ROLES
    assert requirement.since in schemas.PHASES


@every
def test_a_requirement_gives_its_intent_and_what_is_seen(requirement: Requirement) -> None:
    """Why and Seen stand beneath a requirement; Check only to say why there can be none."""
    assert {"Why", "Seen"} == set(requirement.notes) - {"Check"}
    assert None is not re.match(r"none; \w", requirement.notes.get("Check", "none; as it has one"))


@pytest.mark.parametrize("chapter", sorted(chapters()))
def test_keywords_stand_in_requirements_only(chapter: str) -> None:
    """Outside a requirement no keyword is used, so that nothing is required without a number."""
    numbered = {one.line for one in REQUIREMENTS if one.chapter == chapter}
    lines = enumerate(prose(chapters()[chapter]), 1)
    found = [number for number, line in lines if number not in numbered and KEYWORD.search(line)]
    assert (chapter in NAMES_KEYWORDS) == bool(found), found


@pytest.mark.parametrize("chapter", sorted(chapters()))
def test_a_linked_id_leads_to_its_chapter(chapter: str) -> None:
    """A link whose text is an id leads to the chapter in which that requirement stands."""
    for link in LINK.finditer("\n".join(prose(chapters()[chapter]))):
        target = Path(link["file"]).stem or chapter
        assert every_requirement()[link["id"]].chapter == target, link[0]


def citations(path: Path) -> set[str]:
    """Return the ids that a file names, of areas that the specification has."""
    return {match["id"] for match in CITED.finditer(tree.text(path) or "") if match["area"] in AREAS}


def test_every_cited_id_exists() -> None:
    """Whatever file names an id, the requirement stands in the specification."""
    cited = {path: citations(path) for path in tree.select("*.py", "*.md", "*.json", "*.toml", "*.yml")}
    assert any(cited.values())
    assert {} == {
        str(path): ids - set(every_requirement())
        for path, ids in cited.items()
        if ids - set(every_requirement())
    }


def shown() -> list[tuple[str, int, str, Any]]:
    """Return chapter, line, phase and message of every line of every example."""
    found = []
    for chapter, text in chapters().items():
        for fence in fences(text):
            language, _, since = fence.info.partition(" since=")
            if language not in {"dialogue", "json"}:
                continue
            for number, line in enumerate(fence.text.splitlines(), fence.line):
                match = DIALOGUE.match(line)
                assert match or language == "json", (
                    f"{chapter}.md:{number}: no line of a dialogue: {line[:60]!r}"
                )
                message = json.loads(match["message"] if match else line)
                found.append((chapter, number, since or schemas.PHASES[0], message))
    return found


SHOWN = shown()


def ids(shown: Sequence[tuple[str, int, str, Any]]) -> list[str]:
    """Return where each example stands."""
    return [f"{chapter}.md:{number}" for chapter, number, _, _ in shown]


@pytest.mark.parametrize(("chapter", "number", "phase", "message"), SHOWN, ids=ids(SHOWN))
def test_an_example_is_what_its_phase_emits(chapter: str, number: int, phase: str, message: Any) -> None:  # noqa: ANN401
    """Each line of an example is a message that a sender of its phase may write."""
    faults = Draft202012Validator(schemas.view(phase, "emit")).iter_errors(message)
    assert [] == [fault.message for fault in faults], f"{chapter}.md:{number}"


def test_every_message_is_shown() -> None:
    """Every message of a phase that is specified stands in an example, or it is said why not."""
    phases = [phase for phase in schemas.PHASES if any(one.since == phase for one in REQUIREMENTS)]
    named = {message if isinstance(message, str) else next(iter(message)) for *_, message in SHOWN}
    assert set(schemas.messages(phases[-1])) == named | set(NOT_SHOWN)
    assert set() == named & set(NOT_SHOWN)


def test_close_codes_equal_their_table() -> None:
    """The enum of close codes and its reasons are the table of spec/errors.md, row by row."""
    rows = [row[:3] for row in table("errors", "code", "name", "reason").rows]
    assert rows == [(str(code.value), code.name, REASONS[code]) for code in CloseCode]


def test_reasons_equal_their_table() -> None:
    """The reasons of a Hangup are the table of spec/errors.md and the enum of its schema."""
    rows = [row[0] for row in table("errors", "reason", "meaning").rows]
    assert rows == [str(reason) for reason in HangupReason]
    assert rows == schemas.load("call")["$defs"]["HangupReason"]["enum"]


def test_phases_equal_their_table() -> None:
    """The phases of the schemas are the table of spec/phases.md, less those that are reserved."""
    rows = table("phases", "phase", "name").rows
    assert tuple(row[0] for row in rows if row[1] != "reserved") == schemas.PHASES


def cell(words: Sequence[str]) -> str:
    """Return what a party hears as the table writes it."""
    return ", ".join(words) or "–"


def test_transitions_equal_their_table() -> None:
    """The table in core/call.py is the table of spec/call.md, row by row, none missing and none more."""
    written = table("call", "from", "event", "by", "to", "to the caller", "to the callee")
    coded = {
        (str(state or "–"), str(event), str(by), str(row.to), cell(row.caller), cell(row.callee))
        for (state, event, by), row in TRANSITIONS.items()
    }
    assert len(set(written.rows)) == len(written.rows)
    assert set(written.rows) == coded
