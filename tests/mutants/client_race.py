"""Mutants of a client, of spec/race.md: its role, its dials, whom it lets in, and for how long."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar, Self

from reference.core.addresses import format_address, parse_address, undialable
from reference.core.call import ROOM_PREFIX, room_name
from reference.core.effects import Close, Dial, Effect, SendDatagram, Welcome
from reference.core.errors import CloseCode
from reference.core.line import FIRST_DIRECT, Account, Alarm, Leg
from reference.core.messages import CallSetup
from reference.core.paths import Paths
from reference.core.race import Role
from reference.core.seat import Sitting
from reference.core.telephone import Telephone
from reference.endpoint import Endpoint
from reference.handler import EndpointLimits, Handler
from reference.sockets import Sockets
from tests.mutants.client_base import ClientMutant, OtherPaths, Parts
from tests.mutants.client_candidates import Detached

SMALLEST, LARGEST = "0.0.0.0:1", "[ffff::1]:1"
"""Reflexive addresses that make a dialer and an acceptor of whoever is told them; neither can be dialled."""


class DetachedFour(Detached):
    """The sockets of OwnSocket."""

    version = 4


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


MUTANTS: list[type[ClientMutant]] = [
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
    NobodyBeforeTheSetup,
    NeverGivesUp,
    NoHeadStart,
    IdleHeadStart,
    OwnSocket,
    OneEar,
]
