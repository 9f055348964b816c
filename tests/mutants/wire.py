"""Mutants of spec/wire.md and spec/phases.md."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from reference import switch
from reference.core import calls, shapes, strict_json, wire
from reference.core.errors import (
    BadFrame,
    CloseCode,
    FrameCutShort,
    FrameTooLong,
    Malformed,
    SchemaViolation,
    UnknownMessage,
)
from reference.core.messages import DirectCallOffer, RegisterPresenceAck
from reference.core.phases import NEWEST
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.effects import Effect
    from reference.core.messages import Message
    from reference.core.phases import Phase


def after_decode(change: Callable[[Message, bytes], Message]) -> None:
    """Change, or refuse, every message that was read."""
    honest = wire.decode
    wire.decode = lambda payload, phase: change(honest(payload, phase), payload)


def body_of(payload: bytes) -> dict[str, Any]:
    """Return the members of the message in a payload that has been read."""
    value = json.loads(payload)
    body: dict[str, Any] = next(iter(value.values())) if isinstance(value, dict) else {}
    return body


@breaks("WIRE-1")
def shorter() -> None:
    """Takes payloads of up to 1,000,000 bytes only."""
    honest = wire.FrameReader.__init__

    def start(self: wire.FrameReader, limit: int = 1_000_000) -> None:
        honest(self, limit)

    wire.FrameReader.__init__ = start


def fault_closes(kind: type[BadFrame]) -> None:
    """Close the connection on a bad frame of this kind."""
    honest = switch.Switch.fault

    def fault(self: switch.Switch, number: int, what: BadFrame) -> None:
        if isinstance(what, kind) and self.core.presence.registrant(number) is not None:
            self.endpoint.close(number, CloseCode.BAD_MESSAGES, "bad frame")
        honest(self, number, what)

    switch.Switch.fault = fault


@breaks("WIRE-2")
def too_long_closes() -> None:
    """Closes the connection when a frame is too long."""
    fault_closes(FrameTooLong)


@breaks("WIRE-3", "TRANS-14")
def cut_short_closes() -> None:
    """Closes the connection when a frame is cut short."""
    fault_closes(FrameCutShort)


@breaks("WIRE-4")
def lenient_json() -> None:
    """Takes whatever a lenient parser takes: doubled members, NaN, lone surrogates."""

    def parse(payload: bytes) -> Any:
        strict_json._check_extent(payload)  # WIRE-16 is a rule of its own
        try:
            return json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Malformed(str(error)) from None

    wire.strict_json.parse = parse


@breaks("WIRE-16")
def reads_however_much() -> None:
    """Takes a payload with any number of members and entries."""
    strict_json.MEMBER_LIMIT = 1_048_576


@breaks("WIRE-5", "WIRE-14")
def no_schema() -> None:
    """Acts on messages that break their schema, as far as it can make sense of them."""

    def check(self: Any, body: Any) -> None:
        del self
        if not isinstance(body, dict):
            raise SchemaViolation("no object")

    shapes.Shape.check = check
    honest = wire.decode

    def decode(payload: bytes, phase: Phase) -> Message:
        try:
            return honest(payload, phase)
        except (TypeError, ValueError) as error:
            raise SchemaViolation(str(error)) from None

    wire.decode = decode


@breaks("WIRE-6")
def unknown_closes() -> None:
    """Closes the connection when it does not know a message."""
    honest = wire.decode

    def frame(self: switch.Switch, number: int, payload: bytes) -> None:
        try:
            honest(payload, self.phase)
        except UnknownMessage:
            if self.core.presence.registrant(number) is not None:
                self.endpoint.close(number, CloseCode.BAD_MESSAGES, "unknown message")
                return
        except (Malformed, SchemaViolation):
            pass
        honest_frame(self, number, payload)

    honest_frame = switch.Switch.frame
    switch.Switch.frame = frame


@breaks("WIRE-7")
def only_known_members() -> None:
    """Ignores a message that has a member it does not know, unless it forwards it."""

    def change(message: Message, payload: bytes) -> Message:
        del payload
        if message.rest and type(message).__name__ in {"Ping", "RegisterPresence"}:
            raise SchemaViolation("an unknown member")
        return message

    after_decode(change)


@breaks("WIRE-8")
def no_null() -> None:
    """Refuses null for an optional member."""

    def change(message: Message, payload: bytes) -> Message:
        optional = {"alias", "identity_pub", "ephemeral_pub", "signature", "chosen_profile"}
        spelled = {name for name, value in body_of(payload).items() if value is None}
        answering = type(message).__name__ in {"DirectCallAnswer", "CallOffer", "RegisterPresence"}
        if answering and spelled & optional:
            raise SchemaViolation("null")
        return message

    after_decode(change)


@breaks("WIRE-9")
def minds_order() -> None:
    """Ignores messages whose required members are not in the order of the schema."""

    def change(message: Message, payload: bytes) -> Message:
        order = [one.name for one in fields(message) if {one.default, one.default_factory} == {MISSING}]
        came = [name for name in body_of(payload) if name in order]
        if came != sorted(came, key=order.index):
            raise SchemaViolation("the order of the members")
        return message

    after_decode(change)


@breaks("WIRE-10")
def says_null() -> None:
    """Writes null for the error of an acknowledgement that has none."""
    honest = wire.encode

    def encode(message: Message, phase: Phase) -> bytes:
        payload = honest(message, phase)
        if isinstance(message, RegisterPresenceAck) and message.error is None:
            return payload.replace(b":true", b':true,"error":null', 1)
        return payload

    wire.encode = encode


@breaks("WIRE-11", "PHASE-2", "WIRE-12")
def drops_unknown_members() -> None:
    """Forwards only the members that it knows, as deployed relays do."""
    honest = wire.decode

    def decode(payload: bytes, phase: Phase) -> Message:
        message = honest(payload, phase)
        return type(message)(
            **{name: getattr(message, name) for name in type(message).__dataclass_fields__ if name != "rest"}
        )

    wire.decode = decode


@breaks("WIRE-12")
def numbers_are_doubles() -> None:
    """Sends integers through a double."""
    honest = wire.decode

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: rounded(item) for name, item in value.items()}
        if isinstance(value, list):
            return [rounded(item) for item in value]
        return int(float(value)) if type(value) is int else value

    def decode(payload: bytes, phase: Phase) -> Message:
        message = honest(payload, phase)
        object.__setattr__(message, "rest", rounded(message.rest))
        return message

    wire.decode = decode


LISTS = frozenset({"caller_local_addrs", "callee_local_addrs"})


@breaks("WIRE-13")
def no_empty_list() -> None:
    """Ignores a message in which a list of candidates is empty."""

    def change(message: Message, payload: bytes) -> Message:
        if any(body_of(payload).get(name) == [] for name in LISTS):
            raise SchemaViolation("an empty list")
        return message

    after_decode(change)


def reading(change: Callable[[Any], Any]) -> None:
    """Change the JSON of every payload before its shape is looked at."""
    honest = strict_json.parse
    strict_json.parse = lambda payload: change(honest(payload))


@breaks("WIRE-14")
def null_is_a_list() -> None:
    """Takes null for a list of candidates that is absent."""

    def change(value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1:
            return value
        ((name, body),) = value.items()
        if not isinstance(body, dict):
            return value
        return {name: {key: one for key, one in body.items() if key not in LISTS or one is not None}}

    reading(change)


@breaks("WIRE-15")
def null_is_no_member() -> None:
    """Takes null, and an object without members, for the body of a message that has none."""

    def change(value: Any) -> Any:
        return "Reflect" if value in ({"Reflect": None}, {"Reflect": {}}) else value

    reading(change)


@breaks("PHASE-1")
def ahead_of_its_time() -> None:
    """Handles the messages of phases later than its own."""
    honest = switch.Switch.frame

    def frame(self: switch.Switch, number: int, payload: bytes) -> None:
        own = self.phase
        try:
            wire.decode(payload, own)
        except UnknownMessage:
            self.phase = NEWEST
        except (Malformed, SchemaViolation):
            pass
        try:
            honest(self, number, payload)
        finally:
            self.phase = own

    switch.Switch.frame = frame


@breaks("PHASE-2")
def drops_later_members() -> None:
    """Drops the members of later phases from an offer that it forwards."""
    later = {"caller_reflexive_addr", "caller_local_addrs", "caller_build_version"}
    honest = calls.Calls.direct_call_offer

    def offer(
        self: calls.Calls,
        number: int,
        sender: str,
        state: Any,
        message: DirectCallOffer,
        *rest: Any,
    ) -> list[Effect]:
        kept = {name: value for name, value in message.rest.items() if name not in later}
        object.__setattr__(message, "rest", kept)
        return honest(self, number, sender, state, message, *rest)

    calls.Calls.direct_call_offer = offer


@breaks("PHASE-3")
def wants_host_candidates() -> None:
    """Ignores offers and answers with a reflexive candidate and no list of others, as of phases 3 to 5."""

    def change(message: Message, payload: bytes) -> Message:
        came = body_of(payload).keys()
        for side in ("caller", "callee"):
            if f"{side}_reflexive_addr" in came and f"{side}_local_addrs" not in came:
                raise SchemaViolation("no host candidates")
        return message

    after_decode(change)


@breaks("PHASE-4")
def speaks_of_later_things() -> None:
    """Writes the members of later phases than its own."""
    honest = wire.encode

    def encode(message: Message, phase: Phase) -> bytes:
        later = set(message.rest) & set(type(message).__dataclass_fields__)
        return honest(message, phase if later else NEWEST)

    wire.encode = encode
