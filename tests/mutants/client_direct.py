"""Mutants of a client of the later phases: reflection, candidates, privacy, race, agreement."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Self

from reference.core.addresses import format_address, on_loopback, parse_address, undialable
from reference.core.agreement import Path
from reference.core.call import ROOM_PREFIX, room_name
from reference.core.candidates import host_candidates
from reference.core.effects import Close, Dial, Effect, Send, SendDatagram, Welcome
from reference.core.errors import CloseCode
from reference.core.line import FIRST_DIRECT, Account, Alarm, Answer, Leg
from reference.core.media import Sender
from reference.core.messages import (
    AcceptMode,
    CallSetup,
    DirectCallAnswer,
    DirectCallOffer,
    MediaPathReport,
    Message,
    Ping,
    Reflect,
    ReflectResponse,
)
from reference.core.paths import Paths
from reference.core.race import Role, server_names
from reference.core.reflection import Verdict, classify
from reference.core.seat import Sitting
from reference.core.telephone import Telephone
from reference.endpoint import Credentials, Endpoint
from reference.handler import EndpointLimits, Handler
from reference.sockets import ANYWHERE, Sockets
from reference.survey import Probe, ask
from tests.mutants.client_base import ClientMutant, OtherPaths, Parts, altered

SMALLEST, LARGEST = "0.0.0.0:1", "[ffff::1]:1"
"""Reflexive addresses that make a dialer and an acceptor of whoever is told them; neither can be dialled."""


def canonical(text: str) -> str | None:
    """Return an address in the one text form, or None when it cannot be read."""
    try:
        return format_address(*parse_address(text))
    except ValueError:
        return None


def next_port(port: int) -> int:
    """Return another port."""
    return port % 65_535 + 1


class Patient(ClientMutant):
    """Waits 8 s for its own address."""

    id = "REFL-6"
    times: ClassVar[Mapping[str, float]] = {"reflect_timeout": 8.0}


class Remembers(Telephone):
    """The telephone of OldAddress."""

    known: str | None = None

    def alarm(self, alarm: Alarm, now: float) -> list[Effect]:
        """Advertise what was once true when nothing else is told."""
        if alarm is Alarm.REFLECT and self.call is not None:
            self.call.gathering.reflexive = self.known
        return super().alarm(alarm, now)


class OldAddress(ClientMutant):
    """Advertises the address that it had on an earlier connection."""

    id = "REFL-7"
    telephone_kind = Remembers

    def receive(self, leg: int, message: Message, now: float) -> list[Effect]:
        """Keep every address that the relay tells."""
        if isinstance(message, ReflectResponse) and isinstance(self.telephone, Remembers):
            self.telephone.known = message.observed_addr
        return super().receive(leg, message, now)


def count_everything(observations: Iterable[str | None]) -> tuple[Verdict, str | None]:
    """Take addresses of an own network for another way out."""
    seen = [text for text in observations if text is not None]
    different = len({parse_address(text)[0] for text in seen}) > 1
    return (Verdict.MULTIPLE, None) if different else classify(seen)


def round_cones(observations: Iterable[str | None]) -> tuple[Verdict, str | None]:
    """Take a NAT with several ports for one with several addresses."""
    verdict, agreed = classify(observations)
    return (Verdict.MULTIPLE, None) if verdict is Verdict.SYMMETRIC_PORT else (verdict, agreed)


async def ask_apart(relays: Iterable[str], timeout: float) -> list[Probe]:  # noqa: ASYNC109 - as the real one
    """Ask each relay from a socket of its own."""
    return [
        probe for probes in await asyncio.gather(*(ask([one], timeout) for one in relays)) for probe in probes
    ]


class CountsEverything(ClientMutant):
    """Counts observations that are not public."""

    id = "REFL-8"
    parts = Parts(classify=count_everything)


class OtherVerdict(ClientMutant):
    """Says Multiple where one IP address has several ports."""

    id = "REFL-9"
    parts = Parts(classify=round_cones)


class SocketEach(ClientMutant):
    """Sends each probe from a socket of its own."""

    id = "REFL-10"
    parts = Parts(ask=ask_apart)


class OffersAnother(Telephone):
    """The telephone of CallersOtherPort."""

    def prepared(self) -> list[Effect]:
        """Offer a port that is not ours."""
        found = None if self.call is None else self.call.gathering.reflexive
        if found is None:
            return super().prepared()
        host, port = parse_address(found)
        return altered(
            super().prepared(), DirectCallOffer, caller_reflexive_addr=format_address(host, next_port(port))
        )


class CallersOtherPort(ClientMutant):
    """Advertises another address in its offers than the relay observed."""

    id = "CAND-7"
    telephone_kind = OffersAnother


class AnswersAnother(Telephone):
    """The telephone of CalleesOtherPort."""

    def prepared(self) -> list[Effect]:
        """Answer with a port that is not ours."""
        found = None if self.call is None else self.call.gathering.reflexive
        if found is None:
            return super().prepared()
        host, port = parse_address(found)
        return altered(
            super().prepared(), DirectCallAnswer, callee_reflexive_addr=format_address(host, next_port(port))
        )


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


class DetachedFour(Detached):
    """The sockets of OwnSocket."""

    version = 4


class DetachedSix(Detached):
    """The sockets of FourOnly."""

    version = 6


class FourOnly(ClientMutant):
    """Does not dial IPv6 candidates, or from a socket of no use."""

    id = "CAND-17"
    telephone_kind = DialsFourOnly
    parts = Parts(sockets=DetachedSix)


class AdvertisesAnyway(Telephone):
    """The telephone of NoPrivacy."""

    def prepared(self) -> list[Effect]:
        """Advertise whatever the mode is."""
        if self.call is None or self.call.mode is not AcceptMode.ACCEPT_GENERIC:
            return super().prepared()
        return altered(super().prepared(), DirectCallAnswer, callee_local_addrs=["192.168.1.77:5000"])


class NoPrivacy(ClientMutant):
    """Advertises candidates in an answer that is not AcceptTrusted."""

    id = "PRIV-8"
    telephone_kind = AdvertisesAnyway


class AsksAnyway(Telephone):
    """The telephone of NeedlessReflect."""

    def answer(self, answer: Answer, now: float) -> list[Effect]:
        """Ask for an address that nobody will be told."""
        effects = super().answer(answer, now)
        return [Send(Leg.SIGNAL, Reflect()), *effects] if effects and answer is Answer.GENERIC else effects


class NeedlessReflect(ClientMutant):
    """Sends Reflect for a call that it answers with AcceptGeneric."""

    id = "PRIV-9"
    telephone_kind = AsksAnyway


class DialsFromHiding(Telephone):
    """The telephone of ShowsItself."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Dial whatever CallSetup names."""
        effects = super().call_setup(message, now)
        named = [text for text in (*message.peer_local_addrs, message.peer_direct_addr) if text]
        hidden = self.call is not None and self.call.mode is AcceptMode.ACCEPT_GENERIC and effects
        return effects + [Dial(self.new_leg(), text, message.room) for text in named if hidden]


