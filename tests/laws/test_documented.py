"""The pages that show commands: what a law asks of their blocks, and that what runs them can say no."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.chapters import ROOT
from tools.documented import pages, terminals
from tools.documented.__main__ import every_page
from tools.documented.blocks import READ, RUN, PageError, blocks
from tools.documented.calls import held
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


@pytest.mark.parametrize("path", every_page())
def test_what_a_page_shows_of_a_call_is_of_one_call(path: str) -> None:
    """Times, packets and duration of the calls that a page shows fit each other."""
    held(path, (ROOT / path).read_text(encoding="utf-8"))


def called(*lines: str, duration: str = "3") -> str:
    """Return a page on which a call is placed for some seconds, with what is printed of it."""
    command = f"$ python -m reference.client call {ONE} --duration {duration}"
    return page(command, *lines, words="terminal=caller")


BEGUN = f"   0.050  talking to {ONE} by direct (127.0.0.1:5)"
OVER = "   3.060  the call is over: hung up (sent {}, received {}, lost 0 packets)"
HEARD = "   9.254  talking to x by direct (127.0.0.1:5)", "  14.285  the call is over: Normal"
LOGGED = (
    "2026-11-23T05:52:16.116034Z [info     ] call.accept                    state=Active",
    "2026-11-23T05:52:17.172401Z [info     ] call.hangup                    state=Ended",
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (called(BEGUN, OVER.format(251, 150)), "sent 251 packets in 3.010 s: one each 20 ms are 150"),
        (called(BEGUN, OVER.format(0, 50)), "received 50 packets in 3.010 s: one each 20 ms are 150"),
        (called(BEGUN, OVER.format(151, 150), duration="2.5"), "this call of 3.010 s was placed for 2.5 s"),
        (called("   0.030  it rings", "   0.029  answered"), "the time is before that of the line above"),
        (called('{"at": 0.3}', '{"at": 0.2}'), "the time is before that of the line above"),
        (
            called(BEGUN) + page(*HEARD, words="terminal=callee"),
            "this call of 5.031 s was placed for 3 s",
        ),
        (called(BEGUN) + page(*LOGGED, words="terminal=relay"), "this call of 1.056 s was placed for 3 s"),
    ],
)
def test_what_is_sewn_from_different_calls_is_told(text: str, fault: str) -> None:
    """Packets that do not fit the seconds, an end that talks longer, and a time that goes back are told."""
    with pytest.raises(PageError, match="this is of another call") as caught:
        held("page.md", text)
    assert fault in str(caught.value)
    assert str(caught.value).startswith("page.md:")


@pytest.mark.parametrize("packets", [(151, 150), (0, 0), (4, 5), (151, 0)])
def test_what_is_of_one_call_is_left_alone(packets: tuple[int, int]) -> None:
    """Who speaks for three seconds sends some 150 packets, and who is silent nearly none."""
    sent, received = packets
    text = called(BEGUN, OVER.format(sent, received)) + called("   0.010  it rings", "  0.0   5.4", " –  0.0")
    held("page.md", text)


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


@pytest.mark.parametrize(
    ("came", "fits"), [("sent 50 of 49", True), ("sent 56 of 62", True), ("sent 51 of 151", False)]
)
def test_counts_differ_only_where_the_page_says_so_and_by_little(came: str, fits: bool) -> None:  # noqa: FBT001 - a case
    """In a block that says that they vary, whole numbers match those that are near to them."""
    assert fits == (Matcher([], counts=True).line("sent 51 of 51", came, {}) is not None)


@pytest.mark.parametrize(
    ("said", "came", "written"),
    [
        ("   0.03  it rings", "  12.50  it rings", "  12.50  it rings"),
        ('{"at": 0.3, "key": "…", …}', '{"at": 1.5, "key": "b", "c": 2.5}', '{"at": 1.5, "key": "…", …}'),
        ("seen at 127.0.0.1:4434 …", "seen at 127.0.0.1:4434 and 5", "seen at 127.0.0.1:4434 …"),
    ],
)
def test_a_line_that_fits_is_written_anew_with_its_dots(said: str, came: str, written: str) -> None:
    """What is written is what came; only what the page leaves out is left out again."""
    matcher = Matcher(["127.0.0.1:4434"])
    assert matcher.line(said, came, {}) is not None
    assert written == matcher.renewed(said, came)


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
def test_every_line_is_written_from_one_run() -> None:
    """Lines that fit and lines that do not become what came, under the names of the page; dots stay."""
    trap = "$ trap 'echo 8.5; exit' INT; printf '%s\\n' 1.5 b c 2.5; tail -f /dev/null"
    said = (
        page(f"$ echo {ONE}", OTHER, f"$ echo {ONE} again", "nothing")
        + page(trap, "0.5", "…", "0.5", words="terminal=a stays")
        + "```sh\necho any\n```\n\nText.\n"
        + page("^C", "0.5", words="terminal=a")
    )
    expected = (
        said.replace("nothing", f"{OTHER} again")
        .replace("0.5\n…\n0.5", "1.5\n…\n2.5")
        .replace("^C\n0.5", "^C\n8.5")
    )
    assert expected == pages.run("page.md", said, writes=True)


def test_a_page_finds_nothing_of_what_its_reader_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The copy of the tree has its folders and its own files, and no identity or recording beside them."""
    tree = tmp_path / "tree"
    for name in (*pages.TREE, "out"):
        (tree / name).mkdir(parents=True)
    for name in ("README.md", "Makefile", "callee.identity", "callee.wav", "race.py"):
        (tree / name).touch()
    monkeypatch.setattr(pages, "ROOT", tree)
    pages.copied(tmp_path / "copy")
    assert {*pages.TREE, "README.md", "Makefile"} == {found.name for found in (tmp_path / "copy").iterdir()}


@NEEDS_BASH
@pytest.mark.usefixtures("bare")
def test_ports_of_commands_are_free_ones() -> None:
    """A port that a command names is another one while it runs, and the page's again in what it prints."""
    text = page(
        "$ echo 127.0.0.1:4433 | tee port", "127.0.0.1:4433", "$ grep -c :4433 port", "0", words="status=1"
    )
    assert text == pages.run("page.md", text)
