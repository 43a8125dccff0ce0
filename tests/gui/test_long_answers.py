"""Long answers: smooth, at a cost that does not grow, and without moving what is being read.

Short forms of what `benchmarks/window.py` measures in full.
"""

from pathlib import Path

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from streamed_window import long_text, scripted_plan, spin, stream, write_script

from app.gui import theme
from app.gui.answer_view import AnswerView
from app.gui.main_window import MainWindow
from app.gui.mathematics import FormulaCache
from app.gui.thinking_view import ThinkingView

MARKDOWN = (
    "## Title {0}\n\nText with **bold**, `code` and \\(x^2\\).\n\n- one\n- two\n  - nested\n\n"
    "```python\nprint({0})\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n"
)


def test_a_long_answer_streams_smoothly(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    script = tmp_path / "long.json"
    write_script(script, 24_000, 4_000, 2000)
    measured = stream(window, script, unfold=True, limit=60)
    assert measured.characters >= 28_000
    assert measured.frames_per_second > 25  # 35 on an idle machine; tests share theirs
    assert measured.frame_late < 2 * measured.frame_early + 3
    assert measured.memory_late - measured.memory_early < 16 * 2**20
    views = window.chat_page.transcript.views()
    message = views[-1].message
    thinking = views[-1].thinking
    assert thinking is not None
    assert "".join(thinking.text().split()) == "".join(message.reasoning.split())
    assert message.content.rstrip().endswith("2. second with *care*")


def test_reading_back_is_not_disturbed(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    script = tmp_path / "long.json"
    write_script(script, 4, 30_000, 600)
    window.models.choose(str(script), plan=False)
    window.models.plan = scripted_plan()
    window.chat.send("Go.")
    page = window.chat_page.transcript
    bar = page.verticalScrollBar()
    assert spin(lambda: bar.maximum() > 400, 30)
    assert page.following
    bar.setValue(120)
    followed = [page.following]
    assert followed == [False]
    seen: set[int] = set()
    bar.valueChanged.connect(seen.add)
    before = bar.maximum()
    assert spin(lambda: bar.maximum() > before + 400, 30)
    assert seen == set()
    assert bar.value() == 120
    bar.valueChanged.disconnect(seen.add)
    page.follow()
    assert spin(lambda: bar.maximum() > before + 800, 30)
    assert bar.value() == bar.maximum()
    window.chat.stop()
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=10000)


def test_nothing_shines_through_the_messages(qtbot: QtBot, window: MainWindow) -> None:
    """What was on the page before is covered, whatever the theme and wherever one scrolls."""
    store = window.session.store
    chat = store.add_conversation("Stills")
    parent = None
    for number in range(6):
        text = long_text(MARKDOWN, 600) if number % 2 else "Why copper?"
        role = "assistant" if number % 2 else "user"
        parent = store.add_message(chat.id, role, text, parent_id=parent).id  # type: ignore[arg-type]
    window.open_conversation(chat.id)
    page = window.chat_page.transcript
    for look in (theme.choose("light", 100, False), theme.choose("dark", 100, True)):
        window.set_theme(look)
        for share in (1.0, 0.3, 0.7):
            bar = page.verticalScrollBar()
            bar.setValue(round(bar.maximum() * share))
            qtbot.wait(30)
            image = page.viewport().grab().toImage()
            edge = {image.pixelColor(2, y).name() for y in range(image.height())}
            assert edge == {look.surface}


def test_growing_text_ends_as_the_same_document_as_settled_text(
    qtbot: QtBot, qapp: QApplication
) -> None:
    look = theme.choose("light", 100, False)
    text = long_text(MARKDOWN, 1500)
    views = [AnswerView(look, FormulaCache()) for _ in range(2)]
    for view in views:
        qtbot.addWidget(view)
        view.resize(600, 100)
        view.show()
    for start in range(0, len(text), 7):
        views[0].append(text[start : start + 7])
    views[0].settle()
    views[1].set_markdown(text)
    qapp.processEvents()
    assert views[0].toPlainText() == views[1].toPlainText()
    assert views[0].document().size() == views[1].document().size()
    assert views[0].code(0) == "print(1)"


def test_remote_content_and_html_stay_text(qtbot: QtBot, qapp: QApplication) -> None:
    view = AnswerView(theme.choose("dark", 100, False), FormulaCache())
    qtbot.addWidget(view)
    view.set_markdown(
        "![pixel](https://example.org/x.png) <img src='file:///etc/passwd'> "
        "[bad](javascript:alert(1)) [good](https://example.org)"
    )
    html = view.toHtml()
    assert "<img" not in html
    assert 'href="java' not in html
    assert 'href="https://example.org"' in html
    assert "<img src='file:///etc/passwd'>" in view.toPlainText()


def test_formulas_are_pictures_and_broken_ones_are_text(qtbot: QtBot, qapp: QApplication) -> None:
    view = AnswerView(theme.choose("light", 100, False), FormulaCache())
    qtbot.addWidget(view)
    view.set_markdown(
        r"So \(\frac{a}{b}\), $\boxed{42}$ and \[ \sum_i i^2 \] but \(\frac{\) costs $5."
    )
    assert view.toHtml().count("<img") == 3
    assert r"\frac{" in view.toPlainText()
    assert "$5" in view.toPlainText()


def test_folding_the_thinking_keeps_its_text(qtbot: QtBot, qapp: QApplication) -> None:
    view = ThinkingView(theme.choose("light", 100, False), unfolded=False)
    qtbot.addWidget(view)
    view.show()
    view.append("first thought ", 3, 1.0)
    assert "folded" in view.accessibleName()
    view.set_unfolded(True)
    view.append("and another", 5, 2.0)
    view.finish(5, 2.0)
    assert view.text() == "first thought and another"
    assert view.accessibleName() == "Thought · 2.0 s · 5 tokens, unfolded"
