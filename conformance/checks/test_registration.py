"""Checks of spec/registration.md: who owns a fingerprint."""

from __future__ import annotations

from conformance import identity, spec
from conformance.checking import check
from conformance.identity import ZERO_KEY, Identity
from conformance.puppet import Puppet
from conformance.stage import Stage
from conformance.verdicts import Unsupported, Untestable

CODES = spec.close_codes()


@check("REG-2")
async def test_a_good_registration_is_acknowledged(stage: Stage) -> None:
    """A client registers with a right signature; RegisterPresenceAck with success true must arrive."""
    alice = await stage.register("alice")
    acknowledged = alice.heard("RegisterPresenceAck")
    assert acknowledged, "no RegisterPresenceAck arrived"
    assert acknowledged[0].body.get("success") is True, "the acknowledgement says that it failed"


async def _accepted(stage: Stage, name: str, signature: bytes | None) -> bool:
    """Send a registration and tell whether the relay takes it, by whichever sign comes."""
    puppet = await stage.dial(name, who=stage.person(name.partition(" ")[0]))
    puppet.send(puppet.identity.registration(signature))
    puppet.send(identity.ping(1))
    await stage.until(lambda: bool(puppet.inbox) or bool(puppet.closed), 0.5)
    if not puppet.inbox and puppet.closed is None:
        return False
    acknowledged = puppet.heard("RegisterPresenceAck")
    if acknowledged:
        return acknowledged[0].body.get("success") is True
    return bool(puppet.heard("Pong"))


@check("REG-3")
async def test_an_unsigned_registration_is_refused(stage: Stage) -> None:
    """Under the policy `signed` a client registers with an empty signature; it must not succeed."""
    if stage.relay.policy == "open":
        message = "the relay under test has the policy open"
        raise Unsupported(message)
    assert not await _accepted(stage, "alice", b""), "a registration without a signature succeeded"


def _wrong_signatures(stage: Stage) -> dict[str, bytes]:
    alice, eve = stage.person("alice"), stage.person("eve")
    signed = b"register-presence" + alice.public
    right = alice.sign(signed)
    return {
        "another's": eve.sign(signed),
        "zero": bytes(64),
        "short": right[:63],
        "long": right + b"\0",
        "one-bit-off": bytes([right[0] ^ 1]) + right[1:],
        "another-text": alice.sign(b"call-offer" + alice.public),
    }


@check("REG-4")
async def test_a_wrong_signature_is_refused(stage: Stage) -> None:
    """Clients register with signatures that are neither empty nor right; none may succeed."""
    for fault, signature in _wrong_signatures(stage).items():
        assert not await _accepted(stage, f"alice with {fault}", signature), (
            f"accepted was a signature: {fault}"
        )


@check("REG-4", variant="open")
async def test_a_wrong_signature_is_refused_by_an_open_relay(stage: Stage) -> None:
    """The same under the policy `open`; none may succeed."""
    for fault, signature in _wrong_signatures(stage).items():
        assert not await _accepted(stage, f"alice with {fault}", signature), (
            f"accepted was a signature: {fault}"
        )


async def _turned_away(stage: Stage) -> Puppet:
    puppet = await stage.dial("alice")
    puppet.send(puppet.identity.registration(bytes(64)))
    return puppet


@check("REG-5")
async def test_a_refusal_says_why(stage: Stage) -> None:
    """A registration with a wrong signature must be answered with success false and an error."""
    alice = await _turned_away(stage)
    await stage.until(lambda: bool(alice.heard()) or bool(alice.closed), 1.0)
    acknowledged = alice.heard("RegisterPresenceAck")
    assert acknowledged, f"no RegisterPresenceAck arrived: {alice.closed or 'nothing came'}"
    if acknowledged[0].body.get("success") is not False:
        message = "the registration was not refused (REG-4)"
        raise Untestable(message)
    assert acknowledged[0].body.get("error"), "the acknowledgement does not say why"


@check("REG-6")
async def test_a_refused_registration_is_closed(stage: Stage) -> None:
    """The connection of a wrong registration must be closed with REGISTRATION_REFUSED."""
    alice = await _turned_away(stage)
    await stage.until(lambda: bool(alice.heard()) or bool(alice.closed), 1.0)
    if alice.heard("RegisterPresenceAck", success=True):
        message = "the registration was not refused (REG-4)"
        raise Untestable(message)
    await stage.expects_close(alice, CODES["REGISTRATION_REFUSED"])


@check("REG-7", variant="open")
async def test_an_open_relay_takes_unsigned_registrations(stage: Stage) -> None:
    """Under the policy `open` a client registers with an empty signature; it must not be refused."""
    assert await _accepted(stage, "alice", b""), "a registration without a signature is refused"


@check("REG-8", variant="quick")
async def test_a_silent_stranger_is_closed(stage: Stage) -> None:
    """A client connects and never registers; it must be closed with REGISTRATION_TIMEOUT."""
    stranger = await stage.dial("stranger")
    await stage.expects_close(stranger, CODES["REGISTRATION_TIMEOUT"], stage.relay.timers["register"] + 1.5)


