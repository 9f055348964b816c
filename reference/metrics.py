"""Metrics of the relay, in the Prometheus format (docs/how-to/monitor-a-relay.md lists them all).

The rules of this file:

- What a table holds is read when somebody asks; what happens is counted when it happens.
- A label is a word of ours, so the number of series is bounded; no fingerprint, call_id or address is one.
- A datagram costs two additions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from reference.core.call import Event, State
from reference.core.errors import CloseCode
from reference.tables import Build, Tables, Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference.core.effects import Log
    from reference.core.relay import RelayCore

# When each counter began is when the process did.
disable_created_metrics()  # type: ignore[no-untyped-call] # published without a type

SET_UP = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120)
"""Seconds: a person takes some to answer, and is given a minute by default."""
LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
ASKED = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
ENDINGS = (Event.REJECT, Event.TIMEOUT, Event.HANGUP, Event.LOSS, Event.SHUTDOWN)
REFUSED = {"offers_refused": "offer", "registrations_refused": "registration", "rooms_refused": "room"}
"""What the core counts as refused, and what that is called here."""


def no_links() -> Mapping[str, int]:
    """Return the links of a relay that has none, by state."""
    return {"up": 0, "opening": 0}


class Metrics:
    """All counters and gauges of one relay."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self.traffic = Traffic()
        self.registry.register(self.traffic)
        ProcessCollector(registry=self.registry)
        self._began: dict[str, float] = {}
        self._refusals = self._counter(
            "refusals", "Offers, registrations and rooms refused", "what", "reason"
        )
        self._events = self._counter("events", "Whatever else the relay counted", "event", "reason")
        self._kinds = {
            "datagrams_dropped": self._counter(
                "datagrams_dropped", "Media datagrams not handed on", "reason"
            ),
            "closed": self._counter("connections_closed", "Connections that the relay closed", "code"),
            "ignored": self._counter("messages_ignored", "Messages that had no business here", "message"),
            "bad": self._counter("messages_bad", "Messages and frames that could not be read", "fault"),
        }
        self._placed = self._counter("calls_placed", "Calls that began")
        self._ended = self._counter("calls_ended", "Calls that ended, by what ended them", "outcome")
        self._set_up = self._histogram("call_setup_seconds", "Time from an offer to both CallSetups", SET_UP)
        self.authentications = self._counter("authentications", "Tokens judged by the service", "verdict")
        self.asked = self._histogram("authentication_seconds", "Time until a token was judged", ASKED)
        for ending in ENDINGS:
            self._ended.labels(ending)
        for code in CloseCode:
            self._kinds["closed"].labels(code.name.lower())
        self.lag = self._histogram("event_loop_lag_seconds", "How late the event loop turns", LAG)

    def count(self, event: str, reason: str) -> None:
        """Add one to an event; reasons are words of our own, so their number is bounded."""
        kind = self._kinds.get(event)
        if kind is not None:
            kind.labels(reason).inc()
        elif event in REFUSED:
            self._refusals.labels(REFUSED[event], reason).inc()
        else:
            self._events.labels(event, reason).inc()

    def follow(self, event: Log) -> None:
        """Learn from what the core tells of a call when it began, was set up and ended."""
        kind, _, what = event.event.partition(".")
        if kind != "call":
            return
        call_id = str(event.members["call_id"])
        if what == Event.OFFER:
            self._began[call_id] = time.monotonic()
            self._placed.inc()
        elif what == Event.ACCEPT and call_id in self._began:
            self._set_up.observe(time.monotonic() - self._began.pop(call_id))
        if event.members["state"] == State.ENDED:
            self._began.pop(call_id, None)
            self._ended.labels(what).inc()

    def totals(self) -> dict[str, float]:
        """Return everything counted so far, by name and reason; reasons that never came are left out."""
        return {
            "/".join((sample.name.removeprefix("directcall_"), *sample.labels.values())): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name.endswith("_total") and sample.name.startswith("directcall_")
            if sample.value or not sample.labels
        }

    def watch(
        self,
        core: RelayCore,
        stats: Callable[[], dict[str, int]],
        phase: str,
        links: Callable[[], Mapping[str, int]] = no_links,
    ) -> None:
        """Read the tables of `core` and of its endpoint, and the links by state, whenever somebody asks."""
        self.registry.register(Tables(core, stats, links))
        self.registry.register(Build(version=core.setting.build or "unknown", phase=phase))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"directcall_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"directcall_{name}", text, buckets=buckets, registry=self.registry)
