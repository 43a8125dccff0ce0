"""What each job takes and answers, as values: `runtime.process.job_table` says which is whose.

Both sides of the pipe check them, so a job's function may trust its arguments' types. Answers that
the layers below know already (a ModelInfo, a QuantReport) are those values. Imports no engine: the
window asks for jobs. Structs and no dataclasses, of which each costs the start of every child a
millisecond.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from quant.quality.texts import TextSet
from quant.recipe import QuantRecipe
from runtime.devices import Device
from runtime.machine.providers import Preflight
from runtime.model.info import ModelInfo
from runtime.plan import Placement, Reason
from runtime.planning.bandwidth import ProfileMode
from runtime.planning.engine_choice import EngineCandidate, EngineMeasurement

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]

DEFAULT_STATIC_CONTEXT = 2048
DEFAULT_PROMPT_TOKENS = 64
DEFAULT_TOKENS = 24


class Nothing(Struct, frozen=True):
    """The arguments, or the answer, of a job that has none."""


# -- headers --------------------------------------------------------------------------------------


class InspectArgs(Struct, frozen=True):
    """A GGUF file or a model's folder; `brief` leaves the tensors out of the answer."""

    path: Path
    brief: bool = False


class HeaderPart(Struct, frozen=True):
    """The first bytes of a file of `size` bytes in all, in the file `path`."""

    path: Path
    size: NotNegative


class PrefixArgs(Struct, frozen=True):
    """The beginnings of a GGUF file or of its shards; errors call the model `name`."""

    name: str
    parts: tuple[HeaderPart, ...]


class NeededBytes(Struct, frozen=True):
    """The part of this index must bring at least `needed` bytes."""

    part: int
    needed: int


class PrefixAnswer(Struct, frozen=True):
    """The model, or which beginning was too short."""

    info: ModelInfo | None = None
    more: NeededBytes | None = None


class CheckpointArgs(Struct, frozen=True):
    """A folder with config.json and the weights' files, of which only the headers need be real (the
    rest may be a hole); errors call the model `name`."""

    folder: Path
    name: str


class VocabulariesArgs(Struct, frozen=True):
    """Two GGUF files, of which `draft` is to draft for `target`."""

    target: Path
    draft: Path


class VocabulariesAnswer(Struct, frozen=True):
    """Why it cannot; None where it can."""

    mismatch: Reason | None


# -- the machine ----------------------------------------------------------------------------------


class ProbeArgs(Struct, frozen=True):
    """Addresses (HOST:PORT) of RPC servers whose devices are wanted too."""

    rpc: tuple[str, ...] = ()


class ProbeAnswer(Struct, frozen=True):
    """All devices, the CPU last."""

    devices: tuple[Device, ...]


class RpcServerArgs(Struct, frozen=True):
    """Where to listen (HOST:PORT); `threads` None takes one for each core."""

    address: str
    threads: Positive | None = None


class MemoryArgs(Struct, frozen=True):
    """A model's file and where it would go."""

    path: Path
    placement: Placement


class LibrariesArgs(Struct, frozen=True):
    """Files of the engine's CPU libraries."""

    libraries: tuple[str, ...]


class LibrariesAnswer(Struct, frozen=True):
    """The engine's own score of each file; 0 where it does not run here."""

    scores: Mapping[str, int]


class LibraryArgs(Struct, frozen=True):
    """The file of one CPU library."""

    library: str


class LibraryAnswer(Struct, frozen=True):
    """The token it drew after a prompt and a token."""

    token: int


class PreflightsAnswer(Struct, frozen=True):
    """Without self-tests: each NPU found, each target whose package is installed."""

    preflights: tuple[Preflight, ...]


class PreflightArgs(Struct, frozen=True):
    """A target's id, or a device's."""

    target: str


class ProfileArgs(Struct, frozen=True):
    """ "quick" takes about 5 s, "full" under a minute; ids of devices that llama.cpp lists."""

    mode: ProfileMode = "quick"
    devices: tuple[str, ...] = ("cpu",)


class ReadRateArgs(Struct, frozen=True):
    """Threads that read `nbytes` of memory."""

    threads: Positive
    nbytes: Positive


