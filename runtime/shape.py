"""Architecture numbers of a transformer and what follows from them alone.

Knows parameter counts, KV-cache bytes and weight bytes per role. Knows no file, device or engine.
"""

from dataclasses import dataclass
from typing import Literal

AttentionKind = Literal["MHA", "GQA", "MLA"]


@dataclass(frozen=True)
class ModelShape:
    """The numbers every plan needs; field names follow GGUF metadata keys.

    For MLA models (DeepSeek-V2/V3) `kv_lora_rank` > 0 and key/value lengths are the per-head ones
    (qk_nope + qk_rope, v). For mixture of experts `expert_count` > 0 and `feed_forward_length` is the
    dense blocks' width.
    """

    architecture: str
    block_count: int
    embedding_length: int
    feed_forward_length: int
    head_count: int
    head_count_kv: int
    key_length: int
    value_length: int
    vocab_size: int
    context_length: int
    tied_embeddings: bool = False
    attention_bias: bool = False
    qk_norm: bool = False
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_dimension_count: int = 0
    expert_count: int = 0
    expert_used_count: int = 0
    expert_shared_count: int = 0
    expert_feed_forward_length: int = 0
    leading_dense_block_count: int = 0
    sliding_window: int = 0

    @property
    def attention(self) -> AttentionKind:
        if self.kv_lora_rank:
            return "MLA"
        return "MHA" if self.head_count == self.head_count_kv else "GQA"


@dataclass(frozen=True)
class WeightBytes:
    """Bytes of a model's weights by role, as stored.

    `blocks[i]` is all of block i; `blocks_active[i]` is what one token reads of it (less than
    `blocks[i]` only for mixture of experts). With tied embeddings `lm_head` is 0 and the embedding
    table is read as the LM head.
    """

    embedding: int
    blocks: tuple[int, ...]
    blocks_active: tuple[int, ...]
    lm_head: int
    other: int

    @property
    def total(self) -> int:
        return self.embedding + sum(self.blocks) + self.lm_head + self.other

    @property
    def lm_head_read(self) -> int:
        """Bytes of the LM head read per token: the embedding table's when they are tied."""
        return self.lm_head or self.embedding
