"""What llama.cpp's log says of a refusal, in lines that it really wrote."""

import pytest

from runtime.backends.llama.faults import context_error, evaluation_error, load_error
from runtime.errors import CorruptFile, EvaluationFailed, OutOfMemory, UnusableFile
from runtime.plan import LayerRange, Placement

RPC = "rpc:127.0.0.1:50052"
PLACEMENT = Placement("llamacpp", (LayerRange(RPC, 0, 9), LayerRange("cuda0", 10, 27)), "cpu", 4096)
MAPPED = [
    "llama_model_load: error loading model: mmap failed: Cannot allocate memory",
    "llama_model_load_from_file_impl: failed to load model",
]
CUDA = [
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 14168.00 MiB on device 0: "
    "cudaMalloc failed: out of memory",
    "alloc_tensor_range: failed to allocate CUDA0 buffer of size 14856224768",
    "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
]


def cache_on(buffer: str) -> list[str]:
    return [
        f"alloc_tensor_range: failed to allocate {buffer} buffer of size 188743680",
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv"
        " cache",
    ]


@pytest.mark.parametrize(
    ("errors", "device", "needed"),
    [
        (MAPPED, "cpu", None),
        (CUDA, "cuda0", 14856224768),
        (cache_on("CPU"), "cpu", 188743680),
        (cache_on("CUDA_Host"), "cpu", 188743680),
        (cache_on("RPC0[127.0.0.1:50052]"), RPC, 188743680),
    ],
)
def test_memory_is_told_with_its_device(errors: list[str], device: str, needed: int | None) -> None:
    for refused in (load_error, context_error):
        error = refused("model.gguf", errors, PLACEMENT)
        assert isinstance(error, OutOfMemory)
        assert (error.device, error.needed) == (device, needed)


def test_other_refusals_stay_what_they_are() -> None:
    other = ["llama_model_load: error loading model: tensor 'x' data is not within the file bounds"]
    assert isinstance(load_error("a", other, PLACEMENT), CorruptFile)
    assert type(context_error("a", [], PLACEMENT)) is UnusableFile
    failed = evaluation_error(-3, 7, ["graph_compute: failed"], PLACEMENT)
    assert isinstance(failed, EvaluationFailed)
    assert failed.facts == {"code": -3, "tokens": 7, "log": "graph_compute: failed"}


def test_the_engine_s_code_for_a_failed_allocation_needs_no_words() -> None:
    error = evaluation_error(-2, 7, [], PLACEMENT)
    assert isinstance(error, OutOfMemory)
    assert error.facts["device"] == "cuda0"
