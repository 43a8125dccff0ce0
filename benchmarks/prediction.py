"""Predicted against measured: decode, prefill and memory over many model shapes on this machine.

    python -m benchmarks.prediction prepare --work DIR [--models DIR]
    python -m benchmarks.prediction measure --work DIR [--threads 1,2] [--seconds N] [--gpu cuda0]
    python -m benchmarks.prediction evaluate --work DIR [--output FILE]

`prepare` writes shape-exact models (random weights) and ONNX folders made from them, 20 GB in all;
those that --models has already are linked. `measure` profiles the machine and times each run in a
process of its own (about 25 minutes on two idle cores), keeping only steps made while other
processes were quiet; how many were not is told. It can be stopped and started again. `evaluate`
predicts every run twice: from the bandwidth profile alone, and with coefficients learnt from the
calibration models only. It prints errors, interval coverage and which demands are met, and writes
FILE and the same as JSON beside it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from app.planning.inspection import plan_model
from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT
from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.devices import Device
from runtime.model.info import inspect
from runtime.plan import Interval, KvCacheType, LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.calibration import UNCALIBRATED, Calibration, fit, track_record
from runtime.planning.memory import estimate
from runtime.planning.speed import SpeedModel
from runtime.process.client import run_job
from runtime.process.job_table import PROFILE
from runtime.process.job_values import ProfileArgs
from runtime.shape import ModelShape, weight_bytes
from tests.helpers import shapes


@dataclass(frozen=True)
class Subject:
    """A model of the benchmark: a real shape in one format; some teach, the others are held out."""

    name: str
    shape: ModelShape
    block_format: str
    roles: tuple[tuple[str, str], ...] = ()
    teaches: bool = False
    engine: str = "llamacpp"

    @property
    def label(self) -> str:
        return f"{self.name} {self.block_format}"

    def path(self, folder: Path) -> Path:
        ending = "" if self.engine == "onnx" else ".gguf"
        return folder / f"{self.name}-{self.block_format}{ending}"

    def model(self, folder: Path) -> PlanModel:
        """What a plan would know of it: for ONNX from the folder's own manifest."""
        if self.engine == "onnx":
            return plan_model(inspect(self.path(folder)), None)
        formats = {"default": self.block_format, **dict(self.roles)}
        weights = weight_bytes(self.shape, formats)
        return PlanModel(self.shape, weights, block_format=self.block_format)

    def make(self, folder: Path) -> None:
        """Write the file or folder."""
        path = self.path(folder)
        partial = path.with_name(f"{path.name}.part")
        if self.engine == "onnx":
            origin = Subject(self.name, self.shape, "Q4_0")
            if not origin.path(folder).exists():
                origin.make(folder)
            source = open_source(origin.path(folder))
            options = ExportOptions(static_shapes=())
            recipe = recipe_named(f"onnx-q4-{self.block_format}")
            export_onnx(source, partial, recipe, lambda _d, _t, _n: None, options)
        else:
            shapes.write_shape_gguf(
                partial,
                self.shape,
                self.block_format,
                role_formats=dict(self.roles),
                vocab_tokens="qwen2",
            )
        partial.rename(path)


def _onnx(name: str, shape: ModelShape, teaches: bool = False) -> Subject:
    return Subject(name, shape, "b32", teaches=teaches, engine="onnx")


