"""Metrics: what the core does is counted, and every name is on its page and on the dashboard."""

from __future__ import annotations

import asyncio
import json
import re

import structlog

from reference.core.effects import Log
from reference.core.errors import HangupReason
from reference.core.messages import AcceptMode, DirectCallAnswer, Hangup, RegisterPresence
from reference.core.phases import NEWEST
from reference.core.sessions import Limits, Setting
from reference.endpoint import Credentials, EndpointLimits
from reference.metrics import REFUSED, Metrics
from reference.switch import Switch
from tests.world import Puppet, World, entropy, identity, offer
from tools import tree
from tools.chapters import tables

PAGE = "docs/how-to/monitor-a-relay.md"
DASHBOARD = "deploy/grafana-dashboard.json"
NAME = re.compile(r"\b(?:directcall|process)_[a-z_]+")
KINDS = {"counter": "_total", "info": "_info"}
"""What a name has at its end when it is served."""


def exported() -> dict[str, tuple[str, str, str]]:
    """Return what a running relay serves: kind, labels and meaning of each metric, by its name."""

    async def served() -> dict[str, tuple[str, str, str]]:
        switch = Switch(Setting(identity("relay"), ""), NEWEST, structlog.stdlib.get_logger())
        credentials = Credentials.from_private_seed(bytes(32))
        await switch.open("127.0.0.1", 0, credentials, EndpointLimits())
        try:
            every_label(switch.metrics)
            return {
                f"{metric.name}{KINDS.get(metric.type, '')}": (
                    metric.type,
                    ", ".join(sorted({label for one in metric.samples for label in one.labels} - {"le"})),
                    metric.documentation,
                )
                for metric in switch.metrics.registry.collect()
            }
        finally:
            await switch.shutdown()

    return asyncio.run(served())


def every_label(metrics: Metrics) -> None:
    """Count something of every kind, so that every label is there to be seen."""
    for event in (*REFUSED, "datagrams_dropped", "closed", "ignored", "bad", "something else"):
        metrics.count(event, "a reason")
    metrics.authentications.labels("confirmed").inc()


def text(path: str) -> str:
    """Return a file of the tree."""
    return (tree.ROOT / path).read_text(encoding="utf-8")


def documented() -> dict[str, tuple[str, str, str]]:
    """Return the rows of the page: kind, labels and meaning, by name."""
    rows = (row for table in tables(text(PAGE)) if table.header[0] == "name" for row in table.rows)
    plain = ([cell.replace("`", "").replace("–", "") for cell in row] for row in rows)
    return {name: (kind, labels, what) for name, kind, labels, what in plain}


def test_every_metric_is_on_the_page() -> None:
    """The table of the page is what a relay serves: names, kinds, labels and meanings."""
    served, page = exported(), documented()
    ours = {name: row for name, row in served.items() if name.startswith("directcall_")}
    assert ours == {name: row for name, row in page.items() if name.startswith("directcall_")}
    assert set() == set(served) - set(page)


def test_the_dashboard_shows_every_metric() -> None:
    """Each expression of the dashboard names metrics that exist, and all of ours are somewhere on it."""
    board = json.loads(text(DASHBOARD))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    shown = {name.removesuffix("_bucket") for query in queries for name in NAME.findall(query)}
    assert queries
    assert set() == shown - set(documented())
    assert {name for name in exported() if name.startswith("directcall_")} <= shown
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_panel_says_what_it_shows() -> None:
    """A panel has a title and a description for whoever is woken by it."""
    panels = [panel for panel in json.loads(text(DASHBOARD))["panels"] if panel["type"] != "row"]
    assert [] == [panel for panel in panels if not panel["title"] or not panel["description"]]


def followed(world: World) -> tuple[Metrics, dict[str, float]]:
    """Return metrics that have seen all that the relay of a world told, and what they counted."""
    metrics = Metrics()
    for event in world.logged:
        metrics.follow(event)
    return metrics, metrics.totals()


def called(world: World, name: str) -> tuple[Puppet, Puppet]:
    """Let two people of their own call each other; the call rings."""
    caller, callee = world.puppet(f"caller of {name}"), world.puppet(f"callee of {name}")
    caller.says(offer(caller.identity, callee.identity, name))
    return caller, callee


def test_calls_are_counted_by_what_ended_them() -> None:
    """Each of five calls ends in another way; two were set up, and nothing is remembered of any."""
    world = World(limits=Limits(ring_timeout=20.0))
    hung_up, lost = called(world, "hangup"), called(world, "loss")
    for name, (_, callee) in (("hangup", hung_up), ("loss", lost)):
        callee.says(DirectCallAnswer(call_id=name, accept_mode=AcceptMode.ACCEPT_TRUSTED))
    hung_up[0].says(Hangup(reason=HangupReason.NORMAL))
    lost[1].leaves()
    called(world, "reject")[1].says(DirectCallAnswer(call_id="reject", accept_mode=AcceptMode.REJECT))
    called(world, "timeout")
    world.advance(20.0)
    called(world, "shutdown")
    world.relay_does(world.relay.shutdown())
    metrics, totals = followed(world)
    assert 5 == totals["calls_placed_total"]
    ended = {name.rpartition("/")[2]: number for name, number in totals.items() if "calls_ended" in name}
    assert dict.fromkeys(("hangup", "loss", "reject", "timeout", "shutdown"), 1.0) == ended
    assert 2 == metrics.registry.get_sample_value("directcall_call_setup_seconds_count")
    assert {} == metrics._began


def test_calls_that_live_are_shown_by_state() -> None:
    """A Ringing and an Active call are one each, as the states of the table are called."""
    world = World()
    called(world, "c1")
    _, callee = called(world, "c2")
    callee.says(DirectCallAnswer(call_id="c2", accept_mode=AcceptMode.ACCEPT_TRUSTED))
    metrics = Metrics()
    metrics.watch(world.relay, lambda: {"connections": 4}, "0")
    live = {
        state: metrics.registry.get_sample_value("directcall_calls", {"state": state})
        for state in ("pending", "ringing", "active")
    }
    assert {"pending": 0.0, "ringing": 1.0, "active": 1.0} == live
    assert 0 == metrics.registry.get_sample_value("directcall_draining")
    world.relay_does(world.relay.drain(world.now))
    assert 1 == metrics.registry.get_sample_value("directcall_draining")


def test_refusals_are_counted_with_their_reasons() -> None:
    """An offer to nobody and a wrong registration are refusals of their kind, by reasons without values."""
    world = World()
    alice = world.puppet("alice")
    alice.says(offer(alice.identity, identity("nobody"), "c1"))
    eve = world.puppet("eve", registered=False)
    eve.says(RegisterPresence(identity_pub=eve.identity.public, signature=bytes(64)))
    metrics = Metrics()
    for (event, reason), number in world.counted.items():
        for _ in range(number):
            metrics.count(event, reason)
    assert {
        "refusals_total/offer/Error": 1.0,
        "refusals_total/registration/the signature is wrong": 1.0,
    }.items() <= metrics.totals().items()


def test_what_has_no_metric_of_its_own_is_an_event() -> None:
    """A counter of the core that nobody has thought of yet is not lost."""
    metrics = Metrics()
    metrics.count("links_lost", "time-out")
    metrics.follow(Log("registered", {"fingerprint": entropy("x")(1).hex()}))
    assert 1 == metrics.totals()["events_total/links_lost/time-out"]
