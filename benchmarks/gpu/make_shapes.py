"""Write shape-exact models: python benchmarks/gpu/make_shapes.py FOLDER SHAPE [SHAPE ...]"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT,):
    sys.path.insert(0, str(folder))

from tests.helpers import shapes  # noqa: E402

if __name__ == "__main__":
    for name in sys.argv[2:]:
        path = Path(sys.argv[1]) / f"{name}.gguf"
        shapes.write_shape_gguf(path, getattr(shapes, name), "Q4_0", vocab_tokens="qwen2")
        print(path, path.stat().st_size, flush=True)
