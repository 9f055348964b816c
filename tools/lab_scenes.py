"""The laboratory's scenes: calls in the home behind one router, and what has to hold of each of them.

Nothing here acts: a scene says what to do, and judges the outcome that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tools.demo import Flow, Taken
from tools.lab_network import FOUR, HOSTS, OUTSIDE, SIX, WAN

Near = dict[str, set[str]]
"""For each host the addresses of its interfaces."""


class Check(NamedTuple):
    """A sentence, and whether it holds."""

    holds: bool
    text: str


@dataclass(frozen=True)
class Outcome:
    """One call: paths and flows of both ends, whom each dialled, and how many packets each place counted."""

    paths: list[Taken]
    flows: list[Flow]
    candidates: dict[str, list[str]]
    counts: dict[str, int]

    @property
    def between(self) -> int:
        """The packets that the two hosts sent straight to each other."""
        return sum(self.counts[host] for host in HOSTS)

    @property
    def turned(self) -> int:
        """The packets that the hosts sent to the outer address of their own router."""
        return self.counts["router"]


@dataclass(frozen=True)
class Scene:
    """A call to make: how it is accepted, what else the clients are told, and what has to hold of it.

    `walled` are the hosts' doors for IPv4 from each other closed.
    """

    name: str
    title: str
    judge: Callable[[Outcome, Near], Iterator[Check]]
    answer: str = "trusted"
    options: tuple[str, ...] = ()
    walled: bool = False


def addresses(*, six: bool) -> Near:
    """Return the addresses of each host, on a kernel with IPv6 or without."""
    return {host: {FOUR[host], *([SIX[host]] if six else ())} for host in HOSTS}


def host_of(address: str) -> str:
    """Return an address without its port and brackets."""
    return address.rpartition(":")[0].strip("[]")


def other(host: str) -> str:
    """Return the other one of the two hosts."""
    return HOSTS[1 - HOSTS.index(host)]


def talked(outcome: Outcome, path: str, remotes: Near) -> Iterator[Check]:
    """Yield what has to hold of every call: the path, to which address, and the sound of both directions."""
    for it in outcome.paths:
        good = not list(it.faults(path)) and host_of(it.remote) in remotes[it.who]
        yield Check(good, f"{it.who}: {it.path}, {it.remote}, heard {it.after * 1000:.0f} ms after setup")
    for one in outcome.flows:
        numbers = f"{one.received} of {one.sent} packets, {one.similarity:.3f} alike"
        yield Check(not list(one.faults()), f"{one.direction}: {numbers}")


def directly(outcome: Outcome, near: Near) -> Iterator[Check]:
    """Yield what has to hold of a call on the direct path to one of the other host's own addresses."""
    yield from talked(outcome, "direct", {host: near[other(host)] for host in HOSTS})
    sent = sum(one.sent for one in outcome.flows)
    yield Check(sent <= outcome.between, f"{outcome.between} packets from host to host, {sent} of them sound")


def relayed(outcome: Outcome) -> Iterator[Check]:
    """Yield what has to hold of a call that the relay carries: nothing from host to host."""
    yield Check(outcome.between == 0, f"{outcome.between} packets from host to host")
    yield from talked(outcome, "relay", {host: {OUTSIDE} for host in HOSTS})


def dialled(outcome: Outcome, near: Near) -> Check:
    """Check that one end alone dials: the host candidates of the other one, then its reflexive candidate."""
    dialers = [host for host in HOSTS if outcome.candidates[host]]
    if len(dialers) != 1:
        return Check(holds=False, text=f"{len(dialers)} ends dial")
    them = outcome.candidates[dialers[0]]
    *hosts, last = map(host_of, them)
    good = sorted(hosts) == sorted(near[other(dialers[0])]) and last == WAN
    return Check(good, f"{dialers[0]} dials {', '.join(them)}")


def neighbours(outcome: Outcome, near: Near) -> Iterator[Check]:
    """Trusted, with host candidates: an address of the other host wins."""
    yield dialled(outcome, near)
    yield from directly(outcome, near)


def strangers(outcome: Outcome, _: Near) -> Iterator[Check]:
    """Trusted, with the reflexive addresses alone: nothing comes back in, and the relay takes over."""
    yield dialled(outcome, {host: set() for host in HOSTS})
    yield Check(outcome.turned > 0, f"{outcome.turned} packets to the router's own address came to nothing")
    yield from relayed(outcome)


def hidden(outcome: Outcome, _: Near) -> Iterator[Check]:
    """Accepted without trust: nobody dials, and no packet goes from one to the other."""
    those = [it for them in outcome.candidates.values() for it in them]
    yield Check(not those, f"{', '.join(those) or 'nobody'} is dialled")
    yield Check(outcome.turned == 0, f"{outcome.turned} packets to the router's own address")
    yield from relayed(outcome)


def six_alone(outcome: Outcome, near: Near) -> Iterator[Check]:
    """Trusted, with host candidates, and no IPv4 from host to host: the IPv6 address wins."""
    yield dialled(outcome, near)
    yield from directly(outcome, {host: near[host] & {SIX[host]} for host in HOSTS})


SCENES: Sequence[Scene] = (
    Scene("neighbours", "AcceptTrusted: an address of the home wins", neighbours),
    Scene(
        *("strangers", "AcceptTrusted with the reflexive address alone: back to the relay", strangers),
        options=("--avoid-interface", "home"),
    ),
    Scene("hidden", "AcceptGeneric: the relay, and nothing from host to host", hidden, answer="generic"),
    Scene("six", "AcceptTrusted without IPv4 from host to host: IPv6 wins", six_alone, walled=True),
)
