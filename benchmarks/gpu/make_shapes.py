"""Write shape-exact models, random weights in Q4_0, for the benchmarks on a GPU.

    python -m benchmarks.gpu.make_shapes FOLDER SHAPE [SHAPE ...]

SHAPE names a constant of tests/helpers/shapes.py, such as R1_QWEN_7B.
"""

from pathlib import Path

from benchmarks.common.options import command_line
from tests.helpers import shapes


def main() -> None:
    parser = command_line(__doc__, "benchmarks.gpu.make_shapes")
    parser.add_argument("folder", type=Path)
    parser.add_argument("shapes", nargs="+", metavar="SHAPE")
    options = parser.parse_args()
    for name in options.shapes:
        path = options.folder / f"{name}.gguf"
        shapes.write_shape_gguf(path, getattr(shapes, name), "Q4_0", vocab_tokens="qwen2")
        print(path, path.stat().st_size, flush=True)


if __name__ == "__main__":
    main()