@check("REG-9")
async def test_nobody_acts_before_registering(stage: Stage) -> None:
    """A client sends a Ping and an offer, then registers; only what follows may have an effect."""
    bob = await stage.register("bob")
    alice = await stage.dial("alice")
    alice.send(identity.ping(1))
    alice.send(alice.identity.offer(bob.identity.fingerprint, stage.call_id()))
    alice.send({"Hangup": {"reason": "Normal"}})
    alice.send(alice.identity.registration())
    alice.speaks = True
    await stage.settle()
    names = [str(one) for one in alice.heard() if one.name != "RegisterPresenceAck"]
    names += ["Pong"] * len(alice.heard("Pong", timestamp_ms=1))
    assert not names, f"before its registration a client received {names}"
    assert not bob.heard("DirectCallOffer"), "an offer that was sent before the registration arrived"


@check("REG-10")
async def test_a_connection_has_one_owner(stage: Stage) -> None:
    """A registered client registers once more, as itself and as another; neither may have an effect."""
    alice, bob = await stage.register_all("alice", "bob")
    other = stage.person("carol")
    bob.send(bob.identity.registration())
    bob.send(other.registration())
    served = await stage.fence(bob)
    assert served, f"a second registration ends the connection: {bob.closed or 'no answer'}"
    assert len(bob.heard("RegisterPresenceAck")) <= 1, "a second registration is acknowledged"
    alice.send(alice.identity.offer(other.fingerprint, stage.call_id()))
    await stage.settle()
    assert not bob.heard("DirectCallOffer"), "the connection became somebody else's"


@check("REG-11")
async def test_the_older_connection_is_replaced(stage: Stage) -> None:
    """A client registers again on a new connection; the older must be closed with REPLACED."""
    old = await stage.register("bob")
    await stage.register("bob")
    await stage.expects_close(old, CODES["REPLACED"])


@check("REG-12")
async def test_the_newest_connection_gets_the_call(stage: Stage) -> None:
    """A client registers again and is called; the offer must arrive on its newest connection."""
    alice, _ = await stage.register_all("alice", "bob")
    new = await stage.register("bob")
    call_id = stage.call_id()
    alice.send(alice.identity.offer(new.identity.fingerprint, call_id))
    await stage.expects_offer(new, call_id, "a client registered again and was called")


@check("REG-13")
async def test_the_end_of_a_replaced_connection_changes_nothing(stage: Stage) -> None:
    """A called client registers again and its old connection ends.

    Its call and its registration must survive that.
    """
    alice, old = await stage.register_all("alice", "bob")
    await stage.place(alice, old)
    new = await stage.register("bob")
    await stage.close_of(old, 0.2)
    old.leave()
    ended = await stage.until(lambda: bool(alice.heard("Hangup") or new.heard("Hangup")), 0.5)
    assert not ended, "the call ended with the replaced connection"
    call_id = stage.call_id()
    alice.send(alice.identity.offer(new.identity.fingerprint, call_id))
    await stage.expects(new, "DirectCallOffer", call_id=call_id)


@check("REG-14", variant="open")
async def test_an_unsigned_registration_takes_nothing_over(stage: Stage) -> None:
    """Under the policy `open` somebody registers a signed client's key without a signature.

    It must be refused, and the client must stay.
    """
    bob = await stage.register("bob")
    assert not await _accepted(stage, "bob again", b""), "the unsigned registration succeeded"
    assert await stage.fence(bob), f"the signed registration was taken over: {bob.closed}"


@check("REG-17", variant="open")
async def test_nobody_calls_the_zero_key(stage: Stage) -> None:
    """A connection registers the zero key and is called; no offer may arrive at it."""
    probe, alice = await stage.probe("probe"), await stage.register("alice")
    alice.send(alice.identity.offer(identity.fingerprint(ZERO_KEY), stage.call_id()))
    await stage.settle()
    assert not probe.heard("DirectCallOffer"), "an offer arrived at the zero key"


@check("REG-18", variant="open")
async def test_the_zero_key_calls_nobody(stage: Stage) -> None:
    """A connection of the zero key sends an offer; it must reach nobody, and nothing come back."""
    probe, bob = await stage.probe("probe"), await stage.register("bob")
    since = stage.marks()
    probe.send(probe.identity.offer(bob.identity.fingerprint, stage.call_id()))
    probe.send(probe.identity.offer(stage.person("nobody").fingerprint, stage.call_id()))
    await stage.expects_nothing(probe, bob, since=since)


@check("REG-19", variant="open")
async def test_probes_do_not_replace_each_other(stage: Stage) -> None:
    """Two connections register the zero key; the first must stay open."""
    first, _ = await stage.probe("first"), await stage.probe("second")
    assert await stage.fence(first), f"the first probe was closed with {first.closed}"


