"""Writes tests/data/gguf_golden.json: what llama.cpp's own converter makes of our checkpoints.

Run by hand, in an environment of its own with torch and transformers, on the llama.cpp sources of
llama-cpp-python's source archive; the tests only read the result:

    python -m tests.golden.make_gguf_golden path/to/vendor/llama.cpp

The tiny tokenizers are not among those the converter knows by hash, so their names are handed in.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.helpers.checkpoints import KINDS, PRE_TOKENIZERS, write_checkpoint

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "gguf_golden.json"


def shortened(value: Any) -> Any:
    """Long lists as a digest of their JSON."""
    if isinstance(value, list) and len(value) > 20:
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()
    return value


def describe(path: Path, gguf: Any) -> dict[str, Any]:
    """Metadata (type and value) and tensors (format, shape, digest) of a GGUF file."""
    reader = gguf.GGUFReader(path)
    metadata = {
        name: [[int(t) for t in field.types[:2]], shortened(field.contents())]
        for name, field in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    tensors = {
        tensor.name: [
            tensor.tensor_type.name,
            [int(n) for n in tensor.shape[::-1]],
            hashlib.sha256(tensor.data.tobytes()).hexdigest(),
        ]
        for tensor in reader.tensors
    }
    return {"metadata": metadata, "tensors": tensors}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sources", type=Path)
    sources = parser.parse_args().sources
    sys.path[:0] = [str(sources), str(sources / "gguf-py")]
    import convert_hf_to_gguf as reference
    import gguf
    from conversion.base import TextModel

    golden: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for kind in KINDS:
            folder = write_checkpoint(kind, Path(temporary) / f"Tiny-{kind}")
            TextModel.get_vocab_base_pre = lambda self, tokenizer, k=kind: PRE_TOKENIZERS[k]
            for outtype in ("f32", "f16", "bf16"):
                out = Path(temporary) / f"{kind}-{outtype}.gguf"
                sys.argv = ["convert", str(folder), "--outfile", str(out), "--outtype", outtype]
                reference.main()
                golden.setdefault(kind, {})[outtype] = describe(out, gguf)
    GOLDEN.write_text(json.dumps(golden, ensure_ascii=False, indent=None, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
