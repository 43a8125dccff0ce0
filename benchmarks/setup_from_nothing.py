"""What a set-up costs: from nothing, and of a second clone of the same user.

    python3 -m benchmarks.setup_from_nothing

Clones this checkout's HEAD twice under --folder, with a home of its own, and runs `make setup` in
both. Tells processor time (user and system, all children) and time by the clock. Needs the network
and 5 GB, compiles the engine. Standard library only: it runs before anything is set up.
"""

import argparse
import os
import platform
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def set_up(clone: Path, home: Path) -> tuple[float, float, str]:
    """Clone and set up; seconds by the processors and by the clock, and what the set-up told."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    kept = ("PYTHONPATH", "MYPYPATH", "XDG_CACHE_HOME", "STILLROOM_SETUP_CACHE", "MAKEFLAGS")
    variables = {name: value for name, value in os.environ.items() if name not in kept}
    before, began = children(), time.monotonic()
    result = subprocess.run(
        ["make", "setup"],
        cwd=clone,
        env={**variables, "HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    spent, seconds = children() - before, time.monotonic() - began
    if result.returncode:
        raise SystemExit(f"make setup failed:\n{result.stderr}")
    told = re.findall(r"(?m)^setup: took .*$", result.stderr)
    return spent, seconds, told[-1] if told else ""


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor() -> str:
    found = re.search(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python3 -m benchmarks.setup_from_nothing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--name", default="setup-cpu-2", help="name of the result file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        home = Path(folder, "home")
        home.mkdir()
        first = set_up(Path(folder, "first"), home)
        second = set_up(Path(folder, "second"), home)
    commit = subprocess.check_output(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], text=True
    ).strip()
    lines = [
        f"{name}: {spent:.0f} s of processor time, {seconds:.0f} s by the clock\n  {told}"
        for name, (spent, seconds, told) in (("from nothing", first), ("second clone", second))
    ]
    facts = f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}, {processor()}, "
    facts += f"{os.cpu_count()} cores, load before {load:.1f}, Python {platform.python_version()}"
    text = "\n".join([*lines, facts])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.name}.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