# What teaches comes first; the rest by size, so that a run cut short has every kind.
SUBJECTS = (
    Subject("starter", shapes.SMOLLM2_135M, "Q4_1", (("embedding", "Q8_0"),), teaches=True),
    Subject("r1-qwen-1.5b", shapes.R1_QWEN_1_5B, "Q4_0", teaches=True),
    _onnx("starter", shapes.SMOLLM2_135M, teaches=True),
    _onnx("r1-qwen-1.5b", shapes.R1_QWEN_1_5B, teaches=True),
    Subject("r1-qwen-7b", shapes.R1_QWEN_7B, "Q4_0"),
    Subject("qwen2-3b", shapes.QWEN2_3B, "Q4_0"),
    _onnx("qwen2-0.5b", shapes.QWEN2_0_5B),
    _onnx("smollm2-360m", shapes.SMOLLM2_360M),
    Subject("smollm2-360m", shapes.SMOLLM2_360M, "Q4_0"),
    Subject("smollm2-360m", shapes.SMOLLM2_360M, "Q8_0"),
    Subject("qwen2-0.5b", shapes.QWEN2_0_5B, "Q4_0"),
    Subject("qwen2-0.5b", shapes.QWEN2_0_5B, "Q8_0"),
    Subject("llama-1b", shapes.LLAMA_1B, "Q4_0"),
    Subject("llama-1b", shapes.LLAMA_1B, "Q4_K"),
    Subject("r1-qwen-1.5b", shapes.R1_QWEN_1_5B, "Q4_K"),
    Subject("r1-qwen-1.5b", shapes.R1_QWEN_1_5B, "Q8_0"),
    Subject("qwen2-3b", shapes.QWEN2_3B, "Q4_K"),
    Subject("r1-qwen-7b", shapes.R1_QWEN_7B, "Q4_K"),
)
GPU_SUBJECTS = (
    SUBJECTS[0],
    SUBJECTS[1],
    Subject("r1-qwen-7b", shapes.R1_QWEN_7B, "Q4_0"),
    Subject("r1-qwen-14b", shapes.R1_QWEN_14B, "Q4_0"),
)


BIG = 2000  # embedding length from which answers are short
ROOM = 512  # tokens of context beyond the deepest run

# Prompt tokens, then further depths, by embedding length up to which they hold: with the most
# threads, and with fewer. Prompts cost the most: together about 25 minutes on two cores.
DEPTHS = (
    (1000, (256, 2048, 4096), (256, 1024)),
    (1800, (256, 2048), (128, 512)),
    (2200, (256, 2048), (128, 512)),
    (3000, (128, 1024), ()),
    (10**6, (128, 512), ()),
)


def cpu_placements(
    subject: Subject, threads: list[int], only: tuple[int, ...] = ()
) -> Iterator[tuple[Placement, tuple[int, ...]]]:
    """(placement, depths) of the runs of one model; the first depth is the prompt's."""
    last = subject.shape.block_count - 1
    kv_type: KvCacheType = "f32" if subject.engine == "onnx" else "f16"
    width = subject.shape.embedding_length
    most, fewer = next(rest for limit, *rest in DEPTHS if width <= limit)
    for count in threads:
        depths = only or (most if count == threads[-1] else fewer)
        if not depths:
            continue
        yield (
            Placement(
                engine=subject.engine,
                layers=(LayerRange("cpu", 0, last),),
                lm_head_device="cpu",
                n_ctx=depths[-1] + ROOM,
                kv_type_k=kv_type,
                kv_type_v=kv_type,
                n_threads=count,
                n_threads_batch=count,
            ),
            depths,
        )


def gpu_placements(
    subject: Subject, device: str, threads: int
) -> Iterator[tuple[Placement, tuple[int, ...]]]:
    """The same on a GPU: everything there, and with the LM head on the CPU."""
    last = subject.shape.block_count - 1
    for head in (device, "cpu"):
        yield (
            Placement(
                engine="llamacpp",
                layers=(LayerRange(device, 0, last),),
                lm_head_device=head,
                n_ctx=17408,
                n_threads=threads,
                n_threads_batch=threads,
            ),
            (512, 16384),
        )


