"""The measuring job with real engines: both run the starter, one that cannot says so."""

from pathlib import Path

from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.planning.engine_choice import EngineCandidate, choose_engine
from runtime.process.job_values import EnginesArgs
from runtime.progress import Progress
from runtime.tasks.measure_engines import measure_engines_job


def test_both_engines_are_timed_and_a_broken_one_is_told(
    starter_gguf: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "onnx"
    recipe, options = recipe_named("onnx-q4-b32"), ExportOptions(static_shapes=())
    export_onnx(open_source(starter_gguf), folder, recipe, lambda _d, _t, _n: None, options)
    seen: list[Progress] = []
    candidates = (
        EngineCandidate("llamacpp", str(starter_gguf)),
        EngineCandidate("onnx", str(folder)),
        EngineCandidate("onnx", str(tmp_path)),
    )
    args = EnginesArgs(candidates, rounds=1, prompt_tokens=16, tokens=4)
    llama, onnx, broken = measure_engines_job(args, seen.append).measurements
    assert llama.decode_tps > 0
    assert onnx.decode_tps > 0
    assert broken.failed == "CorruptFile"
    assert choose_engine([llama, onnx, broken]).engine in ("llamacpp", "onnx")
    assert [progress.done for progress in seen] == list(range(7))
