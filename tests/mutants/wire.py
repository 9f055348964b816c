"""Mutants of spec/wire.md and spec/phases.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reference import switch
from reference.core import calls, wire
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
        try:
            return json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Malformed(str(error)) from None

    wire.strict_json.parse = parse


@breaks("WIRE-5")
def no_schema() -> None:
    """Acts on messages that break their schema, as far as it can make sense of them."""

    def check(self: Any, body: Any) -> None:
        del self
        if not isinstance(body, dict):
            raise SchemaViolation("no object")

    wire._Shape.check = check
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
    """Ignores messages whose members are not in the order of the schema."""

    def change(message: Message, payload: bytes) -> Message:
        order = [name for name in type(message).__dataclass_fields__ if name != "rest"]
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
            return payload.replace(b"true}", b'true,"error":null}')
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


@breaks("PHASE-1")
def answers_reflect() -> None:
    """Answers Reflect, which exists since phase 1."""
    honest = switch.Switch.frame

    def frame(self: switch.Switch, number: int, payload: bytes) -> None:
        if payload.strip() == b'"Reflect"' and self.core.presence.registrant(number):
            self.endpoint.send(number, b'{"ReflectResponse":{"observed_addr":"192.0.2.1:1"}}')
            return
        honest(self, number, payload)

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
