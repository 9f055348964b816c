"""What is in deploy/: unit, container file and configuration agree with the relay, and are strict."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from reference.configuration import CommandLine, keys, settle
from reference.core.addresses import parse_address
from reference.options import Options
from tools import tree

DEPLOY = tree.ROOT / "deploy"
UNIT = DEPLOY / "directcall-relay.service"
CONFIGURATION = DEPLOY / "relay.toml"
INSTALLED = "/usr/local/directcall/bin/python"
CONFIGURED = "/etc/directcall/relay.toml"
ANALYZE = shutil.which("systemd-analyze")
EXPOSED = 15
"""Tenths of the exposure that `systemd-analyze security` may find; it calls 20 and less good."""


def unit() -> ConfigParser:
    """Read the unit; of a setting that is written several times the last one counts here."""
    read = ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(UNIT.read_text(encoding="utf-8"))
    return read


def instructions() -> list[tuple[str, str]]:
    """Read the container file: each instruction and what follows it, on one line."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", kept).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]


def of(instruction: str) -> list[str]:
    """Return what follows each instruction of a kind."""
    found = [words for name, words in instructions() if name == instruction]
    assert found, f"the container file has no {instruction}"
    return found


def in_force() -> Options:
    """Return the options of the configuration in deploy/, with the address that it leaves to its owner."""
    given = frozenset({"config", "advertise"})
    return settle(CommandLine(config=CONFIGURATION, advertise="192.0.2.2:4433", given=given))


def test_the_configuration_can_be_followed() -> None:
    """The configuration lacks nothing but the own address, and every key in a comment of it is a key."""
    assert in_force().metrics
    commented = re.findall(r"^# ([a-z-]+) =", CONFIGURATION.read_text(encoding="utf-8"), re.MULTILINE)
    assert commented
    assert set() == set(commented) - {*keys(), "address", "fingerprint", "label"}


def test_the_unit_starts_a_relay() -> None:
    """The unit checks the configuration, starts with it, reloads with SIGHUP and stops with SIGTERM."""
    service = unit()["Service"]
    assert f"{INSTALLED} -m reference.relay --config {CONFIGURED}" == service["ExecStart"]
    assert f"{service['ExecStart']} --check-config" == service["ExecStartPre"]
    assert ("/bin/kill -HUP $MAINPID", "SIGTERM") == (service["ExecReload"], service["KillSignal"])
    assert "2" == service["RestartPreventExitStatus"]


def test_the_unit_gives_time_to_drain() -> None:
    """Whoever stops the unit waits longer than live calls are given by default to end."""
    assert float(unit()["Service"]["TimeoutStopSec"]) > getattr(Options(), "drain", 0.0) + 10


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DynamicUser", "yes"),
        ("StateDirectory", "directcall"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_INET AF_INET6"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallFilter", "~@privileged @resources"),
    ],
)
def test_the_unit_is_strict(setting: str, value: str) -> None:
    """The settings that keep a relay from everything but its sockets and its state are there."""
    assert value == unit()["Service"][setting]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not there to judge the unit")
@pytest.mark.parametrize(
    "judged", [("verify",), ("security", "--offline=true", f"--threshold={EXPOSED}", "--no-pager")]
)
def test_systemd_takes_the_unit(judged: tuple[str, ...], tmp_path: Path) -> None:
    """Systemd finds no fault in the unit, and little that a relay could reach."""
    here = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace(INSTALLED, sys.executable)
    here.write_text(text, encoding="utf-8")
    command = [str(ANALYZE), *judged, str(here)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603 - our own
    assert (0, "") == (done.returncode, done.stderr)


def test_the_container_is_built_from_what_is_there() -> None:
    """Each file that the image is made of is in the tree, and what is fetched is checked by its hash."""
    sources = [word for words in of("COPY") for word in words.split()[:-1] if "--from" not in words]
    assert {"requirements/container.txt", "reference", "schemas"} <= set(sources)
    assert [] == [source for source in sources if not (tree.ROOT / source).exists()]
    fetching = [part for words in of("RUN") for part in words.split("&&") if " pip " in part]
    assert fetching
    assert [] == [part for part in fetching if not re.search("--require-hashes|--no-index|uninstall", part)]


def test_the_container_runs_as_nobody() -> None:
    """The last user of the image is a number other than 0, and it owns the one place that is written."""
    *_, user = of("USER")
    number = int(user.split(":")[0])
    assert number > 0
    (state,) = of("VOLUME")
    assert any(f"-o {number} " in words and words.endswith(state) for words in of("RUN"))
    assert [state] == [place for place in of("WORKDIR") if place != "/build"]


def test_the_container_agrees_with_its_configuration() -> None:
    """Port, health check, program and configuration of the image are those of the files beside it."""
    options = in_force()
    assert [f"{parse_address(options.listen)[1]}/udp"] == of("EXPOSE")
    assert f"//{options.metrics}/healthz" in of("HEALTHCHECK")[0]
    assert [INSTALLED, "-m", "reference.relay"] == json.loads(of("ENTRYPOINT")[0])
    assert ["--config", CONFIGURED] == json.loads(of("CMD")[0])
    assert any(shlex.split(words) == ["deploy/relay.toml", CONFIGURED] for words in of("COPY"))
