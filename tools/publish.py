"""`python -m tools.publish 0.1`: builds the site and commits it, as one version of many, to a branch.

The branch holds a folder for each version, `versions.json` in the form in which Material's selector reads it,
a page at its root that leads to the newest version, and one for addresses that lead nowhere. Folders of other
versions are not touched. Nothing leaves this machine unless `--push` names a remote.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tools.chapters import ROOT
from tools.ending import ending

VERSION = re.compile(r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){1,2}$|^dev$")
"""What a version may be called: numbers as in a release, or `dev` for what is not released."""
NEWEST = "latest"
LIMIT = 300.0
"""Seconds that one command may take."""
LEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>DirectCall</title>
<meta http-equiv="refresh" content="0; url={version}/">
<p>The site is <a href="{version}/">here</a>.</p>
</html>
"""
MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>DirectCall: no such page</title>
<style>
  :root { color-scheme: light dark }
  body { max-width: 40em; margin: 15vh auto; padding: 0 1em; font: 1.1em/1.6 sans-serif }
</style>
<h1>There is no such page</h1>
<p>It may have another name in another version. <a href="/">To the beginning of the site</a>.</p>
<script>
  const found = location.pathname.match(/^(.*?[/])(dev|[0-9]+([.][0-9]+){1,2})[/]/)
  if (found) document.querySelector('a').href = found[1]
</script>
</html>
"""
"""What a server shows for an address that leads nowhere, at whatever depth: it loads nothing."""


class PublishError(Exception):
    """What keeps the site from being published, in a sentence."""


def run(*command: str, place: Path = ROOT) -> str:
    """Run a command in a folder and return what it says; raise PublishError with its last words."""
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise PublishError(f"{command[0]} took longer than {LIMIT:.0f} seconds") from error
    if done.returncode:
        raise PublishError(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def order(version: str) -> tuple[int, ...]:
    """Return what versions are sorted by: their numbers; what is not released stands in front of all."""
    return (sys.maxsize,) if version == "dev" else tuple(map(int, version.split(".")))


def listed(there: list[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    """Return the entries of versions.json with this version among them, the newest first."""
    names = {version, *(str(entry["version"]) for entry in there)}
    ordered = sorted(names, key=order, reverse=True)
    newest = next((name for name in ordered if name != "dev"), "dev")
    return [
        {"version": name, "title": name, "aliases": [NEWEST] if name == newest else []} for name in ordered
    ]


def place(site: Path, branch: Path, version: str) -> None:
    """Put a built site into the folder of a branch as one version."""
    shutil.rmtree(branch / version, ignore_errors=True)
    shutil.copytree(site, branch / version)
    index = branch / "versions.json"
    there = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    entries = listed(there, version)
    index.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    newest = next(entry["version"] for entry in entries if entry["aliases"])
    (branch / "index.html").write_text(LEAD.format(version=newest), encoding="utf-8")
    (branch / "404.html").write_text(MISSING, encoding="utf-8")
    (branch / ".nojekyll").touch()


@contextmanager
def checked_out(repository: Path, branch: str) -> Iterator[Path]:
    """Yield a folder with a branch checked out, an empty one where there is none; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "branch"
        known = run("git", "for-each-ref", f"refs/heads/{branch}", place=repository)
        if not known:
            run("git", "worktree", "add", "--detach", str(work), place=repository)
            run("git", "checkout", "--orphan", branch, place=work)
            run("git", "rm", "-rfq", "--ignore-unmatch", ".", place=work)
        else:
            run("git", "worktree", "add", str(work), branch, place=repository)
        try:
            yield work
        finally:
            run("git", "worktree", "remove", "--force", str(work), place=repository)


def publish(site: Path, version: str, repository: Path, branch: str) -> str:
    """Commit a built site as a version on a branch of a repository; return what was done, in a sentence."""
    with checked_out(repository, branch) as work:
        place(site, work, version)
        run("git", "add", "--all", place=work)
        if not run("git", "status", "--porcelain", place=work):
            return f"{version} is on {branch} as it is"
        run("git", "commit", "--quiet", "--message", f"Publish {version}", place=work)
        return f"{version} is on {branch} now"


def main(
    version: Annotated[str, typer.Argument(help="The version: 0.1, 1.2.3, or dev.")],
    branch: Annotated[str, typer.Option(help="The branch that holds all versions.")] = "gh-pages",
    push: Annotated[str, typer.Option(help="The remote to which the branch is pushed; none, if empty.")] = "",
) -> None:
    """Build the site and publish it as a version."""
    if not VERSION.match(version):
        raise typer.BadParameter(f"{version!r} is no version: numbers with dots between, as 0.1, or dev")
    out = ROOT / "out" / "publish"
    with ending("publish"):
        perform(out, version, branch, push)


def perform(out: Path, version: str, branch: str, push: str) -> None:
    """Build the site in `out` and publish it as a version, or end with status 1."""
    try:
        print(run(sys.executable, "-m", "tools.site", "--out", str(out), "--versions"))
        if push:
            known = run("git", "ls-remote", "--heads", push, branch)
            if known:
                run("git", "fetch", push, f"+{branch}:{branch}")
        print(publish(out / "site", version, ROOT, branch))
        if push:
            run("git", "push", push, branch)
            print(f"{branch} is pushed to {push}")
    except PublishError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
