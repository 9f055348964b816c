"""Configuration: the file that `--config` names, in TOML, beside the command line, which wins over it.

The rules of this file: a key is the long name of an option, `[[peers]]` and `[[trusted]]` are tables; what
may stand there follows from `Options` and from what the command line accepts, and from no second list.
Whatever is wrong is a CommandError that names the file, the line and the key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from reference.commandline import OFF_THE_LINE, CommandError, OptionError, command
from reference.document import KINDS, Document, meant, written
from reference.options import Options
from reference.peers import TABLES, relays
from reference.places import line_of
from reference.usage import rule


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine(Options):
    """The command line of a relay; `given` has the fields that were written there."""

    config: Annotated[Path | None, typer.Option(metavar="FILE", help="file with these options")] = None
    check_config: Annotated[
        bool, typer.Option("--check-config", help="print what would be in force, and stop")
    ] = False
    given: frozenset[str] = field(default=frozenset(), metadata=OFF_THE_LINE)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says: the fields of Options that it fills in, and the line of each."""

    path: Path | None = None
    values: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def fault(self, name: str, why: str) -> CommandError:
        """Return the error that blames the key `name` of this file."""
        return CommandError(f"{self.path} line {self.lines[name]}: {name}: {why}")


def settle(line: CommandLine) -> Options:
    """Return the options that are in force: the command line's, then the file's, then the defaults.

    Raises CommandError when they cannot be followed, alone or together.
    """
    file = Configuration() if line.config is None else read(line.config)
    names = {one.name for one in fields(Options)}
    written = {name: getattr(line, name) for name in sorted(line.given & names)}
    options = Options(**{**file.values, **written})
    with blaming(line):
        options.check()
    return options


@contextmanager
def blaming(line: CommandLine) -> Iterator[None]:
    """Let an OptionError name file, line and key when the option that it is about stands in the file."""
    try:
        yield
    except OptionError as error:
        if line.config is None:
            raise
        file = read(line.config)
        blamed = [key for key in error.names if key in file.lines and keys().get(key) not in line.given]
        if not blamed:
            raise
        why = str(error).removeprefix("--").removeprefix(blamed[0]).removeprefix(":").lstrip()
        raise file.fault(blamed[0], why) from error


def read(path: Path) -> Configuration:
    """Return what a file says; raises CommandError."""
    text = Document(path)
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    for key, value in text.said.items():
        if key in TABLES:
            values[key] = relays(text, key, value)
        elif key in keys():
            values[keys()[key]] = _one(text, key, value)
        else:
            raise text.fault(f"there is no such option{meant(key, [*keys(), *TABLES])}", key)
        lines[key] = line_of(text.places, (key,))
    return Configuration(path, values, lines)


@cache
def keys() -> Mapping[str, str]:
    """Return the keys of a file in their order, each with the field of Options that it fills in."""
    names = {one.name for one in fields(Options)}
    options = _parser()[0].params
    return {max(one.opts, key=len).removeprefix("--"): one.name for one in options if one.name in names}


def key_of(name: str) -> str:
    """Return the key of a field of Options."""
    return next((key for key, field_of_key in keys().items() if field_of_key == name), name)


def bounds(key: str) -> tuple[float | None, float | None]:
    """Return the smallest and the largest number that an option may be, None where there is no bound."""
    hint = get_type_hints(Options, include_extras=True)[keys()[key]]
    told = next(iter(getattr(hint, "__metadata__", ())), None)
    return getattr(told, "min", None), getattr(told, "max", None)


def kind_of(key: str) -> type:
    """Return the type of the option that a key names."""
    kind = get_type_hints(Options)[keys()[key]]
    if not isinstance(kind, type) or not issubclass(kind, (*KINDS, Path)):
        raise TypeError(f"{key} is a {kind}, and no value of a file can be one")
    return kind


def as_toml(options: Options) -> str:
    """Return options as a file that says the same; each is written, also the defaults."""
    flat = [f"{key} = {written(getattr(options, keys()[key]))}" for key in keys()]
    tables = [
        [f"\n[[{name}]]", *(f"{key} = {written(getattr(relay, key))}" for key in wanted)]
        for name, wanted in TABLES.items()
        for relay in getattr(options, name)
    ]
    return "\n".join([*flat, *(line for table in tables for line in table)])


@cache
def _parser() -> tuple[Any, list[Options]]:
    """Return a command line that only puts the options that it understood into the list beside it."""
    taken: list[Options] = []

    def take(options: Options) -> None:
        """Take them."""
        taken[:] = [options]

    app = typer.Typer(add_completion=False)
    command(app, "relay", Options, take)
    return typer.main.get_command(app), taken


def _one(text: Document, key: str, value: object) -> object:
    """Return the value of an option, as the command line understands it."""
    kind = kind_of(key)
    plain = next(one for one in (*KINDS, Path) if issubclass(kind, one))
    value = text.typed(value, str if plain is Path else plain, key)
    if kind is bool:
        return value
    parser, taken = _parser()
    try:
        parser.main([f"--{key}={value}"], standalone_mode=False)
    except typer.BadParameter as error:
        raise text.fault(rule(error), key) from error
    return getattr(taken[0], keys()[key])
