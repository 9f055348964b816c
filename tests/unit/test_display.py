"""What a person reads of a client's events (docs/how-to/use-the-client.md)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reference.display import sentence

CALL: Mapping[str, object] = {"call_id": "c1", "peer": "0258:ab5d"}


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        (None, "incoming call from 0258:ab5d"),
        ("", "incoming call from 0258:ab5d"),
        ("Ann {peer}", 'incoming call from 0258:ab5d, who says to be "Ann {peer}"'),
    ],
)
def test_a_caller_is_told_with_the_name_that_they_give(alias: str | None, expected: str) -> None:
    """The fingerprint comes first, since nobody vouches for the name; braces in it are only braces."""
    assert expected == sentence("incoming", {**CALL, "alias": alias})


def test_the_end_of_a_call_is_told_with_its_packets() -> None:
    """A call that had sound ends with what was sent, received and lost."""
    members = {"reason": "hung up", "sent": 151, "received": 150, "lost": 1}
    expected = "the call is over: hung up (sent 151, received 150, lost 1 packets)"
    assert expected == sentence("ended", members)
    assert "the call is over: hung up" == sentence("ended", {"reason": "hung up"})
