"""The configuration of a relay: what a file may say, what wins, and how a fault is told."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reference import identity, relay
from reference.commandline import CommandError
from reference.configuration import CommandLine, as_toml, bounds, keys, kind_of, read, settle
from reference.core.registration import Policy
from reference.core.sessions import Peer, Trust
from reference.logs import LogLevel
from reference.options import Options
from reference.peers import TABLES

KEY = ":".join(["ab"] * 32)
OTHER = ":".join(["cd"] * 32)
PEER = f'[[peers]]\naddress = "127.0.0.1:4434"\nfingerprint = "{KEY}"\nlabel = "b"\n'
TRUSTED = f'[[trusted]]\nfingerprint = "{OTHER}"\nlabel = "c"\n'
GOOD = f"""\
listen = "127.0.0.1:0"   # any port
identity = "somewhere"
registration = "open"
ring-timeout = 20
max-calls = 3
log-level = "debug"
federation = "open"

{PEER}
{TRUSTED}"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own; return where the configuration goes."""
    monkeypatch.chdir(tmp_path)
    return Path("relay.toml")


def settled(place: Path, text: str, **written: object) -> Options:
    """Return what is in force with a file that says `text` and a command line that says the rest."""
    place.write_text(text, encoding="utf-8")
    return settle(CommandLine(config=place, given=frozenset({"config", *written}), **written))  # type: ignore[arg-type]


def test_a_file_fills_in_options(place: Path) -> None:
    """Each key of a file is the option of its name, and what the file does not say is the default."""
    expected = Options(
        listen="127.0.0.1:0",
        identity_file=Path("somewhere"),
        registration=Policy.OPEN,
        ring_timeout=20.0,
        max_calls=3,
        log_level=LogLevel.DEBUG,
        federation=Trust.OPEN,
        peers=(Peer(KEY, "b", "127.0.0.1:4434"),),
        trusted=(Peer(OTHER, "c"),),
    )
    options = settled(place, GOOD)
    assert expected == options
    assert float is type(options.ring_timeout)


def test_the_command_line_wins(place: Path) -> None:
    """An option that is written on the command line holds, also when it is written as its default."""
    options = settled(place, GOOD, max_calls=8, listen="127.0.0.1:1")
    assert (8, "127.0.0.1:1", 20.0) == (options.max_calls, options.listen, options.ring_timeout)


def test_times_are_limits_of_the_machine(place: Path) -> None:
    """What a file says of the times of links is what the machine goes by."""
    limits = settled(place, "hello-timeout = 2\nsearch-timeout = 3.5\n").limits()
    assert (2.0, 3.5) == (limits.hello_timeout, limits.search_timeout)


