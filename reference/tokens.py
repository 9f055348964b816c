"""Tokens: what a client shows to a relay that asks for one (spec/registration.md, Tokens).

The rule of this file: whatever is wrong with a token, no error quotes it.
"""

from __future__ import annotations

from pathlib import Path

from reference.commandline import CommandError

LONGEST = 8192
"""The most characters of a token."""


def token_of(text: str, file: Path | None) -> str:
    """Return the token of the options --token and --token-file, "" for none; raises CommandError."""
    if text and file is not None:
        raise CommandError(f"--token and --token-file {file}: there is one token, say it once")
    option = "--token"
    if file is not None:
        option = f"--token-file {file}"
        try:
            text = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise CommandError(f"{option} cannot be read: {why.lower()}") from error
        if not text:
            raise CommandError(f"{option}: there is no token in it")
    if len(text) > LONGEST:
        raise CommandError(f"{option}: a token has at most {LONGEST} characters, this one has {len(text)}")
    return text
