"""Mutants of spec/media.md."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from reference import switch
from reference.core import media, messages
from reference.core.call import State
from reference.core.effects import Close, Effect, Send, SendDatagram
from reference.core.errors import CloseCode
from reference.core.registration import fingerprint
from reference.core.relay import RelayCore
from reference.core.rooms import Rooms
from tests.mutants import breaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.sessions import Session


def joining(keep: Callable[[Effect, int], bool]) -> None:
    """Leave out effects of a join: `keep` sees each with the session that joins."""
    honest = Rooms.join

    def join(self: Rooms, session: int, call_id: str, offer: messages.CallOffer) -> list[Effect]:
        return [effect for effect in honest(self, session, call_id, offer) if keep(effect, session)]

    Rooms.join = join


@breaks("MEDIA-1", "MEDIA-2")
def no_answer() -> None:
    """Admits a party without a CallAnswer."""
    joining(
        lambda effect, _: not (isinstance(effect, Send) and isinstance(effect.message, messages.CallAnswer))
    )


@breaks("MEDIA-2")
def wrong_signature() -> None:
    """Signs the CallAnswer over something else."""
    media.ANSWER = b"call-offer"


def admitting(when: Callable[[Rooms, str, messages.CallOffer], bool]) -> None:
    """Admit whoever this holds for, besides those who may come in."""
    honest = Rooms.admits
    Rooms.admits = lambda self, call_id, offer: honest(self, call_id, offer) or when(self, call_id, offer)


@breaks("MEDIA-3", "MEDIA-7")
def room_without_a_call() -> None:
    """Admits to the room of a call that does not exist."""
    admitting(lambda rooms, call_id, offer: rooms._registry.get(call_id) is None)


@breaks("MEDIA-4", "MEDIA-7")
def room_before_the_answer() -> None:
    """Admits the parties of a call that still rings."""

    def rings(rooms: Rooms, call_id: str, offer: messages.CallOffer) -> bool:
        call = rooms._registry.get(call_id)
        party = call is not None and call.side(fingerprint(offer.identity_pub)) is not None
        return call is not None and party and call.state is not State.ACTIVE

    admitting(rings)


@breaks("MEDIA-5", "MEDIA-7")
def anybody_comes_in() -> None:
    """Admits a third party to the room of an Active call."""

    def third(rooms: Rooms, call_id: str, offer: messages.CallOffer) -> bool:
        call = rooms._registry.get(call_id)
        stranger = call is not None and call.side(fingerprint(offer.identity_pub)) is None
        return call is not None and stranger and call.state is State.ACTIVE

    admitting(third)


@breaks("MEDIA-6", "MEDIA-7")
def any_signature() -> None:
    """Admits whoever names a party's key."""
    media.introduced = lambda *_: True


@breaks("MEDIA-7")
def tells_why() -> None:
    """Closes with another code when the call does not exist."""
    honest = RelayCore._call_offer

    def call_offer(self: RelayCore, session: int, state: Session, message: messages.Message) -> list[Effect]:
        unknown = self.calls.registry.get(state.call_id) is None
        return [
            Close(effect.session, CloseCode.CALL_ENDED)
            if unknown and isinstance(effect, Close) and effect.code is CloseCode.NOT_ADMITTED
            else effect
            for effect in honest(self, session, state, message)
        ]

    RelayCore._call_offer = call_offer


@breaks("MEDIA-8")
def no_hurry() -> None:
    """Lets media connections stay that never introduce themselves."""
    honest = RelayCore.connected

    def connected(
        self: RelayCore, session: int, sni: str | None, address: str, now: float, *others: str | None
    ) -> list[Effect]:
        effects = honest(self, session, sni, address, now, *others)
        if sni not in ("_signal", "_federation"):
            self.timers.cancel(session)
        return effects

    RelayCore.connected = connected


@breaks("MEDIA-9")
def strangers_are_heard() -> None:
    """Forwards datagrams of a connection that has not been admitted."""
    honest = RelayCore.datagram

    def datagram(self: RelayCore, session: int, data: bytes) -> list[Effect]:
        state, rooms = self.sessions.get(session), self.calls.rooms
        if state is not None and not rooms.seated(session) and state.call_id in rooms._rooms:
            seats = rooms._rooms[state.call_id].seats.values()
            return [SendDatagram(other, data) for other in seats]
        return honest(self, session, data)

    RelayCore.datagram = datagram


@breaks("MEDIA-10", "MEDIA-11")
def seat_is_kept() -> None:
    """Keeps the seat for the older connection."""
    honest = media.Room.sit

    def sit(self: media.Room, who: str, session: int, alias: str | None) -> int | None:
        older = self.seats.get(who)
        honest(self, who, session, alias)
        if older is not None:
            self.seats[who] = older
        return None

    media.Room.sit = sit


@breaks("MEDIA-11")
def two_on_one_seat() -> None:
    """Leaves the connection open that lost its seat."""
    joining(lambda effect, _: not isinstance(effect, Close))


@breaks("MEDIA-12")
def joins_quietly() -> None:
    """Sends RoomUpdate only to whoever joins."""
    joining(
        lambda effect, session: (
            not (isinstance(effect, Send) and isinstance(effect.message, messages.RoomUpdate))
            or effect.session == session
        )
    )


