"""How often the loss that is expected of a format holds, on models left out of the fit.

    python -m benchmarks.expected_loss            # the table, beside the results
    python -m benchmarks.expected_loss --own      # take our own figures over anew; then run again

Each model's figures are predicted from all other models' alone. Our own figures come from the
results of `benchmarks.quantize`; tensors that fell back to a wider format make a file another one
than its name says, so such files are left out. Measures nothing itself.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.common.options import command_line
from benchmarks.common.results import RESULTS, ROOT
from quant.formats import FORMATS
from quant.quality.expected_loss import Measurement, expected_loss, fit, measurements

DATA = ROOT / "quant" / "data" / "published_losses.json"
# Result file -> source key, model, parameters.
OWN = {
    "quantize-starter-cpu.json": ("this project", "SmolLM2-135M-Instruct", 134_515_008),
    "quantize-gemma3-270m-cpu.json": ("this project, Gemma", "gemma-3-270m-it", 268_098_176),
}
SIZES = (1_500_000_000, 8_000_000_000, 14_000_000_000, 32_000_000_000, 70_000_000_000)
LABELS = (
    "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q4_1", "Q4_0", "Q3_K_M",
    "Q2_K", "q4_0-best", "onnx-q4-b32", "onnx-q4-b32-search", "onnx-q4-fast",
)  # fmt: skip


def own_rows() -> Iterator[dict[str, Any]]:
    """Our measurements as rows of the data file."""
    for name, (source, model, parameters) in OWN.items():
        if not (RESULTS / name).is_file():
            continue
        for row in json.loads((RESULTS / name).read_text())["rows"]:
            kl = row.get("kl_mean", {}).get("value")
            if not kl or row["fallbacks"]:
                continue
            label = row["recipe"].upper()
            yield {
                "model": model, "parameters": parameters,
                "label": label if label in FORMATS else row["recipe"],
                "imatrix": row["importance"], "kl": round(kl, 6), "source": source,
            }  # fmt: skip


def write_data(rows: Sequence[dict[str, Any]]) -> None:
    """One row a line: a changed figure is one changed line."""
    sources = json.loads(DATA.read_text(encoding="utf-8"))["sources"]
    parts = [
        [f"{json.dumps(key)}: {_json(value)}" for key, value in sources.items()],
        [_json(row) for row in rows],
    ]
    named, listed = (",\n".join(f"  {line}" for line in part) for part in parts)
    text = f'{{\n "sources": {{\n{named}\n }},\n "measurements": [\n{listed}\n ]\n}}\n'
    DATA.write_text(text, encoding="utf-8")


def held_out(model: str) -> list[tuple[bool, float]]:
    """Of each figure of `model`, predicted without it: whether it lay within the interval, and
    the log of measured over expected."""
    known = fit([row for row in measurements() if row.model != model])
    found = []
    for row in measurements():
        interval = known.log_interval(row.label, row.parameters, row.imatrix)
        if row.model == model and interval is not None:
            kl = math.log(row.kl)
            found.append((interval[0] <= kl <= interval[2], kl - interval[1]))
    return found


def table() -> str:
    """The fit, the held-out check and what is expected, as text."""
    fitted = fit(measurements())
    lines = [
        f"{len(measurements())} figures of {fitted.models} models. Twice the parameters:"
        f" {2**fitted.slope:.2f} times the loss. An importance matrix:"
        f" {math.exp(fitted.imatrix):.2f} times.",
        f"Spread of models around the line: a factor of {math.exp(fitted.model_spread):.2f};"
        f" of files of one format around it: {math.exp(fitted.cell_spread):.2f}.",
        "",
        f"{'LEFT OUT':<24} {'FIGURES':>7} {'WITHIN':>6}  MEASURED / EXPECTED",
    ]
    all_found = []
    for model in sorted({row.model for row in measurements()}):
        found = held_out(model)
        all_found += found
        if found:
            mean = math.exp(sum(stray for _, stray in found) / len(found))
            within = sum(inside for inside, _ in found)
            lines.append(f"{model:<24} {len(found):>7} {within:>6}  {mean:.2f}")
    share = sum(inside for inside, _ in all_found) / len(all_found)
    lines.append(f"{'all':<24} {len(all_found):>7} {share:>6.0%}")
    lines += ["", "Expected mean KL divergence (low to high) by parameters, imatrix not known:", ""]
    lines.append(f"{'':<20}" + "".join(f"{size / 1e9:>26.1f} B" for size in SIZES))
    for label in LABELS:
        cells = []
        for size in SIZES:
            loss = expected_loss(label, size)
            assert loss is not None
            cells.append(f"{loss.likely:.2g} ({loss.low:.2g} to {loss.high:.2g})")
        lines.append(f"{label:<20}" + "".join(f"{cell:>28}" for cell in cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = command_line(__doc__, "benchmarks.expected_loss")
    parser.add_argument("--own", action="store_true", help="take our own figures over anew")
    if parser.parse_args().own:
        sources = {source for source, _, _ in OWN.values()}
        others = [_bare(row) for row in measurements() if row.source not in sources]
        write_data([*others, *own_rows()])
        return
    text = table()
    (RESULTS / "expected-loss.txt").write_text(text, encoding="utf-8")
    print(text, end="")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bare(row: Measurement) -> dict[str, Any]:
    """Without what is not known."""
    return {key: value for key, value in asdict(row).items() if key != "maker" or value}


if __name__ == "__main__":
    main()
