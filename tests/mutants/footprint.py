"""Footprint: which functions of the reference a check runs, and which of them a mutant replaces.

A check that runs none of the functions that a mutant replaces cannot tell it from the unbroken relay.

Rules of this file: a function goes by its place among all that the loaded modules of the reference
hold, the same in every process that has loaded the same; when in doubt a mutant changes everything: a
table, a limit, a class, a function of somebody else, one of another kind than before, or nothing that
could be found.
"""

from __future__ import annotations

import gc
import inspect
import json
import mmap
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import CellType, CodeType, FrameType, FunctionType, MappingProxyType, ModuleType
from typing import Any

from tests.mutants import RELAY_MUTANTS, Break

PACKAGE = "reference"
_LAZY = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_CONTAINERS = (list, tuple, set, frozenset, deque)
_NAMING = (PACKAGE, "tests.mutants")

Place = tuple[str, str]
"""An owner, which is a module or a class, and the name of one of its members."""
Shape = tuple[Any, ...]
"""What a value is, to be compared: equal before and after when nothing of it has changed."""


def ours(value: object) -> bool:
    """Tell whether a class or function is the reference's own."""
    return str(getattr(value, "__module__", "")).partition(".")[0] == PACKAGE


def codes(value: object) -> list[CodeType]:
    """Return the code behind a function of the reference, whatever it is wrapped in; else nothing."""
    match value:
        case staticmethod() | classmethod():
            return codes(value.__func__)
        case property():
            return [code for one in (value.fget, value.fset, value.fdel) for code in codes(one)]
        case cached_property():
            return codes(value.func)
        case FunctionType() if ours(value):
            return [value.__code__, *codes(getattr(value, "__wrapped__", None))]
        case _ if callable(value) and ours(value) and hasattr(value, "__wrapped__"):
            return codes(value.__wrapped__)  # a cache
    return []


