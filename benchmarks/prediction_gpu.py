"""Predicted against measured on a GPU: full, split and partial placements.

    python benchmarks/prediction_gpu.py PROFILE.json PLACEMENTS.json... [--output FILE]

PROFILE is a bandwidth profile of that machine; each PLACEMENTS file comes from
`benchmarks/gpu/placements.py`, which measured the product's own worker. Predictions use the profile
alone; no run of these models has taught them anything.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
sys.path.insert(0, str(Path(__file__).parents[1]))

import shapes

from runtime.bandwidth import BandwidthProfile
from runtime.devices import Device
from runtime.memory import estimate
from runtime.plan import LayerRange, Placement, PlanModel
from runtime.shape import weight_bytes
from runtime.speed import SpeedModel


def placement_of(kind: str, blocks: int, threads: int, n_ctx: int) -> Placement:
    """full, split, or partial (the last half of the blocks on the GPU)."""
    first = blocks - blocks // 2 if kind == "partial" else 0
    on_gpu = LayerRange("cuda0", first, blocks - 1)
    layers = (LayerRange("cpu", 0, first - 1), on_gpu) if first else (on_gpu,)
    head = "cuda0" if kind == "full" else "cpu"
    return Placement(
        "llamacpp", layers, head, n_ctx=n_ctx, n_threads=threads, n_threads_batch=threads
    )


def rows(profile: BandwidthProfile, data: dict[str, Any]) -> list[tuple[str, str, list[float]]]:
    """(model, kind, [measured tok/s, low, predicted, high, measured MB, predicted MB])."""
    shape = getattr(shapes, data["model"])
    model = PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0")
    speed = SpeedModel(profile)
    found = []
    for kind, run in data["placements"].items():
        cache = sum(part["kv_cache"] for part in run["memory"])
        n_ctx = cache // (cache_bytes_per_token(shape))
        placement = placement_of(kind, shape.block_count, data["threads"], n_ctx)
        generated = run["ours"][0]["prompt_tokens"] + run["ours"][0]["generated_tokens"] // 2
        predicted = speed.decode_tps(model, placement, generated)
        gpu = Device("cuda0", "GPU", "CUDA", "", 2**40, 2**40)
        host = Device("cpu", "CPU", "CPU", "", 2**40, 2**40)
        memory = estimate(shape, model.weights, placement, [host, gpu], n_outputs=16)
        used = next(part.total for part in memory.devices if part.device == "cuda0")
        figures = [
            median(one["decode_tps"] for one in run["ours"]),
            predicted.low,
            predicted.median,
            predicted.high,
            run["gpu_used_after_load"] / 1e6,
            used / 1e6,
        ]
        found.append((data["model"], kind, figures))
    return found


def cache_bytes_per_token(shape: Any) -> int:
    values = shape.head_count_kv * (shape.key_length + shape.value_length)
    return int(values * 2 * shape.block_count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", type=Path)
    parser.add_argument("placements", type=Path, nargs="+")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    profile = BandwidthProfile.from_json(json.loads(arguments.profile.read_text()))
    lines = [
        "Predicted against measured on a GPU, from the bandwidth profile alone",
        f"{'model':<16}{'placement':<10}{'measured':>9}{'predicted':>11}  80 % interval   error"
        f"{'GPU MB':>9}{'predicted':>11}",
    ]
    errors: dict[str, list[float]] = {}
    inside: dict[str, int] = {}
    for path in arguments.placements:
        for model, kind, figures in rows(profile, json.loads(path.read_text())):
            measured, low, middle, high, used, memory = figures
            group = "partial" if kind == "partial" else "full and split"
            errors.setdefault(group, []).append(abs(middle / measured - 1))
            inside[group] = inside.get(group, 0) + (low <= measured <= high)
            lines.append(
                f"{model:<16}{kind:<10}{measured:>9.1f}{middle:>11.1f}  {low:>6.1f}-{high:<7.1f}"
                f"{middle / measured - 1:>+7.1%}{used:>9.0f}{memory:>11.0f}"
            )
    for group, values in errors.items():
        lines.append(
            f"{group}: median error {median(values):.1%}, "
            f"{inside[group]} of {len(values)} inside the interval"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
