"""Bad input at every door of the relay's and the client's programs: what they say, and their exit status."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from reference import client, devices, identity, relay
from reference.core import wire
from reference.core.messages import RegisterPresenceAck
from reference.core.phases import NEWEST
from reference.endpoint import EndpointLimits
from tests.loopback.conftest import Recorder, opened
from tests.processes.conftest import QUICK, TONE, TRUSTED, fresh, named
from tools.processes import GUARD, ROOT, Process, Troupe, troupe

NOBODY = "0000:1111:2222:3333:4444:5555:6666:7777"
OTHER_KEY = ":".join(["ab"] * 32)
CALL = ("call", NOBODY, "--relay", "127.0.0.1:9", "--identity", "me")
LISTEN = ("listen", "--relay", "127.0.0.1:9", "--identity", "me")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the identity `me` and files of every wrong kind."""
    monkeypatch.chdir(tmp_path)
    identity.create(Path("me"))
    Path("torn").write_text("not a seed", encoding="ascii")
    Path("bytes").write_bytes(bytes(range(128, 192)))
    Path("empty.wav").write_bytes(b"")
    Path("text.wav").write_text("this is no sound", encoding="ascii")
    Path("folder").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Troupe, Process]]:
    """Give the tests of this file one relay."""
    with troupe(tmp_path_factory.mktemp("doors")) as cast:
        started = cast.relay(*QUICK)
        started.ready()
        yield cast, started


def outcome(program: str, *arguments: str) -> tuple[int, str]:
    """Run a command line in this process; return its exit status and what it wrote to standard error."""
    app = {"relay": relay.app, "client": client.app}[program]
    ran = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    lines = ran.stderr.splitlines()
    assert [program] == [line.partition(":")[0] for line in lines]  # one sentence, and whose it is
    return ran.exit_code, ran.stderr


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--listen", "nowhere"), "'nowhere' is no address with a port: write it as IP:PORT"),
        (("--listen", "127.0.0.1:99999"), "'127.0.0.1:99999' is no address with a port"),
        (("--listen", "0.0.0.0:4433"), "say with --advertise IP:PORT which one clients reach"),
        (("--listen", "[::]:4433"), "say with --advertise IP:PORT which one clients reach"),
        (("--listen", "203.0.113.1:4433"), "cannot listen on 203.0.113.1:4433"),
        (("--advertise", "0.0.0.0:4433"), "no client can reach that: it is an unspecified address"),
        (("--advertise", "127.0.0.1:0"), "no client can reach that: port 0 is nobody's"),
        (("--metrics", "203.0.113.1:1"), "choose another with --metrics IP:PORT"),
        (("--phase", "99"), "no phase is called '99'"),
        (
            ("--keep-alive", "3", "--idle-timeout", "2"),
            "--keep-alive 3 has to be shorter than --idle-timeout 2",
        ),
        (("--ring-timeout", "inf"), "--ring-timeout: inf is no number to count with"),
        (("--max-datagrams", "1000000001"), "--max-datagrams: 1000000001 is more than 1000000000"),
        (("--config", "missing.toml"), "cannot read the configuration missing.toml: no such file"),
        (("--config", "torn"), "torn line 1: this is no TOML: expected '=' after a key"),
        (("--identity", "torn"), "torn: it has to hold a seed of 64 hex digits and nothing else"),
        (("--identity", "bytes"), "bytes: it has to hold a seed of 64 hex digits and nothing else"),
        (("--identity", "folder"), "cannot read the identity file folder: is a directory"),
        (("--identity", "no/such/place"), "cannot create the identity file no/such/place: no such file"),
        (("--identity", "x" * 300), "choose another with --identity FILE"),
    ],
)
def test_a_relay_that_cannot_start(arguments: tuple[str, ...], says: str) -> None:
    """An option that cannot be followed ends the relay with status 2 and a sentence that says what to do."""
    defaults = ("--listen", "127.0.0.1:0", "--identity", "made", "--log-level", "error")
    status, words = outcome("relay", *defaults, *arguments)
    assert says in " ".join(words.split())
    assert 2 == status