class ShowsItself(ClientMutant):
    """Dials a direct path of a call that it answered with AcceptGeneric."""

    id = "PRIV-10"
    telephone_kind = DialsFromHiding


class LetsInAnyway(Telephone):
    """The telephone of OpenDoor."""

    def prepared(self) -> list[Effect]:
        """Welcome the other end although nobody is to know where we are."""
        effects = super().prepared()
        if self.call is None or self.call.mode is not AcceptMode.ACCEPT_GENERIC or not effects:
            return effects
        return [*effects, Welcome(server_names(self.call.call_id))]


class OpenDoor(ClientMutant):
    """Accepts a direct connection of a call that it answered with AcceptGeneric."""

    id = "PRIV-11"
    telephone_kind = LetsInAnyway


class ComparesNumbers(Telephone):
    """The telephone of NumericRole."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Compare the addresses as numbers where both are written alike."""
        own = None if self.call is None else self.call.gathering.reflexive
        if own is None or undialable(message.peer_direct_addr or "", loopback=True):
            return super().call_setup(message, now)
        mine, theirs = parse_address(own), parse_address(message.peer_direct_addr or "")
        if mine[0] == theirs[0] or (":" in mine[0]) != (":" in theirs[0]):
            return super().call_setup(message, now)
        smaller = ipaddress.ip_address(mine[0]).packed < ipaddress.ip_address(theirs[0]).packed
        if smaller == (own < format_address(*theirs)):
            return super().call_setup(message, now)
        return super().call_setup(replace(message, peer_direct_addr=LARGEST if smaller else SMALLEST), now)


