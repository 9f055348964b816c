"""Sockets of a client: one UDP socket an address family, for signalling, dials, accepts and media (RACE-14).

The first is that of the relay's family. Since phase 7 there is one of the other family too, where the host
has that family at all (CAND-12, CAND-17).
"""

from __future__ import annotations

import ipaddress
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from reference.core.addresses import parse_address
from reference.core.errors import REASONS, CloseCode, Misuse
from reference.core.line import Way
from reference.core.phases import Phase
from reference.endpoint import Credentials, Endpoint

if TYPE_CHECKING:
    from reference.core.line import Account
    from reference.endpoint import EndpointLimits, Handler

ANYWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - a client answers only to names of its own calls


class Sockets:
    """One or two endpoints, and which of their sessions is which leg of the client."""

    def __init__(self) -> None:
        """Start without sockets; `open` is the way to get some."""
        self._endpoints: dict[int, Endpoint] = {}
        self._sessions: dict[int, int] = {}  # by leg
        self._legs: dict[int, int] = {}  # by session

    @classmethod
    async def open(cls, account: Account, handler: Handler, limits: EndpointLimits) -> Self:
        """Bind what the account's phase asks for; raises OSError when the relay's family cannot be had."""
        sockets = cls()
        direct = account.phase >= Phase.RACE and account.way is not Way.RELAY
        credentials = Credentials.fresh() if direct else None
        numbers = itertools.count(1)
        own = ipaddress.ip_address(parse_address(account.relay)[0]).version
        for version in (own, 10 - own) if direct and account.phase >= Phase.DUAL_STACK else (own,):
            with suppress(*(() if version == own else (OSError,))):  # a host without IPv6 works as before
                endpoint = await Endpoint.open(
                    ANYWHERE[version],
                    0,
                    handler,
                    credentials,
                    limits,
                    numbers=numbers,
                    six_only=version == 6,  # noqa: PLR2004 - the IP version
                )
                endpoint.welcome = frozenset()
                sockets._endpoints[version] = endpoint
        return sockets

    @property
    def ports(self) -> dict[int, int]:
        """Return the port of each socket, by IP version."""
        return {version: endpoint.address[1] for version, endpoint in self._endpoints.items()}

    def stats(self) -> dict[str, int]:
        """Count what the endpoints hold; all zero when nothing is left."""
        counts = [endpoint.stats() for endpoint in self._endpoints.values()]
        return {name: sum(count[name] for count in counts) for name in counts[0]}

    def welcome(self, names: frozenset[str]) -> None:
        """Let in connections under these server names, and no others (RACE-7)."""
        for endpoint in self._endpoints.values():
            endpoint.welcome = names

    def dial(self, leg: int, address: tuple[str, int], sni: str) -> None:
        """Start the connection `leg` from the socket of the address's family; raises Misuse without one."""
        self.close(leg, CloseCode.NORMAL)
        endpoint = self._endpoints.get(ipaddress.ip_address(address[0]).version)
        if endpoint is None:
            message = f"there is no socket of the address family of {address[0]}"
            raise Misuse(message)
        self.take(leg, endpoint.dial(address, sni))

    def take(self, leg: int, session: int) -> None:
        """Call a session by its leg from now on."""
        self._sessions[leg], self._legs[session] = session, leg

    def leg(self, session: int) -> int | None:
        """Return the leg of a session, or None when it has none."""
        return self._legs.get(session)

    def forget(self, session: int) -> int | None:
        """Forget a session that is over; return what was its leg."""
        leg = self._legs.pop(session, None)
        if leg is not None:
            del self._sessions[leg]
        return leg

    # A session that an endpoint does not know means nothing to it, and two at most are there to be asked.

    def send(self, leg: int, payload: bytes) -> None:
        """Send a message, if the leg is there."""
        if leg in self._sessions:
            for endpoint in self._endpoints.values():
                endpoint.send(self._sessions[leg], payload)

    def send_datagram(self, leg: int, data: bytes) -> None:
        """Send a datagram, if the leg is there."""
        if leg in self._sessions:
            for endpoint in self._endpoints.values():
                endpoint.send_datagram(self._sessions[leg], data)

    def close(self, leg: int, code: CloseCode) -> None:
        """Close a leg with a code and its reason, and forget it."""
        session = self._sessions.pop(leg, None)
        if session is not None:
            del self._legs[session]
            for endpoint in self._endpoints.values():
                endpoint.close(session, code, REASONS[code])

    async def shutdown(self) -> None:
        """Close everything."""
        for endpoint in self._endpoints.values():
            await endpoint.shutdown(CloseCode.NORMAL, REASONS[CloseCode.NORMAL])
