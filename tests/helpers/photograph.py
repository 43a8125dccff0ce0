"""Photographs the real window on a real X server, page by page: `photograph.py HOME FOLDER [LANG]`.

HOME holds an installed model; what is shown is measured and answered by it. The sample conversation
is marked as such: it shows what the window can draw.
"""

import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from app.gui.application import install_language
from app.gui.dialogs.help import HelpDialog
from app.gui.dialogs.settings import SettingsDialog
from app.gui.dialogs.tour import Tour
from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from tests.helpers.streamed_window import spin

SAMPLE = r"""Note that **the antiderivative** of \(e^{-x}\) is \(-e^{-x}\):

\[ \int_0^\infty e^{-x}\,dx = \left[-e^{-x}\right]_0^\infty = 1 \]

```python
def area(steps: int, end: float = 40.0) -> float:
    # the trapezium rule
    width = end / steps
    return sum(math.exp(-i * width) for i in range(steps)) * width
```

| steps | result | error |
|---:|---:|---:|
| 1 000 | 1.0201 | 2 % |
| 100 000 | 1.0002 | 0.02 % |

1. The sum tends to the exact value.
2. So the answer is \(\boxed{1}\).
"""


def settle(window: MainWindow) -> None:
    """Until nothing runs, and what is shown is drawn."""
    spin(lambda: not window.bridge.busy, 60)
    spin(lambda: False, 0.4)


def shoot(window: MainWindow, path: Path) -> None:
    """From the screen, as a person sees it."""
    settle(window)
    picture = window.screen().grabWindow(window.winId())
    assert not picture.isNull()
    assert picture.save(str(path))


def prepare(window: MainWindow) -> int:
    """A sample conversation and a real answer."""
    store = window.session.store
    chat = store.add_conversation("An integral", options={"model": window.models.chosen})
    ask = store.add_message(chat.id, "user", "What is the area under exp(-x)? Show code.")
    store.add_message(
        chat.id, "assistant", "It is exactly \\(1\\).", parent_id=ask.id, model="sample text"
    )
    store.add_message(
        chat.id, "assistant", SAMPLE, parent_id=ask.id, model="sample text",
        reasoning="The antiderivative is simple. I should check it with a sum as well.",
        stats={"reasoning_tokens": 16, "reasoning_seconds": 1.2},
    )  # fmt: skip
    window.new_chat()
    window.chat.set_options(sampling={"temperature": 0.0})
    window.chat.send("What is the capital of France? Answer in one sentence.")
    spin(lambda: not window.chat.busy, 120)
    return chat.id


def close_up(window: MainWindow, folder: Path) -> int:
    """Some pages on a screen with more than one pixel a point."""
    window.open_conversation(prepare(window))
    shoot(window, folder / "markdown-2x.png")
    window.show_page("models")
    window.model_list.select("deepseek-r1-distill-qwen-7b")
    shoot(window, folder / "models-2x.png")
    window.set_theme(theme.choose("dark", 100, False))
    window.show_page("chat")
    shoot(window, folder / "dark-2x.png")
    window.close()
    window.session.close()
    return 0


def main(home: Path, folder: Path, language: str) -> int:
    application = QApplication(["stillroom"])
    application.setStyle("Fusion")
    translators = install_language(application, language)
    session = Session(Paths.under(home), Settings())
    light = theme.choose("light", 100, False)
    theme.apply(application, light)
    window = MainWindow(session, light)
    window.show()
    window.start()
    spin(lambda: window.models.plan is not None, 60)
    settle(window)
    folder.mkdir(parents=True, exist_ok=True)
    suffix = "" if language == "en" else f"-{language}"
    if window.devicePixelRatioF() > 1:
        return close_up(window, folder)
    shoot(window, folder / f"start{suffix}.png")
    sample = prepare(window)
    shoot(window, folder / f"chat{suffix}.png")
    window.open_conversation(sample)
    shoot(window, folder / f"markdown{suffix}.png")
    window.chat_page.compare_last()
    shoot(window, folder / f"compare{suffix}.png")
    window.show_help()
    (help_dialog,) = window.findChildren(HelpDialog)
    help_dialog.list.setCurrentRow(7)
    spin(lambda: False, 0.3)
    assert help_dialog.grab().save(str(folder / f"help{suffix}.png"))
    help_dialog.close()
    window.new_chat()
    window.show_tour()
    shoot(window, folder / f"tour{suffix}.png")
    window.findChildren(Tour)[-1].end()
    window.open_conversation(sample)
    window.show_page("models")
    window.model_list.select("deepseek-r1-distill-qwen-7b")
    shoot(window, folder / f"models{suffix}.png")
    window.show_page("speed")
    shoot(window, folder / f"speed{suffix}.png")
    window.set_theme(theme.choose("dark", 100, False))
    shoot(window, folder / f"speed-dark{suffix}.png")
    window.show_page("models")
    shoot(window, folder / f"models-dark{suffix}.png")
    window.show_page("chat")
    shoot(window, folder / f"dark{suffix}.png")
    window.resize(900, 600)
    shoot(window, folder / f"small{suffix}.png")
    dialog = SettingsDialog(session.settings, window)
    QTimer.singleShot(500, lambda: dialog.grab().save(str(folder / f"settings{suffix}.png")))
    QTimer.singleShot(700, dialog.close)
    dialog.exec()
    window.close()
    session.close()
    return 0 if translators or language == "en" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), (sys.argv[3:] or ["en"])[0]))