class NumericRole(ClientMutant):
    """Compares IP addresses as numbers, not as text."""

    id = "RACE-1"
    telephone_kind = ComparesNumbers


class DialsWithoutRole(Telephone):
    """The telephone of NoRole."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Try the host candidates although the reflexive one is missing."""
        if message.peer_local_addrs and message.peer_direct_addr is None:
            message = replace(message, peer_direct_addr=SMALLEST)
        return super().call_setup(message, now)


class NoRole(ClientMutant):
    """Tries a direct path without a role."""

    id = "RACE-2"
    telephone_kind = DialsWithoutRole


class DialsInTurn(Telephone):
    """The telephone of OneByOne."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Hold back every dial but the first."""
        effects = super().call_setup(message, now)
        direct = [one for one in effects if isinstance(one, Dial) and one.leg >= FIRST_DIRECT]
        self.held = direct[1:]
        return [one for one in effects if one not in self.held]

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Dial the next one when one has failed."""
        effects = super().lost(leg, code, reason, now)
        held: list[Dial] = getattr(self, "held", [])
        return [*effects, held.pop(0)] if leg >= FIRST_DIRECT and held else effects


class OneByOne(ClientMutant):
    """Dials a candidate when the one before has failed."""

    id = "RACE-3"
    telephone_kind = DialsInTurn


class SaysTheRoomTwice(Telephone):
    """The telephone of DeployedName."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Put the prefix in front of a name that has it."""
        return [
            replace(one, sni=ROOM_PREFIX + one.sni)
            if isinstance(one, Dial) and one.leg >= FIRST_DIRECT
            else one
            for one in super().call_setup(message, now)
        ]


class DeployedName(ClientMutant):
    """Dials its peer under the name that deployed dialers use."""

    id = "RACE-4"
    telephone_kind = SaysTheRoomTwice


class KeepsAll(ClientMutant):
    """Closes none of its attempts when one has completed."""

    id = "RACE-5"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Leave the losers open."""
        return [
            one
            for one in super().connected(leg, fingerprint, now)
            if not isinstance(one, Close) or one.session < FIRST_DIRECT
        ]


class GivesUpEarly(Telephone):
    """The telephone of OneFailure."""

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Take the first failure for the last."""
        paths = self.paths
        if paths is not None and leg in paths.race.attempts:
            paths.race.attempts = {leg: paths.race.attempts[leg]}
        return super().lost(leg, code, reason, now)


class OneFailure(ClientMutant):
    """Takes one failed attempt for the failure of the direct path."""

    id = "RACE-6"
    telephone_kind = GivesUpEarly


class TakesAnybody(Sockets):
    """The sockets of AnyName."""

    def welcome(self, names: frozenset[str]) -> None:
        """Let in everybody."""
        for endpoint in self._endpoints.values():
            endpoint.welcome = None


class AnyName(ClientMutant):
    """Accepts a connection under any server name while it is the acceptor of a call."""

    id = "RACE-7"
    parts = Parts(sockets=TakesAnybody)

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Take every name for that of our call."""
        paths = self.telephone.paths
        if paths is not None and paths.race.role is Role.ACCEPTOR:
            sni = room_name(paths.race.call_id)
        return super().accepted(sni, address, now)


class ShutsTheDoor(Sockets):
    """The sockets of OneRefusal in a program, where strangers do not get as far as to the machine."""

    @classmethod
    async def open(cls, account: Account, handler: Handler, limits: EndpointLimits) -> Self:
        """Bind sockets that welcome nobody once they have refused somebody."""
        sockets = await super().open(account, handler, limits)
        for endpoint in sockets._endpoints.values():
            endpoint._welcomes = cls.once(endpoint, endpoint._welcomes)
        return sockets

    @staticmethod
    def once(endpoint: Endpoint, welcomes: Callable[[str | None], bool]) -> Callable[[str | None], bool]:
        """Return what shuts the door of an endpoint behind a stranger."""

        def shuts(name: str | None) -> bool:
            if not welcomes(name):
                endpoint.welcome = frozenset()
                return False
            return True

        return shuts


class OneRefusal(ClientMutant):
    """Accepts nobody after it has refused a connection."""

    id = "RACE-8"
    running = Parts(sockets=ShutsTheDoor)

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Let a stranger use up the attempt."""
        leg, effects = super().accepted(sni, address, now)
        paths = self.telephone.paths
        if paths is not None and any(isinstance(one, Close) for one in effects):
            paths.race.over = True
        return leg, effects


