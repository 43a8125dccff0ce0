"""The three-session runner: right numbers, rewinding, cancelling, refusing what is damaged."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime_genai
import pytest

from quant.checkpoint.sources import open_source
from quant.onnx.blocks import dequantize_rows, quantize_rows
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.manifest import MANIFEST, file_entry
from quant.recipe import recipe_named
from runtime.backends.genai.backend import GenaiBackend
from runtime.backends.onnx.backend import OnnxBackend
from runtime.backends.onnx.evaluation import open_evaluator
from runtime.errors import (
    ContextOverflow,
    CorruptFile,
    DeviceUnavailable,
    InvalidRequest,
    ModelFileError,
)
from runtime.generation import SamplingParams
from runtime.progress import Cancelled, CancelToken, Progress, ignore_progress
from tests.helpers import tiny_checkpoints
from tests.helpers.onnx_models import (
    GREEDY,
    TINY_CONTEXT,
    edited,
    export_tiny,
    greedy,
    make_monolithic,
    placement,
)
from tests.helpers.tiny_checkpoints import PROMPT

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "data" / "onnx" / "golden.json").read_text(encoding="utf-8")
)["logits"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Exports each tiny model once."""
    root = tmp_path_factory.mktemp("onnx")
    made: dict[tuple[str, str], Path] = {}

    def model(kind: str, recipe: str = "onnx-q4-b32") -> Path:
        if (kind, recipe) not in made:
            made[kind, recipe] = export_tiny(root, kind, recipe)
        return made[kind, recipe]

    return model


def load(folder: Path, **options: object) -> OnnxBackend:
    backend = OnnxBackend()
    backend.load(str(folder), placement(**options), ignore_progress, CancelToken())  # type: ignore[arg-type]
    return backend


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def prompt_logits(folder: Path) -> np.ndarray:
    evaluator = open_evaluator(folder, 1, TINY_CONTEXT)
    (block,) = evaluator.logits(PROMPT, len(PROMPT) - 1)
    last: np.ndarray = block[-1]
    return last


# -- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(GOLDEN))
def test_logits_equal_the_reference_implementation_s(
    models: Callable[..., Path], kind: str
) -> None:
    """The tiny weights lose nothing in 4 bits, so only int8 activations stand between the two."""
    logits, wanted = prompt_logits(models(kind)), np.array(GOLDEN[kind], np.float32)
    assert cosine(logits, wanted) > 0.9999
    assert int(logits.argmax()) == int(wanted.argmax())


@pytest.mark.parametrize("recipe", ["onnx-q4-b64", "onnx-q4-b128", "onnx-q4-b32-asym"])
def test_other_blocks_padding_and_zero_points_compute_the_same_model(
    models: Callable[..., Path], recipe: str
) -> None:
    """These weights are exact in symmetric blocks of 32 only: the others round them a little."""
    smallest = 0.999 if recipe.endswith("asym") else 0.95
    assert cosine(prompt_logits(models("qwen2", recipe)), np.array(GOLDEN["qwen2"])) > smallest


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_tokens_equal_stock_genai_s(models: Callable[..., Path], kind: str) -> None:
    folder = models(kind)
    native = onnxruntime_genai.Model(str(folder))
    params = onnxruntime_genai.GeneratorParams(native)
    params.set_search_options(max_length=TINY_CONTEXT, do_sample=False)
    generator = onnxruntime_genai.Generator(native, params)
    generator.append_tokens(np.array(PROMPT, np.int32))
    wanted = []
    for _ in range(30):
        generator.generate_next_token()
        wanted.append(int(generator.get_next_tokens()[0]))
        if wanted[-1] == tiny_checkpoints.END_OF_TURN:
            break
    assert greedy(load(folder), PROMPT, len(wanted)) == wanted


@pytest.mark.parametrize("block", [32, 64, 128])
@pytest.mark.parametrize("symmetric", [True, False])
def test_blocks_decode_bit_for_bit_as_onnxruntime_decodes_them(
    tmp_path: Path, block: int, symmetric: bool
) -> None:
    """The embedding stage of an exported table returns exactly the dequantized rows."""
    tensors = tiny_checkpoints.tensors_of("llama")
    table = np.random.default_rng(5).standard_normal((tiny_checkpoints.VOCAB, 64))
    tensors["model.embed_tokens.weight"] = table.astype(np.float32)
    source = tiny_checkpoints.write_checkpoint(tmp_path / "hf", "llama")
    tiny_checkpoints.write_safetensors(source / "model.safetensors", tensors)
    recipe = recipe_named(f"onnx-q4-b{block}{'' if symmetric else '-asym'}")
    export_onnx(open_source(source), tmp_path / "m", recipe, lambda *_: None, ExportOptions())
    backend = load(tmp_path / "m")
    ids = np.arange(tiny_checkpoints.VOCAB, dtype=np.int64)[None]
    (got,) = backend._embeddings.run(None, {"input_ids": ids})
    packed = quantize_rows(table.astype(np.float32), block, symmetric=symmetric, method="round")
    np.testing.assert_array_equal(got[0], dequantize_rows(packed, 64))


