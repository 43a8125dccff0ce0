"""The .deb in a fresh minimal Debian: installed, used offline by an ordinary user, upgraded over,
removed. Needs root, mmdebstrap and a mirror; `make installers` makes the package.

Set STILLROOM_KEEP_PICTURES to a folder to keep the screenshots, STILLROOM_KEEP_FIGURES to a file to
keep sizes and times.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "installers" / "out"
STARTER = "smollm2-135m-instruct"
PACKAGES = "xvfb,xauth,xdotool,x11-apps,procps"
# What apt needs to reach the mirror from inside, where this machine says how.
APT_FILES = ("resolv.conf", "hosts", "apt/apt.conf.d", "apt/auth.conf.d", "ssl/certs")
FINISHED = "SELECT role, content FROM messages WHERE state <> 'streaming' ORDER BY id"
PROMPT = "What is the capital of France?"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(os.geteuid() != 0, reason="a root file system needs root"),
    pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed"),
    pytest.mark.skipif(not list(OUTPUT.glob("*.deb")), reason="`make installers` was not run"),
]


class Machine:
    """A Debian in a folder, entered with chroot."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home" / "ann"

    def do(self, *command: str) -> str:
        """A command of the administrator's, with the network."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        environment |= {"DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        return _run(["chroot", str(self.root), *command], environment)

    def install(self, package: Path) -> float:
        """Install or upgrade; returns seconds."""
        shutil.copyfile(package, self.root / "tmp" / "stillroom.deb")
        started = time.monotonic()
        self.do("apt-get", "install", "-y", "-q", "--no-install-recommends", "/tmp/stillroom.deb")
        (self.root / "tmp" / "stillroom.deb").unlink()
        return time.monotonic() - started

    def as_user(self, script: str) -> str:
        """A shell script of an ordinary user's, on a screen of its own, without any network."""
        (self.home / "script.sh").write_text("set -eu\n" + script)
        inside = "exec xvfb-run -a -s '-screen 0 1280x800x24' sh ~/script.sh"
        mount = 'mount -t proc proc /proc; exec su ann -s /bin/sh -c "$0"'
        command = ["unshare", "--net", "--pid", "--mount", "--fork", "chroot", str(self.root)]
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        return _run([*command, "sh", "-c", mount, inside], environment)

    @contextmanager
    def told_when_answered(self) -> Iterator[None]:
        """A file `answered` in the user's home once the history has a whole answer."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(1):
                said = self.conversations()
                if said and said[-1][0] == "assistant" and len(said[-1][1]) > 10:
                    (self.home / "answered").touch()
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        assert (self.home / "answered").exists()

    def conversations(self) -> list[tuple[str, str]]:
        """Role and content of every finished message in the user's history."""
        files = list(self.home.glob(".local/share/stillroom/history.sqlite3"))
        if not files:
            return []
        connection = sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True)
        try:
            return connection.execute(FINISHED).fetchall()
        finally:
            connection.close()


def _run(command: list[str], environment: dict[str, str]) -> str:
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert result.returncode == 0, (command, result.stdout[-3000:], result.stderr[-3000:])
    return result.stdout


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    base = ROOT / "build" / "installers" / f"{request.param}.tar"
    if not base.exists():
        command = ["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", request.param]
        partial = base.with_name(f"{base.name}.part")
        made = subprocess.run([*command, "-"], stdout=partial.open("wb"), stderr=subprocess.PIPE)
        if made.returncode:
            pytest.skip(f"the mirror gives no {request.param}: {made.stderr[-300:]!r}")
        partial.rename(base)
    root = tmp_path_factory.mktemp(request.param) / "root"
    root.mkdir()
    _run(["tar", "-xf", str(base), "-C", str(root)], dict(os.environ))
    for name in APT_FILES:
        source, target = Path("/etc") / name, root / "etc" / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        elif source.exists():
            shutil.copyfile(source, target)
    for name in ("null", "zero", "random", "urandom"):
        if not (root / "dev" / name).exists():
            _run(["cp", "-a", f"/dev/{name}", str(root / "dev")], dict(os.environ))
    (root / "dev/shm").mkdir(exist_ok=True)
    (root / "dev/shm").chmod(0o1777)
    machine = Machine(root)
    machine.do("apt-get", "update", "-q")
    machine.do("useradd", "--create-home", "ann")
    yield machine
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def package() -> Path:
    (found,) = OUTPUT.glob("*.deb")
    return found


