"""The pages that show commands: what a law asks of their blocks, and that what runs them can say no."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tools.chapters import ROOT
from tools.documented import pages, terminals
from tools.documented.__main__ import every_page
from tools.documented.blocks import READ, RUN, PageError, blocks
from tools.documented.matching import Matcher

ONE = "d427:509b:3212:c602:c83e:3a62:5f74:bfb3"
OTHER = "a16e:7cc3:62ad:a774:a513:b452:4210:7a04"
THIRD = "716f:fb94:c509:c9fa:0ed5:b400:57c6:52ae"
NEEDS_BASH = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages find an empty folder instead of a copy of the tree."""
    monkeypatch.setattr(pages, "copied", lambda folder: folder.mkdir())
    return iter(())


def page(*lines: str, words: str = "") -> str:
    """Return a page with one block of a console."""
    return "\n".join(["# Page", "", f"```console {words}".rstrip(), *lines, "```", ""])


@pytest.mark.parametrize("path", every_page())
def test_every_block_is_run_or_says_why_not(path: str) -> None:
    """A block of a language that can be run or read is, or it gives a reason; it says nothing unknown."""
    found = blocks(path, (ROOT / path).read_text(encoding="utf-8"))
    assert {*RUN, *READ} >= {block.language for block in found}


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ("```console norun\n```", "norun has to say why"),
        ("```sh nowrun='it is slow'\n```", "'nowrun' says nothing behind sh"),
        ("```console status=bad\n```", "status=bad is no exit status"),
        ("```console counts=maybe\n```", "counts=maybe"),
        ("```toml file=/etc/relay.toml\n```", "file=/etc/relay.toml is no name"),
        ("```toml\nx = \n```", "this is no toml"),
        ("```json\n{\n```", "this is no json"),
        ("```sh norun='it\n```", "cannot be read"),
    ],
)
def test_a_block_that_cannot_be_followed_is_told(block: str, fault: str) -> None:
    """A block is refused with the page, the line and the word that is wrong."""
    with pytest.raises(PageError, match=rf"page\.md:2: .*{fault}"):
        blocks("page.md", f"\n{block}\n")


@pytest.mark.parametrize(
    ("said", "came", "fits"),
    [
        ("   0.030  it rings", "  12.5  it rings", True),
        ("0.030  it rings", "0.030  it sings", False),
        ("seen at 127.0.0.1:4433", "seen at [fd00::2]:50000", True),
        ("the relay 127.0.0.1:4434", "the relay 127.0.0.1:50000", False),
        ("sent 51 of 51", "sent 50 of 51", False),
        ("set up: the … of a path", "set up: the dialer of a path", True),
        (f"from {ONE}", f"from {OTHER}", True),
        (f"from {ONE} to {ONE}", f"from {ONE} to {OTHER}", False),
        (f"from {ONE} to {OTHER}", f"from {THIRD} to {THIRD}", False),
        ("version 0.1.0", "version 0.2.0", False),
    ],
)
def test_a_line_fits_where_only_what_differs_by_its_nature_differs(said: str, came: str, fits: bool) -> None:  # noqa: FBT001 - a case
    """Times and addresses match their kind, names are the same all through, and all else is itself."""
    assert fits == (Matcher(["127.0.0.1:4434"]).line(said, came, {}) is not None)


def test_counts_differ_only_where_the_page_says_so() -> None:
    """Whole numbers match each other in a block that says that they vary."""
    assert Matcher([], counts=True).line("sent 51 of 51", "sent 50 of 49", {}) is not None


@pytest.mark.parametrize(
    ("said", "came", "used"),
    [
        (["a", "…", "d"], ["a", "b", "c", "d"], 4),
        (["…", "b", "c"], ["a", "b", "x", "b", "c"], 5),
        (["a", "…"], ["a"], 1),
        (["a", "b"], ["a"], None),
        (["a"], ["a", "b"], None),
        ([], ["a"], None),
        (["…", "x"], ["a", "b"], None),
    ],
)
def test_a_line_of_dots_stands_for_any_lines(said: list[str], came: list[str], used: int | None) -> None:
    """All lines have to be there in order, but for those in the place of a line of dots."""
    fit = Matcher([]).lines(said, came, {}, whole=True)
    assert used == (None if fit is None else fit.used)


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
def test_a_page_is_run_as_its_reader_would() -> None:
    """Terminals stand beside each other, keep their variables, and a command that goes on is interrupted."""
    text = (
        page("$ NAME=world; cd /", "$ echo hello $NAME $PWD", "hello world /")
        + page(
            "$ trap 'echo bye; exit' INT; echo ready; tail -f /dev/null",
            "ready",
            words="terminal=a stays",
        )
        + page("$ exit 3", words="status=3")
        + page("^C", "bye", words="terminal=a")
        + "```toml file=x.toml\na = 1\n```\n"
        + page("$ cat ~/tree/x.toml", "a = 1")
        + "```python\nprint('anything')\n```\n"
    )
    assert text == pages.run("page.md", text)


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (page("$ echo two", "one"), "the page says:\none\nwhat came:\ntwo"),
        (page("$ echo one"), "what came:\none"),
        (page("$ exit 3"), "it ended with status 3"),
        (page("$ true", words="status=1"), "it ended with status 0"),
        (page("$ echo a; exec echo b", "a", "c", words="stays"), "what came:\na\nb"),
        (page("one"), "nothing was started in the terminal main"),
        ("```python\nraise SystemExit(2)\n```\n", "it ended with status 2"),
    ],
)
def test_a_page_that_is_not_as_it_says_is_told(text: str, fault: str) -> None:
    """What came stands beside what the page says, with the line."""
    with pytest.raises(PageError) as caught:
        pages.run("page.md", text)
    assert fault in str(caught.value)
    assert str(caught.value).startswith("page.md:")


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
def test_a_command_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait has an end, and what does not go when it is interrupted is killed and told."""
    monkeypatch.setattr(terminals, "GUARD", 0.2)
    monkeypatch.setattr(terminals, "GRACE", 0.2)
    stubborn = page(
        "$ trap '' INT; echo on; while :; do read -t 9 <> <(:); done", "on", words="terminal=a stays"
    )
    with pytest.raises(PageError, match="what ran in a did not end when it was interrupted"):
        pages.run("page.md", stubborn)
    with pytest.raises(PageError, match="what came"):
        pages.run("page.md", page("$ tail -f /dev/null", "…"))


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
def test_what_came_is_written_where_it_does_not_fit() -> None:
    """Lines that fit stay as they are, and others become what came, under the names of the page."""
    said = page(f"$ echo {ONE}", OTHER, f"$ echo {ONE} again", "nothing") + page(
        "$ echo kept 1.5", "kept 0.5"
    )
    expected = page(f"$ echo {ONE}", OTHER, f"$ echo {ONE} again", f"{OTHER} again") + page(
        "$ echo kept 1.5", "kept 0.5"
    )
    assert expected == pages.run("page.md", said, writes=True)


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
def test_ports_of_commands_are_free_ones() -> None:
    """A port that a command names is another one while it runs, and the page's again in what it prints."""
    text = page(
        "$ echo 127.0.0.1:4433 | tee port", "127.0.0.1:4433", "$ grep -c :4433 port", "0", words="status=1"
    )
    assert text == pages.run("page.md", text)
