"""Laws of the house: stems, purity, independence, budget, names of tests.

Each list of exceptions names the exception and its reason; an exception that is none any more fails
too. The laws of the text are in test_spec.py, those of the tree in test_tree.py.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path, PurePath

import pytest

from tools import tree
from tools.chapters import chapters
from tools.site.messages import sources

CHAPTERS_WITHOUT_SCHEMA: Mapping[str, str] = {
    "README": "leads to the chapters",
    "conventions": "says how to read the chapters",
    "deployed": "compares; it owns no message",
    "errors": "its numbers and words travel in QUIC closes and in Hangup, whose schema is that of call",
    "phases": "its names are the x-since of every schema",
    "privacy": "says what is removed from messages whose schemas are call and candidates",
    "race": "what travels on a direct path is QUIC and media",
    "security": "argues about the other chapters",
    "transport": "QUIC's own layer; it has no message",
}
CHAPTERS_WITHOUT_CORE: Mapping[str, str] = {
    "README": "leads to the chapters",
    "conventions": "says how to read the chapters",
    "deployed": "compares; the reference does what the other chapters say",
    "security": "its rules are obeyed where the messages are handled",
    "transport": "performed by the endpoint, outside the core",
}
CORE_WITHOUT_CHAPTER: Mapping[str, str] = {
    "__init__": "the package",
    "addresses": "the text form of an address, from the chapter conventions and later candidates",
    "authentication": "the tokens before a registration, from the chapter registration",
    "calling": "what the client's telephone says, from the chapters call, candidates and race",
    "calls": "the half of the relay's machine that moves calls",
    "client": "the client's machine; one method a message, over several chapters",
    "draining": "the relay's last while, from the chapter errors",
    "effects": "what the machines return",
    "gathering": "what a client asks before it advertises, from the chapters reflection and candidates",
    "hearing": "whether a client's user hears the other end, from the chapters media and agreement",
    "line": "one call as the client's machine sees it",
    "links": "the half of federation that knows which relays this one is joined to",
    "messages": "the messages of all chapters",
    "paths": "the two paths of a client's call, from the chapters race and agreement",
    "playout": "the client's buffer; nothing of it is seen from outside",
    "proof": "how a relay proves itself, from the chapter federation",
    "reception": "the half of the relay's machine that registers",
    "registry": "the table behind registration and call",
    "relay": "the relay's machine; one method a message, over several chapters",
    "rooms": "the table behind media",
    "seat": "a client's place in the room, from the chapter media",
    "sessions": "the relay's memory of each connection, over several chapters",
    "shapes": "the half of wire that knows what each phase knows of a message",
    "strict_json": "the half of wire that reads JSON",
    "telephone": "the half of the client's machine that moves its call",
    "timers": "deadlines for every machine",
}
CORE_WITHOUT_UNIT_TEST: Mapping[str, str] = {
    "__init__": "nothing in it",
    "effects": "declarations only; every test of a machine compares them",
    "reception": "tried at the door of the relay's machine, in test_relay and test_authentication",
}
PROGRAMS = frozenset(set(tree.select("tests/independent/*.py")) - set(tree.select("tests/*/test_*.py")))
"""An outsider's programs, which are no tests: one that sends audio waits for its time."""
SKIPS: Mapping[str, tuple[frozenset[str], str]] = {
    "tests/adapters/test_adapters.py": (
        frozenset({"pytest.skip"}),
        "a machine may be without Go or Rust, or without a network to fetch what they need",
    ),
    "tests/unit/test_audio.py": (
        frozenset({"pytest.importorskip", "pytest.mark.skipif"}),
        "the extra audio may be left out, and a device that is always full is Linux's; the gate has both",
    ),
    "tests/laws/test_deploy.py": (
        frozenset({"pytest.mark.skipif"}),
        "a machine may be without systemd; what of the unit can be judged without it is",
    ),
    "tests/laws/test_schema_pages.py": (
        frozenset({"pytest.mark.skipif"}),
        "the npm that fails is a script of the shell",
    ),
    "tests/pages/test_playground.py": (
        frozenset({"pytest.skip"}),
        "a machine may be without npm, or without a network for it; the gate has both",
    ),
    "tests/laws/test_documented.py": (
        frozenset({"pytest.mark.skipif"}),
        "the pages show commands of a bash; where there is none, the gate's step says SKIPPED as well",
    ),
    "tests/pages/conftest.py": (
        frozenset({"pytest.skip"}),
        "a machine may be without a browser; the gate installs one, and counts what is skipped",
    ),
}
CHAPTERS_WITHOUT_CHECKS: Mapping[str, str] = {
    "README": "has no requirement",
    "conventions": "has no requirement",
    "deployed": "has no requirement",
}
PURE = frozenset(
    {
        *(
            "__future__",
            "abc",
            "base64",
            "binascii",
            "bisect",
            "collections",
            "dataclasses",
            "enum",
            "functools",
        ),
        *("hashlib", "heapq", "hmac", "ipaddress", "itertools", "json", "math", "operator", "re", "string"),
        *("struct", "types", "typing", "unicodedata"),
    }
)
"""What the core may import of the standard library: it computes and does not act."""

