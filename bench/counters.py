"""What a relay has counted, by the names under which it serves it (docs/how-to/monitor-a-relay.md).

No other file here knows these names. A name is that of the metric without what all have in common, and the
values of its labels, what it is in front of why: `refusals/offer/Busy`.
"""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from bench.process import Measured

PREFIX = "directcall_"
FORWARDED = "datagrams_forwarded"
BYTES = "forwarded_bytes"
DROPPED = "datagrams_dropped"
PLACED = "calls_placed"
ENDED = "calls_ended"
CLOSED = "connections_closed"
IGNORED = "messages_ignored"
REFUSED = "refusals"
WHAT = ("event", "what")
"""The labels that tell what is counted; others tell why."""


def read(text: str) -> dict[str, int]:
    """Return every counter of a page of metrics that is not zero."""
    found: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        if family.type != "counter" or not family.name.startswith(PREFIX):
            continue
        for sample in family.samples:
            labels = sorted(sample.labels.items(), key=lambda one: (one[0] not in WHAT, one))
            if sample.value and sample.name.endswith("_total"):
                name = "/".join((family.name.removeprefix(PREFIX), *(value for _, value in labels)))
                found[name] = int(sample.value)
    return found


def since(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Return what was counted between two readings."""
    grown = {name: value - before.get(name, 0) for name, value in now.items()}
    return {name: value for name, value in grown.items() if value}


async def counted(relay: Measured) -> dict[str, int]:
    """Return what a relay has counted so far."""
    return read(await relay.page())
