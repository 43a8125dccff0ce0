"""Error feedback on a real engine: inputs as they are, layers quantized on what comes before."""

from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quant.errors import IncompatibleShape
from quant.gguf.export import quantize_gguf
from quant.recipe import recipe_named
from runtime.backends.llama.block_inputs import BlockInputs, InputStream
from runtime.backends.llama.evaluation import open_input_squares
from runtime.process.job_values import ExportArgs, QuantizeArgs
from runtime.progress import Cancelled, Progress, ignore_progress
from runtime.tasks import feedback
from runtime.tasks.convert import export_onnx_job, quantize_gguf_job
from runtime.tasks.evaluation import open_evaluator
from tests.helpers.checkpoints import write_checkpoint

F32 = npt.NDArray[np.float32]

COUNT, LENGTH = 4, 24


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 at float16."""
    folder = tmp_path_factory.mktemp("full")
    target = folder / "full.gguf"
    quantize_gguf(write_checkpoint("qwen2", folder / "m"), target, recipe_named("f16"))
    return target


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little text: a tiny model's inputs need no more."""
    monkeypatch.setattr(feedback, "_TOKENS", ((float("inf"), 2048),))
    monkeypatch.setattr(feedback, "_LENGTH", 64)
    monkeypatch.setattr(feedback, "_LONGEST_PROMPT", 32)


def sequences() -> list[list[int]]:
    random = np.random.default_rng(0)
    return [[int(n) for n in row] for row in random.integers(5, 90, (COUNT, LENGTH))]


def inputs_of(model: BlockInputs) -> dict[str, F32]:
    found: dict[str, F32] = {}

    def visit(names: list[str], rows: F32) -> dict[str, F32]:
        found.update({name: rows.copy() for name in names})
        return {}

    model.run(sequences(), visit)  # type: ignore[arg-type]
    return found


def test_inputs_are_those_of_one_sequence_after_another(full: Path) -> None:
    with closing(BlockInputs(full, 2, COUNT, LENGTH)) as model:
        found = inputs_of(model)
        again = inputs_of(model)
    evaluator, squares = open_input_squares(full, 2, LENGTH)
    with closing(evaluator):
        for sequence in sequences():
            for _ in evaluator.logits(sequence, 0):
                assert not squares.errors
    assert set(found) == set(squares.sums)
    for name, sums in squares.sums.items():
        np.testing.assert_allclose(np.square(found[name]).sum(axis=0), sums[0], rtol=2e-2)
        assert np.array_equal(found[name], again[name])


def test_other_weights_change_what_follows_until_they_are_restored(full: Path) -> None:
    name = "blk.0.ffn_down.weight"
    with closing(BlockInputs(full, 2, COUNT, LENGTH)) as model:
        before = inputs_of(model)
        down = before[name].shape[1]
        model.replace(name, np.zeros((before["blk.0.attn_q.weight"].shape[1], down), np.float32))
        changed = inputs_of(model)
        model.restore([name])
        after = inputs_of(model)
    assert np.array_equal(changed[name], before[name])
    assert not np.allclose(changed["blk.1.attn_q.weight"], before["blk.1.attn_q.weight"])
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_a_stream_can_be_given_up_half_way(full: Path) -> None:
    with closing(BlockInputs(full, 2, COUNT, LENGTH)) as model:
        whole = inputs_of(model)
        stream = InputStream(model, sequences())
        names, rows = stream.take()
        assert np.array_equal(rows, whole[names[0]])
        stream.close()
        assert np.array_equal(inputs_of(model)[names[0]], whole[names[0]])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["qwen2", "llama3"])
def test_a_gguf_file_loses_less_than_by_search(kind: str, tmp_path: Path) -> None:
    source = write_checkpoint(kind, tmp_path / "m")
    kl = {}
    for name in ("q4_0-search", "q4_0-feedback"):
        args = QuantizeArgs(source, tmp_path / f"{name}.gguf", recipe_named(name), threads=2)
        report = quantize_gguf_job(args, ignore_progress)
        assert {t.target_format for t in report.tensors if t.elements > 4096} <= {"Q4_0", "F16"}
        kl[name] = divergence(tmp_path / "m", args.target, tmp_path)
    assert kl["q4_0-feedback"] < kl["q4_0-search"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("feedback-")]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["qwen2", "llama3"])
