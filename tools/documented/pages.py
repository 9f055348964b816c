"""Pages: runs one page from its top to its end, in a copy of the tree of its own.

Rules of this file: the first thing that is not as the page says ends the page, with its line and what came;
where what came is to be written, every line of the page gets it, so that all of them are of this one run.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.chapters import ROOT
from tools.documented.blocks import INTERRUPT, Block, PageError, Part, blocks
from tools.documented.matching import Matcher, Names
from tools.documented.terminals import Command, CommandError, Terminals

TREE = ("conformance", "deploy", "docs", "reference", "schemas", "spec", "tests", "tools")
"""What a page finds of the tree: these folders,"""
FILES = ("*.md", "*.toml", "*.yml", "Makefile")
"""and these files, without those that a reader of the pages has made beside them."""
HOSTS = ("127.0.0.1", "0.0.0.0", "localhost", "[::1]", "[::]")  # noqa: S104 - what pages write
PORT = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, HOSTS))}):([1-9][0-9]{{2,4}})(?![0-9])")
"""A port of this machine, as commands and files name it."""
SHOWN = 40
"""Lines of what came that a complaint shows."""


@dataclass
class Run:
    """One page that is run: its terminals, names and ports, and the lines that are to be written into it."""

    path: str
    folder: Path
    terminals: Terminals
    ports: dict[str, str]
    writes: bool
    names: Names = field(default_factory=dict)
    written: list[tuple[int, int, list[str]]] = field(default_factory=list)

    def block(self, block: Block) -> None:
        """Run one block; raises PageError where something is not as the page says."""
        name = block.words.get("file", "documented_block.py")
        if "file" in block.words or block.language == "python":
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{self._real(block.text)}\n", encoding="utf-8")
        if block.language == "python" and "file" not in block.words:
            self._part(block, Part(f"python '{self.folder / name}'", ("…",), block.line), last=True)
        if block.language in ("console", "sh"):
            parts = block.parts()
            for number, part in enumerate(parts, 1):
                self._part(block, part, last=number == len(parts))

    def _part(self, block: Block, part: Part, *, last: bool) -> None:
        """Start the command of a part, or go on with one, and compare what it prints and how it ends."""
        stays = last and "stays" in block.words
        try:
            if part.command is None:
                command = self.terminals.running(block.terminal)
            else:
                command = self.terminals.start(block.terminal, self._real(part.command))
            self._compare(block, part, command, whole=not stays)
            if not stays:
                self._ended(command, int(block.words.get("status", "0")) if last else 0)
        except CommandError as error:
            words = part.command or "what still runs"
            raise PageError(f"{self.path}:{part.line}: {words}\n{error}") from error

    def _compare(self, block: Block, part: Part, command: Command, *, whole: bool) -> None:
        """Wait for the lines of a part, in front of an interruption and behind it."""
        fixed = [f"{host}:{port}" for port in self.ports for host in HOSTS]
        matcher = Matcher(fixed, counts="counts" in block.words)
        rest = part
        while INTERRUPT in rest.lines:
            at = rest.lines.index(INTERRUPT)
            self._await(replace(rest, lines=rest.lines[:at]), command, matcher, whole=False)
            command.interrupt()
            rest = Part(part.command, rest.lines[at + 1 :], rest.line + at + 1)
        self._await(rest, command, matcher, whole=whole)

    def _await(self, part: Part, command: Command, matcher: Matcher, *, whole: bool) -> None:
        if whole:
            command.end()
        lines = part.lines
        fit = command.until(lambda came: matcher.lines(lines, self._shown(came), self.names, whole=whole))
        came = self._shown(command.lines[command.used :])
        if fit is None and not self.writes:
            raise CommandError(_difference(lines, came))
        told = came
        if fit is not None:
            self.names = fit.names
            told = [
                matcher.renewed(line, came[fit.met[at]]) if at in fit.met else line
                for at, line in enumerate(lines)
            ]
        command.used += len(came) if fit is None else fit.used
        if self.writes and self._as_page(told) != [*lines]:
            self.written.append((part.line, part.line + len(lines), self._as_page(told)))

    def _ended(self, command: Command, status: int) -> None:
        ended = command.end()
        if ended != status:
            how = "it does not end" if ended is None else f"it ended with status {ended}"
            raise CommandError(
                _difference([f"(the end, with status {status})"], [*command.lines, f"({how})"])
            )

    def _real(self, text: str) -> str:
        """Return a command or a file with the names and ports of this run."""
        for said, real in self.names.items():
            text = text.replace(said, real)
        return PORT.sub(lambda found: f"{found[1]}:{self.ports[found[2]]}", text)

    def _shown(self, lines: list[str]) -> list[str]:
        """Return lines that came with the ports of the page."""
        back = {real: said for said, real in self.ports.items()}
        return [PORT.sub(lambda found: f"{found[1]}:{back.get(found[2], found[2])}", line) for line in lines]

    def _as_page(self, lines: list[str]) -> list[str]:
        """Return lines that came with the names of the page."""
        for said, real in self.names.items():
            lines = [line.replace(real, said) for line in lines]
        return lines


def _difference(expected: Sequence[str], came: list[str]) -> str:
    left_out = len(came) - SHOWN
    shown = [f"({left_out} lines left out)", *came[-SHOWN:]] if left_out > 0 else came
    return "\n".join(["the page says:", *expected, "what came:", *(shown or ["(nothing)"])])


def run(path: str, text: str, *, writes: bool = False) -> str:
    """Run a page and return its text, with what came where it `writes`; raises PageError."""
    found = [block for block in blocks(path, text) if block.runs]
    if not found:
        return text
    given = [part.command or "" for block in found for part in block.parts()]
    given += [block.text for block in found if block.language not in ("console", "sh")]
    ports = {port[2]: "" for text_given in given for port in PORT.finditer(text_given)}
    with TemporaryDirectory(prefix="documented-") as scratch:
        folder, state = Path(scratch, "tree"), Path(scratch, "state")
        state.mkdir()
        copied(folder)
        terminals = Terminals(folder, state, environment(Path(scratch)))
        running = Run(path, folder, terminals, dict(zip(ports, free_ports(len(ports)), strict=True)), writes)
        try:
            for block in found:
                running.block(block)
        finally:
            unkind = terminals.close()
        if unkind:
            raise PageError(f"{path}: what ran in {', '.join(unkind)} did not end when it was interrupted")
    return rewritten(text, running.written)


def rewritten(text: str, written: list[tuple[int, int, list[str]]]) -> str:
    """Return a text with lines from one number to before another replaced, the numbers from 1."""
    lines = text.splitlines()
    for begin, end, instead in sorted(written, reverse=True):
        lines[begin - 1 : end - 1] = instead
    return "\n".join(lines) + "\n"


def copied(folder: Path) -> None:
    """Copy the tree into a folder: a page may write and change what it likes."""
    folder.mkdir()
    for place in (found for name in FILES for found in ROOT.glob(name)):
        shutil.copy2(place, folder)
    for name in TREE:
        shutil.copytree(ROOT / name, folder / name)


def environment(scratch: Path) -> dict[str, str]:
    """Return the variables of the commands: the Python that runs this, a home of their own, plain text."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    plain = {"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    return {**plain, "PATH": places, "HOME": str(scratch)}


def free_ports(count: int) -> list[str]:
    """Return ports that no program of this machine has, over UDP and over TCP."""
    found: list[str] = []
    held: list[socket.socket] = []
    try:
        while len(found) < count:
            datagrams, streams = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
            held += datagrams, streams
            datagrams.bind(("127.0.0.1", 0))
            port = datagrams.getsockname()[1]
            try:
                streams.bind(("127.0.0.1", port))
            except OSError:  # taken by somebody over TCP
                continue
            found.append(str(port))
    finally:
        for one in held:
            one.close()
    return found
