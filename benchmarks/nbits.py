"""What MatMulNBits can do on this processor: one product, and a whole folder's load.

    python -m benchmarks.nbits [--rounds 7]                   every variant of one matrix
    python -m benchmarks.nbits --model ONNX_FOLDER            session options: load time and memory

The first asks each variant of a matrix of the 1.5B shape (bits, block, types of scales and zero
points, accuracy level) in turn: whether it runs, its error against the exact product of the same
quantized weights, and processor time with one thread for one row and for 128. The second opens the
folder's body with onnxruntime's options for prepacked weights, each in a process of its own. On a
busy machine the minimum of processor times says most; compare only within one run.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.common.options import command_line
from benchmarks.common.results import write_results
from runtime.backends.onnx.native import ort

SHAPES = {"gate": (1536, 8960), "down": (8960, 1536)}
_SAVE = "session.save_external_prepacked_constant_initializers"
LOADS: dict[str, dict[str, str]] = {
    "as it is": {},
    "parallel prepacking": {"session.prepack.enable_parallel": "1"},
    "no prepacking": {"session.disable_prepacking": "1"},
    "prepacked on disk": {_SAVE: "1"},
}


@dataclass(frozen=True)
class Variant:
    """One way to store and to compute a product."""

    bits: int = 4
    block: int = 32
    accuracy: int = 4
    half: bool = False  # inputs, scales and outputs in 16 bits: the operator has one type for all
    zeros: str = ""  # "packed" as uint8, "scaled" in the scales' type, "" none
    option: str = ""  # a session option that is set to 1

    @property
    def name(self) -> str:
        parts = [f"{self.bits} bits", f"blocks of {self.block}"]
        parts += [f"accuracy level {self.accuracy}"] if self.accuracy != 4 else []
        parts += ["float16"] if self.half else []
        parts += [f"{self.zeros} zero points"] if self.zeros else []
        parts += [self.option] if self.option else []
        return ", ".join(parts)


_USUAL = Variant()
VARIANTS = (
    *(replace(_USUAL, block=block) for block in (16, 32, 64, 128, 256)),
    *(replace(_USUAL, block=block, zeros="packed") for block in (32, 64, 128)),
    *(replace(_USUAL, block=block, zeros="scaled") for block in (32, 128)),
    *(replace(_USUAL, accuracy=level) for level in (0, 1, 2, 3)),
    *(replace(_USUAL, block=block, half=True) for block in (32, 128)),
    replace(_USUAL, block=128, half=True, zeros="packed"),
    replace(_USUAL, block=128, half=True, zeros="scaled"),
    *(replace(_USUAL, bits=8, block=block) for block in (32, 64, 128, 256)),
    replace(_USUAL, bits=8, block=128, zeros="packed"),
    replace(_USUAL, bits=8, block=128, accuracy=1),
    replace(_USUAL, option="mlas.use_lut_gemm"),
    replace(_USUAL, option="mlas.qnbit.force_fp32"),
)


def quantized(
    variant: Variant, weights: npt.NDArray[np.float32]
) -> tuple[list[onnx.TensorProto], npt.NDArray[np.float32]]:
    """The operator's constant inputs for weights [n, k], rounded plainly, and what they mean."""
    n, k = weights.shape
    cut = weights.reshape(n, -1, variant.block)
    top = 2**variant.bits - 1
    if variant.zeros:
        low, high = np.minimum(cut.min(axis=2), 0), np.maximum(cut.max(axis=2), 0)
        scales = ((high - low) / top).astype(np.float16).astype(np.float32)
        zeros = -low / scales
        if variant.zeros == "packed":
            zeros = np.round(zeros)
        zeros = zeros.clip(0, top).astype(np.float16).astype(np.float32)
    else:
        scales = (np.abs(cut).max(axis=2) / (top // 2)).astype(np.float16).astype(np.float32)
        zeros = np.full(scales.shape, (top + 1) // 2, np.float32)
    codes = np.clip(np.round(cut / scales[..., None] + zeros[..., None]), 0, top)
    exact = ((codes - zeros[..., None]) * scales[..., None]).reshape(n, k)
    kind = np.float16 if variant.half else np.float32
    inputs = [_packed(codes, variant.bits), scales.reshape(-1).astype(kind)]
    if variant.zeros == "packed":
        inputs.append(_packed(zeros, variant.bits).reshape(-1))
    elif variant.zeros:
        inputs.append(zeros.reshape(-1).astype(kind))
    names = ("packed", "scales", "zeros")
    tensors = [numpy_helper.from_array(a, b) for a, b in zip(inputs, names, strict=False)]
    return tensors, exact.astype(np.float32)


def _packed(codes: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.uint8]:
    whole = codes.astype(np.uint8)
    if bits == 8:
        return whole
    if whole.shape[-1] % 2:
        whole = np.concatenate([whole, np.zeros_like(whole[..., :1])], axis=-1)
    packed: npt.NDArray[np.uint8] = whole[..., 0::2] | (whole[..., 1::2] << np.uint8(4))
    return packed


def product(
    variant: Variant, tensors: list[onnx.TensorProto], k: int, n: int
) -> ort.InferenceSession:
    """A session of the one node, with one thread."""
    kind = TensorProto.FLOAT16 if variant.half else TensorProto.FLOAT
    node = helper.make_node(
        "MatMulNBits",
        ["x", *(tensor.name for tensor in tensors)],
        ["y"],
        domain="com.microsoft",
        K=k,
        N=n,
        bits=variant.bits,
        block_size=variant.block,
        accuracy_level=variant.accuracy,
    )
    ends = [
        helper.make_tensor_value_info(name, kind, [1, "rows", width])
        for name, width in (("x", k), ("y", n))
    ]
    graph = helper.make_graph([node], "product", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if variant.option:
        options.add_session_config_entry(variant.option, "1")
    return ort.InferenceSession(model.SerializeToString(), options)


def measure(variant: Variant, weights: npt.NDArray[np.float32], rounds: int) -> dict[str, Any]:
    """Error and processor milliseconds, or why the variant does not run."""
    random, (n, k) = np.random.default_rng(0), weights.shape
    tensors, exact = quantized(variant, weights)
    x = random.standard_normal((1, 128, k)).astype(np.float16)
    x = x if variant.half else x.astype(np.float32)
    try:
        session = product(variant, tensors, k, n)
        found = session.run(None, {"x": x[:, :1]})[0][0].astype(np.float64)
    except Exception as error:  # onnxruntime raises a class of its own per status code
        return {"refused": str(error)[:160]}
    wanted = x[0, :1].astype(np.float64) @ exact.T.astype(np.float64)
    result: dict[str, Any] = {
        "error": float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)),
        "bytes": sum(len(tensor.raw_data) for tensor in tensors),
    }
    for rows, turns in ((1, 10), (2, 10), (128, 1)):
        given, spent = x[:, :rows], []
        for _ in range(rounds):
            started = time.process_time()
            for _ in range(turns):
                session.run(None, {"x": given})
            spent.append((time.process_time() - started) / turns)
        result[f"ms_{rows}"] = 1000 * min(spent)
    return result


def variants(rounds: int) -> tuple[dict[str, Any], str]:
    """All variants of all shapes, in figures and as a table."""
    figures: dict[str, Any] = {}
    lines = []
    for shape, (k, n) in SHAPES.items():
        weights = np.random.default_rng(1).standard_normal((n, k), np.float32)
        lines.append(
            f"{shape}, {k} to {n}: processor ms of 1, 2 and 128 rows (least of {rounds}),"
            " error against the exact product, MB"
        )
        for variant in VARIANTS:
            got = measure(variant, weights, rounds)
            figures[f"{shape}: {variant.name}"] = {**asdict(variant), **got}
            if "refused" in got:
                lines.append(f"  {variant.name:52} refused: {got['refused']}")
                continue
            lines.append(
                f"  {variant.name:52}{got['ms_1']:8.2f}{got['ms_2']:8.2f}{got['ms_128']:9.1f}"
                f"   {got['error']:.1e}{got['bytes'] / 1e6:7.1f}"
            )
            print(lines[-1], flush=True)
    return figures, "\n".join(lines)


def load(graph: str, settings: dict[str, str]) -> None:
    """Open a graph once and print what that took."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    for key, value in settings.items():
        options.add_session_config_entry(key, value)
    before = _memory()
    processor, started = time.process_time(), time.perf_counter()
    session = ort.InferenceSession(graph, options)
    answer = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - processor,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }
    after = _memory()
    answer |= {f"{name}_mb": (after[name] - before[name]) / 1e3 for name in after}
    del session
    print(json.dumps(answer), flush=True)


def _memory() -> dict[str, int]:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = {line.partition(":")[0]: line.split()[1] for line in lines if "kB" in line}
    return {"anonymous": int(fields["RssAnon"]), "file": int(fields["RssFile"])}


def prepack(graph: Path, folder: Path) -> Path:
    """Write the graph as onnxruntime lays it out, prepacked weights and all."""
    written = folder / "prepacked.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(written)
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(prefix + "file_name", "prepacked.data")
    options.add_session_config_entry(prefix + "min_size_in_bytes", "1024")
    options.add_session_config_entry(_SAVE, "1")
    ort.InferenceSession(str(graph), options)
    return written


def loads(folder: Path, rounds: int) -> tuple[dict[str, Any], str]:
    """Every way to open the body, alternating."""
    figures: dict[str, Any] = {}
    lines = [
        f"{folder.name}, body: least of {rounds} loads, one thread; MB beyond an empty session"
    ]
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        body = folder / "body.onnx"
        written = prepack(body, Path(name))
        sizes = {"as it is": (folder / "weights.data").stat().st_size}
        sizes["prepacked on disk"] = (Path(name) / "prepacked.data").stat().st_size
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in LOADS}
        for _ in range(rounds):
            for kind, settings in LOADS.items():
                graph = written if kind == "prepacked on disk" else body
                given = [str(graph), json.dumps({} if graph == written else settings)]
                command = [sys.executable, "-m", "benchmarks.nbits", "--child", *given]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    for kind, runs in found.items():
        least = {key: min(run[key] for run in runs) for key in runs[0]}
        figures[kind] = least | {"disk_bytes": sizes.get(kind, sizes["as it is"])}
        lines.append(f"  {kind:22}" + "  ".join(f"{k} {v:.2f}" for k, v in least.items()))
    lines.append(f"  weights on disk: {sizes}")
    return figures, "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        load(sys.argv[2], json.loads(sys.argv[3]))
        return
    parser = command_line(__doc__, "benchmarks.nbits")
    parser.add_argument("--model", type=Path, help="an exported ONNX folder")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--name", help="name of the result files")
    options = parser.parse_args()
    if options.model is None:
        figures, text = variants(options.rounds)
        write_results(options.name or "nbits-cpu", {"variants": figures}, text)
    else:
        figures, text = loads(options.model, options.rounds)
        name = options.name or f"nbits-load-{options.model.name}"
        write_results(name, {"loads": figures}, text)


if __name__ == "__main__":
    main()
