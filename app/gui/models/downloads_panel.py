"""The downloads at work and in line: progress, rate, time left, pause, cancel, order.

Shows `Downloads` and asks it; knows nothing of how a file is fetched.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QMessageBox,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.downloads.queue import QueueItem
from app.gui.models.downloads import Downloads, error_of
from app.gui.models.model_words import download_words
from app.gui.parts import words
from app.gui.parts.controls import ElidedLabel, IconButton, button, column, label, row
from app.gui.parts.failures import report_button
from app.gui.parts.theme import SPACE_L, SPACE_S, Theme
from app.gui.parts.words import tr
from app.unexpected import is_fault
from app.wording.explain import explain

ASK_FROM = 100_000_000  # bytes on disk from which a cancel is asked about
_SHOWN = 3  # rows before the list scrolls


class DownloadsPanel(QFrame):
    """One row for each download; hidden while there is none."""

    def __init__(self, downloads: Downloads, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._downloads = downloads
        self._theme = theme
        self.rows: dict[str, DownloadRow] = {}
        self.setObjectName("pageHeader")
        self.clear = button(tr("Clear finished"), "link", tr("Installed models are kept"))
        self.clear.clicked.connect(downloads.clear_finished)
        self._elsewhere = label(
            tr("Another Stillroom window is running these downloads."), "muted", wrap=True
        )
        body = QWidget()
        self._list = QVBoxLayout(body)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(SPACE_S)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.setWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L + 8, SPACE_S, SPACE_L + 8, SPACE_S)
        layout.setSpacing(SPACE_S)
        layout.addLayout(row(label(tr("Download queue"), "section"), 1, self.clear))
        layout.addWidget(self._elsewhere)
        layout.addWidget(self._area)
        downloads.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Bring the rows up to date; what has the focus keeps it."""
        items = self._downloads.items
        here = {item.id for item in items}
        for gone in [key for key in self.rows if key not in here]:
            self.rows.pop(gone).deleteLater()
        for place, item in enumerate(items):
            if item.id not in self.rows:
                self.rows[item.id] = DownloadRow(self._downloads, item, self._theme)
            found = self.rows[item.id]
            if self._list.indexOf(found) != place:
                self._list.insertWidget(place, found)
            found.show_item(item)
        self.clear.setVisible(any(item.state == "done" for item in items))
        self._elsewhere.setVisible(self._downloads.run_elsewhere)
        self.setVisible(bool(items))
        shown = list(self.rows.values())[:_SHOWN]
        height = sum(each.sizeHint().height() + SPACE_S for each in shown)
        self._area.setFixedHeight(height)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for each in self.rows.values():
            each.set_theme(theme)
        self.refresh()


class DownloadRow(QFrame):
    """One download with its buttons."""

    def __init__(self, downloads: Downloads, item: QueueItem, theme: Theme) -> None:
        super().__init__()
        self._downloads = downloads
        self._item = item
        self._theme = theme
        name = item.request.name
        self._name = ElidedLabel(name, "strong", Qt.TextElideMode.ElideMiddle)
        self._words = ElidedLabel("", "small")
        self._problem = label("", "small", wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(tr("Progress of {0}", name))
        self.pause = IconButton("pause", tr("Pause"), theme)
        self.pause.clicked.connect(self._pause_or_resume)
        self.first = IconButton("send", tr("Download first"), theme)
        self.first.clicked.connect(lambda: downloads.prioritise(item.id))
        self.cancel = IconButton("close", tr("Cancel"), theme)
        self.cancel.clicked.connect(self._cancel)
        self.report = report_button()
        texts = column(self._name, self._words, self._bar, self._problem, spacing=2)
        texts.addLayout(row(self.report, 1))
        layout = row(spacing=SPACE_S)
        layout.addLayout(texts, 1)
        for each in (self.pause, self.first, self.cancel):
            layout.addWidget(each)
        self.setLayout(layout)
        self.show_item(item)

    def show_item(self, item: QueueItem) -> None:
        """The download as it is now."""
        self._item = item
        name, state = item.request.name, item.state
        self._words.setText(download_words(item))
        self._bar.setVisible(state not in ("done", "failed"))
        self._bar.setRange(0, 1000 if item.total else 0)
        if item.total:
            self._bar.setValue(round(1000 * item.received / item.total))
        error = error_of(item)
        wording = explain(error) if error is not None else None
        self._problem.setText(f"{tr(wording.sentence)} {tr(wording.hint)}" if wording else "")
        self._problem.setVisible(wording is not None)
        self.report.setVisible(error is not None and is_fault(error))
        stopped = state in ("paused", "failed", "waiting")
        icon, text = ("continue", tr("Resume {0}")) if stopped else ("pause", tr("Pause {0}"))
        self.pause.set_icon(icon, self._theme)
        for each, spoken in (
            (self.pause, text.format(name)),
            (self.first, tr("Download {0} first", name)),
            (self.cancel, tr("Cancel {0}", name)),
        ):
            each.setToolTip(spoken)
            each.setAccessibleName(spoken)
            each.setVisible(state != "done" and not self._downloads.run_elsewhere)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for each in (self.pause, self.first, self.cancel):
            each.set_theme(theme)

    def _pause_or_resume(self) -> None:
        if self._item.state in ("paused", "failed", "waiting"):
            self._downloads.resume(self._item.id)
        else:
            self._downloads.pause(self._item.id)

    def _cancel(self) -> None:
        item = self._item
        if item.received >= ASK_FROM:
            question = tr("Discard the {0} already downloaded?", words.size(item.received))
            answer = QMessageBox.question(self, tr("Cancel {0}", item.request.name), question)
            if answer != QMessageBox.StandardButton.Yes:
                return
        self._downloads.cancel(item.id)
