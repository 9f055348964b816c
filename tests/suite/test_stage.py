"""Tests of conformance/stage.py and of what a dialogue tells of a relay that died."""

from __future__ import annotations

import pytest

from conformance import identity
from conformance.dialogue import FENCES, Dialogue
from conformance.ground import Memory
from conformance.identity import Identity
from conformance.pulse import Pulse
from conformance.puppet import Heard, Puppet
from conformance.stage import Stage
from conformance.targets import Target
from conformance.verdicts import Blocked

NOWHERE = Target("udp:127.0.0.1:9")


@pytest.fixture
def stage() -> Stage:
    """Return a stage around a relay that is not there."""
    return Stage(NOWHERE, NOWHERE.relay("signed"), "seed", slow=1.0, memory=Memory(), phase="7")


@pytest.fixture
def puppet() -> Puppet:
    """Return a puppet without a connection."""
    return Puppet("alice", Identity.named("seed", "alice"), Dialogue(), Pulse(), "7")


def test_what_needs_no_credit_cannot_be_withheld(stage: Stage, puppet: Puppet) -> None:
    """A relay that answers on the stream of a request is blamed for that, not for what comes of it."""
    puppet.inbox.append(Heard(1, "RegisterPresenceAck", {"success": True}))
    stage.withholds(puppet)
    puppet.inbox.append(Heard(4, "Pong", {"timestamp_ms": 1}))
    with pytest.raises(Blocked, match=r"^TRANS-9: the relay answers alice"):
        stage.withholds(puppet)


def test_the_last_that_was_sent_is_no_fence() -> None:
    """What a relay was sent last is told without the Pings by which the suite waits."""
    dialogue = Dialogue()
    assert "" == dialogue.last_sent()
    dialogue.note("alice", "->", identity.ping(FENCES))
    dialogue.note("alice", "<-", {"Pong": {"timestamp_ms": FENCES}})
    assert "" == dialogue.last_sent()
    dialogue.note("alice", "->", identity.ping(1))
    dialogue.note("bob", "->", identity.ping(FENCES + 1))
    assert 'alice -> {"Ping": {"timestamp_ms": 1}}' == dialogue.last_sent()


def test_what_was_sent_last_is_short() -> None:
    """A long message is cut where it is told in a sentence."""
    dialogue = Dialogue()
    dialogue.note("alice", "->", {f"member {number}": "x" * 300 for number in range(30)})
    assert len(dialogue.last_sent()) < 100
