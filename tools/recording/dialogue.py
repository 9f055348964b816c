"""Dialogue: what the traces of one scene say together: who sent what to whom, when, and how long it took.

Rules of this file: every row is in a trace; nothing is added and nothing moved. A message is one row when
it was written down at both ends, and its time is that of its sender. What is another one in every run (ports,
fingerprints, the call_id) has a name of its own instead, so that two runs differ in their times alone.
Times are in milliseconds and count from the caller's offer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemas
from reference.core.errors import CloseCode
from tools.recording.made import Record, RecordError
from tools.recording.scenes import CLIENTS, STAGE, Scene, trace_of

Line = dict[str, Any]
SERVICES = {"_signal": "signal", "_federation": "link"}
"""What a connection is for, by its server name; that of a call is a room at a relay, else a direct path."""
PORTS = {"caller": 40_001, "callee": 50_001}
RELAY_PORT = 4433
ANONYMOUS = "nobody's fingerprint"
CALL_ID = "c1"
UNSHOWN = re.compile("profile|build|alias|signature|_pub$|^time$|^participants$")
"""Members that a picture does not need; those of bytes (keys, signatures, certificates) are left out too."""
FINGERPRINT = re.compile(r"\b[0-9a-f]{4}(?::[0-9a-f]{4}){7}\b|\b[0-9a-f]{2}(?::[0-9a-f]{2}){31}\b")
PORT = re.compile(r"(?<=:)\d{4,5}$")
REPORTED = {"path": "takes the {path} path", "ended": "the call is over: {reason}"}
"""What a client tells its user that belongs into the picture."""


@dataclass
class Names:
    """What stands for what is another one in every run."""

    parties: tuple[str, ...]
    fingerprints: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    call_id: str = "no call_id"

    def port(self, who: str, port: object) -> None:
        """Know a port of a party; raises RecordError when it is somebody else's too."""
        text = str(port)
        if self.owners.setdefault(text, who) != who:
            raise RecordError(f"port {text} is that of {who} and of {self.owners[text]}: play it again")
        if text not in self.ports:
            used = sum(owner == who for owner in self.owners.values()) - 1
            relays = [one for one in self.parties if one not in CLIENTS]
            first = PORTS[who] if who in PORTS else RELAY_PORT + relays.index(who)
            self.ports[text] = str(first + used)

    def of(self, value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Return a JSON value in which every such text is replaced."""
        if isinstance(value, list):
            return [self.of(one) for one in value]
        if not isinstance(value, str):
            return value
        value = value.replace(self.call_id, CALL_ID)
        value = FINGERPRINT.sub(lambda it: self.fingerprints.get(it[0], ANONYMOUS), value)
        return PORT.sub(lambda it: self.ports.get(it[0], it[0]), value)

    def whose(self, address: str) -> str:
        """Return the party that an address leads to, were it to lead anywhere."""
        owner = self.owners.get(address.rpartition(":")[2])
        if owner is None:
            raise RecordError(f"nobody is known at {address}")
        return owner


def parsed(payload: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the members of a message."""
    value = json.loads(payload)
    if isinstance(value, str):
        return value, {}
    ((name, members),) = value.items()
    return name, members if isinstance(members, dict) else {}


def shape(name: str) -> Mapping[str, Any]:
    """Return the schema of a message; raises RecordError when there is none."""
    for stem in schemas.CHAPTERS:
        body = schemas.load(stem)["$defs"].get(name, {})
        if body.get("x-message"):
            found: Mapping[str, Any] = body
            return found
    raise RecordError(f"{name} is no message of the schemas")


def _bytes(value: object) -> bool:
    """Tell whether a member is a string of bytes, as the schemas write one."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, int) for one in value)


def lines(folder: Path, who: str) -> list[Line]:
    """Return a trace in its order."""
    path = trace_of(folder, who)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return [json.loads(line) | {"who": who} for line in text.splitlines()]


def told(folder: Path, who: str) -> list[Line]:
    """Return what a program told on its standard output."""
    text = (folder / f"{who}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) | {"who": who} for line in text.splitlines() if line.startswith("{")]


class Reading:
    """The traces of one scene, read together."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        """Read them, and know who is who."""
        self.scene = scene
        self.traces = {who: lines(folder, who) for who in scene.cast}
        self.told = {who: told(folder, who) for who in scene.cast}
        self.stage = lines(folder, STAGE)
        self.names = Names(scene.cast)
        self._know()

    def _know(self) -> None:
        for who in self.scene.cast:
            for one in self.told[who]:
                self._introduce(who, one)
            for one in self.traces[who]:
                if one["what"] == "sent" and who in CLIENTS:
                    self._learn(who, *parsed(one["payload"]))
                self.names.port(who, one["port"])

    def _introduce(self, who: str, event: Line) -> None:
        ready = event.get("ready")
        known = ready["tls_fingerprint"] if ready else event.get("fingerprint")
        if known:
            self.names.fingerprints[known] = f"{who}'s fingerprint"

    def _learn(self, who: str, name: str, members: Mapping[str, Any]) -> None:
        if name == "DirectCallOffer":
            self.names.call_id = members["call_id"]
        advertised = [members.get(f"{who}_reflexive_addr"), *(members.get(f"{who}_local_addrs") or [])]
        for address in filter(None, advertised):
            self.names.port(who, address.rpartition(":")[2])

    @property
    def began(self) -> float:
        """The moment of the caller's offer."""
        for one in self.traces["caller"]:
            if one["what"] == "sent" and parsed(one["payload"])[0] == "DirectCallOffer":
                return float(one["time"])
        raise RecordError(f"{self.scene.name}: the caller made no offer")

    def service(self, line: Line) -> str:
        """Return what a connection is for."""
        over = SERVICES.get(line["sni"])
        if over is None:
            both = {line["who"], self.names.whose(line["peer"])}
            over = "direct" if both == set(CLIENTS) else "room"
        return over

    def rows(self) -> list[Record]:
        """Return what happened, in the order of time."""
        found = [*self._messages(), *self._connections(), *self._media(), *self._notes()]
        return sorted(found, key=lambda row: float(row["ms"]))

    def _row(self, line: Line, kind: str, **members: Any) -> Record:  # noqa: ANN401 - JSON values
        to = self.names.whose(line["peer"])
        row = {"ms": self.ms(line), "kind": kind, "from": line["who"], "to": to, "over": self.service(line)}
        return row | members

    def ms(self, line: Line) -> float:
        """Return when something was."""
        return round((float(line["time"]) - self.began) * 1000, 1)

    def _took(self, line: Line, other: Line | None) -> float | None:
        return None if other is None else max(0.0, round(self.ms(other) - self.ms(line), 1))

    def _messages(self) -> Iterator[Record]:
        """Yield every message that was sent, with its arrival at the other end."""
        arrived = [one for those in self.traces.values() for one in those if one["what"] == "got"]
        for line in self._all("sent"):
            to = self.names.whose(line["peer"])
            wanted = (to, line["who"], line["payload"])
            there = (
                it for it in arrived if (it["who"], self.names.whose(it["peer"]), it["payload"]) == wanted
            )
            got = next(there, None)
            if got is not None:
                arrived.remove(got)
            name, members = parsed(line["payload"])
            took, shown = self._took(line, got), self._members(members)
            yield self._row(line, "message", name=name, took=took, members=shown)
        if arrived:
            raise RecordError(f"{self.scene.name}: {len(arrived)} messages came that nobody sent")

    def _members(self, members: Mapping[str, Any]) -> Record:
        shown: Record = {}
        for member, value in members.items():
            if member == "inner":
                shown[member] = value if isinstance(value, str) else next(iter(value))
            elif not (UNSHOWN.search(member) or _bytes(value)):
                shown[member] = self.names.of(value)
        return shown

    def _connections(self) -> Iterator[Record]:
        """Yield every dial with its outcome, and every end that was not the end of everything."""
        for line in self._all("dial"):
            same = [one for one in self.traces[line["who"]] if one.get("session") == line["session"]]
            done = next((one for one in same if one["what"] == "connected"), None)
            address, took = self.names.of(line["peer"]), self._took(line, done)
            yield self._row(line, "dial", address=address, took=took, there=self._there(line, done))
        for line in self._all("lost"):
            if not line["by_peer"] and self.service(line) in {"room", "direct"}:
                code = CloseCode(line["code"]).name if line["code"] >= 0 else line["reason"]
                yield self._row(line, "close", address=self.names.of(line["peer"]), code=code)

    def _there(self, dial: Line, done: Line | None) -> float | None:
        """Return after which time a direct path that its dialer has was complete at the other end too."""
        to = self.names.whose(dial["peer"])
        for one in self.traces[to] if done and self.service(dial) == "direct" else ():
            fitting = one["what"] == "connected" and not one["dialled"] and one["time"] > dial["time"]
            if fitting and (one["sni"], self.names.whose(one["peer"])) == (dial["sni"], dial["who"]):
                return self._took(dial, one)
        return None

    def _media(self) -> Iterator[Record]:
        """Yield the first datagram of each direction of each connection, with how many there were."""
        heard = {(one["who"], one["peer"]): one for one in self._all("hears")}
        for line in self._all("speaks"):
            to = self.names.whose(line["peer"])
            there = (
                it for (who, peer), it in heard.items() if (who, self.names.whose(peer)) == (to, line["who"])
            )
            same = (it for it in there if self.service(it) == self.service(line))
            took = self._took(line, next(same, None))
            counts = [
                one["datagrams"][0]
                for one in self.traces[line["who"]]
                if one["what"] == "lost" and one["session"] == line["session"]
            ]
            yield self._row(line, "media", took=took, datagrams=counts[0] if counts else None)

    def _notes(self) -> Iterator[Record]:
        for who in CLIENTS:
            for one in self.told[who]:
                if one.get("event") in REPORTED:
                    text = REPORTED[one["event"]].format_map(one)
                    yield {"ms": self.ms(one), "kind": "note", "from": who, "text": text}
        for one in self.stage:
            yield {"ms": self.ms(one), "kind": "note", "from": STAGE, "text": one["text"]}

    def _all(self, what: str) -> Iterable[Line]:
        return (one for those in self.traces.values() for one in those if one["what"] == what)

    def record(self) -> Record:
        """Return what is kept of the scene: who took part, and the rows."""
        return {"name": self.scene.name, "parties": [*self.scene.cast], "rows": self.rows()}

    @property
    def dialer(self) -> str:
        """Who dialled the other end, or nobody."""
        dials = (one["who"] for one in self._all("dial") if self.service(one) == "direct")
        return next(dials, "")
