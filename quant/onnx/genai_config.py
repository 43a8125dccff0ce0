"""`genai_config.json` for stock onnxruntime-genai, so that an exported folder loads there too.

Knows the file's layout (its parser refuses unknown keys); our own runner never reads it.
"""

from quant.json_types import Json
from quant.onnx.manifest import FolderManifest

_STAGE_SESSION = {"session.intra_op.allow_spinning": "0", "provider_options": []}


def genai_config(manifest: FolderManifest, *, pad_token_id: int) -> dict[str, Json]:
    """A decoder-pipeline of three stages, all on the CPU."""
    spec = manifest.spec
    caches = [f"{i}.{part}" for i in range(spec.block_count) for part in ("key", "value")]
    stages: dict[str, dict[str, Json]] = {
        "embeddings": {
            "filename": manifest.embeddings,
            "inputs": ["input_ids"],
            "outputs": ["inputs_embeds"],
        },
        "transformer": {
            "filename": manifest.body,
            "inputs": [
                "inputs_embeds",
                "attention_mask",
                *(f"past_key_values.{cache}" for cache in caches),
            ],
            "outputs": ["hidden_states", *(f"present.{cache}" for cache in caches)],
        },
        "lm_head": {
            "filename": manifest.lm_head,
            "inputs": ["hidden_states"],
            "outputs": ["logits"],
            "is_lm_head": True,
        },
    }
    ends = list(manifest.end_token_ids) or [pad_token_id]  # some checkpoints name none
    return {
        "model": {
            "type": "decoder-pipeline",
            "bos_token_id": manifest.bos_token_id if manifest.bos_token_id is not None else ends[0],
            "eos_token_id": ends,
            "pad_token_id": pad_token_id,
            "vocab_size": spec.vocab_size,
            "context_length": manifest.rope_context,
            "decoder": {
                "head_size": spec.head_length,
                "hidden_size": spec.embedding_length,
                "num_attention_heads": spec.head_count,
                "num_hidden_layers": spec.block_count,
                "num_key_value_heads": spec.head_count_kv,
                "session_options": {"provider_options": []},
                "inputs": {
                    "input_ids": "input_ids",
                    "inputs_embeds": "inputs_embeds",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
                "pipeline": [
                    {
                        name: {**stage, "session_options": dict(_STAGE_SESSION)}
                        for name, stage in stages.items()
                    }
                ],
            },
        },
        "search": {
            "do_sample": False,
            "early_stopping": True,
            "max_length": manifest.rope_context,
            "min_length": 0,
            "num_beams": 1,
            "num_return_sequences": 1,
            "past_present_share_buffer": True,
            "repetition_penalty": 1.0,
            "temperature": 1.0,
            "top_k": 1,
            "top_p": 1.0,
        },
    }
