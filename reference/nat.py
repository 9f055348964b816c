"""The command `nat` (spec/reflection.md, NAT classification): what a survey of relays says about calling."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reference.commandline import CommandError, relay_of
from reference.core.reflection import MEANING, Verdict, classify
from reference.program import STATUS
from reference.survey import FOUR, SIX, Probe, ask

RELAYS = 16
"""The most relays that are asked at once."""

PATIENCE = 1.5
"""Seconds to wait for each relay, unless the user says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NatOptions:
    """The options of `nat`."""

    relay: Annotated[list[str], typer.Option("--relay", help="ip:port of a relay; name two or more")]
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds to wait for each relay")] = PATIENCE
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False


def conclude(probes: Sequence[Probe]) -> tuple[int, Verdict, str | None]:
    """Return the verdict on the probes of one IP version, that with more answers, and the address agreed on.

    Two sockets have two mappings, so what one saw says nothing about the other (REFL-10).
    """
    seen = {version: [it.observed for it in probes if it.version == version] for version in (FOUR, SIX)}
    version = max(seen, key=lambda it: (sum(text is not None for text in seen[it]), -it))
    return version, *classify(seen[version])


def nat(options: NatOptions) -> None:
    """Ask several relays what they see, and say what the NAT in between does."""
    relays = list(dict.fromkeys(map(relay_of, options.relay)))
    if len(relays) > RELAYS:
        raise CommandError(f"--relay: {len(relays)} relays are more than the {RELAYS} that are asked at once")
    probes = asyncio.run(ask(relays, options.timeout))
    (show_json if options.as_json else show)(probes)
    raise typer.Exit(0 if any(probe.observed for probe in probes) else STATUS["unreachable"])


def show_json(probes: Sequence[Probe]) -> None:
    """Print one JSON object: the probes in the order of the command line, and the verdict."""
    _, verdict, agreed = conclude(probes)
    told = [
        {
            "relay_addr": probe.relay,
            "observed_addr": probe.observed,
            "latency_ms": probe.latency,
            "error": probe.error,
        }
        for probe in probes
    ]
    print(json.dumps({"probes": told, "nat_type": verdict, "consensus_addr": agreed}))  # noqa: T201 - the answer


def show(probes: Sequence[Probe]) -> None:
    """Print a table of the probes, the verdict, and what it means for calling."""
    version, verdict, agreed = conclude(probes)
    table = Table("relay", "sees us at", "latency")
    for probe in probes:
        latency = "" if probe.latency is None else f"{probe.latency} ms"
        table.add_row(probe.relay, probe.observed or f"– {probe.error}", latency)
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    console.print(table)
    if len({probe.version for probe in probes}) > 1:
        console.print(f"IPv4 and IPv6 relays were asked from a socket each; what follows is of IPv{version}.")
    console.print(f"{verdict}{'' if agreed is None else f' ({agreed})'}: {MEANING[verdict]}", soft_wrap=True)
