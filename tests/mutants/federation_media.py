"""Mutants of spec/federation.md: datagrams over a link, and who sits in a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.call import TAG_SIZE, Call
from reference.core.effects import Effect, SendDatagram
from reference.core.links import Link
from reference.core.rooms import Rooms
from tests.mutants import breaks
from tests.mutants.federation import says

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference.core.strict_json import JsonObject


def sending(change: Callable[[Call, bytes], bytes]) -> None:
    """Change the bytes that go over a link."""
    honest = Rooms.datagram

    def datagram(self: Rooms, session: int, data: bytes) -> list[Effect]:
        seat = self._seats.get(session)
        call = self._registry.get(seat.call_id) if seat is not None else None
        over = [link.session for link in call.links] if call is not None else []
        return [
            SendDatagram(effect.session, change(call, effect.data))
            if isinstance(effect, SendDatagram) and call is not None and effect.session in over
            else effect
            for effect in honest(self, session, data)
        ]

    Rooms.datagram = datagram


@breaks("FED-28")
def no_tag() -> None:
    """Sends datagrams over a link without the tag of their room."""
    sending(lambda call, data: data[TAG_SIZE:])


@breaks("FED-29")
def changes_payload() -> None:
    """Turns over the last byte of a datagram of more than 30 bytes that comes over a link."""
    honest = Rooms.across

    def across(self: Rooms, link: Link, data: bytes) -> list[Effect]:
        return [
            SendDatagram(effect.session, effect.data[:-1] + bytes((effect.data[-1] ^ 255,)))
            if isinstance(effect, SendDatagram) and len(effect.data) > 30
            else effect
            for effect in honest(self, link, data)
        ]

    Rooms.across = across


@breaks("FED-30")
def any_room() -> None:
    """Hands a datagram of a link into the room of another link's call."""
    honest = Rooms.across

    def across(self: Rooms, link: Link, data: bytes) -> list[Effect]:
        calls = (call for call in self._registry if call.links and call.tag == data[:TAG_SIZE])
        call = next(calls, None)
        return honest(self, link if call is None else call.links[0], data)

    Rooms.across = across


@breaks("FED-31")
def joins_quietly() -> None:
    """Does not say over a link that a party has joined."""
    honest = Rooms.join

    def join(self: Rooms, session: int, call_id: str, offer: messages.CallOffer) -> list[Effect]:
        effects = honest(self, session, call_id, offer)
        return [effect for effect in effects if not says(effect, messages.GlobalRoomActive)]

    Rooms.join = join


@breaks("FED-32")
def leaves_quietly() -> None:
    """Does not say over a link that a party has left."""
    honest = Rooms.leave
    Rooms.leave = lambda self, session: [
        effect for effect in honest(self, session) if not says(effect, messages.GlobalRoomInactive)
    ]


@breaks("FED-33")
def shows_nobody() -> None:
    """Does not tell a participant who sits in the room at the other relay."""

    def announced(self: Rooms, link: Link, name: str, participants: Sequence[JsonObject]) -> list[Effect]:
        del self, link, name, participants
        return []

    Rooms.announced = announced
