"""Tests of publishing: versions beside each other on a branch of a repository of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.publish import VERSION, PublishError, listed, publish, run
from tools.site import crawl


def git(repository: Path, *words: str) -> str:
    """Return what git says in a repository."""
    return run("git", *words, place=repository)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, by somebody without a name of their own."""
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "--quiet")
    git(made, "config", "user.name", "publisher")
    git(made, "config", "user.email", "publisher@example.org")
    (made / "source").write_text("source\n", encoding="utf-8")
    git(made, "add", ".")
    git(made, "commit", "--quiet", "--message", "source")
    return made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A built site of one page."""
    made = tmp_path / "site"
    made.mkdir()
    (made / "index.html").write_text("first", encoding="utf-8")
    return made


def test_versions_stand_beside_each_other(repository: Path, site: Path) -> None:
    """A second version leaves the first one as it was, and the root leads to the newest release."""
    assert "0.1 is on pages now" == publish(site, "0.1", repository, "pages")
    (site / "index.html").write_text("second", encoding="utf-8")
    assert "0.10 is on pages now" == publish(site, "0.10", repository, "pages")
    assert "dev is on pages now" == publish(site, "dev", repository, "pages")
    assert "dev is on pages as it is" == publish(site, "dev", repository, "pages")
    assert "first" == git(repository, "show", "pages:0.1/index.html")
    assert "second" == git(repository, "show", "pages:0.10/index.html")
    versions = json.loads(git(repository, "show", "pages:versions.json"))
    assert ["dev", "0.10", "0.1"] == [entry["version"] for entry in versions]
    assert [[], ["latest"], []] == [entry["aliases"] for entry in versions]
    assert 'url=0.10/"' in git(repository, "show", "pages:index.html")
    lost = git(repository, "show", "pages:404.html")
    assert "no such page" in lost
    assert ["/"] == re.findall(r'(?:href|src)="([^"]*)"', lost)  # of any depth, so that it can load nothing
    assert "source" not in git(repository, "ls-tree", "--name-only", "pages").split()
    assert 1 == len(git(repository, "worktree", "list").splitlines())


def test_a_failure_leaves_no_folder_behind(repository: Path, tmp_path: Path) -> None:
    """A site that is not there is not published, and the branch's folder is gone."""
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "none", "0.1", repository, "pages")
    assert 1 == len(git(repository, "worktree", "list").splitlines())


def test_git_says_why(tmp_path: Path, site: Path) -> None:
    """Where there is no repository, git's own words are told."""
    with pytest.raises(PublishError, match="not a git repository"):
        publish(site, "0.1", tmp_path, "pages")


@pytest.mark.parametrize("text", ["", "1", "v1.0", "01.0", "1.0.0.0", "latest", "../x", "1.0/"])
def test_what_is_no_version_is_refused(text: str) -> None:
    """A version is two or three numbers, or dev; nothing else becomes a folder."""
    assert VERSION.match(text) is None


def test_without_a_release_the_root_leads_to_what_is_not_released() -> None:
    """As long as there is nothing but dev, dev is the newest."""
    assert [{"version": "dev", "title": "dev", "aliases": ["latest"]}] == listed([], "dev")


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("there/", ["index.html leads to there/, which is not there"]),
        ("../there/index.html", ["index.html leads to ../there/index.html, which is outside of the site"]),
        ("there/index.html#place", []),
        ("mailto:somebody@example.org", []),
        ("gone.html", ["index.html leads to gone.html, which is not there"]),
        (
            "there/index.html#gone",
            ["index.html leads to there/index.html#gone, and there/index.html has no place of that name"],
        ),
        ("#gone", ["index.html leads to #gone, and index.html has no place of that name"]),
    ],
)
def test_links_of_the_built_site_are_followed(tmp_path: Path, address: str, fault: list[str]) -> None:
    """An address that leads to no file or to no place in it is named with its page."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "index.html").write_text('<h1 id="place">there</h1>', encoding="utf-8")
    (tmp_path / "index.html").write_text(f'<a href="{address}">it</a>', encoding="utf-8")
    assert fault == crawl.complaints(tmp_path)
