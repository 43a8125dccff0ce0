"""Conversion against the real engine: same bytes, models that load, inputs really seen."""

import ctypes
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from app.library.folder import Library
from app.library.targets import Target
from app.quantizing.conversion import Conversion
from quant.checkpoint.sources import open_gguf, open_source
from quant.gguf.export import open_view, quantize_gguf
from quant.gguf.importance import read_importance
from quant.quality.figures import QualityReport
from quant.quality.texts import bundled_texts
from quant.recipe import QuantRecipe, recipe_named, uniform
from runtime.backends.llama.evaluation import LlamaEvaluator, open_input_squares
from runtime.errors import InvalidRequest
from runtime.process.job_values import (
    ExportArgs,
    ImatrixArgs,
    PairArgs,
    QualityArgs,
    QuantizeArgs,
    SchemesArgs,
)
from runtime.progress import Cancelled, CancelToken, Progress, ignore_progress
from runtime.tasks.convert import export_onnx_job, quantize_gguf_job
from runtime.tasks.evaluation import open_evaluator
from runtime.tasks.quality import (
    QUICK_COUNT,
    QUICK_WINDOWS,
    imatrix_job,
    pair_job,
    quality_job,
    schemes_job,
)
from tests.helpers.checkpoints import KINDS, write_checkpoint
from tests.helpers.known import known
from tests.helpers.llama_tools import WINDOWS, divergence, quantize_pure_q4_0, write_base

TEXT = "hello there, in the other land " * 40
FTYPES = {"q4_0": 2, "q4_1": 3, "q8_0": 7}
TYPES = {"q4_0": 2, "q4_1": 3, "q8_0": 8}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 at float16."""
    folder = tmp_path_factory.mktemp("full")
    target = folder / "full.gguf"
    quantize_gguf(write_checkpoint("qwen2", folder / "m"), target, recipe_named("f16"))
    return target


def quantize_with_llama(source: Path, target: Path, name: str) -> None:
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.pure, params.nthread = FTYPES[name], True, 1
    params.token_embedding_type = params.output_tensor_type = TYPES[name]
    status = llama.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    assert status == 0


@pytest.mark.parametrize("name", list(FTYPES))
def test_tensors_equal_llama_quantize_to_the_byte(name: str, full: Path, tmp_path: Path) -> None:
    quantize_with_llama(full, tmp_path / "theirs.gguf", name)
    quantize_gguf(full, tmp_path / "ours.gguf", recipe_named(name))
    ours, theirs = open_gguf(tmp_path / "ours.gguf"), open_gguf(tmp_path / "theirs.gguf")
    assert set(ours.tensors) == set(theirs.tensors)
    for tensor in ours:
        assert tensor.format == theirs[tensor.name].format
        assert tensor.raw.tobytes() == theirs[tensor.name].raw.tobytes(), tensor.name
    assert dict(ours.metadata) == dict(theirs.metadata)


@pytest.mark.parametrize("recipe", ["f16", "q4_0", "q4_0-search"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_architecture_loads_and_scores(kind: str, recipe: str, tmp_path: Path) -> None:
    target = tmp_path / "q.gguf"
    quantize_gguf(write_checkpoint(kind, tmp_path / "m"), target, recipe_named(recipe))
    evaluator = open_evaluator(target, threads=1, context=128)
    try:
        tokens = evaluator.tokenize(TEXT)[:100]
        blocks = list(evaluator.logits(tokens, 20))
    finally:
        evaluator.close()
    logits = np.concatenate(blocks)
    assert logits.shape == (80, 300)
    assert np.isfinite(logits).all()
    assert logits.std() > 0.01


def test_scoring_twice_gives_the_same_logits(full: Path) -> None:
    evaluator = LlamaEvaluator(full, 1, 128)
    try:
        tokens = evaluator.tokenize(TEXT)[:90]
        first = np.concatenate(list(evaluator.logits(tokens, 0)))
        second = np.concatenate(list(evaluator.logits(tokens, 70)))
    finally:
        evaluator.close()
    assert np.array_equal(first[70:], second)


def test_collected_inputs_are_the_normalised_embeddings(tmp_path: Path) -> None:
    """The first block's query input is the normalised embedding times a weight: worked out here."""
    folder = write_checkpoint("qwen2", tmp_path / "m")
    quantize_gguf(folder, tmp_path / "f32.gguf", QuantRecipe("f32", uniform("F32")))
    evaluator, squares = open_input_squares(tmp_path / "f32.gguf", 1, 128)
    try:
        tokens = evaluator.tokenize(TEXT)[:100]
        for _ in evaluator.logits(tokens, 0):
            pass
    finally:
        evaluator.close()
    assert squares.errors == []
    source = open_source(folder)
    embedded = source["model.embed_tokens.weight"].values()[tokens].astype(np.float64)
    norm = source["model.layers.0.input_layernorm.weight"].values().astype(np.float64)
    scale = np.sqrt((embedded**2).mean(axis=1, keepdims=True) + 1e-6)
    expected = ((embedded / scale * norm) ** 2).sum(axis=0)
    found = squares.sums["blk.0.attn_q.weight"][0]
    assert squares.counts["blk.0.attn_q.weight"].tolist() == [100.0]
    assert np.allclose(found, expected, rtol=1e-3)
    assert "output.weight" in squares.sums


