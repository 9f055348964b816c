"""Traces (draft-ietf-quic-qlog-main-schema): what each connection of a program did, in one qlog file.

Rules of this file: of a connection the first events are kept, which are its handshake, and the last ones; of
too many connections the first. A qlog holds connection ids and no byte of what was said.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aioquic.quic.logger import QuicLogger, QuicLoggerTrace

CONNECTIONS = 64
"""Connections in one file."""
FIRST, LAST = 500, 2_500
"""Events of one connection that are kept: of its beginning, and of its end."""


class _Trace(QuicLoggerTrace):
    def __init__(self, *, is_client: bool, odcid: bytes) -> None:
        super().__init__(is_client=is_client, odcid=odcid)
        self._begun: list[dict[str, Any]] = []
        self._events = deque(maxlen=LAST)

    def log_event(self, *, category: str, event: str, data: dict[str, Any]) -> None:
        super().log_event(category=category, event=event, data=data)
        if len(self._begun) < FIRST:
            self._begun.append(self._events.pop())

    def to_dict(self) -> dict[str, Any]:
        whole: dict[str, Any] = super().to_dict()
        return {**whole, "events": [*self._begun, *whole["events"]]}


class Traces(QuicLogger):
    """The traces of a program's connections, in the order in which they began."""

    def start_trace(self, is_client: bool, odcid: bytes) -> QuicLoggerTrace:  # noqa: FBT001 - as aioquic has it
        """Return where a connection writes what it does."""
        trace = _Trace(is_client=is_client, odcid=odcid)
        if len(self._traces) < CONNECTIONS:
            self._traces.append(trace)
        return trace

    def end_trace(self, trace: QuicLoggerTrace) -> None:
        """Keep what was written."""


@contextmanager
def traces(file: Path | None) -> Iterator[Traces | None]:
    """Give what writes `file` when the block is over, or None where no file is wanted.

    Raises OSError, before the block begins, when the file cannot be written.
    """
    if file is None:
        yield None
        return
    with file.open("w", encoding="utf-8") as there:
        kept = Traces()
        try:
            yield kept
        finally:
            json.dump(kept.to_dict(), there)
            there.write("\n")
