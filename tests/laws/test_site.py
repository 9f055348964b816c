"""The site's assembly: what it links, what it completes, and what it complains about."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from griffe import Class, Function

from tools.chapters import ROOT, every_requirement, fences
from tools.ending import ending
from tools.site import __main__ as command
from tools.site import api, assembly, configuration, decisions, home
from tools.site.linking import Linking

UNKNOWN = f"CALL-{999}"
"""An id that no chapter has, written so that it is not taken for one that this file cites."""
PAGES = frozenset({"index.md", "how-to/lab.md", "spec/call.md", "spec/README.md", "decisions/0001.md"})


def linked(text: str, path: str = "how-to/lab.md") -> tuple[str, list[str]]:
    """Return the text of a page with its links, and the complaints."""
    complaints: list[str] = []
    return Linking(PAGES, complaints).linked(path, text), complaints


def test_the_site_of_this_tree_has_no_complaints() -> None:
    """Every page is assembled, and builders read it: blocks name a language alone, settings stand first."""
    pages, complaints = assembly.assemble()
    assert [] == complaints
    assert {"index.md", "spec/call.md", "spec/README.md", "schemas/README.md"} <= set(pages)
    texts = {path: text for path, text in pages.items() if path.endswith(".md") and isinstance(text, str)}
    assert {} == {
        path: odd
        for path, text in texts.items()
        if (odd := [one.info for one in fences(text) if " " in one.info and not one.info.startswith("{")])
    }
    assert [] == [path for path, text in texts.items() if "\n---\n" in text and not text.startswith("---\n")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as CALL-3 says", "as [CALL-3](../spec/call.md#CALL-3){ .whole } says"),
        ("| CALL-3 |", "| [CALL-3](../spec/call.md#CALL-3){ .whole } |"),
        ("`CALL-3`", "`CALL-3`"),
        ("## CALL-3", "## CALL-3"),
        ("```\nCALL-3\n```", "```\nCALL-3\n```"),
        ('<a href="x">CALL-3</a>', '<a href="x">CALL-3</a>'),
        ("RFC-8445 and UTF-8", "RFC-8445 and UTF-8"),
        ("[CALL-3](../../spec/call.md)", "[CALL-3](../spec/call.md#CALL-3){ .whole }"),
        ("[spec](../../spec/README.md#areas)", "[spec](../spec/README.md#areas)"),
        ("[the folder](../../spec/)", "[the folder](../spec/README.md)"),
        ("[home](../index.md)", "[home](../index.md)"),
        ("[code](../../Makefile)", "code (`Makefile` in the tree)"),
        ("[below](#below)", "[below](#below)"),
        ("Hangup{Busy}.", r"Hangup\{Busy\}."),
        ("`Hangup{Busy}` [x](#x){ .y }", "`Hangup{Busy}` [x](#x){ .y }"),
    ],
)
def test_links_lead_to_pages(text: str, expected: str) -> None:
    """An id in running text is linked, a target is led to its page, and code stays as it is."""
    assert (expected, []) == linked(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (UNKNOWN, f"how-to/lab.md names {UNKNOWN}, which is no requirement"),
        ("[x](gone.md)", "how-to/lab.md links gone.md, which is not there"),
    ],
)
def test_what_is_not_there_is_told(text: str, complaint: str) -> None:
    """An id that no chapter has and a target that does not exist are complaints that name page and target."""
    assert (text, [complaint]) == linked(text)


def test_programs_and_states_that_are_not_there_are_told() -> None:
    """A page that shows a program or draws states which do not exist is complained about."""
    complaints: list[str] = []
    text = "{{ examples/none.py }}\n\n```states from=nothing\n```"
    shown = text.replace(" from=nothing", "")
    assert shown == assembly.completed("how-to/lab.md", text, complaints)
    assert ["how-to/lab.md shows examples/none.py, which is not there"] == complaints[:1]
    assert complaints[1].startswith("how-to/lab.md: no states to draw from 'nothing'")


def test_a_requirement_gets_its_anchor() -> None:
    """A requirement can be linked by its id, and each of its notes is a line of its own."""
    text = "**CALL-3** (relay, since 0): A relay MUST.\n> Why: so.\n"
    heading = '#### CALL-3 { #CALL-3 .rule }\n\n<span class="scope">relay, since 0</span> A relay MUST.'
    assert f"{heading}\n>\n> *Why:* so.\n" == assembly.anchored(text)


def test_a_star_of_the_navigation_is_the_rest_of_its_folder() -> None:
    """An entry `folder/*` becomes the pages of the folder which the navigation does not name elsewhere."""
    written = yaml.safe_load(configuration.written(["decisions/index.md", "decisions/0001.md", "index.md"]))
    decisions = next(entry["Decisions"] for entry in written["nav"] if "Decisions" in entry)
    assert ["decisions/index.md", "decisions/0001.md"] == decisions


def test_a_star_behind_a_word_is_what_begins_so() -> None:
    """An entry `folder/word*` becomes the pages of the folder that begin with the word, and no others."""
    written = yaml.safe_load(
        configuration.written(["api/conformance.stage.md", "api/reference.core.call.md"])
    )
    rooms = next(entry["API"] for entry in written["nav"] if "API" in entry)
    assert {"The suite": ["api/conformance.stage.md"]} == rooms[-1]
    assert {"The machines": ["api/reference.core.call.md"]} in rooms


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("spec/call.md", "# Call\n", "---\nsearch:\n  boost: 4\n---\n\n# Call\n"),
        ("spec/x.md", "---\ntitle: X\n---\n\n# X\n", "---\ntitle: X\nsearch:\n  boost: 4\n---\n\n# X\n"),
        ("code/call.md", "# Call\n", "# Call\n"),
        ("api/x.md", "---\nsearch:\n  exclude: true\n---\n", "---\nsearch:\n  exclude: true\n---\n"),
    ],
)
def test_a_weight_stands_with_what_a_page_says_of_itself(path: str, text: str, expected: str) -> None:
    """The weight of a room is entered at the beginning of each page that says nothing of the search."""
    assert expected == assembly.weighed(path, text)


def test_the_index_of_the_decisions_leads_to_each() -> None:
    """Every decision is listed by its number and title, and a title without its number is refused."""
    page = str(decisions.pages()["decisions/index.md"])
    for place in decisions.FOLDER.glob("0*.md"):
        assert f"[{place.name[:4]}: " in page
        assert f"]({place.name})" in page
    with pytest.raises(ValueError, match=r"docs/decisions/index\.md begins with '# Decisions'"):
        decisions.title("index.md")


def test_every_public_module_has_its_page() -> None:
    """A module that is named as public has a page with each of its classes and functions, each explained."""
    pages = api.pages()
    for _, names in api.PUBLIC.values():
        for name in names:
            page = str(pages[f"api/{name}.md"])
            members = [one for one in api.public(api.module(name)) if isinstance(one, (Class, Function))]
            assert [] == [one.name for one in members if f"\n## {one.name}\n" not in page]
            assert [] == [one.name for one in members if not one.docstring]
            assert f"[`{name}`]" in str(pages["api/index.md"])


def test_a_signature_is_as_in_the_source() -> None:
    """Parameters keep their kinds, annotations and defaults; a chapter that is named is linked."""
    page = str(api.pages()["api/reference.core.race.md"])
    assert "def role(own: str | None, peer: str | None) -> Role" in page
    assert "Race ([spec/race.md](../spec/race.md)): who dials" in page
    assert "from __future__" not in page
    kept = str(api.pages()["api/reference.endpoint.md"])
    assert "\nlimits: EndpointLimits\n" in kept


def test_the_numbers_of_the_first_page_are_those_of_their_sources() -> None:
    """The page has the number of requirements and those of the kill table, and no mark is left in it."""
    kills = json.loads((ROOT / "docs" / "results" / "kills.json").read_text(encoding="utf-8"))["numbers"]
    page = str(home.pages()["index.md"])
    assert f"**{len(every_requirement())}** [numbered requirements](spec/README.md)" in page
    assert f"**{kills['killed alone']} of {kills['observable']}** [checks proved able to fail" in page
    assert home.MARK not in page


def test_the_verdict_of_the_first_page_is_that_of_the_newest_phase() -> None:
    """Of the recorded runs the newest phase of each role counts, the relay first."""
    runs = [
        {"role": role, "phase": phase, "verdicts": {"pass": passed, "fail": 1}}
        for role, phase, passed in (("client", "7", 90), ("relay", "7", 140), ("relay", "3.5", 120))
    ]
    expected = [
        ("140 of 141", "pass: the reference as a relay of phase 7", "results/verdicts.md"),
        ("90 of 91", "pass: the reference as a client of phase 7", "results/verdicts.md"),
    ]
    assert expected == list(home.verdicts(runs))


def test_a_first_page_without_a_place_for_numbers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers are not left out in silence."""
    (tmp_path / "index.md").write_text("# Home\n", encoding="utf-8")
    monkeypatch.setattr(home, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"docs/index\.md has 0 places"):
        home.pages()


