"""Plugin: pytest runs the checks, this file turns what they raise into verdicts.

Rules of this file: a check that was judged is always reported, an unsupported one as skipped with its
reason; a run that judged nothing is no success.
"""

from __future__ import annotations

from typing import Any, cast

import pytest

from conformance import spec
from conformance.checking import CLIENT, RELAY, Check, order, selection
from conformance.clients import ClientTarget
from conformance.interruption import INTERRUPTION, Interrupted
from conformance.judge import Judge
from conformance.targets import EXAMPLES, Exploring, Target
from conformance.verdicts import Exit, TargetFaultError, UsageError, Verdict

JUDGE = pytest.StashKey[Judge]()
OWNED = pytest.StashKey[bool]()
_INTERRUPTED = "the run was interrupted"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what a run can be told."""
    group = parser.getgroup("conformance", "conformance of a relay or a client")
    group.addoption(
        "--target", default="", help="udp:HOST:PORT, tcp:HOST:PORT, exec:COMMAND, ref: or mutant:ID"
    )
    group.addoption("--role", default=RELAY, choices=(RELAY, CLIENT), help="what the target is")
    group.addoption("--only", action="append", default=[], help="an id or an area; may be repeated")
    group.addoption("--seed", type=int, default=0, help="decides every identity and call_id")
    group.addoption("--slow", type=float, default=1.0, help="scales every patience")
    group.addoption("--examples", type=int, default=EXAMPLES, help="dialogues that are drawn")
    group.addoption("--phase", default=spec.NEWEST, help="the phase to judge")
    group.addoption("--linked", action="store_true", help="a running relay trusts the neighbours")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the target, unless the command has prepared one."""
    if getattr(config, "conformance_judge", None) is not None:
        config.stash[JUDGE] = cast("Any", config).conformance_judge
        return
    target = config.getoption("--target")
    if not target:
        message = "say what to judge: --target udp:HOST:PORT, tcp:HOST:PORT, exec:COMMAND or ref:"
        raise pytest.UsageError(message)
    slow, phase = config.getoption("--slow"), config.getoption("--phase")
    if phase not in spec.REACHED:
        message = f"the suite does not judge phase {phase!r}: it judges {', '.join(spec.REACHED)}"
        raise pytest.UsageError(message)
    try:
        plans = Exploring(config.getoption("--examples"), config.getoption("--seed"))
        made: Target | ClientTarget = Target(
            target, slow=slow, phase=phase, plans=plans, linked=config.getoption("--linked")
        )
        if config.getoption("--role") == CLIENT:
            made = ClientTarget(target, slow=slow, phase=phase)
        config.stash[JUDGE] = Judge(made, seed=config.getoption("--seed"), slow=slow)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[OWNED] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started here."""
    judge = config.stash.get(JUDGE, None)
    if judge is not None and config.stash.get(OWNED, False):
        judge.close()
        judge.target.close()


def pytest_collectstart() -> None:
    """Start nothing when the run is to stop before it has begun; to collect the checks takes a while."""
    if INTERRUPTION.happened:
        pytest.exit(_INTERRUPTED)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what was selected, in the order of running, and start the relays it needs."""
    judge, role = config.stash[JUDGE], config.getoption("--role")
    try:
        chosen = selection(config.getoption("--only"), config.getoption("--phase"), role)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    kept = [item for item in items if _chosen(declared(item), role, chosen)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    kept.sort(key=lambda item: order(cast("Check", declared(item))))
    items[:] = kept
    try:
        judge.target.start(*{cast("Check", declared(item)).variant: None for item in kept})
    except TargetFaultError as fault:
        judge.fault = fault  # every check says so


def _chosen(one: Check | None, role: str, chosen: set[str]) -> bool:
    return one is not None and one.role == role and one.id in chosen


@pytest.fixture
def stage() -> None:
    """Stand for the argument of every check: the judge sets the stage when it runs the check."""


def declared(item: pytest.Item) -> Check | None:
    """Return the check behind an item, or None when it is none."""
    function = getattr(item, "function", None)
    found = getattr(function, "__dict__", {}).get("check")
    return found if isinstance(found, Check) else None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Judge a check and report its verdict in pytest's words."""
    check = declared(pyfuncitem)
    if check is None:
        return None
    try:
        outcome = pyfuncitem.config.stash[JUDGE].run(check)
    except Interrupted:
        pytest.exit(_INTERRUPTED)
    if outcome.verdict in (Verdict.PASS, Verdict.WARN):
        return True
    if outcome.verdict is Verdict.UNSUPPORTED:
        pytest.skip(outcome.message)
    if outcome.verdict is Verdict.FAIL and outcome.error is not None:
        raise outcome.error
    pytest.fail(f"{outcome.verdict}: {outcome.message}", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Refuse to call a run a success that judged nothing."""
    judge = session.config.stash.get(JUDGE, None)
    if judge is None or session.config.option.collectonly or session.exitstatus != 0:
        return
    if all(one.verdict is Verdict.UNSUPPORTED for one in judge.outcomes):
        session.exitstatus = int(Exit.NOT_JUDGED)