def test_without_a_file_there_are_the_defaults() -> None:
    """A relay without `--config` has what its command line says."""
    assert Options(max_calls=2) == settle(CommandLine(max_calls=2, given=frozenset({"max_calls"})))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nmax-call = 3", "line 2: max-call: there is no such option: did you mean max-calls?"),
        ("max_calls = 3", "line 1: max_calls: there is no such option: did you mean max-calls?"),
        ("peer = 3", "line 1: peer: there is no such option: did you mean peers?"),
        ("colour = 3", "line 1: colour: there is no such option: --help lists them all"),
        ("config = 'x'", "line 1: config: there is no such option: --help lists them all"),
        ("[relay]\nmax-calls = 3", "line 1: relay: there is no such option: --help lists them all"),
        ("#\n\nmax-calls = 0", "line 3: max-calls: 0 is less than 1"),
        ("max-calls = '8'", 'line 1: max-calls: "8" is not a whole number'),
        ("max-calls = 8.0", "line 1: max-calls: 8.0 is not a whole number"),
        ("max-calls = true", "line 1: max-calls: true is not a whole number"),
        ("max-calls = [1]", "line 1: max-calls: an array is not a whole number"),
        ("listen = {}", "line 1: listen: a table is not a text in quotes"),
        ("listen = 4433", "line 1: listen: 4433 is not a text in quotes"),
        ("ring-timeout = 0.001", "line 1: ring-timeout: 0.001 is less than 0.01"),
        ("hello-timeout = 0", "line 1: hello-timeout: 0.0 is less than 0.01"),
        ("search-timeout = '5'", 'line 1: search-timeout: "5" is not a number'),
        ("ring-timeout = inf", "line 1: ring-timeout: inf is no number to count with"),
        ("ring-timeout = nan", "line 1: ring-timeout: nan is no number to count with"),
        (f"ring-timeout = {10**400}", "line 1: ring-timeout: 9007199254740992.0 is more than 31536000"),
        ("ring-timeout = 31536001", "line 1: ring-timeout: 31536001.0 is more than 31536000"),
        ("max-datagrams = 1_000_000_001", "line 1: max-datagrams: 1000000001 is more than 1000000000"),
        ("registration = 'closed'", "line 1: registration: 'closed' is not one of signed, open"),
        ("identity = '''a\nb'''", 'line 1: identity: "a\\nb" has characters that are not printed'),
        ("#\nlisten = 'nowhere'", "line 2: listen: 'nowhere' is no address with a port: write it as IP:PORT"),
        ("metrics = 'nowhere'", "line 1: metrics: 'nowhere' is no address with a port"),
        ("listen = '0.0.0.0:1'", "line 1: listen: 0.0.0.0:1 takes every address: say with --advertise"),
        ("advertise = '127.0.0.1:0'", "line 1: advertise: 127.0.0.1:0: no client can reach that: port 0"),
        ("phase = '99'", "line 1: phase: no phase is called '99'"),
        ("idle-timeout = 4", "line 1: idle-timeout: keep-alive 5 has to be shorter than --idle-timeout 4"),
        ("#\nkeep-alive = 40", "line 2: keep-alive: 40 has to be shorter than --idle-timeout 30"),
        ("a = 1\n= 2", "line 2: this is no TOML: invalid statement: '= 2'"),
        (
            "max-calls = 1\nmax-calls = 2",
            "line 2: this is no TOML: cannot overwrite a value: 'max-calls = 2'",
        ),
        ("listen = [", "line 1: this is no TOML: invalid value: 'listen = ['"),
        ("peers = 3", "line 1: peers: 3 is not an array of tables: write [[peers]]"),
        ("peers = [3]", "line 1: peers: 3 is not a table"),
        ("[peers]\nlabel = 'b'", "line 1: peers: a table is not an array of tables: write [[peers]]"),
        (PEER.replace("label", "lable"), "line 4: peers.lable: there is no such key: did you mean label?"),
        (PEER.replace('"b"', "2"), "line 4: peers.label: 2 is not a text in quotes"),
        (PEER.replace('"b"', '" "'), "line 4: peers.label: ' ' has to be 1 to 64 printable characters"),
        (PEER.replace('"b"', f'"{"b" * 65}"'), "has to be 1 to 64 printable characters"),
        (PEER.replace("ab", "ax", 1), "line 3: peers.fingerprint: 'ax:ab:"),
        (
            PEER.replace("127.0.0.1:4434", "host:1"),
            "line 2: peers.address: 'host:1' is no address with a port",
        ),
        (
            PEER.replace("4434", "0"),
            "line 2: peers.address: no relay can be at 127.0.0.1:0: port 0 is nobody's",
        ),
        (f"{PEER}\n[[peers]]\n", "line 6: peers: address is missing"),
        (PEER + PEER, "line 6: peers.address: 127.0.0.1:4434 is that of the one in line 2 already"),
        (
            PEER + PEER.replace("4434", "4435"),
            f"line 7: peers.fingerprint: {KEY} is that of the one in line 3",
        ),
        (TRUSTED + PEER.replace(KEY, OTHER), f"line 1: trusted: {OTHER} is that of a peer already"),
        (TRUSTED + "address = '127.0.0.1:1'", "line 4: trusted.address: there is no such key"),
        ("[[peers]]\n" * 65, "line 65: peers: 65 relays are more than 64"),
    ],
)
def test_a_fault_names_file_line_and_key(place: Path, text: str, says: str) -> None:
    """What a file may not say is refused with one sentence: file, line, key, value and rule."""
    with pytest.raises(CommandError) as caught:
        settled(place, text)
    assert says in str(caught.value)
    assert str(caught.value).startswith("relay.toml line ")


def test_a_fault_of_the_command_line_is_not_the_files(place: Path) -> None:
    """What the command line says wrongly is told of it, although the file has the same key."""
    with pytest.raises(CommandError, match=r"^--listen: 'nowhere' is no address"):
        settled(place, 'listen = "127.0.0.1:1"', listen="nowhere")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot read the configuration relay.toml: no such file or directory"),
        (b"#\n#\n\xff = 1\n", "relay.toml line 3: it has to be text in UTF-8"),
        (b"#" * 65_537, "relay.toml: a configuration has at most 65536 bytes, and this one has more"),
        ((b"#" * 65_536), ""),
    ],
)
def test_a_file_that_cannot_be_read(place: Path, content: bytes | None, says: str) -> None:
    """A file that is missing, too large or no text is refused with a sentence that names it."""
    if content is not None:
        place.write_bytes(content)
    if says:
        with pytest.raises(CommandError, match=f"^{says}$"):
            read(place)
    else:
        assert {} == read(place).values


def test_a_pipe_is_no_configuration(place: Path) -> None:
    """What would let the relay wait, or is a folder, is refused at once."""
    os.mkfifo(place)
    Path("folder").mkdir()
    for path in (place, Path("folder")):
        with pytest.raises(CommandError, match=f"^cannot read the configuration {path}: it is no file$"):
            read(path)


