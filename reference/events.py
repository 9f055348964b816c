"""Events: what a client tells its user, in the words of the suite's control protocol."""

from __future__ import annotations

from collections.abc import Mapping

Members = Mapping[str, object]


def event(name: str, members: Members, call_id: str) -> dict[str, object] | None:
    """Return the event that the suite is told of, or None for what is for people alone.

    `call_id` is that of the call that is on, or was until now.
    """
    of_call: dict[str, object] = {"event": name, "call_id": call_id}
    match name:
        case "registered":
            return {"event": name, "fingerprint": members["fingerprint"]}
        case "ringing":
            return of_call
        case "incoming":
            return {**of_call, "caller": members["peer"]}
        case "path":
            return {**of_call, "path": members["path"], "remote": members["remote"]}
        case "ended":
            return {**of_call, "reason": members["reason"]}
        case "offline":
            return {"event": name, "reason": members["reason"], "final": False}
        case "stopped" if members["kind"] != "asked":
            return {"event": "offline", "reason": members["why"], "final": True}
    return None


def heard(sequence: int, digest: str) -> dict[str, object]:
    """Return the event of a datagram of audio."""
    return {"event": "received", "seq": sequence, "digest": digest}