def owners() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the name and the members of every module and class of the reference."""
    loaded = {name: one for name, one in sys.modules.items() if name.partition(".")[0] == PACKAGE}
    waiting: list[tuple[str, object]] = list(loaded.items())
    seen: set[int] = set()
    names: set[str] = set()
    while waiting:
        name, owner = waiting.pop()
        if id(owner) in seen:
            continue
        while name in names:
            name += "'"
        seen.add(id(owner))
        names.add(name)
        yield name, vars(owner)
        waiting += [
            (f"{member.__module__}:{member.__qualname__}", member)
            for member in vars(owner).values()
            if isinstance(member, type) and ours(member)
        ]


def functions(snapshot: Snapshot) -> list[CodeType]:
    """Return the code of every function of the reference, in an order that every process finds."""
    found = {id(code): code for place in sorted(snapshot.members) for code in codes(snapshot.members[place])}
    return list(found.values())


def record(path: Path) -> None:
    """From now on set the byte of every function that runs, in a file that somebody else reads and clears."""
    known = functions(Snapshot())  # kept, so that their ids are theirs alone
    numbers = {id(code): number for number, code in enumerate(known)}
    with path.open("r+b") as file:
        marks = mmap.mmap(file.fileno(), 0)
    if len(marks) != len(known):
        message = f"the map has {len(marks)} bytes for {len(known)} functions"
        raise ValueError(message)

    def called(frame: FrameType, event: str, argument: object, _kept: object = known) -> None:
        number = numbers.get(id(frame.f_code))
        if number is not None:
            marks[number] = 1

    threading.settrace(called)
    sys.settrace(called)


class Snapshot:
    """What the reference is at one moment."""

    def __init__(self) -> None:
        """Take it; everything that it looks at is kept alive, so that an id stays what it names."""
        self.members = {(owner, name): one for owner, members in owners() for name, one in members.items()}
        shaper = Shaper()
        self.shapes = {place: shaper.shape(value) for place, value in self.members.items()}


def touched(before: Snapshot, apply: Break) -> list[int] | None:
    """Break this process; return the numbers of the functions that are replaced, or None for everything."""
    numbers = {id(code): number for number, code in enumerate(functions(before))}
    others = _neighbours()
    apply()
    after, neighbours = Snapshot(), _neighbours()
    places = before.members.keys()
    if places != after.members.keys() or others.keys() != neighbours.keys():
        return None
    if any(neighbours[one] is not value for one, value in others.items()):
        return None
    found: set[int] = set()
    for place in places:
        if before.shapes[place] == after.shapes[place]:
            continue
        old, new = before.members[place], after.members[place]
        if not codes(old) or not alike(old, new) or any(id(code) not in numbers for code in codes(old)):
            return None
        found.update(numbers[id(code)] for code in codes(old))
    return sorted(found) or None


def alike(old: object, new: object) -> bool:
    """Tell whether one function does as another only when it is called: neither is lazier than the other."""
    if type(old) is not type(new) or old is new:
        return False
    before, after = ([code.co_flags & _LAZY for code in _plain(one)] for one in (old, new))
    return len(before) == 1 and before == after


def _plain(value: object) -> list[CodeType]:
    inner = value.__func__ if isinstance(value, staticmethod | classmethod) else value
    return [inner.__code__] if isinstance(inner, FunctionType) and not hasattr(inner, "__wrapped__") else []


def _neighbours() -> dict[tuple[int, str], object]:
    """Return the members of the modules and classes of others that the reference or a mutant can name."""
    namespaces = [vars(one) for name, one in list(sys.modules.items()) if name.startswith(_NAMING)]
    named = {id(value): value for members in namespaces for value in members.values()}
    return {
        (number, name): member
        for number, one in named.items()
        if isinstance(one, ModuleType | type) and not ours(one) and not _own(one)
        for name, member in vars(one).items()
    }


def _own(module: ModuleType | type) -> bool:
    return module.__name__.startswith(_NAMING)


class Shaper:
    """Says what a value is, down to what it holds; a leaf is itself and nothing else."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._known: dict[int, Shape] = {}

    def shape(self, value: object) -> Shape:
        """Return the shape of a value."""
        if id(value) not in self._known:
            self._known[id(value)] = (id(value),)  # what leads back to itself
            self._known[id(value)] = self._look(value)
        return self._known[id(value)]

    def _look(self, value: object) -> Shape:
        match value:
            case dict() | MappingProxyType():
                return ("{}", id(value), *((self.shape(k), self.shape(v)) for k, v in value.items()))
            case _ if isinstance(value, _CONTAINERS):
                return ("[]", id(value), *map(self.shape, value))
            case FunctionType():
                cells = [self._content(cell) for cell in value.__closure__ or ()]
                held = (value.__defaults__, value.__kwdefaults__, vars(value))
                return ("()", id(value), id(value.__code__), *cells, *map(self.shape, held))
            case _ if ours(type(value)):
                names = {*getattr(value, "__dict__", ()), *(_slots(type(value)))}
                there = sorted(name for name in names if hasattr(value, name))
                return (".", id(value), *((name, self.shape(getattr(value, name))) for name in there))
        return (id(value),)

    def _content(self, cell: CellType) -> Shape:
        try:
            return self.shape(cell.cell_contents)
        except ValueError:  # nothing in it yet
            return ()


def _slots(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]


def in_a_fork(before: Snapshot, apply: Break) -> list[int] | None:
    """Return what a mutant touches, without breaking this process; everything where there is no fork."""
    if not hasattr(os, "fork"):
        return None
    coming, going = os.pipe()
    pid = os.fork()
    if pid == 0:
        gc.disable()  # it would look through, and so copy, what is shared
        try:
            os.write(going, json.dumps(touched(before, apply)).encode())
        finally:
            os._exit(0)
    os.close(going)
    with os.fdopen(coming, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    found: list[int] | None = json.loads(text)
    return found


def listing() -> dict[str, object]:
    """Return how many functions there are, and the numbers of those that each mutant replaces."""
    before = Snapshot()
    return {
        "functions": len(functions(before)),
        "touched": {one.id: in_a_fork(before, one.apply) for one in RELAY_MUTANTS.values()},
    }
