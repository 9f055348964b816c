"""The playout buffer (spec/media.md; reference/core/playout.py): order, holes, stalls, bounds, counters."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.core.errors import Misuse
from reference.core.playout import WINDOW, Played, Playout

WAITING = Played(None, concealed=False, started=False)
HOLE = Played(None, concealed=True, started=True)


def put(playout: Playout, *numbers: int) -> None:
    """Insert packets whose payload and timestamp follow from their number."""
    for number in numbers:
        playout.insert(number % 0x10000, number * 20, str(number).encode())


def frame(number: int) -> Played:
    """What the packet of `put` plays as."""
    return Played(str(number).encode(), concealed=False, started=True, timestamp=number * 20)


def drain(playout: Playout, times: int) -> list[Played]:
    """Take so many frames in a row."""
    return [playout.take() for _ in range(times)]


def heard(frames: Iterable[Played]) -> list[int]:
    """The numbers of the packets that were played."""
    return [int(each.payload) for each in frames if each.payload is not None]


def shift(extended: int, near: int) -> int:
    """The number of `put` for an extended one, which begins at 16 bits of the first."""
    return near + (extended - near + 0x8000) % 0x10000 - 0x8000


def run(playout: Playout, arrivals: Iterable[Iterable[int]]) -> list[Played]:
    """Insert what arrives in each 20 ms, and take one frame after each."""
    frames = []
    for numbers in arrivals:
        put(playout, *numbers)
        frames.append(playout.take())
    return frames


def test_waits_for_depth() -> None:
    """Nothing plays and nothing is concealed before the depth is held."""
    playout = Playout(depth_frames=3)
    frames = run(playout, [[], [0], [1], [2], [3]])
    assert [WAITING, WAITING, WAITING, frame(0), frame(1)] == frames


def test_starts_with_less_after_as_long() -> None:
    """A sender of fewer packets than the depth is heard after the time that the depth takes."""
    playout = Playout(depth_frames=3)
    assert [WAITING, WAITING, WAITING, frame(7)] == run(playout, [[7], [], [], []])


def test_reorders() -> None:
    """Packets that overtook each other are played in the order of their numbers, the first ones too."""
    playout = Playout()
    put(playout, 2, 0, 1, 4, 3)
    assert [frame(number) for number in range(5)] == drain(playout, 5)


def test_hole_is_concealed_and_lost() -> None:
    """A missing packet is concealed once, and counted as lost when it is passed and not before."""
    playout = Playout()
    put(playout, 0, 2)
    assert [frame(0)] == drain(playout, 1)
    assert 0 == playout.lost
    assert [HOLE, frame(2)] == drain(playout, 2)
    assert (1, 2) == (playout.lost, playout.played)
    assert pytest.approx(1 / 3) == playout.loss


def test_loss_of_nothing_is_zero() -> None:
    """Before any frame was due, the loss is 0."""
    assert 0.0 == Playout().loss


def test_late_is_dropped() -> None:
    """A packet whose hole was passed is late, and a second copy of it is a duplicate."""
    playout = Playout()
    put(playout, 0, 2, 3)
    assert [0] == heard(drain(playout, 2))
    put(playout, 1, 1)
    assert [2, 3] == heard(drain(playout, 3))
    assert (5, 1, 1, 1) == (playout.received, playout.lost, playout.late, playout.duplicate)


def test_duplicate_is_dropped() -> None:
    """A second copy is dropped whether the first still waits or was played."""
    playout = Playout()
    put(playout, 0, 1, 1, 2)
    assert [0, 1] == heard(drain(playout, 2))
    put(playout, 1)
    assert [2] == heard(drain(playout, 2))
    assert (5, 2, 0, 0) == (playout.received, playout.duplicate, playout.late, playout.lost)


def test_wraps_around() -> None:
    """After 65535 comes 0, also when they overtake each other."""
    playout = Playout()
    put(playout, 65534, 65536, 65535, 65538, 65537)
    assert [65534, 65535, 65536, 65537, 65538] == heard(drain(playout, 6))
    assert 0 == playout.lost


def test_several_wraps() -> None:
    """A long call passes the end of the numbers again and again without a loss."""
    playout = Playout()
    frames = run(playout, ([number] for number in range(3 * 65536)))
    assert list(range(3 * 65536 - 2)) == heard(frames)
    assert (0, 0, 0) == (playout.lost, playout.dropped, playout.late)


def test_pause_loses_nothing() -> None:
    """When the sender pauses, frames are concealed, and what follows plays once the depth is held."""
    playout = Playout()
    frames = run(playout, [[0], [1], [2], *([] for _ in range(200)), [3], [4], [5], [6], [7], [], []])
    assert list(range(8)) == heard(frames)
    assert (0, 0) == (playout.lost, playout.dropped)
    assert [frame(2), *[HOLE] * 200, frame(3)] == frames[4:206]


def test_stall_shifts_nothing() -> None:
    """After packets came late all at once, each later packet plays when it would have without the stall."""
    burst = [[0], [1], [2], [3], *([] for _ in range(10)), list(range(4, 15)), *([n] for n in range(15, 40))]
    even = run(Playout(), ([number] for number in range(40)))
    playout = Playout()
    frames = run(playout, burst)
    assert even[14:] == frames[14:]
    assert (0, 15 - 3 - 4) == (playout.lost, playout.dropped)


def test_stall_in_parts_shifts_nothing() -> None:
    """The same holds when the late packets come in several bursts."""
    parts = [[4, 5, 6], [7, 8, 9, 10], [11, 12, 13, 14, 15, 16]]
    stalled = [[0], [1], [2], [3], *([] for _ in range(10)), *parts, *([n] for n in range(17, 40))]
    even = run(Playout(), ([number] for number in range(40)))
    frames = run(Playout(), stalled)
    assert even[16:] == frames[16:]


def test_outage_counts_as_lost_and_shifts_nothing() -> None:
    """Packets lost in a long outage are counted, and the first ones after it play at their time."""
    even = run(Playout(), ([number] for number in range(140)))
    playout = Playout()
    frames = run(playout, ([] if 10 <= number < 110 else [number] for number in range(140)))
    assert even[112:] == frames[112:]
    assert (100, 0) == (playout.lost, playout.dropped)


@pytest.mark.parametrize(
    ("resumed", "even"),
    [(range(10, 21), 5), (range(18, 21), 5), (range(10, 11), WINDOW + 10)],
    ids=["after a stall", "after an outage", "long after a pause"],
)
def test_time_is_made_up_for_once(resumed: range, even: int) -> None:
    """Once a stall is made up for, or over for a window, two packets that come early cost no frame."""
    playout = Playout()
    run(playout, [*([number] for number in range(10)), *([] for _ in range(10)), resumed])
    after = resumed.stop + even
    run(playout, ([number] for number in range(resumed.stop, after)))
    dropped = playout.dropped
    frames = run(playout, [range(after, after + 3), *([number] for number in range(after + 3, after + 20))])
    assert dropped == playout.dropped
    numbers = heard(frames)
    assert list(range(numbers[0], numbers[0] + 18)) == numbers


def test_standing_delay_is_cut_back() -> None:
    """A delay of more than twice the depth that stands for a window is cut back to the depth."""
    playout = Playout(depth_frames=3)
    put(playout, *range(20))
    frames = run(playout, ([20 + tick] for tick in range(2 * WINDOW)))
    assert [20 + 2 * WINDOW - 3] == heard(frames[-1:])
    assert (0, 18) == (playout.lost, playout.dropped)


def test_small_delay_is_left() -> None:
    """A delay of up to twice the depth is jitter, and no frame is dropped for it."""
    playout = Playout(depth_frames=3)
    put(playout, *range(5))
    frames = run(playout, ([5 + tick] for tick in range(4 * WINDOW)))
    assert list(range(4 * WINDOW)) == heard(frames)


def test_fast_sender_is_followed() -> None:
    """A sender whose clock runs 10 % fast never fills the buffer: what is held stays near the depth."""
    playout = Playout(depth_frames=3)
    frames = run(playout, (range(tick * 11 // 10, (tick + 1) * 11 // 10) for tick in range(2000)))
    # Twice the depth is tolerated; a window brings 5 more, and may begin just below what is tolerated.
    assert 2199 - heard(frames)[-1] <= 2 * 3 + 2 * 5
    assert 0 == playout.lost


def test_capacity_drops_the_oldest() -> None:
    """No more than the capacity is held: the oldest give way and are counted."""
    playout = Playout(depth_frames=1, capacity=8)
    put(playout, *range(20))
    assert list(range(12, 20)) == heard(drain(playout, 10))
    assert (20, 12, 0) == (playout.received, playout.dropped, playout.lost)


def test_leap_begins_anew() -> None:
    """A leap beyond the capacity is lost at once, not concealed frame by frame."""
    playout = Playout()
    put(playout, 0, 1, 2)
    assert [0] == heard(drain(playout, 1))
    assert [HOLE, HOLE, frame(500), frame(501)] == run(playout, [[500], [501], [502], [503]])
    assert (497, 2) == (playout.lost, playout.dropped)


@pytest.mark.parametrize("stray", [40000, 5000])
def test_one_stray_packet_changes_nothing(stray: int) -> None:
    """A single packet far from the others is dropped, and the others play on."""
    playout = Playout()
    put(playout, 0, 1, stray, 2)
    assert [0, 1, 2] == heard(drain(playout, 3))
    assert (4, 1, 0) == (playout.received, playout.dropped, playout.lost)


@pytest.mark.parametrize("origin", [40000, 5000, 10])
def test_sender_that_began_anew_is_followed(origin: int) -> None:
    """Two packets in a row far from the others, ahead or behind, are a new sequence; none of it is lost."""
    playout = Playout()
    assert list(range(1000, 1008)) == heard(run(playout, ([number] for number in range(1000, 1010))))
    frames = run(playout, ([number] for number in range(origin, origin + 10)))
    # The first packet only announces the new sequence, for alone it might have been a stray.
    assert [1008, *range(origin + 1, origin + 8)] == heard(frames)
    assert (0, 2) == (playout.lost, playout.dropped)


def test_new_sequence_owes_nothing() -> None:
    """The wait for a new sequence to begin costs it no frame, even when the rest of it comes in a burst."""
    playout = Playout()
    run(playout, ([number] for number in range(1000, 1010)))
    frames = run(playout, [[40000, 40001], [], range(40002, 40009), *([] for _ in range(10))])
    assert list(range(40001, 40009)) == heard(frames)


@pytest.mark.parametrize(("depth", "capacity"), [(0, 64), (65, 64), (-1, -1), (3, 1001)])
def test_refuses_senseless_bounds(depth: int, capacity: int) -> None:
    """A buffer without depth, or with a depth that does not fit, is our own misuse."""
    with pytest.raises(Misuse, match=str(depth)):
        Playout(depth, capacity)


@pytest.mark.parametrize("seq", [-1, 65536])
def test_refuses_what_is_no_sequence_number(seq: int) -> None:
    """A number that does not fit 16 bits is our own misuse, and is not counted."""
    playout = Playout()
    with pytest.raises(Misuse, match=str(seq)):
        playout.insert(seq, 0, b"")
    assert 0 == playout.received


def test_empty_payload_is_a_payload() -> None:
    """A packet without a payload is played as such, not taken for a hole."""
    playout = Playout(depth_frames=1)
    playout.insert(5, 100, b"")
    assert Played(b"", concealed=False, started=True, timestamp=100) == playout.take()


@given(
    origin=st.integers(0, 0xFFFF),
    copies=st.lists(st.integers(0, 3), min_size=1, max_size=40).filter(any),
    order=st.randoms(use_true_random=False),
)
def test_any_order_plays_each_once(origin: int, copies: list[int], order: Random) -> None:
    """However packets are ordered, lost and doubled, each that came plays once, in order; loss is exact."""
    numbers = [origin + at for at, times in enumerate(copies) for _ in range(times)]
    order.shuffle(numbers)
    playout = Playout()
    put(playout, *numbers)
    came = sorted(set(numbers))
    span = came[-1] - came[0] + 1
    frames = [each for each in drain(playout, span + 4) if each.started]
    expected = [frame(number) if number in came else HOLE for number in range(came[0], came[-1] + 1)]
    assert expected == frames[:span]
    assert [HOLE] * (len(frames) - span) == frames[span:]
    assert (len(numbers), len(came), span - len(came)) == (playout.received, playout.played, playout.lost)
    assert (len(numbers) - len(came), 0, 0) == (playout.duplicate, playout.late, playout.dropped)


@given(
    origin=st.integers(0, 0xFFFF),
    depth=st.integers(1, 5),
    capacity=st.integers(5, 70),
    steps=st.lists(st.one_of(st.none(), st.integers(-12, 90)), max_size=300),
)
def test_every_packet_is_accounted_for(
    origin: int, depth: int, capacity: int, steps: list[int | None]
) -> None:
    """Whatever comes between the takes, output is in order, memory bounded, each packet counted once."""
    playout = Playout(depth, capacity)
    frames, highest, accepted = [], origin, set()
    for step in steps:
        if step is None:
            frames.append(playout.take())
            continue
        refused = playout.late + playout.duplicate
        put(playout, highest + step)
        if playout.late + playout.duplicate == refused:
            accepted.add(highest + step)
        highest = max(highest, highest + step)
        assert len(playout._packets) <= capacity
        assert len(playout._seen) <= 200
    played = heard(frames)
    assert sorted(set(played)) == played
    assert len(played) == playout.played
    assert len(steps) - len(frames) == playout.received
    gone = playout.played + playout.late + playout.duplicate + playout.dropped
    assert playout.received == len(playout._packets) + gone
    # Lost is exactly what never came, from the first that was accepted to the place that playing has reached.
    reached = min(accepted, default=0) if playout._next is None else shift(playout._next, highest)
    assert len(set(range(min(accepted, default=0), reached)) - accepted) == playout.lost


@given(steps=st.lists(st.one_of(st.none(), st.integers(0, 0xFFFF)), max_size=200))
def test_no_sequence_of_numbers_breaks_it(steps: list[int | None]) -> None:
    """Any 16-bit numbers at all leave it within bounds and its counters adding up."""
    playout = Playout(3, 16)
    for step in steps:
        if step is None:
            playout.take()
        else:
            playout.insert(step, 0, b"x")
        held = len(playout._packets)
        assert held <= 16
        out = playout.played + playout.late + playout.duplicate + playout.dropped
        assert playout.received == held + out
        assert 0.0 <= playout.loss <= 1.0
