"""Moving the keyboard focus from one part of the window to the next."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget


def move(panes: Sequence[QWidget], step: int) -> None:
    """Focus the visible pane `step` places after the one that has the focus, going round."""
    visible = [pane for pane in panes if pane.isVisible()]
    if not visible:
        return
    focused = QApplication.focusWidget()
    here = -1
    for index, pane in enumerate(visible):
        if focused is not None and (pane is focused or pane.isAncestorOf(focused)):
            here = index
    visible[(here + step) % len(visible)].setFocus(Qt.FocusReason.TabFocusReason)
