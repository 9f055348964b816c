"""Wheel: what is installed works away from the source tree, and the suite without the reference.

1. The wheel is built and installed, with the pins of `requirements/run.txt`, into an empty place.
2. From an empty folder, the installed relay is started and the installed suite judges it.
3. The installed `reference` is deleted, and the suite judges the relay of the source tree.

Rules of this file: every wait has an end; whatever was started is stopped and whatever was made
is removed, also when a step fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.setup import interpreter

ROOT = Path(__file__).resolve().parent.parent
TIMERS = {"register": 1.0, "ring": 4.0, "media": 1.0, "stream": 1.0}
"""Seconds; short, so that the checks of time-outs need not wait for the defaults, and so long that a relay
without a processor ends no call in the middle of a check."""
RELAY = (
    *("-m", "reference.relay", "--listen", "127.0.0.1:0"),
    *(word for name, seconds in TIMERS.items() for word in (f"--{name}-timeout", str(seconds))),
)
SUITE = ("-m", "conformance", "run", "--role", "relay")
READY_SECONDS = 20.0
STOP_SECONDS = 10.0
STEP_SECONDS = 240.0


class WheelError(Exception):
    """A step that did not do what it has to."""


def clean_environment() -> dict[str, str]:
    """Return the environment without what could lead back to the source tree."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def call(command: Sequence[str | Path], cwd: Path, *, status: int = 0) -> str:
    """Run a command from a folder and return what it said; raise unless it ends with the status."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=STEP_SECONDS,
        check=False,
    )
    if done.returncode != status:
        raise WheelError(f"status {done.returncode}, not {status}: {done.args}\n{done.stdout}")
    return done.stdout


def build(folder: Path) -> Path:
    """Build the wheel into the folder and return it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    call([*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, "."], ROOT)
    (wheel,) = folder.glob("directcall-*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """Make an empty environment, install the pins and the wheel, return its interpreter."""
    call([sys.executable, "-m", "venv", environment], ROOT)
    python = interpreter(environment)
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    call([*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt"], ROOT)
    call([*pip, "--no-deps", wheel], ROOT)
    return python


@contextmanager
def relay(python: str | Path, cwd: Path, log: Path) -> Iterator[str]:
    """Run a relay on a port of its own choice; yield its address, and stop it afterwards."""
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [str(python), *RELAY, "--identity", str(log.with_suffix(".identity"))],
            cwd=cwd,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    # A relay that never says that it is ready must not keep the gate: its end ends the read.
    alarm = threading.Timer(READY_SECONDS, process.kill)
    alarm.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
        alarm.cancel()
        if not line:
            raise WheelError(f"no ready line from the relay:\n{log.read_text(encoding='utf-8')}")
        yield str(json.loads(line)["ready"]["addr"])
    finally:
        alarm.cancel()
        process.terminate()
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if process.stdout:
            process.stdout.close()
    if status != 0:
        raise WheelError(f"the relay ended with status {status}, not 0, when asked to stop")


def judge(python: Path, address: str, cwd: Path, out: str) -> str:
    """Let the installed suite judge the relay there; return the last line of its verdict."""
    timers = ",".join(f"{name}={seconds}" for name, seconds in TIMERS.items())
    said = call([python, *SUITE, "--target", f"udp:{address}", "--timers", timers, "--out", out], cwd)
    return said.rstrip().splitlines()[-1] if said.strip() else ""


def remove_reference(python: Path, cwd: Path) -> None:
    """Delete the installed reference, and make sure that nothing of it can be imported."""
    where = "import pathlib, reference; print(pathlib.Path(reference.__file__).parent)"
    folder = Path(call([python, "-c", where], cwd).strip())
    if ROOT in folder.parents:
        raise WheelError(f"the installed reference stands in the source tree: {folder}")
    shutil.rmtree(folder)
    call([python, "-c", "import reference"], cwd, status=1)


def prove(folder: Path) -> None:
    """Go through the steps of this file in a folder that is removed afterwards."""
    empty = folder / "empty"
    empty.mkdir()
    python = install(build(folder), folder / "environment")
    call([python, "-m", "reference.relay", "--help"], empty)
    with relay(python, empty, folder / "installed.log") as address:
        print(f"installed relay, installed suite: {judge(python, address, empty, 'first')}")
    remove_reference(python, empty)
    with relay(sys.executable, ROOT, folder / "source.log") as address:
        print(f"relay of the tree, suite without reference: {judge(python, address, empty, 'second')}")


def main() -> int:
    """Prove the wheel; return the exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="directcall-wheel-") as folder:
            prove(Path(folder).resolve())
    except (WheelError, subprocess.TimeoutExpired) as error:
        print(f"the wheel fails: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
