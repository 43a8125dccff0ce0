"""One message's text as a growing Markdown document, as tall as its content. Knows no message.

Words that only lengthen the last line are put behind it. Otherwise the end of the text that may
still change is written again, and never more often than its cost allows, so that a long answer
costs no more per frame than a short one.
"""

import time

from PySide6.QtCore import QCoreApplication, QEvent, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QTextCursor,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from app.gui.parts.theme import TEXT_LARGE, Theme, ui_font
from app.gui.parts.words import tr
from app.gui.text.document_writer import COPY_SCHEME, DocumentWriter, RenderStyle
from app.gui.text.formulas import FormulaCache
from app.markup.markdown import ends_in_words, grow, lengthens, parser

_RENDER_SHARE = 0.06  # of one core, at most, goes into writing what has come
# What a taller message moves asks for its layout one after the other: message, holder, page, view.
# Left to Qt they would be drawn twice, before the last and after it.
_LAYOUTS = 4


class MarkdownView(QTextBrowser):
    """Read-only Markdown. `append` for streams, `set_markdown` for settled text.

    `covering`: it stands on the theme's surface and paints that itself, so that nothing behind it
    is drawn with a frame and growing draws what is new.
    """

    link_clicked = Signal(str)

    def __init__(
        self,
        theme: Theme,
        formulas: FormulaCache,
        parent: QWidget | None = None,
        *,
        covering: bool = False,
    ) -> None:
        super().__init__(parent)
        self._covering = covering
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent, covering)
        self._theme = theme
        self._formulas = formulas
        self._markdown = parser()
        self._text = ""
        self._drawn_chars = 0
        self._ends_in_words = False
        self._settled_chars = 0
        self._settled_end = 0
        self._settled_codes = 0
        self._fresh_at_settled = True
        self._next_render = 0.0
        self._width = 0
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setAccessibleName(tr("Message text"))
        self.document().setDocumentMargin(0)
        self.document().setDefaultFont(ui_font(theme, TEXT_LARGE))
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.anchorClicked.connect(self._clicked)
        self._writer = self._new_writer()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._draw)

    @property
    def markdown(self) -> str:
        """The whole text as it was written."""
        return self._text

    def set_markdown(self, text: str) -> None:
        """Show `text` and nothing else."""
        self._later.stop()
        self._settled_chars = self._settled_end = self._settled_codes = 0
        self._fresh_at_settled = True
        self.document().clear()
        self._writer = self._new_writer()
        self._text = _with_line_feeds(text)
        self._render()

    def append(self, text: str) -> None:
        """Add to the end; drawn now, or soon when drawing has become expensive."""
        self._text += _with_line_feeds(text)
        wait = self._next_render - time.perf_counter()
        if wait <= 0:
            self._draw()
        elif not self._later.isActive():
            self._later.start(max(round(wait * 1000), 1))

    def settle(self) -> None:
        """Draw what `append` has put off."""
        if self._later.isActive():
            self._later.stop()
            self._draw()

    def set_theme(self, theme: Theme) -> None:
        """Draw everything again in other colours."""
        self._theme = theme
        self.document().setDefaultFont(ui_font(theme, TEXT_LARGE))
        self.set_markdown(self._text)

    def code(self, index: int) -> str:
        """The text of one code block."""
        return self._writer.code_blocks[index]

    def _new_writer(self) -> DocumentWriter:
        return DocumentWriter(self.document(), self._style(), self._formulas)

    def _style(self) -> RenderStyle:
        return RenderStyle(self._theme, self.devicePixelRatioF(), float(max(self.width() - 4, 0)))

    def _draw(self) -> None:
        """Bring what has come since the last time into the document."""
        started, height = time.perf_counter(), self.height()
        shown = self._text[self._settled_chars : self._drawn_chars]
        more = self._text[self._drawn_chars :]
        if self._ends_in_words and lengthens(shown, more):
            gap = shown[len(shown.rstrip(" ")) :]  # Markdown shows no spaces at its end
            self._writer.extend((gap + more).rstrip(" "))
            self._drawn_chars = len(self._text)
        else:
            self._render()
        if self.height() != height:
            for _ in range(_LAYOUTS):
                QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        cost = time.perf_counter() - started
        self._next_render = time.perf_counter() + cost / _RENDER_SHARE

    def _render(self) -> None:
        self._writer.style = self._style()
        growth = grow(self._markdown, self._text[self._settled_chars :])
        whole = QTextCursor(self.document())
        whole.beginEditBlock()  # one layout of message and page for taking back and writing again
        fresh = self._cut_open_end()
        if growth.settled:
            fresh = self._writer.write(growth.settled, fresh=fresh)
            self._settled_chars += growth.settled_chars
            self._settled_codes = len(self._writer.code_blocks)
            self._fresh_at_settled = fresh
            self._settled_end = self._end().position()
        self._writer.write(growth.open, fresh=fresh)
        whole.endEditBlock()
        self._drawn_chars = len(self._text)
        self._ends_in_words = ends_in_words(growth.open)

    def _cut_open_end(self) -> bool:
        """Take back what was written after the settled part; returns whether a block is free."""
        del self._writer.code_blocks[self._settled_codes :]
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._settled_end)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        if cursor.hasSelection():
            cursor.removeSelectedText()
        return self._fresh_at_settled

    def _end(self) -> QTextCursor:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        return cursor

    def _clicked(self, url: QUrl) -> None:
        if url.scheme() == COPY_SCHEME:
            QGuiApplication.clipboard().setText(self.code(int(url.path())))
        else:
            self.link_clicked.emit(url.toString())

    def _fit(self) -> None:
        height = round(self.document().size().height()) + 2
        if height != self.height():
            self.setFixedHeight(height)

    def sizeHint(self) -> QSize:
        return QSize(400, max(round(self.document().size().height()), 10))

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 10)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # Set before there is a window it would have no effect.
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_StaticContents, self._covering)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._covering:
            QPainter(self.viewport()).fillRect(event.rect(), QColor(self._theme.surface))
        super().paintEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != self._width:
            self._width = event.size().width()
            self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the page scrolls, not the message

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()


def _with_line_feeds(text: str) -> str:
    """Markdown ends lines at carriage returns, too; what is settled is counted in line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
