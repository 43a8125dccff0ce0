"""The installed llama.cpp engine on the real starter model, through the adapter the worker uses."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from quant.checkpoint.gguf_header import read_header
from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.backend import Backend, ThreadedBackend
from runtime.errors import ContextOverflow, CorruptFile, ModelFileError
from runtime.generation import SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.progress import Cancelled, CancelToken, Progress, ignore_progress
from runtime.registry import open_backend
from tests.helpers.busy import burning

GREEDY = SamplingParams(temperature=0)
PLACEMENT = Placement(
    "llamacpp", (LayerRange("cpu", 0, 29),), "cpu", 4096, n_threads=2, n_threads_batch=2
)
MIXED_TEXT = "Ünïcödé 🧪🧑🏽‍🔬 蒸馏模型在本地运行。 Ελληνικά हिन्दी 👩‍👩‍👧‍👦 fin"
PROMISED_SECONDS = 0.2


@pytest.fixture(scope="module")
def backend(starter_q4: Path) -> Iterator[Backend]:
    backend = open_backend("llamacpp")
    backend.load(str(starter_q4), PLACEMENT, ignore_progress, CancelToken())
    yield backend
    backend.unload()


def chat_tokens(backend: Backend, text: str) -> list[int]:
    prompt = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    return backend.tokenizer.encode(prompt, parse_special=True)


def run(
    loop: TokenLoop,
    prompt: list[int],
    sampling: SamplingParams = GREEDY,
    max_tokens: int = 24,
    cancel: CancelToken | None = None,
    shown: list[str] | None = None,
) -> LoopOutcome:
    def take(text: str, _tokens: int) -> bool:
        if shown is not None:
            shown.append(text)
        return True

    limits = LoopLimits(PLACEMENT.n_ctx, max_tokens)
    return loop.generate(prompt, sampling, limits, take, ignore_progress, cancel or CancelToken())


def test_the_installed_engine_answers(backend: Backend) -> None:
    shown: list[str] = []
    outcome = run(
        TokenLoop(backend),
        chat_tokens(backend, "What is the capital of France? Answer in one sentence."),
        max_tokens=40,
        shown=shown,
    )
    assert "Paris" in "".join(shown)
    assert outcome.finish_reason == "stop"
    assert backend.tokenizer.is_end(outcome.generated[-1])


def test_the_engine_tells_the_threads_it_had_left(backend: Backend) -> None:
    assert isinstance(backend, ThreadedBackend)
    prompt = chat_tokens(backend, "Count from one to nine.")
    run(TokenLoop(backend), prompt, max_tokens=1)
    assert backend.mean_threads() == 0.0  # the prompt's last step gave the only token
    run(TokenLoop(backend), prompt, max_tokens=12)
    assert 1 <= backend.mean_threads() <= PLACEMENT.n_threads
    with burning(os.cpu_count() or 1):
        time.sleep(1.0)  # the governor looks four times a second
        run(TokenLoop(backend), prompt, max_tokens=6)
    assert backend.mean_threads() == 1


def test_the_engine_has_no_amx_code() -> None:
    import llama_cpp.llama_cpp as native

    has_amx = getattr(native._lib, "ggml_cpu_has_amx_int8", None)
    assert has_amx is None or has_amx() == 0
    library = Path(native._lib._name).parent
    names = [path for path in library.glob("libggml-cpu*") if path.is_file()]
    assert names
    for path in names:
        assert b"ggml_backend_amx_mul_mat" not in path.read_bytes()


def test_embeddings_are_4_bit_after_quantization(starter_gguf: Path, starter_q4: Path) -> None:
    before, after = (
        {tensor.name: tensor.format for tensor in read_header(path.read_bytes()).tensors}
        for path in (starter_gguf, starter_q4)
    )
    assert before["token_embd.weight"] == "Q8_0"
    assert after["token_embd.weight"] == "Q4_0"
    assert "output.weight" not in after  # tied: the table is the LM head
    assert set(after) == set(before)
    matrices = {kind for name, kind in after.items() if ".attn_q." in name or ".ffn_" in name}
    assert "Q4_0" in matrices


def test_greedy_is_the_same_again_and_a_seed_draws_the_same_again(backend: Backend) -> None:
    prompt = chat_tokens(backend, "Write a line about rain.")
    drawing = SamplingParams(temperature=1.2, top_p=0.98)

    def tokens(sampling: SamplingParams) -> tuple[int, ...]:
        return run(TokenLoop(backend), prompt, sampling).generated

    assert tokens(GREEDY) == tokens(GREEDY)
    first = tokens(drawing.with_seed(7))
    assert first == tokens(drawing.with_seed(7))
    assert len({first, tokens(drawing.with_seed(8)), tokens(drawing.with_seed(9))}) == 3


def test_a_second_turn_evaluates_only_the_new_tokens(backend: Backend) -> None:
    loop = TokenLoop(backend)
    first = chat_tokens(backend, "Name a colour.")
    answer = run(loop, first, max_tokens=12)
    history = [*first, *answer.generated[:-1]]
    second = [*history, *chat_tokens(backend, "And a fruit.")]
    reused = run(loop, second)
    assert reused.cached_tokens == len(history)
    assert reused.prompt_tokens == len(second)
    assert loop.cached[: len(second)] == second


def test_reuse_gives_the_tokens_of_a_fresh_start(backend: Backend) -> None:
    """Compared at the same batch boundaries: sums in another order may round another way."""
    first = chat_tokens(backend, "Name a colour.")
    second = [*first, *chat_tokens(backend, "And a fruit.")]
    reusing = TokenLoop(backend)
    run(reusing, first, max_tokens=1)
    reused = run(reusing, second)
    assert reused.cached_tokens == len(first)
    backend.truncate(0)
    backend.set_sampling(GREEDY, [])
    backend.prefill(first, ignore_progress, CancelToken())
    backend.prefill(second[len(first) :], ignore_progress, CancelToken())
    fresh = [backend.sample()]
    while len(fresh) < len(reused.generated):
        backend.decode(fresh[-1])
        fresh.append(backend.sample())
    assert tuple(fresh) == reused.generated


def test_a_changed_prompt_forgets_what_followed(backend: Backend) -> None:
    loop = TokenLoop(backend)
    first = chat_tokens(backend, "The sea is wide and old.")
    run(loop, first)
    other = [*first[:8], *chat_tokens(backend, "What is 2 + 2?")]
    reused = run(loop, other)
    assert reused.cached_tokens == 8
    backend.truncate(0)
    again = run(TokenLoop(backend), other)
    assert again.cached_tokens == 0
    assert loop.cached[: len(other)] == other


def test_text_beyond_ascii_comes_back_piece_by_piece(backend: Backend) -> None:
    """The real tokenizer's tokens of such text, through the token loop that streams answers."""
    tokens = backend.tokenizer.encode(MIXED_TEXT, parse_special=False)
    pieces = [backend.tokenizer.piece(token) for token in tokens]
    assert any(not _whole(piece) for piece in pieces), "no character is cut: nothing is tested"

    class Playback:
        """The real tokenizer, and an engine that says these tokens."""

        tokenizer = backend.tokenizer

        def __init__(self) -> None:
            self.left = [*tokens, backend.tokenizer.encode("<|im_end|>", parse_special=True)[0]]

        def truncate(self, n_tokens: int) -> int:
            return n_tokens

        def set_sampling(self, params: object, history: object) -> None: ...

        def prefill(self, tokens: object, on_progress: object, cancel: object) -> None: ...

        def sample(self) -> int:
            return self.left.pop(0)

        def decode(self, token: int) -> None: ...

        draft_lengths = ()

    shown: list[str] = []
    run(TokenLoop(Playback()), [1], max_tokens=500, shown=shown)  # type: ignore[arg-type]
    assert "".join(shown) == MIXED_TEXT
    assert not any("\ufffd" in text for text in shown)


