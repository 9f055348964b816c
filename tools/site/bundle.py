"""Bundle: the script of the playground, made by npm from tools/playground and what it knows (decision 0015).

Rules of this file: everything is made in out/, once for the same sources; two builds at once do not disturb
each other; a machine without npm, or without a network when packages are missing, is told apart from a fault.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.chapters import ROOT

SOURCE = ROOT / "tools" / "playground"
PACKAGES = ("package.json", "package-lock.json", ".npmrc")
NAME = "playground.js"
"""How the script is called in the site."""
SCRIPTS = ("page.js", "verdict.js", "strict_json.js")
MADE = ROOT / "out" / "playground"
LIMIT = 240.0
"""Seconds after which npm is broken."""
OFFLINE = re.compile(
    r"^npm (?:error|ERR!) code (?:ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|ENETUNREACH|ERR_SOCKET\w*)$",
    re.MULTILINE,
)
"""What npm says when the machine has no network; anything else that it says is a fault."""


class MissingError(Exception):
    """What is needed is not on this machine; the sentence says what."""


def script(known: str, made: Path = MADE) -> bytes:
    """Return the script that knows the JSON text `known`.

    Raises MissingError without npm, and RuntimeError with npm's own words for whatever fails.
    """
    key = _key(*(_source(name) for name in (*PACKAGES, *SCRIPTS)), known.encode())
    bundle = made / f"{key}.js"
    if not bundle.is_file():
        with tempfile.TemporaryDirectory(dir=_packages(made)) as folder:  # npm looks for packages further up
            room = Path(folder)
            for name in (*PACKAGES, *SCRIPTS):
                (room / name).write_bytes(_source(name))
            (room / "data.json").write_text(known, encoding="utf-8")
            _npm(room, "run", "--silent", "bundle")
            (room / "bundle.js").replace(bundle)
    content = bundle.read_bytes()
    for other in made.glob("*.js"):
        if other != bundle:
            other.unlink(missing_ok=True)
    return content


def _source(name: str) -> bytes:
    return (SOURCE / name).read_bytes()


def _key(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _packages(made: Path) -> Path:
    """Return the folder in which the packages of the lock are, fetched when they are not there yet."""
    there = made / f"packages-{_key(*(_source(name) for name in PACKAGES))}"
    if not there.is_dir():
        made.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made) as folder:
            room = Path(folder) / "room"
            room.mkdir()
            for name in PACKAGES:
                (room / name).write_bytes(_source(name))
            _npm(room, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            try:
                room.rename(there)
            except OSError:
                if not there.is_dir():  # otherwise another build was quicker
                    raise
    return there


def _npm(room: Path, *words: str) -> None:
    program = shutil.which("npm")
    if program is None:
        raise MissingError("there is no npm here (the Debian package npm has it)")
    done = subprocess.run(
        [program, *words],
        cwd=room,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        if OFFLINE.search(said):
            raise MissingError("npm has no network here, and its packages were not fetched before")
        raise RuntimeError(f"npm {' '.join(words)} ended with status {done.returncode}: {said}")