def test_an_onnx_folder_loses_less_than_by_search(kind: str, tmp_path: Path) -> None:
    source = write_checkpoint(kind, tmp_path / "m")
    kl = {}
    for name in ("onnx-q4-b32-asym-search", "onnx-q4-b32-asym-feedback"):
        args = ExportArgs(source, tmp_path / name, recipe_named(name), threads=2, static_context=0)
        export_onnx_job(args, ignore_progress)
        kl[name] = divergence(tmp_path / "m", args.target, tmp_path)
    assert kl["onnx-q4-b32-asym-feedback"] < kl["onnx-q4-b32-asym-search"]


def divergence(source: Path, target: Path, folder: Path) -> float:
    """Mean KL divergence over the sequences, in nats."""
    full = folder / "reference.gguf"
    if not full.exists():
        quantize_gguf(source, full, recipe_named("f16"))
    total = []
    with (
        closing(open_evaluator(full, 2, LENGTH)) as first,
        closing(open_evaluator(target, 2, LENGTH)) as second,
    ):
        for sequence in sequences():
            pairs = zip(first.logits(sequence, 0), second.logits(sequence, 0), strict=True)
            for one, other in pairs:
                p, q = log_softmax(one), log_softmax(other)
                total.append((np.exp(p) * (p - q)).sum(axis=1).mean())
    return float(np.mean(total))


def log_softmax(logits: F32) -> F32:
    shifted = logits - logits.max(axis=1, keepdims=True)
    found: F32 = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


@pytest.mark.usefixtures("small")
def test_a_cancel_leaves_nothing(full: Path, tmp_path: Path) -> None:
    def cancel(progress: Progress) -> None:
        if progress.phase == "feedback" and progress.done > 2:
            raise Cancelled

    args = QuantizeArgs(full, tmp_path / "out.gguf", recipe_named("q4_0-feedback"), threads=2)
    with pytest.raises(Cancelled):
        quantize_gguf_job(args, cancel)
    assert not list(tmp_path.iterdir())


class Tokens:
    """A model's tokenizer, and what it is asked to continue."""

    def __init__(self, first: list[int]) -> None:
        self._first = first
        self.prompts: list[list[int]] = []

    def tokenize(self, text: str) -> list[int]:
        return self._first + [ord(letter) for letter in text]

    def continue_texts(
        self, prompts: list[list[int]], length: int, on_step: object
    ) -> list[list[int]]:
        self.prompts = [list(prompt) for prompt in prompts]
        return [prompt + [0] * (length - len(prompt)) for prompt in prompts]


def test_every_sequence_begins_as_the_model_begins_a_text() -> None:
    size = feedback.Calibration(4, 16)
    short = Tokens([7])
    made = feedback._sequences(short, "abcdefghijklmnopqrstuvwxyz", size, ignore_progress)
    assert [len(one) for one in made] == [16] * 4
    assert [one[0] for one in short.prompts] == [7] * 4
    assert short.prompts[1][1:] == [ord(letter) for letter in "ghijk"]
    long = Tokens([])
    whole = feedback._sequences(long, "x" * 70, size, ignore_progress)
    assert whole == [[ord("x")] * 16] * 4
    assert not long.prompts


def test_a_text_without_a_word_is_refused() -> None:
    with pytest.raises(IncompatibleShape, match="text_too_short"):
        feedback._sequences(Tokens([]), "", feedback.Calibration(4, 16), ignore_progress)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("kind", "told"), [("qwen2", ()), ("deepseek_v2_lite", ("feedback_partial",))]
)
def test_matrices_without_feedback_are_told(
    kind: str, told: tuple[str, ...], tmp_path: Path
) -> None:
    source = write_checkpoint(kind, tmp_path / "m")
    args = QuantizeArgs(source, tmp_path / "out.gguf", recipe_named("q4_0-feedback"), threads=2)
    report = quantize_gguf_job(args, ignore_progress)
    assert report.notices == told
