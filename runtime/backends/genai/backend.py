"""Stock onnxruntime-genai as a Backend, for monolithic folders people already have.

Its template engine and its sampler are not used: templates are ours, and logits are drawn from by
the same sampler as everywhere. Its calls hold the interpreter lock, so prompts go in slices, and a
cancel waits for the end of one. Knows no process.
"""

import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quant.json_types import Json
from quant.onnx.manifest import MANIFEST
from runtime.answer.sampling import Sampler
from runtime.backend import LoadReport
from runtime.backends.onnx.native import genai
from runtime.backends.onnx.tokenizer import OnnxTokenizer
from runtime.errors import (
    ContextOverflow,
    CorruptFile,
    DeviceUnavailable,
    InvalidRequest,
    OutOfMemory,
    StageFailed,
    UnsupportedModel,
    UnusableFile,
)
from runtime.generation import SamplingParams
from runtime.model.genai_files import record_files, verify_recorded
from runtime.model.genai_folder import CONFIG, Config, read_config, read_genai_folder
from runtime.model.onnx_folder import open_folder
from runtime.plan import Placement
from runtime.progress import CancelToken, OnProgress, Progress

if TYPE_CHECKING:
    import onnxruntime_genai

_SLICE_SECONDS = 0.15
# Fewer rows cost about as much, because an evaluation reads all weights: a large model would fall
# to a sixth of its speed, for a cancel that ending the worker handles anyway.
_SMALLEST_SLICE = 32
_LARGEST_SLICE = 512
_PROVIDERS = {"cpu": "", "cuda": "cuda"}


class GenaiBackend:
    """One genai model and one generator."""

    def __init__(self) -> None:
        self._native = genai()
        self._model: onnxruntime_genai.Model = None
        self._generator: onnxruntime_genai.Generator = None
        self._sampler = Sampler(SamplingParams())
        self._position = 0
        self._n_ctx = 0
        self._device = "cpu"
        self._slice = _SMALLEST_SLICE
        self.tokenizer: OnnxTokenizer

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        """Load a folder with a genai_config.json.

        Raises ModelFileError (CorruptFile where a file is to blame), DeviceUnavailable,
        ContextOverflow, OutOfMemory, Cancelled.
        """
        started = time.perf_counter()
        folder = Path(path)
        config = read_config(folder)
        limit = config.context_length
        if placement.n_ctx > limit:
            raise ContextOverflow(n_tokens=placement.n_ctx, n_ctx=limit)
        cancel.raise_if_cancelled()
        files = _verify(folder, on_progress, cancel)
        on_progress(Progress("load", 0, None, "steps"))
        self._device = _device(placement)
        self._model = self._open_model(folder, config, placement)
        cancel.raise_if_cancelled()
        ends = config.end_tokens
        self.tokenizer = OnnxTokenizer(folder, ends, config.bos_token_id, config.vocab_size)
        self._n_ctx = placement.n_ctx
        self._restart()
        if files:
            record_files(folder, files, on_progress, cancel)
        return LoadReport(
            engine="genai",
            engine_version=_engine_version(),
            n_ctx=self._n_ctx,
            load_seconds=time.perf_counter() - started,
            buffers={self._device: {"weights": _weight_bytes(folder)}},
        )

    def _open_model(
        self, folder: Path, config: Config, placement: Placement
    ) -> "onnxruntime_genai.Model":
        kind = self._device.rstrip("0123456789")
        provider, index = _PROVIDERS.get(kind), self._device.removeprefix(kind)
        if provider is None:
            raise DeviceUnavailable(device=self._device, reason="no_such_device")
        try:
            pipeline = config.decoder.pipeline
            settings = self._native.Config(str(folder))
            settings.overlay(json.dumps(thread_overlay(pipeline, placement.n_threads)))
            settings.clear_providers()
        except RuntimeError as error:
            raise CorruptFile(
                path=str(folder / CONFIG), reason="refused", detail=str(error)
            ) from error
        try:
            if provider:
                settings.append_provider(provider)
                if int(index or 0):  # the first is the default, and the one that was tried
                    settings.set_provider_option(provider, "device_id", index)
            return self._native.Model(settings)
        except RuntimeError as error:
            if "model_type" in str(error):
                raise UnsupportedModel(
                    path=str(folder / CONFIG), reason="refused", detail=str(error)
                ) from error
            if provider:
                raise DeviceUnavailable(
                    device=self._device, reason="provider_failed_to_load", detail=str(error)
                ) from error
            raise UnusableFile(path=str(folder), reason="refused", detail=str(error)) from error

    def unload(self) -> None:
        self._generator = self._model = None

    def _restart(self) -> None:
        """An empty cache. A generator's length is fixed when it is made."""
        self._generator = None  # its cache, before there is another
        try:
            params = self._native.GeneratorParams(self._model)
            params.set_search_options(max_length=self._n_ctx, do_sample=False)
            self._generator = self._native.Generator(self._model, params)
        except RuntimeError as error:
            if "allocate" in str(error):
                raise OutOfMemory(device=self._device) from error
            raise StageFailed(stage="model", device=self._device, detail=str(error)) from error
        self._position = 0

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        self._sampler = Sampler(params, history)

    def truncate(self, n_tokens: int) -> int:
        if n_tokens >= self._position:
            return self._position
        try:
            if n_tokens == 0:
                self._restart()
            else:
                self._generator.rewind_to(n_tokens)
                self._position = n_tokens
        except RuntimeError:  # a pipeline of stages cannot be rewound
            self._restart()
        return self._position

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        total, done = len(tokens), 0
        self._check(tokens)
        while done < total:
            cancel.raise_if_cancelled()
            piece = tokens[done : done + self._slice]
            started = time.perf_counter()
            self._append(piece)
            seconds = time.perf_counter() - started
            if len(piece) == self._slice:
                self._slice = next_slice(self._slice, seconds)
            done += len(piece)
            on_progress(Progress("prefill", done, total, "tokens"))

    def sample(self) -> int:
        if self._position == 0:
            raise InvalidRequest(field="sample", reason="nothing_evaluated")
        logits: npt.NDArray[np.float32] = np.asarray(self._generator.get_logits(), np.float32)
        try:
            return self._sampler.draw(logits.reshape(-1, logits.shape[-1])[-1])
        except ValueError as error:
            raise StageFailed(stage="lm_head", device=self._device, detail=str(error)) from error

    def decode(self, token: int) -> None:
        self._check((token,))
        self._append((token,))

    def stage_seconds(self) -> dict[str, float]:
        return {}

    def _check(self, tokens: Sequence[int]) -> None:
        if self._position + len(tokens) > self._n_ctx:
            raise ContextOverflow(n_tokens=self._position + len(tokens), n_ctx=self._n_ctx)
        for token in tokens:
            if not 0 <= token < self.tokenizer.n_vocab:
                raise InvalidRequest(field="token", reason="not_in_vocabulary", value=token)

    def _append(self, tokens: Sequence[int]) -> None:
        try:
            self._generator.append_tokens(np.asarray(tokens, np.int32))
        except RuntimeError as error:
            raise StageFailed(stage="model", device=self._device, detail=str(error)) from error
        self._position += len(tokens)


