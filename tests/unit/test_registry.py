"""Registry: live calls by call_id and by party, and nothing else."""

from __future__ import annotations

import pytest

from reference.core.call import Call
from reference.core.errors import Misuse
from reference.core.registry import Registry
from tests.world import identity, offer

ALICE, BOB, CAROL = (identity(name) for name in ("alice", "bob", "carol"))


def call(call_id: str, caller: str = ALICE.fingerprint, callee: str = BOB.fingerprint) -> Call:
    """Return a call between two fingerprints."""
    return Call(call_id, caller, callee, offer(ALICE, BOB, call_id))


def test_a_call_is_found_by_its_id_and_by_both_parties() -> None:
    """The same call is found three ways, and by nobody else's fingerprint."""
    registry = Registry()
    one = call("c1")
    registry.add(one)
    assert one is registry.get("c1")
    assert [[one], [one], []] == [registry.of(who.fingerprint) for who in (ALICE, BOB, CAROL)]
    assert [1, 1, 0] == [registry.count(who.fingerprint) for who in (ALICE, BOB, CAROL)]


def test_calls_come_oldest_first() -> None:
    """All calls, and those of a party, are in the order in which they were added."""
    registry = Registry()
    calls = [call("c2"), call("c1", CAROL.fingerprint), call("c3")]
    for one in calls:
        registry.add(one)
    assert calls == list(registry)
    assert [calls[0], calls[2]] == registry.of(ALICE.fingerprint)


def test_a_live_call_id_is_not_added_twice() -> None:
    """A second call of a live call_id is a mistake of the caller of the function, and changes nothing."""
    registry = Registry()
    one = call("c1")
    registry.add(one)
    with pytest.raises(Misuse, match="c1"):
        registry.add(call("c1", CAROL.fingerprint))
    assert [one] == list(registry)
    assert 0 == registry.count(CAROL.fingerprint)


def test_a_removed_call_leaves_nothing() -> None:
    """After its removal a call_id may be used again, and no empty table of a party is kept."""
    registry = Registry()
    one, two = call("c1"), call("c2")
    for each in (one, two):
        registry.add(each)
    for each in registry:  # removing meanwhile is safe
        registry.remove(each)
    assert (0, {}) == (len(registry), registry._of)
    registry.add(one)
    assert one is registry.get("c1")
