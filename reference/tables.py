"""Tables: what the relay's metrics find when somebody asks, and need not count before."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from reference.core.call import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from reference.core.relay import RelayCore

LIVE = (State.PENDING, State.RINGING, State.ACTIVE)
TABLES = {
    "connections": "Connections whose handshake is complete",
    "sessions": "Connections that are for something",
    "registered": "Fingerprints that can be called",
    "rooms": "Media rooms that somebody sits in",
    "timers": "Deadlines that are waited for",
    "endpoint_half_open": "Handshakes under way",
    "endpoint_ended": "Connections in their closing period",
    "endpoint_routes": "Connection ids that packets may come for",
    "endpoint_timers": "Connections that wait for a time",
    "endpoint_streams": "Streams that are not over",
    "endpoint_unsent": "Messages that have not wholly left",
    "endpoint_throttled": "Connections whose next message waits, because they said too much",
    "endpoint_notices": "News of connections on their way within the relay",
}


class Tables(Collector):
    """How much a relay's tables hold, read at once whenever somebody asks."""

    def __init__(
        self, core: RelayCore, stats: Callable[[], dict[str, int]], links: Callable[[], Mapping[str, int]]
    ) -> None:
        """Read the tables of `core`, those of its endpoint through `stats`, and its `links` by state."""
        self._core = core
        self._stats = stats
        self._links = links

    def collect(self) -> Iterator[Metric]:
        """Yield one gauge a table, and what is known by state."""
        core, stats = self._core, self._stats()
        tables = {
            "connections": stats.pop("connections"),
            "sessions": len(core.sessions),
            "registered": len(core.presence),
            "rooms": len(core.calls.rooms),
            "timers": len(core.timers),
            **{f"endpoint_{name}": value for name, value in stats.items()},
        }
        for name, value in tables.items():
            what = TABLES.get(name, name.replace("_", " "))
            yield GaugeMetricFamily(f"directcall_{name}", f"{what}, now", value)
        states = Tally(str(call.state) for call in core.calls.registry)
        calls = {str(state): states[str(state)] for state in LIVE}
        yield _by_state("directcall_calls", "Live calls, now", calls)
        yield _by_state("directcall_links", "Links to other relays, now", self._links())
        draining = core.calls.draining is not None
        yield GaugeMetricFamily("directcall_draining", "Whether the relay drains: 1 or 0", int(draining))


class Traffic(Collector):
    """Media handed on: two numbers that cost nothing to count."""

    def __init__(self) -> None:
        """Start at zero."""
        self.datagrams = 0
        self.bytes = 0

    def collect(self) -> Iterator[Metric]:
        """Yield both."""
        what = "handed on to the other participant"
        yield CounterMetricFamily("directcall_datagrams_forwarded", f"Media datagrams {what}", self.datagrams)
        yield CounterMetricFamily("directcall_forwarded_bytes", f"Bytes of media {what}", self.bytes)


class Build(Collector):
    """Which relay this is."""

    def __init__(self, **words: str) -> None:
        """Keep the words."""
        self._words = words

    def collect(self) -> Iterator[Metric]:
        """Yield them as labels of a 1."""
        yield InfoMetricFamily("directcall_build", "Version and phase of the relay", self._words)


def _by_state(name: str, text: str, held: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["state"])
    for state, number in held.items():
        family.add_metric([state.lower()], number)
    return family
