"""The core alone: what a message costs without a network, beside `json.loads` of the same payload.

A complete call is played through `RelayCore`: registrations are made before, and each repetition of the
call is measured as a whole, from bytes to bytes.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from statistics import median

from reference.core import media, messages, wire
from reference.core.effects import Effect, Send
from reference.core.errors import HangupReason
from reference.core.messages import AcceptMode, Message
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.core.relay import RelayCore
from reference.core.sessions import Limits, Setting

ADDRESS = "127.0.0.1:4433"
ROUNDS = 200
CALLER, CALLEE, CALLER_MEDIA, CALLEE_MEDIA = range(4)


class Scene:
    """A relay's machine with registered clients, the first two of whom call each other."""

    def __init__(self, clients: int) -> None:
        """Register `clients` people, two at least."""
        limits = Limits(offers_burst=1_000_000, offers_per_second=1e6)
        setting = Setting(Identity.from_seed(bytes(32)), ADDRESS, limits=limits)
        self.core = RelayCore(setting, lambda: bytes(range(32)))
        self.now = 0.0
        self.placed = 0
        self.people = [Identity.from_seed(number.to_bytes(32, "big")) for number in range(1, clients + 1)]
        sessions = (CALLER, CALLEE, *range(4, clients + 2))
        everybody = list(zip(sessions, self.people, strict=True))
        others = clients // 2 + 1
        # The two register in the middle: whoever looked for them one by one would be seen to.
        for session, person in (*everybody[2:others], *everybody[:2], *everybody[others:]):
            self.register(session, person)
        self.joins = [self._join(person) for person in self.people[:2]]

    def register(self, session: int, person: Identity) -> None:
        """Let somebody connect and register."""
        self.core.connected(session, "_signal", ADDRESS, self.now)
        signature = person.registration_signature()
        hello = messages.RegisterPresence(identity_pub=person.public, signature=signature)
        self.core.receive(session, hello, self.now)
        self.core.deadline()

    def offer(self) -> bytes:
        """Return the payload of the caller's next offer."""
        self.placed += 1
        caller, callee = self.people[:2]
        offer = messages.DirectCallOffer(
            caller_fingerprint=caller.fingerprint,
            target_fingerprint=callee.fingerprint,
            call_id=f"{self.placed:032x}",
            identity_pub=caller.public,
            ephemeral_pub=bytes(32),
            signature=bytes(64),
            supported_profiles=[media.GOOD],
        )
        return wire.encode(offer, NEWEST)

    def script(self) -> list[tuple[int, bytes]]:
        """Return the payloads of one call, from offer to hang-up, with the session of each."""
        offer = self.offer()
        call_id = f"{self.placed:032x}"
        answer = messages.DirectCallAnswer(
            call_id=call_id, accept_mode=AcceptMode.ACCEPT_GENERIC, chosen_profile=media.GOOD
        )
        hangup = messages.Hangup(reason=HangupReason.NORMAL)
        return [
            (CALLER, offer),
            (CALLEE, wire.encode(answer, NEWEST)),
            (CALLER_MEDIA, self.joins[0]),
            (CALLEE_MEDIA, self.joins[1]),
            (CALLER, wire.encode(hangup, NEWEST)),
        ]

    def play(self, script: list[tuple[int, bytes]]) -> list[Effect]:
        """Take one call through the machine, from bytes to bytes; return all that it wants done."""
        everything = [effect for session, payload in script for effect in self.say(session, payload)]
        for session in (CALLER_MEDIA, CALLEE_MEDIA):
            self.core.lost(session)
        return everything

    def say(self, session: int, payload: bytes) -> list[Effect]:
        """Take one message through the machine, from bytes to bytes; return all that it wants done."""
        if session in {CALLER_MEDIA, CALLEE_MEDIA}:
            self.core.connected(session, f"call-{self.placed:032x}", ADDRESS, self.now)
        message = wire.decode(payload, NEWEST)
        waiting = deque(self.core.receive(session, message, self.now, len(payload)))
        done: list[Effect] = []
        while waiting:
            effect = waiting.popleft()
            done.append(effect)
            if isinstance(effect, Send):
                wire.encode(effect.message, NEWEST)
                if effect.receipt is not None:
                    waiting += self.core.flushed(effect.receipt)
        self.core.deadline()
        return done

    @staticmethod
    def _join(person: Identity) -> bytes:
        public = media.ephemeral_public(bytes(range(32)))
        join = messages.CallOffer(
            identity_pub=person.public,
            ephemeral_pub=public,
            signature=person.sign(public + media.OFFER),
            supported_profiles=[media.GOOD],
        )
        return wire.encode(join, NEWEST)


def timed(work: Callable[[], object], repetitions: int, rounds: int = ROUNDS) -> float:
    """Return the seconds of processor that one run of `work` takes: the median over repetitions."""
    found = []
    for _ in range(repetitions):
        began = time.process_time()
        for _ in range(rounds):
            work()
        found.append((time.process_time() - began) / rounds)
    return median(found)


def measure(repetitions: int) -> dict[str, float]:
    """Return seconds by name: of messages, of a whole call, and of `json.loads` of the same bytes."""
    scene = Scene(2)
    offer = scene.offer()
    ping = wire.encode(messages.Ping(timestamp_ms=1), NEWEST)
    read: Message = wire.decode(offer, NEWEST)
    payloads = [payload for _, payload in scene.script()]

    def whole() -> None:
        scene.play(scene.script())

    return {
        "decode ping": timed(lambda: wire.decode(ping, NEWEST), repetitions),
        "json.loads ping": timed(lambda: json.loads(ping), repetitions),
        "decode offer": timed(lambda: wire.decode(offer, NEWEST), repetitions),
        "encode offer": timed(lambda: wire.encode(read, NEWEST), repetitions),
        "json.loads offer": timed(lambda: json.loads(offer), repetitions),
        "script of a call": timed(scene.script, repetitions),
        "script and call": timed(whole, repetitions),
        "json.loads of a call": timed(lambda: [json.loads(payload) for payload in payloads], repetitions),
    }
