"""Puppet: a raw peer that speaks dicts over QUIC and remembers everything it hears.

Rules of this file: messages of the other side are delivered in the order of their stream ids
(TRANS-10); what they are not allowed to be is recorded and never thrown; every half of a stream that
the other side opens is ended (TRANS-11), so that a puppet is a good peer unless a check says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aioquic.quic import events

from conformance import codec, validation
from conformance.codec import Message
from conformance.dialogue import Dialogue
from conformance.identity import Identity
from conformance.link import Close, Connection, Link
from conformance.pulse import Pulse
from conformance.streams import Streams
from conformance.verdicts import Untestable

OWN_NUMBERS = range(1, 1 << 20)
"""Numbers of Pings that a check sends as bytes."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One message that arrived: on which stream, its name and its members."""

    stream: int
    name: str
    body: dict[str, Any]

    def __str__(self) -> str:
        """Name the message, and the member that tells it from others."""
        key = next(
            (str(self.body[key]) for key in ("reason", "accept_mode", "success") if key in self.body), ""
        )
        return f"{self.name}{{{key}}}" if key else self.name


class Puppet:
    """One connection of one person to the implementation under test."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        dialogue: Dialogue,
        pulse: Pulse,
        phase: str,
        *,
        accepts: bool = False,
    ) -> None:
        """Start unconnected; `name` stands in the dialogue. With `accepts` the other side has dialled."""
        self.name = name
        self.identity = identity
        self.inbox: list[Heard] = []
        self.datagrams: list[bytes] = []
        self.reflex: Callable[[Heard], None] = lambda _: None
        self.acknowledged: set[int] = set()
        self._opened_there = 0 if accepts else 1
        self.streams = Streams(self._opened_there)
        self._raw: dict[int, bytearray] = {}
        self._faults: list[str] = []
        self._messages: list[Message] = []
        self.reset: set[int] = set()
        self.stopped: set[int] = set()
        self.connected = False
        self.speaks = False
        self.sent_numbers: set[int] = set()
        self.answered: set[int] = set()
        self.strange = 0  # Pongs with a number that nobody sent: they still tell that a Ping was handled
        self._link: Link | None = None
        self._dialogue = dialogue
        self._pulse = pulse
        self._phase = phase
        self._reported = False

    @property
    def link(self) -> Link:
        """The connection; raises RuntimeError before there is one."""
        if self._link is None:
            message = f"{self.name} is not connected"
            raise RuntimeError(message)
        return self._link

    def abandon(self) -> None:
        """Let go of the connection, if it ever came to one."""
        if self._link is not None:
            self._link.abandon()

    @property
    def quic(self) -> Connection:
        """The QUIC connection."""
        return self.link.quic

    @property
    def closed(self) -> Close | None:
        """How the other side closed the connection, or None while it has not."""
        return self.quic.closed

    def attach(self, link: Link) -> None:
        """Use this connection from now on."""
        self._link = link

    # What a puppet does

    def send(self, message: Message, *, fin: bool = True) -> int:
        """Send a message on a new stream; return the stream's id."""
        if not isinstance(message, str) and "Ping" in message:
            self.sent_numbers.add(message["Ping"].get("timestamp_ms", -1))
        self._dialogue.note(self.name, "->", message)
        return self.send_bytes(codec.encode(message), fin=fin, noted=True)

    def send_bytes(
        self,
        data: bytes,
        *,
        stream: int | None = None,
        fin: bool = True,
        noted: bool = False,
        flush: bool = True,
    ) -> int:
        """Send bytes as they are, on a new stream or on `stream`; return the stream's id.

        On a stream that the other end has stopped nothing more can be sent, and nothing is.
        """
        if not noted:
            self._dialogue.note(self.name, "->", {"bytes": len(data), "begin": data[:64].hex(), "fin": fin})
        if stream is None:
            stream = self.quic.get_next_available_stream_id()
        if self.alive and stream not in self.stopped:
            self.quic.send_stream_data(stream, data, end_stream=fin)
            if flush:
                self.link.transmit()
        return stream

    @property
    def alive(self) -> bool:
        """Whether anything can still be sent."""
        return self.connected and self.closed is None

    def reset_stream(self, stream: int) -> None:
        """Reset this side's half of a stream."""
        self._dialogue.note(self.name, "->", {"reset": stream})
        self.quic.reset_stream(stream, 0)
        self.link.transmit()

    def datagram(self, *data: bytes) -> None:
        """Send datagrams in one go; raises Untestable at an end that takes none of this size."""
        longest = max(len(one) for one in data)
        if self.quic.datagram_limit <= longest:
            limit = self.quic.datagram_limit
            message = f"a datagram of {longest} bytes is over the peer's limit of {limit} (TRANS-2)"
            raise Untestable(message)
        for one in data:
            self._dialogue.note(self.name, "->", {"datagram": one[:24].hex(), "bytes": len(one)})
            if self.alive:
                self.quic.send_datagram_frame(one)
        self.link.transmit()

    def grant(self, streams: int = 200) -> None:
        """Grant the streams that were withheld."""
        self._dialogue.note(self.name, "->", {"streams granted": streams})
        self.quic.grant(streams)
        self.speaks = True
        self.quic.send_ping(0)
        self.link.transmit()

    def leave(self) -> None:
        """Close the connection, as a client that goes away."""
        self._dialogue.note(self.name, "->", {"close": 0})
        self.link.abandon()
        self.connected = False

    # What a puppet has heard

    def heard(self, name: str | None = None, since: int = 0, **members: Any) -> list[Heard]:  # noqa: ANN401
        """Return the messages from `since` on: those of one name, or all but Pong."""
        return [
            one
            for one in self.inbox[since:]
            if (one.name == name if name else one.name != "Pong")
            and all(one.body.get(key) == value for key, value in members.items())
        ]

    def mark(self) -> int:
        """Return the place in the inbox that the next message will have."""
        return len(self.inbox)

    def received(self) -> list[bytes]:
        """Return every byte that has arrived: that of each stream, of each datagram, and of the close."""
        close = self._link.quic.closed if self._link is not None else None
        reason = close.reason.encode() if close is not None else b""
        return [*map(bytes, self._raw.values()), *self.datagrams, reason]

    # What the connection tells

    def notice(self, event: events.QuicEvent | None) -> None:
        """Take an event of the connection; None after every packet."""
        if isinstance(event, events.HandshakeCompleted):
            self.connected = True
        elif isinstance(event, events.StreamDataReceived):
            self._raw.setdefault(event.stream_id, bytearray()).extend(event.data)
            self._take(event.stream_id, event.data, end=event.end_stream)
        elif isinstance(event, events.StreamReset):
            self.reset.add(event.stream_id)
            self.streams.reset.add(event.stream_id)
            self._take(event.stream_id, b"", end=True)
        elif isinstance(event, events.StopSendingReceived):
            self.stopped.add(event.stream_id)
        elif isinstance(event, events.DatagramFrameReceived):
            self._dialogue.note(
                self.name, "<-", {"datagram": event.data[:24].hex(), "bytes": len(event.data)}
            )
            self.datagrams.append(event.data)
        elif isinstance(event, events.PingAcknowledged):
            self.acknowledged.add(event.uid)
        if self._link is not None and self.closed is not None and not self._reported:
            self._reported = True
            self._dialogue.note(self.name, "<-", {"close": self.closed.code, "reason": self.closed.reason})
        self._pulse.beat()

    def _take(self, stream: int, data: bytes, *, end: bool) -> None:
        for number, content in self.streams.take(stream, data, end=end):
            self._hear(number, content)
        opened_there = stream % 4 == self._opened_there
        if end and opened_there and self.alive and stream not in self.reset | self.stopped:
            self.quic.send_stream_data(stream, b"", end_stream=True)

    def _hear(self, stream: int, content: bytes) -> None:
        try:
            message = codec.decode(content)
        except codec.NotAMessageError as error:
            self._faults.append(str(error))
            self._dialogue.note(self.name, "<-", {"bytes": len(content), "begin": content[:64].hex()})
            return
        self._dialogue.note(self.name, "<-", message)
        self._messages.append(message)
        self.inbox.append(Heard(stream, codec.name_of(message), codec.body_of(message)))
        if self.inbox[-1].name == "Pong":
            self._count(self.inbox[-1].body.get("timestamp_ms"))
        self.reflex(self.inbox[-1])

    def _count(self, number: object) -> None:
        if isinstance(number, int) and (number in self.sent_numbers or number in OWN_NUMBERS):
            self.answered.add(number)
        else:
            self.strange += 1

    def violations(self) -> list[str]:
        """Return a sentence for everything that arrived and that the emit view refuses (WIRE-10).

        Judged when it is asked for: the validator costs more than the conversation.
        """
        return self._faults + [
            fault for message in self._messages for fault in validation.faults(message, self._phase, "emit")
        ]
