"""The relay: `python -m reference.relay`.

Prints one JSON line on standard output when it is ready, logs to standard error, and stops on SIGTERM and
ctrl-C: every client is told, every call ends with a reason, and the exit status is 0. It is 2 when the
command line or the configuration cannot be followed: an option, the identity file, an address that cannot
be had. SIGHUP reads the configuration again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import typer

from reference import identity, logs
from reference.commandline import (
    OptionError,
    address,
    build,
    command,
    on_reload,
    on_signals,
    phase_of,
)
from reference.configuration import CommandLine, as_toml, blaming, settle
from reference.core.addresses import format_address
from reference.core.registration import Identity
from reference.core.sessions import Setting
from reference.endpoint import Credentials
from reference.options import Options
from reference.reload import Reload
from reference.switch import Switch


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
    setting = Setting(who, options.reachable(), options.registration, options.limits(), build())
    logger = logs.configure(options.log_level, options.log_format)
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
    stop = asyncio.Event()
    on_signals(stop)
    switch, options = reload.switch, reload.options
    listen, limits = address("--listen", options.listen), options.endpoint_limits()
    credentials = Credentials.from_private_seed(switch.setting.identity.tls_private_seed())
    try:
        await switch.open(*listen, credentials, limits)
    except OSError as error:
        raise _unavailable("--listen", listen, error) from error
    on_reload(reload)
    with ExitStack() as behind:
        behind.callback(lambda: switch.logger.info("stopped", **switch.metrics.totals()))
        ready = switch.ready(credentials.fingerprint, limits)
        try:
            if options.metrics:
                served, stop_metrics = _serve_metrics(switch, address("--metrics", options.metrics))
                behind.callback(stop_metrics)
                ready["metrics"] = format_address(*served)
            print(json.dumps({"ready": ready}), flush=True)  # noqa: T201 - the one line for whoever started us
            switch.logger.info("ready", **ready)
            await stop.wait()
        finally:
            await switch.shutdown()


def _serve_metrics(switch: Switch, where: tuple[str, int]) -> tuple[tuple[str, int], Callable[[], None]]:
    try:
        return switch.metrics.serve(*where)
    except OSError as error:
        raise _unavailable("--metrics", where, error) from error


def _unavailable(option: str, where: tuple[str, int], error: OSError) -> OptionError:
    reason = (error.strerror or str(error)).lower()
    why = f"cannot listen on {format_address(*where)}: {reason}; choose another with {option} IP:PORT"
    return OptionError(why, option.removeprefix("--"))


app = typer.Typer(add_completion=False)
command(app, "relay", CommandLine, serve)


if __name__ == "__main__":
    app()