def test_imatrix_job_covers_every_expert_it_reached(tmp_path: Path) -> None:
    model, target = tmp_path / "m.gguf", tmp_path / "i.gguf"
    quantize_gguf(write_checkpoint("deepseek_v2", tmp_path / "m"), model, recipe_named("f16"))
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    phases: list[Progress] = []
    result = imatrix_job(ImatrixArgs(model, target, text, threads=1), phases.append)
    assert result.tokens > 500
    assert [p.done for p in phases] == sorted(p.done for p in phases)
    found = read_importance(target)
    names = {t.name for t in open_view(model).tensors}
    assert set(found) <= names
    assert found["blk.1.ffn_up_exps.weight"].shape == (4, 64)
    assert found["blk.1.ffn_down_shexp.weight"].shape == (64,)
    weighed = quantize_gguf(
        model, tmp_path / "q.gguf", recipe_named("q4_0-search"), importance=found
    )
    assert weighed.importance


@pytest.mark.parametrize("recipe", ["q4_0-search", "onnx-q4-b32-search"])
def test_conversion_jobs_calibrate_by_themselves(recipe: str, tmp_path: Path) -> None:
    source, text, target = write_checkpoint("qwen3", tmp_path / "m"), tmp_path / "t", tmp_path / "q"
    text.write_text(TEXT)
    args = ExportArgs(source, target, recipe_named(recipe), calibrate=str(text), threads=1)
    phases: list[str] = []
    job = export_onnx_job if args.recipe.family == "onnx" else quantize_gguf_job
    report = job(args, lambda progress: phases.append(progress.phase))
    assert report.importance
    assert report.peak_anonymous > 0
    assert list(dict.fromkeys(phases)) == ["convert", "calibrate", "quantize"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "q", "t"]


def test_recipe_that_requires_importance_computes_it(tmp_path: Path) -> None:
    """From the official safetensors, over the bundled text, in one job."""
    folder = write_checkpoint("qwen3", tmp_path / "m")
    args = QuantizeArgs(folder, tmp_path / "q.gguf", recipe_named("q4_0-best"), threads=1)
    report = quantize_gguf_job(args, ignore_progress)
    assert report.importance
    assert report.bits_per_weight_by_role["feed_forward"] == 4.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "q.gguf"]


def quality(source: Path, target: Path, text: Path) -> QualityReport:
    args = QualityArgs({"text": text}, context=128, threads=1, source=source, target=target)
    return quality_job(args, ignore_progress)


