"""A stock monolithic ONNX model on a GPU: the product's genai engine beside genai's own loop.

    python -m benchmarks.gpu.genai_cuda SHAPE.gguf FOLDER OUT.json

Writes a 1.5B-shape checkpoint with random weights (vocabulary taken from SHAPE.gguf) into FOLDER,
has onnxruntime-genai's own model builder turn it into an int4 model for CUDA, the kind that
people find on the hub, and times both. The builder needs torch and transformers; the product
needs neither.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common.options import command_line
from quant.checkpoint.sources import open_source
from quant.onnx.tokenizer_files import rebuild_from_gguf
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker

BLOCKS = 28
TOKENS = 256
ROUNDS = 3
N_CTX = 4096


def write_checkpoint(shape_gguf: Path, folder: Path) -> None:
    """DeepSeek-R1-Distill-Qwen-1.5B's shape as bf16 safetensors."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=151936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=BLOCKS,
        num_attention_heads=12,
        num_key_value_heads=2,
        max_position_embeddings=16384,
        tie_word_embeddings=False,
        bos_token_id=151646,
        eos_token_id=151643,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    rebuild_from_gguf(open_source(shape_gguf).metadata, folder, path=str(shape_gguf))


def build(checkpoint: Path, target: Path) -> None:
    options = ["-i", str(checkpoint), "-o", str(target), "-p", "int4", "-e", "cuda"]
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", *options]
    subprocess.run([*command, "-c", str(target.parent / "cache")], check=True)


def ours(folder: Path) -> list[dict[str, Any]]:
    """The product's worker: its own sampling on the host, R1's settings."""
    place = Placement("genai", (LayerRange("cuda0", 0, BLOCKS - 1),), "cuda0", N_CTX, n_threads=8)
    worker = Worker.start()
    try:
        print(worker.load(str(folder), place), flush=True)
        messages = (Message("user", "Tell a long story about the sea. " * 16),)
        request = GenerationRequest("run", messages, SamplingParams(), max_tokens=TOKENS)
        runs = [worker.generate(request, lambda _: None) for _ in range(ROUNDS + 1)][1:]
        return [
            {"prefill": one.prefill_tps, "decode": one.decode_tps, "tokens": one.generated_tokens}
            for one in runs
        ]
    finally:
        worker.close()


def stock(folder: Path) -> list[float]:
    """Decode tokens per second of genai's own greedy loop, everything on the device."""
    import numpy as np
    import onnxruntime_genai as og

    model = og.Model(str(folder))
    rates = []
    for _ in range(ROUNDS + 1):
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=128 + TOKENS, min_length=128 + TOKENS)
        generator = og.Generator(model, params)
        generator.append_tokens(np.arange(1000, 1128, dtype=np.int32))
        generator.generate_next_token()
        started = time.perf_counter()
        count = 0
        while not generator.is_done():
            generator.generate_next_token()
            count += 1
        rates.append(count / (time.perf_counter() - started))
    return rates[1:]


def main(shape_gguf: Path, folder: Path, out: Path) -> None:
    checkpoint, target = folder / "checkpoint", folder / "int4-cuda"
    checkpoint.mkdir(parents=True, exist_ok=True)
    write_checkpoint(shape_gguf, checkpoint)
    build(checkpoint, target)
    result: dict[str, Any] = {"stock": stock(target), "ours": ours(target)}
    result["ratio"] = statistics.median(one["decode"] for one in result["ours"]) / (
        statistics.median(result["stock"])
    )
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    parser = command_line(__doc__, "benchmarks.gpu.genai_cuda")
    parser.add_argument("shape", type=Path, help="a GGUF file with the vocabulary")
    parser.add_argument("folder", type=Path, help="where the models are made")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    main(options.shape, options.folder, options.out)
