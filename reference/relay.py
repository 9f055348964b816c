"""The relay: `python -m reference.relay`.

Prints one JSON line on standard output when it is ready, logs to standard error, and stops on SIGTERM and
ctrl-C: every client is told, every call ends with a reason, and the exit status is 0.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from reference import identity, logs
from reference.core.addresses import format_address, parse_address
from reference.core.phases import IMPLEMENTED, NEWEST, Phase
from reference.core.registration import Policy
from reference.core.sessions import Limits, Setting
from reference.endpoint import Credentials, EndpointLimits
from reference.switch import Switch

UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - named to be refused as an address to reach
Seconds = Annotated[float, typer.Option(min=0.01, help="seconds")]
Number = Annotated[int, typer.Option(min=1)]


def main(  # noqa: PLR0917 - one parameter an option
    listen: Annotated[str, typer.Option(help="ip:port to listen on")] = "127.0.0.1:4433",
    advertise: Annotated[str, typer.Option(help="ip:port at which clients reach this relay")] = "",
    identity_file: Annotated[Path, typer.Option("--identity", help="seed file")] = Path("relay.identity"),
    registration: Policy = Policy.SIGNED,
    phase: Annotated[str, typer.Option(help="be a relay of this phase")] = NEWEST.value,
    ring_timeout: Seconds = 60.0,
    register_timeout: Seconds = 10.0,
    media_timeout: Seconds = 10.0,
    stream_timeout: Seconds = 10.0,
    keep_alive: Seconds = 5.0,
    idle_timeout: Seconds = 30.0,
    max_connections: Number = 10_000,
    max_half_open: Number = 256,
    max_calls: Annotated[int, typer.Option(min=1, help="live calls of one fingerprint")] = 8,
    max_offers: Annotated[int, typer.Option(min=1, help="offers of one connection at once")] = 20,
    offers_per_second: Annotated[float, typer.Option(min=0.01)] = 10.0,
    max_bad_messages: Annotated[int, typer.Option(min=1, help="a minute, on one connection")] = 60,
    max_unread: Annotated[int, typer.Option(min=1, help="messages waiting for one peer")] = 64,
    max_datagrams: Annotated[int, typer.Option(min=1, help="datagrams waiting for one peer")] = 16,
    metrics: Annotated[str, typer.Option(help="ip:port to serve metrics on; off by default")] = "",
    log_level: logs.LogLevel = logs.LogLevel.INFO,
    log_format: logs.LogFormat = logs.LogFormat.CONSOLE,
) -> None:
    """Run a DirectCall relay until it is told to stop."""
    limits = Limits(
        register_timeout=register_timeout,
        ring_timeout=ring_timeout,
        media_timeout=media_timeout,
        calls=max_calls,
        offers_burst=max_offers,
        offers_per_second=offers_per_second,
        bad_messages=max_bad_messages,
    )
    endpoint_limits = EndpointLimits(
        connections=max_connections,
        half_open=max_half_open,
        stream_timeout=stream_timeout,
        idle_timeout=idle_timeout,
        keep_alive=keep_alive,
        unsent=max_unread,
        datagrams=max_datagrams,
    )
    address = _address("--listen", listen)
    if not advertise and address[0] in UNSPECIFIED:
        _stop(f"--listen {listen} takes every address: say with --advertise IP:PORT which one clients reach")
    reachable = format_address(*_address("--advertise", advertise)) if advertise else ""
    served = _address("--metrics", metrics) if metrics else None
    chosen = _phase(phase)
    try:
        setting = Setting(identity.load_or_create(identity_file), reachable, registration, limits)
        logger = logs.configure(log_level, log_format)
        asyncio.run(_serve(Switch(setting, chosen, logger), address, endpoint_limits, served))
    except identity.IdentityFileError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"cannot listen on {listen}: {(error.strerror or str(error)).lower()}")


async def _serve(
    switch: Switch, address: tuple[str, int], limits: EndpointLimits, metrics: tuple[str, int] | None
) -> None:
    """Run until a signal comes, then tell everybody and stop."""
    stop = asyncio.Event()
    _on_signals(stop)
    credentials = Credentials.from_private_seed(switch.setting.identity.tls_private_seed())
    await switch.open(*address, credentials, limits)
    stop_metrics = switch.metrics.serve(*metrics) if metrics else None
    ready = switch.ready(credentials.fingerprint, limits)
    print(json.dumps({"ready": ready}), flush=True)  # noqa: T201 - the one line for whoever started us
    switch.logger.info("ready", **ready)
    try:
        await stop.wait()
    finally:
        await switch.shutdown()
        if stop_metrics:
            stop_metrics()
        switch.logger.info("stopped", **switch.metrics.totals())


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(name, stop.set)
        except NotImplementedError:  # Windows has no such handlers
            signal.signal(name, lambda *_: loop.call_soon_threadsafe(stop.set))


def _address(option: str, text: str) -> tuple[str, int]:
    try:
        return parse_address(text)
    except ValueError as error:
        _stop(f"{option}: {error}")


def _phase(name: str) -> Phase:
    try:
        phase = Phase.parse(name)
    except ValueError as error:
        _stop(f"--phase: {error}")
    if phase not in IMPLEMENTED:
        there = ", ".join(str(known) for known in IMPLEMENTED)
        _stop(f"--phase {name} is not implemented yet: there is {there}")
    return phase


def _stop(why: str) -> NoReturn:
    print(f"relay: {why}", file=sys.stderr)  # noqa: T201 - before there is a logger
    raise typer.Exit(2)


def run() -> None:
    """Run the command line of this module."""
    typer.run(main)


if __name__ == "__main__":
    run()
