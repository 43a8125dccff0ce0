"""The transformer body as the runner drives it: on the CPU with a cache in place, or fixed-shape.

A body evaluates embeddings after the positions it holds; rewinding is forgetting a number. Knows
sessions and arrays; nothing of tokens, sampling or files.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from quant.onnx.spec import DecoderSpec, rotary_caches
from runtime.backends.onnx.native import ort

FloatArray = npt.NDArray[np.float32]

_PARTS = ("key", "value")
_MASKED = np.float32(-1e4)  # within half precision, which NPUs compute in


Dims = tuple[int | None, ...]


def dynamic_inputs(spec: DecoderSpec) -> dict[str, Dims]:
    """Inputs of the CPU body with their dimensions, None where they are free."""
    cache = (None, spec.head_count_kv, None, spec.head_length)
    return {
        "inputs_embeds": (None, None, spec.embedding_length),
        "attention_mask": (None, None),
        **{f"past_key_values.{i}.{p}": cache for i in range(spec.block_count) for p in _PARTS},
    }


def static_inputs(spec: DecoderSpec, rows: int, context: int) -> dict[str, Dims]:
    """Inputs of a fixed-shape body."""
    cache = (1, spec.head_count_kv, context, spec.head_length)
    group = spec.head_count // spec.head_count_kv
    return {
        "inputs_embeds": (1, rows, spec.embedding_length),
        "mask": (1, 1, group * rows, context + rows),
        "cos": (1, 1, rows, spec.head_length),
        "sin": (1, 1, rows, spec.head_length),
        **{f"past.{i}.{part}": cache for i in range(spec.block_count) for part in "kv"},
    }


class Body(Protocol):
    """Evaluates rows of embeddings after `position` cached ones."""

    kv_bytes: int

    def evaluate(self, embeds: FloatArray, position: int, run: ort.RunOptions) -> FloatArray:
        """embeds [1, n, hidden] at positions position..position+n -> hidden states [1, n, hidden].

        `run` is an onnxruntime RunOptions whose `terminate` stops the evaluation.
        """
        ...


class DynamicBody:
    """The GroupQueryAttention graph on the CPU. Past and present share one buffer per cache."""

    def __init__(self, session: ort.InferenceSession, spec: DecoderSpec, n_ctx: int) -> None:
        self._session = session
        self._binding = session.io_binding()
        shape = (1, spec.head_count_kv, n_ctx, spec.head_length)
        # numpy's zeros are untouched pages: memory grows with the positions used.
        self._caches = [np.zeros(shape, np.float32) for _ in range(2 * spec.block_count)]
        self._values = [ort.OrtValue.ortvalue_from_numpy(cache) for cache in self._caches]
        self.kv_bytes = sum(cache.nbytes for cache in self._caches)
        self._mask = np.ones((1, n_ctx), np.int64)
        self._binding.bind_output("hidden_states")  # the first output bound is the first returned
        for index, value in enumerate(self._values):
            name = f"{index // 2}.{_PARTS[index % 2]}"
            self._binding.bind_ortvalue_input(f"past_key_values.{name}", value)
            self._binding.bind_ortvalue_output(f"present.{name}", value)

    def fill(self, random: np.random.Generator, positions: int) -> None:
        """Put random keys and values at the first `positions`, for a test."""
        for cache in self._caches:
            shape = cache[:, :, :positions].shape
            cache[:, :, :positions] = random.standard_normal(shape, np.float32)

    def evaluate(self, embeds: FloatArray, position: int, run: ort.RunOptions) -> FloatArray:
        mask = np.ascontiguousarray(self._mask[:, : position + embeds.shape[1]])
        self._binding.bind_cpu_input("inputs_embeds", embeds)
        self._binding.bind_cpu_input("attention_mask", mask)
        self._binding.bind_output("hidden_states")  # of another length than the last one
        self._session.run_with_iobinding(self._binding, run)
        hidden: FloatArray = self._binding.get_outputs()[0].numpy()
        return hidden


class StaticBody:
    """Two fixed-shape graphs, for prefill and for one token; the host keeps the KV cache."""

    def __init__(
        self,
        prefill: ort.InferenceSession,
        decode: ort.InferenceSession,
        spec: DecoderSpec,
        *,
        rows: int,
        context: int,
    ) -> None:
        self._sessions = {rows: prefill, 1: decode}
        self._rows = rows
        self._context = context
        self._group = spec.head_count // spec.head_count_kv
        shape = (1, spec.head_count_kv, context, spec.head_length)
        names = [f"{i}.{part}" for i in range(spec.block_count) for part in "kv"]
        self._cache = {name: np.zeros(shape, np.float32) for name in names}
        self._outputs = ["hidden_states", *(f"new.{name}" for name in names)]
        self.kv_bytes = sum(cache.nbytes for cache in self._cache.values())
        cos, sin = rotary_caches(spec, context)
        self._cos = np.concatenate([cos, cos], axis=1)[None, None]
        self._sin = np.concatenate([sin, sin], axis=1)[None, None]

    def evaluate(self, embeds: FloatArray, position: int, run: ort.RunOptions) -> FloatArray:
        count, pieces, done = embeds.shape[1], [], 0
        while done < count:
            rows = 1 if count - done == 1 else self._rows
            used = min(rows, count - done)
            piece = np.zeros((1, rows, embeds.shape[2]), np.float32)
            piece[:, :used] = embeds[:, done : done + used]
            pieces.append(self._step(piece, position + done, used, run)[:, :used])
            done += used
        return np.concatenate(pieces, axis=1)

    def _step(
        self, embeds: FloatArray, position: int, used: int, run: ort.RunOptions
    ) -> FloatArray:
        rows = embeds.shape[1]
        feeds = {
            "inputs_embeds": embeds,
            "mask": self._mask(position, rows),
            "cos": self._rotary(self._cos, position, rows),
            "sin": self._rotary(self._sin, position, rows),
            **{f"past.{name}": cache for name, cache in self._cache.items()},
        }
        hidden, *new = self._sessions[rows].run(self._outputs, feeds, run)
        for cache, values in zip(self._cache.values(), new, strict=True):
            cache[:, :, position : position + used] = values[:, :, :used]
        result: FloatArray = hidden
        return result

    def _mask(self, position: int, rows: int) -> FloatArray:
        """0 where a row may look: cached positions, and new ones up to itself."""
        mask = np.full((rows, self._context + rows), _MASKED, np.float32)
        mask[:, :position] = 0
        new = mask[:, self._context :]
        new[np.tril_indices(rows)] = 0
        return np.tile(mask, (self._group, 1))[None, None]

    def _rotary(self, table: FloatArray, position: int, rows: int) -> FloatArray:
        """Rows of a rotary table; padding rows past the end repeat the last."""
        places = np.minimum(np.arange(position, position + rows), self._context - 1)
        return np.ascontiguousarray(table[:, :, places])