class FirstOnly(ClientMutant):
    """Keeps the first connection that it accepted, and closes the others."""

    id = "RACE-9"

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Take the handshake that completes first here for the one that counts."""
        before = 0 if self.telephone.paths is None else len(self.telephone.paths.race.open)
        leg, effects = super().accepted(sni, address, now)
        return leg, [*effects, Close(leg, CloseCode.NOT_SELECTED)] if before else effects


class SpeaksToTheFirst(Telephone):
    """The telephone of SpeaksToNobody."""

    first: int | None = None

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Speak on the connection that came first, whatever has become of it."""
        return [
            replace(one, session=self.first or one.session)
            if isinstance(one, SendDatagram) and one.session >= FIRST_DIRECT
            else one
            for one in super().speak(payload)
        ]

    def end(self, reason: str) -> list[Effect]:
        """Forget it with the call."""
        self.first = None
        return super().end(reason)


class SpeaksToNobody(ClientMutant):
    """Sends media on a connection that the dialer has closed."""

    id = "RACE-10"
    telephone_kind = SpeaksToTheFirst

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Remember the connection that came first."""
        leg, effects = super().accepted(sni, address, now)
        refused = any(isinstance(one, Close) for one in effects)
        if isinstance(self.telephone, SpeaksToTheFirst) and not refused and self.telephone.first is None:
            self.telephone.first = leg
        return leg, effects


class AnythingGoes(Paths):
    """The paths of OpenHouse."""

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Hear the dialer, and keep and let in whoever else there is."""
        race = self.race
        kept, over = dict(race.open), race.over
        effects = super().heard(leg, now)
        if leg >= FIRST_DIRECT and not over:
            race.open, race.over = kept, False
            return [one for one in effects if not isinstance(one, Close | Welcome)]
        return effects


class InAnOpenHouse(OtherPaths):
    """The telephone of OpenHouse."""

    paths_kind = AnythingGoes


class OpenHouse(ClientMutant):
    """Lets in further connections of the call when media has come on one."""

    id = "RACE-17"
    telephone_kind = InAnOpenHouse


class WaitsForTheWord(Paths):
    """The paths of OnlyReports."""

    def heard(self, leg: int, now: float) -> list[Effect]:
        """Hear the other end, and go on waiting for its report."""
        return [] if self.path is None and leg >= FIRST_DIRECT else super().heard(leg, now)


class InNoHurry(OtherPaths):
    """The telephone of OnlyReports."""

    paths_kind = WaitsForTheWord


class OnlyReports(ClientMutant):
    """Takes no direct path without a report, whoever speaks on it."""

    id = "AGREE-16"
    telephone_kind = InNoHurry


class NobodyBeforeTheSetup(ClientMutant):
    """Refuses a connection of its call that comes before the CallSetup."""

    id = "RACE-16"

    def accepted(self, sni: str | None, address: str, now: float) -> tuple[int, list[Effect]]:
        """Take whoever is early for a stranger."""
        name = None if self.telephone.paths is None else sni
        return super().accepted(name, address, now)


class NeverGivesUp(ClientMutant):
    """Tries the direct path for 8 s."""

    id = "RACE-11"
    times: ClassVar[Mapping[str, float]] = {"direct_timeout": 8.0}


class NoHeadStart(ClientMutant):
    """Dials the relay for media beside the direct path."""

    id = "RACE-12"
    times: ClassVar[Mapping[str, float]] = {"head_start": 0.0}


