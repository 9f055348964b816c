"""Tree: the files of the project, as a clone has them, and what Python says in them.

Shared by the laws. A selector that finds nothing raises: a law about nothing would always hold.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = frozenset(
    {
        *(
            ".git",
            ".venv",
            ".hypothesis",
            ".import_linter_cache",
            ".mypy_cache",
            ".pytest_cache",
            ".ruff_cache",
        ),
        *("__pycache__", "build", "dist", "out"),
    }
)
"""Folders whose content is made, and not part of the project."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def files() -> Sequence[Path]:
    """Return every file of the project, relative to its root."""
    found = sorted(path.relative_to(ROOT) for path in _walk(ROOT))
    if not found:
        raise FileNotFoundError(f"no file in {ROOT}")
    return tuple(found)


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in MADE and not path.name.endswith(".egg-info"):
            yield from _walk(path)
        elif path.is_file() and path.name not in MADE:
            yield path


def select(*globs: str) -> Sequence[Path]:
    """Return the files that one of the patterns matches, `*` at any depth; raises when there are none."""
    found = tuple(path for path in files() if any(fnmatchcase(path.as_posix(), glob) for glob in globs))
    if not found:
        raise FileNotFoundError(f"no file matches {', '.join(globs)}")
    return found


def text(path: Path) -> str | None:
    """Return the text of a file of the project, or None when it holds bytes that are no text."""
    try:
        return (ROOT / path).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


@cache
def module(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file of the project."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a Python file, methods and inner ones included."""
    return (node for node in ast.walk(module(path)) if isinstance(node, Function))


def imports(path: Path) -> set[str]:
    """Return the absolute dotted names that a Python file imports, wherever in it."""
    package = path.with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(module(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            found.add(".".join([*base, *([node.module] if node.module else [])]))
    return found
