"""Lines: one suite at the other end of standard input and output, or of a TCP connection.

Rules of this file: a line in has a limit, and so has what waits to go out; who does not keep to them is let
go of. Standard input and output are read and written by threads, because not every system can wait for them.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Protocol

LINE_LIMIT = 65_536
"""The most bytes of a line that comes in."""

UNREAD = 4096
"""The most lines that wait for a suite that reads them from standard output."""

UNSENT = 1_048_576
"""The most bytes that wait for a suite that reads them from a TCP connection."""

GOODBYE = 1.0
"""Seconds in which the last lines have to be read."""


class EndError(Exception):
    """The suite did not keep to the protocol and is let go of; the text says why."""


class Output(Protocol):
    """Where lines go to."""

    def write(self, line: bytes) -> None:
        """Hand a line over; raises EndError when too much waits already."""

    async def close(self) -> None:
        """See the last lines off; returns within a second or so."""


async def lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines that come, until the end of them; raises EndError for one that is too long."""
    while True:
        try:
            yield await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                yield error.partial
            return
        except asyncio.LimitOverrunError:
            raise EndError(f"a line of more than {LINE_LIMIT} bytes came") from None
        except OSError:  # nobody is there any more
            return


class Connection:
    """The output of a TCP connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Write to `writer`."""
        self._writer = writer

    def write(self, line: bytes) -> None:
        """Hand a line over; raises EndError when too much waits already."""
        if self._writer.transport.get_write_buffer_size() > UNSENT:
            raise EndError(f"more than {UNSENT} bytes wait to be read")
        if not self._writer.is_closing():
            self._writer.write(line)

    async def close(self) -> None:
        """Send what waits, and close."""
        self._writer.close()
        closed = asyncio.ensure_future(self._writer.wait_closed())
        _, waiting = await asyncio.wait({closed}, timeout=GOODBYE)
        if waiting:
            self._writer.transport.abort()
        await asyncio.gather(closed, return_exceptions=True)  # however it ended


class Printer:
    """Standard output, or another descriptor, written by a thread."""

    def __init__(self, descriptor: int) -> None:
        """Begin to write."""
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(UNREAD)
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        threading.Thread(target=self._print, daemon=True).start()

    def write(self, line: bytes) -> None:
        """Hand a line over; raises EndError when too many wait already."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            raise EndError(f"{UNREAD} lines wait to be read") from None

    async def close(self) -> None:
        """Wait until all is written, or nobody reads it."""
        with suppress(EndError):
            self.write(b"")
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._done.wait()

    def _print(self) -> None:
        with suppress(OSError):  # nobody reads any more
            while line := self._lines.get():
                while line:
                    line = line[os.write(self._descriptor, line) :]
        with suppress(RuntimeError):  # the loop may be over
            self._loop.call_soon_threadsafe(self._done.set)


class Standard(asyncio.ReadTransport):
    """Standard input, or another descriptor, read by a thread that waits until what it read was taken."""

    def __init__(self, descriptor: int) -> None:
        """Begin to read into `reader`."""
        super().__init__()
        self.reader = asyncio.StreamReader(LINE_LIMIT)
        self.reader.set_transport(self)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._taken = threading.Event()
        self._paused = False
        threading.Thread(target=self._read, daemon=True).start()

    def pause_reading(self) -> None:
        """Read no more."""
        self._paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self._paused = False
        self._taken.set()

    def _read(self) -> None:
        data = b"?"
        while data:
            try:
                data = os.read(self._descriptor, LINE_LIMIT)
            except OSError:  # there is no standard input
                data = b""
            self._taken.clear()
            try:
                self._loop.call_soon_threadsafe(self._take, data)
            except RuntimeError:  # the loop is over
                return
            self._taken.wait()

    def _take(self, data: bytes) -> None:
        if data:
            self.reader.feed_data(data)
        else:
            self.reader.feed_eof()
        if not self._paused:
            self._taken.set()