@pytest.fixture(scope="module")
def newer_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same program as a later version, without one file, so that the upgrade must remove it."""
    folder = tmp_path_factory.mktemp("newer")
    tree = folder / "tree"
    _run(["dpkg-deb", "--raw-extract", str(package), str(tree)], dict(os.environ))
    control = tree / "DEBIAN" / "control"
    lines = control.read_text().splitlines()
    lines = ["Version: 99.0" if line.startswith("Version:") else line for line in lines]
    control.write_text("\n".join(lines) + "\n")
    (tree / "usr/lib/stillroom/stillroom-gui").unlink()
    newer = folder / "newer.deb"
    _run(["dpkg-deb", "-Zgzip", "-z1", "--build", str(tree), str(newer)], dict(os.environ))
    shutil.rmtree(tree)
    return newer


# From the command to a window that is seen, in a home where nothing was started yet, then again.
START_THE_WINDOW = """
for turn in first second third fourth; do
  started=$(date +%s%N)
  stillroom > /tmp/window.log 2>&1 &
  xdotool search --sync --onlyvisible --name '^Stillroom$' > /tmp/window.id
  echo "$turn $((($(date +%s%N) - started) / 1000000))"
  sleep 6
  xdotool windowfocus "$(head -n 1 /tmp/window.id)"
  xdotool key Escape
  sleep 1
  xdotool key ctrl+q
  wait
done
"""

# The window as a person uses it: typed into, answered, photographed.
CHAT_IN_THE_WINDOW = f"""
stillroom > /tmp/window.log 2>&1 &
xdotool search --sync --onlyvisible --name '^Stillroom$' > /tmp/window.id
for i in $(seq 60); do
  xdotool windowfocus "$(head -n 1 /tmp/window.id)" && break; sleep 1
done
sleep 8
xdotool key Escape  # the tour
sleep 2
xdotool type --delay 40 '{PROMPT}'
xdotool key Return
for i in $(seq 90); do
  sleep 2
  [ -e ~/answered ] && break
done
sleep 2
xwd -root -silent > /tmp/window.xwd
xdotool key ctrl+q
wait
"""


def test_a_person_without_python_chats_offline(
    machine: Machine, package: Path, newer_package: Path
) -> None:
    assert not (machine.root / "usr/bin/python3").exists()
    figures: dict[str, object] = {"package_bytes": package.stat().st_size}
    figures["install_seconds"] = round(machine.install(package), 1)
    turns = machine.as_user(START_THE_WINDOW).split()
    figures["window_after_ms"] = dict(zip(turns[::2], map(int, turns[1::2]), strict=True))
    print(machine.as_user("stillroom --self-test"))
    machine.as_user(f"stillroom pull {STARTER}")
    answer = json.loads(
        machine.as_user(
            f"stillroom chat {STARTER} --prompt '{PROMPT}' --max-tokens 24 --seed 1 --json"
        )
    )
    assert answer["stats"]["generated_tokens"] > 3
    doctor = machine.as_user("stillroom doctor 2>&1")
    print(doctor)
    figures["doctor_processor"] = next(line for line in doctor.splitlines() if "processor" in line)
    if "amx_tile" in Path("/proc/cpuinfo").read_text():  # whose code dies (llama.cpp #26954)
        assert re.search(r"libggml-cpu-sapphirerapids.*SIGILL", doctor)

    with machine.told_when_answered():
        machine.as_user(CHAT_IN_THE_WINDOW)
    before = machine.conversations()
    assert ("user", PROMPT) in before
    assert any(role == "assistant" and len(text) > 10 for role, text in before)
    keep_picture(machine)

    figures["upgrade_seconds"] = round(machine.install(newer_package), 1)
    assert "99.0" in machine.do("dpkg-query", "-W", "stillroom")
    assert not (machine.root / "usr/lib/stillroom/stillroom-gui").exists()
    assert machine.conversations() == before
    listed = machine.as_user("stillroom list --json")
    assert STARTER in listed

    machine.do("apt-get", "purge", "-y", "-q", "stillroom")
    folders = ("usr", "etc", "var/lib/dpkg/info", "opt", "root")
    left = [p for name in folders for p in (machine.root / name).rglob("*stillroom*")]
    assert left == []
    assert machine.conversations() == before
    keep_figures(machine.root.parent.name.rstrip("0123456789"), figures)


def keep_figures(name: str, figures: dict[str, object]) -> None:
    """Print them, and add them to the file that was asked for."""
    print(json.dumps({name: figures}, indent=1))
    if file := os.environ.get("STILLROOM_KEEP_FIGURES"):
        path = Path(file)
        kept = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**kept, name: figures}, indent=1) + "\n")


def keep_picture(machine: Machine) -> None:
    """The screenshot shows something: an empty screen is one colour."""
    picture = (machine.root / "tmp" / "window.xwd").read_bytes()
    assert len(set(picture[10_000::97])) > 20
    folder = os.environ.get("STILLROOM_KEEP_PICTURES")
    if folder:
        (Path(folder) / f"{machine.root.parent.name}.xwd").write_bytes(picture)
