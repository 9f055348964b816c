"""Command: `python -m conformance`, for people and for machines.

What was found goes to standard output, progress and complaints to standard error; a complaint is one
sentence that says whose fault it was. The exit statuses are those of verdicts.py.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from conformance import spec
from conformance.interruption import INTERRUPTION, Interrupted
from conformance.verdicts import RED, Exit, TargetFaultError, UsageError, Verdict, times

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from conformance.report import Run
    from conformance.verdicts import Outcome

app = typer.Typer(
    help="Judge a DirectCall relay or client from outside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
YEAR = 31_536_000
"""Seconds that a timer takes at most."""
MODES = ("AcceptTrusted", "AcceptGeneric", "Reject")
Jobs = Annotated[int, typer.Option(min=1, max=16, help="runs at the same time")]
Only = Annotated[list[str] | None, typer.Option(help="an id (CALL-3) or an area (CALL); may be repeated")]


class Role(StrEnum):
    """Who can be judged."""

    RELAY = "relay"
    CLIENT = "client"


class Format(StrEnum):
    """What a report can be."""

    HTML = "html"
    SUMMARY = "summary"
    JUNIT = "junit"
    BADGE = "badge"


def main() -> None:
    """Run the command and end the process with its status; SIGTERM is an interruption like ctrl-C.

    What fails after an interruption has failed because of it.
    """
    INTERRUPTION.install()
    try:
        INTERRUPTION.check()
        app()
    except UsageError as error:
        _complain(str(error), Exit.USAGE)
    except spec.SpecificationError as error:
        _complain(f"the suite is at fault: {error}", Exit.NOT_JUDGED)
    except TargetFaultError as fault:
        _complain(str(fault), fault.status)
    except Interrupted:
        _complain("the run was interrupted", Exit.NOT_JUDGED)


def _complain(sentence: str, status: Exit) -> NoReturn:
    if INTERRUPTION.happened:
        sentence, status = "the run was interrupted", Exit.NOT_JUDGED
    typer.echo(sentence, err=True)
    raise SystemExit(int(status))


def _timers(text: str) -> dict[str, float]:
    """Return the seconds of each timer that is named; raises UsageError."""
    from conformance.targets import TIMERS  # noqa: PLC0415 - what `list` does not need is not loaded

    timers: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            timers[name] = float(value)
        except ValueError:
            name = ""
        if name not in TIMERS:
            message = f"{part!r} is no timer: say name=seconds, with the names {', '.join(TIMERS)}"
            raise UsageError(message)
        if not 0 <= timers[name] <= YEAR:
            message = f"{part!r} is no timer: it takes from 0 to {YEAR} seconds"
            raise UsageError(message)
    return timers


@app.command()
def run(
    target: Annotated[str, typer.Option(help="udp: or tcp:HOST:PORT, exec:COMMAND, ref: or mutant:ID")],
    role: Annotated[Role, typer.Option(help="what the target is")] = Role.RELAY,
    phase: Annotated[str, typer.Option(help="the phase to judge")] = spec.NEWEST,
    only: Only = None,
    known_failures: Annotated[Path | None, typer.Option(help="TOML of accepted failures")] = None,
    seed: Annotated[int, typer.Option(help="decides every identity and call_id")] = 0,
    slow: Annotated[float, typer.Option(min=0.1, max=100, help="scales every patience")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="folder for results.json and the reports")] = None,
    timers: Annotated[str, typer.Option(help="of a running relay: register=10,ring=60,…")] = "",
    advertise: Annotated[str, typer.Option(help="the address a running relay names to clients")] = "",
    examples: Annotated[int, typer.Option(min=1, max=100_000, help="dialogues that are drawn")] = 250,
    *,
    linked: Annotated[bool, typer.Option("--linked", help="a running relay trusts the neighbours")] = False,
) -> None:
    """Judge a target."""
    from conformance import runner  # noqa: PLC0415 - what `list` does not need is not loaded

    INTERRUPTION.check()
    order = runner.Order(
        target=target,
        phase=phase,
        only=tuple(only or ()),
        known_failures=known_failures,
        seed=seed,
        slow=slow,
        out=out,
        timers=_timers(timers),
        advertise=advertise,
        role=role,
        examples=examples,
        linked=linked,
    )
    done = runner.perform(order)
    show(done)
    raise typer.Exit(int(done.exit_status))


@app.command("replay")
def replaying(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="a plan, as a run writes it")],
    target: Annotated[str, typer.Option(help="udp:HOST:PORT, exec:COMMAND, ref: or mutant:ID")],
    phase: Annotated[str, typer.Option(help="the phase of the relay")] = spec.NEWEST,
    slow: Annotated[float, typer.Option(min=0.1, max=100, help="scales every patience")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="folder for packets, qlog and dialogue")] = None,
) -> None:
    """Perform a plan once more, and tell who said what; exit 1 when something is found."""
    from conformance import plan as plans  # noqa: PLC0415 - what `list` does not need is not loaded
    from conformance import replay, trace  # noqa: PLC0415 - the same
    from conformance.checking import RELAY  # noqa: PLC0415 - the same
    from conformance.targets import Target  # noqa: PLC0415 - the same

    read = plans.load(plan)
    trace.known_mutant(target, RELAY)
    with Target(target, slow=slow, phase=_known_phase(phase)) as relay:
        done = replay.replay(read, relay, phase=phase, slow=slow, out=out)
    replay.told(done, typer.echo)
    raise typer.Exit(int(Exit.FAILED if done.findings else Exit.PASSED))


def _folded(
    outcomes: Sequence[Outcome], judged: Mapping[str, Verdict], known: Collection[str]
) -> dict[tuple[str, str], list[str]]:
    """Return what is no plain pass: the ids that have the same verdict, for people, for the same reason.

    Of a requirement that was judged, what a further check of it could not be asked is no news.
    """
    from conformance.formats import unsupported  # noqa: PLC0415 - what `list` does not need is not loaded

    found: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        if one.verdict not in (Verdict.PASS, Verdict.UNSUPPORTED):
            accepted = one.id in known and one.verdict in RED
            often = f" ({times(one.failed, one.performed)})" if one.flaky else ""
            verdict = f"{one.verdict}{' (known)' if accepted else ''}{often}"
            ids = found.setdefault((verdict, one.message), [])
            ids += [] if one.id in ids else [one.id]
    lacking = [one for one in outcomes if judged[one.id] is Verdict.UNSUPPORTED]
    groups = unsupported((one.id, one.message) for one in lacking)
    return found | {(str(Verdict.UNSUPPORTED), why): ids for why, ids in groups.items()}


def show(done: Run) -> None:
    """Print what a run found: everything that is not a plain pass, and the count."""
    from conformance import formats, report, wording  # noqa: PLC0415 - what `list` does not need is not loaded
    from conformance.runner import verdicts  # noqa: PLC0415 - the same

    console = Console()
    tried = [one for one in done.outcomes if not done.fault or one.message != done.fault]
    judged = verdicts(tried)
    table = Table("requirement", "verdict", "why")
    for (verdict, why), ids in _folded(tried, judged, done.known).items():
        table.add_row(wording.ids(ids), verdict, escape(why))
    if table.row_count:
        console.print(table)
    counts = {str(one): count for one in Verdict if (count := list(judged.values()).count(one))}
    console.print(formats.judged(counts))
    untried = len({one.id for one in done.outcomes} - set(judged))
    left = formats.left_out(report.unjudged(done), done.only, untried)
    if left:
        console.print(left)
    for sentence in done.stale:
        typer.echo(f"the known-failures file is stale: {sentence}", err=True)
    if done.fault:
        typer.echo(done.fault, err=True)


@app.command("list")
def listing(*, as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False) -> None:
    """List the requirements and whether each has a check."""
    from conformance.checking import everything  # noqa: PLC0415 - loads the checks
    from conformance.wording import unlinked  # noqa: PLC0415 - loads markupsafe

    having = {one.id for one in everything()}
    rules = spec.requirements().values()
    if as_json:
        values = [asdict(rule) | {"checked": rule.id in having} for rule in rules]
        typer.echo(json.dumps(values, ensure_ascii=False, indent=1))
        return
    table = Table("id", "roles", "since", "level", "check", "sentence")
    for rule in rules:
        check = "yes" if rule.id in having else "none" if rule.check_reason else "–"
        sentence = escape(unlinked(rule.sentence))
        table.add_row(rule.id, " ".join(rule.roles), rule.since, rule.level, check, sentence)
    Console().print(table)


@app.command()
def explain(rule_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Explain a requirement: what it asks, why, what is sent and what a pass looks like; list an area."""
    from conformance import trace  # noqa: PLC0415 - searches the tree
    from conformance.checking import RELAY, SWEEPING, everything, unknown  # noqa: PLC0415 - loads the checks
    from conformance.wording import unlinked  # noqa: PLC0415 - loads markupsafe

    rules = spec.requirements()
    rule = rules.get(rule_id)
    area = [one for one in rules.values() if one.area == rule_id]
    for one in area:
        typer.echo(f"{one.id} ({one.level}, {' and '.join(one.roles)}, since {one.since})")
        typer.echo(unlinked(f"  {one.sentence}"))
    checks = [one for one in everything() if one.id == rule_id]
    if rule is None and not area and rule_id not in SWEEPING:
        message = f"{unknown(rule_id)}; `list` shows every requirement"
        raise UsageError(message)
    if rule_id in SWEEPING:
        typer.echo(f"{rule_id} (since {SWEEPING[rule_id]})\n  It judges many requirements at once.")
    if rule is not None:
        typer.echo(f"{rule.id} ({rule.level}, {' and '.join(rule.roles)}, since {rule.since})")
        typer.echo(unlinked(f"  {rule.sentence}\n  Why: {rule.why}\n  Seen: {rule.seen}"))
        if rule.check_reason:
            typer.echo(f"  No check: {rule.check_reason}")
    for check in checks:
        how = f"relay variant: {check.variant}" if check.role == RELAY else "client"
        typer.echo(f"\n{check.name} ({how})")
        typer.echo("  " + " ".join(check.text.split()))
    for mutant in trace.mutants() if trace.has_mutants() else ():
        if mutant.rule == rule_id:
            typer.echo(f"\nmutant {mutant.id}: {mutant.title}")


