"""Usage: one voice for what is wrong with a command line, whether we or the option parser found it.

The rules of this file: what typer and the validator behind it say becomes one lower-case sentence that names
the option, the value and the rule, `program: --option: value rule`, without a box, and exit status 2. Asking
for help, and a bare name of a group, print help as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

UNCOUNTABLE = "is no number to count with"
WRONG = 2
"""Exit status of a command line that cannot be followed."""
UsageError: type[BaseException] = typer.BadParameter.__mro__[1]
"""What everything is that the parser finds wrong; typer has no public name for it."""
PARSED = {"float_parsing": "is not a number", "int_parsing": "is not a whole number"}
HELP = "--help lists what there is"


class Command(TyperCommand):
    """A command that says in our voice what is wrong with its options."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - typer's own
        """Run it as a program, unless a caller wants the errors for itself."""
        return _plainly(self.name, super().main, *args, **extra)


class Group(TyperGroup):
    """A program of several commands that does the same."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - typer's own
        """Run it as a program, unless a caller wants the errors for itself."""
        return _plainly(self.name, super().main, *args, **extra)


def refusal(error: BaseException) -> str:
    """Return the sentence for an error of the parser, with the option or the argument in front."""
    parameter: Any = getattr(error, "param", None)
    option = "" if parameter is None else _name(parameter)
    message = str(getattr(error, "message", ""))
    if isinstance(error, typer.BadParameter) and message:
        return f"{option}: {rule(error)}" if option else _ours(message)
    if option:
        return f"{option} is missing: {parameter.help or HELP}"
    named, known = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if named and not isinstance(error, typer.BadParameter) and "value" not in message:
        near = f"did you mean {known[0]}?" if known else HELP
        return (
            f"{named} needs a value" if "requires" in message else f"{named}: there is no such option: {near}"
        )
    return f"{_ours(message)}: {HELP}"


def rule(error: typer.BadParameter) -> str:
    """Return what is wrong with the value of an option: the value, and the rule that it breaks."""
    told: Callable[[], list[dict[str, Any]]] = getattr(error.__cause__, "errors", list)
    found = next(iter(told()), {})
    value, kind, bounds = found.get("input"), found.get("type"), found.get("ctx", {})
    if kind in PARSED:
        return f"{value!r} {PARSED[kind]}"
    if not _countable(value) and {"ge", "le", "gt", "lt"} & set(bounds):
        return f"{value} {UNCOUNTABLE}"
    if "ge" in bounds:
        return f"{value} is less than {bounds['ge']:.12g}"
    if "le" in bounds:
        return f"{value} is more than {bounds['le']:.12g}"
    given, among, known = _ours(error.message.removeprefix("Value error, ")).partition(" is not one of ")
    return given + among + known.replace("'", "")


def _name(parameter: Any) -> str:  # noqa: ANN401 - typer's own
    """Return how an option or an argument is written."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))


def _countable(value: object) -> bool:
    try:
        return isfinite(float(str(value)))
    except ValueError:
        return False


def _ours(message: str) -> str:
    """Return a sentence of the parser in lower case and without its end."""
    return f"{message[:1].lower()}{message[1:]}".rstrip(".")


def _plainly(program: str | None, main: Callable[..., Any], *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - as above
    """Run a program and exit with its status; a bare name of a group gets its help."""
    if not extra.pop("standalone_mode", True):
        return main(*args, standalone_mode=False, **extra)
    try:
        status = main(*args, standalone_mode=False, **extra)
    except typer.Abort:
        status = 1
    except UsageError as error:
        status = WRONG
        context = getattr(error, "ctx", None)
        if context is not None and not str(error) and not hasattr(error, "param"):
            typer.echo(context.get_help())
        else:
            typer.echo(f"{program}: {refusal(error)}", err=True)
    raise SystemExit(status or 0)
