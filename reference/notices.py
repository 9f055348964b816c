"""Notices: what happened at the socket, told to the handler later, in order, never from inside a call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from reference.session import Session


class Notices:
    """A queue of calls to a handler, emptied once a turn of the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell in turns of `loop`."""
        self._loop = loop
        self._calls: deque[tuple[Session, bool, Callable[[], None]]] = deque()
        self._telling = False
        self._turn: asyncio.Handle | None = None

    def __len__(self) -> int:
        """Count the calls that are not made yet."""
        return len(self._calls)

    def add(self, session: Session, call: Callable[[], None], *, final: bool = False) -> None:
        """Queue a call; only a `final` one is made for a session that the handler closed."""
        self._calls.append((session, final, call))

    def tell_soon(self) -> None:
        """See to it that the queue is emptied in a turn of its own."""
        if self._calls and not self._telling and self._turn is None:
            self._turn = self._loop.call_soon(self.tell)

    def tell(self) -> None:
        """Make the calls, and those that come up while they are made."""
        if self._turn is not None:
            self._turn.cancel()
        self._turn, self._telling = None, True
        try:
            while self._calls:
                session, final, call = self._calls.popleft()
                if final or not session.silenced:
                    call()
        finally:
            self._telling = False
            self.tell_soon()  # something is left only behind a handler that raised