def prepare(arguments: argparse.Namespace) -> None:
    """Link or make every model file that is not there."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    for subject in chosen(arguments):
        path = subject.path(arguments.work)
        if path.exists():
            continue
        known = subject.path(arguments.models) if arguments.models else None
        if known is not None and known.exists():
            path.symlink_to(known.resolve())
        else:
            print("making", path, flush=True)
            subject.make(arguments.work)


def chosen(arguments: argparse.Namespace) -> list[Subject]:
    """The subjects of this run."""
    subjects = GPU_SUBJECTS if arguments.gpu else SUBJECTS
    names = arguments.only.split(",") if arguments.only else ()
    return [s for s in subjects if not names or s.name in names or s.label in names]


def measure(arguments: argparse.Namespace) -> None:
    """Profile, then run what has not been run yet, until the time is up."""
    deadline = time.monotonic() + arguments.seconds
    profile = load_profile(arguments)
    print("profile", profile.mode, profile.doubts or "trusted", f"spread {profile.spread:.1%}")
    results = arguments.work / "runs.jsonl"
    done = {run["key"] for run in read_runs(results)}
    threads = [int(count) for count in arguments.threads.split(",")]
    for subject in chosen(arguments):
        if arguments.gpu:
            placements = list(gpu_placements(subject, arguments.gpu, threads[-1]))
        else:
            only = tuple(int(depth) for depth in arguments.depths.split(",") if depth)
            placements = list(cpu_placements(subject, threads, only))
        for placement, depths in placements:
            key = f"{subject.label} {placement.n_threads} {placement.lm_head_device}"
            if key in done or time.monotonic() > deadline:
                continue
            spec = {
                "path": str(subject.path(arguments.work)),
                "placement": asdict(placement),
                "prompt": depths[0],
                "depths": depths,
                "quiet_cores": arguments.quiet_cores,
                "decode": 32 if subject.shape.embedding_length < BIG else 16,
            }
            spec["placement"]["layers"] = [
                [part.device, part.first, part.last] for part in placement.layers
            ]
            started = time.monotonic()
            run = run_one(spec)
            print(f"{key} ({time.monotonic() - started:.0f} s):", summary(run), flush=True)
            if run is not None:
                kept = {"key": key, "commit": commit(), "spec": spec, "run": run}
                with results.open("a") as file:
                    file.write(json.dumps(kept) + "\n")


def commit() -> str:
    """The commit that is checked out, and whether what predicts differs from it."""
    predicts = (
        "runtime/planning/speed.py",
        "runtime/planning/calibration.py",
        "runtime/tasks/profile.py",
    )
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *predicts], cwd=ROOT)
    return head if same.returncode == 0 else f"{head} and changes"


def load_profile(arguments: argparse.Namespace) -> BandwidthProfile:
    """The stored profile, measured first (in a child process) when there is none."""
    path = arguments.work / "profile.json"
    if not path.exists():
        devices = ["cpu", *([arguments.gpu.lower()] if arguments.gpu else [])]
        profile = run_job(PROFILE, ProfileArgs("full", tuple(devices)))
        path.write_bytes(msgspec.json.encode(profile))
    return msgspec.json.decode(path.read_bytes(), type=BandwidthProfile)


def run_one(spec: dict[str, Any]) -> dict[str, Any] | None:
    """One measured run in its own process; None when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.common.measured_run", json.dumps(spec)],
        capture_output=True,
        text=True,
    )
    if not done.stdout.startswith("{"):
        print(f"ended with {done.returncode}: {done.stderr[-600:]}", file=sys.stderr)
        return None
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return run


def summary(run: dict[str, Any] | None) -> str:
    if run is None:
        return "failed"
    decode = ", ".join(
        f"{entry['decode_tps']:.2f} tok/s at {entry['depth']:.0f}"
        if entry["decode_tps"]
        else f"disturbed at {entry['depth']:.0f}"
        for entry in run["decode"]
    )
    first = run["prefill_seconds"]
    prefill = f"{run['prompt'] / first:.0f} tok/s" if first else "disturbed"
    return f"prefill {prefill}; decode {decode}; peak {run['peak_memory'] / 1e6:.0f} MB"


