"""Reload: what SIGHUP changes in a relay that runs, what it does not, and what the log says of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
import structlog

from reference.commandline import CommandError
from reference.configuration import CommandLine, settle
from reference.core.addresses import parse_address
from reference.core.errors import CloseCode
from reference.core.phases import NEWEST
from reference.core.registration import Identity, Policy
from reference.core.sessions import Setting
from reference.logs import LogLevel
from reference.options import Options
from reference.probe import round_trips
from reference.reload import RELOADED, Reload, changes
from reference.switch import Switch
from tests.loopback.conftest import CREDENTIALS, LOOPBACK, Recorder, Waiting, opened, run

Line = dict[str, object]


class Company(Waiting):
    """A relay with a configuration in a file, and the lines of its log."""

    def __init__(self, place: Path) -> None:
        """Prepare a relay whose file says nothing yet."""
        super().__init__()
        self.place = place
        self.lines: list[Line] = []
        self.says("")
        line = CommandLine(config=place, max_calls=4, given=frozenset({"config", "max_calls"}))
        options = settle(line)
        logger = structlog.wrap_logger(None, [self._note], structlog.stdlib.BoundLogger)
        setting = Setting(Identity.from_seed(bytes(32)), "", options.registration, options.limits())
        self.switch = Switch(setting, NEWEST, logger)
        self.reload = Reload(line, options, self.switch)

    def says(self, text: str) -> None:
        """Write the file anew."""
        self.place.write_text(text, encoding="utf-8")

    def hears(self, text: str) -> list[Line]:
        """Write the file anew, reload, and return what the log says of it."""
        self.says(text)
        self.lines.clear()
        self.reload()
        return self.lines

    def _note(self, _logger: object, level: str, event: structlog.typing.EventDict) -> str:
        self.lines.append({"level": level, **event})
        self.changed()
        raise structlog.DropEvent


@contextlib.asynccontextmanager
async def company(place: Path) -> AsyncIterator[Company]:
    """Run such a relay."""
    made = Company(place)
    await made.switch.open(LOOPBACK, 0, CREDENTIALS, made.reload.options.endpoint_limits())
    try:
        yield made
    finally:
        await made.switch.shutdown()


def test_every_field_that_is_reloaded_is_an_option() -> None:
    """The fields that a reload applies are options, and those of sockets and files are not among them."""
    names = {one.name for one in fields(Options)}
    assert names > RELOADED
    assert set() == RELOADED & {"listen", "advertise", "identity_file", "phase", "idle_timeout", "metrics"}


def test_what_changes_is_applied_or_kept() -> None:
    """Two sets of options are told apart: what is applied, what is kept, what is in force then."""
    old = Options()
    new = replace(old, max_calls=3, registration=Policy.OPEN, listen="127.0.0.1:1", idle_timeout=40.0)
    found = changes(old, new)
    assert {"max_calls": (8, 3), "registration": (Policy.SIGNED, Policy.OPEN)} == found.applied
    assert {"listen": (old.listen, "127.0.0.1:1"), "idle_timeout": (30.0, 40.0)} == found.kept
    assert replace(old, max_calls=3, registration=Policy.OPEN) == found.options
    assert {} == changes(old, old).applied
    assert {} == changes(old, old).kept


def test_what_does_not_go_with_what_is_kept_is_refused() -> None:
    """A change that needs another change, which needs a restart, is refused as a whole."""
    wanted = Options(keep_alive=40.0, idle_timeout=60.0)
    with pytest.raises(CommandError, match=r"^--keep-alive 40 has .* --idle-timeout 30: .*restart"):
        changes(Options(), wanted)


def test_limits_are_reloaded(tmp_path: Path) -> None:
    """Limits of the machine and of the endpoint hold from the reload on, and each change is told."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            address = parse_address(it.switch.setting.relay_addr)
            assert 0 == await round_trips(address, "", 1)
            told = it.hears(
                "hello-timeout = 2\nmax-offers = 3\nmax-unread = 2\nregistration = 'open'\nphase = '1'\n"
            )
            assert [
                {
                    "level": "info",
                    "event": "reloaded",
                    "key": "registration",
                    "before": "signed",
                    "now": "open",
                },
                {"level": "info", "event": "reloaded", "key": "hello-timeout", "before": 5.0, "now": 2.0},
                {"level": "info", "event": "reloaded", "key": "max-offers", "before": 20, "now": 3},
                {"level": "info", "event": "reloaded", "key": "max-unread", "before": 64, "now": 2},
                {"level": "warning", "event": "needs a restart", "key": "phase", "now": "7", "wanted": "1"},
            ] == told
            core = it.switch.core
            assert {3} == {core.setting.limits.offers_burst, core.calls.setting.limits.offers_burst}
            assert 2.0 == core.setting.limits.hello_timeout
            assert {Policy.OPEN} == {core.setting.policy, core.calls.setting.policy, it.switch.setting.policy}
            assert 2 == it.switch.endpoint.limits.unsent
            assert it.switch.setting.relay_addr == core.setting.relay_addr
            assert 0 == await round_trips(address, "", 1)
            assert it.switch.setting.limits is core.setting.limits
            assert ["needs a restart"] == [line["event"] for line in it.hears(it.place.read_text())]

    run(test())


