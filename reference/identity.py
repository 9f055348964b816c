"""Identity files (spec/registration.md, Identity): one seed, 64 hex digits, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from reference.core.registration import Identity

if TYPE_CHECKING:
    from pathlib import Path


class IdentityFileError(Exception):
    """An identity file cannot be read, written or understood; the text says which file and what to do."""


def load(path: Path) -> Identity:
    """Read the identity in `path`; raises IdentityFileError."""
    try:
        text = path.read_text(encoding="ascii").strip()
        return Identity.from_seed(_seed(text))
    except (OSError, ValueError) as error:
        message = f"cannot read the identity file {path}: {_why(error)}"
        raise IdentityFileError(message) from error


def create(path: Path) -> Identity:
    """Draw a new seed, write it to `path` with mode 0600 and return its identity.

    Raises IdentityFileError when the file exists: a lost seed is a lost identity.
    """
    seed = secrets.token_bytes(32)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{seed.hex()}\n")
        os.link(draft, path)  # whole or not at all, and never over another one
    except OSError as error:
        message = f"cannot create the identity file {path}: {_why(error)}"
        raise IdentityFileError(message) from error
    finally:
        with suppress(OSError):  # there may be none
            draft.unlink()
    return Identity.from_seed(seed)


def load_or_create(path: Path) -> Identity:
    """Read the identity in `path`, or create it when there is no such file; raises IdentityFileError."""
    if os.path.lexists(path):
        return load(path)
    try:
        return create(path)
    except IdentityFileError as error:
        if isinstance(error.__cause__, FileExistsError):  # somebody was quicker
            return load(path)
        raise


def check(path: Path) -> None:
    """Raise IdentityFileError when `path` holds no identity and none can be created there."""
    if os.path.lexists(path):
        load(path)
    elif not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        message = f"cannot create the identity file {path}: {path.parent} is no folder to write to"
        raise IdentityFileError(message)


def _seed(text: str) -> bytes:
    if len(text) != 64 or any(digit not in "0123456789abcdefABCDEF" for digit in text):  # noqa: PLR2004
        message = "it has to hold a seed of 64 hex digits and nothing else"
        raise ValueError(message)
    return bytes.fromhex(text)


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it has to hold a seed of 64 hex digits and nothing else"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
