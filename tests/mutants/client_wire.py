"""Mutants of a client of what it shares with a relay: the chapters transport, wire and phases.

The rules are broken in code that both roles have, so these mutants exist in a running program only: no test
of the client's machine can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from aioquic.quic.configuration import QuicConfiguration

from reference import endpoint, handset
from reference.core import shapes, strict_json, wire
from reference.core.errors import (
    BadFrame,
    CloseCode,
    FrameCutShort,
    FrameTooLong,
    SchemaViolation,
    UnknownMessage,
)
from reference.core.messages import DirectCallAnswer, Message, ReflectResponse
from reference.core.phases import Phase
from reference.handset import Handset
from reference.session import Session
from tests.mutants import Break, transport
from tests.mutants import wire as shared
from tests.mutants.client_base import ClientMutant

LISTS = frozenset({"caller_local_addrs", "callee_local_addrs", "peer_local_addrs"})


class SharedMutant(ClientMutant):
    """A client of which something is broken that is no part of its machine, by `breaks`."""

    breaks: ClassVar[Break]

    @classmethod
    def apply(cls) -> None:
        """Break it in this process."""
        cls.breaks()


MUTANTS: list[type[SharedMutant]] = []
"""All of them."""


def mutant(
    rule: str, title: str, change: Break, *collateral: str, phase: str | None = None
) -> type[SharedMutant]:
    """Register the mutant of `rule`; `title` says what is wrong. With `phase` it shows in that phase only."""
    members = {
        "__doc__": title,
        "id": rule,
        "breaks": staticmethod(change),
        "collateral": collateral,
        "phase": phase,
    }
    made = type(f"Broken{rule.replace('-', '')}", (SharedMutant,), members)
    MUTANTS.append(made)
    return made


def breaks(rule: str, *collateral: str, phase: str | None = None) -> Callable[[Break], Break]:
    """Register the function below as the mutant of `rule`; its docstring says what is wrong."""

    def register(change: Break) -> Break:
        mutant(rule, (change.__doc__ or "").strip(), change, *collateral, phase=phase)
        return change

    return register


mutant("TRANS-3", "Never sends a keep-alive.", transport.silent)
mutant("TRANS-9", "Leaves its half of every stream open after its message.", transport.never_ends_its_half)
mutant("TRANS-10", "Handles messages in the order in which they become whole.", transport.order_of_arrival)
mutant("TRANS-11", "Never ends its own half of the relay's streams.", transport.keeps_its_half)
mutant("TRANS-12", "Handles a second frame of a stream too.", transport.second_frame_counts)
mutant("TRANS-14", "Waits for ever for a stream that stalls.", transport.patient)
mutant("TRANS-16", "Lets its relay open 99 bidirectional streams at first.", transport.few_streams)
mutant("WIRE-1", "Takes payloads of up to 1,000,000 bytes only.", shared.shorter)
mutant(
    "WIRE-4", "Takes whatever a lenient parser takes: doubled members, NaN, surrogates.", shared.lenient_json
)
mutant("WIRE-16", "Takes a payload with any number of members and entries.", shared.reads_however_much)
mutant("WIRE-9", "Ignores messages whose required members are not in the schema's order.", shared.minds_order)
mutant(
    "PHASE-3",
    "Ignores offers and answers with a reflexive candidate and no list of others, as of phases 3 to 5.",
    shared.wants_host_candidates,
)
mutant(
    "PHASE-4",
    "Writes the members of later phases than its own.",
    shared.speaks_of_later_things,
    "WIRE-10",
    phase="3",
)


@breaks("TRANS-13")
def waits_for_the_end() -> None:
    """Handles a frame only when its stream has ended."""
    honest = wire.FrameReader.feed
    held: dict[wire.FrameReader, bytes] = {}

    def feed(self: wire.FrameReader, data: bytes, *, fin: bool) -> bytes | None:
        payload = honest(self, data, fin=fin)
        if payload is not None and not fin:
            held[self] = payload
        return held.pop(self, payload) if fin else None

    wire.FrameReader.feed = feed


@breaks("TRANS-17")
def a_minute_of_silence() -> None:
    """Announces a max idle timeout of 60 s."""
    honest = endpoint.configuration

    def changed(*positional: Any, **named: Any) -> QuicConfiguration:
        made = honest(*positional, **named)
        made.idle_timeout = 60.0
        return made

    endpoint.configuration = changed


def leave(client: Handset, session: int) -> None:
    """Close a connection because of what came on it."""
    leg = client.sockets.leg(session)
    if leg is not None:
        client.sockets.close(leg, CloseCode.BAD_MESSAGES)
        client.perform(client.core.lost(leg, -1, "bad messages", client.clock.now()))


def fault_closes(closes: Callable[[BadFrame], bool]) -> None:
    """Close the connection on such bad frames."""
    honest = Handset.fault

    def fault(self: Handset, session: int, fault: BadFrame) -> None:
        honest(self, session, fault)
        if closes(fault):
            leave(self, session)

    Handset.fault = fault


@breaks("WIRE-2")
def too_long_closes() -> None:
    """Closes the connection when a frame is too long."""
    fault_closes(lambda fault: isinstance(fault, FrameTooLong))


@breaks("WIRE-3")
def cut_short_closes() -> None:
    """Closes the connection when a stream ends or is reset before its frame is whole."""
    stalled: list[BadFrame] = []
    expire, refuse = Session.expire, Session._refuse
    expiring: list[bool] = []

    def expired(self: Session, now: float) -> None:
        expiring.append(True)
        expire(self, now)
        expiring.pop()

    def refused(self: Session, stream_id: int, inbound: Any, fault: BadFrame) -> None:
        stalled.extend([fault] if expiring else [])
        refuse(self, stream_id, inbound, fault)

    Session.expire, Session._refuse = expired, refused
    fault_closes(lambda fault: isinstance(fault, FrameCutShort) and fault not in stalled)


@breaks("WIRE-5")
def no_schema() -> None:
    """Acts on messages that break their schema, as far as it can make sense of them."""
    honest_check, honest_decode = shapes.Shape.check, wire.decode

    def check(self: shapes.Shape, body: Any) -> None:
        try:
            honest_check(self, body)
        except SchemaViolation:
            if not isinstance(body, dict) or any(body.get(name, ()) is None for name in LISTS):
                raise

    def decode(payload: bytes, phase: Phase) -> Message:
        try:
            return honest_decode(payload, phase)
        except (TypeError, ValueError) as error:
            raise SchemaViolation(str(error)) from None

    shapes.Shape.check, wire.decode = check, decode


@breaks("WIRE-6")
def unknown_closes() -> None:
    """Closes the connection when it does not know a message."""
    honest = Handset.frame

    def frame(self: Handset, session: int, payload: bytes) -> None:
        honest(self, session, payload)
        try:
            wire.decode(payload, self.core.account.phase)
        except UnknownMessage:
            leave(self, session)
        except handset.BadMessage:
            pass

    Handset.frame = frame


@breaks("WIRE-7")
def only_known_members() -> None:
    """Ignores a message that has a member it does not know."""

    def change(message: Message, payload: bytes) -> Message:
        del payload
        if message.rest:
            raise SchemaViolation("an unknown member")
        return message

    shared.after_decode(change)


@breaks("WIRE-8")
def no_null() -> None:
    """Refuses null for an optional member."""

    def change(message: Message, payload: bytes) -> Message:
        if None in shared.body_of(payload).values() and not message.rest:
            raise SchemaViolation("null")
        return message

    shared.after_decode(change)


@breaks("WIRE-10")
def says_null() -> None:
    """Writes null for the signature of an answer that has none."""
    honest = wire.encode

    def encode(message: Message, phase: Phase) -> bytes:
        payload = honest(message, phase)
        return payload[:-2] + b',"signature":null}}' if isinstance(message, DirectCallAnswer) else payload

    wire.encode = encode


@breaks("WIRE-13")
def no_empty_list() -> None:
    """Ignores a message in which a list of candidates is empty."""

    def change(message: Message, payload: bytes) -> Message:
        if any(shared.body_of(payload).get(name) == [] for name in LISTS):
            raise SchemaViolation("an empty list")
        return message

    shared.after_decode(change)


@breaks("WIRE-14")
def null_is_a_list() -> None:
    """Takes null for a list of candidates that is absent."""
    shared.null_is_a_list()


@breaks("WIRE-15")
def null_is_no_member() -> None:
    """Takes null, and an object without members, for the body of a message without, and answers it."""
    honest = Handset.frame

    def frame(self: Handset, session: int, payload: bytes) -> None:
        honest(self, session, payload)
        leg = self.sockets.leg(session)
        try:
            value = strict_json.parse(payload)
        except handset.BadMessage:
            return
        if leg is not None and value in ({"Reflect": None}, {"Reflect": {}}):
            answer = ReflectResponse(observed_addr=self.core.account.relay)
            self.sockets.send(leg, wire.encode(answer, self.core.account.phase))

    Handset.frame = frame
