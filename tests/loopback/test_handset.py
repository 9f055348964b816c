"""The client's shell over real sockets: what its core wants cannot always be done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace

import pytest

from reference import devices
from reference.core.addresses import format_address
from reference.core.call import room_name
from reference.core.effects import Dial, Tell
from reference.core.gathering import Gathering
from reference.core.line import Account, Leg, Line, OwnCall, Way
from reference.core.paths import Paths
from reference.core.race import Race, Role
from reference.core.registration import Identity
from reference.core.seat import Seat, Sitting
from reference.endpoint import EndpointLimits
from reference.handset import Handset
from reference.talk import AudioPlan, Talk
from tests.loopback.conftest import Recorder, Watched, opened, run

ELSEWHERE = "[2001:db8::1]:4433"


class Company:
    """A handset at a relay that says nothing, and what it told."""

    def __init__(self, relay: Watched, plan: AudioPlan, **settings: object) -> None:
        """Prepare it; `settings` are those of its account."""
        where = format_address(*relay.address)
        account = Account(Identity.from_seed(bytes(32)), where, **settings)  # type: ignore[arg-type]
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.handset = Handset(account, partial(Talk, plan), lambda *what: self.told.append(what))

    def connecting(self, relay_addr: str) -> Seat:
        """Put a call on the line that has no direct path and a room at `relay_addr`; return its seat."""
        core = self.handset.core
        timers = core._timers
        race = Race("c1", Role.NONE, (), core.telephone.new_leg)
        seat = Seat("c1", relay_addr, core.account, timers, bytes)
        call = OwnCall("c1", "peer", Line.CONNECTING, Gathering(core.account, timers))
        call.paths = Paths(race, seat, core.account, timers)
        core.telephone.call = call
        return seat


def test_an_address_of_the_other_family_is_a_lost_connection() -> None:
    """A relay that names an IPv6 address to a client without an IPv6 socket costs an attempt, and no more."""

    async def scenario() -> None:
        async with opened(Recorder()) as relay:
            it = Company(relay, AudioPlan(), way=Way.RELAY)
            await it.handset.open(EndpointLimits())
            assert {4} == it.handset.sockets.ports.keys()
            seat = it.connecting(ELSEWHERE)
            seat.sitting = Sitting.JOINING
            it.handset.perform([Dial(Leg.MEDIA, ELSEWHERE, room_name("c1"))])
            assert ["media lost"] == [event for event, _ in it.told if event == "media lost"]
            assert (1, Sitting.RESTING) == (seat.losses, seat.sitting)
            await it.handset.close()
            assert {0} == set(it.handset.sockets.stats().values())

    run(scenario())


def test_a_device_is_opened_with_the_setup_and_started_with_the_first_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While it rings no device is touched; between CallSetup and the first word the microphone is idle."""
    happened: list[str] = []

    class Stream:
        def __init__(self, **_: object) -> None:
            happened.append("open")

        def start(self) -> None:
            happened.append("start")

        def close(self) -> None:
            happened.append("close")

    library = SimpleNamespace(PortAudioError=OSError, RawInputStream=Stream, RawOutputStream=Stream)
    monkeypatch.setattr(devices, "library", lambda _: library)

    async def scenario() -> None:
        async with opened(Recorder()) as relay:
            it = Company(relay, AudioPlan("mic"))
            await it.handset.open(EndpointLimits())
            it.handset.perform([Tell("placed")])
            assert [] == happened
            it.handset.perform([Tell("setup")])
            assert [] == happened  # what is sent in this turn comes first
            await turns()
            assert ["open"] == happened
            it.handset.perform([Tell("talking")])
            await turns()
            assert ["open", "start"] == happened
            it.handset.perform([Tell("ended", {"reason": "Normal"})])
            assert ["open", "start", "close"] == happened
            assert {"reason", "sent", "received", "lost", "unheard"} == it.told[-1][1].keys()
            await it.handset.close()

    run(scenario())


def test_a_call_that_was_never_set_up_counts_nothing() -> None:
    """The end of a call that only rang has no counts, and leaves no audio."""

    async def scenario() -> None:
        async with opened(Recorder()) as relay:
            it = Company(relay, AudioPlan())
            await it.handset.open(EndpointLimits())
            it.handset.perform([Tell("placed"), Tell("ended", {"reason": "Declined"})])
            assert ("ended", {"reason": "Declined"}) == it.told[-1]
            assert it.handset.talk is None
            await it.handset.close()

    run(scenario())


async def turns() -> None:
    """Let the event loop do what is due by now."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done
