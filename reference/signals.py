"""Signals: what a program does when it is told to stop, or to read its configuration again.

The rules of this file: it imports nothing that takes time, so that a program can hold its signals before
it loads the rest; what is held is remembered by the system, and comes when somebody is there to take it.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

ENDS = (signal.SIGTERM, signal.SIGINT)
RELOADS = tuple(number for number in signal.Signals if number.name == "SIGHUP")
"""What asks for a reload: nothing on Windows, which has no SIGHUP."""


def hold() -> None:
    """Keep all of these back until `on_signals` and `on_reload` are told what to do; not on Windows."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDS, *RELOADS})


def on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` on SIGTERM and ctrl-C, also on those that were held."""
    for number in ENDS:
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows has no such handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    _release(*ENDS)


def on_reload(loop: asyncio.AbstractEventLoop, act: Callable[[], None]) -> None:
    """Call `act` on SIGHUP, also on one that was held."""
    for number in RELOADS:
        loop.add_signal_handler(number, act)
    _release(*RELOADS)


def _release(*numbers: signal.Signals) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