@pytest.mark.usefixtures("place")
def test_a_port_that_is_taken() -> None:
    """A relay whose port another program has says so and how to choose another."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        status, words = outcome("relay", "--listen", taken)
    assert f"relay: cannot listen on {taken}: address already in use; choose another with --listen" in words
    assert 2 == status


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("call", "somebody", *CALL[2:]), 2, "'somebody' is no fingerprint: it has eight groups"),
        (("call", NOBODY.upper().replace("0", "A"), *CALL[2:]), 2, "four lowercase hex digits"),
        (("call", "{own}", *CALL[2:]), 2, "{own} is me itself: a call takes two identities"),
        (("call", *CALL[2:]), 2, "FINGERPRINT is missing: whom to call"),
        ((*CALL, "--relay", "localhost:4433"), 2, "IPv6 as [IP]:PORT; host names are not looked up"),
        ((*CALL, "--relay", "127.0.0.1:0"), 2, "no relay can be there: port 0 is nobody's"),
        ((*CALL, "--relay-fingerprint", "ab:cd"), 2, "'ab:cd' is no TLS fingerprint"),
        ((*CALL, "--identity", "nobody"), 2, "client identity new FILE` makes one"),
        ((*CALL, "--identity", "torn"), 2, "torn: it has to hold a seed"),
        ((*CALL, "--phase", "x"), 2, "no phase is called 'x'"),
        ((*CALL, "--duration", "inf"), 2, "--duration: inf is no number to count with"),
        ((*CALL, "--send", "missing.wav"), 7, "missing.wav cannot be read as a WAV file: no such file"),
        ((*CALL, "--send", "folder"), 7, "folder cannot be read as a WAV file: is a directory"),
        ((*CALL, "--send", "text.wav"), 7, "text.wav cannot be read as a WAV file: invalid data found"),
        ((*LISTEN, "--send", "empty.wav"), 7, "empty.wav cannot be read as a WAV file"),
        ((*LISTEN, "--record", "folder"), 7, "folder cannot be written: is a directory"),
        ((*LISTEN, "--record", "no/such.wav"), 7, "no/such.wav cannot be written: no such file"),
        ((*LISTEN, "--answer", "maybe"), 2, "--answer: 'maybe' is not one of ask, trusted, generic, reject"),
        (("ping", "--relay-fingerprint", "zz"), 2, "'zz' is no TLS fingerprint"),
        (("identity", "new", "me"), 2, "cannot create the identity file me: file exists"),
        (("identity", "show", "nobody"), 2, "cannot read the identity file nobody: no such file"),
    ],
)
def test_a_client_that_cannot_start(arguments: tuple[str, ...], status: int, says: str) -> None:
    """Each option that cannot be followed ends the client with its status, and nothing is sent before."""
    own = identity.load(Path("me")).fingerprint
    ended, words = outcome("client", *(own if one == "{own}" else one for one in arguments))
    assert says.replace("{own}", own) in " ".join(words.split())
    assert status == ended


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--send", "mic"), "no microphone can be used: there is none; send a file with --send FILE.wav"),
        (("--speaker",), "no speaker can be used: there is none; keep what is heard with --record FILE.wav"),
    ],
)
def test_a_missing_device(option: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a microphone or a speaker a call is not even tried, and the advice is a file."""

    def absent(**_: object) -> None:
        raise OSError("Error querying device -1")

    library = SimpleNamespace(PortAudioError=OSError, RawInputStream=absent, RawOutputStream=absent)
    monkeypatch.setattr(devices, "library", lambda _: library)
    status, words = outcome("client", *CALL, *option)
    assert (7, f"client: {says}\n") == (status, words)


def test_a_relay_that_does_not_answer(place: Path) -> None:
    """When nothing comes back, `call` and `ping` say which relay does not answer and end with status 3."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as silent, troupe(place) as cast:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        named(cast, "caller")
        caller = cast.client("caller", "call", address, NOBODY)
        ping = cast.start("ping", "reference.client", "ping", "--relay", address)
        assert (3, 3) == (caller.end(), ping.end())
        stopped = caller.event("stopped")
    assert ("unreachable", True) == (stopped["kind"], f"no relay answers at {address}" in stopped["why"])
    assert f"client: no relay answers at {address}: no handshake within 5 s" in ping.errors()
    assert f"client: {stopped['why']}\n" == caller.errors()


@pytest.mark.usefixtures("place")
def test_a_relay_with_another_key(company: tuple[Troupe, Process]) -> None:
    """A client that was told the relay's key goes no further with a relay that has another: status 4."""
    ready = company[1].ready()
    where = ("--relay", ready["addr"], "--relay-fingerprint", OTHER_KEY)
    status, words = outcome("client", "ping", *where)
    assert (4, f"client: that is not the key {OTHER_KEY}\n") == (status, words)
    ran = CliRunner().invoke(client.app, ["listen", "--identity", "me", "--answer", "reject", *where])
    assert 4 == ran.exit_code
    assert f"has the key {ready['tls_fingerprint']}, not {OTHER_KEY}\n" in ran.stderr


