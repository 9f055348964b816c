"""The paths of a call: how long it takes from CallSetup until somebody is heard, directly and by the relay.

Rules of this file: two whole clients in this process, one relay process, all on loopback. In each round there
is a bare QUIC handshake between the very sockets of the two, a call that takes the direct path and a call
through the relay, so that what else the machine does falls on all alike; of several series of rounds the one
counts in which the handshakes were quickest, because there it did least. A handshake is done when both ends
have it, as a call is: the acceptor cannot speak before. A call counts twice, once for each end that hears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from bench import process
from bench.process import BenchError
from bench.report import Report, Row, Verdict
from bench.scenario import RARELY, RELAY_OPTIONS, Size, limited
from bench.talkers import Bare, Talker
from reference.core.addresses import format_address
from reference.core.agreement import Path as Way

TIMES_THE_HANDSHAKE = 1.5
"""How many handshakes a direct path may take from CallSetup to the first word, at the median."""

MILLI = 1e3
DEAD = "127.0.0.1:1"
"""An address at which nobody is: what the acceptor of a dead direct path tells that it has."""

OPTIONS = (*RELAY_OPTIONS, "--max-reflections", "100000")
WARM = 3
"""Rounds before those that count."""

ENOUGH = 20
"""Rounds from which on the ratio is judged."""

DEADLINE = 2.0
"""Seconds after CallSetup at which a direct attempt is given up (spec/race.md)."""


@dataclass(slots=True)
class Times:
    """Seconds: of bare handshakes, and from CallSetup to the first word by each way."""

    bare: list[float] = field(default_factory=list)
    direct: list[float] = field(default_factory=list)
    relay: list[float] = field(default_factory=list)
    fallen_back: list[float] = field(default_factory=list)


async def measured(size: Size, out: Path, told: Callable[[str, int, int], None]) -> Times:
    """Place calls of each kind in series of rounds, and some whose direct path leads nowhere."""
    series = []
    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(process.relay("paths", out, *OPTIONS))
        near, far, liar = [Talker(format_address(*relay.address)) for _ in range(3)]
        for talker in (near, far, liar):
            await limited(talker.register(RARELY), "a registration")
            stack.push_async_callback(talker.handset.close)
        liar.claims(DEAD)
        bare = Bare(near, far)
        await _series(WARM, bare, near, far)
        for _ in range(size.series):
            series.append(await _series(size.rounds, bare, near, far))
            told("paths", 1, size.series)
        times = min(series, key=lambda one: median(one.bare))
        for _ in range(size.dead_paths):
            times.fallen_back += await _call(near, liar, Way.RELAY)
    return times


async def _series(rounds: int, bare: Bare, near: Talker, far: Talker) -> Times:
    times = Times()
    for number in range(rounds):
        caller, callee = (near, far) if number % 2 else (far, near)
        times.bare.append(await limited(bare.handshake(), "a handshake"))
        times.direct += await _call(caller, callee, Way.DIRECT)
        times.relay += await _call(caller, callee, Way.RELAY, wants_relay=True)
    return times


async def _call(caller: Talker, callee: Talker, path: Way, *, wants_relay: bool = False) -> list[float]:
    """Place a call; return the seconds from CallSetup to the first word at both ends."""
    for talker in (caller, callee):
        talker.wants(through_the_relay=wants_relay)
    await limited(caller.call(callee), "a call")
    heard = [talker.last("heard", path=path) for talker in (caller, callee)]
    await limited(caller.hang_up(callee), "the end of a call")
    if None in heard:
        raise BenchError(f"a call that was to take the path {path} did not")
    return [float(str(one["after"])) for one in heard if one is not None]


def rows(report: Report, times: Times) -> None:
    """Report the distributions, their ratios, and whether the two limits hold."""
    bare, late = times.bare, times.fallen_back
    direct = _row("heard after CallSetup, directly", times.direct, "a bare handshake", bare)
    report.rows += [
        _row("QUIC handshake between two clients", bare),
        direct,
        _row("heard after CallSetup, by the relay", times.relay, "a bare handshake", bare),
        _row("heard after a dead direct path", late, "its deadline", [DEADLINE] * len(late)),
    ]
    ratio = direct.ratio or 0.0
    evidence = f"heard after {ratio:.2f} bare handshakes at the median, at most {TIMES_THE_HANDSHAKE}"
    if len(bare) >= ENOUGH:
        report.verdicts.append(Verdict("direct path", 0 < ratio <= TIMES_THE_HANDSHAKE, evidence))
    due = DEADLINE + max(times.relay)
    evidence = (
        f"heard after {max(late):.3f} s at most, due at {due:.3f} s: the deadline and the way by the relay"
    )
    report.verdicts.append(Verdict("dead direct path", max(late) <= due, evidence))


def _row(name: str, seconds: Sequence[float], peer: str = "", others: Sequence[float] = ()) -> Row:
    """Return the row of a distribution; the two ends of a call stand beside the handshake of its round."""
    least, greatest = MILLI * min(seconds), MILLI * max(seconds)
    late = MILLI * quantiles(seconds, n=10, method="inclusive")[-1]
    other = MILLI * median(others) if others else None
    rounds = zip(seconds[::2], seconds[1::2], others, strict=False)
    by_round = median((one + two) / 2 / base for one, two, base in rounds) if others else None
    return Row(name, MILLI * median(seconds), "ms", peer, other, by_round, (least, late, greatest))
