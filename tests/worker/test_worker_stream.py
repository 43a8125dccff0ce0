"""A real worker process with the engine without weights: what streams out of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.backends.fake import Fault
from runtime.errors import ContextOverflow, CorruptFile, InternalError, InvalidRequest
from runtime.process.client import Worker
from runtime.process.job import Job
from runtime.process.job_values import Nothing
from runtime.progress import Progress
from tests.helpers.fake_engine import WORDS, Collector, ask, fake_placement, write_script


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker.start()
    yield worker
    worker.close()


def test_streams_every_piece_in_order_and_reports_it(worker: Worker, tmp_path: Path) -> None:
    pieces = WORDS[:50]
    script = write_script(tmp_path / "a.fake", pieces=pieces, decode_seconds_per_token=0.004)
    report = worker.load(str(script), fake_placement())
    seen, progress = Collector(), list[Progress]()
    stats = worker.generate(ask(), seen, on_progress=progress.append)
    assert report.engine == "fake"
    assert seen.text == "".join(pieces)
    assert len(seen.events) > 3, "an answer that takes 0.2 s must arrive in parts"
    assert stats.finish_reason == "stop"
    assert stats.generated_tokens == len(pieces) + 1  # and the token that ends the turn
    assert seen.tokens == len(pieces)
    assert stats.decode_tps == pytest.approx(250, rel=0.6)
    assert stats.prompt_tokens > 0
    assert stats.peak_memory > 1 << 20
    assert progress[-1].done == progress[-1].total == stats.prompt_tokens


def test_characters_cut_between_tokens_arrive_whole(worker: Worker, tmp_path: Path) -> None:
    text = "A 🧪 b 蒸馏 c é"
    pieces = [{"hex": f"{byte:02x}"} for byte in text.encode()]
    script = write_script(tmp_path / "a.fake", pieces=pieces, decode_seconds_per_token=0.02)
    worker.load(str(script), fake_placement())
    seen = Collector()
    worker.generate(ask(), seen)
    assert seen.text == text
    assert not any("\ufffd" in chunk.text for event in seen.events for chunk in event.chunks)


def test_noise_on_stdout_does_not_reach_the_protocol(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    worker = Worker.start(log)
    noise = 'debug: {"type":"Streamed","data":{"id":"request"}}\n'
    script = write_script(tmp_path / "a.fake", pieces=WORDS[:20], noise=noise)
    worker.load(str(script), fake_placement())
    seen = Collector()
    worker.generate(ask(), seen)
    assert worker.close().kind == "clean"
    assert seen.text == "".join(WORDS[:20])
    assert log.read_text().count(noise) == 2 * 21, "what is printed belongs in the log"


def test_stop_string_across_tokens_ends_the_answer(worker: Worker, tmp_path: Path) -> None:
    script = write_script(tmp_path / "a.fake", pieces=("one EN", "D two", " three"))
    worker.load(str(script), fake_placement())
    seen = Collector()
    stats = worker.generate(ask(stop=("END",)), seen)
    assert seen.text == "one "
    assert (stats.finish_reason, stats.generated_tokens) == ("stop", 2)


def test_budget_and_context_end_the_answer_with_their_reason(
    worker: Worker, tmp_path: Path
) -> None:
    script = write_script(tmp_path / "a.fake", pieces=WORDS)
    worker.load(str(script), fake_placement(n_ctx=64))
    few = worker.generate(ask(max_tokens=5), Collector())
    full = worker.generate(ask(), Collector())
    assert (few.finish_reason, few.generated_tokens) == ("length", 5)
    assert full.finish_reason == "context"
    assert full.prompt_tokens + full.generated_tokens == 64
    with pytest.raises(ContextOverflow) as caught:
        worker.generate(ask("x" * 100), Collector())
    assert caught.value.facts["n_ctx"] == 64
    assert caught.value.n_tokens > 100


def test_second_turn_evaluates_only_what_is_new(worker: Worker, tmp_path: Path) -> None:
    script = write_script(tmp_path / "a.fake", pieces=WORDS[:3])
    worker.load(str(script), fake_placement())
    first = worker.generate(ask("A question"), Collector())
    again = worker.generate(ask("A question"), Collector())
    longer = worker.generate(ask("A question with more in it"), Collector())
    assert first.cached_tokens == 0
    assert again.cached_tokens == again.prompt_tokens - 1
    assert longer.cached_tokens >= len("User: A question")
    assert longer.prompt_tokens - longer.cached_tokens < 40


def test_a_fault_of_the_program_is_an_error_and_the_worker_lives(
    worker: Worker, tmp_path: Path
) -> None:
    script = write_script(tmp_path / "a.fake", pieces=WORDS[:3])
    with pytest.raises(CorruptFile):
        worker.load(str(tmp_path / "absent.fake"), fake_placement())
    worker.load(str(script), fake_placement())
    with pytest.raises(InvalidRequest):
        worker.load(str(script), fake_placement())
    with pytest.raises(InvalidRequest):
        worker.run_job(Job("nowhere:absent_job", Nothing, Nothing), Nothing())
    seen = Collector()
    worker.generate(ask(), seen)
    assert seen.text == "".join(WORDS[:3])


def test_an_unforeseen_exception_crosses_the_pipe_as_one(worker: Worker, tmp_path: Path) -> None:
    fault = Fault(do="raise", at=2)
    script = write_script(tmp_path / "a.fake", fault, pieces=WORDS[:3])
    worker.load(str(script), fake_placement())
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        worker.generate(ask(), Collector())
    assert worker.alive


def test_asking_without_a_model_is_refused(worker: Worker) -> None:
    with pytest.raises(InvalidRequest):
        worker.generate(ask(), Collector())
    with pytest.raises(InvalidRequest):
        worker.count_tokens(ask())


def test_counts_the_tokens_of_a_prompt(worker: Worker, tmp_path: Path) -> None:
    worker.load(str(write_script(tmp_path / "a.fake", pieces=WORDS[:2])), fake_placement())
    stats = worker.generate(ask("How long?"), Collector())
    assert worker.count_tokens(ask("How long?")) == stats.prompt_tokens