def read_runs(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@dataclass(frozen=True)
class Figure:
    """One figure measured and predicted. `teaches` figures are not counted."""

    what: str
    kind: str
    measured: float
    predicted: Interval
    teaches: bool


def figures(
    runs: list[dict[str, Any]], work: Path, profile: BandwidthProfile, calibration: Calibration
) -> list[Figure]:
    """Every figure of every run with its prediction."""
    speed = SpeedModel(profile, calibration)
    found = []
    for run in runs:
        subject, placement = subject_of(run), placement_of(run)
        model, measured = subject.model(work), run["run"]
        seconds = measured["prefill_seconds"]
        if seconds:
            predicted = speed.time_to_first_token(model, placement, measured["prompt"])
            figure = Figure(run["key"], "first token", seconds, predicted, subject.teaches)
            found.append(figure)
        for entry in measured["decode"]:
            if entry["decode_tps"] and entry["clean_steps"] >= 8:
                predicted = speed.decode_tps(model, placement, entry["depth"])
                what = f"{run['key']} at {entry['depth']:.0f}"
                tps = entry["decode_tps"]
                found.append(Figure(what, "decode", tps, predicted, subject.teaches))
    return found


def learn(runs: list[dict[str, Any]], work: Path, profile: BandwidthProfile) -> Calibration:
    """Coefficients from the teaching models' runs alone."""
    speed = SpeedModel(profile)
    observations = []
    for run in runs:
        subject, placement = subject_of(run), placement_of(run)
        if not subject.teaches:
            continue
        measured, model = run["run"], subject.model(work)
        if measured["prefill_seconds"]:
            observations.append(
                speed.prefill_observation(
                    model, placement, measured["prompt"], measured["prefill_seconds"]
                )
            )
        for entry in measured["decode"]:
            if entry["decode_tps"] and entry["clean_steps"] >= 8:
                observations.append(
                    speed.decode_observation(model, placement, entry["depth"], entry["decode_tps"])
                )
    return fit(observations)


def subject_of(run: dict[str, Any]) -> Subject:
    name, block_format = run["key"].split()[:2]
    every = (*SUBJECTS, *GPU_SUBJECTS)
    return next(s for s in every if s.name == name and s.block_format == block_format)


def placement_of(run: dict[str, Any]) -> Placement:
    fields = dict(run["spec"]["placement"])
    fields["layers"] = tuple(LayerRange(*layer) for layer in fields["layers"])
    return Placement(**fields)


@dataclass(frozen=True)
class Demand:
    """One figure that must hold, for which predictions, and what came out."""

    what: str
    found: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.found >= self.limit if self.at_least else self.found <= self.limit


def evaluate(arguments: argparse.Namespace) -> None:
    """Print (and write) the tables of errors and coverage, and which demands are met."""
    runs = read_runs(arguments.work / "runs.jsonl")
    profile = load_profile(arguments)
    commits = sorted({run.get("commit", "unknown") for run in runs})
    lines = [
        "Predicted against measured (benchmarks.prediction)",
        f"machine: {profile.fingerprint}",
        f"profile: {profile.measured_at}, {profile.mode}, spread {profile.spread:.1%}, "
        + ("trusted" if profile.trusted else f"not trusted: {', '.join(profile.doubts)}"),
        f"measured with {', '.join(commits)}; predicted with {commit()}",
        f"runs: {len(runs)}; {kept_steps(runs)}",
    ]
    document: dict[str, Any] = {"profile": msgspec.to_builtins(profile), "commits": commits}
    demands = []
    for title, calibration in (
        ("bandwidth profile only, no calibration run", UNCALIBRATED),
        ("calibrated on the teaching models only", learn(runs, arguments.work, profile)),
    ):
        lines += ["", f"== {title} =="]
        found = figures(runs, arguments.work, profile, calibration)
        lines += [line for kind in ("decode", "first token") for line in table(found, kind)]
        document[title] = [asdict(figure) for figure in found]
        demands += demanded(found, calibrated=calibration is not UNCALIBRATED)
    lines += ["", "== memory =="]
    memory, within = memory_lines(runs, arguments.work)
    lines += memory
    demands.append(Demand("memory within 5 % or 200 MB, share", within, 1.0, at_least=True))
    lines += ["", "== demands (held-out figures) =="]
    lines += [
        f"{'met ' if d.met else 'MISSED'}  {d.what}: {d.found:.3f}"
        f" ({'at least' if d.at_least else 'at most'} {d.limit:g})"
        for d in demands
    ]
    document["demands"] = [{**asdict(demand), "met": demand.met} for demand in demands]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
        arguments.output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def kept_steps(runs: list[dict[str, Any]]) -> str:
    """How many decode steps were left out because other processes were busy."""
    entries = [entry for run in runs for entry in run["run"]["decode"]]
    clean = sum(entry["clean_steps"] for entry in entries)
    made = sum(entry.get("made_steps", entry["clean_steps"]) for entry in entries)
    return f"{clean} decode steps counted of {made} made (the others met other load)"


def demanded(found: list[Figure], *, calibrated: bool) -> list[Demand]:
    """What is asked of the figures of held-out models."""
    name = "calibrated" if calibrated else "profile only"
    demands = []
    for kind, error in (("decode", 0.10 if calibrated else 0.25), ("first token", 0.15)):
        held = [figure for figure in found if figure.kind == kind and not figure.teaches]
        record = track_record((figure.predicted, figure.measured) for figure in held)
        if record is None or (kind == "first token" and not calibrated):
            continue
        demands.append(Demand(f"{name}, {kind}: median error", record.median_error, error))
        if kind == "decode":
            width = max(f.predicted.high / f.predicted.median - 1 for f in held)
            demands += [
                Demand(f"{name}, figures", record.runs, 24, at_least=True),
                Demand(f"{name}, coverage", record.coverage, 0.8, at_least=True),
                Demand(f"{name}, widest interval", round(width, 6), 0.25),
            ]
    return demands


def table(found: list[Figure], kind: str) -> list[str]:
    """The figures of one kind, then their median error and coverage (held-out models only)."""
    unit = "tok/s" if kind == "decode" else "s"
    lines = [f"{kind:<44}{'measured':>9} {'predicted':>10}  80 % interval   error"]
    chosen = [figure for figure in found if figure.kind == kind]
    for figure in chosen:
        predicted = figure.predicted
        inside = predicted.low <= figure.measured <= predicted.high
        lines.append(
            f"{figure.what + (' *' if figure.teaches else ''):<44}{figure.measured:>9.2f} "
            f"{predicted.median:>10.2f}  {predicted.low:.2f}-{predicted.high:.2f} {unit} "
            f"{predicted.median / figure.measured - 1:+7.1%}{'' if inside else '  outside'}"
        )
    held = [figure for figure in chosen if not figure.teaches]
    record = track_record((figure.predicted, figure.measured) for figure in held)
    if record is None:
        return [*lines, "no held-out figures"]
    width = median(f.predicted.high / f.predicted.median - 1 for f in held)
    summary_line = (
        f"held out: {record.runs} figures, median error {record.median_error:.1%}, "
        f"coverage {record.coverage:.0%}, median width +{width:.0%} (* = taught, not counted)"
    )
    return [*lines, summary_line]


def memory_lines(runs: list[dict[str, Any]], work: Path) -> tuple[list[str], float]:
    """Predicted peak memory of the process against its resident set at its highest; and the share
    of runs (0..1) within 5 % or 200 MB."""
    lines, good = [], 0
    for run in runs:
        subject, placement = subject_of(run), placement_of(run)
        cpu = Device("cpu", "CPU", "CPU", "", 2**40, 2**40)
        others = {part.device for part in placement.layers} - {"cpu"}
        gpus = [Device(name, "GPU", "CUDA", "", 2**40, 2**40) for name in others]
        model = subject.model(work)
        memory = estimate(
            model.shape, model.weights, placement, [cpu, *gpus], block_format=model.block_format
        )
        predicted, measured = memory.host_resident, run["run"]["peak_memory"]
        off = predicted - measured
        within = abs(off) <= max(0.05 * measured, 200e6)
        good += within
        lines.append(
            f"{run['key']:<44}{measured / 1e6:>9.0f} {predicted / 1e6:>10.0f} MB "
            f"{off / 1e6:+.0f} MB{'' if within else '  outside'}"
        )
    lines.append(f"within 5 % or 200 MB: {good} of {len(runs)}")
    return lines, good / max(1, len(runs))


def main() -> None:
    parser = command_line(__doc__, "benchmarks.prediction")
    parser.add_argument("step", choices=("prepare", "measure", "evaluate"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=1500.0)
    parser.add_argument("--gpu", default="")
    parser.add_argument("--models", type=Path, help="folder with files made before")
    parser.add_argument("--only", default="", help="names of models, separated by commas")
    parser.add_argument(
        "--quiet-cores",
        type=float,
        default=0.08,
        help="other processes' load (cores) up to which a step counts; raise it where the system "
        "shows a whole host's load in a container",
    )
    parser.add_argument("--depths", default="", help="instead of those above, to try the script")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    steps = {"prepare": prepare, "measure": measure, "evaluate": evaluate}
    steps[arguments.step](arguments)


if __name__ == "__main__":
    main()
