"""Evidence: what a check that failed had expected, what it had received, and the step that shows it.

A Deviation brings its evidence. A plain `assert` of a check has it in its expression: it is read from the
source and the variables of the check, as pytest explains an assert. What cannot be read is left out; no
verdict depends on it.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

from conformance.dialogue import Dialogue, datagram, shorten, words
from conformance.puppet import Heard
from conformance.verdicts import Deviation, Evidence, Untestable

REFUSED = "refused by the emit view"
"""The member of a step that says which message was none."""
_SAID = 4
"""Values of a list that are told."""
_PLAIN: dict[str, Callable[[Any], Any]] = {"sorted": sorted, "len": len, "set": set, "list": list}
_UNREADABLE = (LookupError, AttributeError, TypeError, ValueError, RuntimeError)
_LITERAL = (ast.Constant, ast.List)


class _Asserted(NamedTuple):
    """The condition of an assert, and what the variables in it were made from."""

    condition: ast.expr
    sources: Sequence[ast.expr]


def conclude(error: BaseException | None, dialogue: Dialogue) -> tuple[Evidence, int | None]:
    """Return the evidence of an error, and the place of the step that shows it, None when no single one does.

    What never came is noted in the dialogue as missing, at its end.
    """
    evidence, place = Evidence(), None
    if isinstance(error, Deviation | Untestable):
        evidence = error.evidence
    elif isinstance(error, AssertionError) and error.__traceback__ is not None:
        evidence, place = _explain(error, dialogue)
    if evidence.missing is not None:
        dialogue.note(evidence.who, "<-", evidence.missing, missing=True)
        place = len(dialogue.steps()) - 1
    elif evidence.seen is not None:
        found = dialogue.find(evidence.seen, evidence.who)
        place = place if found is None else found
    return evidence, place


def _explain(error: BaseException, dialogue: Dialogue) -> tuple[Evidence, int | None]:
    """Return the evidence in an assert, and the one step that its condition is about."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    asserted = _asserts(trace.tb_frame.f_code.co_filename).get(trace.tb_lineno) if trace else None
    if trace is None or asserted is None:
        return Evidence(), None
    places = {*_places(asserted.sources, trace.tb_frame, dialogue)}
    return _read(asserted.condition, trace.tb_frame), places.pop() if len(places) == 1 else None


@cache
def _asserts(filename: str) -> dict[int, _Asserted]:
    """Return the asserts of a file, by each of their lines."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return {}
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {
        line: _Asserted(node.test, [node.test, *_made_from(node.test, function)])
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Assert)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _made_from(condition: ast.expr, function: ast.AST) -> Iterator[ast.expr]:
    """Yield what is assigned in a function to a variable of the condition."""
    wanted = {one.id for one in ast.walk(condition) if isinstance(one, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            names = {
                one.id for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name)
            }
            if names & wanted:
                yield node.value


def _places(sources: Sequence[ast.expr], frame: FrameType, dialogue: Dialogue) -> Iterator[int]:
    """Yield the places of the messages and datagrams received that the expressions name."""
    for node in (one for source in sources for one in ast.walk(source)):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        try:
            value = _value(node, frame)
        except _UNREADABLE:
            continue
        body = value.body if isinstance(value, Heard) else value
        place = dialogue.find(datagram(body)) if isinstance(body, bytes) else dialogue.holding(body)
        if place is not None:
            yield place


def _read(condition: ast.expr, frame: FrameType) -> Evidence:
    """Return what `A == B` and `not A` tell."""
    try:
        match condition:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                if isinstance(right, _LITERAL) and not isinstance(left, _LITERAL):
                    left, right = right, left
                return Evidence("", _say(_value(left, frame)), _say(_value(right, frame)))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _denied(_value(operand, frame))
    except _UNREADABLE:
        pass
    return Evidence()


def _denied(value: object) -> Evidence:
    """Return the evidence of something that should have been nothing."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, Heard):
        return Evidence("", f"no {first.name}", _say(value), seen={first.name: first.body})
    if isinstance(first, bool):
        return Evidence()
    return Evidence("", "nothing", _say(value), seen={REFUSED: first} if isinstance(first, str) else None)


def _value(node: ast.expr, frame: FrameType) -> Any:  # noqa: ANN401 - any value
    """Return the value of an expression that changes nothing; raises LookupError for any other one."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return frame.f_locals[name] if name in frame.f_locals else frame.f_globals[name]
        case ast.List(elts=elements):
            return [_value(one, frame) for one in elements]
        case ast.Attribute(value=owner, attr=name):
            return getattr(_value(owner, frame), name)
        case ast.Call(func=ast.Attribute(value=owner, attr="heard"), args=given, keywords=named):
            members = {one.arg: _value(one.value, frame) for one in named if one.arg}
            return _value(owner, frame).heard(*(_value(one, frame) for one in given), **members)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            return _PLAIN[name](_value(argument, frame))
    message = f"{ast.unparse(node)} is not read"
    raise LookupError(message)


def _say(value: object) -> str:
    """Return a value in words."""
    if isinstance(value, list | tuple | set | dict) and not value:
        return "nothing"
    if isinstance(value, list) and all(isinstance(one, Heard | str) for one in value):
        told = [*map(str, value[:_SAID])] + ([f"{len(value) - _SAID} more"] if len(value) > _SAID else [])
        return words((", " if all(" " not in one for one in told) else "; ").join(told))
    return words(str(value) if isinstance(value, Heard | str) else repr(shorten(value)))
