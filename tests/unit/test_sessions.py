"""Sessions: what a connection uses up, and the limits it has by default."""

from __future__ import annotations

from reference.core.sessions import MINUTE, Limits, Service, Session
from tools.chapters import table


def session(limits: Limits | None = None) -> Session:
    """Return a fresh signal connection."""
    return Session(Service.SIGNAL, "198.51.100.1:5000", limits or Limits())


def test_the_default_limits_are_those_of_the_chapter() -> None:
    """The numbers of spec/errors.md are the defaults of the machine."""
    rows = {limit: default for limit, default, _ in table("errors", "limit", "default").rows}
    limits = Limits()
    assert {
        "time to register": f"{limits.register_timeout:.0f} s",
        "time to send CallOffer": f"{limits.media_timeout:.0f} s",
        "time to answer a call": f"{limits.ring_timeout:.0f} s",
        "time to say hello on a link": f"{limits.hello_timeout:.0f} s",
        "time for a relay to say that it rings": f"{limits.search_timeout:.0f} s",
        "offers on a link": (
            f"{limits.link_offers_burst:,}, refilled by {limits.link_offers_per_second:,.0f} a second"
        ),
        "live calls of a fingerprint": f"{limits.calls}",
        "offers of a connection": (
            f"{limits.offers_burst}, refilled by {limits.offers_per_second:.0f} a second"
        ),
        "reflections of a connection": (
            f"{limits.reflections_burst}, refilled by {limits.reflections_per_second:.0f} a second"
        ),
        "bad messages and frames of a connection": f"{limits.bad_messages} a minute",
    }.items() <= rows.items()


def test_offers_come_in_a_burst_and_then_at_a_rate() -> None:
    """Three at once are let through, then one every half second, however long the pause before."""
    one = session(Limits(offers_burst=3, offers_per_second=2.0))
    for start in (0.0, 100.0):
        assert [True, True, True, False, False] == [one.may_offer(start) for _ in range(5)]
        assert [False, True, False, True] == [one.may_offer(start + at) for at in (0.25, 0.5, 0.75, 1.0)]


def test_reflections_come_in_a_burst_and_then_at_a_rate() -> None:
    """Reflections have an allowance of their own, which offers do not use up (REFL-5)."""
    one = session(Limits(offers_burst=1, reflections_burst=2, reflections_per_second=4.0))
    assert one.may_offer(0.0)
    assert [True, True, False] == [one.may_reflect(0.0) for _ in range(3)]
    assert [False, True, False] == [one.may_reflect(at) for at in (0.125, 0.25, 0.375)]
    assert not one.may_offer(0.0)


def test_a_refused_offer_costs_nothing() -> None:
    """A flood does not keep its sender out any longer than a burst does."""
    one = session(Limits(offers_burst=1, offers_per_second=1.0))
    assert 1 == sum(one.may_offer(0.0) for _ in range(1000))
    assert one.may_offer(1.0)


def test_a_minute_has_so_many_bad_messages_and_no_more() -> None:
    """The bad message beyond the limit within a minute is one too many; old ones are forgotten."""
    one = session(Limits(bad_messages=3))
    assert [False, False, False] == [one.one_bad_too_many(at) for at in (0.0, 10.0, 20.0)]
    assert one.one_bad_too_many(MINUTE)
    assert not one.one_bad_too_many(MINUTE + 10.5)


def test_the_memory_of_bad_messages_is_bounded() -> None:
    """However long a connection misbehaves slowly, no more is remembered than a minute holds."""
    one = session()
    for at in range(10_000):
        assert not one.one_bad_too_many(at * 1.001)
    assert len(one.bad) <= 60