def test_an_identity_taken_over(company: tuple[Troupe, Process]) -> None:
    """A client whose identity registers elsewhere is told so and ends with status 6; the newer one stays."""
    cast, started = company
    address = started.ready()["addr"]
    named(cast, "twin")
    older = cast.client("twin", "listen", address, *TRUSTED)
    older.event("registered")
    (cast.folder / "younger.identity").write_bytes((cast.folder / "twin.identity").read_bytes())
    newer = cast.client("younger", "listen", address, *TRUSTED)
    newer.event("registered")
    assert 6 == older.end()
    assert "replaced" == older.event("stopped")["kind"]
    newer.send(signal.SIGTERM)
    assert 0 == newer.end()


def test_a_refused_registration(tmp_path: Path) -> None:
    """A client whose registration the relay refuses gives the relay's reason and ends with status 5."""
    with troupe(tmp_path) as cast:
        named(cast, "unwelcome")
        unwelcome = asyncio.run(asyncio.wait_for(turned_away(cast), GUARD))
        assert 5 == unwelcome.end()
        stopped = unwelcome.event("stopped")
    assert ("refused", "not you") == (stopped["kind"], stopped["why"])


async def turned_away(cast: Troupe) -> Process:
    """Start a client at a relay that refuses everybody; return it when it has left."""
    heard = Recorder()
    async with opened(heard, limits=EndpointLimits()) as door:
        host, port = door.address
        unwelcome = cast.client("unwelcome", "listen", f"{host}:{port}", *TRUSTED)
        await heard.times("frame")
        refusal = RegisterPresenceAck(success=False, error="not you")
        door.send(heard.last("frame"), wire.encode(refusal, NEWEST))
        await heard.times("lost")
    return unwelcome


def test_an_answer_at_the_keyboard(company: tuple[Troupe, Process]) -> None:
    """Asked, a person answers a call with a letter; the caller, who can record no more, ends with 7."""
    cast, started = company
    address = started.ready()["addr"]
    asked_name, _ = named(cast, "asked", "caller")
    arguments = ("--relay", address, "--identity", str(cast.folder / "asked.identity"), "--calls", "1")
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "reference.client", "listen", *arguments, "--send", "tone"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asked:
        guard = threading.Timer(GUARD, asked.kill)
        guard.start()
        try:
            assert asked.stdin is not None
            assert asked.stdout is not None
            assert "registered as" in asked.stdout.readline()
            caller = limited(cast, address, asked_name)
            assert "incoming call from" in asked.stdout.readline()
            assert "answer with t" in asked.stdout.readline()
            asked.stdin.write("what?\nt\n")
            asked.stdin.flush()
            assert 7 == caller.end()
            assert "cannot be written" in caller.event("error")["why"]
            assert 0 == asked.wait(GUARD)
            assert "the call is over: the other end hung up or was lost" in asked.stdout.read()
        finally:
            guard.cancel()
            asked.kill()


def limited(cast: Troupe, address: str, target: str) -> Process:
    """Start a caller whose files may not grow beyond 64 KiB, as on a disk that becomes full."""
    arguments = ("call", target, "--relay", address, "--identity", cast.folder / "caller.identity", "--json")
    sound = (*TONE, "--record", cast.folder / "caller.wav")
    return cast.start("limited", "tests.processes.limited", 65_536, *arguments, *sound)


def test_an_identity_is_its_owners(place: Path) -> None:
    """A new identity file can be read by its owner alone, and a relay creates its own that way."""
    assert "0o600" == oct((place / "me").stat().st_mode & 0o777)
    with troupe(fresh(place, "scene")) as cast:
        started = cast.relay()
        started.ready()
        started.send(signal.SIGINT)
        assert 0 == started.end()
        assert "0o600" == oct((cast.folder / "relay.identity").stat().st_mode & 0o777)
