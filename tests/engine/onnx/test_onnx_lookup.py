"""Prompt lookup on onnxruntime: the same tokens, because a draft has the logits of a token in
company, and the text alone decides which tokens are evaluated so."""

import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.backends.onnx import company
from runtime.backends.onnx.backend import OnnxBackend
from runtime.backends.onnx.session import cpu_session
from runtime.generation import SamplingParams
from runtime.model.onnx_folder import open_folder
from runtime.progress import CancelToken, ignore_progress
from tests.helpers.onnx_models import GREEDY, export_tiny, placement
from tests.helpers.tiny_checkpoints import PROMPT

TEXT = (
    "The old mill at the bend was built in 1782 and ground corn until the railway came. "
    "Today it is a small museum where visitors can see the wheel turn every Sunday. "
)
COPY = (
    "<|im_start|>user\nRepeat the following text word for word.\n\n"
    f"{TEXT}<|im_end|>\n<|im_start|>assistant\n"
)
STORY = "<|im_start|>user\nWrite a story about a dog.<|im_end|>\n<|im_start|>assistant\n"
SAMPLED = SamplingParams(temperature=0.7, top_p=0.9, seed=7, repeat_penalty=1.1)


def load(folder: Path, n_ctx: int) -> OnnxBackend:
    backend = OnnxBackend()
    backend.load(str(folder), placement(n_ctx=n_ctx), ignore_progress, CancelToken())
    return backend


@pytest.fixture(scope="module", params=["onnx-q4-b32", "onnx-q4-b128"])
def starter(
    request: pytest.FixtureRequest, starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OnnxBackend]:
    folder = tmp_path_factory.mktemp("lookup") / "starter"
    options = ExportOptions(static_shapes=(), threads=2)
    recipe = recipe_named(request.param)
    export_onnx(open_source(starter_gguf), folder, recipe, lambda *_: None, options)
    backend = load(folder, 1024)
    yield backend
    backend.unload()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("tiny")
    made: dict[str, Path] = {}
    return lambda kind: made.get(kind) or made.setdefault(kind, export_tiny(root, kind))


def answer(
    backend: OnnxBackend, text: str, sampling: SamplingParams, *, draft: bool, tokens: int = 64
) -> LoopOutcome:
    loop = TokenLoop(backend)
    loop.forget()
    prompt = backend.tokenizer.encode(text, parse_special=True)
    limits = LoopLimits(1024, tokens, detect_loops=False, draft=draft)
    return loop.generate(prompt, sampling, limits, lambda *_: True, ignore_progress, CancelToken())


@pytest.mark.parametrize("text", [COPY, STORY])
def test_greedy_output_is_the_same_with_and_without(starter: OnnxBackend, text: str) -> None:
    plain = answer(starter, text, GREEDY, draft=False)
    drafting = answer(starter, text, GREEDY, draft=True)
    assert drafting.generated == plain.generated
    assert plain.drafted == 0
    if text == COPY:
        assert 0 < drafting.accepted <= drafting.drafted


def test_an_answer_that_is_drawn_takes_drafts_too(starter: OnnxBackend) -> None:
    """The seed gives the same answer, however long the drafts are that its steps' times suggest."""
    first, second = (answer(starter, COPY, SAMPLED, draft=True) for _ in range(2))
    assert first.generated == second.generated
    alone = answer(starter, COPY, SAMPLED, draft=False)
    assert alone.drafted == 0


def test_the_budget_holds_with_drafts(starter: OnnxBackend) -> None:
    whole = answer(starter, COPY, GREEDY, draft=True, tokens=40).generated
    for tokens in (1, 2, 3, 17):
        assert answer(starter, COPY, GREEDY, draft=True, tokens=tokens).generated == whole[:tokens]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_drafts_have_the_logits_of_tokens_in_company(
    tiny: Callable[[str], Path], kind: str
) -> None:
    backend = load(tiny(kind), 64)
    assert backend.draft_lengths == (1, 3, 7, 15)

    def begin() -> None:
        backend.truncate(0)
        backend.set_sampling(GREEDY, PROMPT)
        backend.prefill(PROMPT, ignore_progress, CancelToken())

    begin()
    tokens, logits = [backend.sample()], []
    for _ in range(16):
        backend.decode_in_company(tokens[-1])
        assert backend._logits is not None
        logits.append(backend._logits.copy())
        tokens.append(backend.sample())
    for length in backend.draft_lengths:
        begin()
        verified = backend.verify(backend.sample(), tokens[1 : length + 1])
        assert verified.tokens == tuple(tokens[1 : length + 2])
        backend.decode_in_company(verified.tokens[-1])
        assert backend._logits is not None
        np.testing.assert_array_equal(backend._logits, (*logits, backend._logits)[length + 1])


def test_what_is_not_accepted_leaves_no_trace(tiny: Callable[[str], Path]) -> None:
    backend = load(tiny("llama"), 64)
    backend.set_sampling(GREEDY, PROMPT)
    backend.prefill(PROMPT, ignore_progress, CancelToken())
    plain = [backend.sample()]
    for _ in range(6):
        backend.decode_in_company(plain[-1])
        plain.append(backend.sample())
    backend.truncate(len(PROMPT))
    wrong = [plain[1], (plain[2] + 1) % 256, 5]
    verified = backend.verify(plain[0], wrong)
    assert verified.tokens == tuple(plain[1:3])
    assert backend.verify(plain[2], plain[3:6]).tokens == tuple(plain[3:7])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="kernels of x86-64")
def test_rows_that_disagree_are_found(
    tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone row disagrees with pairs, for which reason there is company at all."""
    folder = open_folder(tiny("llama"))
    head = cpu_session(folder.path / folder.manifest.lm_head, 1)
    assert company.rows_agree(folder, head, 1, 64)
    monkeypatch.setattr(company, "ROWS", (1, 4, 8, 16))
    assert not company.rows_agree(folder, head, 1, 64)


def test_no_drafts_without_room_to_test_the_kernels(tiny: Callable[[str], Path]) -> None:
    assert not load(tiny("llama"), 31).draft_lengths
