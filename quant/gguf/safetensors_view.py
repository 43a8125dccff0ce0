"""A safetensors checkpoint as the GGUF file it is to become: names, shapes, row orders.

Covers Llama (DeepSeek-LLM is one), Qwen2, Qwen3 and DeepSeek-V2/V3. What the architectures demand:
query and key rows of Llama are interleaved for its rotary positions; experts are stacked; MLA's
key-value up-projection is split, its key half transposed. Metadata come from
`quant.gguf.metadata`. Knows no recipe.
"""

import math
import re
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from gguf.constants import MODEL_ARCH, MODEL_ARCH_NAMES
from gguf.tensor_mapping import TensorNameMap, get_tensor_name_map

from quant.checkpoint.sources import Source, SourceTensor
from quant.errors import (
    CorruptCheckpoint,
    DamageCode,
    IncompatibleShape,
    MissingTensor,
    UnsupportedFormat,
)
from quant.fields import Fields
from quant.gguf.metadata import build_metadata
from quant.gguf.views import GgufView, ViewTensor
from quant.roles import TensorRole, role_of
from quant.rope import RopeScaling, rope_fields, rope_theta, scaling_from_config

F32 = npt.NDArray[np.float32]

# Class named by config.json -> GGUF architecture.
ARCHITECTURES: Mapping[str, MODEL_ARCH] = {
    "LlamaForCausalLM": MODEL_ARCH.LLAMA,
    "MistralForCausalLM": MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": MODEL_ARCH.QWEN3,
    "DeepseekV2ForCausalLM": MODEL_ARCH.DEEPSEEK2,
    "DeepseekV3ForCausalLM": MODEL_ARCH.DEEPSEEK2,
}
MAX_BLOCKS = 512

_IGNORED = re.compile(r"(\.rotary_emb\.inv_freq|\.attention\.(masked_)?bias)$")
_EXPERT = re.compile(r"^model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight$")
_BLOCK = re.compile(r"^model\.layers\.(\d+)\.")
_ROUTER = re.compile(r"^blk\.\d+\.ffn_gate_inp\.")


def view_of_safetensors(source: Source) -> GgufView:
    """The GGUF view of an opened safetensors folder.

    Raises UnsupportedFormat for an architecture or tokenizer not covered, CorruptCheckpoint,
    IncompatibleShape and MissingTensor where config.json and the tensors disagree.
    """
    config = source.metadata
    architecture = architecture_of(source)
    blocks = _positive(source, "num_hidden_layers")
    if blocks > MAX_BLOCKS:
        fields = Fields(config, str(source.metadata_path))
        raise fields.wrong("num_hidden_layers", "field_impossible")
    names = get_tensor_name_map(architecture, blocks)
    tensors = _Converter(source, architecture, names, blocks).tensors()
    metadata = build_metadata(source, MODEL_ARCH_NAMES[architecture], config, tensors)
    return GgufView(source.path, metadata, tuple(tensors), source.nbytes)


def architecture_of(source: Source) -> MODEL_ARCH:
    """The GGUF architecture of the class that config.json names. Raises UnsupportedFormat."""
    named = source.metadata.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    found = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnsupportedFormat(path=str(source.path), reason="architecture", found=str(name)[:80])
    return found


def _corrupt(
    source: Source, reason: DamageCode, tensor: str | None = None, found: int | None = None
) -> CorruptCheckpoint:
    return CorruptCheckpoint(
        path=str(source.metadata_path), reason=reason, tensor=tensor, found=found
    )


def _positive(source: Source, key: str) -> int:
    return Fields(source.metadata, str(source.metadata_path)).count(key)


