"""Configuration of the builder: mkdocs.yml of the tree, with its folders and the whole navigation filled in.

In the navigation of mkdocs.yml an entry `folder/*` stands for the pages of that folder that it does not name,
and `folder/word*` for those of them that begin so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from typing import Any

import yaml

from tools.chapters import ROOT

SOURCE = ROOT / "mkdocs.yml"


def written(pages: Collection[str], *, versions: bool = False) -> str:
    """Return the configuration for a tree of these pages; it stands beside the folders docs/ and site/.

    With `versions` the pages show a selector of versions, which asks for versions.json above the site.
    """
    found: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    named = frozenset(_named(found["nav"]))
    found["nav"] = _filled(found["nav"], named, pages)
    if versions:
        found["extra"] = {**found.get("extra", {}), "version": {"provider": "mike"}}
    found["docs_dir"], found["site_dir"] = "docs", "site"
    return str(yaml.safe_dump(found, sort_keys=False))


def _named(entry: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a navigation
    """Yield the paths that a navigation names."""
    if isinstance(entry, str):
        yield entry
    for one in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
        yield from _named(one)


def _filled(entry: Any, named: Collection[str], pages: Collection[str]) -> Any:  # noqa: ANN401 - as above
    """Return a part of a navigation with the pages that its stars stand for."""
    if isinstance(entry, dict):
        return {name: _filled(one, named, pages) for name, one in entry.items()}
    if not isinstance(entry, list):
        return entry
    filled: list[Any] = []
    for one in entry:
        if isinstance(one, str) and one.endswith("*"):
            folder, start = posixpath.dirname(one), one.removesuffix("*")
            filled += sorted(
                path
                for path in pages
                if path.endswith(".md") and posixpath.dirname(path) == folder and path not in named
                if path.startswith(start)
            )
        else:
            filled.append(_filled(one, named, pages))
    return filled
