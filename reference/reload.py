"""Reload: on SIGHUP the configuration is read again, and what can change while a relay runs changes.

The rules of this file: an option is reloaded when it is read at each use; everything else is told to need
a restart. A file that cannot be followed changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from reference import logs
from reference.commandline import CommandError, OptionError
from reference.configuration import CommandLine, blaming, key_of, settle
from reference.options import Options
from reference.switch import Switch

RELOADED = frozenset(
    {
        *(
            "registration",
            "register_timeout",
            "ring_timeout",
            "media_timeout",
            "stream_timeout",
            "hello_timeout",
            "search_timeout",
            "keep_alive",
            "drain",
        ),
        *("max_connections", "max_half_open", "max_calls", "max_offers", "offers_per_second"),
        *("max_reflections", "reflections_per_second", "max_bad_messages", "max_unread", "max_datagrams"),
        *("log_level", "peers", "trusted"),
    }
)
"""The fields of Options that change while a relay runs."""

Change = tuple[object, object]
"""What was in force, and what is wanted."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What came of a reload: by field what is applied, by field what needs a restart, and the outcome."""

    applied: Mapping[str, Change]
    kept: Mapping[str, Change]
    options: Options


def changes(old: Options, new: Options) -> Changes:
    """Return what of `new` a relay that runs with `old` takes over.

    Raises OptionError when what is taken over does not go with what needs a restart.
    """
    names = [one.name for one in fields(Options)]
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in names}
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    applied = {name: pair for name, pair in changed.items() if name in RELOADED}
    kept = {name: pair for name, pair in changed.items() if name not in RELOADED}
    options = replace(old, **{name: wanted for name, (_, wanted) in applied.items()})
    try:
        options.check()
    except OptionError as error:
        raise OptionError(f"{error} (what needs a restart is as it was)", *error.names) from error
    return Changes(applied, kept, options)


class Reload:
    """What SIGHUP does to one running relay."""

    def __init__(self, line: CommandLine, options: Options, switch: Switch) -> None:
        """Remember the command line, which goes on winning, and the `options` that are in force."""
        self.line = line
        self.options = options
        self.switch = switch

    def __call__(self) -> None:
        """Read the configuration again, take over what can be, and log what became of each change."""
        try:
            new = settle(self.line)
            with blaming(self.line):
                new.foreign(self.switch.core.links.origin)
                found = changes(self.options, new)
        except CommandError as error:
            self.switch.logger.error("nothing reloaded", why=str(error))  # noqa: TRY400 - why says it all
            return
        self._adopt(found.options)
        for name, (before, now) in found.applied.items():
            self.switch.logger.info("reloaded", key=key_of(name), before=_plain(before), now=_plain(now))
        for name, (before, wanted) in found.kept.items():
            told = {"key": key_of(name), "now": _plain(before), "wanted": _plain(wanted)}
            self.switch.logger.warning("needs a restart", **told)
        if not found.applied and not found.kept:
            file = "there is no --config" if self.line.config is None else "nothing has changed"
            self.switch.logger.info("nothing to reload", why=file)

    def _adopt(self, options: Options) -> None:
        switch, before, self.options = self.switch, self.options, options
        setting = replace(
            switch.setting, policy=options.registration, limits=options.limits(), peers=options.links()
        )
        switch.adopt(setting, options.endpoint_limits())
        if options.log_level != before.log_level:
            switch.logger = logs.configure(options.log_level, options.log_format)


def _plain(value: object) -> object:
    """Return a value as a log line shows it: of relays their labels."""
    if isinstance(value, tuple):
        return [relay.label for relay in value]
    return value if isinstance(value, bool | int | float) else str(value)
