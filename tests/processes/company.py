"""Company: one relay and the callees that the calls of a file share, as real processes.

Rules of this file: a callee stands for one way of accepting and takes every call; the callers come and go.
"""

from __future__ import annotations

from tests.processes.conftest import QUICK, TONE, named, tables
from tools.processes import Event, Process, Troupe


class Company:
    """A relay, and a callee for each of these ways of accepting."""

    def __init__(self, cast: Troupe, *modes: str) -> None:
        """Start them and note what the tables hold while nobody calls."""
        self.cast = cast
        self.relay = cast.relay(*QUICK)
        self.address: str = self.relay.ready()["addr"]
        self.names = dict(zip(modes, named(cast, *modes), strict=True))
        self.callees = {
            mode: cast.client(mode, "listen", self.address, *TONE, "--answer", mode) for mode in modes
        }
        for callee in self.callees.values():
            callee.event("registered")
        self.calls = dict.fromkeys(modes, 0)
        self.quiet = tables(self.relay)

    def call(self, mode: str, name: str, *arguments: object) -> Process:
        """Start a caller to the callee that accepts in this way."""
        named(self.cast, name)
        self.calls[mode] += 1
        return self.cast.client(name, "call", self.address, self.names[mode], *TONE, *arguments)

    def told(self, mode: str, event: str) -> Event:
        """Return an event of the callee's latest call."""
        return self.callees[mode].event(event, self.calls[mode])
