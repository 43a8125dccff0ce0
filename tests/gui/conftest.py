"""The real window on a real session: the starter model, a real worker, a home of its own."""

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.session.session import Session


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, session: Session) -> Iterator[MainWindow]:
    """The main window, filled, with the starter chosen and planned."""
    qapp.setStyle("Fusion")
    look = theme.choose("light", 100, False)
    theme.apply(qapp, look)
    window = MainWindow(session, look)
    qtbot.addWidget(window)
    window.show()
    window.start()
    qtbot.waitUntil(
        lambda: window.models.plan is not None and not window.bridge.busy, timeout=20000
    )
    yield window
    window.close()