def _whole(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_tokens_of_control_text_only_on_request(backend: Backend) -> None:
    encode = backend.tokenizer.encode
    assert len(encode("<|im_end|>", parse_special=True)) == 1
    assert len(encode("<|im_end|>", parse_special=False)) > 1
    assert encode("", parse_special=True) == []


def test_cancel_in_a_long_prompt(backend: Backend) -> None:
    prompt = backend.tokenizer.encode("The sea is wide and old. " * 550, parse_special=False)
    assert 3000 < len(prompt) < PLACEMENT.n_ctx
    token, at = CancelToken(), list[float]()

    def cancel() -> None:
        at.append(time.monotonic())
        token.cancel()

    loop = TokenLoop(backend)
    threading.Timer(0.3, cancel).start()
    with pytest.raises(Cancelled):
        run(loop, prompt, cancel=token)
    seconds = time.monotonic() - at[0]
    assert seconds < PROMISED_SECONDS
    after = run(loop, chat_tokens(backend, "Say hello."))
    assert len(after.generated) > 1


def test_cancel_in_an_answer(backend: Backend) -> None:
    token, at = CancelToken(), list[float]()

    def cancel() -> None:
        at.append(time.monotonic())
        token.cancel()

    def take(_text: str, _tokens: int) -> bool:
        if not at:  # the answer begins
            at.append(0.0)
            threading.Timer(0.3, cancel).start()
        return True

    prompt = chat_tokens(backend, "Tell me a very long story about the sea.")
    limits = LoopLimits(PLACEMENT.n_ctx, 2000)
    outcome = TokenLoop(backend).generate(prompt, GREEDY, limits, take, ignore_progress, token)
    seconds = time.monotonic() - at[-1]
    assert outcome.finish_reason == "cancelled"
    assert outcome.generated
    assert seconds < PROMISED_SECONDS


def test_a_prompt_that_fills_the_context_is_refused(backend: Backend) -> None:
    with pytest.raises(ContextOverflow) as caught:
        run(TokenLoop(backend), [5] * PLACEMENT.n_ctx)
    assert caught.value.facts == {"n_tokens": PLACEMENT.n_ctx, "n_ctx": PLACEMENT.n_ctx}


def test_the_last_token_of_the_context_is_used(backend: Backend) -> None:
    loop = TokenLoop(backend)
    prompt = backend.tokenizer.encode("The sea is wide and old. ", parse_special=False) * 20
    limits = LoopLimits(len(prompt) + 4, None)
    outcome = loop.generate(
        prompt, GREEDY, limits, lambda text, tokens: True, ignore_progress, CancelToken()
    )
    assert outcome.finish_reason in ("context", "stop")
    assert len(outcome.generated) <= 4


def test_a_context_shorter_than_a_batch(starter_q4: Path) -> None:
    """The engine's batch is then as short as the context asked for, and its context longer."""
    short = open_backend("llamacpp")
    placement = replace(PLACEMENT, n_ctx=64)
    report = short.load(str(starter_q4), placement, ignore_progress, CancelToken())
    assert report.n_ctx >= 64
    prompt = short.tokenizer.encode("The sea is wide and old. " * 20, parse_special=False)
    assert 64 < len(prompt) < report.n_ctx
    limits = LoopLimits(report.n_ctx, 4)
    outcome = TokenLoop(short).generate(
        prompt, GREEDY, limits, lambda text, tokens: True, ignore_progress, CancelToken()
    )
    short.unload()
    assert outcome.prompt_tokens == len(prompt)


def test_progress_of_a_prompt_never_falls(backend: Backend) -> None:
    prompt = backend.tokenizer.encode("The sea is wide. " * 260, parse_special=False)
    backend.truncate(0)
    backend.set_sampling(GREEDY, prompt)
    seen: list[Progress] = []
    backend.prefill(prompt, seen.append, CancelToken())
    done = [progress.done for progress in seen]
    assert done == sorted(set(done))
    assert done[-1] == len(prompt)
    assert len(done) >= 2


def test_a_file_that_passes_for_a_model_until_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "wrong.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(4000))
    backend = open_backend("llamacpp")
    with pytest.raises((CorruptFile, ModelFileError)):
        backend.load(str(path), PLACEMENT, ignore_progress, CancelToken())
    backend.unload()


def test_a_backend_that_is_gone_leaves_no_log_callback_behind(starter_gguf: Path) -> None:
    """The engine goes on logging after the object that listened was collected."""
    program = (
        "import gc, sys; from runtime.backends.llama.backend import open_engine\n"
        "backend = open_engine(); del backend; gc.collect(); junk = [bytearray(4096)] * 10000\n"
        "import llama_cpp; llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)\n"
        "print('alive')"
    )
    command = [sys.executable, "-P", "-c", program, str(starter_gguf)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.strip() == "alive", (ended.returncode, ended.stderr[-300:])


def test_the_functions_come_without_the_package_and_leave_it_whole() -> None:
    program = (
        "import sys\n"
        "from runtime.backends.llama.binding import native\n"
        "print(*sys.modules)\n"
        "import llama_cpp\n"
        "assert llama_cpp.Llama and llama_cpp.llama_cpp is native\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert not {"numpy", "jinja2", "sqlite3", "llama_cpp.llama"} & set(ended.stdout.split())
