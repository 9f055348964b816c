"""Adapters: the example adapters in Go and in Rust, fetched by their pins and built into out/adapters/.

    python -m tools.adapters            build both, and print where they are
    python -m tools.adapters --pin      pin what the Rust one needs anew, as cargo resolves it today

Rules of this file: nothing is written beside the sources. What this machine cannot do (no toolchain, an older
one, no network) is Absent and told; anything else that goes wrong is Broken. Cargo.pins is Cargo.lock without
the lines that name a registry (decision 0016); they are put back as cargo itself writes them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "how-to" / "examples"
OUT = ROOT / "out" / "adapters"
PINS = EXAMPLES / "rust" / "Cargo.pins"
LIMIT = 500.0
"""Seconds that one command may take."""
SOURCE = re.compile(r'^source = "registry\+[^"\n]+"\n', re.MULTILINE)
CHECKSUM = re.compile(r"^(?=checksum = )", re.MULTILINE)
LACKING = re.compile(
    r"dial tcp|no such host|i/o timeout|TLS handshake timeout|connection re(fused|set)"
    r"|Could not (connect|resolve)|Couldn't (connect|resolve)|Timeout was reached|\b50[234]\b"
    r"|go\.mod requires go >=|requires rustc|edition2024"
)
"""What a toolchain says, before it builds anything, of a network that is not there and of being too old."""


class Absent(Exception):  # noqa: N818 - nobody's fault
    """This machine lacks what a build needs."""


class Broken(Exception):  # noqa: N818 - named for what it is
    """The sources or their pins are wrong."""


def perform(
    *command: str, folder: Path, fetches: bool = False, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command of a toolchain in a folder; raises Absent and Broken. `fetches`: it builds nothing."""
    if shutil.which(command[0]) is None:
        raise Absent(f"there is no {command[0]} on this machine")
    whole = {**os.environ, **(environment or {})}
    try:
        done = subprocess.run(
            command, cwd=folder, env=whole, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"{' '.join(command)} did not end within {LIMIT:.0f} s") from None
    if done.returncode:
        said = (done.stderr + done.stdout).strip()
        if fetches and LACKING.search(said):
            raise Absent(f"{' '.join(command)}: {said.splitlines()[-1].strip()}")
        raise Broken(f"{' '.join(command)} failed:\n{said}")


def go() -> Path:
    """Build the example in Go; return the program. Its go.sum holds the hashes of what is fetched."""
    folder, program = EXAMPLES / "go", OUT / "example-go"
    chosen = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    perform("go", "mod", "download", folder=folder, fetches=True, environment=chosen)
    for work in (("vet", "."), ("build", "-o", str(program), ".")):
        perform("go", *work, folder=folder, environment=chosen | {"GOPROXY": "off"})
    return program


def rust() -> Path:
    """Build the example in Rust; return the program. Its Cargo.pins holds the hashes of what is fetched."""
    folder, program = _copied(), OUT / "example-rust"
    lock = folder / "Cargo.lock"
    if not lock.is_file() or pinned(lock.read_text(encoding="utf-8")) != PINS.read_text(encoding="utf-8"):
        lock.unlink(missing_ok=True)
        perform("cargo", "generate-lockfile", folder=folder, fetches=True)
        found = SOURCE.search(lock.read_text(encoding="utf-8"))
        if found is None:
            raise Broken("cargo wrote a lock file that names no registry")
        text = PINS.read_text(encoding="utf-8")
        lock.write_text(CHECKSUM.sub(lambda _: found[0], text), encoding="utf-8")
    perform("cargo", "fetch", "--locked", folder=folder, fetches=True)
    target = OUT / "cargo"
    offline = ("build", "--locked", "--offline")
    perform("cargo", *offline, folder=folder, environment={"CARGO_TARGET_DIR": str(target)})
    shutil.copy2(target / "debug" / "adapter", program)
    return program


BUILDERS: Mapping[str, Callable[[], Path]] = {"go": go, "rust": rust}


def _copied() -> Path:
    """Return a folder with the sources in Rust, where cargo may write its lock file."""
    folder = OUT / "rust"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (EXAMPLES / "rust").iterdir():
        shutil.copy2(path, folder / path.name)
    return folder


def pinned(lock: str) -> str:
    """Return a lock file of cargo without the lines that name a registry."""
    return SOURCE.sub("", lock)


def pin() -> None:
    """Write Cargo.pins anew."""
    folder = _copied()
    (folder / "Cargo.lock").unlink(missing_ok=True)
    perform("cargo", "generate-lockfile", folder=folder)
    PINS.write_text(pinned((folder / "Cargo.lock").read_text(encoding="utf-8")), encoding="utf-8")


def main(*, pins: Annotated[bool, typer.Option("--pin", help="Write Cargo.pins anew.")] = False) -> None:
    """Build the example adapters."""
    if pins:
        pin()
    broken = False
    for language, build in BUILDERS.items():
        try:
            print(f"{language}: {build().relative_to(ROOT)}")
        except Absent as absent:
            print(f"{language}: not built: {absent}")
        except Broken as fault:
            broken = True
            print(f"{language}: {fault}", file=sys.stderr)
    raise typer.Exit(int(broken))


if __name__ == "__main__":
    typer.run(main)
