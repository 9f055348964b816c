"""Tests of the kit for an implementer's CI: the action's one step, in a scratch repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.verdicts import Exit

ROOT = Path(__file__).resolve().parents[2]
RELAY = f"exec:{sys.executable} -m reference.relay {{options}}"
MUTANT = f"exec:{sys.executable} -m tests.mutants CALL-3 {{options}}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a folder with a repository in it that has nothing to do with this one."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # noqa: S603, S607 - our own folder
    return tmp_path


def act(repository: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Do what the action does with these inputs, as a runner does."""
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    inputs = {name: str(one.get("default", "")) for name, one in action["inputs"].items()} | given
    (step,) = action["runs"]["steps"]
    environment = {
        name: inputs[value.removeprefix("${{ inputs.").removesuffix(" }}")]
        for name, value in step["env"].items()
    }
    environment |= {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(repository / "summary"),
        "PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(  # noqa: S603 - our own step
        [step["shell"], "-e", "-c", step["run"]],
        cwd=repository,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_good_relay_passes(repository: Path) -> None:
    """The reference passes; reports, badge and the job's summary are there."""
    done = act(repository, target=RELAY, only="CALL-3 CALL-28")
    assert Exit.PASSED == done.returncode, done.stdout + done.stderr
    assert "2 requirements judged: 2 pass" == done.stdout.strip()
    left = {one.name for one in (repository / "conformance-results").iterdir()}
    assert {"results.json", "report.html", "junit.xml", "badge.json", "summary.md"} <= left
    assert (repository / "summary").read_text(encoding="utf-8")


def test_a_failure_fails_the_build_until_it_is_known(repository: Path) -> None:
    """A broken rule ends with 1; once it is accepted, for the right cause, 0; for another cause 5."""
    assert Exit.FAILED == act(repository, target=MUTANT, only="CALL-3").returncode
    known = repository / "known.toml"
    for cause, status in (("could not leave", Exit.PASSED), ("nothing of the kind", Exit.STALE)):
        known.write_text(f'["CALL-3"]\nreason = "soon"\ncause = "{cause}"\n', encoding="utf-8")
        done = act(repository, target=MUTANT, only="CALL-3", **{"known-failures": "known.toml"})
        assert status == done.returncode, done.stdout + done.stderr


def test_without_a_target_it_says_what_is_missing(repository: Path) -> None:
    """An empty target is refused before anything is installed."""
    done = act(repository, target="")
    assert 0 != done.returncode
    assert "say what to judge" in done.stderr