PURE_PACKAGES = frozenset({"cryptography", "jsonschema_rs", "schemas"})
ENDPOINT = PurePath("reference/endpoint.py")
QUIC = PurePath("reference/quic")
CORE_LINES, SHELL_LINES, ENDPOINT_LINES, FUNCTION_LINES = 250, 200, 400, 40


def stems(*globs: str, prefix: str = "") -> set[str]:
    """Return the names of the modules that match, without a prefix they all have."""
    return {path.stem.removeprefix(prefix) for path in tree.select(*globs)}


CORE = sorted(stems("reference/core/*.py"))


@pytest.mark.parametrize("chapter", sorted(chapters()))
def test_a_chapter_has_its_schema(chapter: str) -> None:
    """A chapter and its schema share one name, or the exception says why there is no schema."""
    assert (chapter in CHAPTERS_WITHOUT_SCHEMA) != (chapter in sources())


@pytest.mark.parametrize("schema", sorted(sources()))
def test_a_schema_has_its_chapter(schema: str) -> None:
    """No schema stands without a chapter of its name."""
    assert schema in chapters()


@pytest.mark.parametrize("chapter", sorted(chapters()))
def test_a_chapter_has_its_core_module(chapter: str) -> None:
    """A chapter and its core module share one name, or the exception says why there is none."""
    assert (chapter in CHAPTERS_WITHOUT_CORE) != (chapter in CORE)


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_has_its_chapter(module: str) -> None:
    """A core module bears the name of a chapter, or the exception says what it is."""
    assert (module in CORE_WITHOUT_CHAPTER) != (module in chapters())


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_has_its_unit_test(module: str) -> None:
    """A core module and its unit test share one name, or the exception says why it needs none."""
    tested = stems("tests/unit/test_*.py", prefix="test_")
    assert (module in CORE_WITHOUT_UNIT_TEST) != (module in tested)


@pytest.mark.parametrize("chapter", sorted(chapters()))
def test_a_chapter_has_its_checks(chapter: str) -> None:
    """A chapter and the file of its checks share one name, or the exception says why there are none."""
    checked = stems("conformance/checks/*test_*.py", prefix="test_")
    assert (chapter in CHAPTERS_WITHOUT_CHECKS) != (chapter in checked)


@pytest.mark.parametrize("folder", ["conformance/checks", "conformance/checks/client"])
def test_no_check_stands_without_a_chapter(folder: str) -> None:
    """Every file of checks bears the name of a chapter, or stands beside one that does: chapter_subject."""
    files = stems(f"{folder}/test_*.py", prefix="test_")
    of_chapters = files & set(chapters())
    assert set() == {one for one in files - of_chapters if one.partition("_")[0] not in of_chapters}


@pytest.mark.parametrize("path", tree.select("reference/core/*.py"), ids=str)
def test_the_core_imports_nothing_that_acts(path: Path) -> None:
    """A core module imports the core, the schemas and what only computes; anything else is named here."""
    for name in sorted(tree.imports(path)):
        root = name.partition(".")[0]
        allowed = name.startswith("reference.core") or root in PURE | PURE_PACKAGES
        assert allowed, f"{path} imports {name}"