def test_quality_job_tells_a_copy_from_a_quantization(full: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    quantize_gguf(full, tmp_path / "q.gguf", recipe_named("q4_0"))
    copy, lossy = quality(full, full, text), quality(full, tmp_path / "q.gguf", text)
    assert copy.kl_mean.value == 0
    assert copy.verdict == "faithful"
    assert known(lossy.kl_mean.value) > 1e-6
    assert 0.05 < known(lossy.error_by_role["attention"]) < 0.15
    assert known(copy.perplexity.value) == pytest.approx(lossy.source_perplexity.value, rel=1e-9)


def test_quality_job_takes_the_official_safetensors_as_source(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3", tmp_path / "m")
    quantize_gguf(folder, tmp_path / "full.gguf", recipe_named("bf16"))
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    report = quality(folder, tmp_path / "full.gguf", text)
    assert report.source == str(folder)
    assert report.kl_mean.value == 0


def test_quality_job_scores_an_onnx_folder_against_its_checkpoint(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3", tmp_path / "m")
    target = tmp_path / "onnx"
    recipe = recipe_named("onnx-q4-b32")
    export_onnx_job(
        ExportArgs(folder, target, recipe, static_context=0, threads=1), ignore_progress
    )
    quantize_gguf(folder, tmp_path / "same-size.gguf", recipe_named("q4_0"))
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    onnx = quality(folder, target, text)
    gguf = quality(folder, tmp_path / "same-size.gguf", text)
    assert 0.5 < known(onnx.kl_mean.value) / known(gguf.kl_mean.value) < 2
    # the same blocks, so the same error but for the scales' width
    assert onnx.error_by_role == pytest.approx(gguf.error_by_role, rel=0.02)


def test_a_quick_measurement_takes_a_few_windows_of_each_text(full: Path, tmp_path: Path) -> None:
    texts = {"long": TEXT * 20, "short": TEXT}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    files = {name: tmp_path / name for name in texts}
    counts = {}
    for quick in (False, True):
        args = QualityArgs(files, quick, threads=1, source=full, target=full)
        report = quality_job(args, ignore_progress)
        counts[quick] = {text.name: text.tokens for text in report.texts}
        assert report.tokens == report.planned
    each = QUICK_WINDOWS.context - QUICK_WINDOWS.skip - 1
    assert counts[True]["long"] == QUICK_COUNT * each < counts[False]["long"]
    assert counts[True]["short"] <= counts[True]["long"]


def test_a_job_whose_time_is_up_reports_on_one_window(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).write_text(TEXT * 20)
    files = {name: tmp_path / name for name in ("one", "other")}
    monkeypatch.setattr("runtime.tasks.quality.QUICK_SECONDS", -1)
    args = QualityArgs(files, quick=True, threads=1, source=full, target=full)
    report = quality_job(args, ignore_progress)
    each = QUICK_WINDOWS.context - QUICK_WINDOWS.skip - 1
    assert {text.name: text.tokens for text in report.texts} == {"one": each}
    assert (report.tokens, report.planned) == (each, 2 * QUICK_COUNT * each)


def test_a_pair_job_names_the_model_that_strayed_less(full: Path, tmp_path: Path) -> None:
    coarse, fine, text = tmp_path / "coarse.gguf", tmp_path / "fine.gguf", tmp_path / "text.txt"
    quantize_gguf(full, coarse, recipe_named("q4_0"))
    quantize_gguf(full, fine, recipe_named("q8_0"))
    text.write_text(TEXT * 20)
    args = PairArgs({"text": text}, context=128, threads=1, source=full, first=coarse, second=fine)
    report = pair_job(args, ignore_progress)
    assert report.outcome == "second"
    alone = quality(full, coarse, text)
    assert report.first == replace(alone, seconds=report.first.seconds, error_by_role={})
    assert report.second.target == str(fine)


@pytest.mark.parametrize("name", ["binary", "missing"])
def test_a_text_that_cannot_be_read_is_refused_before_all_work(name: str, tmp_path: Path) -> None:
    text, model = tmp_path / name, tmp_path / "no such model"
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    recipe = recipe_named("q4_0-best")
    for job in (
        lambda: quality_job(
            QualityArgs({"mine": text}, source=model, target=model), ignore_progress
        ),
        lambda: schemes_job(SchemesArgs({"mine": text}, source=model), ignore_progress),
        lambda: quantize_gguf_job(
            QuantizeArgs(model, model, recipe, calibrate=str(text)), ignore_progress
        ),
    ):
        with pytest.raises(InvalidRequest) as caught:
            job()
        assert caught.value.value == str(text)


@pytest.mark.parametrize("job", ["quality", "schemes"])
def test_a_cancelled_measurement_leaves_no_file(
    job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the system's temporary folder nor in the library: a cancel kills the child."""
    source = write_checkpoint("qwen3", tmp_path / "m")
    library, temporary = Library(tmp_path / "models"), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    conversion = Conversion(
        lambda name: Target(name, source, None), lambda _: None, library, lambda: tmp_path / "log"
    )
    cancel, phases = CancelToken(), set()

    def stop(progress: Progress) -> None:
        phases.add(progress.phase)
        if progress.phase in ("score", "per-tensor"):  # the full-precision file is there
            cancel.cancel()

    names = ("m", "m") if job == "quality" else ("m",)
    with pytest.raises(Cancelled):
        getattr(conversion, job)(*names, stop, cancel)
    assert phases & {"convert", "reference"}
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
    assert [path for path in library.root.rglob("*") if path.is_file()] == []


def test_schemes_job_ranks_blocks_above_tensors(full: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    args = SchemesArgs(
        {"text": text},
        context=128,
        threads=1,
        folder=tmp_path,
        source=full,
        schemes=("per-tensor", "block-32"),
    )
    tensor, block = (
        known(entry.report.error_by_role["feed_forward"])
        for entry in schemes_job(args, ignore_progress).schemes
    )
    assert tensor > 1.5 * block
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_best_recipe_loses_less_than_llama_cpp_s_kernel(starter_gguf: Path, tmp_path: Path) -> None:
    """On the starter, at the same size and with the same importance matrix."""
    full, plain, best = (tmp_path / f"{name}.gguf" for name in ("full", "plain", "best"))
    quantize_gguf(starter_gguf, full, recipe_named("f16"))
    matrix = tmp_path / "i.gguf"
    imatrix_job(ImatrixArgs(full, matrix, threads=1), ignore_progress)
    importance = read_importance(matrix)
    quantize_gguf(full, plain, recipe_named("q4_0"), importance=importance)
    quantize_gguf(full, best, recipe_named("q4_0-best"), importance=importance)
    assert best.stat().st_size == plain.stat().st_size
    text = tmp_path / "text.txt"
    text.write_text(
        (Path(__file__).parents[2] / "quant" / "data" / "english.txt").read_text()[:2500]
    )
    losses = [known(quality(full, path, text).kl_mean.value) for path in (plain, best)]
    assert losses[1] < losses[0]


TOOLS = os.environ.get("STILLROOM_LLAMA_TOOLS", "")
needs_tools = pytest.mark.skipif(not TOOLS, reason="STILLROOM_LLAMA_TOOLS names no tools' folder")


@needs_tools
@pytest.mark.parametrize("kind", ["qwen2", "deepseek_v2"])
def test_importance_agrees_with_llama_imatrix_and_serves_llama_quantize(
    kind: str, tmp_path: Path
) -> None:
    model, ours, theirs = (tmp_path / name for name in ("m.gguf", "ours.gguf", "theirs.gguf"))
    quantize_gguf(write_checkpoint(kind, tmp_path / "m"), model, recipe_named("f16"))
    text = tmp_path / "text.txt"
    text.write_text("abcdefgh" * 160)  # 1280 tokens: ten windows and nothing over
    imatrix_job(ImatrixArgs(model, ours, text, context=128, threads=1), ignore_progress)
    tool = [str(Path(TOOLS) / "llama-imatrix"), "-m", str(model), "-f", str(text)]
    tool += ["-c", "128", "-b", "128", "-t", "1", "--process-output", "-o", str(theirs)]
    subprocess.run(tool, check=True, capture_output=True)
    found, expected = (
        {name: value.ravel() for name, value in read_importance_flat(path).items()}
        for path in (ours, theirs)
    )
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() < 0.02 * value.max(), name
    quantize_pure_q4_0(Path(TOOLS), model, tmp_path / "lq.gguf", ours)
    matrix = read_importance(ours)
    quantize_gguf(model, tmp_path / "oq.gguf", recipe_named("q4_0"), importance=matrix)
    by_llama = open_gguf(tmp_path / "lq.gguf")
    for tensor in open_gguf(tmp_path / "oq.gguf"):
        assert tensor.raw.tobytes() == by_llama[tensor.name].raw.tobytes(), tensor.name


def read_importance_flat(path: Path) -> dict[str, np.ndarray]:
    """Sums over counts, however a tool shapes the matrices of multi-head latent attention."""
    source = open_gguf(path)
    return {
        name: tensor.values() / np.maximum(source[name[:-7] + "counts"].values().reshape(-1, 1), 1)
        for name, tensor in source.tensors.items()
        if name.endswith("in_sum2")
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_tools
def test_figures_agree_with_llama_perplexity(starter_gguf: Path, tmp_path: Path) -> None:
    """Same text, windows and skip, on llama-quantize's file and on ours of the same size: every
    figure within 1 %, and by both judges ours has strayed no further."""
    full, matrix, base = (tmp_path / name for name in ("full.gguf", "i.gguf", "base.kld"))
    theirs, ours = tmp_path / "theirs.gguf", tmp_path / "ours.gguf"
    quantize_gguf(starter_gguf, full, recipe_named("f16"))
    imatrix_job(ImatrixArgs(full, matrix, threads=1), ignore_progress)
    quantize_pure_q4_0(Path(TOOLS), full, theirs, matrix)
    quantize_gguf(full, ours, recipe_named("q4_0-best"), importance=read_importance(matrix))
    text = tmp_path / "text.txt"
    text.write_text("".join(bundled_texts("tuning").values()))
    write_base(Path(TOOLS), full, text, base)
    reported, judged = [], []
    for model in (theirs, ours):
        found = divergence(Path(TOOLS), model, base)
        args = QualityArgs({"text": text}, threads=1, source=full, target=model, **WINDOWS)
        report = quality_job(args, ignore_progress)
        for figure in ("kl_mean", "kl_p99", "perplexity", "same_top"):
            value = getattr(report, figure).value
            assert value == pytest.approx(getattr(found, figure), rel=0.01)
        reported.append(known(report.kl_mean.value))
        judged.append(found.kl_mean)
    assert ours.stat().st_size <= theirs.stat().st_size
    assert reported[1] <= reported[0]
    assert judged[1] <= judged[0]
