"""Two renderers for LaTeX in answers compared: ziamath (in use) and matplotlib's mathtext.

    python -m benchmarks.mathematics [--output FILE]

matplotlib is no dependency of the program: run this in an environment that has both. What R1 writes
is drawn to SVG, each formula fresh; told are the time to import and draw a first one, the time for
each after it, and what could not be drawn at all.
"""

import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from benchmarks.common.options import command_line

FORMULAS = (
    r"x^2 + y_1 = 3",
    r"\frac{a}{b} + \sqrt{x}",
    r"\boxed{42}",
    r"\int_0^\infty e^{-x}\,dx = 1",
    r"\sum_{i=1}^{n} i^2 = \frac{n(n+1)(2n+1)}{6}",
    r"\left[-e^{-x}\right]_0^\infty",
    r"\lim_{x \to 0} \frac{\sin x}{x} = 1",
    r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}",
    r"\begin{cases} x & x > 0 \\ -x & x \le 0 \end{cases}",
    r"\begin{aligned} a &= b + c \\ &= d \end{aligned}",
    r"\binom{n}{k} = \frac{n!}{k!(n-k)!}",
    r"\overline{AB} \parallel \vec{v}",
    r"\text{speed} = \frac{\text{distance}}{\text{time}}",
    r"\mathbb{R}^n \to \mathcal{L}(\mathbf{x})",
    r"\nabla \cdot \vec{E} = \frac{\rho}{\varepsilon_0}",
    r"a \equiv b \pmod{n}",
    r"\dfrac{1}{2} \cdot 60^\circ",
    r"\underbrace{a + a + a}_{3}",
    r"A \xrightarrow{k} B",
    r"\operatorname{rank}(A) \leq \min(m, n)",
)
REPEATS = 5


def ziamath_draw() -> Callable[[str], object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import ziamath

    return lambda source: ziamath.Latex(source, size=17).svg()


def mathtext_draw() -> Callable[[str], object]:
    from matplotlib import mathtext

    def draw(source: str) -> object:
        return mathtext.math_to_image(f"${source}$", io.BytesIO(), format="svg", dpi=72)

    return draw


def compare(name: str, load: Callable[[], Callable[[str], object]]) -> str:
    """One renderer's figures as lines of text."""
    started = time.perf_counter()
    draw = load()
    draw("x")
    first = time.perf_counter() - started
    failed, times = [], []
    for source in FORMULAS:
        try:
            draw(source)
        except Exception:  # each library has its own errors
            failed.append(source)
            continue
        for _ in range(REPEATS):
            begun = time.perf_counter()
            draw(source)
            times.append(1000 * (time.perf_counter() - begun))
    drawn = len(FORMULAS) - len(failed)
    lines = [
        f"{name}: draws {drawn} of {len(FORMULAS)}; import and first formula {first:.2f} s; each"
        f" after it {statistics.median(times):.1f} ms (median), {max(times):.0f} ms (slowest)"
    ]
    lines += [f"    not drawn: {source}" for source in failed]
    return "\n".join(lines)


def main() -> int:
    options = command_line(__doc__, "benchmarks.mathematics")
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    text = "\n".join(
        (compare("ziamath", ziamath_draw), compare("matplotlib mathtext", mathtext_draw))
    )
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
