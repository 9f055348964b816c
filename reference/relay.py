"""The relay: `python -m reference.relay`.

Prints one JSON line on standard output when it is ready, logs to standard error, and stops on SIGTERM and
ctrl-C: with `--drain` live calls have that long to end, and a second signal stops it at once; every client
is told, every call ends with a reason, and the exit status is 0. It is 2 when the command line or the
configuration cannot be followed: an option, the identity file, an address that cannot be had. SIGHUP reads
the configuration again. A signal that comes while it starts is taken when it has started.
"""

from __future__ import annotations

if __name__ == "__main__":  # what follows takes its time, and a signal that comes meanwhile is to wait
    from reference import signals

    signals.hold()

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import typer

from reference import identity, logs, memory, signals
from reference.authentication import Service
from reference.commandline import OptionError, address, build, command, phase_of
from reference.configuration import CommandLine, as_toml, blaming, settle
from reference.core.addresses import format_address
from reference.core.registration import Identity
from reference.core.sessions import Setting, Trust
from reference.endpoint import Credentials
from reference.health import Door, Health, Pulse
from reference.options import Options
from reference.reload import Reload
from reference.switch import Switch

LOGGED = ("addr", "tls_fingerprint", "phase")
"""What the log repeats of the ready line: what a person looks for."""


def serve(line: CommandLine) -> None:
    """Run a DirectCall relay until it is told to stop."""
    options = settle(line)
    with blaming(line):
        _serve(line, options)


def _serve(line: CommandLine, options: Options) -> None:
    who = _identity(options.identity_file, create=not line.check_config)
    if who is None:
        print(as_toml(options))  # noqa: T201 - what was asked for
        return
    setting = Setting(
        who,
        options.reachable(),
        options.registration,
        options.limits(),
        build(),
        authenticate=bool(options.auth_url),
        peers=options.links(),
        trust=options.federation,
    )
    logger = logs.configure(options.log_level, options.log_format)
    if setting.trust is Trust.OPEN:
        logger.warning("federation.open", why="relays are let in that prove nothing of themselves")
    switch = Switch(setting, phase_of(options.phase), logger)
    asyncio.run(_run(Reload(line, options, switch)))


def _identity(path: Path, *, create: bool) -> Identity | None:
    """Return the identity of a file, or None where it is only checked."""
    try:
        if create:
            return identity.load_or_create(path)
        identity.check(path)
    except identity.IdentityFileError as error:
        raise OptionError(f"{error}; choose another with --identity FILE", "identity") from error
    return None


async def _run(reload: Reload) -> None:
    """Run until a signal comes, then tell everybody and stop."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals.on_signals(loop, stop)
    switch, options = reload.switch, reload.options
    listen, limits = address("--listen", options.listen), options.endpoint_limits()
    credentials = Credentials.from_private_seed(switch.setting.identity.tls_private_seed())
    options.foreign(credentials.fingerprint)
    async with AsyncExitStack() as behind:
        health, served = _watched(switch, options.metrics, behind)
        _authenticated(switch, options, behind)
        try:
            await switch.open(*listen, credentials, limits)
        except OSError as error:
            raise _unavailable("--listen", listen, error) from error
        behind.callback(lambda: switch.logger.info("stopped", **switch.metrics.totals()))
        behind.push_async_callback(switch.shutdown)
        signals.on_reload(loop, reload)
        ready = switch.ready(credentials.fingerprint, limits) | served
        health.unready = ""
        memory.settle()
        print(json.dumps({"ready": ready}), flush=True)  # noqa: T201 - the one line for whoever started us
        switch.logger.info("ready", **{name: ready[name] for name in LOGGED})
        await stop.wait()
        health.unready = "draining"
        if switch.setting.limits.drain:
            stop.clear()  # a second signal ends the waiting
            switch.drain(stop.set)
            await stop.wait()


def _watched(switch: Switch, served: str, behind: AsyncExitStack) -> tuple[Health, dict[str, object]]:
    """Open the door for whoever watches, if there is to be one; return what the ready line says of it."""
    pulse = Pulse(switch.metrics.lag)
    health = Health(switch.metrics.registry, lambda: pulse.age)
    if not served:
        return health, {}
    where = address("--metrics", served)
    try:
        door = Door(where, health)
    except OSError as error:
        raise _unavailable("--metrics", where, error) from error
    behind.callback(door.close)
    pulse.start()
    behind.callback(pulse.stop)
    return health, {"metrics": format_address(*door.address)}


def _authenticated(switch: Switch, options: Options, behind: AsyncExitStack) -> None:
    """Let tokens be judged by the service that the options name, if they name one."""
    if options.auth_url:
        service = Service(options.auth_url, options.auth_timeout, switch.metrics, switch.logger)
        switch.validate, service.tell = service.ask, switch.validated
        behind.callback(service.close)


def _unavailable(option: str, where: tuple[str, int], error: OSError) -> OptionError:
    reason = (error.strerror or str(error)).lower()
    why = f"cannot listen on {format_address(*where)}: {reason}; choose another with {option} IP:PORT"
    return OptionError(why, option.removeprefix("--"))


app = typer.Typer(add_completion=False)
command(app, "relay", CommandLine, serve)


if __name__ == "__main__":
    app()
