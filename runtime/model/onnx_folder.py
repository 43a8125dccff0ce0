"""An exported ONNX folder as the runtime sees it: checked, with errors of the runtime's own tree.

Knows the manifest; imports no engine. Raises CorruptFile or UnsupportedModel naming the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from quant.errors import CorruptCheckpoint, UnsupportedFormat
from quant.onnx.manifest import FolderManifest, StaticBody, check_sizes, read_manifest, verify
from runtime.errors import (
    ContextOverflow,
    UnsupportedModel,
    corrupt_file,
    unsupported_model,
)
from runtime.progress import CancelToken, OnProgress, counted_bytes
from runtime.shape import ModelShape, WeightBytes

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class OnnxFolder:
    """A folder whose manifest was read and whose files have the sizes it lists."""

    path: Path
    manifest: FolderManifest

    @property
    def shape(self) -> ModelShape:
        """The model's dimensions."""
        spec = self.manifest.spec
        return ModelShape(
            architecture=spec.architecture,
            block_count=spec.block_count,
            embedding_length=spec.embedding_length,
            feed_forward_length=spec.feed_forward_length,
            head_count=spec.head_count,
            head_count_kv=spec.head_count_kv,
            key_length=spec.head_length,
            value_length=spec.head_length,
            vocab_size=spec.vocab_size,
            context_length=spec.context_length,
            tied_embeddings=spec.tied_embeddings,
            attention_bias=spec.attention_bias,
            qk_norm=spec.qk_norm,
            rope_dimension_count=spec.head_length,
        )

    @property
    def block_bytes(self) -> int:
        """Stored bytes of the blocks' weights, by the manifest's description of the model."""
        return sum(msgspec.convert(self.manifest.model["weights"], WeightBytes).blocks)

    def static_pair(self, n_ctx: int) -> tuple[StaticBody, StaticBody]:
        """The fixed-shape graphs (prefill, decode) of the smallest context that holds `n_ctx`.

        Raises UnsupportedModel where none was exported or its rows are padded, ContextOverflow
        where all are shorter: a compiled context cannot grow.
        """
        block = self.manifest.block_size
        if not self.manifest.spec.rows_fit(block):
            raise UnsupportedModel(path=str(self.path), reason="padded_rows", found=block)
        by_context: dict[int, list[StaticBody]] = {}
        for body in self.manifest.static_bodies:
            by_context.setdefault(body.context, []).append(body)
        pairs = {
            context: sorted(bodies, key=lambda body: body.rows)
            for context, bodies in by_context.items()
            if len(bodies) > 1 and any(body.rows == 1 for body in bodies)
        }
        if not pairs:
            raise UnsupportedModel(path=str(self.path), reason="no_fixed_shape_body")
        enough = [context for context in pairs if context >= n_ctx]
        if not enough:
            raise ContextOverflow(n_tokens=n_ctx, n_ctx=max(pairs))
        bodies = pairs[min(enough)]
        return bodies[-1], bodies[0]

    def verify(self, on_progress: OnProgress, cancel: CancelToken) -> None:
        """Hash every file. Raises CorruptFile naming the first that is not what was exported."""
        total = sum(entry.size for entry in self.manifest.files.values())
        on_bytes = counted_bytes(on_progress, cancel, "verify", total)
        _translated(lambda: verify(self.path, self.manifest, on_bytes))


def open_folder(path: Path) -> OnnxFolder:
    """Read the manifest and check that every file is there with its size."""
    manifest = _translated(lambda: read_manifest(path))
    _translated(lambda: check_sizes(path, manifest))
    return OnnxFolder(path, manifest)


def _translated(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except CorruptCheckpoint as error:
        raise corrupt_file(error, error.path) from error
    except UnsupportedFormat as error:
        raise unsupported_model(error, error.path or "") from error
