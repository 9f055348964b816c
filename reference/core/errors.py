"""Errors (spec/errors.md): the close codes, the reasons, and the two classes of fault.

    DirectCallError
    ├── PeerFault              the other side broke a rule; carries the rule's id and the evidence
    │   ├── BadMessage         its message is ignored and counted, its connection lives
    │   │   ├── Malformed          not one JSON value as WIRE-4 asks for
    │   │   │   └── TooManyMembers     more in it than WIRE-16 lets be
    │   │   ├── UnknownMessage     a name this phase does not know
    │   │   └── SchemaViolation    no message of this phase's accept view
    │   └── BadFrame           its stream is reset, its connection lives
    │       ├── FrameTooLong
    │       └── FrameCutShort
    └── Misuse                 our own caller broke the contract of a function

Anything else that is raised is a bug.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class CloseCode(IntEnum):
    """Application close codes of a QUIC connection (spec/errors.md, table of close codes)."""

    NORMAL = 0
    SHUTDOWN = 1
    REPLACED = 2
    REGISTRATION_REFUSED = 3
    REGISTRATION_TIMEOUT = 4
    NOT_ADMITTED = 5
    CALL_ENDED = 6
    SEAT_TAKEN = 7
    NO_SUCH_SERVICE = 8
    BAD_MESSAGES = 9
    TOO_MANY_CONNECTIONS = 10
    TOO_SLOW = 11
    MEDIA_TIMEOUT = 12
    NOT_SELECTED = 13
    NOT_TRUSTED = 14
    HELLO_TIMEOUT = 15


REASONS: dict[CloseCode, str] = {
    CloseCode.NORMAL: "normal close",
    CloseCode.SHUTDOWN: "shutting down",
    CloseCode.REPLACED: "replaced by a newer registration",
    CloseCode.REGISTRATION_REFUSED: "registration refused",
    CloseCode.REGISTRATION_TIMEOUT: "no registration in time",
    CloseCode.NOT_ADMITTED: "not admitted",
    CloseCode.CALL_ENDED: "call ended",
    CloseCode.SEAT_TAKEN: "seat taken over",
    CloseCode.NO_SUCH_SERVICE: "no such service",
    CloseCode.BAD_MESSAGES: "too many bad messages",
    CloseCode.TOO_MANY_CONNECTIONS: "too many connections",
    CloseCode.TOO_SLOW: "peer does not read",
    CloseCode.MEDIA_TIMEOUT: "no media handshake in time",
    CloseCode.NOT_SELECTED: "not selected",
    CloseCode.NOT_TRUSTED: "relay not trusted",
    CloseCode.HELLO_TIMEOUT: "no hello in time",
}
"""The reason phrase that travels with each code, never empty (ERR-1)."""


class HangupReason(StrEnum):
    """Why a call ended (spec/errors.md, table of reasons)."""

    NORMAL = "Normal"
    BUSY = "Busy"
    DECLINED = "Declined"
    TIMEOUT = "Timeout"
    ERROR = "Error"


class DirectCallError(Exception):
    """Everything this package raises on purpose."""


class PeerFault(DirectCallError):
    """The other side broke the rule `rule`; `evidence` says with what."""

    rule = ""

    def __init__(self, evidence: str) -> None:
        """Keep the evidence: one lower-case sentence that names the offending value."""
        super().__init__(f"{evidence} ({self.rule})")
        self.evidence = evidence


class BadMessage(PeerFault):
    """A frame whose payload is no message that this phase accepts: ignored and counted."""


class Malformed(BadMessage):
    """The payload is not one JSON value as WIRE-4 asks for."""

    rule = "WIRE-4"


class TooManyMembers(Malformed):
    """The payload has more members and entries than the limit (16,384)."""

    rule = "WIRE-16"


class UnknownMessage(BadMessage):
    """The payload names a message that this phase does not know."""

    rule = "WIRE-6"


class SchemaViolation(BadMessage):
    """The payload is JSON and no message that the accept view of this phase takes."""

    rule = "WIRE-5"


class BadFrame(PeerFault):
    """A stream that holds no whole frame: reset, and the connection lives."""


class FrameTooLong(BadFrame):
    """The frame announces more than the limit (1,048,576 bytes)."""

    rule = "WIRE-2"


class FrameCutShort(BadFrame):
    """The stream ended, was reset or stalled before the frame was whole."""

    rule = "WIRE-3"


class Misuse(DirectCallError):
    """Our own caller broke a contract; never the peer's doing."""
