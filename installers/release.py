"""Makes a release's commit and tag, or checks a tag: `make release VERSION=1.2.3`.

Knows where a version stands: app/__init__.py (all else reads it there), the head of the changelog,
the metainfo's list of releases, the tag. Publishes nothing: pushing the tag does, by release.yml.
Standard library only.
"""

import contextlib
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from progress import SetupFailed, say

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path("app/__init__.py")
CHANGELOG = Path("CHANGELOG.md")
METAINFO = Path("installers/linux/app.stillroom.Stillroom.metainfo.xml")
VERSION = re.compile(r"\d+\.\d+\.\d+")
ASSIGNMENT = re.compile(r'(?m)^__version__ = "(.+)"$')
UNRELEASED = "## Unreleased\n"


def release(version: str, root: Path, date: str) -> None:
    """Write `version` everywhere, commit and tag it. date: YYYY-MM-DD. Raises SetupFailed, with
    nothing changed."""
    check_can_release(version, root)
    before = git(root, "rev-parse", "HEAD")
    files = {path: (root / path).read_bytes() for path in (SOURCE, CHANGELOG, METAINFO)}
    try:
        write_version(version, root, date)
        git(root, "add", *map(str, files))
        git(root, "commit", "-q", "-m", f"release: {version}")
        git(root, "tag", "-a", f"v{version}", "-m", f"Stillroom {version}")
    except BaseException:  # a hook, a lock, a signature that is not given
        for path, content in files.items():
            (root / path).write_bytes(content)
        with contextlib.suppress(SetupFailed):  # what failed first is what is told
            git(root, "reset", "-q", before)
        raise


def check_can_release(version: str, root: Path) -> None:
    if not VERSION.fullmatch(version):
        raise SetupFailed(f"a version is three numbers, as 1.2.3; this is {version!r}")
    if git(root, "status", "--porcelain"):
        raise SetupFailed(
            "the checkout has changes that are not committed; a release is of a commit"
        )
    if git(root, "tag", "--list", f"v{version}"):
        raise SetupFailed(f"the tag v{version} is there already")
    tagged = [parts(tag[1:]) for tag in git(root, "tag", "--list", "v*").split() if is_tag(tag)]
    if tagged and parts(version) <= max(tagged):
        newest = ".".join(map(str, max(tagged)))
        raise SetupFailed(f"{version} does not come after {newest}, the newest release")
    if parts(version) < parts(current(root)):
        raise SetupFailed(f"{version} comes before {current(root)} in {SOURCE}")
    if not unreleased(root).strip():
        raise SetupFailed(f"{CHANGELOG} tells of no change under 'Unreleased'")


def check_tag(tag: str, root: Path) -> None:
    """Whether source, changelog and metainfo tell the version of `tag`. Raises SetupFailed."""
    version = tag.removeprefix("v")
    if not is_tag(tag) or version != current(root):
        raise SetupFailed(f"the tag {tag} is not of version {current(root)} ({SOURCE})")
    if not re.search(rf"(?m)^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$", changelog(root)):
        raise SetupFailed(f"{CHANGELOG} has no heading for {version}")
    if f'<release version="{version}"' not in (root / METAINFO).read_text():
        raise SetupFailed(f"{METAINFO} has no release {version}")


def write_version(version: str, root: Path, date: str) -> None:
    source = (root / SOURCE).read_text()
    (root / SOURCE).write_text(ASSIGNMENT.sub(f'__version__ = "{version}"', source))
    heading = f"{UNRELEASED}\n## {version} - {date}\n"
    (root / CHANGELOG).write_text(changelog(root).replace(UNRELEASED, heading, 1))
    write_metainfo(version, root, date)


def write_metainfo(version: str, root: Path, date: str) -> None:
    text = (root / METAINFO).read_text()
    text = re.sub(rf'\s*<release version="{re.escape(version)}" date="[^"]*"/>', "", text)
    line = f'  <releases>\n    <release version="{version}" date="{date}"/>'
    (root / METAINFO).write_text(text.replace("  <releases>", line, 1))


def current(root: Path) -> str:
    found = ASSIGNMENT.search((root / SOURCE).read_text())
    assert found, f"{SOURCE} has no version"
    return found[1]


def changelog(root: Path) -> str:
    return (root / CHANGELOG).read_text()


def unreleased(root: Path) -> str:
    """What the changelog tells of the next release."""
    _, _, rest = changelog(root).partition(UNRELEASED)
    return re.split(r"(?m)^## ", rest)[0]


def is_tag(tag: str) -> bool:
    return tag.startswith("v") and VERSION.fullmatch(tag[1:]) is not None


def parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def git(root: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if result.returncode:
        raise SetupFailed(f"git {arguments[0]} failed: {result.stderr.strip()}")
    return result.stdout.strip()


def main(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["--check"] and len(arguments) == 2:
            check_tag(arguments[1], ROOT)
        elif len(arguments) == 1:
            release(arguments[0], ROOT, f"{datetime.now(UTC):%Y-%m-%d}")
            say(f"committed and tagged; publish with: git push origin HEAD v{arguments[0]}")
        else:
            raise SetupFailed("usage: release.py VERSION, or release.py --check TAG")
    except SetupFailed as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
