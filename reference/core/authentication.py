"""Authentication (spec/registration.md): a relay that asks for a token before a registration.

The rules of this file:

- A connection shows one token; the operator's service judges it, and says whose it is.
- The registration may follow at once: one waits here until the token is judged.
- That a token is wrong is told and ends the connection; that the service fails is not the client's fault,
  who comes back later (REG-25).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from reference.core import messages
from reference.core.effects import Count, Effect, Validate
from reference.core.errors import CloseCode
from reference.core.sessions import SMALL_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = "the token is missing: this relay takes an AuthToken before RegisterPresence"
TOO_LARGE = f"the token is too large: an AuthToken has at most {SMALL_MESSAGE} bytes"
REFUSED = "the token is refused: ask whoever runs this relay for another one"
ANOTHER = "the token is another's: it does not stand for the fingerprint of identity_pub"


class Verdict(StrEnum):
    """What the service says of a token."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class Shown:
    """A token that a connection has shown: whose it is once it is judged, and the registration that waits."""

    fingerprint: str | None = None
    waiting: messages.RegisterPresence | None = None


class Authentication:
    """The tokens of all connections that have not ended."""

    def __init__(
        self,
        register: Callable[[int, messages.Message], list[Effect]],
        refuse: Callable[[int, str], list[Effect]],
        close: Callable[[int, CloseCode], list[Effect]],
    ) -> None:
        """Hand on to `register` what may register, to `refuse` what may not, with the reason."""
        self._register = register
        self._refuse = refuse
        self._close = close
        self._shown: dict[int, Shown] = {}

    def __len__(self) -> int:
        """Return how many connections have shown a token."""
        return len(self._shown)

    def receive(self, session: int, message: messages.Message, size: int) -> list[Effect]:
        """Handle what comes before a registration (REG-21, REG-9)."""
        shown = self._shown.get(session)
        match message:
            case messages.AuthToken() if shown is None:
                if size > SMALL_MESSAGE:
                    return self._refuse(session, TOO_LARGE)
                self._shown[session] = Shown()
                return [Validate(session, message.token)]
            case messages.RegisterPresence() if shown is None:
                return self._refuse(session, MISSING)
            case messages.RegisterPresence() if shown is not None and shown.fingerprint is not None:
                return self._register(session, message)
            case messages.RegisterPresence() if shown is not None and shown.waiting is None:
                shown.waiting = message
                return []
        return [Count("ignored", type(message).__name__)]

    def validated(self, session: int, verdict: Verdict, fingerprint: str) -> list[Effect]:
        """Go on with a connection whose token has been judged, if it is still there (REG-22, REG-24)."""
        shown = self._shown.get(session)
        if shown is None or shown.fingerprint is not None:
            return []
        if verdict is Verdict.UNAVAILABLE:
            return self._close(session, CloseCode.REGISTRATION_TIMEOUT)  # REG-25
        if verdict is Verdict.REFUSED:
            return self._refuse(session, REFUSED)
        shown.fingerprint = fingerprint
        return [] if shown.waiting is None else self._register(session, shown.waiting)

    def refusal(self, session: int, fingerprint: str) -> str:
        """Return why a registration does not fit its token, or "" when it does or none is asked (REG-23)."""
        shown = self._shown.get(session)
        return "" if shown is None or shown.fingerprint == fingerprint else ANOTHER

    def forget(self, session: int) -> None:
        """Forget the token of a connection that has ended."""
        self._shown.pop(session, None)