def test_only_the_endpoint_knows_the_quic_library() -> None:
    """No file of the reference but the endpoint and its room reference/quic imports aioquic."""
    users = {
        path
        for path in tree.select("reference/*.py")
        if any(name.partition(".")[0] == "aioquic" for name in tree.imports(path))
    }
    assert users, "somebody imports aioquic"
    assert set() == {str(path) for path in users if path != ENDPOINT and QUIC not in path.parents}


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("conformance", {"reference", "tests", "tools"}),
        ("reference", {"conformance", "tests", "tools"}),
        ("schemas", {"conformance", "reference", "tests", "tools"}),
    ],
)
def test_packages_do_not_know_each_other(package: str, forbidden: set[str]) -> None:
    """The suite and the reference meet on the wire alone; the schemas stand below both."""
    for path in tree.select(f"{package}/*.py"):
        assert set() == {name for name in tree.imports(path) if name.partition(".")[0] in forbidden}, path


def budget(path: Path) -> int:
    """Return how many lines a module of the reference may have."""
    if path == ENDPOINT:
        return ENDPOINT_LINES
    return CORE_LINES if path.parent.name == "core" else SHELL_LINES


@pytest.mark.parametrize("path", tree.select("reference/*.py"), ids=str)
def test_a_module_keeps_its_budget(path: Path) -> None:
    """A core module has at most 250 lines, a shell 200, the endpoint 400."""
    lines = len((tree.ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= budget(path), f"{path} has {lines} lines"


@pytest.mark.parametrize("path", tree.select("*.py"), ids=str)
def test_a_function_keeps_its_budget(path: Path) -> None:
    """No function has more than 40 lines."""
    long = {
        f"{function.name}: {(function.end_lineno or 0) - function.lineno + 1}"
        for function in tree.functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    }
    assert set() == long


def written_in(path: Path) -> list[tree.Function]:
    """Return the tests of a file."""
    return [function for function in tree.functions(path) if function.name.startswith("test_")]


TEST_FILES = tree.select("tests/*test_*.py", "conformance/checks/*test_*.py")


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """Each file of tests has tests, and each test a docstring."""
    found = written_in(path)
    assert found, f"{path} has no test"
    assert [] == [function.name for function in found if not ast.get_docstring(function)]


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_every_test_has_a_name_of_its_own(path: Path) -> None:
    """No two tests of one class or module share a name: the later one would hide the earlier."""
    scopes = [node for node in ast.walk(tree.module(path)) if isinstance(node, ast.Module | ast.ClassDef)]
    for scope in scopes:
        names = [node.name for node in scope.body if isinstance(node, tree.Function)]
        assert sorted(set(names)) == sorted(names)


def calls(path: Path) -> set[str]:
    """Return the dotted names that a file calls, as they are written."""
    nodes = (node for node in ast.walk(tree.module(path)) if isinstance(node, ast.Call))
    return {ast.unparse(node.func) for node in nodes}


@pytest.mark.parametrize("path", tree.select("tests/*.py", "conformance/checks/*.py"), ids=str)
def test_no_test_sleeps(path: Path) -> None:
    """No test waits for time to pass: it waits for what has to happen."""
    if path in PROGRAMS:
        return
    assert set() == {name for name in calls(path) if name.rpartition(".")[2] == "sleep"}


@pytest.mark.parametrize("path", tree.select("tests/*.py"), ids=str)
def test_no_test_is_skipped(path: Path) -> None:
    """No test is skipped but those that are listed here: what cannot be run is not to be forgotten."""
    words = {ast.unparse(node) for node in ast.walk(tree.module(path)) if isinstance(node, ast.Attribute)}
    skips = {f"pytest.{word}" for word in ("skip", "importorskip", "mark.skip", "mark.skipif", "mark.xfail")}
    allowed, _ = SKIPS.get(path.as_posix(), (frozenset(), ""))
    assert allowed == words & skips


def test_every_exception_names_something() -> None:
    """An exception for a module or a chapter that is not there any more is removed."""
    assert set() == {*CORE_WITHOUT_CHAPTER, *CORE_WITHOUT_UNIT_TEST} - set(CORE)
    assert set() == {*CHAPTERS_WITHOUT_SCHEMA, *CHAPTERS_WITHOUT_CORE, *CHAPTERS_WITHOUT_CHECKS} - set(
        chapters()
    )
    assert set() == set(SKIPS) - {path.as_posix() for path in tree.select("tests/*.py")}


def test_this_law_sees_a_sleep() -> None:
    """The reader of calls finds a sleep however it is written."""
    source = "import asyncio, time\nasync def a():\n    await asyncio.sleep(1)\n    time.sleep(2)\n"
    names = {ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}
    assert {"asyncio.sleep", "time.sleep"} == names
