"""What a person reads of a client's events (docs/how-to/use-the-client.md)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reference.core.errors import HangupReason
from reference.core.line import Line
from reference.display import Display, sentence

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


@pytest.mark.parametrize("reason", HangupReason)
@pytest.mark.parametrize("line", Line)
def test_a_person_reads_what_the_reason_of_an_end_means(reason: HangupReason, line: Line) -> None:
    """No word of the wire stands alone, and Error before it rings says that nobody may be there."""
    said = sentence("ended", {"reason": reason, "line": line}).removeprefix("the call is over: ")
    assert reason not in said.split()
    assert (reason is HangupReason.ERROR and line is Line.PLACED) == ("nobody is registered there" in said)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("Normal", "the call is over: the other end hung up or was lost"),
        ("hung up", "the call is over: hung up"),
        ("connection lost", "the call is over: the connection to the relay was lost"),
    ],
)
def test_whoever_ended_a_call_is_named(reason: str, expected: str) -> None:
    """Our own hangup, that of the other end and a loss are told apart."""
    assert expected == sentence("ended", {"reason": reason, "line": Line.TALKING})


@pytest.mark.parametrize("as_json", [True, False])
def test_why_a_client_fails_is_told_on_standard_error(
    as_json: bool,  # noqa: FBT001 - a parameter
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever reads events has the event too; what the relay wrote does not steer the terminal."""
    with Display(as_json=as_json) as display:
        display.tell("stopped", {"kind": "refused", "why": "no\x1b[2J"})
    printed = capsys.readouterr()
    assert "client: no\N{REPLACEMENT CHARACTER}[2J\n" == printed.err
    assert (as_json, as_json) == ('"event": "stopped"' in printed.out, bool(printed.out))


def test_the_end_of_a_call_is_told_with_its_packets() -> None:
    """A call that had sound ends with what was sent, received and lost."""
    members = {"reason": "hung up", "sent": 151, "received": 150, "lost": 1}
    expected = "the call is over: hung up (sent 151, received 150, lost 1 packets)"
    assert expected == sentence("ended", members)
    assert expected == sentence("ended", {**members, "unheard": 0.6})
    assert "the call is over: hung up" == sentence("ended", {"reason": "hung up"})


def test_a_call_that_ends_in_silence_says_so() -> None:
    """A relay that died in the middle of a call leaves no success without a word."""
    members = {"reason": "hung up", "sent": 401, "received": 203, "lost": 0, "unheard": 4.0}
    expected = "hung up (sent 401, received 203, lost 0 packets; nothing heard for its last 4.0 s)"
    assert f"the call is over: {expected}" == sentence("ended", members)
    assert "nothing heard for 3.0 s" == sentence("unheard", {"seconds": 3.0})
