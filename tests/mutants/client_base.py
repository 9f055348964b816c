"""What the mutants of the client are made of: a client in which a part can be another one.

A mutant takes the place of the client of a running program (`apply`), which the suite judges from outside.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from reference import buttons, courier, handset, nat
from reference.buttons import own_addresses
from reference.core.client import ClientCore
from reference.core.effects import Effect, Send
from reference.core.line import Account
from reference.core.messages import CallSetup, Message
from reference.core.paths import Paths
from reference.core.reflection import Verdict, classify
from reference.core.telephone import Telephone
from reference.courier import payload
from reference.sockets import Sockets
from reference.survey import Probe, ask

Classify = Callable[[Iterable[str | None]], tuple[Verdict, str | None]]
Ask = Callable[[Iterable[str], float], Awaitable[list[Probe]]]
Listed = Callable[[Sequence[str] | None], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What belongs to a client and is no part of its machine; or the machine of a running program."""

    classify: Classify = field(default=classify)
    ask: Ask = field(default=ask)
    sockets: type[Sockets] = Sockets
    listed: Listed = field(default=own_addresses)
    payload: Callable[[], bytes] = field(default=payload)
    machine: type[ClientCore] | None = None


class ClientMutant(ClientCore):
    """A client with the rule `id` broken: in itself, in its telephone, in its times or in another part.

    A running program has the parts `running`, where these differ from those that the tests of rules know.
    `collateral` are rules that cannot hold any more once this one is broken. With `phase` the client has to
    be one of that phase for the mutant to show.
    """

    id: ClassVar[str]
    collateral: ClassVar[tuple[str, ...]] = ()
    phase: ClassVar[str | None] = None
    telephone_kind: ClassVar[type[Telephone]] = Telephone
    times: ClassVar[Mapping[str, float]] = MappingProxyType({})
    parts: ClassVar[Parts] = Parts()
    running: ClassVar[Parts | None] = None

    @classmethod
    def apply(cls) -> None:
        """Take the place of the client in this process, with all parts."""
        parts = cls.running or cls.parts
        for module, name, part in (
            (handset, "ClientCore", parts.machine or cls),
            (handset, "Sockets", parts.sockets),
            (nat, "classify", parts.classify),
            (nat, "ask", parts.ask),
            (buttons, "ask", parts.ask),
            (buttons, "own_addresses", parts.listed),
            (courier, "payload", parts.payload),
        ):
            vars(module)[name] = part

    def __init__(
        self, account: Account, entropy: Callable[[int], bytes], jitter: Callable[[], float]
    ) -> None:
        """Start offline, with the telephone and the times of the mutant."""
        changed: Any = self.times
        super().__init__(replace(account, **changed), entropy, jitter)
        self.telephone = self.telephone_kind(self.account, self._timers, entropy)


class OtherPaths(Telephone):
    """A telephone whose calls have paths of another kind, once they are set up."""

    paths_kind: ClassVar[type[Paths]] = Paths

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Set off as ever, and go on differently."""
        effects = super().call_setup(message, now)
        if self.call is not None and self.call.paths is not None:
            self.call.paths.__class__ = self.paths_kind
        return effects


def altered(effects: Iterable[Effect], kind: type[Message], **members: object) -> list[Effect]:
    """Return effects in which the messages of a kind have other members."""
    changed: Any = members
    return [
        replace(effect, message=replace(effect.message, **changed))
        if isinstance(effect, Send) and isinstance(effect.message, kind)
        else effect
        for effect in effects
    ]
