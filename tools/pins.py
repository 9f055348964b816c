"""Pins: `requirements/*.txt` are made from pyproject.toml; this makes them and judges their drift.

Rules of this file: a pin is a version and its hashes, never an address; what runs is pinned at the
same version for users (`run.txt`), in the container (`container.txt`) and for developers (`dev.txt`);
`--check` needs no network.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS: Mapping[str, tuple[str, ...]] = {
    "requirements/dev.txt": ("audio", "dev", "docs"),
    "requirements/run.txt": ("audio",),
    "requirements/container.txt": ("build",),
}
"""Each lock and the extras it holds beside the base."""

HEADER = "# Made by `make pins` from pyproject.toml ({extras}); do not edit.\n"
COMPILE = (
    *("uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--generate-hashes"),
    *("--python-version", "3.11", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)(?P<rest>.*)$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


class Pin(NamedTuple):
    """One pinned version of one package, and how many hashes it has."""

    name: str
    version: str
    hashes: int


def declared(project: Mapping[str, Any], extras: Iterable[str]) -> list[Requirement]:
    """Return what the project table of pyproject.toml asks for: the base and these extras."""
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return [Requirement(text) for text in wanted]


def parse(text: str) -> tuple[list[Pin], list[str]]:
    """Return the pins of a lock and the lines that are no part of one."""
    pins: list[Pin] = []
    strangers: list[str] = []
    for line in text.splitlines():
        pin = PIN.match(line)
        if pin:
            pins.append(Pin(canonicalize_name(pin["name"]), pin["version"], 0))
        elif HASH.match(line) and pins:
            pins[-1] = pins[-1]._replace(hashes=pins[-1].hashes + 1)
        elif "://" in line or not re.match(r"^\s*#|^\s*$", line):
            strangers.append(line)
    return pins, strangers


def complaints(path: str, text: str, wanted: Iterable[Requirement]) -> list[str]:
    """Return what is wrong with one lock, a sentence each."""
    pins, strangers = parse(text)
    found = [f"{path}: {line.strip()!r} is neither a pin nor a hash" for line in strangers]
    found += [f"{path}: {pin.name} {pin.version} has no hash" for pin in pins if not pin.hashes]
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        versions = [pin.version for pin in pins if pin.name == name]
        if not versions:
            found.append(f"{path}: {requirement} is not pinned")
        found += [
            f"{path}: {name} {version} is pinned, pyproject.toml asks for {requirement}"
            for version in versions
            if not requirement.specifier.contains(version, prereleases=True)
        ]
    return found


def drift() -> list[str]:
    """Return what is wrong with the locks as they stand in the tree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[str] = []
    pinned: dict[str, set[Pin]] = {}
    for path, extras in LOCKS.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        found += complaints(path, text, declared(project, extras))
        pinned[path] = set(parse(text)[0])
    developers = pinned["requirements/dev.txt"]
    for path in LOCKS:
        apart = sorted(pinned[path] - developers)
        found += [f"{path} has {pin.name} {pin.version}, dev.txt has not" for pin in apart]
    return found


def compile_locks(arguments: list[str]) -> None:
    """Write every lock anew; the versions of a pin stay unless `--upgrade` is among the arguments."""
    uv = [sys.executable, "-m"]
    for path, extras in LOCKS.items():
        chosen = [word for extra in extras for word in ("--extra", extra)]
        agree = [] if path == "requirements/dev.txt" else ["--constraint", "requirements/dev.txt"]
        command = [*uv, *COMPILE, *chosen, *agree, *arguments, "--output-file", path]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        lock = ROOT / path
        pins = lock.read_text(encoding="utf-8")
        lock.write_text(HEADER.format(extras=", ".join(("base", *extras))) + pins, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write the locks, or with `--check` only judge them; return the exit status."""
    if arguments != ["--check"]:
        compile_locks(arguments)
    found = drift()
    for sentence in found:
        print(sentence)
    print(f"{len(found)} complaints about {len(LOCKS)} locks")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
