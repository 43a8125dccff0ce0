"""The program itself on a real X server: it opens, is filled, is photographed and ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from app.session.session import Session

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "screenshots"

pytestmark = pytest.mark.skipif(
    shutil.which("xvfb-run") is None, reason="xvfb-run is not installed"
)

PROGRAM = """
import sys
from app.__main__ import main
code = main()
print("ENGINES", sorted({"llama_cpp", "onnxruntime", "onnxruntime_genai"} & set(sys.modules)))
sys.exit(code)
"""


def under_x(home: Path, *command: str, scale: int = 1) -> "subprocess.CompletedProcess[str]":
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    environment |= {"QT_QPA_PLATFORM": "xcb", "STILLROOM_HOME": str(home)}
    environment |= {"QT_SCALE_FACTOR": str(scale)} if scale > 1 else {}
    screen = f"-screen 0 {1280 * scale}x{800 * scale}x24"
    return subprocess.run(
        ["xvfb-run", "-a", "-s", screen, *command],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )


def pictures_folder() -> Path:
    docs = os.environ.get("STILLROOM_DOCS_SCREENSHOTS")
    return ROOT / "docs" / "screenshots" if docs else PICTURES


def colours(picture: Path) -> int:
    """How many different colours a grid of points has: a blank window has one or two."""
    image = QImage(str(picture))
    assert not image.isNull()
    assert (image.width(), image.height()) == (1280, 800)
    return len({image.pixel(x, y) for x in range(0, 1280, 5) for y in range(0, 800, 5)})


def test_the_program_opens_its_window_without_any_engine(
    session: Session, stillroom_home: Path
) -> None:
    picture = PICTURES / "start.png"
    picture.unlink(missing_ok=True)
    ended = under_x(
        stillroom_home, sys.executable, "-P", "-c", PROGRAM, "--screenshot", str(picture)
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert colours(picture) > 20
    assert "ENGINES []" in ended.stdout


@pytest.mark.parametrize("language", ["en", pytest.param("zh_CN", marks=pytest.mark.slow)])
def test_every_page_is_drawn_and_photographed(
    session: Session, stillroom_home: Path, language: str
) -> None:
    """The pictures are kept in build/screenshots; with STILLROOM_DOCS_SCREENSHOTS set, in docs/."""
    session.close()
    folder = pictures_folder()
    ended = under_x(
        stillroom_home, sys.executable, "-P", "-m", "tests.helpers.photograph",
        str(stillroom_home), str(folder), language,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    suffix = "" if language == "en" else f"-{language}"
    pages = ("start", "chat", "markdown", "compare", "tour", "models", "models-dark",
             "speed", "speed-dark", "dark")  # fmt: skip
    assert min(colours(folder / f"{page}{suffix}.png") for page in pages) > 20
    small = QImage(str(folder / f"small{suffix}.png"))
    assert (small.width(), small.height()) == (900, 600)


@pytest.mark.slow
def test_pages_are_drawn_sharp_at_twice_the_size(session: Session, stillroom_home: Path) -> None:
    session.close()
    folder = pictures_folder()
    ended = under_x(
        stillroom_home, sys.executable, "-P", "-m", "tests.helpers.photograph",
        str(stillroom_home), str(folder), scale=2,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-2000:]
    for page in ("markdown-2x", "models-2x", "dark-2x"):
        image = QImage(str(folder / f"{page}.png"))
        assert (image.width(), image.height()) == (2560, 1600)
        # Drawn from points, not enlarged: pixels of a pair differ somewhere in every line of text.
        differ = sum(
            image.pixel(x, y) != image.pixel(x + 1, y)
            for y in range(0, 1600, 20)
            for x in range(0, 2560, 2)
        )
        assert differ > 500


@pytest.mark.parametrize(
    "gone", [{"DISPLAY": ":987"}, {"WAYLAND_DISPLAY": "gone", "XDG_RUNTIME_DIR": "/nowhere"}]
)
def test_a_display_that_is_gone_is_told_in_a_sentence(
    stillroom_home: Path, gone: dict[str, str]
) -> None:
    unset = ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "app", "--home", str(stillroom_home)],
        env={**environment, **gone, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1  # not the abort of Qt
    assert "no display" in ended.stderr
    assert "stillroom chat" in ended.stderr
