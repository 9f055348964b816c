"""Logs of the relay: what is written at which level."""

from __future__ import annotations

import json

import pytest

from reference import logs
from reference.core.effects import Log
from reference.core.phases import NEWEST
from reference.core.registration import Identity
from reference.core.sessions import Setting
from reference.switch import Switch


@pytest.mark.parametrize("level", logs.LogLevel)
def test_what_is_private_is_written_for_debugging_only(
    level: logs.LogLevel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address of a party stands in a line of its own at debug level, and at no other."""
    logger = logs.configure(level, logs.LogFormat.JSON)
    switch = Switch(Setting(Identity.from_seed(bytes(32)), ""), NEWEST, logger)
    switch._one(Log("bad", {"call_id": "c1"}, {"address": "192.0.2.1:1"}))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [(line["level"], line["call_id"], line.get("address")) for line in lines]
    expected = [("info", "c1", None), ("debug", "c1", "192.0.2.1:1")]
    assert {"debug": expected, "info": expected[:1]}.get(level, []) == told
