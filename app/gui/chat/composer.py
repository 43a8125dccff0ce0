"""Where a message is written: text that grows, attachments, context meter, Send or Stop.

Knows nothing about models; the page gives it the context numbers and takes what is sent.
"""

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts import words
from app.gui.parts.controls import IconButton, button, label, restyle
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.history.records import Attachment

MAX_LINES = 10


class Composer(QFrame):
    """Enter sends, Shift+Enter breaks (or the reverse), Esc stops or leaves an edit, Up edits the
    last message."""

    sent = Signal(str, object)  # text, tuple[Attachment, ...]
    stop_asked = Signal()
    attach_asked = Signal()
    files_dropped = Signal(object)  # list[str]
    edit_last_asked = Signal()
    cancel_asked = Signal()
    changed = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._busy = False
        self.enter_sends = True
        self._attachments: dict[QPushButton, Attachment] = {}  # by chip, in their order
        self._total = 0  # tokens of the context
        self.setObjectName("composer")
        self.setAcceptDrops(True)
        self.text = _Text()
        self.text.setPlaceholderText(tr("Ask something"))
        self.text.setAccessibleName(tr("Message"))
        self.text.installEventFilter(self)
        self.text.textChanged.connect(self._text_changed)
        self._chips = QHBoxLayout()
        self._chips.setContentsMargins(0, 0, 0, 0)
        self._chips.setSpacing(6)
        self._chips.addStretch(1)
        self._attach = IconButton("attach", tr("Attach files"), theme)
        self._attach.clicked.connect(self.attach_asked)
        self._meter = label("", "small")
        self._meter.setAccessibleName(tr("Context used"))
        self.send_button = IconButton("send", tr("Send"), theme)
        self.send_button.setProperty("kind", "send")
        self.send_button.clicked.connect(self._send_or_stop)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(0, 0, 0, 0)
        bottom.addWidget(self._attach)
        bottom.addStretch(1)
        bottom.addWidget(self._meter)
        bottom.addSpacing(8)
        bottom.addWidget(self.send_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 8, 8)
        layout.setSpacing(6)
        layout.addLayout(self._chips)
        layout.addWidget(self.text)
        layout.addLayout(bottom)
        self.set_theme(theme)
        self._text_changed()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._attach.set_theme(theme)
        self._draw_send()

    def set_busy(self, busy: bool) -> None:
        """While an answer is made, the button stops it."""
        self._busy = busy
        name = tr("Stop") if busy else tr("Send")
        self.send_button.setToolTip(name)
        self.send_button.setAccessibleName(name)
        self._draw_send()

    def set_context(self, used: int, total: int) -> None:
        """The context meter, in tokens; total 0 hides it."""
        self._total = total
        for chip in self._attachments:
            self._draw_chip(chip)
        if not total:
            self._meter.setText("")
            return
        self._meter.setText(tr("{0} of {1} tokens", words.count(used), words.tokens(total)))
        restyle(self._meter, "warning" if used > 0.9 * total else "small")

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        return tuple(self._attachments.values())

    def add_attachment(self, attachment: Attachment) -> None:
        """Show a file as a chip that can be taken off again."""
        chip = button("", "quiet", tr("Remove {0}", attachment.name))
        chip.setObjectName("chip")
        chip.clicked.connect(lambda: self._remove(chip))
        self._attachments[chip] = attachment
        self._chips.insertWidget(self._chips.count() - 1, chip)
        self._draw_chip(chip)
        self._text_changed()

    def recount(self, attachment: Attachment, tokens: int) -> None:
        """The tokenizer has counted a file that may still be there."""
        for chip, held in self._attachments.items():
            if held is attachment:
                self._attachments[chip] = replace(held, tokens=tokens)
                chip.setProperty("counted", True)
                self._draw_chip(chip)
                self.changed.emit()
                return

    def _draw_chip(self, chip: QPushButton) -> None:
        """Name and tokens; a file that no context holds is told in shape and words."""
        attachment = self._attachments[chip]
        text, tip = attachment.name, tr("Remove {0}", attachment.name)
        if attachment.tokens:
            count = words.count(attachment.tokens)
            known = chip.property("counted")
            text += f" · {tr('{0} tokens', count) if known else tr('about {0} tokens', count)}"
        if 0 < self._total < attachment.tokens:
            text = f"△ {text}"
            longer = tr("Longer than the context of {0} tokens", words.tokens(self._total))
            tip = f"{longer}\n{tip}"
        chip.setText(f"{text}  ×")
        chip.setToolTip(tip)
        chip.setAccessibleDescription(tip)

    def set_text(self, text: str) -> None:
        self.text.setPlainText(text)
        self.text.moveCursor(self.text.textCursor().MoveOperation.End)
        self.text.setFocus()

    def set_draft(self, text: str, attachments: Sequence[Attachment]) -> None:
        """Text and files in place of what is there."""
        self._clear_attachments()
        for each in attachments:
            self.add_attachment(each)
        self.set_text(text)

    def _remove(self, chip: QPushButton) -> None:
        del self._attachments[chip]
        self._chips.removeWidget(chip)
        chip.deleteLater()
        self._text_changed()

    def _send_or_stop(self) -> None:
        if self._busy:
            self.stop_asked.emit()
            return
        text = self.text.toPlainText()
        if not text.strip() and not self._attachments:
            return
        attachments = self.attachments
        self.text.clear()
        self._clear_attachments()
        self.sent.emit(text, attachments)

    def _clear_attachments(self) -> None:
        self._attachments.clear()
        while self._chips.count() > 1:
            item = self._chips.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._draw_send()

    def _text_changed(self) -> None:
        self.text.fit()
        self._draw_send()
        self.changed.emit()

    def _draw_send(self) -> None:
        ready = self._busy or bool(self.text.toPlainText().strip() or self._attachments)
        self.send_button.setEnabled(ready)
        colour = self._theme.on_accent if ready else self._theme.muted
        self.send_button.set_icon("stop" if self._busy else "send", self._theme, colour)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            focused = event.type() == QEvent.Type.FocusIn
            restyle(self, "focused" if focused else "")
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._key(event)
        return False

    def _key(self, event: QKeyEvent) -> bool:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            if shift != self.enter_sends:
                if not self._busy:
                    self._send_or_stop()
                return True
        elif event.key() == Qt.Key.Key_Escape:
            (self.stop_asked if self._busy else self.cancel_asked).emit()
            return True
        elif event.key() == Qt.Key.Key_Up and not self.text.toPlainText():
            self.edit_last_asked.emit()
            return True
        return False

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.files_dropped.emit([u.toLocalFile() for u in event.mimeData().urls()])


class _Text(QPlainTextEdit):
    """As tall as its lines, up to ten."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabChangesFocus(True)
        self.setAcceptDrops(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def fit(self) -> None:
        lines = int(self.document().size().height())
        shown = min(max(lines, 1), MAX_LINES)
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if lines > MAX_LINES else policy.ScrollBarAlwaysOff
        )
        margins = round(2 * self.document().documentMargin()) + 2
        self.setFixedHeight(shown * self.fontMetrics().lineSpacing() + margins)

    def sizeHint(self) -> QSize:
        return QSize(300, self.height())