class WaitsForNobody(Telephone):
    """The telephone of IdleHeadStart."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Give nobody a head start."""
        return self.later(super().call_setup(message, now), now)

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Wait on, though nothing is left to wait for."""
        decided = self.paths is None or self.paths.path is not None
        effects = super().lost(leg, code, reason, now)
        return effects if decided else self.later(effects, now)

    def later(self, effects: list[Effect], now: float) -> list[Effect]:
        """Put the dial of the relay off."""
        dialled = [one for one in effects if isinstance(one, Dial) and one.leg == Leg.MEDIA]
        if dialled and self.paths is not None:
            self.paths.seat.sitting = Sitting.AWAY
            self._timers.cancel(Alarm.MEDIA)
            self._timers.set(Alarm.HEAD_START, now + self.account.head_start)
        return [one for one in effects if one not in dialled]


class IdleHeadStart(ClientMutant):
    """Waits before it dials the relay, though there is no direct attempt."""

    id = "RACE-13"
    telephone_kind = WaitsForNobody


class OwnSocket(ClientMutant):
    """Dials its peer from another socket than that of its signal connection."""

    id = "RACE-14"
    parts = Parts(sockets=DetachedFour)


class DeafUntilTheDecision(Paths):
    """The paths of OneEar."""

    def hears(self, leg: int) -> bool:
        """Play nothing before the path is known."""
        return self.path is not None and super().hears(leg)


class HearsLate(OtherPaths):
    """The telephone of OneEar."""

    paths_kind = DeafUntilTheDecision


class OneEar(ClientMutant):
    """Plays no media before the decision."""

    id = "RACE-15"
    telephone_kind = HearsLate


class ReportsNothing(Telephone):
    """The telephone of SilentWithoutAttempt."""

    def call_setup(self, message: CallSetup, now: float) -> list[Effect]:
        """Report an attempt only when there is one."""
        return [
            one
            for one in super().call_setup(message, now)
            if not (isinstance(one, Send) and isinstance(one.message, MediaPathReport))
        ]


class SilentWithoutAttempt(ClientMutant):
    """Sends no report when there is no direct attempt."""

    id = "AGREE-5"
    telephone_kind = ReportsNothing


class Believes(Telephone):
    """The telephone of WishfulReading."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Take every report for a good one."""
        return super().media_path_report(replace(message, direct_ok=True), now)


class WishfulReading(ClientMutant):
    """Takes the direct path when the other end has not got it."""

    id = "AGREE-6"
    telephone_kind = Believes


class WaitsLong(ClientMutant):
    """Waits 30 s for the other end's report."""

    id = "AGREE-7"
    times: ClassVar[Mapping[str, float]] = {"report_timeout": 30.0}


class TakesAnyReport(Telephone):
    """The telephone of AnyReport."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Take every report for that of our call."""
        call_id = message.call_id if self.call is None else self.call.call_id
        return super().media_path_report(replace(message, call_id=call_id), now)


class AnyReport(ClientMutant):
    """Counts reports of other calls."""

    id = "AGREE-8"
    telephone_kind = TakesAnyReport


class ForgetsEarly(Telephone):
    """The telephone of NotYet."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Drop what comes before the own attempt is decided."""
        if self.paths is None or self.paths.agreement.own is None:
            return []
        return super().media_path_report(message, now)


class NotYet(ClientMutant):
    """Drops a report that comes before its own attempt is decided."""

    id = "AGREE-9"
    telephone_kind = ForgetsEarly


class Hasty(Paths):
    """The paths of SpeaksFirst."""

    @property
    def out(self) -> int | None:
        """Speak as soon as there is a direct connection."""
        return self.race.leg if self.path is None else super().out


class SpeaksAtOnce(OtherPaths):
    """The telephone of SpeaksFirst."""

    paths_kind = Hasty


class SpeaksFirst(ClientMutant):
    """Sends media before the decision."""

    id = "AGREE-10"
    telephone_kind = SpeaksAtOnce


class ClosesNothing(Telephone):
    """The telephone of KeepsBoth."""

    def media_path_report(self, message: MediaPathReport, now: float) -> list[Effect]:
        """Decide, and keep both paths."""
        return [one for one in super().media_path_report(message, now) if not isinstance(one, Close)]


class KeepsBoth(ClientMutant):
    """Does not close the path that was not chosen."""

    id = "AGREE-11"
    telephone_kind = ClosesNothing


class OverlooksTheEnd(Telephone):
    """The telephone of StaysDirect."""

    def lost(self, leg: int, code: int, reason: str, now: float) -> list[Effect]:
        """Note the end of the direct path and do nothing about it."""
        paths = self.paths
        if paths is not None and paths.path is Path.DIRECT and leg >= FIRST_DIRECT:
            return paths.race.lost(leg, reason)
        return super().lost(leg, code, reason, now)


