"""Mutants of spec/errors.md."""

from __future__ import annotations

from typing import Any

from reference import switch
from reference.core import sessions
from reference.core.calls import Calls
from reference.core.draining import Draining
from reference.core.effects import Close, Effect, Stop
from reference.core.errors import BadFrame, BadMessage, CloseCode, HangupReason
from reference.core.relay import RelayCore
from reference.core.sessions import Service
from tests.mutants import breaks
from tests.mutants.transport import with_limits


@breaks("ERR-1")
def no_reasons() -> None:
    """Closes without a reason."""
    for code in CloseCode:
        switch.REASONS[code] = ""


@breaks("ERR-2")
def bad_media_message_closes() -> None:
    """Closes a media connection on a bad message."""
    honest = RelayCore.bad

    def bad(self: RelayCore, session: int, fault: BadMessage | BadFrame, now: float) -> list[Effect]:
        state = self.sessions.get(session)
        if state is not None and state.service is Service.ROOM:
            return [Close(session, CloseCode.BAD_MESSAGES), *self.lost(session)]
        return honest(self, session, fault, now)

    RelayCore.bad = bad


@breaks("ERR-3")
def endless_patience() -> None:
    """Takes any number of bad messages."""
    sessions.Session.one_bad_too_many = lambda _self, _now: False


@breaks("ERR-4")
def keeps_everything() -> None:
    """Keeps any number of messages for a peer that does not read."""
    with_limits(unsent=1_000_000)


@breaks("ERR-5")
def leaves_without_a_word() -> None:
    """Stops without ending the calls."""
    Calls.shutdown = lambda _self: []
    honest = RelayCore.shutdown

    def shutdown(self: RelayCore) -> list[Effect]:
        for call in self.calls.registry:
            self.calls.registry.remove(call)
        return honest(self)

    RelayCore.shutdown = shutdown


@breaks("ERR-6", "ERR-8")
def normal_shutdown() -> None:
    """Closes every connection with NORMAL when it stops."""
    honest = switch.Switch._one

    def one(self: switch.Switch, effect: Effect) -> None:
        if isinstance(effect, Close) and effect.code is CloseCode.SHUTDOWN:
            effect = Close(effect.session, CloseCode.NORMAL)
        honest(self, effect)

    switch.Switch._one = one


@breaks("ERR-6-links")
def leaves_links_open() -> None:
    """Closes its links with NORMAL when it stops."""
    honest = RelayCore.shutdown

    def shutdown(self: RelayCore) -> list[Effect]:
        links = [session for session in self.sessions if self.links.get(session) is not None]
        return [
            Close(effect.session, CloseCode.NORMAL)
            if isinstance(effect, Close) and effect.session in links
            else effect
            for effect in honest(self)
        ]

    RelayCore.shutdown = shutdown


@breaks("ERR-7")
def begins_calls_to_the_end() -> None:
    """Lets calls begin while it drains."""
    honest = Calls.refusal

    def refusal(self: Calls, *arguments: Any) -> HangupReason | None:
        draining, self.draining = self.draining, None
        reason = honest(self, *arguments)
        self.draining = draining
        return reason

    Calls.refusal = refusal


@breaks("ERR-8")
def keeps_everybody() -> None:
    """Sends nobody away while it drains."""
    Draining.idle = lambda _self, _fingerprint: False


@breaks("ERR-9")
def drains_by_stopping() -> None:
    """Stops at once where it should drain."""
    RelayCore.drain = lambda _self, _now: [Stop()]
