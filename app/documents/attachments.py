"""Text out of files: plain text and code, PDF, docx. Knows formats and limits; no Qt, no model.

Parsing happens in this process with pure-Python readers under size limits; pictures and anything
active in a document are ignored.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from app.documents.token_estimate import estimated_tokens
from app.errors import UnreadableFile
from app.history.records import Attachment
from runtime.prompt.file_prompt import TextFile, file_prompt

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 20 * 2**20
MAX_PAGES = 500


def read_attachment(path: Path) -> Attachment:
    """The text of one file, with an estimate of its tokens. Raises UnreadableFile."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableFile(name=path.name, reason="missing") from error
    if size > MAX_FILE_BYTES:
        raise UnreadableFile(name=path.name, reason="too_large")
    reader = {".pdf": _pdf, ".docx": _docx}.get(path.suffix.lower(), _text)
    try:
        text = reader(path)
    except UnreadableFile:
        raise
    except Exception as error:  # the readers raise whatever a damaged file leads them to
        log.info("an attachment could not be read", exc_info=error)
        raise UnreadableFile(name=path.name, reason="damaged") from error
    if not text.strip():
        raise UnreadableFile(name=path.name, reason="empty")
    return Attachment(path.name, text, estimated_tokens(text))


def with_attachments(attachments: Sequence[Attachment], question: str) -> str:
    """A user turn as the model is to see it: the files before the question, in the form that
    `runtime.prompt.file_prompt` documents."""
    return file_prompt([TextFile(each.name, each.text) for each in attachments], question)


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    if b"\x00" in data:
        raise UnreadableFile(name=path.name, reason="binary")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:
            return data.decode("latin-1")


def _pdf(path: Path) -> str:
    import pypdf  # a quarter of a second: not every start of the window attaches a PDF

    pages = pypdf.PdfReader(path).pages
    return "\n\n".join(pages[i].extract_text() for i in range(min(len(pages), MAX_PAGES)))


def _docx(path: Path) -> str:
    import docx

    document = docx.Document(str(path))
    parts = [paragraph.text for paragraph in document.paragraphs]
    for table in document.tables:
        parts += ["\t".join(cell.text for cell in row.cells) for row in table.rows]
    return "\n".join(parts)
