"""Tests of footprints: a mutant is asked every check that runs what it changes, in doubt every check."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import footprint, trace
from conformance.checking import catalogue
from conformance.process import cold
from conformance.verdicts import Deviation, UsageError
from reference import endpoint
from reference.core import call, media, wire
from reference.core.registry import Registry
from reference.core.rooms import Rooms
from tests.mutants import footprint as replaced

ROOT = Path(__file__).resolve().parents[2]
MUTANT = trace.Mutant("MEDIA-18", "MEDIA-18", "echoes", frozenset({"CALL-30"}), "relay")


@pytest.fixture(scope="module")
def listed() -> footprint.Touched:
    """What each mutant replaces, listed once for all who ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return footprint.touched()


def touched(change: Callable[[], None]) -> set[str] | None:
    """Return the names of the functions that a change replaces, or None for everything."""
    before = replaced.Snapshot()  # taken here: other tests may have loaded or filled something meanwhile
    numbers = replaced.in_a_fork(before, change)
    known = replaced.functions(before)
    return None if numbers is None else {known[number].co_qualname for number in numbers}


def nothing(*_: object) -> None:
    """Do nothing."""


def gives(*_: object) -> Iterator[None]:
    """Yield once."""
    yield


def a_method() -> None:
    """Replace a method."""
    Rooms.datagram = nothing  # type: ignore[method-assign,assignment]


def two_methods() -> None:
    """Replace two."""
    Registry.of = nothing  # type: ignore[method-assign,assignment]
    a_method()


def an_imported_name() -> None:
    """Replace a function where another module has imported it by name."""
    vars(media)["verified"] = nothing


def a_class_method() -> None:
    """Replace a class method."""
    endpoint.Endpoint.open = classmethod(nothing)  # type: ignore[method-assign,assignment]


def a_default() -> None:
    """Change what a function takes when it is told nothing."""
    wire.FrameReader.__init__.__defaults__ = (1,)


def a_row() -> None:
    """Change a row of a table in its place."""
    row = (call.State.PENDING, call.Event.FLUSHED, call.By.RELAY)
    call.TRANSITIONS[row] = call.TRANSITIONS[row]._replace(caller=())


def a_constant() -> None:
    """Change a constant, and a method with it."""
    media.ANSWER = b"no"
    a_method()


def somebody_elses() -> None:
    """Change a function of another library, and a method with it."""
    json.loads = nothing  # type: ignore[assignment]
    a_method()


def an_addition() -> None:
    """Give a class a member that it did not have."""
    Rooms.extra = nothing  # type: ignore[attr-defined]


def another_kind() -> None:
    """Replace a method by a generator, which runs later than it is called."""
    Rooms.datagram = gives  # type: ignore[method-assign,assignment]


def no_function() -> None:
    """Replace a method by something else."""
    Rooms.datagram = None  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (a_method, {"Rooms.datagram"}),
        (two_methods, {"Registry.of", "Rooms.datagram"}),
        (an_imported_name, {"verified"}),
    ],
)
def test_a_replaced_function_is_found(change: Callable[[], None], expected: set[str]) -> None:
    """Whoever runs the replaced function, under whatever name, has to be asked."""
    assert expected == touched(change)


@pytest.mark.parametrize(
    "change",
    [
        *(nothing, a_row, a_constant, a_default, somebody_elses),
        *(an_addition, another_kind, no_function, a_class_method),
    ],
)
def test_whatever_else_is_changed_concerns_everybody(change: Callable[[], None]) -> None:
    """A table, a constant, other people's functions, another kind of thing, or nothing found: everything."""
    assert touched(change) is None


def test_a_mutant_of_a_table_asks_every_check() -> None:
    """Nobody can tell who reads a row, so nobody is left out."""
    footprints = dict.fromkeys(footprint.names(), frozenset({1}))
    assert footprint.names() == footprint.asked(MUTANT, None, footprints)


def test_a_mutant_of_a_function_asks_those_that_run_it() -> None:
    """Besides them come the check of its rule, its collateral, and the checks without a footprint."""
    every = footprint.names()
    ids = {name: footprint._check(name).id for name in every}
    own = {name for name in every if ids[name] in {"MEDIA-18", "CALL-30"}}
    others = [name for name in every if name not in own]
    footprints = {name: frozenset({1}) for name in every} | {others[0]: None, others[5]: frozenset({1, 7})}
    expected = own | {others[0], others[5]}
    asked = footprint.asked(MUTANT, frozenset({7}), footprints)
    assert expected == set(asked)
    assert [name for name in every if name in expected] == list(asked)


def test_a_check_leaves_its_footprint(monkeypatch: pytest.MonkeyPatch, listed: footprint.Touched) -> None:
    """A check with media runs what forwards a datagram, one that only connects does not."""
    monkeypatch.chdir(ROOT)
    forwards, table = listed.by["MEDIA-18"], listed.by["CALL-4"]
    assert table is None
    assert forwards is not None
    names = {footprint._check(name).id: name for name in footprint.names()}
    ran = {one: footprint.measure(names[one], listed.functions, cold) for one in ("MEDIA-18", "TRANS-2")}
    assert {"MEDIA-18": True, "TRANS-2": False} == {
        one: bool(those is None or those & forwards) for one, those in ran.items()
    }
    starts = listed.by["TRANS-5"]
    assert starts is not None
    assert starts <= (ran["TRANS-2"] or frozenset()), "what runs at the start counts for every check"


def test_a_check_that_fails_anyway_has_no_footprint(
    monkeypatch: pytest.MonkeyPatch, listed: footprint.Touched
) -> None:
    """Where the unbroken relay does not pass here, nothing is known of what the check would have run."""

    async def fails(_: object) -> None:
        raise Deviation("not today")

    monkeypatch.chdir(ROOT)
    check = replace(footprint._check(footprint.names()[0]), function=fails)
    monkeypatch.setattr(footprint, "_check", lambda _: check)
    assert footprint.measure("fails", listed.functions, cold) is None


def test_the_parts_together_are_the_whole() -> None:
    """Each check is asked in one part of three, those of the own rule and its collateral in every one."""
    parts = [footprint.asked(MUTANT, None, {}, footprint.Share.parse(f"{turn}/3")) for turn in (1, 2, 3)]
    assert set(footprint.names()) == set().union(*parts)
    near = {one.name for one in catalogue() if one.id in ("MEDIA-18", "CALL-30")}
    assert near == set(parts[0]) & set(parts[1]) & set(parts[2])
    assert all(len(part) < len(footprint.names()) / 2 for part in parts)


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "a/b", "-1/2"])
def test_a_share_that_is_none_is_named(text: str) -> None:
    """What is no K/N is refused with the value."""
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        footprint.Share.parse(text)
