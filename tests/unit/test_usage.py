"""What a command line that cannot be read is told (reference/usage.py): one sentence, whoever found it."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from reference import client, relay, subject

HELP = "--help lists what there is"


@pytest.mark.parametrize(
    ("app", "arguments", "says"),
    [
        (relay.app, "--ring-timeout nan", "relay: --ring-timeout: nan is no number to count with"),
        (relay.app, "--ring-timeout 1e999", "relay: --ring-timeout: 1e999 is no number to count with"),
        (relay.app, "--ring-timeout soon", "relay: --ring-timeout: 'soon' is not a number"),
        (relay.app, "--ring-timeout 31536001", "relay: --ring-timeout: 31536001 is more than 31536000"),
        (relay.app, "--registration closed", "relay: --registration: 'closed' is not one of signed, open"),
        (relay.app, "--listem x", "relay: --listem: there is no such option: did you mean --listen?"),
        (relay.app, "--check-config=1", f"relay: option '--check-config' does not take a value: {HELP}"),
        (client.app, "call x --duration -1", "client: --duration: -1 is less than 0"),
        (client.app, "call x --duration nan", "client: --duration: nan is no number to count with"),
        (client.app, "call x --duration inf", "client: --duration: inf is no number to count with"),
        (client.app, "call x --path air", "client: --path: 'air' is not one of auto, direct, relay"),
        (client.app, "call", "client: FINGERPRINT is missing: whom to call"),
        (client.app, "ping --count", "client: --count needs a value"),
        (client.app, "ping --count 1.5", "client: --count: '1.5' is not a whole number"),
        (client.app, "ping -z", f"client: -z: there is no such option: {HELP}"),
        (client.app, "ping more", f"client: got unexpected extra argument(s) (more): {HELP}"),
        (client.app, "nat", "client: --relay is missing: ip:port of a relay; name two or more"),
        (client.app, "identity old", f"client: no such command 'old': {HELP}"),
        (subject.app, "--phase", "subject: --phase needs a value"),
    ],
)
def test_one_sentence_names_option_value_and_rule(app: typer.Typer, arguments: str, says: str) -> None:
    """Whatever cannot be read gives one line on standard error, no box around it, and status 2."""
    ran = CliRunner().invoke(app, arguments.split())
    assert (2, "", f"{says}\n") == (ran.exit_code, ran.stdout, ran.stderr)


@pytest.mark.parametrize("arguments", [[], ["identity"]])
def test_a_bare_name_gets_its_help(arguments: list[str]) -> None:
    """A group without a command prints what there is, with status 2, and complains of nothing."""
    ran = CliRunner().invoke(client.app, arguments)
    assert (2, "") == (ran.exit_code, ran.stderr)
    assert "--help" in ran.stdout


def test_asking_for_help_is_no_fault() -> None:
    """Help that was asked for ends with status 0."""
    assert 0 == CliRunner().invoke(relay.app, ["--help"]).exit_code