def test_what_a_block_says_of_its_run_is_not_for_readers() -> None:
    """The words behind a language are gone from the page, and a program stands where it is named."""
    complaints: list[str] = []
    text = "```console terminal=relay stays\n$ true\n```\n\n```python from=examples/adapter.py\n```\n"
    page = assembly.completed("how-to/adapter.md", text, complaints)
    program = (assembly.EXAMPLES / "adapter.py").read_text(encoding="utf-8").rstrip()
    assert ([], f"```console\n$ true\n```\n\n```python\n{program}\n```\n") == (complaints, page)


def test_the_citation_is_that_of_the_package() -> None:
    """CITATION.cff and README name the version and the licence of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (project["version"], project["license"]) == (citation["version"], citation["license"])
    assert f"version {project['version']}." in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_site_names_what_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place that the system refuses is named with the reason, in a line, with status 1."""
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(assembly, "assemble", lambda: ({"index.md": "# Here"}, []))
    with pytest.raises(SystemExit, match=rf"^docs: cannot go on: {blocked}/docs: not a directory$"):
        command.main("none", blocked)
    assert ("", "") == capsys.readouterr()


def test_a_tool_that_is_interrupted_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends a tool with one line that names it, and the status that shells give."""
    with pytest.raises(SystemExit) as ended, ending("docs"):
        raise KeyboardInterrupt
    assert (130, "docs: stopped\n") == (ended.value.code, capsys.readouterr().err)
