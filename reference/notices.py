"""Notices: what happened at the socket, told to the handler later, in order, never from inside a call.

What a handler sends while it is told goes out behind the last of its calls, so that all of it for one
peer, the stack's own acknowledgements too, shares packets.
"""

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
        self._calls: deque[tuple[Session, bool, Callable[..., None], tuple[object, ...]]] = deque()
        self._afterwards: dict[Session, Callable[[Session], None]] = {}
        self.telling = False
        self._turn: asyncio.Handle | None = None

    def __len__(self) -> int:
        """Count the calls that are not made yet."""
        return len(self._calls)

    def add(
        self, session: Session, call: Callable[..., None], *arguments: object, final: bool = False
    ) -> None:
        """Queue a call; only a `final` one is made for a session that the handler closed."""
        self._calls.append((session, final, call, arguments))

    def afterwards(self, session: Session, work: Callable[[Session], None]) -> None:
        """Do `work` for a session, once, when no call is left; the latest session comes first."""
        self._afterwards[session] = work

    def drop(self, session: Session) -> None:
        """Forget the work for a session."""
        self._afterwards.pop(session, None)

    def tell_soon(self) -> None:
        """See to it that the queue is emptied in a turn of its own."""
        if (self._calls or self._afterwards) and not self.telling and self._turn is None:
            self._turn = self._loop.call_soon(self.tell)

    def tell(self) -> None:
        """Make the calls, and those that come up while they are made."""
        if self._turn is not None:
            self._turn.cancel()
        self._turn, self.telling = None, True
        try:
            while self._calls or self._afterwards:
                while self._calls:
                    session, final, call, arguments = self._calls.popleft()
                    if final or not session.silenced:
                        call(*arguments)
                if self._afterwards:
                    session, work = self._afterwards.popitem()
                    work(session)
        finally:
            self.telling = False
            self.tell_soon()  # something is left only behind a handler that raised
