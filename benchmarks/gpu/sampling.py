"""Where tokens are drawn: on the device or on the host, by sampler chain, everything on the GPU.

    python -m benchmarks.gpu.sampling MODEL.gguf BLOCKS GPU

Times the product's token loop in this process over one model, chain by chain, and what attaching a
chain costs. Prints one line each.
"""

import statistics
import time

import llama_cpp.llama_cpp as native

from benchmarks.common.options import command_line
from runtime.answer.decoding import LoopLimits, TokenLoop
from runtime.backends.llama.backend import LlamaBackend
from runtime.generation import SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress

CHAINS = {
    "greedy": SamplingParams(temperature=0),
    "temperature only": SamplingParams(top_k=0, top_p=1.0),
    "top-k 40, top-p 0.95": SamplingParams(),
    "top-p 0.95": SamplingParams(top_k=0),
    "top-k 1024, top-p 0.95": SamplingParams(top_k=1024),
    "top-k 40, top-p, penalty": SamplingParams(repeat_penalty=1.1),
}
TOKENS = 224  # stays below 256 cells of the cache, where the engine rebuilds its graph


def main(model: str, blocks: int, gpu: str) -> None:
    place = Placement(
        "llamacpp", (LayerRange(gpu, 0, blocks - 1),), gpu, 4096, n_threads=4, n_threads_batch=4
    )
    fence = native.llama_sampler_init_top_n_sigma
    for where in ("trim on device", "all on device", "host"):
        on_device = where != "host"
        native.llama_sampler_init_top_n_sigma = (
            fence if where == "trim on device" else lambda _: native.llama_sampler_init_temp(1.0)
        )
        backend = LlamaBackend(device_sampling=on_device)
        backend.load(model, place, ignore_progress, CancelToken())
        prompt = backend.tokenizer.encode("Tell a story about the sea.", parse_special=False)
        loop = TokenLoop(backend)
        for name, params in CHAINS.items():
            rates, firsts = [], []
            for _ in range(3):
                limits = LoopLimits(4096, TOKENS, detect_loops=False)
                done = loop.generate(
                    prompt, params, limits, lambda _t, _n: True, ignore_progress, CancelToken()
                )
                seconds = done.times.ended - done.times.started - done.times.first_token
                rates.append((len(done.generated) - 1) / seconds)
                firsts.append(done.times.first_token)
            print(
                f"{where:<16}{name:<26}{statistics.median(rates):8.1f} tok/s"
                f"  first token {1000 * firsts[0]:.1f} then {1000 * firsts[-1]:.1f} ms",
                flush=True,
            )
        step_parts(backend, prompt)
        backend.unload()


def step_parts(backend: LlamaBackend, prompt: list[int]) -> None:
    """Medians of evaluating and of drawing, microseconds."""
    backend.truncate(0)
    backend.set_sampling(SamplingParams(), prompt)
    backend.prefill(prompt, ignore_progress, CancelToken())
    evaluate, draw = [], []
    for _ in range(TOKENS):
        start = time.perf_counter()
        token = backend.sample()
        middle = time.perf_counter()
        backend.decode(token)
        evaluate.append(time.perf_counter() - middle)
        draw.append(middle - start)
    print(
        f"       evaluate {1e6 * statistics.median(evaluate):.0f} us,"
        f" draw {1e6 * statistics.median(draw):.0f} us"
    )


if __name__ == "__main__":
    parser = command_line(__doc__, "benchmarks.gpu.sampling")
    parser.add_argument("model")
    parser.add_argument("blocks", type=int, help="how many the model has")
    parser.add_argument("gpu", help="device id, such as cuda0")
    options = parser.parse_args()
    main(options.model, options.blocks, options.gpu)
