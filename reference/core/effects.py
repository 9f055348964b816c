"""Effects: what a machine wants done, as plain values; the shell performs them in order.

A machine never acts. It returns a list of these, so a test is one comparison:
`assert expected == core.receive(session, message, now)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reference.core.errors import CloseCode
    from reference.core.messages import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message on `session`; `receipt`, when given, comes back through `flushed`."""

    session: int
    message: Message
    receipt: object | None = None


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send one datagram on `session`; it may be dropped on the way and nobody is told."""

    session: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close `session` with a code of spec/errors.md; `detail` is added to the code's reason."""

    session: int
    code: CloseCode
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """Open the connection `leg` to `address` (canonical text) under the server name `sni`."""

    leg: int
    address: str
    sni: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Let in connections under these server names, and under no other (RACE-7); none at first."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gather:
    """List the addresses of our interfaces; `gathered` is to hear of them within 100 ms (CAND-11)."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the user: an event's name and its members, all JSON values."""

    event: str
    members: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Log:
    """One structured event of the relay's log; never holds a key, a seed or media.

    What concerns a call has the member `call_id`. `private` has the addresses of parties and words of
    theirs, which may be addresses: the shell writes it at the level debug only.
    """

    event: str
    members: Mapping[str, object] = field(default_factory=dict)
    private: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Validate:
    """Let the operator's service judge `token`; `validated` is to hear of it (REG-22).

    It does not show its token when it is printed (REG-27).
    """

    session: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stop:
    """The relay has drained, or its time to do so is over: `shutdown` is to follow (ERR-9)."""


@dataclass(frozen=True, slots=True)
class Count:
    """Add one to a counter; `reason` tells apart what is counted under one name."""

    counter: str
    reason: str = ""


Effect = Send | SendDatagram | Close | Dial | Welcome | Gather | Tell | Log | Validate | Stop | Count


def ignored(message: Message) -> list[Effect]:
    """Count a message that has no business where it came."""
    return [Count("ignored", type(message).__name__)]
