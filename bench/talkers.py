"""Talkers: the reference client whole, with its sockets, and what it told its user.

Rules of this file: of a client only the source of its sound is replaced, because a codec is no part of what
is measured: a talker says one frame at the moment at which it may. It may advertise the loopback interface
only, so a call stays on this machine.
"""

from __future__ import annotations

import ipaddress
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import ifaddr

from bench.clients import PAYLOAD, StepError, Waiter
from reference import interfaces
from reference.core.addresses import parse_address
from reference.core.errors import REASONS, CloseCode
from reference.core.line import Account, Answer, Way
from reference.core.messages import Message, ReflectResponse
from reference.core.registration import Identity
from reference.endpoint import Endpoint, EndpointLimits
from reference.handset import Handset
from reference.talk import AudioPlan, Talk

HERE = "127.0.0.1"
BARE = "bare"
"""The server name of a connection that is a handshake and nothing else."""


def loopback() -> str:
    """Return the name of this machine's loopback interface."""
    here = [
        each.name
        for each in ifaddr.get_adapters()
        for it in each.ips
        if isinstance(it.ip, str) and ipaddress.ip_address(it.ip).is_loopback
    ]
    if not here:
        raise StepError("this machine has no loopback interface")
    return here[0]


class Talker(Waiter):
    """One registered person, who trusts every caller; `told` has the events of the latest call, in order."""

    def __init__(self, relay: str, plan: AudioPlan | None = None, **settings: Any) -> None:  # noqa: ANN401 - of Account
        """Prepare a client with a fresh identity; `settings` are those of its account."""
        super().__init__()
        given = {"answer": Answer.TRUSTED, **settings}
        account = Account(Identity.from_seed(secrets.token_bytes(32)), relay, **given)
        voice, listed = partial(Talk, plan or AudioPlan()), partial(interfaces.addresses, (loopback(),))
        self.handset = Handset(account, voice, self._tell, listed)
        self.told: list[tuple[str, Mapping[str, object]]] = []

    @property
    def fingerprint(self) -> str:
        """The name by which it is called."""
        return self.handset.core.account.identity.fingerprint

    @property
    def endpoint(self) -> Endpoint:
        """Its socket of the relay's family."""
        relay = ipaddress.ip_address(parse_address(self.handset.core.account.relay)[0])
        return self.handset.sockets._endpoints[relay.version]  # noqa: SLF001 - to dial beside its calls

    async def register(self, limits: EndpointLimits) -> None:
        """Open the sockets and register; raises StepError when the relay refuses."""
        await self.handset.open(limits)
        await self.event("registered")

    def places(self, target: str) -> None:
        """Call a fingerprint."""
        self.told.clear()
        self.handset.perform(self.handset.core.place(target, self.handset.clock.now()))

    async def call(self, callee: Talker) -> None:
        """Call somebody, until both have heard the other; raises StepError when it ends before."""
        callee.told.clear()
        self.places(callee.fingerprint)
        for party in (self, callee):
            await party.event("heard")

    async def hang_up(self, callee: Talker) -> None:
        """End the call, for both."""
        self.handset.perform(self.handset.core.hangup())
        for party in (self, callee):
            await party.event("ended")

    async def event(self, name: str, **members: object) -> Mapping[str, object]:
        """Wait for an event with these members; raises StepError when the call or the client ends before."""
        found = self.last(name, **members)
        while found is None:
            over = self.last("ended") or self.last("stopped")
            if over is not None:
                raise StepError(f"{self.fingerprint} waits for {name!r} and is told {over}")
            self._change.clear()
            await self._change.wait()
            found = self.last(name, **members)
        return found

    def last(self, name: str, **members: object) -> Mapping[str, object] | None:
        """Return the latest event of this name with these members, or None."""
        those = (it for event, it in reversed(self.told) if event == name and members.items() <= it.items())
        return next(those, None)

    def wants(self, *, through_the_relay: bool) -> None:
        """Choose the way of the next call."""
        core = self.handset.core
        core.account = core.telephone.account = replace(
            core.account, way=Way.RELAY if through_the_relay else Way.AUTO
        )

    def claims(self, address: str) -> None:
        """Believe from now on, and tell others, that this is our reflexive address."""
        receive = self.handset.core.receive

        def lied(leg: int, message: Message, now: float) -> list[Any]:
            reflected = isinstance(message, ReflectResponse)
            return receive(leg, ReflectResponse(observed_addr=address) if reflected else message, now)

        self.handset.core.receive = lied  # type: ignore[method-assign]

    def _tell(self, event: str, members: Mapping[str, object]) -> None:
        self.told.append((event, members))
        if event == "talking":
            self.handset._speak(PAYLOAD)  # noqa: SLF001 - as its own source of sound does
        self.changed()


Connected: TypeAlias = Callable[[int, str | None, str, str | None], None]


class Bare(Waiter):
    """Handshakes between the sockets of two talkers, beside their calls: the least that a path can cost."""

    def __init__(self, dialer: Talker, acceptor: Talker) -> None:
        """Take note of what the two sockets tell of such connections."""
        super().__init__()
        self.dialer, self.acceptor = dialer.endpoint, acceptor.endpoint
        self._held: dict[Endpoint, int] = {}
        for talker in (dialer, acceptor):
            self._divert(talker)

    async def handshake(self) -> float:
        """Return the seconds from the dial of a connection until both ends have it; then close it."""
        self.acceptor.welcome = frozenset({BARE})
        began = time.perf_counter()
        self.dialer.dial((HERE, self.acceptor.address[1]), BARE)
        await self.until(lambda: {self.dialer, self.acceptor} == self._held.keys())
        took = time.perf_counter() - began
        self.acceptor.welcome = frozenset()
        for endpoint, session in self._held.items():
            endpoint.close(session, CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
        self._held.clear()
        return took

    def _divert(self, talker: Talker) -> None:
        connected: Connected = talker.handset.connected

        def told(session: int, sni: str | None, address: str, fingerprint: str | None) -> None:
            if sni == BARE:
                self._held[talker.endpoint] = session
                self.changed()
            else:
                connected(session, sni, address, fingerprint)

        talker.handset.connected = told  # type: ignore[method-assign]
