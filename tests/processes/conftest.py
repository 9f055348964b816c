"""What the tests with real processes share: relays that are quick to notice a loss, and their tables."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from reference import identity
from reference.core.addresses import parse_address
from reference.probe import round_trips
from tools.demo import loopback
from tools.processes import GUARD, Process, Troupe

QUICK = ("--idle-timeout", 1.5, "--keep-alive", 0.3, "--metrics", "127.0.0.1:0")
"""A relay that notices within 1.5 s that somebody is gone, and tells what its tables hold."""
TONE = ("--send", "tone", "--interface", loopback())
"""A client that may advertise only the loopback interface advertises no host candidate."""
THROUGH_THE_RELAY = ("--path", "relay")
TRUSTED = (*TONE, "--answer", "trusted")


def named(cast: Troupe, *names: str) -> list[str]:
    """Make an identity for each name; return the fingerprints."""
    return [identity.create(cast.folder / f"{name}.identity").fingerprint for name in names]


def fresh(folder: Path, name: str) -> Path:
    """Make a folder for a scene."""
    made = folder / name
    made.mkdir()
    return made


def metrics(relay: Process) -> dict[str, float]:
    """Ask a relay that serves metrics for all of them, by name without prefix and label."""
    connection = HTTPConnection(*parse_address(relay.ready()["metrics"]), timeout=GUARD)
    with closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    told: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            plain = name.partition("{")[0].removeprefix("directcall_")
            told[plain] = told.get(plain, 0.0) + float(value)
    return told


def tables(relay: Process) -> dict[str, float]:
    """Ask a relay what its tables hold."""
    told = metrics(relay)
    return {name: told[name] for name in ("calls", "rooms", "registered", "connections", "timers")}


def forwarded(relay: Process) -> float:
    """Ask a relay how many datagrams it handed on."""
    return metrics(relay)["datagrams_forwarded_total"]


def becomes(relay: Process, wanted: dict[str, float]) -> dict[str, float]:
    """Return the tables of a relay once they are as wanted, or as they are at the end of our patience."""
    until = time.monotonic() + GUARD
    while (now := tables(relay)) != wanted and time.monotonic() < until:
        pinged(relay)  # one handshake between two looks
    return now


def pinged(relay: Process) -> int:
    """Complete a handshake with a relay; return the exit status of that."""
    return asyncio.run(round_trips(parse_address(relay.ready()["addr"]), "", 1))


def flows(relay: Process) -> bool:
    """Tell whether a relay forwards fifty more datagrams."""
    wanted, until = forwarded(relay) + 50, time.monotonic() + GUARD
    while (now := forwarded(relay)) < wanted and time.monotonic() < until:
        pinged(relay)  # one handshake between two looks
    return now >= wanted
