"""The window's icons: line drawings on a 24 x 24 grid, drawn in the theme's colours.

Each icon is the content of an SVG group with a stroke of 1.75 and round joins.
"""

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

SHAPES = {
    "chat": '<path d="M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H11'
    'l-4.5 4v-4A2.5 2.5 0 0 1 4 13.5z"/>',
    "models": '<path d="M12 3 20 7.5v9L12 21l-8-4.5v-9z"/><path d="M4 7.5 12 12l8-4.5M12 12v9"/>',
    "speed": '<path d="M4.5 17.5a8.5 8.5 0 1 1 15 0"/><path d="m12 14 4-5"/><circle cx="12" cy="14"'
    ' r="1.3"/>',
    "settings": '<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/>'
    '<circle cx="9" cy="17" r="2"/>',
    "help": '<circle cx="12" cy="12" r="8.5"/><path d="M9.6 9.4a2.5 2.5 0 1 1 3.5 2.8c-.8.4-1.1.9'
    '-1.1 1.8M12 17v.1"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "search": '<circle cx="10.8" cy="10.8" r="6.3"/><path d="m15.5 15.5 4.5 4.5"/>',
    "send": '<path d="M12 19V5M6 11l6-6 6 6"/>',
    "stop": '<rect x="7" y="7" width="10" height="10" rx="1.5"/>',
    "attach": '<path d="m19 11.5-7.4 7.2a4.3 4.3 0 0 1-6.1-6.1l7.6-7.4a2.9 2.9 0 0 1 4.1 4.1l-7.5'
    ' 7.3a1.4 1.4 0 0 1-2-2l6.8-6.6"/>',
    "copy": '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M15 9V6a2 2 0 0 0-2-2H6a2 2 '
    '0 0 0-2 2v7a2 2 0 0 0 2 2h3"/>',
    "edit": '<path d="M4.5 19.5 5.6 15 16 4.6a1.6 1.6 0 0 1 2.3 0l1.1 1.1a1.6 1.6 0 0 1 0 2.3L9 '
    '18.4z"/>',
    "again": '<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4L20 9"/><path d="M20 4v5h-5"/>',
    "continue": '<path d="M5 5.5v13l8-6.5zM17.5 5.5v13"/>',
    "trash": '<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7"/>',
    "pin": '<path d="M9 4h6l-.8 6 3.3 3.2H6.5L9.8 10zM12 13.5V20"/>',
    "folder": '<path d="M4 7.5A1.5 1.5 0 0 1 5.5 6h4l2 2.5h7A1.5 1.5 0 0 1 20 10v7.5a1.5 1.5 0 0 '
    '1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5z"/>',
    "left": '<path d="m14.5 6-6 6 6 6"/>',
    "right": '<path d="m9.5 6 6 6-6 6"/>',
    "down": '<path d="m6 9.5 6 6 6-6"/>',
    "download": '<path d="M12 4v11M7 10.5l5 5 5-5M5 19.5h14"/>',
    "pause": '<path d="M8.5 6v12M15.5 6v12"/>',
    "close": '<path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/>',
    "panel": '<rect x="4" y="5" width="16" height="14" rx="2"/><path d="M14.5 5v14"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "tight": '<path d="M12 5 20.5 19h-17zM12 10.5v4M12 16.8v.1"/>',
    "cross": '<circle cx="12" cy="12" r="8"/><path d="m9 9 6 6M15 9l-6 6"/>',
    "more": '<path d="M6 12h.1M12 12h.1M18 12h.1" stroke-width="3"/>',
    "chip": '<rect x="7" y="7" width="10" height="10" rx="1.5"/><path d="M10 4v3M14 4v3M10 17v3'
    'M14 17v3M4 10h3M4 14h3M17 10h3M17 14h3"/>',
    "file": '<path d="M7 4h7l4 4v12H7z"/><path d="M14 4v4h4"/>',
    "export": '<path d="M12 15V4M7.5 8 12 3.5 16.5 8M5 13v6.5h14V13"/>',
    "compare": '<rect x="4" y="5" width="7" height="14" rx="1.5"/><rect x="13" y="5" width="7" '
    'height="14" rx="1.5"/>',
}
# A pot still: the swan neck from the pot to the condenser.
LOGO = (
    '<path d="M5 13.5c0-2.2 1.6-3 1.6-5.2h3.8c0 2.2 1.6 3 1.6 5.2a3.5 3.5 0 0 1-7 0z"/>'
    '<path d="M7 8.3C7 5.2 8.6 4 11 4c3.8 0 5.2 2.3 6.3 5.8"/>'
    '<path d="M15.3 10.5h4l.4 8.5h-4.8zM5.5 20h6"/>'
)


def _svg(shape: str, colour: str) -> QByteArray:
    text = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" '
        f'stroke="{colour}" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">'
        f"{shape}</svg>"
    )
    return QByteArray(text.encode())


@cache
def pixmap(name: str, colour: str, size: int, ratio: float) -> QPixmap:
    """One icon as a pixmap of `size` logical pixels."""
    image = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    shape = LOGO if name == "logo" else SHAPES[name]
    QSvgRenderer(_svg(shape, colour)).render(painter, QRectF(0, 0, image.width(), image.height()))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


def icon(name: str, colour: str, size: int = 20) -> QIcon:
    """One icon in one colour, sharp at the screen's pixel ratio."""
    screen = QGuiApplication.primaryScreen()
    ratio = max(screen.devicePixelRatio() if screen else 1.0, 1.0)
    return QIcon(pixmap(name, colour, size, ratio))
