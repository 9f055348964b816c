"""Client targets: a client under test behind its adapter, running already or started by the suite.

    exec:COMMAND       a command that speaks the control protocol on standard input and output; `{options}`
                       in it stands for the suite's options
    tcp:HOST:PORT      an adapter that somebody started, in a debugger or on a phone
    ref:               the reference
    mutant:ID          the reference with the rule ID broken

Rules of this file: an adapter is started once a run; nothing that was started outlives the target; whose
fault it is that nothing can be judged is said in one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from subprocess import TimeoutExpired
from typing import IO, Any

from conformance import spec
from conformance.adapter import LINE_LIMIT, Adapter, Writer
from conformance.process import STOPPING, Child, LaunchPiped, last_words, piped
from conformance.targets import PLACEHOLDER, resolve, split
from conformance.verdicts import Exit, TargetFaultError, UsageError

CONNECTING = 5.0
ENDING = 0.5
"""Seconds between the end of what a process says and its own."""


class ClientTarget:
    """One client under test."""

    def __init__(
        self, text: str, *, slow: float = 1.0, phase: str = spec.NEWEST, launch: LaunchPiped = piped
    ) -> None:
        """Parse a target; raises UsageError for one that is none. `launch` starts what is started."""
        self.text = text
        self.phase = phase
        self.ready: dict[str, Any] = {}
        self._slow = slow
        self._launch = launch
        self._child: Child | None = None
        self._adapter: Adapter | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._command: list[str] = []
        self._address: tuple[str, int] | None = None
        self._ending = False
        kind, _, rest = text.partition(":")
        if kind == "tcp":
            self._address = resolve(rest, named=f"the target {text!r}")
        elif kind == "exec" and rest.strip():
            self._command = split(rest)
        elif text == "ref:":
            self._command = [sys.executable, "-m", "reference.subject", PLACEHOLDER]
        elif kind == "mutant" and rest:
            self._command = [sys.executable, "-m", "tests.mutants", "--client", rest, PLACEHOLDER]
        else:
            relay = "; udp: is for a relay: say --role relay" if kind == "udp" else ""
            message = f"{text!r} is no client: say exec:COMMAND, tcp:HOST:PORT, ref: or mutant:ID{relay}"
            raise UsageError(message)

    def start(self, *variants: str) -> None:
        """Start the adapter, without waiting for it; a client has one variant."""
        del variants
        if not self._command or self._child is not None:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        command: list[str] = []
        for word in self._command:
            command += ["--phase", self.phase] if word == PLACEHOLDER else [word]
        try:
            with self._log.open("wb") as errors:
                self._child = self._launch(command, errors)
        except OSError as error:
            message = f"the adapter cannot be started: {command[0]}: {error.strerror or error}"
            raise TargetFaultError(message, Exit.NOT_JUDGED) from None

    async def connect(self) -> Adapter:
        """Return the adapter, once it has greeted; raises TargetFaultError when it does not."""
        self.start()
        reader, writer = await (self._pipes() if self._child is not None else self._tcp())
        adapter = Adapter(reader, writer, slow=self._slow, epitaph=self._epitaph)
        self._adapter = adapter
        try:
            self.ready = await adapter.hello()
            self._fits()
        except BaseException:
            self._ending = True  # what is let go may end
            await adapter.drop()
            raise
        return adapter

    def _fits(self) -> None:
        """Raise TargetFaultError for a client that cannot be judged as it was asked for."""
        if "client" not in self.ready["roles"]:
            message = f"the adapter stands for {', '.join(self.ready['roles'])}, and a client is judged"
            raise TargetFaultError(message, Exit.NOT_JUDGED)
        if self.ready["phase"] != self.phase:
            message = (
                f"the client is of phase {self.ready['phase']}, and phase {self.phase} is judged: "
                f"say --phase {self.ready['phase']}, or let the adapter take --phase with {PLACEHOLDER}"
            )
            raise TargetFaultError(message, Exit.NOT_JUDGED)

    def died(self) -> str:
        """Return a sentence about an adapter that ended by itself, or nothing."""
        told = self._adapter is not None and self._adapter.fault is not None  # it says so itself, and more
        if told or self._child is None or self._ending or self._child.poll() is None:
            return ""
        return f"the adapter ended in the middle of the run{self._epitaph()}"

    def _epitaph(self) -> str:
        """Return how the adapter ended, for the end of a sentence; nothing while it runs."""
        if self._child is None:
            return ""
        with contextlib.suppress(TimeoutExpired):
            return f" with status {self._child.wait(ENDING)}{last_words(self._log)}"
        return ""

    def close(self) -> None:
        """Stop what was started."""
        self._ending = True
        child, self._child = self._child, None
        if child is not None:
            _end(child)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def _log(self) -> Path:
        if self._folder is None:
            message = "the adapter has not been started"
            raise RuntimeError(message)
        return Path(self._folder.name) / "adapter.log"

    async def _pipes(self) -> tuple[asyncio.StreamReader, Writer]:
        if self._child is None or self._child.stdin is None or self._child.stdout is None:
            message = "the adapter has no pipes"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        ears, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._child.stdout
        )
        mouth, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, self._child.stdin)
        return reader, _Pipes(mouth, ears)

    async def _tcp(self) -> tuple[asyncio.StreamReader, Writer]:
        host, port = self._address or ("", 0)
        try:
            async with asyncio.timeout(CONNECTING * self._slow):
                return await asyncio.open_connection(host, port, limit=LINE_LIMIT)
        except (OSError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or "no answer"
            message = f"no adapter answers at {host}:{port}: {why}; start it there, or name where it listens"
            raise TargetFaultError(message, Exit.NOT_JUDGED) from None


class _Pipes:
    """Both pipes of a child, written to at one end and closed together."""

    def __init__(self, mouth: asyncio.WriteTransport, ears: asyncio.ReadTransport) -> None:
        self._mouth, self._ears = mouth, ears

    def write(self, data: bytes) -> None:
        """Send bytes, some time; to a child that has closed its end, nothing."""
        if not self._mouth.is_closing():
            self._mouth.write(data)

    def close(self) -> None:
        """Let go of both."""
        if not self._mouth.is_closing():
            self._mouth.abort()
        self._ears.close()


def _end(child: Child) -> None:
    """Let a process end that has been told to; stop one that does not."""
    pipe: IO[bytes] | None = child.stdin
    if pipe is not None:
        pipe.close()
    for stop in (child.terminate, child.kill):
        try:
            child.wait(STOPPING)
        except TimeoutExpired:
            stop()
    child.wait()
