"""Tests of adapters that lie: each ends in the right status, with a sentence about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance import adapter_check, clients, runner
from conformance.clients import ClientTarget
from conformance.report import Run
from conformance.runner import Order
from conformance.verdicts import Exit, TargetFaultError, UsageError, Verdict

LIAR = Path(__file__).with_name("liar.py")
IMPATIENT = 0.02
"""The scale of every patience for who does not answer however long one waits."""


def target(lie: str) -> str:
    """Return the target of an adapter that lies so."""
    return f"exec:{sys.executable} {LIAR} {lie}"


def judged(lie: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Judge a liar by one requirement."""
    monkeypatch.setattr(clients, "STOPPING", 0.5)
    order = Order(target(lie), only=("REG-1",), role="client", slow=IMPATIENT if lie == "hang" else 1.0)
    return runner.perform(order)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("crash", "the adapter closed its end"),
        ("crash_later", "out of ink"),
        ("hang", "did not answer 'hello' within"),
        ("banner", "b'Liar 1.0 ready"),
        ("twice", "waits for no reply"),
        ("disorder", "replied to the request 8, which waits for no reply"),
        ("neither", "the control protocol refuses a reply of it"),
        ("stranger", "'toaster'"),
        ("close", "the adapter closed its end"),
        ("endless", "a line of more than 65536 bytes"),
        ("half", "in the middle of a line"),
        ("flood", "10000 events and more"),
        ("wrong_event", "'fingerprint' is a required property"),
    ],
)
def test_a_lie_is_the_adapters_fault(lie: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that does not keep to the protocol ends the run with status 4 and a sentence about it."""
    done = judged(lie, monkeypatch)
    assert (Exit.BROKE_PROTOCOL, False) == (done.exit_status, done.complete), done.fault
    assert words in done.fault
    assert "\n" not in done.fault


def test_a_client_of_another_phase_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of phase 7 is not asked of a client that says it is of phase 3."""
    done = judged("young", monkeypatch)
    assert Exit.NOT_JUDGED == done.exit_status
    assert "say --phase 3" in done.fault


@pytest.mark.parametrize("lie", ["agree", "split"])
def test_a_client_that_does_nothing_is_not_conformant(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says ok to everything and does nothing is untestable, which is red."""
    done = judged(lie, monkeypatch)
    assert Exit.FAILED == done.exit_status, done.fault
    assert {Verdict.UNTESTABLE} == {one.verdict for one in done.outcomes}


def test_nobody_there_is_said() -> None:
    """A tcp target where nobody listens, and a command that does not exist, are named."""
    done = runner.perform(Order("tcp:127.0.0.1:1", only=("REG-1",), role="client"))
    assert Exit.NOT_JUDGED == done.exit_status
    assert "no adapter answers at 127.0.0.1:1" in done.fault
    done = runner.perform(Order("exec:./no-such-adapter", only=("REG-1",), role="client"))
    assert Exit.NOT_JUDGED == done.exit_status
    assert "./no-such-adapter" in done.fault


@pytest.mark.parametrize("text", ["udp:127.0.0.1:4433", "exec:", "mutant:", "tcp:here", "client"])
def test_no_target_is_refused(text: str) -> None:
    """What is no client's target is a usage error that names it."""
    with pytest.raises(UsageError, match=r"no client|'here' where HOST:PORT|no address"):
        ClientTarget(text)


def test_the_check_of_an_adapter_finds_the_lie() -> None:
    """`adapter check` says of a client that only says ok what it does not do, and goes through all probes."""
    found: list[adapter_check.Found] = []
    status = adapter_check.run(ClientTarget(target("agree"), slow=1.0), slow=0.2, told=found.append)
    assert Exit.BROKE_PROTOCOL == status
    assert len(adapter_check.PROBES) == len(found)
    assert "" == found[0].fault
    assert any("'pirouette'" in one.fault for one in found)


def test_a_liar_is_told_apart_before_the_check() -> None:
    """`adapter check` of what does not even greet is the adapter's fault."""
    with pytest.raises(TargetFaultError, match="closed its end"):
        adapter_check.run(ClientTarget(target("crash"), slow=1.0), slow=0.2, told=lambda _: None)
