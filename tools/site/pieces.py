"""Pieces: what stands together in a Python file, found by a line of it.

A piece is a function, the head of a class (all in front of its first method), a constant with the text
beneath it, or the docstring of the module. Comments above belong to what follows.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from tools import tree

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
MODULE = "the whole module"
"""The name of a module's own docstring."""


class Piece(NamedTuple):
    """A piece: the path of its file from the root, its name in it, and its lines, first and last."""

    path: str
    name: str
    first: int
    last: int

    @property
    def anchor(self) -> str:
        """The name of its place in a page: one for each piece of the tree."""
        name = "module" if self.name == MODULE else self.name
        return f"{self.path.removesuffix('.py').replace('/', '-')}.{name}"

    @property
    def place(self) -> str:
        """Where it stands, as a reader finds it."""
        lines = f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"
        return f"{self.path}, {lines}"

    @property
    def source(self) -> str:
        """Its lines, moved to the margin."""
        lines = _lines(self.path)[self.first - 1 : self.last]
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        return "\n".join(line[margin:] for line in lines).rstrip()


def at(path: str, line: int) -> Piece:
    """Return the piece of a file in which a line stands; raises ValueError for a line of none."""
    for piece in pieces(path):
        if piece.first <= line <= piece.last:
            return piece
    raise ValueError(f"nothing stands in line {line} of {path}")


def used(piece: Piece) -> Iterator[Piece]:
    """Yield what a piece names of its own file and of those beside it, and what that names, each once."""
    seen, waiting = {(piece.path, piece.name)}, [piece]
    while waiting:
        path = waiting[0].path
        known = _borrowed(path) | _known(path)
        for found in [known[name] for name in _names(waiting.pop(0)) if name in known]:
            if (found.path, found.name) not in seen:
                seen.add((found.path, found.name))
                waiting.append(found)
                yield found


def whole(path: str, name: str) -> Piece:
    """Return a class or a function of a module's own level with all that is in it."""
    for node in tree.module(Path(path)).body:
        if isinstance(node, Definition) and node.name == name:
            return Piece(path, name, _first(node, path), node.end_lineno or node.lineno)
    raise ValueError(f"{path} defines no {name}")


@cache
def pieces(path: str) -> Sequence[Piece]:
    """Return every piece of a file, in order."""
    return tuple(_pieces(path, tree.module(Path(path)).body, ""))


@cache
def _known(path: str) -> dict[str, Piece]:
    """Return what a module defines, by name: constants, functions, and classes as wholes."""
    classes = [node.name for node in tree.module(Path(path)).body if isinstance(node, ast.ClassDef)]
    return {one.name: one for one in pieces(path)} | {name: whole(path, name) for name in classes}


@cache
def _borrowed(path: str) -> dict[str, Piece]:
    """Return what a module imports of the modules beside it in their folder, by the name that it has here."""
    imports = [node for node in tree.module(Path(path)).body if isinstance(node, ast.ImportFrom)]
    beside = {node: Path(f"{(node.module or '').replace('.', '/')}.py") for node in imports}
    return {
        alias.asname or alias.name: _known(place.as_posix())[alias.name]
        for node, place in beside.items()
        if place.parent == Path(path).parent and (tree.ROOT / place).is_file()
        for alias in node.names
        if alias.name in _known(place.as_posix())
    }


def _pieces(path: str, body: Sequence[ast.stmt], inside: str) -> Iterator[Piece]:
    """Yield the pieces of a module, or of a class but for its head."""
    for node, after in zip_longest(body, body[1:]):
        first, last = _first(node, path), node.end_lineno or node.lineno
        if isinstance(node, ast.ClassDef):
            methods = [one for one in node.body if isinstance(one, Definition)]
            last = _first(methods[0], path) - 1 if methods else last
            yield Piece(path, inside + node.name, first, last)
            yield from _pieces(path, methods, f"{inside}{node.name}.")
        elif isinstance(node, Definition):
            yield Piece(path, inside + node.name, first, last)
        elif name := _bound(node):
            if after is not None and _is_text(after):
                last = after.end_lineno or last
            yield Piece(path, inside + name, first, last)
        elif _is_text(node) and node is body[0] and not inside:
            yield Piece(path, MODULE, first, last)


def _first(node: ast.stmt, path: str) -> int:
    """Return the line where a statement begins, with its decorators and the comments above."""
    decorators = node.decorator_list if isinstance(node, Definition) else []
    first = min([node.lineno, *(one.lineno for one in decorators)])
    lines = _lines(path)
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first


def _bound(node: ast.stmt) -> str:
    """Return the name that an assignment gives something, or nothing."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    names = [one for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
    return names[0].id if names else ""


def _is_text(node: ast.stmt) -> bool:
    """Tell whether a statement is a text alone, as a docstring is."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _names(piece: Piece) -> list[str]:
    """Return the names that stand in a piece, in the order of the lines, each once."""
    return list(dict.fromkeys(name for line, name in _named(piece.path) if piece.first <= line <= piece.last))


@cache
def _named(path: str) -> Sequence[tuple[int, str]]:
    """Return the line and the name of every name in a file, in the order of the lines."""
    nodes = ast.walk(tree.module(Path(path)))
    return sorted((node.lineno, node.id) for node in nodes if isinstance(node, ast.Name))


@cache
def _lines(path: str) -> Sequence[str]:
    text = tree.text(Path(path))
    if text is None:
        raise ValueError(f"{path} is no text")
    return text.splitlines()
