"""A release in a repository of its own: what it writes, and what it refuses."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.packaging.installer_scripts import ROOT, script


@pytest.fixture
def release() -> ModuleType:
    return script("release")


@pytest.fixture
def repository(tmp_path: Path, release: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with this checkout's files of a version, and 0.1.0 as the version."""
    for path in (release.SOURCE, release.METAINFO):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / release.SOURCE).write_text('"""The application."""\n\n__version__ = "0.1.0"\n')
    (tmp_path / release.CHANGELOG).write_text("# Changelog\n\n## Unreleased\n\n- A change.\n")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "someone")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "someone@example.invalid")
    release.git(tmp_path, "init", "-q")
    release.git(tmp_path, "add", ".")
    release.git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def test_a_release_is_one_commit_and_a_tag(release: ModuleType, repository: Path) -> None:
    release.release("0.2.0", repository, "2026-12-01")
    assert release.git(repository, "status", "--porcelain") == ""
    assert release.git(repository, "log", "-1", "--format=%s") == "release: 0.2.0"
    assert release.git(repository, "tag", "--points-at", "HEAD") == "v0.2.0"
    assert (repository / release.SOURCE).read_text().endswith('__version__ = "0.2.0"\n')
    assert release.changelog(repository) == (
        "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n- A change.\n"
    )
    assert (
        '<release version="0.2.0" date="2026-12-01"/>'
        in (repository / release.METAINFO).read_text()
    )
    release.check_tag("v0.2.0", repository)


def test_the_first_release_is_of_the_version_that_is_there(
    release: ModuleType, repository: Path
) -> None:
    release.release("0.1.0", repository, "2026-12-01")
    text = (repository / release.METAINFO).read_text()
    assert text.count('version="0.1.0"') == 1
    assert 'version="0.1.0" date="2026-12-01"' in text


def dirty(release: ModuleType, root: Path) -> None:
    (root / "note").touch()


def tagged(release: ModuleType, root: Path) -> None:
    release.git(root, "tag", "v0.2.0")


def tagged_higher(release: ModuleType, root: Path) -> None:
    release.git(root, "tag", "v0.10.0")


def silent(release: ModuleType, root: Path) -> None:
    (root / release.CHANGELOG).write_text("# Changelog\n\n## Unreleased\n")
    release.git(root, "commit", "-aqm", "no changes told")


def nothing(release: ModuleType, root: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("version", "prepare", "why"),
    [
        ("0.2", nothing, "three numbers"),
        ("0.0.9", nothing, "comes before 0.1.0"),
        ("0.2.0", dirty, "not committed"),
        ("0.2.0", tagged, "is there already"),
        ("0.2.0", tagged_higher, "does not come after 0.10.0"),
        ("0.2.0", silent, "tells of no change"),
    ],
)
def test_a_release_that_is_refused_changes_nothing(
    release: ModuleType,
    repository: Path,
    version: str,
    prepare: Callable[[ModuleType, Path], None],
    why: str,
) -> None:
    prepare(release, repository)
    before = release.git(repository, "rev-parse", "HEAD")
    tags = release.git(repository, "tag")
    with pytest.raises(release.SetupFailed, match=why):
        release.release(version, repository, "2026-12-01")
    assert release.git(repository, "rev-parse", "HEAD") == before
    assert release.git(repository, "tag") == tags
    assert '"0.1.0"' in (repository / release.SOURCE).read_text()


@pytest.mark.parametrize("tag", ["v0.3.0", "0.2.0", "v0.2"])
def test_a_tag_of_another_version_is_refused(
    release: ModuleType, repository: Path, tag: str
) -> None:
    release.release("0.2.0", repository, "2026-12-01")
    with pytest.raises(release.SetupFailed, match=r"is not of version 0\.2\.0"):
        release.check_tag(tag, repository)


def test_a_tag_that_the_changelog_does_not_know_is_refused(
    release: ModuleType, repository: Path
) -> None:
    with pytest.raises(release.SetupFailed, match=r"CHANGELOG\.md has no heading for 0\.1\.0"):
        release.check_tag("v0.1.0", repository)


def test_the_version_stands_in_one_place() -> None:
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    version = script("release").current(ROOT)
    shown = subprocess.check_output(
        ["git", "grep", "-lF", f'"{version}"', "--", "*.py", "*.toml"], cwd=ROOT, text=True
    )
    assert [path for path in shown.split() if not path.startswith("tests/")] == ["app/__init__.py"]


@pytest.mark.parametrize("refused", ["commit", "tag"])
def test_what_git_refuses_leaves_the_checkout_as_it_was(
    release: ModuleType, repository: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    before = release.git(repository, "rev-parse", "HEAD")
    if refused == "commit":
        hook = repository / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)
    else:
        release.git(repository, "config", "tag.gpgSign", "true")
        release.git(repository, "config", "gpg.program", "false")
    with pytest.raises(script("progress").SetupFailed, match=f"git {refused} failed"):
        release.release("0.2.0", repository, "2026-12-01")
    assert release.git(repository, "status", "--porcelain") == ""
    assert release.git(repository, "rev-parse", "HEAD") == before
    assert release.current(repository) == "0.1.0"