@check("REG-20")
async def test_ping_is_answered_with_its_number(stage: Stage) -> None:
    """Pings with small, large and repeated numbers are sent; each Pong must carry the same number."""
    alice = await stage.dial("alice")
    alice.send(alice.identity.registration())
    numbers = [0, 1, 1, (1 << 53) + 1, (1 << 64) - 1]
    for number in numbers:
        alice.send(identity.ping(number))
    await stage.until(lambda: len(alice.heard("Pong")) >= len(numbers) or bool(alice.closed), 1.0)
    got = [one.body.get("timestamp_ms") for one in alice.heard("Pong")]
    assert numbers == got, f"Pings with {numbers} were answered with {got}"


async def _with_token(stage: Stage, name: str, token: str, who: Identity | None = None) -> Puppet:
    """Show a token and register behind it, without waiting; return when something has come of it."""
    puppet = await stage.dial(name, who=who)
    puppet.send({"AuthToken": {"token": token}})
    puppet.send(puppet.identity.registration())
    await stage.until(lambda: bool(puppet.heard()) or bool(puppet.closed), 2.0)
    return puppet


def _registered(puppet: Puppet) -> bool:
    return bool(puppet.heard("RegisterPresenceAck", success=True))


async def _control(stage: Stage) -> None:
    """Raise Untestable unless a right token lets somebody in: else nothing tells why another does not."""
    alice = stage.person("alice")
    if not _registered(await _with_token(stage, "alice", f"right:{alice.fingerprint}")):
        message = "a registration with a right token was not acknowledged (REG-24)"
        raise Untestable(message)


@check("REG-9", needs=("REG-2",))
async def test_a_token_nobody_asked_for_is_ignored(stage: Stage) -> None:
    """A client shows a token to a relay that asks for none, and registers; it must be acknowledged."""
    alice = await _with_token(stage, "alice", "right:nobody")
    assert _registered(alice), f"behind an AuthToken no registration succeeds: {alice.closed or 'no answer'}"


@check("REG-21", variant="authenticated")
async def test_who_shows_no_token_is_refused(stage: Stage) -> None:
    """A client registers at a relay that asks for tokens, without one; it must be refused with a reason."""
    await _control(stage)
    eve = await stage.dial("eve")
    eve.send(eve.identity.registration())
    await _refused(stage, eve)


async def _refused(stage: Stage, puppet: Puppet) -> None:
    await stage.until(lambda: bool(puppet.heard()) or bool(puppet.closed), 2.0)
    assert not _registered(puppet), f"{puppet.name} could register"
    said = puppet.heard("RegisterPresenceAck", success=False)
    assert said, f"no RegisterPresenceAck says that {puppet.name} is refused: {puppet.closed or 'no answer'}"
    assert said[0].body.get("error"), f"nothing says why {puppet.name} is refused"
    await stage.expects_close(puppet, CODES["REGISTRATION_REFUSED"])


@check("REG-22", variant="authenticated")
async def test_a_wrong_token_is_refused(stage: Stage) -> None:
    """The service calls one token invalid, another valid for nobody; both must be refused with a reason."""
    await _control(stage)
    for kind in ("wrong", "nameless"):
        person = stage.person(f"eve with a {kind} one")
        puppet = await _with_token(stage, f"who shows a {kind} token", f"{kind}:{person.fingerprint}", person)
        await _refused(stage, puppet)


@check("REG-23", variant="authenticated")
async def test_the_token_of_another_is_refused(stage: Stage) -> None:
    """Eve shows the token of Alice and registers as herself; she must be refused with a reason."""
    await _control(stage)
    eve = await _with_token(stage, "eve", f"right:{stage.person('alice').fingerprint}")
    await _refused(stage, eve)


@check("REG-24", variant="authenticated")
async def test_a_right_token_lets_its_owner_in(stage: Stage) -> None:
    """Two clients register behind their tokens; both must be acknowledged, and can call each other."""
    people = [stage.person(name) for name in ("alice", "bob")]
    alice, bob = [
        await _with_token(stage, name, f"right:{who.fingerprint}", who)
        for name, who in zip(("alice", "bob"), people, strict=True)
    ]
    for one in (alice, bob):
        assert _registered(one), f"{one.name} has a right token and was not acknowledged: {one.closed}"
        one.speaks = True
    await stage.place(alice, bob)


@check("REG-25", variant="authenticated")
async def test_a_service_that_fails_is_no_refusal(stage: Stage) -> None:
    """The service answers with an error; the client must be closed with REGISTRATION_TIMEOUT, unrefused."""
    await _control(stage)
    eve = stage.person("eve")
    puppet = await _with_token(stage, "eve", f"broken:{eve.fingerprint}", eve)
    assert not _registered(puppet), "a client could register though the service judged nothing"
    assert not puppet.heard("RegisterPresenceAck"), "a client is refused though the service judged nothing"
    await stage.expects_close(puppet, CODES["REGISTRATION_TIMEOUT"], stage.relay.timers["register"] + 1.5)
