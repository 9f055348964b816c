"""Mutants of a client, of spec/reflection.md: how it asks for its address, and what it makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import ClassVar

from reference.core.addresses import parse_address
from reference.core.effects import Effect
from reference.core.line import Alarm
from reference.core.messages import Message, ReflectResponse
from reference.core.reflection import Verdict, classify
from reference.core.telephone import Telephone
from reference.survey import Probe, ask
from tests.mutants.client_base import ClientMutant, Parts


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


MUTANTS: list[type[ClientMutant]] = [
    Patient,
    OldAddress,
    CountsEverything,
    OtherVerdict,
    SocketEach,
]
