"""What each job takes and answers, as values: `runtime.process.job_table` says which is whose.

Both sides of the pipe check them, so a job's function may trust its arguments' types. Answers that
the layers below know already (a ModelInfo, a QuantReport) are those values. Imports no engine: the
window asks for jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from msgspec import Meta

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


@dataclass(frozen=True)
class Nothing:
    """The arguments, or the answer, of a job that has none."""


# -- headers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InspectArgs:
    """A GGUF file or a model's folder; `brief` leaves the tensors out of the answer."""

    path: Path
    brief: bool = False


@dataclass(frozen=True)
class HeaderPart:
    """The first bytes of a file of `size` bytes in all, in the file `path`."""

    path: Path
    size: NotNegative


@dataclass(frozen=True)
class PrefixArgs:
    """The beginnings of a GGUF file or of its shards; errors call the model `name`."""

    name: str
    parts: tuple[HeaderPart, ...]


@dataclass(frozen=True)
class NeededBytes:
    """The part of this index must bring at least `needed` bytes."""

    part: int
    needed: int


@dataclass(frozen=True)
class PrefixAnswer:
    """The model, or which beginning was too short."""

    info: ModelInfo | None = None
    more: NeededBytes | None = None


@dataclass(frozen=True)
class CheckpointArgs:
    """A folder with config.json and the weights' files, of which only the headers need be real (the
    rest may be a hole); errors call the model `name`."""

    folder: Path
    name: str


@dataclass(frozen=True)
class VocabulariesArgs:
    """Two GGUF files, of which `draft` is to draft for `target`."""

    target: Path
    draft: Path


@dataclass(frozen=True)
class VocabulariesAnswer:
    """Why it cannot; None where it can."""

    mismatch: Reason | None


# -- the machine ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProbeArgs:
    """Addresses (HOST:PORT) of RPC servers whose devices are wanted too."""

    rpc: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbeAnswer:
    """All devices, the CPU last."""

    devices: tuple[Device, ...]


@dataclass(frozen=True)
class RpcServerArgs:
    """Where to listen (HOST:PORT); `threads` None takes one for each core."""

    address: str
    threads: Positive | None = None


@dataclass(frozen=True)
class MemoryArgs:
    """A model's file and where it would go."""

    path: Path
    placement: Placement


@dataclass(frozen=True)
class LibrariesArgs:
    """Files of the engine's CPU libraries."""

    libraries: tuple[str, ...]


@dataclass(frozen=True)
class LibrariesAnswer:
    """The engine's own score of each file; 0 where it does not run here."""

    scores: Mapping[str, int]


@dataclass(frozen=True)
class LibraryArgs:
    """The file of one CPU library."""

    library: str


@dataclass(frozen=True)
class LibraryAnswer:
    """The token it drew after a prompt and a token."""

    token: int


@dataclass(frozen=True)
class PreflightsAnswer:
    """Without self-tests: each NPU found, each target whose package is installed."""

    preflights: tuple[Preflight, ...]


@dataclass(frozen=True)
class PreflightArgs:
    """A target's id, or a device's."""

    target: str


@dataclass(frozen=True)
class ProfileArgs:
    """ "quick" takes about 5 s, "full" under a minute; ids of devices that llama.cpp lists."""

    mode: ProfileMode = "quick"
    devices: tuple[str, ...] = ("cpu",)


@dataclass(frozen=True)
class ReadRateArgs:
    """Threads that read `nbytes` of memory."""

    threads: Positive
    nbytes: Positive


@dataclass(frozen=True)
class ReadRateAnswer:
    """The best of three readings."""

    bytes_per_second: float


@dataclass(frozen=True)
class EnginesArgs:
    """Ways to run one model on the CPU. `together`: memory holds them all at once, so that they can
    alternate; `prompt_tokens` are evaluated and `tokens` decoded in each of the `rounds`."""

    candidates: tuple[EngineCandidate, ...]
    threads: Positive = 1
    together: bool = True
    rounds: Positive = 3
    prompt_tokens: Positive = DEFAULT_PROMPT_TOKENS
    tokens: Positive = DEFAULT_TOKENS


@dataclass(frozen=True)
class EnginesAnswer:
    """In the candidates' order."""

    measurements: tuple[EngineMeasurement, ...]


# -- conversions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class QuantizeArgs:
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


@dataclass(frozen=True)
class ExportArgs(QuantizeArgs):
    """The same for an ONNX folder. static_context: cache positions of the NPU bodies, 0 for none;
    rope_context: most positions the dynamic body can run."""

    static_context: NotNegative = DEFAULT_STATIC_CONTEXT
    rope_context: Positive = 32768


@dataclass(frozen=True)
class ScoringArgs:
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


@dataclass(frozen=True)
class TimedScoringArgs(ScoringArgs):
    """seconds: how long the job may take (None: 50 if quick, else any time). When they run out, it
    reports on what has been scored, which is one window at least."""

    seconds: Positive | None = None


@dataclass(frozen=True)
class QualityArgs(TimedScoringArgs):
    """A model against its source: GGUF files, ONNX folders or safetensors."""

    source: Path = field(kw_only=True)
    target: Path = field(kw_only=True)


@dataclass(frozen=True)
class PairArgs(TimedScoringArgs):
    """Two models against one source: which strays less?"""

    source: Path = field(kw_only=True)
    first: Path = field(kw_only=True)
    second: Path = field(kw_only=True)


@dataclass(frozen=True)
class SchemesArgs(ScoringArgs):
    """A model (GGUF or safetensors) at 4 bits in several ways: names of
    `quant.quality.schemes.SCHEMES` (none: all)."""

    source: Path = field(kw_only=True)
    schemes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImatrixArgs:
    """A GGUF file, the .gguf to write, and the text (None: the bundled one)."""

    source: Path
    target: Path
    text: Path | None = None
    context: Positive = 512
    threads: Positive | None = None


@dataclass(frozen=True)
class ImatrixAnswer:
    """What was written, how many matrices over how many tokens."""

    target: Path
    tensors: int
    tokens: int
