"""Metrics of the relay: what the core counts and what its tables hold, in the Prometheus format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.relay import RelayCore


class Metrics:
    """All counters and gauges of one relay."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self._events = Counter(
            "directcall_events",
            "What the relay counted: ignored, refused, dropped, closed, by reason",
            ["event", "reason"],
            registry=self.registry,
        )
        self.forwarded = Counter(
            "directcall_datagrams_forwarded",
            "Media datagrams handed on to the other participant",
            registry=self.registry,
        )

    def count(self, event: str, reason: str) -> None:
        """Add one to an event; reasons are words of our own, so their number is bounded."""
        self._events.labels(event, reason).inc()

    def totals(self) -> dict[str, float]:
        """Return everything counted so far, by name and reason."""
        return {
            "/".join((sample.name.removeprefix("directcall_"), *sample.labels.values())): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }

    def watch(self, core: RelayCore, stats: Callable[[], dict[str, int]]) -> None:
        """Read the tables of `core` and of its endpoint whenever somebody asks."""
        tables: dict[str, Callable[[], float]] = {
            "connections": lambda: stats()["connections"],
            "registered": lambda: len(core.presence),
            "calls": lambda: len(core.calls.registry),
            "rooms": lambda: len(core.calls.rooms),
            "timers": lambda: len(core.timers),
        }
        for name, read in tables.items():
            gauge = Gauge(f"directcall_{name}", f"How many {name} there are now", registry=self.registry)
            gauge.set_function(read)

    def serve(self, host: str, port: int) -> tuple[tuple[str, int], Callable[[], None]]:
        """Serve the metrics over HTTP; raises OSError. Returns where they are served and what stops it."""
        server, thread = start_http_server(port, host, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return (host, server.server_port), stop
