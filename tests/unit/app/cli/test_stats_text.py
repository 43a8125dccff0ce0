"""The numbers of one answer on the command line."""

from app.cli.commands.bench import run_text
from app.cli.commands.chat import stats_text
from runtime.generation import GenerationStats
from runtime.tasks.bench import BenchLoad, BenchRun, GpuClock


def stats(**changes: object) -> GenerationStats:
    known: dict[str, object] = {
        "request_id": "r", "finish_reason": "stop", "prompt_tokens": 40, "cached_tokens": 0,
        "generated_tokens": 20, "reasoning_tokens": 0, "time_to_first_token": 0.5,
        "prefill_seconds": 0.4, "decode_seconds": 2.0, "prefill_tps": 100.0, "decode_tps": 9.5,
        "peak_memory": 500_000_000, "engine_share": 0.93, "sampling_share": 0.04,
        "other_share": 0.03,
    }  # fmt: skip
    return GenerationStats(**{**known, **changes})  # type: ignore[arg-type]


def test_shares_of_time_are_told() -> None:
    text = stats_text(stats())
    assert "time: engine 93%, sampling 4%, Stillroom itself 3%" in text
    assert "drafted" not in text
    assert "stages" not in text


def test_guesses_and_stages_are_told_where_there_are_any() -> None:
    text = stats_text(
        stats(draft_tokens=12, accepted_tokens=9, stage_seconds={"embeddings": 0.02, "body": 1.5})
    )
    assert "9 of 12 drafted tokens accepted" in text
    assert text.endswith("stages: embeddings 20 ms, body 1.5 s")


def test_a_remote_model_has_no_time_of_ours() -> None:
    assert "engine" not in stats_text(stats(peak_memory=0))


def test_a_bench_tells_what_it_was_made_with() -> None:
    load = BenchLoad(0.2, None, None, (GpuClock("NVIDIA H100", 1980.0, 2619.0),))
    build = {"ggml_version": "0.25.3", "ggml_commit": "0c1e570", "cpu_library": "own"}
    run = BenchRun(
        "m", "llamacpp", "1", {}, ("cpu",), (), 1, load, load, 0.0,
        machine={"processor": "Some CPU"}, engine_build=build,
    )  # fmt: skip
    line = run_text(run).splitlines()[1]
    for told in ("Some CPU", "ggml 0.25.3 (0c1e570)", "CPU library own", "NVIDIA H100 at 1980 MHz"):
        assert told in line
    assert line.endswith("no speculative decoding")
