"""The client's shell over real sockets: what its core wants cannot always be done."""

from __future__ import annotations

from collections.abc import Mapping

from reference.core.call import room_name
from reference.core.effects import Dial
from reference.core.errors import CloseCode
from reference.core.line import Account, Leg, Line, OwnCall
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.endpoint import EndpointLimits
from reference.handset import Handset
from reference.talk import AudioPlan
from tests.loopback.conftest import Recorder, opened, run


def test_an_address_of_the_other_family_is_a_lost_connection() -> None:
    """A relay that names an IPv6 address to an IPv4 client costs an attempt, and the client lives."""

    async def scenario() -> None:
        told: list[tuple[str, Mapping[str, object]]] = []
        async with opened(Recorder()) as relay:
            account = Account(Identity.from_seed(bytes(32)), f"127.0.0.1:{relay.address[1]}")
            handset = Handset(account, NEWEST, AudioPlan(), lambda *what: told.append(what))
            await handset.open(EndpointLimits())
            handset.core.telephone.call = OwnCall("c1", "peer", Line.JOINING)
            handset.perform([Dial(Leg.MEDIA, "[2001:db8::1]:4433", room_name("c1"))])
            assert ["media lost"] == [event for event, _ in told]
            assert 1 == handset.core.telephone.call.media_losses
            await handset.endpoint.shutdown(CloseCode.NORMAL, "done")

    run(scenario())
