"""About: the version, and the licences of everything inside. Knows notices, not where they lie."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QPlainTextEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app import __version__
from app.gui.parts.controls import label
from app.gui.parts.theme import SPACE_L, SPACE_M
from app.gui.parts.words import tr
from app.system.licences import Notice


class AboutDialog(QDialog):
    """A list of packages beside the licence texts of the chosen one."""

    def __init__(self, notices: tuple[Notice, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._notices = notices
        self.setWindowTitle(tr("About Stillroom"))
        self.resize(760, 520)
        self.packages = QListWidget()
        self.packages.setAccessibleName(tr("Included packages"))
        self.packages.addItems([f"{each.name} {each.version}: {each.licence}" for each in notices])
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(tr("Licence"))
        self.packages.currentRowChanged.connect(self._show)
        parts = QSplitter(Qt.Orientation.Horizontal)
        parts.addWidget(self.packages)
        parts.addWidget(self.text)
        parts.setSizes([320, 440])
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.button(QDialogButtonBox.StandardButton.Close).setText(tr("Close"))
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        layout.addWidget(label(f"Stillroom {__version__}", "title"))
        layout.addWidget(label(tr("Free software under the Apache License 2.0. It contains:")))
        layout.addWidget(parts, 1)
        layout.addWidget(close)
        self.packages.setCurrentRow(0)

    def _show(self, row: int) -> None:
        texts = self._notices[row].texts if 0 <= row < len(self._notices) else ()
        self.text.setPlainText("\n\n".join(f"{name}\n\n{text}" for name, text in texts))
