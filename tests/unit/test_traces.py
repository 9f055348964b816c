"""The qlog of a program: what is kept of each connection, and what a file that cannot be written means."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reference.quic import traces
from reference.quic.connection import Connection
from reference.quic.parameters import configuration


def names(trace: dict[str, list[dict[str, str]]]) -> list[str]:
    """Return the names of the events of a trace, in order."""
    return [event["name"] for event in trace["events"]]


def test_a_connection_tells_its_log_what_it_does(tmp_path: Path) -> None:
    """A dialled connection leaves a trace in the file, of a client, with the packet that it sent."""
    file = tmp_path / "one.qlog"
    with traces.traces(file) as log:
        connection = Connection(configuration(1.0, log=log), datagrams=1)
        connection.connect(("192.0.2.1", 1), now=0.0)
        connection.datagrams_to_send(now=0.0)
    (trace,) = json.loads(file.read_text(encoding="utf-8"))["traces"]
    assert "client" == trace["vantage_point"]["type"]
    assert "transport:packet_sent" in names(trace)


def test_the_beginning_and_the_end_of_a_connection_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many events the first and the last stay, in order, and of too many connections the first."""
    monkeypatch.setattr(traces, "FIRST", 2)
    monkeypatch.setattr(traces, "LAST", 3)
    monkeypatch.setattr(traces, "CONNECTIONS", 2)
    file = tmp_path / "many.qlog"
    with traces.traces(file) as log:
        assert log is not None
        for number in range(3):
            trace = log.start_trace(is_client=True, odcid=bytes([number]))
            for event in range(9):
                trace.log_event(category="test", event=str(event), data={})
            log.end_trace(trace)
    kept = json.loads(file.read_text(encoding="utf-8"))["traces"]
    assert ["00", "01"] == [one["common_fields"]["ODCID"] for one in kept]
    assert [f"test:{event}" for event in (0, 1, 6, 7, 8)] == names(kept[0])


def test_without_a_file_nothing_is_logged() -> None:
    """No file, no log."""
    with traces.traces(None) as log:
        assert log is None


def test_a_file_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    """A path that cannot be written is an error before anything is done."""
    with pytest.raises(FileNotFoundError), traces.traces(tmp_path / "nowhere" / "x.qlog"):
        pytest.fail("the block was entered")
