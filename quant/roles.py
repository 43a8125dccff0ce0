"""What a tensor is for, told by its name, for GGUF and for Hugging Face checkpoints.

Knows names only: no shape, no data, no format.
"""

import re
from enum import StrEnum


class TensorRole(StrEnum):
    """The part a tensor plays. A shared expert runs for every token: it is `feed_forward`.

    A mixture's router is `other`: it is small, and never quantized.
    """

    EMBEDDING = "embedding"
    ATTENTION = "attention"
    FEED_FORWARD = "feed_forward"
    EXPERT = "expert"
    NORM = "norm"
    LM_HEAD = "lm_head"
    OTHER = "other"


# First match wins: norms are named after the block they sit in, so they come first.
_GGUF_RULES: tuple[tuple[re.Pattern[str], TensorRole], ...] = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"norm(_\d+)?\.(weight|bias)$", TensorRole.NORM),
        (r"^token_embd\.", TensorRole.EMBEDDING),
        (r"^output\.", TensorRole.LM_HEAD),
        (r"^blk\.\d+\.ffn_(gate_inp|exp_probs)", TensorRole.OTHER),
        (r"^blk\.\d+\.exp_probs_b", TensorRole.OTHER),
        (r"^blk\.\d+\.ffn_(gate|up|down|gate_up)_exps?\b", TensorRole.EXPERT),
        (r"^blk\.\d+\.ffn_(gate|up|down)\.\d+\.", TensorRole.EXPERT),
        (r"^blk\.\d+\.ffn_", TensorRole.FEED_FORWARD),
        (r"^blk\.\d+\.attn_", TensorRole.ATTENTION),
    )
)

_HF_RULES: tuple[tuple[re.Pattern[str], TensorRole], ...] = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"(norm|layernorm)\.(weight|bias)$", TensorRole.NORM),
        (r"(^|\.)embed_tokens\.", TensorRole.EMBEDDING),
        (r"(^|\.)lm_head\.", TensorRole.LM_HEAD),
        (r"\.mlp\.(gate|router)\.", TensorRole.OTHER),
        (r"\.(mlp|block_sparse_moe)\.experts\.", TensorRole.EXPERT),
        (r"\.self_attn\.", TensorRole.ATTENTION),
        (r"\.mlp\.", TensorRole.FEED_FORWARD),
    )
)

# Tables beside the token embedding that only some architectures have.
_ARCHITECTURE_RULES: dict[str, tuple[tuple[re.Pattern[str], TensorRole], ...]] = {
    "gemma3n": ((re.compile(r"^per_layer_token_embd\."), TensorRole.EMBEDDING),),
}


def role_of(name: str, architecture: str = "") -> TensorRole:
    """The role of tensor `name`, a GGUF name (blk.0.attn_q.weight) or a Hugging Face one
    (model.layers.0.self_attn.q_proj.weight). `architecture` is the GGUF architecture key."""
    for pattern, role in _ARCHITECTURE_RULES.get(architecture, ()) + _GGUF_RULES + _HF_RULES:
        if pattern.search(name):
            return role
    return TensorRole.OTHER


_BLOCK_INDEX = re.compile(r"^(?:blk|model\.layers)\.(\d+)\.")


def block_index(name: str) -> int | None:
    """The block a tensor belongs to, counted from 0; None outside the blocks."""
    found = _BLOCK_INDEX.match(name)
    return int(found.group(1)) if found else None
