"""Authentication: a relay that asks for tokens, from the first message to the verdict of the service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reference.core.authentication import ANOTHER, MISSING, REFUSED, TOO_LARGE, Verdict
from reference.core.effects import Validate
from reference.core.errors import CloseCode
from reference.core.messages import AuthToken, CallOffer, Ping, RegisterPresence, RegisterPresenceAck
from reference.core.relay import RelayCore
from reference.core.sessions import SMALL_MESSAGE
from tests.world import Puppet, World, entropy, introduction, nothing_is_left, registration

SECRET = "hunter2"  # noqa: S105 - a test's
TOKEN = AuthToken(token=SECRET)


def world() -> World:
    """Return a world whose relay asks for tokens."""
    here = World()
    here.setting = replace(here.setting, authenticate=True)
    here.relay = RelayCore(here.setting, lambda: entropy("relay")(32))
    return here


def judge(who: Puppet, verdict: Verdict, fingerprint: str = "") -> None:
    """Let the service answer for the token of a party."""
    here = who.world
    here.relay_does(here.relay.validated(who.link.session, verdict, fingerprint))


def newcomer(here: World, name: str = "alice") -> Puppet:
    """Connect somebody who has said nothing yet."""
    return here.puppet(name, registered=False)


def refused(who: Puppet) -> str:
    """Return the error with which a party was refused, and closed."""
    (acknowledgement,) = who.messages
    assert isinstance(acknowledgement, RegisterPresenceAck)
    assert (False, CloseCode.REGISTRATION_REFUSED) == (acknowledgement.success, who.code)
    assert nothing_is_left(who.world.relay)
    return str(acknowledgement.error)


@pytest.mark.parametrize("early", [True, False])
def test_a_confirmed_token_lets_its_owner_register(early: bool) -> None:  # noqa: FBT001 - a parameter
    """The registration may come before the verdict or behind it; the answer is the same (REG-24)."""
    here = world()
    alice = newcomer(here)
    alice.says(TOKEN)
    assert [(alice.link.session, SECRET)] == here.shown
    if early:
        alice.says(registration(alice.identity))
        assert [] == alice.hears()
    judge(alice, Verdict.CONFIRMED, alice.fingerprint)
    if not early:
        assert [] == alice.hears()
        alice.says(registration(alice.identity))
    assert ["RegisterPresenceAck"] == alice.hears()
    alice.says(Ping(timestamp_ms=1), TOKEN)
    assert (["Pong"], 1) == (alice.hears(), here.counted["ignored", "AuthToken"])
    alice.leaves()
    assert nothing_is_left(here.relay)


def test_who_shows_no_token_is_refused() -> None:
    """A registration without a token says what is missing (REG-21)."""
    alice = newcomer(world())
    alice.says(registration(alice.identity))
    assert MISSING == refused(alice)


def test_a_token_that_is_not_confirmed_is_refused() -> None:
    """The service says no, and the client hears why; it need not have registered (REG-22)."""
    alice = newcomer(world())
    alice.says(TOKEN)
    judge(alice, Verdict.REFUSED)
    assert REFUSED == refused(alice)


def test_the_token_of_another_is_refused() -> None:
    """A token confirmed for Bob does not let Alice in (REG-23)."""
    here = world()
    alice, bob = newcomer(here), newcomer(here, "bob")
    alice.says(TOKEN, registration(alice.identity))
    judge(alice, Verdict.CONFIRMED, bob.fingerprint)
    bob.leaves()
    assert ANOTHER == refused(alice)


def test_a_token_does_not_stand_for_a_signature() -> None:
    """Who has the right token and no key is refused as everywhere (REG-3)."""
    alice = newcomer(world())
    alice.says(TOKEN)
    judge(alice, Verdict.CONFIRMED, alice.fingerprint)
    alice.says(RegisterPresence(identity_pub=alice.identity.public, signature=b""))
    assert refused(alice).startswith("the signature is missing")


def test_a_service_that_fails_refuses_nobody() -> None:
    """Without a verdict the client is closed with a code after which it comes back (REG-25)."""
    here = world()
    alice = newcomer(here)
    alice.says(TOKEN, registration(alice.identity))
    judge(alice, Verdict.UNAVAILABLE)
    assert ([], CloseCode.REGISTRATION_TIMEOUT) == (alice.hears(), alice.code)
    assert nothing_is_left(here.relay)


def test_a_verdict_that_comes_too_late_is_nobodys() -> None:
    """The time to register runs while the token is judged; afterwards nobody is there (REG-8)."""
    here = world()
    alice = newcomer(here)
    alice.says(TOKEN, registration(alice.identity))
    here.advance(10.0)
    assert CloseCode.REGISTRATION_TIMEOUT is alice.code
    assert [] == here.relay.validated(alice.link.session, Verdict.CONFIRMED, alice.fingerprint)
    assert nothing_is_left(here.relay)


def test_only_the_first_token_counts() -> None:
    """A second token is not judged, and a second verdict changes nothing."""
    here = world()
    alice = newcomer(here)
    alice.says(TOKEN, AuthToken(token="another"))  # noqa: S106 - a test's
    assert [(alice.link.session, SECRET)] == here.shown
    judge(alice, Verdict.CONFIRMED, alice.fingerprint)
    judge(alice, Verdict.REFUSED)
    assert None is alice.code


def test_one_registration_waits_and_nothing_else() -> None:
    """While a token is judged a second registration and other messages are ignored (REG-9, REG-10)."""
    here = world()
    alice, bob = newcomer(here), newcomer(here, "bob")
    alice.says(TOKEN, registration(alice.identity), registration(bob.identity), Ping(timestamp_ms=1))
    judge(alice, Verdict.CONFIRMED, alice.fingerprint)
    assert ["RegisterPresenceAck"] == alice.hears()
    assert [1, 1] == [here.counted["ignored", name] for name in ("RegisterPresence", "Ping")]


def test_a_token_has_a_size() -> None:
    """A large one is not handed to the service."""
    here = world()
    alice = newcomer(here)
    alice.says(AuthToken(token=SECRET, rest={"later": "x" * SMALL_MESSAGE}))
    assert ([], TOO_LARGE) == (here.shown, refused(alice))


def test_a_media_connection_needs_no_token() -> None:
    """A CallOffer is judged by its signature and its call, a token there is ignored."""
    here = world()
    room = here.puppet("alice", "call-c1")
    room.says(TOKEN)
    assert ([], None) == (here.shown, room.code)
    offered = introduction(room.identity)
    assert isinstance(offered, CallOffer)
    room.says(offered)
    assert CloseCode.NOT_ADMITTED is room.code


def test_without_authentication_a_token_is_ignored() -> None:
    """A relay that asks for none registers who shows one all the same (REG-9)."""
    here = World()
    alice = newcomer(here)
    alice.says(TOKEN, registration(alice.identity))
    assert ([], ["RegisterPresenceAck"]) == (here.shown, alice.hears())


def test_a_token_is_not_written() -> None:
    """What is printed of a message or an effect does not hold the token, and no log does (REG-27)."""
    here = world()
    alice = newcomer(here)
    alice.says(TOKEN)
    judge(alice, Verdict.REFUSED)
    assert SECRET not in f"{TOKEN} {Validate(1, SECRET)} {here.logged} {here.journal} {here.counted}"
