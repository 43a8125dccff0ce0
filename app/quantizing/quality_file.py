"""What quantized models lost, as it was measured: kept in one JSON file by the model's SHA-256.

Knows the file and which figures are kept; `runtime.tasks.quality` measures.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from quant.files import write_json_atomically
from quant.quality.figures import QualityReport


@dataclass(frozen=True)
class KeptQuality:
    """Mean KL divergence (nats per token) and share of equal top tokens against the model named,
    over so many tokens; None where they were no finite numbers."""

    against: str
    kl_mean: float | None
    same_top: float | None
    tokens: int = 0


class QualityFile:
    """A damaged file counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, sha256: str) -> KeptQuality | None:
        """What was measured of a model; None where nothing was."""
        return self._read().get(sha256)

    def put(self, sha256: str, against: str, report: QualityReport) -> None:
        """Keep the figures of a report, unless those kept against the same model are from more
        tokens."""
        known = self._read()
        found = KeptQuality(against, report.kl_mean.value, report.same_top.value, report.tokens)
        before = known.get(sha256, found)
        if before.against == against and before.tokens > found.tokens:
            return
        kept = {**known, sha256: found}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._path, {key: asdict(value) for key, value in kept.items()})

    def _read(self) -> dict[str, KeptQuality]:
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            return msgspec.convert(data, type=dict[str, KeptQuality])
        except (OSError, ValueError):  # msgspec's errors are ValueErrors
            return {}
