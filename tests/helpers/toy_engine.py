"""An engine in one file: its descriptor, and an adapter that answers any prompt with one sentence.

It stands for an engine of another package. Naming this module in STILLROOM_ENGINE_MODULES is all
that adds it; nothing of Stillroom knows it.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.engine import EngineDescriptor
from runtime.errors import CorruptFile
from runtime.generation import SamplingParams
from runtime.plan import DeviceMemory, MemoryEstimate, Placement
from runtime.progress import CancelToken, OnProgress, Progress
from runtime.shape import ModelShape, WeightBytes, kv_cache_bytes

SENTENCE = "A toy answers what toys answer."
WORDS = tuple(f"{word} " for word in SENTENCE.split())
PROCESS_BYTES = 1_000_000
END = 256  # ids below are bytes of a prompt, ids above are words of the sentence


def memory(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    devices: Sequence[Device],
    *,
    n_outputs: int | None = None,
    block_format: str = "",
) -> MemoryEstimate:
    """Weights and cache, all on the host."""
    host = next(device for device in devices if device.id == "cpu")
    cache = kv_cache_bytes(shape, placement.n_ctx, placement.kv_type_k, placement.kv_type_v)
    return MemoryEstimate(
        (DeviceMemory("cpu", weights.total, cache, 0, PROCESS_BYTES, host.memory_free),)
    )


ENGINE = EngineDescriptor(
    name="toy",
    title="Toy Engine",
    module=__name__,
    formats=("gguf", "safetensors"),
    memory=memory,
    yields_to=frozenset({"llamacpp"}),
    kv_types={"q8_0": 1.2},
    micro_batches=(64,),
    process_bytes=PROCESS_BYTES,
)


class ToyTokenizer:
    """A prompt's bytes, an answer's words."""

    n_vocab = END + 1 + len(WORDS)
    bos_text = eos_text = ""
    chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        if token < END:
            return bytes([token])
        return b"" if token == END else WORDS[token - END - 1].encode()

    def is_end(self, token: int) -> bool:
        return token == END


class ToyBackend:
    """Keeps the tokens it was given; the next word follows from how many came after the prompt."""

    def __init__(self) -> None:
        self.tokenizer = ToyTokenizer()
        self._cached: list[int] = []
        self._prompt = 0

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        """Raises CorruptFile for what is neither a GGUF file nor a checkpoint."""
        started, given = time.perf_counter(), Path(path)
        files = sorted(given.glob("*.safetensors")) if given.is_dir() else [given]
        if not files or (given.is_file() and given.read_bytes()[:4] != b"GGUF"):
            raise CorruptFile(path=path, reason="no_magic")
        on_progress(Progress("load", 1000, 1000, "fraction"))
        size = sum(file.stat().st_size for file in files)
        seconds = time.perf_counter() - started
        return LoadReport("toy", "7", placement.n_ctx, seconds, {"cpu": {"weights": size}})

    def unload(self) -> None:
        self._cached = []

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        self._prompt = len(history)

    def truncate(self, n_tokens: int) -> int:
        del self._cached[n_tokens:]
        return len(self._cached)

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        cancel.raise_if_cancelled()
        self._cached.extend(tokens)
        on_progress(Progress("prefill", len(tokens), len(tokens), "tokens"))

    def sample(self) -> int:
        place = (len(self._cached) - self._prompt) % (len(WORDS) + 1)
        return END + 1 + place if place < len(WORDS) else END

    def decode(self, token: int) -> None:
        time.sleep(0.0002)
        self._cached.append(token)

    def stage_seconds(self) -> dict[str, float]:
        return {}


def open_engine() -> ToyBackend:
    """A backend without a model."""
    return ToyBackend()
