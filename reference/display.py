"""What a person or a program sees of a client: one line an event, and a live line while a call is on."""

from __future__ import annotations

import io
import json
import sys
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reference.core.errors import HangupReason
from reference.core.hearing import UNHEARD
from reference.core.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SENTENCES = {
    "registered": "registered as {fingerprint}",
    "offline": "the relay is gone ({reason}); trying again in {retry_in} s",
    "placed": "calling {peer}",
    "ringing": "it rings",
    "incoming": "incoming call from {peer}",
    "missed": "rejected a second call from {peer}",
    "accepted": "accepted ({mode})",
    "answered": "answered ({mode})",
    "reflexive": "the relay sees us at {address}",
    "setup": "set up: {role}; a room at {relay_addr}",
    "attempt": "dialling {address}",
    "attempt failed": "no way to {address}: {why}",
    "direct": "a direct path to {address}",
    "report sent": "told the other end: {direct_ok}",
    "report heard": "the other end says: {direct_ok}",
    "path": "the path is {path} ({remote})",
    "heard": "heard the other end by {path} after {after} s",
    "unheard": "nothing heard for {seconds} s",
    "heard again": "heard again by {path}, after {seconds} s of nothing",
    "joined": "joined the room",
    "room": "in the room: {count}",
    "talking": "talking to {peer} by {path} ({remote})",
    "media lost": "the media connection is gone ({reason})",
    "error": "error: {why}",
    "ended": "the call is over: {reason}",
}
ENDS = {
    "Normal": "the other end hung up or was lost",
    "Busy": "a limit of calls is reached here or there; later it may do (Busy)",
    "Declined": "the other end rejected it",
    "Timeout": "nobody answered in time",
    "Error": "the relay stopped or could not go on with it (Error)",
    "connection lost": "the connection to the relay was lost",
    "no room": "the relay lets us into its room no more",
    "taken over": "another connection of this identity goes on with it",
}
"""What the reasons of an end mean (spec/errors.md, Reasons); the others are words of ours already."""
REFUSED = "the relay refused it: nobody is registered there, or the relay does not say why (Error)"
"""What Error means before it rings: mostly that nobody is there (CALL-10), which a Hangup cannot say."""
WORDS: dict[tuple[str, object], str] = {
    ("address", None): "no address: it did not answer in time",
    ("role", "none"): "no direct path",
    ("role", "dialer"): "the dialer of a direct path",
    ("role", "acceptor"): "the acceptor of a direct path",
    ("direct_ok", True): "there is a direct path",
    ("direct_ok", False): "there is no direct path",
}
LEFT = "left the relay"
MEDIA = " (sent {sent}, received {received}, lost {lost} packets{silent})"
SILENT = "; nothing heard for its last {unheard} s"
ALIAS = ', who says to be "{alias}"'


def sentence(event: str, members: Mapping[str, object]) -> str:
    """Say an event in one line for a person."""
    form = LEFT if members.get("kind") == "asked" else SENTENCES.get(event, event)
    words = {
        key: WORDS.get((key, value), value) for key, value in members.items() if not isinstance(value, list)
    }
    if event == "ended":
        refused = (members["reason"], members.get("line")) == (HangupReason.ERROR, Line.PLACED)
        words["reason"] = REFUSED if refused else ENDS.get(str(members["reason"]), members["reason"])
    silent = SILENT if float(str(members.get("unheard", 0))) >= UNHEARD else ""
    more = (MEDIA.replace("{silent}", silent) if "sent" in members else "") + (
        ALIAS if members.get("alias") else ""
    )
    return form.format_map(words) + more.format_map(members)


def printable(words: str) -> str:
    """Return words so that they are shown and do not steer the terminal: the relay or the peer wrote them."""
    return "".join(it if it.isprintable() else "\N{REPLACEMENT CHARACTER}" for it in words)


class Display:
    """Events as JSON lines on standard output, or as sentences with a live line below them."""

    def __init__(self, *, as_json: bool) -> None:
        """Write JSON lines when `as_json`; the live line needs a terminal."""
        self._json = as_json
        if isinstance(sys.stdout, io.TextIOWrapper):  # the other end's words may not fit its encoding
            sys.stdout.reconfigure(errors="replace")
        self._began = time.monotonic()
        self._console = Console(highlight=False, emoji=False)  # a fingerprint may hold ":ab:"
        self._live = Live(Text(""), console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        """Show the live line, if there is a terminal."""
        if not self._json and self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the live line away."""
        self._live.stop()

    def tell(self, event: str, members: Mapping[str, object]) -> None:
        """Show one event, with the seconds since the start."""
        since = round(time.monotonic() - self._began, 3)
        if event == "stopped" and members["kind"] != "asked":
            self._live.stop()  # it has standard error too
            print(f"client: {printable(str(members['why']))}", file=sys.stderr)  # noqa: T201 - why it fails
            if not self._json:
                return
        if self._json:
            sys.stdout.write(json.dumps({"event": event, "at": since, "time": time.time(), **members}) + "\n")
            sys.stdout.flush()
            return
        self._console.print(
            f"{since:8.3f}  {printable(sentence(event, members))}", markup=False, soft_wrap=True
        )

    def ask(self, words: str) -> None:
        """Say what can be typed; a program that reads JSON knows."""
        if not self._json:
            self._console.print(words, markup=False, soft_wrap=True)

    def status(self, words: Callable[[], str]) -> None:
        """Refresh the live line."""
        if self._live.is_started:
            self._live.update(Text(words(), style="dim"), refresh=True)
