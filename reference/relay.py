"""The relay: `python -m reference.relay`.

Prints one JSON line on standard output when it is ready, logs to standard error, and stops on SIGTERM and
ctrl-C: with `--drain` live calls have that long to end, and a second signal stops it at once; every client
is told, every call ends with a reason, and the exit status is 0. It is 2 when the command line cannot be
followed: an option, the identity file, an address that cannot be had.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import typer

from reference import identity, logs
from reference.commandline import CommandError, address, build, command, on_signals, phase_of
from reference.core.addresses import format_address
from reference.core.sessions import Setting
from reference.endpoint import Credentials, EndpointLimits
from reference.health import Door, Health, Pulse
from reference.options import Options
from reference.switch import Switch


def serve(options: Options) -> None:
    """Run a DirectCall relay until it is told to stop."""
    listen = address("--listen", options.listen)
    metrics = address("--metrics", options.metrics) if options.metrics else None
    reachable, phase = options.reachable(), phase_of(options.phase)
    limits = options.endpoint_limits()
    try:
        who = identity.load_or_create(options.identity_file)
    except identity.IdentityFileError as error:
        raise CommandError(f"{error}; choose another with --identity FILE") from error
    setting = Setting(who, reachable, options.registration, options.limits(), build())
    logger = logs.configure(options.log_level, options.log_format)
    asyncio.run(_run(Switch(setting, phase, logger), listen, limits, metrics))


async def _run(
    switch: Switch, listen: tuple[str, int], limits: EndpointLimits, metrics: tuple[str, int] | None
) -> None:
    """Run until a signal comes, then tell everybody and stop."""
    stop = asyncio.Event()
    on_signals(stop)
    credentials = Credentials.from_private_seed(switch.setting.identity.tls_private_seed())
    async with AsyncExitStack() as behind:
        health, served = _watched(switch, metrics, behind)
        try:
            await switch.open(*listen, credentials, limits)
        except OSError as error:
            raise _unavailable("--listen", listen, error) from error
        behind.callback(lambda: switch.logger.info("stopped", **switch.metrics.totals()))
        behind.push_async_callback(switch.shutdown)
        ready = switch.ready(credentials.fingerprint, limits) | served
        health.unready = ""
        print(json.dumps({"ready": ready}), flush=True)  # noqa: T201 - the one line for whoever started us
        switch.logger.info("ready", **ready)
        await stop.wait()
        health.unready = "draining"
        if switch.setting.limits.drain:
            stop.clear()  # a second signal ends the waiting
            switch.drain(stop.set)
            await stop.wait()


def _watched(
    switch: Switch, where: tuple[str, int] | None, behind: AsyncExitStack
) -> tuple[Health, dict[str, object]]:
    """Open the door for whoever watches, if there is to be one; return what the ready line says of it."""
    pulse = Pulse(switch.metrics.lag)
    health = Health(switch.metrics.registry, lambda: pulse.age)
    if where is None:
        return health, {}
    try:
        door = Door(where, health)
    except OSError as error:
        raise _unavailable("--metrics", where, error) from error
    behind.callback(door.close)
    pulse.start()
    behind.callback(pulse.stop)
    return health, {"metrics": format_address(*door.address)}


def _unavailable(option: str, where: tuple[str, int], error: OSError) -> CommandError:
    why = (error.strerror or str(error)).lower()
    return CommandError(
        f"cannot listen on {format_address(*where)}: {why}; choose another with {option} IP:PORT"
    )


app = typer.Typer(add_completion=False)
command(app, "relay", Options, serve)


if __name__ == "__main__":
    app()
