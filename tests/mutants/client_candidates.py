"""Mutants of a client, of spec/candidates.md: which addresses it advertises, and which it dials."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Self

from reference.core.addresses import format_address, on_loopback, parse_address, undialable
from reference.core.call import ROOM_PREFIX
from reference.core.candidates import host_candidates
from reference.core.effects import Dial, Effect
from reference.core.errors import CloseCode
from reference.core.line import FIRST_DIRECT, Account
from reference.core.messages import CallSetup, DirectCallAnswer, DirectCallOffer, Message
from reference.core.telephone import Telephone
from reference.endpoint import Credentials, Endpoint
from reference.handler import EndpointLimits, Handler
from reference.sockets import ANYWHERE, Sockets
from tests.mutants.client_base import ClientMutant, Parts, altered


def canonical(text: str) -> str | None:
    """Return an address in the one text form, or None when it cannot be read."""
    try:
        return format_address(*parse_address(text))
    except ValueError:
        return None


def next_port(port: int) -> int:
    """Return another port."""
    return port % 65_535 + 1


class NamesAnother(Telephone):
    """A telephone that names another port than the relay observed, in one member of one kind of message."""

    kind: ClassVar[type[Message]]
    member: ClassVar[str]

    def prepared(self) -> list[Effect]:
        """Name a port that is not ours."""
        found = None if self.call is None else self.call.gathering.reflexive
        if found is None:
            return super().prepared()
        host, port = parse_address(found)
        return altered(super().prepared(), self.kind, **{self.member: format_address(host, next_port(port))})


class OffersAnother(NamesAnother):
    """The telephone of CallersOtherPort."""

    kind, member = DirectCallOffer, "caller_reflexive_addr"


class CallersOtherPort(ClientMutant):
    """Advertises another address in its offers than the relay observed."""

    id = "CAND-7"
    telephone_kind = OffersAnother


class AnswersAnother(NamesAnother):
    """The telephone of CalleesOtherPort."""

    kind, member = DirectCallAnswer, "callee_reflexive_addr"


class CalleesOtherPort(ClientMutant):
    """Advertises another address in its answers than the relay observed."""

    id = "CAND-8"
    telephone_kind = AnswersAnother


class AnyInterface(ClientMutant):
    """Advertises its loopback address as well."""

    id = "CAND-9"

    def gathered(self, addresses: Sequence[str], ports: Mapping[int, int]) -> list[Effect]:
        """Add an address that is nobody's at the other end."""
        if self.telephone.call is not None:
            found = host_candidates(addresses, ports)
            self.telephone.call.gathering.listed((*found, format_address("127.0.0.1", ports[4])))
        return super().gathered(addresses, ports)


class PortsOfNobody(Sockets):
    """The sockets of WrongPort."""

    @property
    def ports(self) -> dict[int, int]:
        """Name ports on which nobody listens."""
        return {version: next_port(port) for version, port in super().ports.items()}


class WrongPort(ClientMutant):
    """Advertises host candidates with a port on which it does not listen."""

    id = "CAND-10"
    parts = Parts(sockets=PortsOfNobody)

    def gathered(self, addresses: Sequence[str], ports: Mapping[int, int]) -> list[Effect]:
        """Take one port for another."""
        return super().gathered(addresses, {version: next_port(port) for version, port in ports.items()})


async def never_listed(candidates: Sequence[str] | None) -> Sequence[str]:
    """List the interfaces of a system that does not come to an end with it, if it has any."""
    if candidates:
        await asyncio.Event().wait()
    return candidates or ()


class SlowToList(ClientMutant):
    """Waits 8 s for the addresses of its interfaces."""

    id = "CAND-11"
    times: ClassVar[Mapping[str, float]] = {"hosts_timeout": 8.0}
    running = Parts(listed=never_listed)


class OneSocket(Sockets):
    """The sockets of SixWithoutSocket in a program, on a machine that has both families."""

    @classmethod
    async def open(cls, account: Account, handler: Handler, limits: EndpointLimits) -> Self:
        """Keep the first socket alone, that of the relay's family."""
        sockets = await super().open(account, handler, limits)
        for version in list(sockets._endpoints)[1:]:
            await sockets._endpoints.pop(version).shutdown(CloseCode.NORMAL, "")
        return sockets


class SixWithoutSocket(ClientMutant):
    """Advertises IPv6 addresses without an IPv6 socket."""

    id = "CAND-12"
    running = Parts(sockets=OneSocket)

    def gathered(self, addresses: Sequence[str], ports: Mapping[int, int]) -> list[Effect]:
        """Take the port of one socket for that of another, which is not there."""
        return super().gathered(addresses, {6: min(ports.values()), **ports})