def test_every_option_can_stand_in_a_file() -> None:
    """Each field of Options has a key of a kind that a file has, but for the two tables."""
    assert {one.name for one in fields(Options)} == {*keys().values(), *TABLES}
    assert all(kind_of(key) for key in keys())
    expected = {"max-calls": (1, 10**9), "ring-timeout": (0.01, 31_536_000), "listen": (None, None)}
    assert expected == {key: bounds(key) for key in expected}


TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
OPTIONS = st.builds(
    Options,
    advertise=st.just("") | st.sampled_from(["192.0.2.1:1", "[2001:db8::1]:4433"]),
    identity_file=TEXTS.map(lambda name: Path(f"x{name}")),
    registration=st.sampled_from(Policy),
    ring_timeout=st.floats(0.01, 31_536_000),
    max_calls=st.integers(1, 10**9),
    peers=st.just(()) | TEXTS.map(lambda label: (Peer(KEY, f"l{label}"[:64], "192.0.2.1:1"),)),
    trusted=st.just(()) | TEXTS.map(lambda label: (Peer(OTHER, f"l{label}"[:64]),)),
)


@given(options=OPTIONS)
@settings(max_examples=15, deadline=None)  # the first one makes the parser
def test_what_is_printed_is_a_configuration(
    options: Options, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The options in force, printed and read again, are the same."""
    place = tmp_path_factory.getbasetemp() / "printed.toml"
    place.write_text(as_toml(options), encoding="utf-8")
    assert options == settle(CommandLine(config=place))


VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["true", "1979-05-27", "07:32:00", "nan", "-inf", "''", "'127.0.0.1:1'", "'7'"]),
        st.integers(-(10**40), 10**40).map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
    ),
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda those: f"[{', '.join(those)}]")
        | st.builds("{{label = {}, x = {}}}".format, inner, inner)
    ),
    max_leaves=3,
)
LINES = st.builds("{} = {}".format, st.sampled_from([*keys(), *TABLES, "x"]), VALUES)


def refusal(line: CommandLine) -> str:
    """Return why a command line cannot be followed, or "" when it can."""
    try:
        settle(line)
    except CommandError as error:
        return str(error)
    return ""


@given(lines=st.lists(LINES | st.text(max_size=12), max_size=3))
@settings(deadline=None)
def test_whatever_a_file_says_is_followed_or_refused(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No text ends in anything but options, or one sentence that begins with the file and the line."""
    place = tmp_path_factory.getbasetemp() / "any.toml"
    place.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    said = refusal(CommandLine(config=place, advertise="192.0.2.1:1", given=frozenset({"advertise"})))
    assert not said or said.startswith(f"{place} line ")
    assert "\n" not in said


def test_a_configuration_is_checked(place: Path) -> None:
    """`--check-config` prints what would be in force and ends with 0, and nothing is created or bound."""
    place.write_text('listen = "203.0.113.1:4433"\nmax-calls = 3\n', encoding="utf-8")
    ran = CliRunner().invoke(relay.app, ["--config", "relay.toml", "--check-config", "--max-offers", "7"])
    assert (0, "") == (ran.exit_code, ran.stderr)
    lines = ran.stdout.splitlines()
    assert {'listen = "203.0.113.1:4433"', "max-calls = 3", "max-offers = 7"} <= set(lines)
    assert ["relay.toml"] == [path.name for path in Path().iterdir()]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("torn", "it has to hold a seed of 64 hex digits and nothing else"),
        ("no/such/place", "cannot create the identity file no/such/place: no/such is no folder to write to"),
    ],
)
def test_the_identity_is_checked(place: Path, name: str, says: str) -> None:
    """An identity file that could not be used is told by `--check-config` with its line; the status is 2."""
    Path("torn").write_text("torn", encoding="ascii")
    place.write_text(f'#\nidentity = "{name}"\n', encoding="utf-8")
    ran = CliRunner().invoke(relay.app, ["--config", "relay.toml", "--check-config"])
    assert 2 == ran.exit_code
    assert ran.stderr.startswith("relay: relay.toml line 2: identity: ")
    assert says in ran.stderr


def test_an_identity_that_is_there_is_good(place: Path) -> None:
    """An identity file with a seed is good, and stays what it is."""
    identity.create(Path("me"))
    before = Path("me").read_bytes()
    place.write_text('identity = "me"\n', encoding="utf-8")
    assert 0 == CliRunner().invoke(relay.app, ["--config", "relay.toml", "--check-config"]).exit_code
    assert before == Path("me").read_bytes()


def test_an_address_that_cannot_be_had_is_told_with_its_line(place: Path) -> None:
    """A relay that starts and cannot listen where its file says names the line."""
    place.write_text('\nlisten = "203.0.113.1:4433"\nlog-level = "error"\n', encoding="utf-8")
    ran = CliRunner().invoke(relay.app, ["--config", "relay.toml"])
    assert 2 == ran.exit_code
    assert ran.stderr.startswith("relay: relay.toml line 2: listen: cannot listen on 203.0.113.1:4433: ")
