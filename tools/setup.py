"""Set-up: make `.venv`, install the hashed pins and this tree into it.

Rules of this file: only the standard library, because nothing else is there yet; nothing is done
when nothing changed (a stamp in `.venv` tells); whatever takes longer than two seconds shows that
it lives; whatever goes wrong ends in one paragraph that says what to do, and ctrl-C in a line; what
was stopped goes on when it is run again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / ".directcall-stamp"
PINS = ROOT / "requirements" / "dev.txt"
OLDEST = (3, 11)
NEWER_NAMES = ("python3.14", "python3.13", "python3.12", "python3.11")
GRACE = 2.0
"""Seconds that an installer has to tidy up when it is interrupted."""
INTERRUPTED = 130
"""The exit status of what ctrl-C has ended, as shells give it."""
NETWORK_SIGNS = ("Retrying", "ConnectionError", "NewConnectionError", "timed out", "No matching distribution")


class SetupError(Exception):
    """What went wrong and what to do about it, in one paragraph."""


def interpreter(environment: Path) -> Path:
    """Return where the interpreter of a virtual environment stands on this system."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint() -> str:
    """Return the hash of everything the environment is made from."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (PINS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def up_to_date() -> bool:
    """Tell whether the environment was made from the pins as they stand."""
    if not STAMP.is_file() or not interpreter(ENVIRONMENT).exists():
        return False
    return STAMP.read_text(encoding="utf-8").strip() == fingerprint()


def newer_interpreter() -> str | None:
    """Find an interpreter that is new enough, when this one is not."""
    return next(filter(None, map(shutil.which, NEWER_NAMES)), None)


def require_python() -> None:
    """Go on under a newer interpreter, or say which one is wanted."""
    if sys.version_info >= OLDEST:
        return
    found = newer_interpreter()
    if found:
        sys.exit(subprocess.call([found, __file__]))
    raise SetupError(
        f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed, and this is {sys.version.split()[0]} "
        f"({sys.executable}). Install a newer one with your system's packages, or name one that is "
        "there: make SYSTEM_PYTHON=python3.12 test"
    )


def require_ensurepip() -> None:
    """Say which system package is missing when environments cannot be made."""
    missing = [name for name in ("ensurepip", "venv") if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"this Python cannot make virtual environments (no module {missing[0]!r}). On Debian and "
            "Ubuntu that is the system package python3-venv: apt-get install python3-venv. "
            "Then type the same command again."
        )


class Progress:
    """One line that lives: rewritten each second on a terminal, printed every ten elsewhere."""

    def __init__(self) -> None:
        """Begin to count the seconds."""
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.next_line = 2.0

    def show(self, text: str) -> None:
        """Show the text with the seconds so far, when it is time to."""
        seconds = time.monotonic() - self.began
        if self.terminal:
            sys.stderr.write(f"\r\x1b[2K{text} ({seconds:.0f} s)")
        elif seconds >= self.next_line:
            self.next_line = seconds + 10
            sys.stderr.write(f"{text} ({seconds:.0f} s)\n")
        sys.stderr.flush()

    def done(self) -> None:
        """Leave the line clean."""
        if self.terminal:
            sys.stderr.write("\r\x1b[2K")


def _pump(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def run(command: list[str], label: str, total: int = 0) -> None:
    """Run a command, show how far it is, and raise with its last lines when it fails."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    output: list[str] = []
    progress = Progress()
    try:
        _follow(process, label, total, progress, output)
    finally:
        progress.done()
        _end(process)
    if process.returncode != 0:
        raise SetupError(explain(label, output))


def _follow(
    process: subprocess.Popen[str], label: str, total: int, progress: Progress, output: list[str]
) -> None:
    """Show how far a command is until it has said its last line; what it says is added to `output`."""
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    doing = ""
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            progress.show(f"{label}{doing}")
            continue
        if line is None:
            process.wait()
            return
        output.append(line)
        doing = _doing(line, sum(text.startswith("Collecting ") for text in output), total) or doing
        progress.show(f"{label}{doing}")


def _end(process: subprocess.Popen[str]) -> None:
    """Wait for a command that was interrupted as we were; end it when it does not end by itself."""
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _doing(line: str, collected: int, total: int) -> str:
    match = re.match(r"Collecting ([A-Za-z0-9._-]+)", line)
    if match and total:
        return f": {min(collected, total)} of {total}, {match[1].split('==')[0]}"
    return ": unpacking" if line.startswith("Installing collected") else ""


def explain(label: str, output: list[str]) -> str:
    """Turn the output of a failed command into one paragraph and its last lines."""
    tail = "".join(output[-12:]).rstrip()
    if any(sign in line for line in output for sign in NETWORK_SIGNS):
        return (
            f"{label} failed, most likely because the package index cannot be reached. Check the "
            "network, and PIP_INDEX_URL or a pip configuration file if you use a mirror; then type the "
            f"same command again, it goes on where it stopped. The installer's last words:\n{tail}"
        )
    return f"{label} failed. The last lines of what it said:\n{tail}"


def refusal(error: OSError) -> str:
    """Say what the system refused, and what to do when the tree is somebody else's."""
    place, why = error.filename or ROOT, (error.strerror or str(error)).lower()
    return f"{place}: {why}. If this tree is not yours to read and write, work in a copy of your own."


def make_environment() -> None:
    """Make `.venv` anew, unless one that works stands there."""
    python = interpreter(ENVIRONMENT)
    probe = "import pip, sys; sys.exit(sys.version_info < (3, 11))"
    if (
        python.exists()
        and not subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode
    ):
        return
    require_ensurepip()
    run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], "making .venv")


def install() -> None:
    """Install the pins and this tree, by hash and without asking for anything newer."""
    pip = [str(interpreter(ENVIRONMENT)), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    total = len(re.findall(r"^[A-Za-z0-9._-]+==", PINS.read_text(encoding="utf-8"), re.MULTILINE))
    run([*pip, "--require-hashes", "-r", str(PINS)], "installing packages", total)
    run([*pip, "--no-deps", "--no-build-isolation", "--quiet", "-e", "."], "installing this tree")


def main() -> int:
    """Set up what is not set up yet; return the exit status."""
    try:
        require_python()
        if up_to_date():
            return 0
        print("setting up .venv, once: about 80 packages", file=sys.stderr)
        make_environment()
        install()
        STAMP.write_text(fingerprint() + "\n", encoding="utf-8")
    except SetupError as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"set-up failed: {refusal(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("set-up stopped", file=sys.stderr)
        return INTERRUPTED
    print("set-up done", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
