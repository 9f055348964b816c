"""Accounts: every counter of a relay beside what its clients did, so that nothing remains unexplained.

Rules of this file: a call that ended as people wanted it is counted exactly. A call across a link that was
cut meanwhile is *touched*: each relay has counted it or not, so it widens what is explained. Nothing else
does, except calls that are given up as soon as they ring, whose last messages cross. A counter that no
account mentions is one that nobody expected: it is an account of its own, and does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import counters

SOUND = 72
"""Bytes of a datagram with sound, as a client sends it."""
TAG = 8
"""Bytes in front of it on a link (spec/federation.md, Media)."""
STRAY = 4
"""Messages of one call that may arrive when it is over: two reports, an answer, a Hangup."""


@dataclass(slots=True)
class Tally:
    """What became of the calls from one relay to another, or to itself, and of their datagrams."""

    placed: int = 0
    talked: int = 0
    given_up: int = 0
    touched: int = 0
    heard_by_caller: int = 0
    heard_by_callee: int = 0
    lost: int = 0

    @property
    def certain(self) -> int:
        """Calls that each of their relays has counted."""
        return self.talked + self.given_up


@dataclass(frozen=True, slots=True)
class Account:
    """What a relay counted, the least and the most that is explained, and by what."""

    relay: str
    what: str
    counted: int
    least: int
    most: int
    because: str

    @property
    def holds(self) -> bool:
        """Tell whether it adds up."""
        return self.least <= self.counted <= self.most


@dataclass(frozen=True, slots=True)
class Story:
    """What the clients know: calls by the relays of both ends, registrations, how often the link was cut."""

    calls: Mapping[tuple[str, str], Tally]
    registrations: Mapping[str, int]
    cuts: int = 0

    def of(self, relay: str) -> list[tuple[tuple[str, str], Tally]]:
        """Return the calls that a relay has a party of."""
        return [(ends, tally) for ends, tally in self.calls.items() if relay in ends]


@dataclass(slots=True)
class Book:
    """The accounts of one relay; a counter belongs to one of them."""

    relay: str
    left: dict[str, int]
    accounts: list[Account] = field(default_factory=list)

    def enter(self, what: str, least: int, slack: int, because: str, *names: str) -> int:
        """Explain the sum of counters by what it is at least and what may be added; return the sum."""
        taken = [key for key in self.left if any(key == name or key.startswith(f"{name}/") for name in names)]
        counted = sum(self.left.pop(key) for key in taken)
        self.accounts.append(Account(self.relay, what, counted, least, least + slack, because))
        return counted

    def close(self) -> list[Account]:
        """Return all accounts, with one for what nobody has explained."""
        names = ", ".join(sorted(self.left)) or "nothing"
        self.accounts.append(Account(self.relay, "anything else", sum(self.left.values()), 0, 0, names))
        return self.accounts


def balanced(
    relay: str, counted: Mapping[str, int], logged: Mapping[str, int], story: Story
) -> list[Account]:
    """Return the accounts of a relay whose tables are empty, from its counters, its log and the story."""
    book = Book(relay, {name: value for name, value in counted.items() if value})
    _calls(book, story)
    _media(book, story)
    accounts = book.close()
    for what, event, wanted in (
        ("registrations", "registered", story.registrations.get(relay, 0)),
        ("links that came up", "link.up", 1 + story.cuts),
        ("links that went down", "link.down", story.cuts),
    ):
        accounts.append(Account(relay, what, logged.get(event, 0), wanted, wanted, "the log"))
    return accounts


def _calls(book: Book, story: Story) -> None:
    """Explain what is counted of calls: each offer begins one or is refused, and each has one end."""
    touched = sum(one.touched for _, one in story.of(book.relay))
    placed = sum(one.placed for (caller, _), one in story.of(book.relay) if caller == book.relay)
    came = [one for (caller, _), one in story.of(book.relay) if caller != book.relay]
    why, names = "made while there was no link", f"{counters.REFUSED}/offer/Error"
    refused = book.enter("offers refused", 0, touched, why, names)
    least, slack = placed - refused + sum(one.certain for one in came), sum(one.touched for one in came)
    began = book.enter("calls that began", least, slack, "all others, here and away", counters.PLACED)
    losses = (f"{counters.ENDED}/loss", f"{counters.ENDED}/timeout")
    lost = book.enter("calls ended by a loss", 0, touched, "calls that a cut touched", *losses)
    book.enter("calls hung up", began - lost, 0, "all others that began", f"{counters.ENDED}/hangup")
    book.enter("links replaced", 0, story.cuts, "at most one a cut", f"{counters.CLOSED}/replaced")


def _media(book: Book, story: Story) -> None:
    """Explain what is counted of rooms and datagrams, and of messages that came too late."""
    there = [one for _, one in story.of(book.relay)]
    here = story.calls.get((book.relay, book.relay), Tally())
    lost = sum(one.lost for one in there)
    unsure = sum(one.given_up + one.touched for one in there) + here.given_up
    heard = sum(one.heard_by_caller + one.heard_by_callee for one in there)
    seats = sum(one.talked for one in there) + here.talked
    name = f"{counters.CLOSED}/call_ended"
    book.enter("seats cleared", seats, unsure, "a party each of calls that talked", name)
    name = f"{counters.CLOSED}/not_admitted"
    late = book.enter("parties that came too late", 0, unsure, "calls given up or touched", name)
    book.enter("rooms refused", late, 0, "the same parties", f"{counters.REFUSED}/room")
    book.enter("datagrams handed on", heard, lost, "those heard, once each", counters.FORWARDED)
    most = lost * (SOUND + TAG)
    book.enter("bytes handed on", _bytes(book.relay, story), most, "the same", counters.BYTES)
    book.enter("datagrams dropped", 0, lost, "lost in calls that a cut touched", counters.DROPPED)
    book.enter(
        "messages for calls that were over", 0, STRAY * unsure, "given up or touched", counters.IGNORED
    )


def _bytes(relay: str, story: Story) -> int:
    """Return the bytes of what was heard: what leaves over a link has the tag, what comes over it has not."""
    total = 0
    for (caller, callee), one in story.of(relay):
        total += SOUND * (one.heard_by_caller + one.heard_by_callee)
        if caller != callee:
            total += TAG * (one.heard_by_callee if relay == caller else one.heard_by_caller)
    return total