@breaks("MEDIA-13")
def leaves_quietly() -> None:
    """Sends no RoomUpdate when somebody leaves."""
    honest = Rooms.leave
    Rooms.leave = lambda self, session: [
        effect for effect in honest(self, session) if not isinstance(effect, Send)
    ]


@breaks("MEDIA-14")
def stays_after_the_end() -> None:
    """Leaves the media connections of an ended call open."""
    honest = Rooms.close
    Rooms.close = lambda self, call_id: [
        effect for effect in honest(self, call_id) if not isinstance(effect, Close)
    ]


@breaks("MEDIA-15")
def rooms_signal() -> None:
    """Answers a Ping, and takes a Hangup, on a media connection."""
    honest = RelayCore._call_offer

    def call_offer(self: RelayCore, session: int, state: Session, message: messages.Message) -> list[Effect]:
        seat = self.calls.rooms._seats.get(session)
        if isinstance(message, messages.Ping):
            return [Send(session, messages.Pong(timestamp_ms=message.timestamp_ms))]
        if isinstance(message, messages.Hangup) and seat is not None:
            return self.calls.hangup(seat.fingerprint, message, 0)
        return honest(self, session, state, message)

    RelayCore._call_offer = call_offer


def forwarding(change: Callable[[Rooms, int, bytes, list[Effect]], list[Effect]]) -> None:
    """Change what a datagram leads to."""
    honest = Rooms.datagram
    Rooms.datagram = lambda self, session, data: change(self, session, data, honest(self, session, data))


def with_bytes(change: Callable[[bytes], bytes]) -> None:
    """Change the bytes of every forwarded datagram."""
    forwarding(
        lambda rooms, session, data, effects: [
            SendDatagram(it.session, change(it.data)) if isinstance(it, SendDatagram) else it
            for it in effects
        ]
    )


@breaks("MEDIA-16", "ERR-9")
def changes_payload() -> None:
    """Turns over the last byte of a payload of more than 20 bytes."""
    with_bytes(lambda data: data[:-1] + bytes((data[-1] ^ 255,)) if len(data) > 32 else data)


@breaks("MEDIA-16-loss")
def loses_some() -> None:
    """Loses every twentieth datagram."""
    count = itertools.count(1)
    forwarding(lambda rooms, session, data, effects: effects if next(count) % 20 else [])


@breaks("MEDIA-17")
def clears_reserved_bits() -> None:
    """Clears the two low bits of byte 1, as deployed relays do."""
    with_bytes(lambda data: data[:1] + bytes((data[1] & 0xFC,)) + data[2:])


@breaks("MEDIA-18")
def echo() -> None:
    """Sends every datagram back to its sender too."""
    forwarding(
        lambda rooms, session, data, effects: (
            [*effects, SendDatagram(session, data)]
            if any(isinstance(it, SendDatagram) for it in effects)
            else effects
        )
    )


@breaks("MEDIA-19")
def party_line() -> None:
    """Forwards every datagram into every other room."""

    def everywhere(rooms: Rooms, session: int, data: bytes, effects: list[Effect]) -> list[Effect]:
        if not any(isinstance(it, SendDatagram) for it in effects):
            return effects
        here = rooms._seats[session].call_id
        return effects + [
            SendDatagram(other, data)
            for call_id, room in rooms._rooms.items()
            if call_id != here
            for other in room.seats.values()
        ]

    forwarding(everywhere)


def fit_although(reason: str) -> None:
    """Forward datagrams that are unfit for this reason."""
    honest = media.unfit
    media.unfit = lambda datagram: "" if honest(datagram) == reason else honest(datagram)


@breaks("MEDIA-20")
def forwards_short() -> None:
    """Forwards datagrams of less than 12 bytes."""
    fit_although("short")


@breaks("MEDIA-21")
def forwards_any_codec() -> None:
    """Forwards datagrams with the codec ids 9 to 15."""
    fit_although("codec")


@breaks("MEDIA-22")
def forwards_reportless() -> None:
    """Forwards datagrams whose Q is set and that have no room for a report."""
    fit_although("report")


@breaks("MEDIA-23")
def swaps() -> None:
    """Lets every third datagram of a sender be overtaken by the next one."""
    waiting: dict[int, list[Effect]] = {}
    counted: dict[int, int] = {}

    def swap(rooms: Rooms, session: int, data: bytes, effects: list[Effect]) -> list[Effect]:
        del rooms, data
        counted[session] = counted.get(session, 0) + 1
        if counted[session] % 3 == 0:
            waiting[session] = effects
            return []
        return effects + waiting.pop(session, [])

    forwarding(swap)


@breaks("MEDIA-24")
def too_large_is_the_end() -> None:
    """Forwards nothing more to a participant whose path one datagram did not fit."""
    stalled: set[int] = set()
    honest = switch.Switch._send_datagram

    def send(self: switch.Switch, effect: SendDatagram) -> None:
        if effect.session in stalled:
            return
        to = self.endpoint._sessions.get(effect.session)
        if to is not None and len(effect.data) > to.connection.largest_datagram:
            stalled.add(effect.session)
        honest(self, effect)

    switch.Switch._send_datagram = send