class ReadRateAnswer(Struct, frozen=True):
    """The best of three readings."""

    bytes_per_second: float


class EnginesArgs(Struct, frozen=True):
    """Ways to run one model on the CPU. `together`: memory holds them all at once, so that they can
    alternate; `prompt_tokens` are evaluated and `tokens` decoded in each of the `rounds`."""

    candidates: tuple[EngineCandidate, ...]
    threads: Positive = 1
    together: bool = True
    rounds: Positive = 3
    prompt_tokens: Positive = DEFAULT_PROMPT_TOKENS
    tokens: Positive = DEFAULT_TOKENS


class EnginesAnswer(Struct, frozen=True):
    """In the candidates' order."""

    measurements: tuple[EngineMeasurement, ...]


# -- conversions ----------------------------------------------------------------------------------


class QuantizeArgs(Struct, frozen=True):
    """A checkpoint (GGUF or safetensors) and where the result goes.

    imatrix: a file with the importance matrix; else calibrate: a text file to compute one over, or
    True for the bundled text (a recipe that requires one computes it unasked). threads: None takes
    one for each processor.
    """

    source: Path
    target: Path
    recipe: QuantRecipe
    imatrix: Path | None = None
    calibrate: str | bool = False
    threads: Positive | None = None


class SizeArgs(Struct, frozen=True):
    """A checkpoint (GGUF or safetensors), where the GGUF file goes, and how large that is to be:
    `size` bytes in all, or as many as take its tensors to `bits` per weight where that is given.

    sensitivities: a file with what was measured before, or, where there is none yet, to keep it in.
    imatrix, calibrate and threads are those of QuantizeArgs; a matrix is always used. formats: what
    tensors may take, instead of what is fast.
    """

    source: Path
    target: Path
    name: str
    size: NotNegative = 0
    bits: Annotated[float, Meta(gt=0)] | None = None
    sensitivities: Path | None = None
    imatrix: Path | None = None
    calibrate: str | bool = True
    formats: tuple[str, ...] = ()
    threads: Positive | None = None


class ExportArgs(QuantizeArgs, frozen=True):
    """The same for an ONNX folder. static_context: cache positions of the NPU bodies, 0 for none;
    rope_context: most positions the dynamic body can run."""

    static_context: NotNegative = DEFAULT_STATIC_CONTEXT
    rope_context: Positive = 32768


class ScoringArgs(Struct, frozen=True):
    """How models are scored. texts: name -> file (none: the bundled set `bundled`); windows of
    `context` tokens, scored from position `skip` on (None: an eighth of it). quick: instead, a few
    short windows from all over each text. folder: where temporary full-precision files go."""

    texts: Mapping[str, Path] = field(default_factory=dict)
    quick: bool = False
    context: Positive = 512
    skip: Positive | None = None
    whole_only: bool = False
    threads: Positive | None = None
    folder: Path | None = None
    bundled: TextSet = "evaluation"


class TimedScoringArgs(ScoringArgs, frozen=True):
    """seconds: how long the job may take (None: 50 if quick, else any time). When they run out, it
    reports on what has been scored, which is one window at least."""

    seconds: Positive | None = None


class QualityArgs(TimedScoringArgs, frozen=True, kw_only=True):
    """A model against its source: GGUF files, ONNX folders or safetensors."""

    source: Path
    target: Path


class PairArgs(TimedScoringArgs, frozen=True, kw_only=True):
    """Two models against one source: which diverges less?"""

    source: Path
    first: Path
    second: Path


class SchemesArgs(ScoringArgs, frozen=True, kw_only=True):
    """A model (GGUF or safetensors) at 4 bits in several ways: names of
    `quant.quality.schemes.SCHEMES` (none: all)."""

    source: Path
    schemes: tuple[str, ...] = ()


class ImatrixArgs(Struct, frozen=True):
    """A GGUF file, the .gguf to write, and the text (None: the bundled one)."""

    source: Path
    target: Path
    text: Path | None = None
    context: Positive = 512
    threads: Positive | None = None


class ImatrixAnswer(Struct, frozen=True):
    """What was written, how many matrices over how many tokens."""

    target: Path
    tensors: int
    tokens: int