class StaysDirect(ClientMutant):
    """Does not go on through the relay when its direct path ends."""

    id = "AGREE-12"
    telephone_kind = OverlooksTheEnd


class Trusting(Paths):
    """The paths of LateToDoubt."""

    def _silence(self, now: float) -> list[Effect]:
        due = now - self._direct_heard >= 3 * self.account.silence
        if due:
            return super()._silence(now)
        self._timers.set(Alarm.SILENCE, now + self.account.silence)
        return []


class DoubtsLate(OtherPaths):
    """The telephone of LateToDoubt."""

    paths_kind = Trusting


class LateToDoubt(ClientMutant):
    """Joins the room after 3 s of silence on the direct path."""

    id = "AGREE-13"
    telephone_kind = DoubtsLate


class Stubborn(Paths):
    """The paths of StaysBehind."""

    def _after_it(self, now: float) -> list[Effect]:
        self._relay_heard = float("-inf")
        return super()._after_it(now)


class NeverFollows(OtherPaths):
    """The telephone of StaysBehind."""

    paths_kind = Stubborn


class StaysBehind(ClientMutant):
    """Does not follow a peer that it hears through the relay."""

    id = "AGREE-14"
    telephone_kind = NeverFollows


class WaitsForAWord(Paths):
    """The paths of BothWait."""

    def _after_it(self, now: float) -> list[Effect]:
        return super()._after_it(now) if self._relay_heard > self._direct_heard else []


class FollowsWords(OtherPaths):
    """The telephone of BothWait."""

    paths_kind = WaitsForAWord


class BothWait(ClientMutant):
    """Stays on a silent direct path although its peer is in the room."""

    id = "AGREE-15"
    telephone_kind = FollowsWords


class BeginsAnew(Telephone):
    """The telephone of NewNumbers."""

    last: int | None = None

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Begin at nought when the path is another one."""
        leg = None if self.paths is None else self.paths.out
        if self.call is not None and leg is not None:
            if self.last is not None and (self.last == Leg.MEDIA) != (leg == Leg.MEDIA):
                self.call.sender = Sender()
            self.last = leg
        return super().speak(payload)


class NewNumbers(ClientMutant):
    """Counts its datagrams anew on another path."""

    id = "MEDIA-31"
    telephone_kind = BeginsAnew


class FallsSilent(Telephone):
    """The telephone of MuteIsSilent."""

    def speak(self, payload: bytes | None) -> list[Effect]:
        """Send nothing where there is nothing to say."""
        effects = super().speak(payload)
        return effects if payload is not None else []


class MuteIsSilent(ClientMutant):
    """Sends nothing on the direct path while it has no audio."""

    id = "MEDIA-33"
    telephone_kind = FallsSilent


class IntroducesItself(ClientMutant):
    """Says something on a direct path, where media alone is carried."""

    id = "MEDIA-32"

    def connected(self, leg: int, fingerprint: str, now: float) -> list[Effect]:
        """Take the other end for a room."""
        effects = super().connected(leg, fingerprint, now)
        if leg >= FIRST_DIRECT and not any(isinstance(one, Close) and one.session == leg for one in effects):
            return [*effects, Send(leg, Ping(timestamp_ms=0))]
        return effects


MUTANTS: list[type[ClientMutant]] = [
    Patient,
    OldAddress,
    CountsEverything,
    OtherVerdict,
    SocketEach,
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
    NoPrivacy,
    NeedlessReflect,
    ShowsItself,
    OpenDoor,
    NumericRole,
    NoRole,
    OneByOne,
    DeployedName,
    KeepsAll,
    OneFailure,
    AnyName,
    OneRefusal,
    FirstOnly,
    SpeaksToNobody,
    OpenHouse,
    OnlyReports,
    NobodyBeforeTheSetup,
    NeverGivesUp,
    NoHeadStart,
    IdleHeadStart,
    OwnSocket,
    OneEar,
    SilentWithoutAttempt,
    WishfulReading,
    WaitsLong,
    AnyReport,
    NotYet,
    SpeaksFirst,
    KeepsBoth,
    StaysDirect,
    LateToDoubt,
    StaysBehind,
    BothWait,
    NewNumbers,
    IntroducesItself,
    MuteIsSilent,
]
