"""The media rooms of a relay (spec/media.md): admission, seats, forwarding.

A room exists while its call is Active and somebody sits in it. The cost of a datagram is two look-ups,
however many rooms and clients there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reference.core import media, messages
from reference.core.call import ROOM_PREFIX, TAG_SIZE, By, State, room_name
from reference.core.effects import Close, Count, Effect, Log, Send, SendDatagram
from reference.core.errors import CloseCode
from reference.core.registration import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference.core.links import Link
    from reference.core.registration import Identity
    from reference.core.registry import Registry
    from reference.core.strict_json import JsonObject


class Seat(NamedTuple):
    """Where a media session sits: the call and the participant's fingerprint."""

    call_id: str
    fingerprint: str


class Rooms:
    """All rooms of one relay; `ephemeral` returns 32 fresh private bytes for each handshake."""

    def __init__(self, identity: Identity, registry: Registry, ephemeral: Callable[[], bytes]) -> None:
        """Admit to the calls of `registry`, answering as `identity`."""
        self._identity = identity
        self._registry = registry
        self._ephemeral = ephemeral
        self._rooms: dict[str, media.Room] = {}
        self._seats: dict[int, Seat] = {}

    def __len__(self) -> int:
        """Return how many rooms somebody sits in."""
        return len(self._rooms)

    def seated(self, session: int) -> bool:
        """Tell whether `session` has been admitted."""
        return session in self._seats

    def admits(self, call_id: str, offer: messages.CallOffer) -> bool:
        """Tell whether this CallOffer opens the room (MEDIA-3, MEDIA-4, MEDIA-5, MEDIA-6)."""
        call = self._registry.get(call_id)
        return (
            call is not None
            and call.state is State.ACTIVE
            and call.side(fingerprint(offer.identity_pub)) is not None
            and media.introduced(offer.identity_pub, offer.ephemeral_pub, offer.signature, media.OFFER)
        )

    def join(self, session: int, call_id: str, offer: messages.CallOffer) -> list[Effect]:
        """Seat a participant: CallAnswer to it, RoomUpdate to all (MEDIA-1, MEDIA-10 to MEDIA-12)."""
        who = fingerprint(offer.identity_pub)
        room = self._rooms.setdefault(call_id, media.Room())
        older = room.sit(who, session, offer.alias)
        effects: list[Effect] = [Send(session, self._answer())]
        self._seats[session] = Seat(call_id, who)
        if older is not None:
            del self._seats[older]
            effects.append(Close(older, CloseCode.SEAT_TAKEN))
        effects.append(Log("room.joined", {"call_id": call_id, "fingerprint": who, "count": len(room.seats)}))
        announced = [  # FED-31
            Send(
                link.session,
                messages.GlobalRoomActive(room=room_name(call_id), participants=room.participants()),
            )
            for link in self._links_of(call_id)
        ]
        return effects + self._update(call_id, room) + announced

    def leave(self, session: int) -> list[Effect]:
        """Free the seat of a session that has ended and tell the other participant (MEDIA-13, FED-32)."""
        seat = self._seats.pop(session, None)
        if seat is None:
            return []
        room = self._rooms[seat.call_id]
        room.leave(seat.fingerprint, session)
        left = Log("room.left", {"call_id": seat.call_id, "fingerprint": seat.fingerprint})
        if room.seats:
            return [left, *self._update(seat.call_id, room)]
        del self._rooms[seat.call_id]
        over = messages.GlobalRoomInactive(room=room_name(seat.call_id))
        return [left, *(Send(link.session, over) for link in self._links_of(seat.call_id))]

    def close(self, call_id: str) -> list[Effect]:
        """Evict everybody from the room of a call that has ended (MEDIA-14)."""
        room = self._rooms.pop(call_id, None)
        if room is None:
            return []
        for session in room.seats.values():
            del self._seats[session]
        return [Close(session, CloseCode.CALL_ENDED) for session in room.seats.values()]

    def datagram(self, session: int, data: bytes) -> list[Effect]:
        """Forward a datagram to the other participant, byte for byte, at once (MEDIA-16, MEDIA-17, MEDIA-23).

        Not from a stranger (MEDIA-9), not back (MEDIA-18), and into no other room (MEDIA-19).
        """
        seat = self._seats.get(session)
        if seat is None:
            return [Count("datagrams_dropped", "not admitted")]
        reason = media.unfit(data)
        if reason:
            return [Count("datagrams_dropped", reason)]
        others = [other for other in self._rooms[seat.call_id].seats.values() if other != session]
        if others:
            return [SendDatagram(other, data) for other in others]
        call = self._registry.get(seat.call_id)
        if call is None or not call.links:
            return [Count("datagrams_dropped", "alone")]
        return [SendDatagram(call.links[0].session, call.tag + data)]  # FED-28

    def across(self, link: Link, data: bytes) -> list[Effect]:
        """Hand a datagram of a link to the party that is here, byte for byte (FED-29, FED-30)."""
        call = link.rooms.get(data[:TAG_SIZE])
        if call is None:
            return [Count("datagrams_dropped", "no such room")]
        reason = media.unfit(data[TAG_SIZE:])
        if reason:
            return [Count("datagrams_dropped", reason)]
        room = self._rooms.get(call.call_id)
        if room is None:
            return [Count("datagrams_dropped", "alone")]
        return [SendDatagram(session, data[TAG_SIZE:]) for session in room.seats.values()]

    def announced(self, link: Link, name: str, participants: Sequence[JsonObject]) -> list[Effect]:
        """Note who sits in the room at the other relay, if it is the other party (FED-33)."""
        call = link.calls.get(name.removeprefix(ROOM_PREFIX))
        if call is None or name != call.room or call.state is not State.ACTIVE:
            return [Count("ignored", "room")]
        away = call.caller if call.away is By.CALLER else call.callee
        seated = [one for one in participants if one.get("fingerprint") == away][:1]
        call.seated = {**seated[0], "relay_label": link.label} if seated else None
        room = self._rooms.get(call.call_id)
        return [] if room is None else self._update(call.call_id, room)

    def _links_of(self, call_id: str) -> list[Link]:
        call = self._registry.get(call_id)
        return [] if call is None else call.links

    def _answer(self) -> messages.CallAnswer:
        public = media.ephemeral_public(self._ephemeral())
        return messages.CallAnswer(
            identity_pub=self._identity.public,
            ephemeral_pub=public,
            signature=self._identity.sign(public + media.ANSWER),
            chosen_profile=media.GOOD,
        )

    def _update(self, call_id: str, room: media.Room) -> list[Effect]:
        call = self._registry.get(call_id)
        away = [] if call is None or call.seated is None else [call.seated]
        everybody = [*room.participants(), *away]
        update = messages.RoomUpdate(count=len(everybody), participants=everybody)
        return [Send(session, update) for session in room.seats.values()]
