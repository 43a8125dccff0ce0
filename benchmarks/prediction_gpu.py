"""Predicted against measured on a GPU: full, split and partial placements, decode and prefill.

    python -m benchmarks.prediction_gpu PROFILE.json PLACEMENTS.json [--output FILE]

PROFILE is a bandwidth profile of that machine; PLACEMENTS was measured there with the product's own
worker (benchmarks/gpu/placements.py). Predictions use the profile alone; no run of these models has
taught them anything.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from benchmarks.common.options import command_line
from runtime.plan import Interval, LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.calibration import track_record
from runtime.planning.speed import SpeedModel
from runtime.shape import weight_bytes
from tests.helpers import shapes


def placement_of(kind: str, blocks: int, threads: int, n_ctx: int) -> Placement:
    """full, split, or partial (the last half of the blocks on the GPU)."""
    first = blocks - blocks // 2 if kind == "partial" else 0
    on_gpu = LayerRange("cuda0", first, blocks - 1)
    layers = (LayerRange("cpu", 0, first - 1), on_gpu) if first else (on_gpu,)
    head = "cuda0" if kind == "full" else "cpu"
    return Placement(
        "llamacpp", layers, head, n_ctx=n_ctx, n_threads=threads, n_threads_batch=threads
    )


@dataclass(frozen=True)
class Row:
    """One figure: tok/s of decode or prefill, measured and predicted."""

    what: str
    group: str
    measured: float
    predicted: Interval


def rows(speed: SpeedModel, name: str, data: dict[str, Any], threads: int) -> Iterator[Row]:
    """Every figure of one model."""
    shape = getattr(shapes, name)
    model = PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0")
    for kind, run in data["placements"].items():
        cache = sum(part["kv_cache"] for part in run["memory"])
        n_ctx = cache // cache_bytes_per_token(shape)
        placement = placement_of(kind, shape.block_count, threads, n_ctx)
        group = "partial" if kind == "partial" else "full and split"
        first = run["ours"][0]
        depth = first["prompt_tokens"] + first["generated_tokens"] // 2
        measured = median(one["decode_tps"] for one in run["ours"])
        predicted = speed.decode_tps(model, placement, depth)
        yield Row(f"{name} {kind} decode", f"{group}, decode", measured, predicted)
        for each in run.get("at_depth", {}).values():
            deep = each[0] if isinstance(each, list) else each
            depth = deep["prompt_tokens"]
            what = f"{name} {kind} at {depth}"
            predicted = speed.decode_tps(model, placement, depth)
            yield Row(f"{what} decode", f"{group}, decode at depth", deep["decode_tps"], predicted)
            first_token = speed.time_to_first_token(model, placement, depth)
            seconds = (first_token.high, first_token.median, first_token.low)
            prefill = Interval(*(depth / each for each in seconds))
            yield Row(f"{what} prefill", f"{group}, prefill", deep["prefill_tps"], prefill)


def cache_bytes_per_token(shape: Any) -> int:
    values = shape.head_count_kv * (shape.key_length + shape.value_length)
    return int(values * 2 * shape.block_count)


def main() -> None:
    parser = command_line(__doc__, "benchmarks.prediction_gpu")
    parser.add_argument("profile", type=Path)
    parser.add_argument("placements", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    profile = msgspec.json.decode(arguments.profile.read_bytes(), type=BandwidthProfile)
    data = json.loads(arguments.placements.read_text())
    lines = [
        "Predicted against measured on a GPU, from the bandwidth profile alone (tokens/s)",
        f"{'model, placement, what':<42}{'measured':>10}{'predicted':>11}  80 % interval    error",
    ]
    groups: dict[str, list[Row]] = {}
    for name, measured in data["shapes"].items():
        for row in rows(SpeedModel(profile), name, measured, data["machine"]["cpu_cores"]):
            groups.setdefault(row.group, []).append(row)
            low, middle, high = row.predicted.low, row.predicted.median, row.predicted.high
            lines.append(
                f"{row.what:<42}{row.measured:>10.1f}{middle:>11.1f}  {low:>8.1f}-{high:<8.1f}"
                f"{middle / row.measured - 1:>+7.1%}"
            )
    for group, found in groups.items():
        record = track_record((row.predicted, row.measured) for row in found)
        assert record is not None
        lines.append(
            f"{group}: {record.runs} figures, median error {record.median_error:.1%}, "
            f"{record.coverage:.0%} inside the interval"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
