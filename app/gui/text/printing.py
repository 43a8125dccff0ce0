"""A conversation as a document for paper: as the window draws it, in its light colours.

Knows text documents and pages, no printer. Thinking is left out: it can run to hundreds of pages.
"""

from collections.abc import Sequence

from PySide6.QtCore import QSizeF
from PySide6.QtGui import (
    QColor,
    QFont,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)

from app.gui.parts.theme import LIGHT, TEXT_LARGE, TEXT_SMALL, TEXT_TITLE, ui_font
from app.gui.parts.words import tr
from app.gui.text.document_writer import DocumentWriter, RenderStyle
from app.gui.text.formulas import FormulaCache
from app.history.records import Conversation, StoredMessage
from app.markup.markdown import parser

PIXELS_PER_INCH = 96.0
_RATIO = 4.0  # formulas are drawn for about 400 dots an inch


def printable(
    conversation: Conversation, messages: Sequence[StoredMessage], page: QSizeF
) -> QTextDocument:
    """The messages on pages of that size (pixels at 96 to the inch, margins excluded)."""
    document = QTextDocument()
    document.setDocumentMargin(0)
    document.setPageSize(page)
    writer = DocumentWriter(document, RenderStyle(LIGHT, _RATIO, page.width()), FormulaCache())
    _line(document, conversation.title, TEXT_TITLE, fresh=True)
    fresh = False
    for message in messages:
        speaker = tr("You") if message.role == "user" else message.model or tr("Answer")
        _line(document, speaker, TEXT_LARGE, fresh=fresh)
        for each in message.attachments:
            _line(document, f"▪ {each.name}", TEXT_SMALL, fresh=False)
        fresh = writer.write(parser().parse(message.content), fresh=False)
    return document


def _line(document: QTextDocument, text: str, size: int, *, fresh: bool) -> None:
    """One line by itself, at the end."""
    cursor = QTextCursor(document)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    font = ui_font(LIGHT)
    font.setPixelSize(size)
    font.setWeight(QFont.Weight.DemiBold if size > TEXT_SMALL else QFont.Weight.Normal)
    look = QTextCharFormat()
    look.setFont(font)
    look.setForeground(QColor(LIGHT.text if size > TEXT_SMALL else LIGHT.muted))
    block = QTextBlockFormat()
    block.setTopMargin(12.0 if size > TEXT_SMALL else 0.0)
    block.setBottomMargin(6.0)
    if fresh:
        cursor.setBlockFormat(block)
    else:
        cursor.insertBlock(block)
    cursor.insertText(text, look)