def next_slice(size: int, seconds: float) -> int:
    """Tokens of the next slice of a prompt, so that it takes about 150 ms; at most doubled, and no
    fewer than 32 however long they take."""
    wanted = size * _SLICE_SECONDS / max(seconds, 1e-6)
    return max(_SMALLEST_SLICE, min(int(wanted), 2 * size, _LARGEST_SLICE))


def thread_overlay(pipeline: Sequence[Mapping[str, Json]], threads: int) -> dict[str, Json]:
    """What to lay over genai_config.json so that `threads` compute: a pipeline's stages have
    options of their own, and genai's default is half the cores. The embeddings are one lookup."""
    wanted = {"session_options": {"intra_op_num_threads": threads}}
    alone = {"session_options": {"intra_op_num_threads": 1}}
    decoder: dict[str, Json] = dict(wanted)
    if pipeline:
        decoder["pipeline"] = [
            {name: alone if name == "embeddings" else wanted for name in stages}
            for stages in pipeline
        ]
    return {"model": {"decoder": decoder}}


def _verify(folder: Path, on_progress: OnProgress, cancel: CancelToken) -> tuple[str, ...]:
    """Check every file; those to record where no manifest of ours vouches for them."""
    if (folder / MANIFEST).exists():
        open_folder(folder).verify(on_progress, cancel)
        return ()
    files = read_genai_folder(folder).files  # what genai itself would accept silently
    verify_recorded(folder, on_progress, cancel)
    return files


def _device(placement: Placement) -> str:
    return placement.layers[0].device if placement.layers else "cpu"


def _weight_bytes(folder: Path) -> int:
    return sum(
        path.stat().st_size
        for path in folder.iterdir()
        if path.is_file() and (".data" in path.name or path.suffix == ".onnx")
    )


def _engine_version() -> str:
    """Of whichever wheel brings the module: each accelerator has a distribution of its own."""
    names = packages_distributions()["onnxruntime_genai"]
    return version(names[0])


def open_engine() -> GenaiBackend:
    """A backend without a model."""
    return GenaiBackend()
