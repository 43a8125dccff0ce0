"""How an exported folder describes its model in lists: dimensions, sizes, template.

Knows the names of runtime.model.info.ModelInfo's fields; plain JSON values out.
"""

from collections.abc import Sequence

from quant.json_types import Json
from quant.onnx.checkpoint import Checkpoint
from quant.recipe import TensorReport
from quant.roles import TensorRole, block_index


def model_section(
    checkpoint: Checkpoint, tensors: Sequence[TensorReport], file_size: int, template: str | None
) -> dict[str, Json]:
    """The manifest's description of the model; fields as in runtime.model.info.ModelInfo."""
    spec, metadata = checkpoint.spec, checkpoint.source.metadata
    stored = {role: 0 for role in TensorRole}
    blocks = [0] * spec.block_count
    for tensor in tensors:
        index = block_index(tensor.name)
        if index is None:
            stored[tensor.role] += tensor.nbytes
        else:
            blocks[index] += tensor.nbytes
    embedding, head = stored[TensorRole.EMBEDDING], stored[TensorRole.LM_HEAD]
    return {
        "path": "",
        "format": "onnx",
        "name": spec.name or checkpoint.source.path.stem,
        "shape": {
            "architecture": spec.architecture,
            "block_count": spec.block_count,
            "embedding_length": spec.embedding_length,
            "feed_forward_length": spec.feed_forward_length,
            "head_count": spec.head_count,
            "head_count_kv": spec.head_count_kv,
            "key_length": spec.head_length,
            "value_length": spec.head_length,
            "vocab_size": spec.vocab_size,
            "context_length": spec.context_length,
            "tied_embeddings": spec.tied_embeddings,
            "attention_bias": spec.attention_bias,
            "qk_norm": spec.qk_norm,
            "rope_dimension_count": spec.head_length,
        },
        "weights": {
            "embedding": embedding,
            "blocks": blocks,
            "blocks_active": blocks,
            "lm_head": head,
            "other": sum(stored.values()) - embedding - head,
        },
        "file_size": file_size,
        "parameters": sum(tensor.elements for tensor in tensors),
        "chat_template": template,
        "tokenizer": "gpt2",
        "licence": str(metadata.get("general.license", "")),
    }
