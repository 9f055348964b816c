"""Command lines: what the relay's and the client's have in common, between typer and their work.

The rules of this file:

- The options of a command are the fields of a frozen dataclass; a command is such a class and what is done
  with it.
- What is wrong with an option is a CommandError: one sentence on standard error, then its exit status.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any, TypeVar, get_type_hints

import typer

from reference.core.addresses import format_address, parse_address, undialable
from reference.core.errors import DirectCallError
from reference.core.phases import IMPLEMENTED, Phase
from reference.usage import UNCOUNTABLE, WRONG, Command

Options = TypeVar("Options")
WRITTEN = "write it as IP:PORT, IPv6 as [IP]:PORT; host names are not looked up"
"""How an address has to be written."""
HEX = frozenset("0123456789abcdef")
TLS_DIGITS = 64
GROUPS, GROUP = 8, 4
OFF_THE_LINE = {"off the line": True}
"""The metadata of a field that no option fills in."""


class CommandError(Exception):
    """A command cannot be done; the text says why and what to do, `status` is the exit status."""

    def __init__(self, why: str, status: int = WRONG) -> None:
        """Keep the status."""
        super().__init__(why)
        self.status = status


class OptionError(CommandError):
    """What `--option`s say cannot be followed; the text begins with one of them, `names` has them all."""

    def __init__(self, why: str, *names: str) -> None:
        """Keep the names, without dashes in front."""
        super().__init__(why)
        self.names = names


@contextmanager
def complaints(program: str) -> Iterator[None]:
    """Turn a CommandError into `program: why` on standard error and its exit status."""
    try:
        yield
    except CommandError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201 - before there is a display or a logger
        raise typer.Exit(error.status) from None


def command(
    app: typer.Typer, program: str, options: type[Options], act: Callable[[Options], None], name: str = ""
) -> None:
    """Add the command that fills in `options` and hands them to `act`, whose docstring is its help.

    A field with the metadata OFF_THE_LINE is no option; one that is called `given` gets their names.
    """
    off = off_the_line(options)
    hints = get_type_hints(options, include_extras=True) | {"context": typer.Context}
    there = [one for one in inspect.signature(options).parameters.values() if one.name not in off]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY)
    parameters = [one.replace(annotation=hints[one.name]) for one in (context, *there)]

    def run(context: typer.Context, **values: object) -> None:
        with complaints(program):
            for option, value in values.items():
                if isinstance(value, float) and not isfinite(value):
                    raise OptionError(f"--{option.replace('_', '-')}: {value} {UNCOUNTABLE}")
            given = {one for one in values if source_of(context, one) != "DEFAULT"}
            act(options(**values, **({"given": frozenset(given)} if "given" in off else {})))

    run.__doc__ = act.__doc__
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__dict__["__signature__"] = inspect.Signature(parameters, return_annotation=None)
    app.command(name or program, cls=Command)(run)


def off_the_line(options: type[Any]) -> set[str]:
    """Return the fields of a class of options that no option of the command line fills in."""
    return {one.name for one in fields(options) if one.metadata == OFF_THE_LINE}


def source_of(context: typer.Context, option: str) -> str:
    """Return where the value of an option comes from: DEFAULT, or the name of another place."""
    source = context.get_parameter_source(option)
    return "DEFAULT" if source is None else source.name


def address(option: str, text: str) -> tuple[str, int]:
    """Return host and port of an option's `ip:port`."""
    try:
        return parse_address(text)
    except ValueError as error:
        why = f"{option}: {error}: {WRITTEN}"
        raise OptionError(why, option.removeprefix("--")) from error


def phase_of(name: str) -> Phase:
    """Return the phase that `--phase` names, if there is an implementation of it."""
    try:
        phase = Phase.parse(name)
    except ValueError as error:
        raise OptionError(f"--phase: {error}", "phase") from error
    if phase not in IMPLEMENTED:
        there = ", ".join(map(str, IMPLEMENTED))
        raise OptionError(f"--phase {name} is not implemented yet: there is {there}", "phase")
    return phase


def relay_of(text: str) -> str:
    """Return the address of a relay in its one form."""
    reachable = format_address(*address("--relay", text))
    reason = undialable(reachable, loopback=True)
    if reason:
        raise CommandError(f"--relay {text}: no relay can be there: {reason}")
    return reachable


def fingerprint_of(text: str) -> str:
    """Return the fingerprint of a person, as it has to be written."""
    groups = text.split(":")
    if len(groups) != GROUPS or any(len(group) != GROUP or set(group) - HEX for group in groups):
        why = "it has eight groups of four lowercase hex digits, joined by ':'"
        raise CommandError(f"{text!r} is no fingerprint: {why}")
    return text


def fingerprint_of_relay(text: str) -> str:
    """Return the TLS fingerprint that `--relay-fingerprint` gives in its one form, or "" for none."""
    try:
        return tls_fingerprint(text) if text else ""
    except ValueError as error:
        raise CommandError(f"--relay-{error}") from error


def tls_fingerprint(text: str) -> str:
    """Return a TLS fingerprint in its one form; raises ValueError."""
    digits = text.replace(":", "").lower()
    if len(digits) != TLS_DIGITS or set(digits) - HEX:
        why = "it has 32 pairs of hex digits; the relay prints it when it is ready"
        raise ValueError(f"fingerprint: {text!r} is no TLS fingerprint: {why}")
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def finish(run: Coroutine[None, None, int]) -> None:
    """Run a program to its end and exit with its status."""
    try:
        status = asyncio.run(run)
    except DirectCallError as error:
        raise CommandError(str(error), 1) from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CommandError(f"cannot open a socket: {why}", 1) from error
    raise typer.Exit(status)


def build() -> str | None:
    """Return the version of the package, which peers are told, or None when it is not installed."""
    try:
        return version("directcall")
    except PackageNotFoundError:
        return None
