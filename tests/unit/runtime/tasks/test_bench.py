"""The benchmark's own arithmetic: warm-up, repeats, lengths, spread, comparison."""

import dataclasses

import pytest

from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats
from runtime.progress import Cancelled, CancelToken, Progress
from runtime.tasks.bench import (
    DEPTHS,
    Bench,
    BenchLoad,
    BenchRequest,
    BenchRow,
    BenchRun,
    GpuClock,
    Spread,
    compare,
    read_gpu_clocks,
)

TEMPLATE_TOKENS = 12
TOKENS_PER_WORD = 2


def count(request: GenerationRequest) -> int:
    words = len(request.messages[0].content.split())
    return TEMPLATE_TOKENS + TOKENS_PER_WORD * words


class Engine:
    """Answers every request with rates that follow its length, and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[GenerationRequest] = []

    def __call__(self, request: GenerationRequest, cancel: CancelToken) -> GenerationStats:
        self.requests.append(request)
        tokens = count(request)
        return GenerationStats(
            request_id=request.id,
            finish_reason="length",
            prompt_tokens=tokens,
            cached_tokens=0,
            generated_tokens=request.max_tokens or 0,
            reasoning_tokens=0,
            time_to_first_token=0.1,
            prefill_seconds=0.1,
            decode_seconds=1.0,
            prefill_tps=1000.0 + len(self.requests),
            decode_tps=100.0 + len(self.requests),
            peak_memory=len(self.requests),
        )


def test_the_warm_up_is_not_among_the_figures() -> None:
    engine = Engine()
    rows = Bench(engine, count).run(BenchRequest(64, 16, 3, (0,)))
    prefill, decode = rows
    assert prefill.tps.values == (1002.0, 1003.0, 1004.0)  # the first call was the warm-up
    assert decode.tps.values == (106.0, 107.0, 108.0)
    assert (decode.tps.median, decode.tps.low, decode.tps.high) == (107.0, 106.0, 108.0)


def test_every_figure_is_of_plain_decoding_of_the_whole_length() -> None:
    engine = Engine()
    Bench(engine, count).run(BenchRequest(64, 16, 1, (0,)))
    assert not any(request.draft for request in engine.requests)
    assert all(request.full_length for request in engine.requests)
    assert all(request.sampling.seed is not None for request in engine.requests)


def test_an_answer_that_ended_early_is_no_figure() -> None:
    engine = Engine()

    def early(request: GenerationRequest, cancel: CancelToken) -> GenerationStats:
        return dataclasses.replace(engine(request, cancel), generated_tokens=3)

    with pytest.raises(InvalidRequest, match=r"value=3, .*minimum=16"):
        Bench(early, count).run(BenchRequest(64, 16, 1, (0,)))


def test_clocks_are_read_as_the_driver_tells_them() -> None:
    told = "NVIDIA H100, 80GB HBM3, 1980, 2619\nOdd GPU, [N/A], 100\n\n"
    assert read_gpu_clocks(told) == (GpuClock("NVIDIA H100, 80GB HBM3", 1980.0, 2619.0),)


def test_prompts_have_the_length_that_was_asked_for() -> None:
    engine = Engine()
    Bench(engine, count).run(BenchRequest(200, 16, 1, (1000,)))
    warm_up = engine.requests[:2]
    assert count(warm_up[0]) == pytest.approx(1000, abs=4)
    assert count(warm_up[1]) == pytest.approx(1200, abs=4)


def test_a_prompt_does_not_share_its_beginning_with_the_one_before() -> None:
    engine = Engine()
    Bench(engine, count).run(BenchRequest(64, 16, 2, (0,)))
    texts = [request.messages[0].content for request in engine.requests[:3]]
    assert len({text.split()[0] for text in texts}) == 3


def test_progress_ends_at_its_total_and_a_cancel_stops() -> None:
    seen: list[Progress] = []
    Bench(Engine(), count).run(BenchRequest(64, 16, 1, (0,)), seen.append)
    assert (seen[-1].done, seen[-1].total) == (4, 4)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        Bench(Engine(), count).run(BenchRequest(64, 16, 1, (0,)), cancel=token)


@pytest.mark.parametrize(
    "request_",
    [BenchRequest(512, 128, 0), BenchRequest(0, 128), BenchRequest(512, 128, 3, (4096,))],
)
def test_what_cannot_be_measured_is_refused(request_: BenchRequest) -> None:
    with pytest.raises(InvalidRequest):
        request_.check(4096)


def run_of(*rows: BenchRow) -> BenchRun:
    quiet = BenchLoad(0.0, 0.1, None)
    return BenchRun("m", "llamacpp", "1", {}, ("cpu",), rows, 1, quiet, quiet, 0.0)


def decode(*values: float, depth: int = 0) -> BenchRow:
    return BenchRow("decode", depth, 128, Spread.of(values))


def test_only_a_difference_beyond_both_spreads_is_one() -> None:
    first = run_of(decode(10, 11, 12), decode(10, 11, 12, depth=1024))
    second = run_of(decode(12, 13, 14), decode(13, 14, 15, depth=1024))
    near, far = compare(first, second)
    assert not near.differs
    assert far.differs
    assert far.ratio == pytest.approx(14 / 11)


def test_tests_that_only_one_run_has_are_left_out() -> None:
    other = dataclasses.replace(decode(10, 11), tokens=64)
    assert compare(run_of(decode(10, 11)), run_of(other)) == ()


@pytest.mark.parametrize(("n_ctx", "kept"), [(8192, 3), (2048, 2), (64, 1)])
def test_depths_that_a_context_has_no_room_for_are_left_out(n_ctx: int, kept: int) -> None:
    assert BenchRequest().fitting(n_ctx).depths == DEPTHS[:kept]
