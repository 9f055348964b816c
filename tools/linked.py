"""Linked relays: processes that trust each other, each dialling those that were started before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reference import identity
from reference.core.addresses import parse_address
from reference.quic.credentials import Credentials
from tools.processes import Process, Troupe


@dataclass(frozen=True, slots=True)
class Linked:
    """Relays that have a link to each other, by name; `options` are those that all were started with."""

    cast: Troupe
    fingerprints: dict[str, str]
    options: Sequence[object]
    running: dict[str, Process]

    def start(
        self, name: str, listen: str = "127.0.0.1:0", through: Mapping[str, str] | None = None
    ) -> Process:
        """Start a relay, again or for the first time, and wait for its links to those that run.

        `through` says where it dials those that it does not dial directly, by name.
        """
        others = {other: relay for other, relay in self.running.items() if other != name}
        dialled = {other: str(relay.ready()["addr"]) for other, relay in others.items()} | dict(through or {})
        tables = [self._table(other, dialled.get(other)) for other in self.fingerprints if other != name]
        path = self.cast.folder / f"{name}.toml"
        path.write_text("\n".join(tables), encoding="utf-8")
        relay = self.cast.relay("--config", path, *self.options, name=name, listen=listen)
        self.running[name] = relay
        relay.ready()
        for other, running in others.items():
            relay.logs("link.up", peer=other)
            running.logs("link.up", peer=name)
        return relay

    def restart(self, name: str) -> Process:
        """Start a relay again at the address that it had."""
        gone = self.running.pop(name)
        return self.start(name, gone.ready()["addr"])

    def address(self, name: str) -> tuple[str, int]:
        """Return where a relay listens."""
        return parse_address(self.running[name].ready()["addr"])

    def _table(self, other: str, address: str | None) -> str:
        named = f'fingerprint = "{self.fingerprints[other]}"\nlabel = "{other}"\n'
        return f"[[trusted]]\n{named}" if address is None else f'[[peers]]\naddress = "{address}"\n{named}'


def linked(
    cast: Troupe, *names: str, options: Sequence[object] = (), started: Sequence[str] | None = None
) -> Linked:
    """Make relays that trust each other and start them, or those of `started`, linked with each other."""
    fingerprints = {}
    for name in names:
        seed = identity.create(cast.folder / f"{name}.identity").tls_private_seed()
        fingerprints[name] = Credentials.from_private_seed(seed).fingerprint
    made = Linked(cast, fingerprints, options, {})
    for name in names if started is None else started:
        made.start(name)
    return made