# -- the cache ------------------------------------------------------------------------------------


def test_a_rewound_cache_gives_the_same_tokens(models: Callable[..., Path]) -> None:
    backend = load(models("qwen3"))
    wanted = greedy(backend, PROMPT, 8)
    backend.prefill([1, 2, 3], ignore_progress, CancelToken())
    assert backend.truncate(5) == 5
    backend.set_sampling(GREEDY, PROMPT)
    backend.prefill(PROMPT[5:], ignore_progress, CancelToken())
    got = []
    for _ in range(8):
        got.append(backend.sample())
        backend.decode(got[-1])
    assert got == wanted
    assert backend.truncate(10_000) == len(PROMPT) + 8


def test_slices_of_a_prompt_give_the_same_tokens(models: Callable[..., Path]) -> None:
    seen: list[Progress] = []
    backend = load(models("llama"), n_ubatch=5)
    backend.set_sampling(GREEDY, PROMPT)
    backend.prefill(PROMPT, seen.append, CancelToken())
    first = backend.sample()
    assert [progress.done for progress in seen] == [5, 10, 12]
    assert first == greedy(load(models("llama")), PROMPT, 1)[0]


def test_stage_seconds_cover_a_generation(models: Callable[..., Path]) -> None:
    backend = load(models("llama"))
    started = time.perf_counter()
    greedy(backend, PROMPT, 5)
    elapsed, seconds = time.perf_counter() - started, backend.stage_seconds()
    assert set(seconds) == {"embeddings", "body", "lm_head"}
    assert all(value > 0 for value in seconds.values())
    assert sum(seconds.values()) <= elapsed
    backend.set_sampling(GREEDY, ())
    assert sum(backend.stage_seconds().values()) == 0


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [-1, tiny_checkpoints.VOCAB, 10**9])
def test_token_ids_outside_the_vocabulary_are_refused(
    models: Callable[..., Path], token: int
) -> None:
    backend = load(models("llama"))
    with pytest.raises(InvalidRequest):
        backend.prefill([5, token], ignore_progress, CancelToken())
    with pytest.raises(InvalidRequest):
        backend.decode(token)


def test_more_tokens_than_the_context_are_refused(models: Callable[..., Path]) -> None:
    backend = load(models("llama"), n_ctx=8)
    with pytest.raises(ContextOverflow):
        backend.prefill(PROMPT, ignore_progress, CancelToken())
    with pytest.raises(ContextOverflow):
        load(models("llama"), n_ctx=100_000)


FILES = (
    "weights.data", "embeddings.onnx", "body.onnx", "lm_head.onnx", "body_static_r1_c64.onnx",
    "body_static_r4_c64.onnx", "tokenizer.json", "tokenizer_config.json", "genai_config.json",
)  # fmt: skip


def test_the_files_that_are_damaged_here_are_all_there_are(models: Callable[..., Path]) -> None:
    assert {path.name for path in models("llama").iterdir()} == {MANIFEST, *FILES}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "short", "garbage"])
def test_a_damaged_file_is_refused_by_name(
    models: Callable[..., Path], tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models("llama"), folder)
    path = folder / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        garbage = data[:middle] + bytes(64) + b"\xff" * 64 + data[middle + 128 :]
        path.write_bytes({"empty": b"", "short": data[:-7], "garbage": garbage}[damage])
    with pytest.raises(CorruptFile) as caught:
        load(folder)
    assert caught.value.facts["path"] == str(path)


def test_a_wrong_layer_count_is_refused(models: Callable[..., Path], tmp_path: Path) -> None:
    """Stock genai takes it silently; here the file is not the one that was written."""

    def edit(data: dict[str, Any]) -> None:
        data["model"]["decoder"]["num_hidden_layers"] = 1

    folder = edited(models("llama"), tmp_path / "copy", "genai_config.json", edit)
    with pytest.raises(CorruptFile) as caught:
        load(folder)
    assert caught.value.facts["path"] == str(folder / "genai_config.json")


@pytest.mark.parametrize("field", ["block_count", "head_count_kv", "head_length"])
def test_a_manifest_that_lies_about_the_model_is_refused(
    models: Callable[..., Path], tmp_path: Path, field: str
) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["spec"][field] += 1

    folder = edited(models("llama"), tmp_path / "copy", MANIFEST, edit)
    with pytest.raises(CorruptFile) as caught:
        load(folder)
    assert caught.value.facts["path"] == str(folder / "body.onnx")


