"""The files of the installers and of GitHub by their own checkers: workflows, forms, desktop entry,
metainfo, specs.

A checker that is not installed is a skipped test that says so.
"""

import ast
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINUX = ROOT / "installers" / "linux"
GITHUB = ROOT / ".github"
WORKFLOWS = [str(path) for path in sorted((GITHUB / "workflows").glob("*.yml"))]
FORMS = [str(path) for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))]
FORMS.remove(str(GITHUB / "ISSUE_TEMPLATE" / "config.yml"))

CHECKS = {
    "workflows, by meaning": ["actionlint", "-no-color", *WORKFLOWS],
    "workflows, by safety": [
        "zizmor", "--offline", "--no-progress", "--persona", "regular", *WORKFLOWS,
    ],
    "workflows, by schema": [
        "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS,
    ],
    "issue forms": [
        "check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *FORMS,
    ],
    "issue configuration": [
        "check-jsonschema", "--builtin-schema", "vendor.github-issue-config",
        str(GITHUB / "ISSUE_TEMPLATE" / "config.yml"),
    ],
    "desktop entry": ["desktop-file-validate", str(LINUX / "stillroom.desktop")],
    "metainfo": ["appstreamcli", "validate", "--no-net", *map(str, LINUX.glob("*.metainfo.xml"))],
    "header of .run": ["sh", "-n", str(LINUX / "run-header.sh")],
}  # fmt: skip


@pytest.mark.parametrize("what", CHECKS)
def test_by_its_checker(what: str) -> None:
    tool, *arguments = CHECKS[what]
    beside = Path(sys.executable).with_name(tool)
    program = str(beside) if beside.exists() else shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} is not installed")
    result = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_action_is_pinned_by_hash() -> None:
    assert len(WORKFLOWS) >= 2
    used = [one for path in WORKFLOWS for one in re.findall(r"uses: (\S+)", Path(path).read_text())]
    assert len(used) >= 12
    assert [one for one in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", one)] == []


def test_hooks_download_nothing() -> None:
    """Hooks run the tools of .venv: those of another repository would be fetched, unpinned."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    entries = re.findall(r"entry: (\S+)", text)
    assert entries
    assert all(entry.startswith(".venv/bin/") for entry in entries)
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}


def test_the_metainfo_knows_the_program() -> None:
    (metainfo,) = LINUX.glob("*.metainfo.xml")
    text = metainfo.read_text()
    version = re.search(r'__version__ = "(.+)"', (ROOT / "app/__init__.py").read_text())
    assert version is not None
    assert f'<release version="{version[1]}"' in text
    entry = (LINUX / "stillroom.desktop").read_text()
    assert "application/x-gguf;x-scheme-handler/stillroom;" in entry
    assert "Exec=stillroom %u" in entry


def test_nothing_starts_by_itself() -> None:
    """No autostart entry, service or login item in any package."""
    words = re.compile(r"autostart|systemd/|CurrentVersion\\+Run\b|LaunchAgents", re.I)
    sources = [path for path in (ROOT / "installers").rglob("*") if path.is_file()]
    assert len(sources) > 8
    assert [path.name for path in sources if words.search(path.read_text(errors="replace"))] == []


def info_plist() -> dict[str, object]:
    """The keys that the spec gives the macOS application."""
    tree = ast.parse((ROOT / "installers" / "app.spec").read_text())
    (found,) = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "info_plist"
    ]
    keys = ast.literal_eval(found)
    assert isinstance(keys, dict)
    return keys


def test_the_macos_application_declares_what_it_opens() -> None:
    keys = plistlib.loads(plistlib.dumps(info_plist()))
    assert keys["LSMinimumSystemVersion"] == "14.0"
    assert keys["CFBundleExecutable"] == "stillroom-gui"
    (link,) = keys["CFBundleURLTypes"]
    assert link["CFBundleURLSchemes"] == ["stillroom"]
    (document,) = keys["CFBundleDocumentTypes"]
    assert document["CFBundleTypeExtensions"] == ["gguf"]
