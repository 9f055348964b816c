"""The relay: connections, registration, and the way of every message to the chapter it belongs to.

A pure machine. In: what happened on a session, and the time. Out: effects. A session is a QUIC connection;
its server name decides what it is for, and its registration decides who speaks on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.call import ROOM_PREFIX, Call
from reference.core.calls import Calls
from reference.core.draining import Draining
from reference.core.effects import Close, Count, Effect, Log, Send, ignored
from reference.core.errors import BadFrame, BadMessage, CloseCode, UnknownMessage
from reference.core.federation import Federation
from reference.core.links import SERVER_NAME, Links
from reference.core.reception import Reception
from reference.core.registration import Presence
from reference.core.sessions import Peer, Service, Session, Setting
from reference.core.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.authentication import Verdict
    from reference.core.sessions import Deadlines

NAME_SHOWN = 64
"""Characters of an unknown server name in a close: a whole one may not fit into its reason."""


class RelayCore:
    """The state of one relay; `ephemeral` returns 32 fresh private bytes for each media handshake."""

    def __init__(self, setting: Setting, ephemeral: Callable[[], bytes]) -> None:
        """Start without clients and calls."""
        self.setting = setting
        self.sessions: dict[int, Session] = {}
        self.presence = Presence()
        self.timers: Deadlines = Timers()
        self.links = Links(setting, self.timers)
        self.calls = Calls(setting, self.presence, self.timers, ephemeral, self.links)
        self.federation = Federation(setting, self.links, self.calls)
        self.reception = Reception(setting, self.presence, self.timers, self.calls, self._close)

    def adopt(self, setting: Setting) -> list[Effect]:
        """Go on with other limits, policy and peers; what runs already keeps the time it was given."""
        self.setting = self.calls.setting = self.reception.setting = setting
        for state in self.sessions.values():
            state.limits = setting.limits
        return self._with_ends(self.links.adopt(setting.peers))

    def dialled(self, leg: int, session: int | None) -> None:
        """Learn on which session a peer is dialled that a Dial asked for; None where that cannot be."""
        self.links.dialled(leg, session)

    def connected(
        self, session: int, sni: str | None, address: str, now: float, fingerprint: str | None = None
    ) -> list[Effect]:
        """Take in a connection after its handshake; its server name says what for (TRANS-7, TRANS-8).

        `fingerprint` is that of the certificate which a peer that was dialled shows.
        """
        limits = self.setting.limits
        if self.links.get(session) is not None or (sni == SERVER_NAME and self.setting.peers):
            self.sessions[session] = Session(Service.LINK, address, limits)
            self.timers.set(session, now + limits.hello_timeout)  # FED-4
            return self._with_ends(self.links.connected(session, fingerprint, now))
        if sni == "_signal":
            self.sessions[session] = Session(Service.SIGNAL, address, limits)
            self.timers.set(session, now + limits.register_timeout)  # REG-8
            return []
        if sni is not None and sni.startswith(ROOM_PREFIX):
            self.sessions[session] = Session(Service.ROOM, address, limits, sni.removeprefix(ROOM_PREFIX))
            self.timers.set(session, now + limits.media_timeout)  # MEDIA-8
            return []
        if sni == "ping":
            return [Close(session, CloseCode.NORMAL)]
        what = "" if sni is None else f"nothing is called {sni[:NAME_SHOWN]}"
        return [Close(session, CloseCode.NO_SUCH_SERVICE, what)]

    def moved(self, session: int, address: str) -> list[Effect]:
        """Note that the peer's packets come from another `ip:port` from now on (REFL-3)."""
        if session in self.sessions:
            self.sessions[session].address = address
        return []

    def receive(self, session: int, message: messages.Message, now: float, size: int = 0) -> list[Effect]:
        """Handle a message whose payload had `size` bytes; what has no business here is only counted.

        Before a registration nothing else counts (REG-9), and after it no second one does (REG-10);
        the zero key has Ping and Reflect and nothing more (REG-18, REG-20, REFL-4).
        """
        state = self.sessions.get(session)
        if state is None:  # closed by us while this was on its way
            return []
        if state.service is Service.ROOM:
            return self._call_offer(session, state, message)
        if state.service is Service.LINK:
            return self._with_ends(self.federation.receive(session, state, message, now, size))
        who = self.presence.registrant(session)
        if who is None:
            return self.reception.receive(session, message, size)
        match message:
            case messages.Ping():
                return [Send(session, messages.Pong(timestamp_ms=message.timestamp_ms))]
            case messages.Reflect():
                return self._reflect(session, state, now)
        if who.zero:
            return ignored(message)
        return self._of_a_call(session, state, who.fingerprint, message, now, size)

    def validated(self, session: int, verdict: Verdict, fingerprint: str = "") -> list[Effect]:
        """Learn what the operator's service says of a token, and for which fingerprint (REG-22)."""
        return self.reception.authentication.validated(session, verdict, fingerprint)

    def bad(self, session: int, fault: BadMessage | BadFrame, now: float) -> list[Effect]:
        """Count what could not be read; only too much of it ends the connection (ERR-2, ERR-3)."""
        state = self.sessions.get(session)
        if state is None:
            return []
        counted: list[Effect] = [Count("bad", type(fault).__name__)]
        if isinstance(fault, UnknownMessage):  # a newer peer may say more; that is no fault of its
            return counted
        if state.one_bad_too_many(now):
            return counted + self._close(session, CloseCode.BAD_MESSAGES)
        what = {**self.about(session), "fault": type(fault).__name__, "rule": fault.rule}
        return [*counted, Log("bad", what, {"address": state.address, "evidence": fault.evidence})]

    def about(self, session: int) -> dict[str, object]:
        """Return what a line of the log says of a session: its number, and the call that it is for."""
        state = self.sessions.get(session)
        call = {"call_id": state.call_id} if state is not None and state.service is Service.ROOM else {}
        return {**call, "session": session}

    def flushed(self, receipt: object) -> list[Effect]:
        """Note that the message sent with this receipt has left (CALL-3, CALL-4)."""
        return self.calls.flushed(receipt)

    def datagram(self, session: int, data: bytes) -> list[Effect]:
        """Forward media; on a signal connection a datagram means nothing (TRANS-15)."""
        link, rooms = self.links.get(session), self.calls.rooms
        return rooms.datagram(session, data) if link is None else rooms.across(link, data)

    def slow(self, session: int) -> list[Effect]:
        """Give up on a peer that leaves too many messages unread (ERR-4)."""
        return self._close(session, CloseCode.TOO_SLOW) if session in self.sessions else []

    def lost(self, session: int) -> list[Effect]:
        """Clean up after a connection that has ended, whoever ended it."""
        state = self.sessions.pop(session, None)
        if state is None:  # closed by us, or a dial that failed
            self.links.lost(session)
            return []
        self.timers.cancel(session)
        self.calls.lost(session)
        self.reception.authentication.forget(session)
        if state.service is Service.ROOM:
            return self.calls.rooms.leave(session)
        if state.service is Service.LINK:
            return self.federation.lost(session)
        unreachable = self.presence.forget(session)
        return self.calls.unreachable(unreachable) if unreachable else []

    def tick(self, now: float) -> list[Effect]:
        """Do what has become due."""
        effects: list[Effect] = []
        for key in self.timers.due(now):
            if isinstance(key, Call):
                effects += self.federation.overdue(key)
            elif isinstance(key, Peer):
                effects += self.links.due(key, now)
            elif isinstance(key, Draining):
                effects += key.tick(now)
            elif self.sessions[key].service is Service.LINK:
                effects += self._with_ends(self.links.unanswered(key, now))
            elif self.sessions[key].service is Service.SIGNAL:
                effects += self._close(key, CloseCode.REGISTRATION_TIMEOUT)
            else:
                effects += self._close(key, CloseCode.MEDIA_TIMEOUT)
        return effects

    def deadline(self) -> float | None:
        """Return when `tick` is wanted next, or None."""
        return self.timers.next()

    def drain(self, now: float) -> list[Effect]:
        """Begin no more calls, and wait for the live ones as long as the limit `drain` says (ERR-9)."""
        if self.calls.draining is not None:
            return []
        draining = Draining(self.calls.registry, self.presence, self.timers, self._close)
        self.calls.draining = draining
        return draining.begin(self.sessions, now, now + self.setting.limits.drain)

    def shutdown(self) -> list[Effect]:
        """End every call and then every connection, each with its reason (ERR-5, ERR-6)."""
        if self.calls.draining is not None:
            self.timers.cancel(self.calls.draining)
        self.links.stopped = True
        for peer in self.setting.peers:
            self.timers.cancel(peer)
        effects = self.calls.shutdown()
        closed = {effect.session for effect in effects if isinstance(effect, Close)}  # MEDIA-14
        for session in list(self.sessions):
            over = session in closed
            effects += self.lost(session) if over else self._close(session, CloseCode.SHUTDOWN)
        return effects

    def _of_a_call(
        self, session: int, state: Session, sender: str, message: messages.Message, now: float, size: int
    ) -> list[Effect]:
        match message:
            case messages.DirectCallOffer():
                return self.calls.direct_call_offer(session, sender, state, message, now, size)
            case messages.DirectCallAnswer():
                return self.calls.direct_call_answer(sender, message, size)
            case messages.MediaPathReport():
                return self.calls.media_path_report(sender, message, size)
            case messages.Hangup():
                return self.calls.hangup(sender, message, size)
        return ignored(message)

    def _reflect(self, session: int, state: Session, now: float) -> list[Effect]:
        """Tell a client where its packets come from now (REFL-1, REFL-2), if not too often (REFL-5)."""
        if not state.may_reflect(now):
            return ignored(messages.Reflect())
        return [Send(session, messages.ReflectResponse(observed_addr=state.address))]

    def _call_offer(self, session: int, state: Session, message: messages.Message) -> list[Effect]:
        rooms = self.calls.rooms
        if not isinstance(message, messages.CallOffer) or rooms.seated(session):
            return ignored(message)  # MEDIA-15
        if not rooms.admits(state.call_id, message):
            refused = Count("rooms_refused", "not admitted")
            return [refused, *self._close(session, CloseCode.NOT_ADMITTED)]  # MEDIA-7
        self.timers.cancel(session)
        return rooms.join(session, state.call_id, message)

    def _with_ends(self, effects: list[Effect]) -> list[Effect]:
        """Clean up after every session that these effects close."""
        closed = [effect.session for effect in effects if isinstance(effect, Close)]
        return effects + [effect for session in closed for effect in self.lost(session)]

    def _close(self, session: int, code: CloseCode) -> list[Effect]:
        """Close a session and clean up after it at once, so that nothing acts for it any more."""
        return [Close(session, code), *self.lost(session)]