def test_a_graph_onnxruntime_refuses_is_named(models: Callable[..., Path], tmp_path: Path) -> None:
    """Even with a manifest that vouches for it."""
    folder = tmp_path / "copy"
    shutil.copytree(models("llama"), folder)
    (folder / "lm_head.onnx").write_bytes(b"not a graph")
    data = json.loads((folder / MANIFEST).read_text())
    entry = file_entry(folder / "lm_head.onnx")
    data["files"]["lm_head.onnx"] = {"size": entry.size, "sha256": entry.sha256}
    (folder / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(CorruptFile) as caught:
        load(folder)
    assert caught.value.facts["path"] == str(folder / "lm_head.onnx")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"format": "stillroom-onnx"}', "\x00\x01"])
def test_a_damaged_manifest_is_refused(
    models: Callable[..., Path], tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models("llama"), folder)
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ModelFileError) as caught:
        load(folder)
    assert caught.value.facts["path"] == str(folder / MANIFEST)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile) as caught:
        load(tmp_path)
    assert caught.value.facts["path"] == str(tmp_path / MANIFEST)


def test_an_unknown_device_is_refused_not_replaced(models: Callable[..., Path]) -> None:
    for device in ("npu7", "openvino-npu", "qnn-htp"):
        with pytest.raises(DeviceUnavailable):
            load(models("llama"), device=device)


# -- cancelling -----------------------------------------------------------------------------------


def test_a_cancelled_load_stops(models: Callable[..., Path]) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        OnnxBackend().load(str(models("llama")), placement(), ignore_progress, cancel)


@pytest.fixture(scope="module")
def starter_onnx(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter") / "onnx"
    export_onnx(
        open_source(starter_gguf),
        folder,
        recipe_named("onnx-q4-b32"),
        lambda *_: None,
        ExportOptions(static_shapes=()),
    )
    return folder


def test_a_prompt_is_cancelled_within_200_ms(starter_onnx: Path) -> None:
    """One slice of 2000 tokens takes seconds; the cancel comes in the middle of it."""
    backend = load(starter_onnx, n_ctx=4096, n_ubatch=2000)
    cancel, cancelled_at = CancelToken(), [0.0]

    def stop() -> None:
        cancelled_at[0] = time.perf_counter()
        cancel.cancel()

    timer = threading.Timer(0.4, stop)
    timer.start()
    with pytest.raises(Cancelled):
        backend.prefill([100] * 2000, ignore_progress, cancel)
    waited = time.perf_counter() - cancelled_at[0]
    timer.join()
    assert waited < 0.2
    assert backend.truncate(0) == 0
    prompt = backend.tokenizer.encode("Hello", parse_special=False)
    assert len(greedy(backend, prompt, 3)) == 3  # and it still works


def test_the_starter_answers_and_splits_without_a_difference(
    starter_onnx: Path, tmp_path: Path
) -> None:
    """Three sessions here, one graph in stock genai there: the same tokens, a sensible answer."""
    backend = load(starter_onnx, n_ctx=256)
    question = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    prompt = backend.tokenizer.encode(question, parse_special=True)
    tokens = greedy(backend, prompt, 12)
    text = b"".join(map(backend.tokenizer.piece, tokens)).decode("utf-8", "replace")
    assert "Paris" in text
    other = GenaiBackend()
    other.load(
        str(make_monolithic(starter_onnx, tmp_path / "one")),
        placement(engine="genai", n_ctx=256),
        ignore_progress,
        CancelToken(),
    )
    other._slice = len(prompt)
    assert greedy(other, prompt, 12) == tokens


# -- manners -------------------------------------------------------------------------------------


def test_nothing_is_written_to_the_user_s_folders(
    models: Callable[..., Path], tmp_path: Path
) -> None:
    """onnxruntime's wheels ship an uploader that keeps an identity and databases in the cache."""
    program = (
        "from tests.helpers.onnx_models import *\n"
        "from runtime.backends.onnx.backend import OnnxBackend\n"
        "import sys\n"
        "backend = OnnxBackend()\n"
        "backend.load(sys.argv[1], placement(), ignore_progress, CancelToken())\n"
        "print(greedy(backend, (5, 6), 2))\n"
    )
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", program, str(models("llama"))]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_sampling_uses_its_seed(models: Callable[..., Path]) -> None:
    backend = load(models("llama"))

    def drawn(seed: int) -> list[int]:
        backend.truncate(0)
        backend.set_sampling(SamplingParams(temperature=5.0, top_k=0, top_p=1, seed=seed), ())
        backend.prefill(PROMPT, ignore_progress, CancelToken())
        return [backend.sample() for _ in range(8)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
