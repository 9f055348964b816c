"""Subtle relays: each goes wrong in a situation that no single rule's check brings about.

They are mutants of no rule, so they stand in no kill table; the suite's drawn dialogues have to find them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from reference.core.call import By, Call, Says, State
from reference.core.calls import Calls
from reference.core.effects import Effect, Send
from reference.core.messages import AcceptMode, DirectCallAnswer, Message
from tests.mutants import Break, Mutant

SMALL = 4096
"""Bytes of JSON up to which an unknown member is remembered."""

SUBTLE: dict[str, Mutant] = {}
"""The subtle relays by their names."""


def subtle(apply: Break) -> Break:
    """Register the function below under the next name; its docstring says what is wrong."""
    name = f"SUBTLE-{len(SUBTLE) + 1}"
    SUBTLE[name] = Mutant(name, (apply.__doc__ or "").strip(), (), apply)
    return apply


@subtle
def swaps_where_two_calls_meet() -> None:
    """Swaps the two parties' addresses when the same two have another call at that time."""
    honest: Callable[..., Send] = Calls._say

    def say(self: Calls, session: int, call: Call, says: Says, to: By, forwarded: Message | None) -> Send:
        pair = {call.caller, call.callee}
        crowded = any({one.caller, one.callee} == pair for one in self.registry if one is not call)
        if says is Says.SETUP and crowded:
            to = By.CALLEE if to is By.CALLER else By.CALLER
        return honest(self, session, call, says, to, forwarded)

    Calls._say = say


@subtle
def tells_when_answered_twice() -> None:
    """Passes an answer that is not AcceptTrusted on once more, addresses and all, when it comes twice."""
    honest: Callable[..., list[Effect]] = Calls.direct_call_answer

    def direct_call_answer(self: Calls, sender: str, message: DirectCallAnswer, size: int) -> list[Effect]:
        call = self.registry.get(message.call_id)
        twice = call is not None and call.state is State.ACTIVE and call.side(sender) is By.CALLEE
        there = self.presence.session(call.caller) if twice else None
        if there is not None and message.accept_mode is AcceptMode.ACCEPT_GENERIC:
            return [Send(there, message)] if message.callee_reflexive_addr else []
        return honest(self, sender, message, size)

    Calls.direct_call_answer = direct_call_answer


@subtle
def forgets_what_is_large() -> None:
    """Forgets an unknown member of more than 4 KiB in what it forwards."""
    honest: Callable[..., Message] = Call.spoken

    def spoken(self: Call, says: Says, to: By, forwarded: Message | None, relay_addr: str) -> Message:
        message = honest(self, says, to, forwarded, relay_addr)
        kept = {name: value for name, value in message.rest.items() if len(json.dumps(value)) <= SMALL}
        return replace(message, rest=kept)

    Call.spoken = spoken