def test_a_relay_that_becomes_full(tmp_path: Path) -> None:
    """A smaller number of connections sends nobody away; who comes now finds no place."""

    async def test() -> None:
        heard = Recorder()
        async with company(tmp_path / "relay.toml") as it, opened(heard) as door:
            address = parse_address(it.switch.setting.relay_addr)
            first = door.dial(address, "_signal")
            await it.until(lambda: it.switch.core.sessions)
            it.hears("max-connections = 1\nmax-bad-messages = 5\n")
            (session,) = it.switch.core.sessions.values()
            assert 5 == session.limits.bad_messages
            second = door.dial(address, "_signal")
            await heard.times("lost")
            ended = [what[1:3] for what in heard.told if what[0] == "lost"]
            assert [(second, CloseCode.TOO_MANY_CONNECTIONS)] == ended
            assert first != second
            assert [session] == list(it.switch.core.sessions.values())

    run(test())


def test_relays_that_change_are_told_by_their_labels(tmp_path: Path) -> None:
    """A peer that is new is linked with from now on, and the log names it by its label."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            key = ":".join(["ab"] * 32)
            (told,) = it.hears(f"[[peers]]\naddress = '127.0.0.1:1'\nlabel = 'b'\nfingerprint = '{key}'")
            expected = {"event": "reloaded", "key": "peers", "before": [], "now": ["b"]}
            assert {"level": "info", **expected} == told
            assert 0.0 == it.switch.core.deadline()  # it is dialled next
            it.hears("")
            assert None is it.switch.core.deadline()

    run(test())


def test_a_relay_does_not_become_its_own_peer(tmp_path: Path) -> None:
    """A reload that names the relay's own fingerprint is refused as a whole, with line and key."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            own = it.switch.core.links.origin
            (told,) = it.hears(f"max-offers = 3\n[[trusted]]\nlabel = 'me'\nfingerprint = '{own}'")
            assert ("error", "nothing reloaded") == (told["level"], told["event"])
            assert f"line 2: trusted: {own} is this relay's own fingerprint" in str(told["why"])
            assert 20 == it.switch.core.setting.limits.offers_burst

    run(test())


def test_the_command_line_goes_on_winning(tmp_path: Path) -> None:
    """What the command line said stays, whatever the file says after a reload."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            assert ["nothing to reload"] == [line["event"] for line in it.hears("max-calls = 7\n")]
            assert 4 == it.switch.core.setting.limits.calls

    run(test())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("max-offers = 3\nmax-unread = 0\n", "line 2: max-unread: 0 is less than 1"),
        ("max-offers = 3\nidle-timeout = 60\nkeep-alive = 40\n", "line 3: keep-alive: 40 has to be"),
    ],
)
def test_a_file_that_cannot_be_followed_changes_nothing(tmp_path: Path, text: str, why: str) -> None:
    """One fault in the file and nothing of it is applied; the log says which."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            before = it.switch.setting, it.switch.endpoint.limits, it.reload.options
            (told,) = it.hears(text)
            assert ("error", "nothing reloaded") == (told["level"], told["event"])
            assert why in str(told["why"])
            assert before == (it.switch.setting, it.switch.endpoint.limits, it.reload.options)
            assert it.switch.core.setting is it.switch.setting

    run(test())


def test_the_level_of_the_log_is_reloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A relay that is told to say more does so at once, and less at once."""

    async def test() -> None:
        async with company(tmp_path / "relay.toml") as it:
            it.hears("log-level = 'error'")
            assert LogLevel.ERROR is it.reload.options.log_level
            it.switch.logger.warning("not said")
            it.reload.line = replace(it.reload.line, log_level=LogLevel.DEBUG)
            it.hears("log-level = 'debug'")
            it.switch.logger.debug("said")

    run(test())
    said = capsys.readouterr().err
    assert "not said" not in said
    assert "said" in said
    assert "log-level" in said