class GivesUp(Telephone):
    """The telephone of AllOrNone."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Dial none of the host candidates when one of them is of no use."""
        near = on_loopback(self.account.relay)
        if any(undialable(text, loopback=near) for text in message.peer_local_addrs):
            message = replace(message, peer_local_addrs=())
        return super().call_setup(message, now)


class AllOrNone(ClientMutant):
    """Dials no host candidate when it cannot use one of them."""

    id = "CAND-13"
    telephone_kind = GivesUp


class DialsMore(Telephone):
    """A telephone that dials, as a dialer, candidates that it should not."""

    def more(self, message: CallSetup, dialled: Sequence[str]) -> Iterable[str]:
        """Return what to dial beside what is dialled."""
        raise NotImplementedError

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Dial some more."""
        effects = super().call_setup(message, now)
        dialled = [one.address for one in effects if isinstance(one, Dial) and one.leg >= FIRST_DIRECT]
        if not dialled:
            return effects
        more = [Dial(self.new_leg(), address, message.room) for address in self.more(message, dialled)]
        return [*effects, *more]


class DialsForbidden(DialsMore):
    """The telephone of AnyAddress."""

    def more(self, message: CallSetup, dialled: Sequence[str]) -> Iterable[str]:
        """Dial what is never dialled."""
        named = map(canonical, message.peer_local_addrs)
        near = on_loopback(self.account.relay)
        return [text for text in named if text is not None and undialable(text, loopback=near)]


class AnyAddress(ClientMutant):
    """Dials addresses that are never dialled."""

    id = "CAND-14"
    telephone_kind = DialsForbidden


class DialsEverything(DialsMore):
    """The telephone of NoLimit."""

    def more(self, message: CallSetup, dialled: Sequence[str]) -> Iterable[str]:
        """Dial what is beyond the limit too."""
        near = on_loopback(self.account.relay)
        usable = [text for text in message.peer_local_addrs if not undialable(text, loopback=near)]
        named = dict.fromkeys(map(canonical, usable))
        return [address for address in named if address is not None and address not in dialled]


class NoLimit(ClientMutant):
    """Dials every candidate, however many there are."""

    id = "CAND-15"
    telephone_kind = DialsEverything


class DialsTwice(DialsMore):
    """The telephone of Repeats."""

    def more(self, message: CallSetup, dialled: Sequence[str]) -> Iterable[str]:
        """Dial again what is named again."""
        named = [canonical(text) for text in message.peer_local_addrs]
        return [address for address in dialled for _ in range(named.count(address) - 1)]


class Repeats(ClientMutant):
    """Dials a candidate as often as it is named."""

    id = "CAND-16"
    telephone_kind = DialsTwice


class DialsFourOnly(Telephone):
    """The telephone of FourOnly."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Overlook the IPv6 socket."""
        self.families = frozenset({4})
        return super().call_setup(message, now)


class Detached(Sockets):
    """Sockets that dial peers of an IP version from a socket apart."""

    version: ClassVar[int]

    @classmethod
    async def open(cls, account: Account, handler: Handler, limits: EndpointLimits) -> Self:
        """Bind one socket more than there should be."""
        sockets = await super().open(account, handler, limits)
        sockets._endpoints[-cls.version] = await Endpoint.open(
            ANYWHERE[cls.version],
            0,
            handler,
            Credentials.fresh(),
            limits,
            numbers=itertools.count(1_000),
            six_only=cls.version == 6,
        )
        return sockets

    def dial(self, leg: int, address: tuple[str, int], sni: str) -> None:
        """Take the other socket for a peer."""
        peer = leg >= FIRST_DIRECT and sni.startswith(ROOM_PREFIX)
        if peer and ipaddress.ip_address(address[0]).version == self.version:
            self.take(leg, self._endpoints[-self.version].dial(address, sni))
        else:
            super().dial(leg, address, sni)


class DetachedSix(Detached):
    """The sockets of FourOnly."""

    version = 6


class FourOnly(ClientMutant):
    """Does not dial IPv6 candidates, or from a socket of no use."""

    id = "CAND-17"
    telephone_kind = DialsFourOnly
    parts = Parts(sockets=DetachedSix)


MUTANTS: list[type[ClientMutant]] = [
    CallersOtherPort,
    CalleesOtherPort,
    AnyInterface,
    WrongPort,
    SlowToList,
    SixWithoutSocket,
    AllOrNone,
    AnyAddress,
    NoLimit,
    Repeats,
    FourOnly,
]
