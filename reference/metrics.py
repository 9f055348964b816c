"""Metrics of the relay: what the core counts and what its tables hold, in the Prometheus format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reference.core.relay import RelayCore


class Tables(Collector):
    """How much a relay's tables hold, read at once whenever somebody asks."""

    def __init__(self, core: RelayCore, stats: Callable[[], dict[str, int]]) -> None:
        """Read the tables of `core` and, through `stats`, those of its endpoint."""
        self._core = core
        self._stats = stats

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge a table."""
        core, stats = self._core, self._stats()
        tables = {
            "connections": stats.pop("connections"),
            "sessions": len(core.sessions),
            "registered": len(core.presence),
            "calls": len(core.calls.registry),
            "rooms": len(core.calls.rooms),
            "timers": len(core.timers),
            **{f"endpoint_{name}": value for name, value in stats.items()},
        }
        for name, value in tables.items():
            words = name.replace("_", " ")
            yield GaugeMetricFamily(f"directcall_{name}", f"How many {words} there are now", value)


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
        self.registry.register(Tables(core, stats))

    def serve(self, host: str, port: int) -> tuple[tuple[str, int], Callable[[], None]]:
        """Serve the metrics over HTTP; raises OSError. Returns where they are served and what stops it."""
        server, thread = start_http_server(port, host, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return (host, server.server_port), stop
