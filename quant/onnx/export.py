"""Checkpoint -> ONNX folder: quantizes tensor by tensor and writes stages, tokenizer and manifest.

Works in a hidden folder beside the target and renames it at the end, so the target is either the
finished folder or what was there before. Peak memory is a few row chunks per thread plus the scales
of one matrix. Knows no engine.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.checkpoint.sources import Source
from quant.checkpoint.storable import refuse_unstorable
from quant.errors import (
    NO_SPACE,
    IncompatibleShape,
    InvalidRecipe,
    NotEnoughDisk,
)
from quant.formats import format_named
from quant.onnx.blocks import FloatArray, Method, PackedRows, quantize_rows
from quant.onnx.checkpoint import Checkpoint, DecoderTensor, open_checkpoint
from quant.onnx.describe import model_section
from quant.onnx.genai_config import genai_config
from quant.onnx.manifest import (
    FileEntry,
    FolderManifest,
    StaticBody,
    file_entry,
    write_manifest,
)
from quant.onnx.spec import rotary_caches
from quant.onnx.stages import body_graph, embeddings_graph, lm_head_graph
from quant.onnx.static_body import StaticShape, static_body_graph
from quant.onnx.store import StoredTensor, WeightFile
from quant.onnx.tokenizer_files import (
    TokenizerFacts,
    copy_from_checkpoint,
    read_chat_template,
    rebuild_from_gguf,
)
from quant.onnx.weights import BlockWeights, DecoderWeights, StoredMatrix
from quant.recipe import QuantRecipe, QuantReport, TensorReport
from quant.roles import role_of

OnTensor = Callable[[int, int, str], None]  # done, total, name; may raise to cancel

WEIGHTS = "weights.data"
_CHUNK_ELEMENTS = 1 << 18  # a thread's working set stays in its second-level cache
_MARGIN_BYTES = 64 << 20


def nothing_finished(name: str) -> None:
    """The `finished` of an export that does all of its quantizing itself."""


@dataclass(frozen=True)
class ExportOptions:
    """`rope_context` caps the positions of the rotary tables; `static_shapes` asks for NPU bodies,
    which are left out where rows must be padded (`DecoderSpec.rows_fit`); `importance` maps GGUF
    tensor names to [row length] weights for the scale search; `finished(name)` gives, by GGUF name,
    a matrix that is quantized already."""

    rope_context: int = 32768
    static_shapes: tuple[StaticShape, ...] = (StaticShape(32, 2048), StaticShape(1, 2048))
    importance: Mapping[str, FloatArray] = field(default_factory=dict)
    finished: Callable[[str], PackedRows | None] = nothing_finished
    threads: int = 2


@dataclass(frozen=True)
class _Layout:
    """The recipe, as far as this exporter follows it."""

    format: str
    block: int
    symmetric: bool
    method: Method


def export_onnx(
    source: Source,
    target: Path,
    recipe: QuantRecipe,
    on_tensor: OnTensor,
    options: ExportOptions | None = None,
) -> QuantReport:
    """Write the folder `target` (replacing one that is there) and report what was done.

    Raises UnsupportedFormat, IncompatibleShape, MissingTensor, NonFiniteWeights, NotEnoughDisk,
    InvalidRecipe; whatever `on_tensor` raises. Nothing is left under `target` then.
    """
    options = options or ExportOptions()
    layout = _layout(recipe)
    if recipe.importance == "required" and not options.importance:
        raise InvalidRecipe(field="importance", reason="needs_importance", value=recipe.name)
    checkpoint = open_checkpoint(source)
    _bring_back(target)
    _check_disk(checkpoint, layout, target)
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        report = _Export(checkpoint, recipe, layout, options, on_tensor, partial).run(target)
        _move_into_place(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in NO_SPACE:
            needed = _estimate(checkpoint, layout)
            free = shutil.disk_usage(target.parent).free
            raise NotEnoughDisk(path=str(target), needed=needed, available=free) from error
        raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return report


def _layout(recipe: QuantRecipe) -> _Layout:
    names = set(recipe.formats.values())
    if len(names) != 1 or recipe.family != "onnx" or recipe.overrides:
        raise InvalidRecipe(field="formats", reason="one_format")
    block_format = format_named(names.pop())
    symmetric = not block_format.name.endswith("-asym")
    method: Method = "search" if recipe.method in ("search", "feedback") else "round"
    return _Layout(block_format.name, block_format.block_size, symmetric, method)


def _estimate(checkpoint: Checkpoint, layout: _Layout) -> int:
    spec = checkpoint.spec
    per_block = spec.embedding_length * (spec.q_rows * 2 + spec.kv_rows * 2)
    per_block += 3 * spec.embedding_length * spec.feed_forward_length
    tables = 1 if spec.tied_embeddings else 2
    weights = spec.block_count * per_block + tables * spec.vocab_size * spec.embedding_length
    return int(weights * format_named(layout.format).bits_per_weight / 8) + _MARGIN_BYTES


def _check_disk(checkpoint: Checkpoint, layout: _Layout, target: Path) -> None:
    parent = next(folder for folder in target.absolute().parents if folder.is_dir())
    needed, free = _estimate(checkpoint, layout), shutil.disk_usage(parent).free
    if free < needed:
        raise NotEnoughDisk(path=str(target), needed=needed, available=free)


def _move_into_place(partial: Path, target: Path) -> None:
    """Put the finished folder where an older one may be: no system renames over a folder."""
    old = _old(target)
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _bring_back(target: Path) -> None:
    """Undo what an end between the two renames of `_move_into_place` has left."""
    old = _old(target)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        os.replace(old, target)


class _Export:
    """One export under way: the weight file, the reports so far and how many tensors are done."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: QuantRecipe,
        layout: _Layout,
        options: ExportOptions,
        on_tensor: OnTensor,
        folder: Path,
    ) -> None:
        self._checkpoint = checkpoint
        self._recipe = recipe
        self._layout = layout
        self._options = options
        self._on_tensor = on_tensor
        self._folder = folder
        spec = checkpoint.spec
        per_block = 9 + 3 * spec.attention_bias + 2 * spec.qk_norm
        self._total = spec.block_count * per_block + (2 if spec.tied_embeddings else 3)
        self._done = 0
        self._reports: list[TensorReport] = []
        self._padded = False
        self._importance_used = False

    def run(self, target: Path) -> QuantReport:
        started = time.monotonic()
        self._on_tensor(0, self._total, "")
        tokenizer = self._write_tokenizer()  # refusals that cost nothing come first
        with (
            ThreadPoolExecutor(max(1, self._options.threads)) as self._pool,
            WeightFile(self._folder / WEIGHTS) as self._file,
        ):
            weights = self._write_weights()
            self._file.finish()
            entry = FileEntry(self._file.size, self._file.sha256)
        bodies = self._write_graphs(weights)
        manifest = self._manifest(bodies, tokenizer, entry)
        source = self._checkpoint.source
        return QuantReport(
            source=str(source.path),
            target=str(target),
            recipe=self._recipe.name,
            method=self._layout.method,
            tensors=tuple(self._reports),
            source_bytes=source.nbytes,
            target_bytes=sum(item.size for item in manifest.files.values()),
            seconds=time.monotonic() - started,
            importance=self._importance_used,
            notices=("rows_padded",) if self._padded else (),
        )

    # -- weights ------------------------------------------------------------------------------

    def _write_weights(self) -> DecoderWeights:
        checkpoint, spec = self._checkpoint, self._checkpoint.spec
        embedding = self._matrix([checkpoint.top("embedding")])
        blocks = tuple(self._write_block(index) for index in range(spec.block_count))
        output_norm = self._vector(checkpoint.top("output_norm"))
        head = embedding if spec.tied_embeddings else self._matrix([checkpoint.top("lm_head")])
        cos, sin = rotary_caches(spec, min(spec.context_length, self._options.rope_context))
        return DecoderWeights(
            embedding, blocks, output_norm, head, self._file.append(cos), self._file.append(sin)
        )

    def _write_block(self, index: int) -> BlockWeights:
        spec = self._checkpoint.spec

        def part(name: str) -> DecoderTensor:
            return self._checkpoint.block(index, name)

        biases = [part(f"{p}_bias") for p in "qkv"] if spec.attention_bias else []
        return BlockWeights(
            attention_norm=self._vector(part("attention_norm")),
            qkv=self._matrix([part(p) for p in "qkv"], biases),
            q_norm=self._vector(part("q_norm")) if spec.qk_norm else None,
            k_norm=self._vector(part("k_norm")) if spec.qk_norm else None,
            attention_output=self._matrix([part("o")]),
            feed_forward_norm=self._vector(part("ffn_norm")),
            gate_up=self._matrix([part("gate"), part("up")]),
            down=self._matrix([part("down")]),
        )

    def _vector(self, *tensors: DecoderTensor) -> StoredTensor:
        """One-dimensional tensors in full precision, joined."""
        values = []
        for tensor in tensors:
            value = tensor.rows(0, tensor.source.row_count).reshape(-1)
            refuse_unstorable(tensor.name, value, "F32")
            values.append(value.astype(np.float32))
            self._finish(tensor, "F32", value.nbytes)
        return self._file.append(np.concatenate(values))

    def _matrix(
        self, tensors: list[DecoderTensor], biases: list[DecoderTensor] | None = None
    ) -> StoredMatrix:
        """Matrices over the same input, joined by rows: all packed weights, then all scales."""
        scales: list[FloatArray] = []
        zeros: list[npt.NDArray[np.uint8]] = []
        self._file.align()
        start, k = self._file.size, tensors[0].source.row_length
        for tensor in tensors:
            before, error, plain, square = self._file.size, 0.0, 0.0, 0.0
            for rows in self._quantized(tensor):
                self._file.write(rows.packed)
                scales.append(rows.scales)
                if rows.zeros is not None:
                    zeros.append(rows.zeros)
                error, square = error + rows.squared_error, square + rows.squared_sum
                plain += rows.plain_error
                self._on_tensor(self._done, self._total, tensor.name)
            per_row = scales[-1].nbytes // len(scales[-1])
            per_row += zeros[-1].nbytes // len(zeros[-1]) if zeros else 0
            nbytes = self._file.size - before + per_row * tensor.source.shape[0]
            rmse = (error / square) ** 0.5 if square else 0.0
            plain_rmse = (plain / square) ** 0.5 if plain else None
            self._finish(tensor, self._layout.format, nbytes, rmse, plain_rmse)
        n, block = sum(tensor.source.shape[0] for tensor in tensors), self._layout.block
        return StoredMatrix(
            n,
            k,
            block,
            StoredTensor("uint8", (n, -(-k // block), block // 2), start),
            self._file.append(*scales),
            self._file.append(*zeros) if zeros else None,
            self._vector(*biases) if biases else None,
        )

    def _quantized(self, tensor: DecoderTensor) -> Iterator[PackedRows]:
        """The tensor's rows, quantized chunk by chunk on all threads, in order."""
        finished = self._options.finished(tensor.gguf_name)
        if finished is not None:
            yield finished
            return
        n, k = tensor.source.shape
        step = max(1, _CHUNK_ELEMENTS // k)
        importance = self._importance(tensor)
        if importance is not None and importance.shape != (k,):
            raise IncompatibleShape(
                reason="importance",
                tensor=tensor.name,
                shape=list(importance.shape),
                wanted=str([k]),
            )

        def quantize(first: int) -> PackedRows:
            return quantize_rows(
                tensor.rows(first, min(first + step, n)),
                self._layout.block,
                symmetric=self._layout.symmetric,
                method=self._layout.method,
                importance=importance,
                tensor=tensor.name,
            )

        ahead = 2 * max(1, self._options.threads)
        pending = []
        for first in range(0, n, step):
            pending.append(self._pool.submit(quantize, first))
            if len(pending) > ahead:
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()

    def _importance(self, tensor: DecoderTensor) -> FloatArray | None:
        """The tensor's importance, where the recipe's method and wishes make use of one."""
        if self._layout.method != "search" or self._recipe.importance == "ignored":
            return None
        found = self._options.importance.get(tensor.gguf_name)
        self._importance_used |= found is not None
        return found

    def _finish(
        self,
        tensor: DecoderTensor,
        target_format: str,
        nbytes: int,
        rmse: float | None = None,
        plain_rmse: float | None = None,
    ) -> None:
        if rmse is not None and tensor.source.row_length % self._layout.block:
            self._padded = True
        self._reports.append(
            TensorReport(
                name=tensor.name,
                role=role_of(tensor.name),
                source_format=tensor.source.format,
                target_format=target_format,
                elements=tensor.source.elements,
                nbytes=nbytes,
                rmse=rmse,
                plain_rmse=plain_rmse,
            )
        )
        self._done += 1
        self._on_tensor(self._done, self._total, tensor.name)

    # -- everything else ----------------------------------------------------------------------

    def _write_graphs(self, weights: DecoderWeights) -> tuple[StaticBody, ...]:
        spec, folder = self._checkpoint.spec, self._folder
        embeddings_graph(spec, weights, WEIGHTS).save(folder / "embeddings.onnx")
        body_graph(spec, weights, WEIGHTS).save(folder / "body.onnx")
        lm_head_graph(spec, weights, WEIGHTS).save(folder / "lm_head.onnx")
        bodies = []
        fits = spec.rows_fit(self._layout.block)
        for shape in self._options.static_shapes if fits else ():
            graph = static_body_graph(spec, weights, WEIGHTS, shape)
            graph.save(folder / shape.filename)
            bodies.append(StaticBody(shape.filename, shape.rows, shape.context))
        return tuple(bodies)

    def _write_tokenizer(self) -> TokenizerFacts:
        source = self._checkpoint.source
        if source.kind == "gguf":
            return rebuild_from_gguf(source.metadata, self._folder, path=str(source.path))
        folder = source.path if source.path.is_dir() else source.path.parent
        return copy_from_checkpoint(folder, self._folder, source.metadata)

    def _manifest(
        self, bodies: tuple[StaticBody, ...], tokenizer: TokenizerFacts, weights: FileEntry
    ) -> FolderManifest:
        spec = self._checkpoint.spec
        base = FolderManifest(
            spec=spec,
            recipe=self._recipe.name,
            block_size=self._layout.block,
            symmetric=self._layout.symmetric,
            rope_context=min(spec.context_length, self._options.rope_context),
            weights=WEIGHTS,
            embeddings="embeddings.onnx",
            body="body.onnx",
            lm_head="lm_head.onnx",
            static_bodies=bodies,
            bos_token_id=tokenizer.bos_token_id,
            end_token_ids=tokenizer.end_token_ids,
        )
        config = genai_config(base, pad_token_id=(tokenizer.end_token_ids or (0,))[0])
        (self._folder / "genai_config.json").write_text(json.dumps(config, indent=1), "utf-8")
        files = {WEIGHTS: weights}
        for path in sorted(self._folder.iterdir()):
            if path.name != WEIGHTS:
                files[path.name] = file_entry(path)
        template = read_chat_template(self._folder)
        size = sum(entry.size for entry in files.values())
        model = model_section(self._checkpoint, self._reports, size, template)
        manifest = replace(base, files=files, model=model)
        write_manifest(self._folder, manifest)
        return manifest
