"""Every icon of the packages, drawn from the window's logo: SVG, PNG, ICO and ICNS.

Runs where PySide6 is installed: `python installers/icons.py FOLDER`. The two containers only wrap
PNG files, so no other tool is needed.
"""

import os
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
ICNS_TYPES = {b"ic07": 128, b"ic08": 256, b"ic09": 512}
TEMPLATE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512" viewBox="0 0 24 24">'
    '<rect width="24" height="24" rx="5.4" fill="#1f6f63"/>'
    '<g transform="translate(2.4 2.4) scale(.8)" fill="none" stroke="#fff" stroke-width="1.75"'
    ' stroke-linecap="round" stroke-linejoin="round">{logo}</g></svg>\n'
)


def draw(folder: Path) -> None:
    """Write stillroom.svg, SIZE.png, stillroom.ico and stillroom.icns into `folder`."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(ROOT))
    from PySide6.QtCore import QBuffer, QByteArray
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    from app.gui.parts.icons import LOGO

    application = QGuiApplication.instance() or QGuiApplication(["icons"])
    folder.mkdir(parents=True, exist_ok=True)
    svg = TEMPLATE.format(logo=LOGO)
    (folder / "stillroom.svg").write_text(svg)
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    pictures: dict[int, bytes] = {}
    for size in SIZES:
        image = QImage(size, size, QImage.Format.Format_ARGB32)
        image.fill(0)
        painter = QPainter(image)
        renderer.render(painter)
        painter.end()
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.WriteOnly)
        image.save(buffer, "PNG")  # type: ignore[call-overload]  # PySide takes str alone, its stubs say bytes
        pictures[size] = bytes(buffer.data().data())
        (folder / f"{size}.png").write_bytes(pictures[size])
    (folder / "stillroom.ico").write_bytes(ico({size: pictures[size] for size in ICO_SIZES}))
    (folder / "stillroom.icns").write_bytes(
        icns({kind: pictures[size] for kind, size in ICNS_TYPES.items()})
    )
    del application


def ico(pictures: dict[int, bytes]) -> bytes:
    """A Windows icon of PNG pictures: a directory of 16 bytes each, then the pictures."""
    head = struct.pack("<HHH", 0, 1, len(pictures))
    offset = len(head) + 16 * len(pictures)
    entries = b""
    for size, picture in pictures.items():
        side = size % 256  # 0 stands for 256
        entries += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(picture), offset)
        offset += len(picture)
    return head + entries + b"".join(pictures.values())


def icns(pictures: dict[bytes, bytes]) -> bytes:
    """An Apple icon of PNG pictures: type and length before each."""
    body = b"".join(
        kind + struct.pack(">I", len(picture) + 8) + picture for kind, picture in pictures.items()
    )
    return b"icns" + struct.pack(">I", len(body) + 8) + body


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
