"""Whether the other end is heard (reference/core/hearing.py): what the user is told of a silence."""

from __future__ import annotations

from reference.core.agreement import Path
from reference.core.effects import Effect, Tell
from reference.core.hearing import UNHEARD, Hearing
from reference.core.line import Alarm
from reference.core.timers import Timers


class Listener:
    """A hearing with its alarm, and a clock turned by hand; the setup was at 0."""

    def __init__(self) -> None:
        """Begin."""
        self.timers: Timers[Alarm] = Timers()
        self.hearing = Hearing(self.timers)
        self.hearing.start(0.0)

    def until(self, now: float) -> list[Effect]:
        """Let the alarm ring whenever it is due, at most ten times a second; return what is told."""
        told: list[Effect] = []
        for _ in range(int(now * 10) + 1):
            at = self.timers.next()
            if at is None or at > now:
                return told
            assert [Alarm.UNHEARD] == self.timers.due(at)
            told += self.hearing.alarm(at)
        raise AssertionError("the alarm rings for ever")


def test_a_silence_is_told_once() -> None:
    """Nothing is told before its time, then one event, and none after it however long it lasts."""
    one = Listener()
    one.hearing.listen(1.0)
    assert [] == one.until(1.0 + UNHEARD - 0.01)
    assert [Tell("unheard", {"seconds": UNHEARD})] == one.until(100.0)
    assert None is one.timers.next()
    assert [] == one.hearing.alarm(101.0)


def test_a_word_puts_the_silence_off() -> None:
    """While a word comes within the time nothing is told; the time runs from the last one."""
    one = Listener()
    one.hearing.listen(0.0)
    assert [Tell("heard", {"path": Path.DIRECT, "after": 0.5})] == one.hearing.heard(Path.DIRECT, 0.5)
    for tenth in range(6, 100):
        assert [] == one.until(tenth / 10)
        assert [] == one.hearing.heard(Path.RELAY, tenth / 10)
    assert [] == one.until(9.9 + UNHEARD - 0.01)
    assert [Tell("unheard", {"seconds": UNHEARD})] == one.until(9.9 + UNHEARD)


def test_the_first_word_behind_a_silence_is_told() -> None:
    """It says how long nothing was heard, and the next silence is told again."""
    one = Listener()
    one.hearing.heard(Path.RELAY, 0.5)
    one.hearing.listen(1.0)
    one.until(20.0)
    again = Tell("heard again", {"path": Path.RELAY, "seconds": 19.0})
    assert [again] == one.hearing.heard(Path.RELAY, 20.0)
    assert [] == one.hearing.heard(Path.RELAY, 20.1)
    assert [Tell("unheard", {"seconds": UNHEARD})] == one.until(30.0)


def test_a_first_word_that_comes_late_is_a_first_word() -> None:
    """Who was never heard is not heard again; the event says how long it took."""
    one = Listener()
    one.hearing.listen(0.2)
    assert [Tell("unheard", {"seconds": UNHEARD})] == one.until(10.0)
    assert [Tell("heard", {"path": Path.RELAY, "after": 10.0})] == one.hearing.heard(Path.RELAY, 10.0)
    assert [Tell("unheard", {"seconds": UNHEARD})] == one.until(20.0)


def test_nothing_is_expected_before_both_ends_can_speak() -> None:
    """Without a path there is no alarm, one that rings says nothing, and words are told as ever."""
    one = Listener()
    assert (None, []) == (one.timers.next(), one.hearing.alarm(50.0))
    assert 1 == len(one.hearing.heard(Path.DIRECT, 60.0))
    one.hearing.listen(61.0)
    one.hearing.listen(63.0)
    assert 61.0 + UNHEARD == one.timers.next()
