"""Looking at a model on the hub: the same facts as on disk, for a few megabytes."""

import dataclasses
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.hub.client import Hub
from app.hub.remote_header import RemoteModel, inspect_remote
from app.hub.values import Variant, variants
from runtime.errors import CorruptFile, UnsupportedModel
from runtime.model.info import ModelInfo, inspect
from runtime.process.client import run_job
from runtime.process.job import Answer, Args, Job
from runtime.progress import CancelToken
from tests.helpers.gguf_files import split
from tests.helpers.hub_server import HubFile, HubRepo, HubServer
from tests.helpers.shapes import R1_QWEN_7B, SMOLLM2_135M, write_shape_gguf, write_small_gguf


def _run(job: Job[Args, Answer], args: Args, cancel: CancelToken) -> Answer:
    return run_job(job, args, cancel=cancel, stall_seconds=60)


def _look(files: dict[str, HubFile], tmp_path: Path, label: str = "") -> tuple[RemoteModel, int]:
    with HubServer({"o/n": HubRepo(files)}) as server:
        hub = Hub(tmp_path / "cache", server.endpoint)
        found = variants(hub.details("o/n").files)
        variant: Variant = next(v for v in found if label in v.label)
        remote = inspect_remote(hub, variant, _run)
        return remote, server.sent_bytes("cdn") + server.sent_bytes("resolve")


def _plain(info: ModelInfo) -> ModelInfo:
    return dataclasses.replace(info, path="")


def test_the_hub_and_the_disk_say_the_same(tmp_path: Path) -> None:
    path = write_shape_gguf(tmp_path / "m-Q4_0.gguf", SMOLLM2_135M, weights="hole")
    remote, sent = _look({path.name: HubFile(path, "a" * 64)}, tmp_path)
    assert _plain(remote.info) == _plain(inspect(path))
    assert remote.bytes_read == sent <= 8 << 20


def test_sharded_gguf(tmp_path: Path) -> None:
    whole = write_small_gguf(tmp_path / "m-Q4_0.gguf")
    shards = split(whole, 3)
    files = {path.name: HubFile(path.read_bytes()) for path in shards}
    remote, sent = _look(files, tmp_path)
    info, local = remote.info, inspect(whole)
    assert (info.shape, info.weights, info.parameters) == (
        local.shape, local.weights, local.parameters,
    )  # fmt: skip
    assert {t.name for t in info.tensors} == {t.name for t in local.tensors}
    assert info.file_size == sum(path.stat().st_size for path in shards)
    assert sent == remote.bytes_read
    del files[shards[1].name]
    with pytest.raises(StopIteration):  # an incomplete set is not even listed
        _look(files, tmp_path)


LIMITED = """
import resource, time
from runtime.tasks.inspect import CPU_SECONDS, MEMORY_BYTES, _limit_resources
_limit_resources()
print(resource.getrlimit(resource.RLIMIT_CPU)[0] <= CPU_SECONDS + time.process_time() + 1)
try:
    bytearray(MEMORY_BYTES + (64 << 20))
except MemoryError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits there")
def test_the_child_that_parses_headers_has_limits(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "refused"]


@pytest.mark.slow
def test_5_gb_gguf_costs_less_than_16_mb(tmp_path: Path) -> None:
    path = tmp_path / "m-Q5_0.gguf"
    write_shape_gguf(path, R1_QWEN_7B, "Q5_0", vocab_tokens="qwen2", weights="hole")
    assert path.stat().st_size > 5_000_000_000
    remote, sent = _look({path.name: HubFile(path, "a" * 64)}, tmp_path)
    assert _plain(remote.info) == _plain(inspect(path))
    assert remote.bytes_read == sent < 16_000_000


def test_a_text_file_named_gguf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptFile):
        _look({"m.gguf": HubFile(b"hello " * 100_000)}, tmp_path)


def test_a_header_cut_short_is_refused(tmp_path: Path) -> None:
    path = write_shape_gguf(tmp_path / "m.gguf", SMOLLM2_135M, weights="hole")
    with pytest.raises(CorruptFile):
        _look({"m.gguf": HubFile(path.read_bytes()[:5000])}, tmp_path)


def _safetensors(tensors: dict[str, list[int]], folder: Path, name: str) -> HubFile:
    header: dict[str, Any] = {}
    offset = 0
    for tensor, shape in tensors.items():
        size = 2
        for dim in shape:
            size *= dim
        header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path = folder / name
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + offset)
    return HubFile(path, name.encode().hex().ljust(64, "0")[:64])


CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "num_hidden_layers": 2,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
    "max_position_embeddings": 32768,
}


def _checkpoint(folder: Path) -> dict[str, HubFile]:
    one = {
        "model.embed_tokens.weight": [4096, 512],
        "model.layers.0.mlp.up_proj.weight": [1024, 512],
    }
    two = {"model.layers.1.mlp.up_proj.weight": [1024, 512], "lm_head.weight": [4096, 512]}
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {t: names[0] for t in one} | {t: names[1] for t in two}
    return {
        names[0]: _safetensors(one, folder, names[0]),
        names[1]: _safetensors(two, folder, names[1]),
        "model.safetensors.index.json": HubFile(json.dumps({"weight_map": index}).encode()),
        "config.json": HubFile(json.dumps(CONFIG).encode()),
    }


def test_sharded_safetensors(tmp_path: Path) -> None:
    remote, sent = _look(_checkpoint(tmp_path), tmp_path)
    info = remote.info
    assert (info.format, info.shape.architecture, info.shape.block_count) == (
        "safetensors",
        "qwen2",
        2,
    )
    assert info.parameters == 2 * 4096 * 512 + 2 * 1024 * 512
    assert info.weights.total == 2 * info.parameters
    assert info.weights.blocks == (2 * 1024 * 512,) * 2
    assert info.weights.lm_head == info.weights.embedding == 2 * 4096 * 512
    assert sent == remote.bytes_read < 300_000 + 2000


def test_an_architecture_that_no_engine_knows_is_named(tmp_path: Path) -> None:
    files = _checkpoint(tmp_path)
    files["config.json"] = HubFile(json.dumps(CONFIG | {"architectures": ["FooForX"]}).encode())
    with pytest.raises(UnsupportedModel) as caught:
        _look(files, tmp_path)
    assert "FooForX" in str(caught.value.found)
