"""What every result file records: the figures, their spread, the machine they were made on."""

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and the figures themselves."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": [round(value, 3) for value in values],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    name = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "cpu": name,
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "engine": f"llama-cpp-python {version('llama-cpp-python')}",
        "system": platform.platform(),
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write_results(name: str, result: dict[str, Any], text: str) -> None:
    """Print `text` and keep both forms under benchmarks/results/."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    facts = "\n".join(f"{key}: {value}" for key, value in document["machine"].items())
    (RESULTS / f"{name}.txt").write_text(f"{text}\n\n{facts}\n")
    print(text)
