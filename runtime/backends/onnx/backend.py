"""Our own runner of exported ONNX folders as a Backend: embeddings, body and LM head in turn.

Embeddings and sampling are always on the CPU; body and LM head go where the placement says, wholly
or not at all. Knows no chat template and no process.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.answer.sampling import Sampler
from runtime.backend import Backend, LoadReport, Verified
from runtime.backends.onnx.bodies import (
    Body,
    DynamicBody,
    StaticBody,
    dynamic_inputs,
    static_inputs,
)
from runtime.backends.onnx.company import ROWS, rows_agree
from runtime.backends.onnx.hardware import npus_here
from runtime.backends.onnx.native import ort, run_options
from runtime.backends.onnx.preflight import self_test
from runtime.backends.onnx.session import (
    CompiledCache,
    cpu_session,
    expect_inputs,
    provider_session,
)
from runtime.backends.onnx.tokenizer import OnnxTokenizer
from runtime.errors import (
    ContextOverflow,
    DeviceUnavailable,
    EngineError,
    InvalidRequest,
    Stage,
    StageFailed,
)
from runtime.generation import SamplingParams
from runtime.machine.providers import resolve_target
from runtime.model.onnx_folder import OnnxFolder, open_folder
from runtime.plan import Placement
from runtime.progress import CancelToken, OnProgress, Progress

FloatArray = npt.NDArray[np.float32]

COMPILED = "compiled"  # sub-folder of a model's folder: what providers compiled of it
_STEPS = ("embeddings", "lm_head", "body", "tokenizer", "kernels")
_DRAFT_LENGTHS = tuple(rows - 1 for rows in (2, *ROWS))


class OnnxBackend:
    """One exported folder with one sequence of cached positions.

    Takes drafts where the body is on the CPU and rows there agree (`runtime.backends.onnx.company`,
    tested at every load).
    """

    # A draft model would need every token in company, so that the answer would not be the one that
    # the model gives without it.
    drafter: Backend | None = None

    def __init__(self) -> None:
        self._embeddings: ort.InferenceSession = None
        self._lm_head: ort.InferenceSession = None
        self._body: Body | None = None
        self._sampler = Sampler(SamplingParams())
        self._logits: FloatArray | None = None
        self._position = 0
        self._n_ctx = 0
        self._chunk = 1
        self.draft_lengths: Sequence[int] = ()
        self._devices = {"embeddings": "cpu", "body": "cpu", "lm_head": "cpu"}
        self._seconds: dict[str, float] = {}
        self.tokenizer: OnnxTokenizer

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        """Verify every file, then open the stages.

        Raises CorruptFile, UnsupportedModel, DeviceUnavailable, ContextOverflow (the placement's
        context is longer than the folder's), Cancelled.
        """
        started = time.perf_counter()
        folder = open_folder(Path(path))
        manifest = folder.manifest
        if placement.n_ctx > manifest.rope_context:
            raise ContextOverflow(n_tokens=placement.n_ctx, n_ctx=manifest.rope_context)
        self._n_ctx, self._chunk = placement.n_ctx, max(1, placement.n_ubatch)
        self._devices |= {"body": _body_device(placement), "lm_head": placement.lm_head_device}
        folder.verify(on_progress, cancel)
        for done, step in enumerate(_STEPS):
            cancel.raise_if_cancelled()
            on_progress(Progress("load", done, len(_STEPS), "steps", step))
            self._open(step, folder, placement)
        on_progress(Progress("load", len(_STEPS), len(_STEPS), "steps"))
        self._seconds = dict.fromkeys(("embeddings", "body", "lm_head"), 0.0)
        return LoadReport(
            engine="onnx",
            engine_version=ort.__version__,
            n_ctx=self._n_ctx,
            load_seconds=time.perf_counter() - started,
            buffers=self._buffers(folder),
            notices=() if self._devices["body"] == "cpu" else ("fixed_shape_body",),
        )

    def _open(self, step: str, folder: OnnxFolder, placement: Placement) -> None:
        manifest, threads = folder.manifest, placement.n_threads
        if step == "embeddings":
            self._embeddings = cpu_session(folder.path / manifest.embeddings, 1)
        elif step == "lm_head":
            self._lm_head = self._open_lm_head(folder, threads)
        elif step == "body":
            self._body = self._open_body(folder, threads)
        elif step == "kernels":
            on_cpu = self._devices["body"] == "cpu"
            alike = on_cpu and rows_agree(folder, self._lm_head, threads, self._n_ctx)
            self.draft_lengths = _DRAFT_LENGTHS if alike else ()
        else:
            ends, bos = manifest.end_token_ids, manifest.bos_token_id
            self.tokenizer = OnnxTokenizer(folder.path, ends, bos, manifest.spec.vocab_size)

    def _open_lm_head(self, folder: OnnxFolder, threads: int) -> ort.InferenceSession:
        device = self._devices["lm_head"]
        if device != "cpu":
            # Its graph has a free sequence length, which the providers' compilers refuse.
            raise DeviceUnavailable(device=device, reason="lm_head_runs_on_the_cpu")
        return cpu_session(folder.path / folder.manifest.lm_head, threads)

    def _open_body(self, folder: OnnxFolder, threads: int) -> Body:
        manifest, device = folder.manifest, self._devices["body"]
        if device == "cpu":
            path = folder.path / manifest.body
            session = cpu_session(path, threads)
            expect_inputs(session, dynamic_inputs(manifest.spec), path)
            return DynamicBody(session, manifest.spec, self._n_ctx)
        target = resolve_target(device, npus_here())
        tested = self_test(target)
        if not tested.ok:
            cosine = tested.facts.get("cosine")
            raise DeviceUnavailable(
                device=device,
                reason=f"self_test:{tested.code}",
                cosine=cosine if isinstance(cosine, float) else None,
            )
        wide, single = folder.static_pair(self._n_ctx)
        cache = CompiledCache(folder.path / COMPILED, manifest.digest)
        sessions = []
        for body in (wide, single):
            path = folder.path / body.file
            sessions.append(provider_session(path, target, threads, cache))
            inputs = static_inputs(manifest.spec, body.rows, body.context)
            expect_inputs(sessions[-1], inputs, path)
        prefill, decode = sessions
        return StaticBody(prefill, decode, manifest.spec, rows=wide.rows, context=wide.context)

    def _buffers(self, folder: OnnxFolder) -> dict[str, dict[str, int]]:
        assert self._body is not None
        weights = folder.manifest.files[folder.manifest.weights].size
        body_device = self._devices["body"]
        buffers: dict[str, dict[str, int]] = {"cpu": {"kv_cache": self._body.kv_bytes}}
        if body_device == "cpu":
            buffers["cpu"]["weights"] = weights
        else:
            blocks = folder.block_bytes
            buffers["cpu"]["weights"] = weights - blocks
            buffers[body_device] = {"weights": blocks}
        return buffers

    def unload(self) -> None:
        self._embeddings = self._lm_head = self._body = self._logits = None
        self._position, self.draft_lengths = 0, ()

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        self._sampler = Sampler(params, history)
        self._seconds = dict.fromkeys(self._seconds, 0.0)

    def truncate(self, n_tokens: int) -> int:
        self._position = min(self._position, max(0, n_tokens))
        return self._position

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        run = run_options()

        def stop() -> None:
            run.terminate = True

        cancel.on_cancel(stop)
        total = len(tokens)
        self._check(tokens)
        for start in range(0, total, self._chunk):
            cancel.raise_if_cancelled()
            end = min(start + self._chunk, total)
            try:
                rows = self._evaluate(tokens[start:end], run, logits=int(end == total))
            except StageFailed:
                cancel.raise_if_cancelled()
                raise
            if end == total:
                self._logits = rows[0]
            on_progress(Progress("prefill", end, total, "tokens"))

    def sample(self) -> int:
        if self._logits is None:
            raise InvalidRequest(field="sample", reason="nothing_evaluated")
        return self._draw(self._logits)

    def _draw(self, logits: FloatArray) -> int:
        try:
            return self._sampler.draw(logits)
        except ValueError as error:
            raise StageFailed(
                stage="lm_head", device=self._devices["body"], detail=str(error)
            ) from error

    def decode(self, token: int) -> None:
        self._check((token,))
        self._logits = self._evaluate((token,), run_options(), logits=1)[0]

    def decode_in_company(self, token: int) -> None:
        self._check((token, token))
        self._logits = self._evaluate((token, token), run_options(), logits=2)[0]
        self._position -= 1

    def verify(self, token: int, draft: Sequence[int]) -> Verified:
        tokens, start = (token, *draft), self._position
        self._check(tokens)
        rows = self._evaluate(tokens, run_options(), logits=len(tokens))
        evaluated = time.perf_counter()
        drawn: list[int] = []
        for row, logits in enumerate(rows):
            drawn.append(self._draw(logits))
            if row < len(draft) and drawn[row] != draft[row]:
                break
        self._position = start + len(drawn)
        return Verified(tuple(drawn), time.perf_counter() - evaluated)

    def stage_seconds(self) -> dict[str, float]:
        return dict(self._seconds)

    def _check(self, tokens: Sequence[int]) -> None:
        """Ids within the vocabulary and room for them: the engine itself would take any."""
        if self._position + len(tokens) > self._n_ctx:
            raise ContextOverflow(n_tokens=self._position + len(tokens), n_ctx=self._n_ctx)
        for token in tokens:
            if not 0 <= token < self.tokenizer.n_vocab:
                raise InvalidRequest(field="token", reason="not_in_vocabulary", value=token)

    def _evaluate(self, tokens: Sequence[int], run: ort.RunOptions, *, logits: int) -> FloatArray:
        """Logits [logits, vocabulary] of the last so many tokens, after all are evaluated."""
        assert self._body is not None
        clock = time.perf_counter
        stage: Stage = "embeddings"
        started = clock()
        try:
            ids = np.asarray(tokens, np.int64)[None]
            embeds = self._embeddings.run(None, {"input_ids": ids}, run)[0]
            stage, started = "body", self._spent("embeddings", started)
            hidden = self._body.evaluate(embeds, self._position, run)
            stage, started = "lm_head", self._spent("body", started)
            rows = hidden[0, len(tokens) - logits :, None]
            if logits:
                # The head projects the last position of each sequence: one sequence per row.
                rows = self._lm_head.run(None, {"hidden_states": rows}, run)[0]
                self._spent("lm_head", started)
        except EngineError:
            raise
        except Exception as error:  # onnxruntime raises a class of its own per status code
            raise StageFailed(
                stage=stage, device=self._devices[stage], detail=str(error)
            ) from error
        self._position += len(tokens)
        found: FloatArray = rows[:, 0]
        return found

    def _spent(self, stage: str, started: float) -> float:
        now = time.perf_counter()
        self._seconds[stage] += now - started
        return now


def _body_device(placement: Placement) -> str:
    devices = {layers.device for layers in placement.layers}
    if len(devices) != 1:
        raise InvalidRequest(field="layers", reason="one_device")
    return devices.pop()


def open_engine() -> OnnxBackend:
    """A backend without a model."""
    return OnnxBackend()
