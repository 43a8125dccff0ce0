"""Drives the program's own window in a process of its own: `window_driver.py PART`.

The window is the one `app.gui.application.run_window` opens, on the home and hub that the
environment names; PART says which steps are taken in it, as a person would take them. What is
reached is printed, a line each. A step that fails ends the process with code 1.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from app.gui.application import run_window
from app.gui.main_window import MainWindow
from app.gui.models.quantize import QuantizeDialog
from app.session.entry import open_session
from tests.helpers.streamed_window import spin

REPO = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B-GGUF"
KEY = f"hub:{REPO}"
NAME = "deepseek-r1-distill-qwen-7b-gguf-q4_1"


def tell(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def wait(what: Callable[[], object], why: str, seconds: float = 120) -> None:
    assert spin(lambda: bool(what()), seconds), f"waited in vain: {why}"


def press(page: QWidget, name: str) -> None:
    """Press the button of that object name with the keyboard."""
    found = page.findChild(QPushButton, name)
    assert found is not None, f"no button {name}"
    assert found.isVisible(), f"{name} is hidden"
    found.setFocus()
    QTest.keyClick(found, Qt.Key.Key_Space)


def search_and_download(window: MainWindow) -> None:
    """Search, look at the details, Download, pause in the middle; then wait to be killed."""
    window.show_page("models")
    QTest.keyClicks(window.model_list.search, "distill qwen 7b")
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)
    wait(lambda: window.library.item(KEY), "the search's answer")
    window.model_list.select(KEY)
    detail = window.models_page.detail
    wait(lambda: detail.variants is not None, "the variants")
    assert detail.variants is not None
    offers = detail.variants.offers
    tell(variants=[offer.label for offer in offers if offer.plan is not None])
    press(detail, "getVariant")
    downloads = window.library.downloads
    wait(lambda: any(item.received > 20_000_000 for item in downloads.items), "20 MB")
    press(detail, "pause")
    wait(lambda: downloads.items[0].state == "paused", "the pause")
    tell(paused=downloads.items[0].received)
    spin(lambda: False, 60)


def resume_and_chat(window: MainWindow) -> None:
    """Resume, verify, quantize, chat; then close."""
    downloads = window.library.downloads
    (item,) = downloads.items
    tell(found=item.received, state=item.state)
    window.show_page("models")
    row = window.models_page.downloads.rows[item.id]
    assert row.isVisible()
    row.pause.setFocus()
    QTest.keyClick(row.pause, Qt.Key.Key_Space)
    elsewhere = QWidget()
    elsewhere.show()
    elsewhere.activateWindow()
    wait(lambda: not window.isActiveWindow(), "another window in front")
    wait(lambda: window.library.item(NAME), "the installed model")
    wait(lambda: window.announcements.notices.last, "the notification")
    tell(notice=window.announcements.notices.last)
    elsewhere.close()
    window.activateWindow()
    detail = window.models_page.detail
    window.model_list.select(NAME)
    press(detail, "verify")
    wait(lambda: any("Verified" in text for text in texts(detail)), "the verification")
    tell(verified=True)
    press(detail, "quantize")
    wait(lambda: window.findChild(QuantizeDialog), "the dialog")
    dialog = window.findChild(QuantizeDialog)
    assert isinstance(dialog, QuantizeDialog)
    tell(expected=dialog.expectation.text())
    dialog.measure.setChecked(False)
    dialog.anyway.setChecked(True)
    # What is recommended depends on this machine's speed, and may take minutes to make.
    dialog.target.setCurrentIndex(dialog.target.findData("gguf"))
    dialog.recipe.setCurrentIndex(dialog.recipe.findData("q4_0"))
    press(dialog, "startQuantize")
    made = f"{NAME}-q4_0"
    wait(lambda: window.library.item(made), "the quantized model", 120)
    made_item = window.library.item(made)
    assert made_item is not None
    tell(quantized=made_item.size)
    wait(lambda: not window.bridge.busy, "the plans")
    window.model_list.select(made)
    press(detail, "chat")
    assert window.models.chosen == made
    wait(lambda: window.models.plan, "the plan")
    window.chat.set_options(max_tokens=24, sampling={"temperature": 0.0})
    composer = window.chat_page.composer
    QTest.keyClicks(composer.text, "What is the capital of France?")
    QTest.keyClick(composer.text, Qt.Key.Key_Return)
    wait(lambda: window.chat.busy, "the answer's start")
    wait(lambda: not window.chat.busy, "the answer's end", 120)
    message = window.chat_page.transcript.views()[-1].message
    tell(answer=message.content + message.reasoning, model=message.model, stats=message.stats)
    window.close()


def texts(page: QWidget) -> list[str]:
    """What the labels of a page say."""
    return [str(label.property("text")) for label in page.findChildren(QWidget)]


PARTS = {"download": search_and_download, "chat": resume_and_chat}


def main(part: str) -> int:
    application = QApplication(["stillroom"])

    def begin() -> None:
        (window,) = (w for w in application.topLevelWidgets() if isinstance(w, MainWindow))
        try:
            wait(lambda: not window.bridge.busy, "the start")
            PARTS[part](window)
        except BaseException:
            try:
                traceback.print_exc()
                sys.stderr.flush()
            finally:  # nobody may read any more: no question must keep this process
                os._exit(1)

    QTimer.singleShot(200, begin)
    return run_window(open_session(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
