"""Gathering: what a client finds out about itself before it advertises (chapters reflection, candidates).

A pure machine of one side of one call: its relay is asked for the reflexive address, its shell for the
addresses of its interfaces, both at once, and neither is waited for longer than its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference.core.addresses import format_address, parse_address
from reference.core.effects import Effect, Gather, Send, Tell
from reference.core.line import Account, Alarm, Leg, Way
from reference.core.messages import Reflect, ReflectResponse
from reference.core.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference.core.timers import Timers


@dataclass(slots=True)
class Gathering:
    """The candidates of one side in one call: `reflexive` and `hosts`, once they are `done`."""

    account: Account
    timers: Timers[Alarm]
    reflexive: str | None = None
    hosts: Sequence[str] = ()
    _asked: bool = False
    _listing: bool = False

    @property
    def done(self) -> bool:
        """Tell whether nothing is waited for: without a reflexive address no host candidate is of use."""
        return not self._asked and (self.reflexive is None or not self._listing)

    def start(self, now: float) -> list[Effect]:
        """Ask relay and shell, as far as the phase has a use for it and the user wants a direct path."""
        account = self.account
        if account.phase < Phase.ADVERTISING or account.way is Way.RELAY:
            return []
        self._asked = True
        self.timers.set(Alarm.REFLECT, now + account.reflect_timeout)  # REFL-6
        if account.phase < Phase.HOST_CANDIDATES:
            return [Send(Leg.SIGNAL, Reflect())]
        self._listing = True
        self.timers.set(Alarm.HOSTS, now + account.hosts_timeout)  # CAND-11
        return [Gather(), Send(Leg.SIGNAL, Reflect())]

    def reflected(self, message: ReflectResponse) -> list[Effect]:
        """Take the address that the relay sees; an answer that nobody waits for is none (REFL-6, REFL-7)."""
        if not self._asked:
            return []
        self._asked = False
        self.timers.cancel(Alarm.REFLECT)
        try:
            self.reflexive = format_address(*parse_address(message.observed_addr))
        except ValueError as error:
            return [Tell("error", {"why": f"the relay told us our address: {error}"})]
        return [Tell("reflexive", {"address": self.reflexive})]

    def listed(self, hosts: Sequence[str]) -> None:
        """Take the host candidates, unless they come too late (CAND-11)."""
        if self._listing:
            self._listing, self.hosts = False, tuple(hosts)
            self.timers.cancel(Alarm.HOSTS)

    def expire(self, alarm: Alarm) -> list[Effect]:
        """Go on without what did not come in time."""
        if alarm is Alarm.HOSTS:
            self._listing = False
            return []
        self._asked = False
        return [Tell("reflexive", {"address": None})]

    def close(self) -> None:
        """Wait for nothing any more."""
        self._asked = self._listing = False
        self.timers.cancel(Alarm.REFLECT)
        self.timers.cancel(Alarm.HOSTS)

    @property
    def advertised_hosts(self) -> Sequence[str]:
        """The host candidates to advertise: none without a reflexive one (candidates, Advertising)."""
        return self.hosts if self.reflexive else ()
