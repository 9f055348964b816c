"""Reception (spec/registration.md): the way of a connection to its registration, with a token or without.

The rules of this file: before the registration nothing else counts, and a connection registers once; who
is refused is told why and closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.authentication import Authentication
from reference.core.effects import Count, Effect, Log, Send, ignored
from reference.core.errors import CloseCode
from reference.core.registration import ZERO_KEY, Presence, Registrant, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.core.calls import Calls
    from reference.core.sessions import Deadlines, Setting


class Reception:
    """Registers the connections of one relay; `close` ends one and cleans up after it."""

    def __init__(
        self,
        setting: Setting,
        presence: Presence,
        timers: Deadlines,
        calls: Calls,
        close: Callable[[int, CloseCode], list[Effect]],
    ) -> None:
        """Enter into `presence` who registers, and tell `calls` who is there."""
        self.setting = setting
        self.presence = presence
        self.timers = timers
        self.calls = calls
        self._close = close
        self.authentication = Authentication(self.register, self._refuse, close)

    def receive(self, session: int, message: messages.Message, size: int) -> list[Effect]:
        """Handle what comes before a registration (REG-9, REG-21)."""
        if self.setting.authenticate:
            return self.authentication.receive(session, message, size)
        return self.register(session, message)

    def register(self, session: int, message: messages.Message) -> list[Effect]:
        """Register a connection for the key that it names and proves (REG-1 to REG-12)."""
        if not isinstance(message, messages.RegisterPresence):
            return ignored(message)
        error = self.presence.refusal(message.identity_pub, message.signature, self.setting.policy)
        error = error or self.authentication.refusal(session, fingerprint(message.identity_pub))
        if error:
            return self._refuse(session, error)
        zero = message.identity_pub == ZERO_KEY
        who = Registrant(fingerprint(message.identity_pub), bool(message.signature), message.alias, zero)
        if self.calls.draining is not None and self.calls.draining.idle(who.fingerprint):
            return self._close(session, CloseCode.SHUTDOWN)  # ERR-8
        self.timers.cancel(session)
        older = self.presence.register(session, who)
        registered = messages.RegisterPresenceAck(success=True, relay_build=self.setting.build)  # REG-2
        effects: list[Effect] = [
            Send(session, registered),
            Log("registered", {"fingerprint": who.fingerprint, "signed": who.signed}),
        ]
        if older is not None:
            effects += self._close(older, CloseCode.REPLACED)
        return effects + ([] if zero else self.calls.registered(who.fingerprint))

    def _refuse(self, session: int, error: str) -> list[Effect]:
        """Refuse a registration for a reason that a person can read (REG-5, REG-6)."""
        refusal = messages.RegisterPresenceAck(success=False, error=error)
        closed = self._close(session, CloseCode.REGISTRATION_REFUSED)
        return [Send(session, refusal), Count("registrations_refused", error.partition(":")[0]), *closed]