class _Converter:
    """Turns a checkpoint's tensors into view tensors, in the file's order."""

    def __init__(
        self, source: Source, architecture: MODEL_ARCH, names: TensorNameMap, blocks: int
    ) -> None:
        self._source = source
        self._architecture = architecture
        self._names = names
        self._blocks = blocks

    def tensors(self) -> list[ViewTensor]:
        views: list[ViewTensor] = []
        experts: dict[tuple[int, str], dict[int, SourceTensor]] = {}
        for tensor in self._source:
            if _IGNORED.search(tensor.name) or self._is_extra(tensor.name):
                continue
            expert = _EXPERT.match(tensor.name)
            if expert:
                key = (int(expert[1]), expert[3])
                experts.setdefault(key, {})[int(expert[2])] = tensor
            else:
                views.extend(self._convert(tensor))
        views.extend(self._stack(block, kind, found) for (block, kind), found in experts.items())
        factors = self._rope_factors()
        if factors is not None:
            views.insert(0, _constant("rope_freqs.weight", factors))
        self._require(views)
        return views

    def _is_extra(self, name: str) -> bool:
        """Multi-token prediction blocks beyond the model's own, and a tied LM head."""
        block = _BLOCK.match(name)
        if block and int(block[1]) >= self._blocks:
            if self._architecture is MODEL_ARCH.DEEPSEEK2:
                return True
            raise _corrupt(self._source, "no_such_block", name, found=self._blocks)
        tied = bool(self._source.metadata.get("tie_word_embeddings", False))
        return name == "lm_head.weight" and tied and self._architecture is MODEL_ARCH.DEEPSEEK2

    def _convert(self, tensor: SourceTensor) -> list[ViewTensor]:
        if tensor.name.endswith("kv_b_proj.weight"):
            return self._split_mla(tensor)
        rows: Callable[[int, int], F32] = tensor.rows
        if self._architecture is MODEL_ARCH.LLAMA:
            heads = None
            if tensor.name.endswith(("q_proj.weight", "q_proj.bias")):
                heads = _positive(self._source, "num_attention_heads")
            elif tensor.name.endswith(("k_proj.weight", "k_proj.bias")):
                heads = self._kv_heads()
            if heads is not None:
                rows = self._interleaved(tensor, heads)
        return [_view(self._rename(tensor.name), tensor, rows)]

    def _kv_heads(self) -> int:
        if "num_key_value_heads" not in self._source.metadata:
            return _positive(self._source, "num_attention_heads")
        return _positive(self._source, "num_key_value_heads")

    def _rename(self, name: str) -> str:
        name = name.replace(".e_score_correction_bias", ".e_score_correction.bias")
        found: str | None = self._names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise UnsupportedFormat(
                path=str(self._source.path),
                reason="unknown_tensor",
                tensor=name,
                key=MODEL_ARCH_NAMES[self._architecture],
            )
        return found

    def _interleaved(self, tensor: SourceTensor, heads: int) -> Callable[[int, int], F32]:
        """Rows (head, half, i) in the order (head, i, half)."""
        length = tensor.shape[0]
        if length % (2 * heads):
            raise IncompatibleShape(
                reason="even_heads", tensor=tensor.name, shape=list(tensor.shape), wanted=heads
            )
        order = np.arange(length).reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1)
        if len(tensor.shape) == 1:
            return lambda start, stop: tensor.rows(start, stop)[:, order]
        head = length // heads

        def rows(start: int, stop: int) -> F32:
            first = start // head * head
            block = tensor.rows(first, -(-stop // head) * head)
            picked: F32 = block[order[start:stop] - first]
            return picked

        return rows

    def _split_mla(self, tensor: SourceTensor) -> list[ViewTensor]:
        """kv_b [heads * (nope + v), rank] as k_b [heads, rank, nope] and v_b [heads, v, rank]."""
        heads = self._kv_heads()
        nope, value = (_positive(self._source, k) for k in ("qk_nope_head_dim", "v_head_dim"))
        if len(tensor.shape) != 2 or tensor.shape[0] != heads * (nope + value):
            raise IncompatibleShape(
                reason="config",
                tensor=tensor.name,
                shape=list(tensor.shape),
                wanted=f"{heads} × ({nope} + {value})",
            )
        rank, per_head = tensor.shape[1], nope + value

        def key_rows(start: int, stop: int) -> F32:
            head = start // rank
            matrix = tensor.rows(head * per_head, head * per_head + nope)
            return np.ascontiguousarray(matrix.T[start - head * rank : stop - head * rank])

        def value_rows(start: int, stop: int) -> F32:
            head, first = start // value, start % value
            base = head * per_head + nope + first
            return tensor.rows(base, base + stop - start)

        name = tensor.name
        return [
            ViewTensor(
                self._rename(name.replace("kv_b_proj", "k_b_proj")),
                (heads, rank, nope),
                _kept(tensor.format),
                key_rows,
            ),
            ViewTensor(
                self._rename(name.replace("kv_b_proj", "v_b_proj")),
                (heads, value, rank),
                _kept(tensor.format),
                value_rows,
            ),
        ]

    def _stack(self, block: int, kind: str, found: Mapping[int, SourceTensor]) -> ViewTensor:
        """The experts of one block as one tensor [experts, rows, row length]."""
        count = _positive(self._source, "n_routed_experts")
        name = f"model.layers.{block}.mlp.experts.{kind}.weight"
        for index in range(count):
            if index not in found:
                raise MissingTensor(
                    tensor=f"model.layers.{block}.mlp.experts.{index}.{kind}.weight",
                    path=str(self._source.path),
                )
        first = found[0]
        for tensor in found.values():
            if tensor.shape != first.shape or len(tensor.shape) != 2 or len(found) != count:
                raise IncompatibleShape(
                    reason="expected",
                    tensor=tensor.name,
                    shape=list(tensor.shape),
                    wanted=str(list(first.shape)),
                )
        per_expert = first.shape[0]

        def rows(start: int, stop: int) -> F32:
            expert = start // per_expert
            return found[expert].rows(start - expert * per_expert, stop - expert * per_expert)

        return ViewTensor(self._rename(name), (count, *first.shape), _kept(first.format), rows)

    def _rope_factors(self) -> F32 | None:
        """What divides each rotary frequency under Llama 3's scaling, float32 [head / 2].

        Source: "The Llama 3 Herd of Models", as published with its configuration: frequencies of
        wavelengths beyond the old context are divided by `factor`, short ones kept, those between
        blended linearly.
        """
        config, path = self._source.metadata, str(self._source.metadata_path)
        rope = rope_fields(config, path)
        if str(rope.values.get("rope_type", "")).lower() != "llama3":
            return None
        if self._architecture is not MODEL_ARCH.LLAMA:
            raise UnsupportedFormat(path=path, reason="rope_scaling", found="llama3")
        scaling = scaling_from_config(rope)
        base = np.float32(rope_theta(rope, "rope_theta"))
        length = self._head_length()
        exponents = np.arange(0, length, 2, dtype=np.float32) / np.float32(length)
        frequencies = np.float32(1) / np.power(base, exponents, dtype=np.float32)
        return np.array([_llama3_factor(f, scaling) for f in frequencies], dtype=np.float32)

    def _head_length(self) -> int:
        """Weights of a head, as config.json says and the key projection confirms."""
        heads = _positive(self._source, "num_attention_heads")
        default = _positive(self._source, "hidden_size") // heads
        config = Fields(self._source.metadata, str(self._source.metadata_path))
        length = config.count("head_dim", default)
        key = self._source["model.layers.0.self_attn.k_proj.weight"]
        if key.shape[:1] != (length * self._kv_heads(),):
            raise IncompatibleShape(
                reason="config",
                tensor=key.name,
                shape=list(key.shape),
                wanted=f"{self._kv_heads()} × {length}",
            )
        return length

    def _require(self, views: list[ViewTensor]) -> None:
        """A model without these would load as another or crash an engine."""
        names = [view.name for view in views]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise _corrupt(self._source, "name_clash", twice)
        for name in ("token_embd.weight", "output_norm.weight"):
            if name not in names:
                raise MissingTensor(tensor=name, path=str(self._source.path))
        if self._architecture is not MODEL_ARCH.DEEPSEEK2:
            self._head_length()
        embedding = next(view for view in views if view.name == "token_embd.weight")
        wanted = (_positive(self._source, "vocab_size"), _positive(self._source, "hidden_size"))
        if embedding.shape != wanted:
            raise IncompatibleShape(
                reason="config",
                tensor="token_embd.weight",
                shape=list(embedding.shape),
                wanted=str(list(wanted)),
            )


def _llama3_factor(frequency: np.float32, scaling: RopeScaling) -> np.float32:
    """In float32 and by reciprocals, so that the result is the reference converter's to the bit."""
    one, factor = np.float32(1), np.float32(scaling.factor)
    low, high = np.float32(scaling.low_freq_factor), np.float32(scaling.high_freq_factor)
    old = float(scaling.original_context)
    wavelength = one / frequency * np.float32(2 * math.pi)
    if wavelength < old / high:
        return one
    if wavelength > old / low:
        return factor
    smooth = (one / wavelength * np.float32(old) - low) / (high - low)
    blended: np.float32 = one / ((one - smooth) / factor + smooth)
    return blended


def _kept(source_format: str) -> str:
    """The format a tensor has before any recipe: fp8 has none in GGUF and is given BF16's place."""
    return source_format if source_format in ("F32", "F16", "BF16") else "BF16"


def _view(name: str, tensor: SourceTensor, rows: Callable[[int, int], F32]) -> ViewTensor:
    """Norms, biases, routers and everything one-dimensional are kept in float32: engines read them
    so."""
    small = (
        len(tensor.shape) <= 1
        or role_of(name) is TensorRole.NORM
        or bool(_ROUTER.match(name))
        or not name.endswith(".weight")
    )
    kept = "F32" if small else _kept(tensor.format)
    same = rows == tensor.rows and kept == tensor.format and len(tensor.shape) > 1
    per_row = tensor.raw.size // max(tensor.row_count, 1)
    return ViewTensor(
        name,
        tensor.shape,
        kept,
        rows,
        (lambda start, stop: tensor.raw[start * per_row : stop * per_row]) if same else None,
    )


def _constant(name: str, values: F32) -> ViewTensor:
    return ViewTensor(name, values.shape, "F32", lambda start, stop: values.reshape(1, -1))
