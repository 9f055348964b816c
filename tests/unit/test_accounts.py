"""The accounts of a soak (bench/accounts.py): what adds up, and that nothing else does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bench import counters
from bench.accounts import SOUND, TAG, Story, Tally, balanced
from bench.soak import flat

HERE, AWAY = "north", "south"
NAMED = ("north", "north"), ("north", "south"), ("south", "north"), ("south", "south")
PAGE = """\
# HELP directcall_refusals_total Offers, registrations and rooms refused
# TYPE directcall_refusals_total counter
directcall_refusals_total{reason="Busy",what="offer"} 2.0
directcall_refusals_total{reason="Error",what="offer"} 0.0
# HELP directcall_calls_placed_total Calls that began
# TYPE directcall_calls_placed_total counter
directcall_calls_placed_total 7.0
# HELP directcall_rooms Rooms, now
# TYPE directcall_rooms gauge
directcall_rooms 3.0
# HELP process_cpu_seconds_total Time
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
"""


def told(*, touched: int = 0, given_up: int = 0, lost: int = 0) -> Story:
    """Return what clients know of ten calls each way, with five datagrams from each end, and of odd ones."""
    calls = {}
    for ends in NAMED:
        odd = (touched, lost) if len(set(ends)) > 1 else (0, 0)
        placed = 10 + given_up + odd[0]
        calls[ends] = Tally(placed, 10, given_up, odd[0], 50, 50, odd[1])
    return Story(calls, {HERE: 44, AWAY: 44}, 1 if touched else 0)


def counted(**more: int) -> dict[str, int]:
    """Return what a relay counts of ten calls within it and twenty with the other one, and so much more."""
    media = SOUND * 300 + TAG * 100
    found = {
        "calls_placed": 30,
        "calls_ended/hangup": 30,
        "connections_closed/call_ended": 40,
        "datagrams_forwarded": 300,
        "forwarded_bytes": media,
    }
    for name, value in more.items():
        found[name] = found.get(name, 0) + value
    return found


def failing(counts: Mapping[str, int], story: Story, **logged: int) -> set[str]:
    """Return the accounts that do not add up."""
    log = {"registered": 44, "link.up": 1 + story.cuts, "link.down": story.cuts, **logged}
    return {account.what for account in balanced(HERE, counts, log, story) if not account.holds}


def test_what_clients_did_explains_what_a_relay_counted() -> None:
    """Without a cut every account is exact, and all of them hold."""
    accounts = balanced(HERE, counted(), {"registered": 44, "link.up": 1}, told())
    assert [] == [account for account in accounts if not account.holds or account.least != account.most]
    assert {0, 1, 30, 40, 44, 300, SOUND * 300 + TAG * 100} == {account.counted for account in accounts}


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("calls_placed", {"calls that began", "calls hung up"}),
        ("calls_ended/hangup", {"calls hung up"}),
        ("connections_closed/call_ended", {"seats cleared"}),
        ("datagrams_forwarded", {"datagrams handed on"}),
        ("forwarded_bytes", {"bytes handed on"}),
    ],
)
def test_one_more_or_less_is_noticed(name: str, what: set[str], by: int) -> None:
    """A counter that is off by one fails its account."""
    assert what == failing(counted(**{name: by}), told())


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("calls_ended/loss", {"calls ended by a loss", "calls hung up"}),
        ("calls_ended/shutdown", {"anything else"}),
        ("datagrams_dropped/alone", {"datagrams dropped"}),
        ("refusals/offer/Error", {"offers refused", "calls that began"}),
        ("refusals/offer/Busy", {"anything else"}),
        ("refusals/room/not admitted", {"rooms refused"}),
        ("connections_closed/replaced", {"links replaced"}),
        ("connections_closed/too_slow", {"anything else"}),
        ("messages_ignored/Hangup", {"messages for calls that were over"}),
        ("messages_bad/Malformed", {"anything else"}),
        ("events/never heard of", {"anything else"}),
    ],
)
def test_what_nobody_caused_is_noticed(name: str, what: set[str]) -> None:
    """A counter that should be zero fails an account, also one that nobody has heard of."""
    assert what == failing(counted(**{name: 1}), told())


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ("registered", "registrations"),
        ("link.up", "links that came up"),
        ("link.down", "links that went down"),
    ],
)
def test_the_log_is_held_against_the_story(event: str, what: str) -> None:
    """Registrations and links are those of the log."""
    assert {what} == failing(counted(), told(), **{event: 99})


def test_a_cut_widens_what_is_explained_and_no_more() -> None:
    """Calls that a cut touched may have been counted or not; beyond them nothing may."""
    story = told(touched=3, lost=4)
    refused = {"refusals/offer/Error": 2, "calls_ended/loss": 4}
    assert set() == failing(
        counted(**refused, calls_placed=4, datagrams_forwarded=8, datagrams_dropped=8), story
    )
    assert {"datagrams handed on"} == failing(
        counted(**refused, calls_placed=4, datagrams_forwarded=9), story
    )
    assert {"calls that began"} == failing(
        counted(**refused, calls_placed=5, **{"calls_ended/hangup": 1}), story
    )


def test_a_call_that_is_given_up_is_counted_with_its_late_messages() -> None:
    """It begins and ends at each of its relays, and what crosses its end is explained by it."""
    late = {"messages_ignored/DirectCallAnswer": 4, "connections_closed/not_admitted": 3}
    more = {"calls_placed": 3, "calls_ended/hangup": 3, "refusals/room/not admitted": 3, **late}
    assert set() == failing(counted(**more), told(given_up=1))


def test_a_page_of_metrics_is_read_by_what_and_why() -> None:
    """Counters of the relay that are not zero are named by what they count, and then why."""
    assert {"refusals/offer/Busy": 2, "calls_placed": 7} == counters.read(PAGE)


def test_only_what_has_grown_was_counted_since() -> None:
    """Between two readings what stayed the same is left out."""
    assert {"b": 2, "c": 1} == counters.since({"a": 1, "b": 3, "c": 1}, {"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("memory", "holds"),
    [
        ([50, 80, 100, 100, 100, 100, 100, 100], True),
        ([50, 60, 70, 80, 90, 100, 110, 120], False),
        ([100], True),
    ],
)
def test_memory_is_flat_when_the_last_quarter_is_as_the_third(memory: list[int], holds: bool) -> None:  # noqa: FBT001
    """What a relay needs at first does not count, and what it goes on needing does."""
    assert holds == flat(HERE, [size << 20 for size in memory]).holds
