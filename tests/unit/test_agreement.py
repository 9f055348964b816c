"""The agreement (spec/agreement.md): two reports and a wait give a path."""

from __future__ import annotations

import itertools

import pytest

from reference.core.agreement import DECISION, RACE_WINNER, Agreement, Path
from tools.chapters import table

OWN = {"direct_ok": True, "not direct_ok": False}
OTHERS: dict[str, list[tuple[bool | None, bool]]] = {
    "direct_ok": [(True, False), (True, True)],
    "not direct_ok": [(False, False), (False, True)],
    "any, or none yet": [(peer, waited) for peer in (True, False, None) for waited in (False, True)],
    "none within 3 s of the own one": [(None, True)],
}
"""What the words of the table mean: the other's report, and whether the wait is over."""


def test_the_decision_is_that_of_the_chapter() -> None:
    """Each row of the table of decisions gives its path, and no two rows contradict each other."""
    rows = table("agreement", "own report", "the other's report", "path").rows
    found: dict[tuple[bool, bool | None, bool], str] = {}
    for own, other, path in rows:
        for peer, waited in OTHERS[other]:
            assert path == found.setdefault((OWN[own], peer, waited), path)
    assert found == {
        (own, peer, waited): str(Agreement(own, peer, waited=waited).path)
        for own, peer, waited in itertools.product((True, False), (True, False, None), (False, True))
        if (own, peer, waited) != (True, None, False)
    }


def test_what_is_missing_is_waited_for() -> None:
    """With a good report alone, or none at all, nothing is decided; a bad one of the other end decides."""
    assert None is Agreement().path
    assert None is Agreement(own=True).path
    assert None is Agreement(peer=True).path
    assert Path.RELAY is Agreement(peer=False).path
    assert None is Agreement(waited=True).path


@pytest.mark.parametrize(("own", "peer"), list(itertools.product((True, False), repeat=2)))
def test_both_ends_decide_alike(own: bool, peer: bool) -> None:  # noqa: FBT001 - parameters
    """Two ends that know both reports take the same path."""
    assert Agreement(own, peer).path is Agreement(peer, own).path


def test_a_direct_path_takes_two() -> None:
    """Among all rows the direct path stands in one, where both say that it works."""
    assert [(True, True)] == [reports for reports, path in DECISION.items() if path is Path.DIRECT]


def test_the_winner_has_a_word_for_people() -> None:
    """Both outcomes of the race have the word that deployed clients write."""
    assert {True: "Direct", False: "Relay"} == RACE_WINNER