@app.command("trace")
def tracing() -> None:
    """Show rule, code, check and mutant of every requirement; exit 1 when one is missing."""
    from conformance import trace  # noqa: PLC0415 - searches the tree

    rows, unknown = trace.rows(), trace.unknown()
    table = Table("rule", "code", "check", "mutant", "missing")
    for row in rows:
        reason = f"none: {row.rule.check_reason}" if row.rule.check_reason else ""
        cells = (" ".join(row.code), " ".join(row.checks) or reason, " ".join(row.mutants))
        table.add_row(row.rule.id, *map(escape, cells), ", ".join(row.missing))
    Console().print(table)
    orphans = [row for row in rows if row.missing]
    for row in orphans:
        typer.echo(f"{row.rule.id} has no {' and no '.join(row.missing)}", err=True)
    for sentence in unknown:
        typer.echo(sentence, err=True)
    raise typer.Exit(int(Exit.FAILED if orphans or unknown else Exit.PASSED))


@app.command()
def mutants(
    only: Only = None,
    jobs: Jobs = 3,
    out: Annotated[Path | None, typer.Option(help="folder for kills.json")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="ask every mutant every check")] = False,
    share: Annotated[
        str, typer.Option(help="K/N: ask of the other rules' checks the K-th of N parts only")
    ] = "1/1",
) -> None:
    """Judge every mutant: each is to be rejected by the check of its rule and by no other."""
    from conformance import footprint, kills, trace  # noqa: PLC0415 - starts processes

    part = footprint.Share.parse(share)
    total = len(trace.mutants())
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("mutants", total=total)
        done = kills.run(tuple(only or ()), jobs, lambda _: bar.advance(task), every=every, share=part)
    table = Table("mutant", "what is broken", "checks", "verdict", "collateral", "unlisted")
    for one in done:
        word = "killed" if one.killed else f"SURVIVED ({one.verdict})" if one.verdict != "fail" else "fail"
        cells = (one.mutant.title, str(one.asked), word, " ".join(one.collateral), " ".join(one.unlisted))
        table.add_row(one.mutant.id, *map(escape, cells))
    Console().print(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(kills.table(done), indent=1, ensure_ascii=False) + "\n"
        (out / "kills.json").write_text(text, encoding="utf-8")
    typer.echo(kills.headline(done))
    if part.of > 1:
        typer.echo(f"of the checks of other rules, part {share} was asked")
    survivors = [one for one in done if not one.killed]
    for one in survivors:
        why = f"also failed {' '.join(one.unlisted)}" if one.unlisted else f"{one.verdict}: {one.message}"
        typer.echo(f"{one.mutant.id} is not killed alone: {why}", err=True)
    raise typer.Exit(int(Exit.FAILED if survivors or not done else Exit.PASSED))


@app.command()
def neighbours() -> None:
    """Print the file that lets a relay trust the relays of the suite, which are the same in every run."""
    from conformance import neighbour  # noqa: PLC0415 - what `list` does not need is not loaded

    typer.echo(neighbour.tables(neighbour.trusted()), nl=False)


class Puppets(StrEnum):
    """What can be left running."""

    RELAY = "relay"
    CALLER = "caller"
    CALLEE = "callee"


@app.command()
def serve(
    who: Annotated[Puppets, typer.Argument(help="relay, caller or callee")],
    at: Annotated[str, typer.Option("--at", help="HOST:PORT: where to listen, or of the relay to go to")],
    phase: Annotated[str, typer.Option(help="the phase of the puppet")] = spec.NEWEST,
    target: Annotated[str, typer.Option(help="whom the caller calls: a fingerprint")] = "",
    mode: Annotated[str, typer.Option(help="how the callee answers")] = "AcceptTrusted",
    *,
    ring: Annotated[bool, typer.Option("--ring", help="the relay calls whoever registers")] = False,
) -> None:
    """Leave a puppet running until ctrl-C, and print every message."""
    from conformance import serve as serving  # noqa: PLC0415 - what `list` does not need is not loaded
    from conformance.targets import resolve  # noqa: PLC0415 - the same

    if mode not in MODES:
        message = f"{mode!r} is no answer: say {', '.join(MODES)}"
        raise UsageError(message)
    if who is Puppets.CALLER and not target:
        message = "a caller needs somebody to call: --target FINGERPRINT"
        raise UsageError(message)
    where, of = resolve(at, free=who is Puppets.RELAY), _known_phase(phase)
    show: Callable[[str], None] = typer.echo
    if who is Puppets.RELAY:
        puppet = serving.relay(where, of, show, ring=ring)
    else:
        puppet = serving.end(where, of, show, name=who, mode=mode, target=target)
    with contextlib.suppress(Interrupted):  # its one way to end
        INTERRUPTION.run(puppet)


adapter_app = typer.Typer(no_args_is_help=True, help="Try an adapter.")
app.add_typer(adapter_app, name="adapter")


@adapter_app.callback()
def _adapters() -> None:
    """Try an adapter."""


@adapter_app.command("check")
def adapter_check(
    target: Annotated[str, typer.Option(help="exec:COMMAND, tcp:HOST:PORT or ref:")],
    phase: Annotated[str, typer.Option(help="the phase of the client")] = spec.NEWEST,
    slow: Annotated[float, typer.Option(min=0.1, max=100, help="scales every patience")] = 1.0,
) -> None:
    """Check whether an adapter keeps to the control protocol."""
    from conformance import adapter_check  # noqa: PLC0415 - what `list` does not need is not loaded
    from conformance.clients import ClientTarget  # noqa: PLC0415 - the same

    def told(found: adapter_check.Found) -> None:
        typer.echo(f"{'wrong' if found.fault else 'good '}  {found.probe}")
        if found.fault:
            typer.echo(f"       {found.fault}")

    client = ClientTarget(target, slow=slow, phase=_known_phase(phase))
    raise typer.Exit(int(adapter_check.run(client, slow=slow, told=told)))


def _known_phase(phase: str) -> str:
    if phase not in spec.REACHED:
        message = f"the suite does not judge phase {phase!r}: it judges {', '.join(spec.REACHED)}"
        raise UsageError(message)
    return phase


@app.command("report")
def reporting(kind: Format, folder: Path) -> None:
    """Make a report from the results that a run left in a folder."""
    from conformance import report  # noqa: PLC0415 - what `list` does not need is not loaded

    typer.echo(str(report.remake(kind, folder)))
