"""The subject: `python -m reference.subject`, the client behind the suite's control protocol.

It reads requests and writes replies and events, one JSON object a line (docs/how-to/adapter.md), on standard
input and output, or with `--tcp` for whoever connects, one suite after the other. Nothing else is printed
there; complaints go to standard error. The end of the input, `bye` and SIGTERM hang up, leave and end.

Exit statuses: 0 done · 1 the suite sent, or left unread, more than anybody can take · 2 the command line is
wrong.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from reference.buttons import Buttons
from reference.commandline import CommandError, address, command, phase_of
from reference.core.addresses import format_address
from reference.core.phases import NEWEST, Phase
from reference.lines import LINE_LIMIT, Connection, EndError, Output, Printer, Standard, lines
from reference.signals import on_signals

OVERRUN = 1
"""Exit status when a suite is let go of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of the subject."""

    phase: Annotated[str, typer.Option(help="be a client of this phase")] = NEWEST.value
    tcp: Annotated[str, typer.Option(help="ip:port to listen on for suites; port 0 takes a free one")] = ""


class Session:
    """One suite, from its first line to its last."""

    def __init__(self, phase: Phase, reader: asyncio.StreamReader, output: Output) -> None:
        """Prepare a client of this phase for it."""
        self._buttons = Buttons(phase, self._say)
        self._reader = reader
        self._output = output
        self._unread: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pressed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pressed.set_result(None)

    async def serve(self, stop: asyncio.Event) -> int:
        """Do what the suite asks for until it is done, or we are to stop; return the exit status."""
        reading, stopping = asyncio.ensure_future(self._read()), asyncio.ensure_future(stop.wait())
        ways: set[asyncio.Future[Any]] = {reading, stopping, self._unread}
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in (reading, stopping):
            one.cancel()
        ended = await asyncio.gather(reading, self._pressed, return_exceptions=True)
        await self._buttons.leave()
        await self._output.close()
        outcomes = (*ended, self._unread.exception() if self._unread.done() else None)
        if self._buttons.strange:
            complain(f"lines of the suite that were no requests: {self._buttons.strange}")
        for outcome in outcomes:
            if isinstance(outcome, EndError):
                complain(f"{outcome}: the suite is let go of")
                return OVERRUN
            if isinstance(outcome, Exception):
                raise outcome
        return 0

    async def _read(self) -> None:
        async for line in lines(self._reader):
            self._pressed = asyncio.ensure_future(self._buttons.press(line))
            await asyncio.shield(self._pressed)  # what has begun is brought to its end
            if self._buttons.over:
                return

    def _say(self, what: Mapping[str, object]) -> None:
        if self._unread.done():
            return
        try:
            self._output.write(json.dumps(what).encode() + b"\n")
        except EndError as error:
            self._unread.set_exception(error)


def complain(why: str) -> None:
    """Write one sentence to standard error."""
    print(f"subject: {why}", file=sys.stderr)  # noqa: T201 - standard output is the suite's


async def attend(phase: Phase) -> int:
    """Serve the suite at standard input and output."""
    stop = asyncio.Event()
    on_signals(asyncio.get_running_loop(), stop)
    sys.stdout = sys.stderr  # whatever else prints, the suite is not to read it
    return await Session(phase, Standard(0).reader, Printer(1)).serve(stop)


async def listen(phase: Phase, where: tuple[str, int]) -> int:
    """Serve one suite after the other that connects, until told to stop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    on_signals(loop, stop)
    stopping = asyncio.ensure_future(stop.wait())
    with closing(_listener(where)) as listener:
        ready = {"addr": format_address(*listener.getsockname()[:2])}
        print(json.dumps({"ready": ready}), flush=True)  # noqa: T201 - the one line for whoever started us
        while not stop.is_set():
            coming = asyncio.ensure_future(loop.sock_accept(listener))
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                break
            connection, _ = coming.result()
            reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_LIMIT)
            await Session(phase, reader, Connection(writer)).serve(stop)
    return 0


def _listener(where: tuple[str, int]) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
        listener = socket.create_server(where, family=family, backlog=1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CommandError(f"cannot listen on {format_address(*where)}: {why}") from error
    listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return listener


def serve(options: Options) -> None:
    """Be a client that a conformance suite drives, on standard input and output or over TCP."""
    phase = phase_of(options.phase)
    where = address("--tcp", options.tcp) if options.tcp else None
    raise typer.Exit(asyncio.run(attend(phase) if where is None else listen(phase, where)))


app = typer.Typer(add_completion=False)
command(app, "subject", Options, serve)


if __name__ == "__main__":
    app()
