"""Writes tests/data/onnx/golden.json: logits of the tiny checkpoints computed by transformers.

Run by hand, in an environment of its own that has torch and transformers (the project needs
neither): `python -m tests.golden.make_onnx_golden`.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from tests.helpers import tiny_checkpoints

TARGET = Path(__file__).parents[1] / "data" / "onnx" / "golden.json"


def main() -> None:
    golden = {}
    for kind in tiny_checkpoints.CONFIGS:
        with tempfile.TemporaryDirectory() as name:
            folder = tiny_checkpoints.write_checkpoint(Path(name), kind)
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            ids = torch.tensor([tiny_checkpoints.PROMPT])
            logits = model(ids).logits[0, -1].numpy()
        golden[kind] = [round(float(value), 4) for value in np.asarray(logits)]
    document = {
        "made_with": {"transformers": transformers.__version__, "torch": torch.__version__},
        "logits": golden,
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    main()
