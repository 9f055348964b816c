"""Timers: one deadline a key, fired in order, and a heap that does not grow."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reference.core.timers import Timers


def test_deadlines_fire_in_order_and_once() -> None:
    """What is due comes out earliest first, what stands at the same time in the order of setting."""
    timers: Timers[str] = Timers()
    for key, at in (("late", 9.0), ("second", 2.0), ("first", 1.0), ("with second", 2.0)):
        timers.set(key, at)
    assert 1.0 == timers.next()
    assert ["first", "second", "with second"] == timers.due(2.0)
    assert [] == timers.due(2.0)
    assert (9.0, 1) == (timers.next(), len(timers))


def test_a_later_setting_replaces_the_earlier() -> None:
    """A key has one deadline, the one that was set last, sooner or later than before."""
    timers: Timers[str] = Timers()
    timers.set("a", 1.0)
    timers.set("a", 5.0)
    timers.set("b", 5.0)
    timers.set("b", 1.0)
    assert ["b"] == timers.due(4.0)
    assert ["a"] == timers.due(5.0)


def test_a_cancelled_deadline_does_not_fire() -> None:
    """Cancelling forgets a deadline, and a key without one may be cancelled too."""
    timers: Timers[str] = Timers()
    timers.set("a", 1.0)
    timers.cancel("a")
    timers.cancel("b")
    assert (None, 0, []) == (timers.next(), len(timers), timers.due(9.0))


def test_clear_forgets_everything() -> None:
    """After clear there is nothing to wait for."""
    timers: Timers[int] = Timers()
    for key in range(5):
        timers.set(key, float(key))
    timers.clear()
    assert (None, 0) == (timers.next(), len(timers))


def test_cancelled_entries_do_not_pile_up() -> None:
    """Setting and cancelling for ever keeps the heap small."""
    timers: Timers[int] = Timers()
    for key in range(10_000):
        timers.set(key, 1e9)
        timers.cancel(key)
        assert len(timers._heap) < 100


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["set", "cancel", "due"]), st.integers(0, 5), st.integers(0, 20))))
def test_timers_are_a_dictionary_in_order(history: list[tuple[str, int, int]]) -> None:
    """Whatever is set, cancelled and taken out, the answers are those of a sorted dictionary."""
    timers: Timers[int] = Timers()
    model: dict[int, float] = {}
    for verb, key, at in history:
        if verb == "set":
            timers.set(key, at)
            model[key] = at
        elif verb == "cancel":
            timers.cancel(key)
            model.pop(key, None)
        else:
            due = timers.due(at)
            assert {one for one, when in model.items() if when <= at} == set(due)
            assert sorted(model[one] for one in due) == [model.pop(one) for one in due]
        assert min(model.values(), default=None) == timers.next()
        assert len(model) == len(timers)
