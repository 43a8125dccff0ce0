"""Design tokens, and the palette and stylesheet made from them. The only file with colours in it.

Knows no page: widgets ask for a role through the `kind` property or their object name.
"""

from dataclasses import dataclass
from functools import cache
from string import Template

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from app.gui.parts.stylesheet import STYLESHEET

SPACE_XS, SPACE_S, SPACE_M, SPACE_L, SPACE_XL = 4, 8, 12, 16, 24
RADIUS = 6
TEXT_SMALL, TEXT_BODY, TEXT_LARGE, TEXT_TITLE = 12, 13, 15, 20
READING_WIDTH = 620  # pixels of about 75 characters of TEXT_LARGE at 100 %

_UI_FAMILIES = (
    "Inter",
    "Segoe UI",
    "SF Pro Text",
    "Cantarell",
    "Noto Sans",
    "Ubuntu",
    "DejaVu Sans",
)
_CJK_FAMILIES = ("Noto Sans CJK SC", "Microsoft YaHei UI", "PingFang SC", "Source Han Sans SC")
_MONO_FAMILIES = (
    "JetBrains Mono",
    "Cascadia Mono",
    "SF Mono",
    "Menlo",
    "Consolas",
    "DejaVu Sans Mono",
)


@dataclass(frozen=True)
class Theme:
    """One set of colours (as #rrggbb) and the user's text scale in percent."""

    name: str
    window: str
    surface: str
    raised: str
    rail: str
    border: str
    strong_border: str
    text: str
    muted: str
    accent: str
    on_accent: str
    accent_soft: str
    hover: str
    selected: str
    good: str
    warning: str
    bad: str
    bad_soft: str
    code: str
    inline_code: str
    focus: str
    segments: tuple[str, ...]
    scale: int = 100

    @property
    def dark(self) -> bool:
        return self.name == "dark"

    def px(self, size: int) -> int:
        """A text size in pixels after the user's scale."""
        return max(round(size * self.scale / 100), 1)


LIGHT = Theme(
    name="light",
    window="#f6f5f2",
    surface="#fdfcfa",
    raised="#ffffff",
    rail="#ecebe6",
    border="#dddbd4",
    strong_border="#8d8a82",
    text="#1d1c1a",
    muted="#5c5a54",
    accent="#9c4a17",
    on_accent="#ffffff",
    accent_soft="#f5e6da",
    hover="#e9e7e1",
    selected="#e2ded5",
    good="#1f6b3a",
    warning="#855000",
    bad="#b3261e",
    bad_soft="#fbe9e7",
    code="#f1efea",
    inline_code="#7a3a10",
    focus="#9c4a17",
    segments=("#9c4a17", "#3f6d8e", "#6b7f3a", "#8a6a9c", "#a98b2d", "#b0476b"),
)
DARK = Theme(
    name="dark",
    window="#18191b",
    surface="#1d1f21",
    raised="#26282b",
    rail="#131415",
    border="#34373b",
    strong_border="#7b8087",
    text="#e9e8e5",
    muted="#a9acb1",
    accent="#e9a06a",
    on_accent="#1f1108",
    accent_soft="#3a2a1e",
    hover="#2a2d30",
    selected="#33373b",
    good="#7cc495",
    warning="#e5b45c",
    bad="#f2938a",
    bad_soft="#3d2322",
    code="#141517",
    inline_code="#f0bd93",
    focus="#e9a06a",
    segments=("#d98a52", "#6fa3c7", "#a3bb6a", "#b798c9", "#d6bb5c", "#df86a6"),
)


def choose(setting: str, scale: int, system_dark: bool) -> Theme:
    """The theme for a setting of "system", "light" or "dark"."""
    dark = system_dark if setting == "system" else setting == "dark"
    base = DARK if dark else LIGHT
    return Theme(**{**base.__dict__, "scale": scale})


def system_is_dark(application: QApplication) -> bool:
    """Whether the desktop asks for a dark appearance."""
    return application.styleHints().colorScheme() == Qt.ColorScheme.Dark


@cache
def _families(wanted: tuple[str, ...]) -> list[str]:
    """Two of these that the machine has, and its families for Chinese behind them."""
    available = set(QFontDatabase.families())
    found = [family for family in wanted if family in available][:2]
    return found + [family for family in _CJK_FAMILIES if family in available]


def ui_font(theme: Theme, size: int = TEXT_BODY) -> QFont:
    """The interface font, with families for Chinese behind the first one the machine has."""
    families = _families(_UI_FAMILIES)
    font = QFont()
    if families:
        font.setFamilies(families)
    font.setPixelSize(theme.px(size))
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(theme: Theme) -> QFont:
    """The code font."""
    families = _families(_MONO_FAMILIES)
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    if families:
        font.setFamilies(families)
    font.setPixelSize(theme.px(TEXT_BODY))
    return font


def apply(application: QApplication, theme: Theme) -> None:
    """Give the whole application this theme."""
    application.setFont(ui_font(theme))
    application.setPalette(palette(theme))
    application.setStyleSheet(stylesheet(theme))


def palette(theme: Theme) -> QPalette:
    """Qt's palette for what the stylesheet does not reach (native dialogs, text documents)."""
    result = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.window,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.surface,
        QPalette.ColorRole.AlternateBase: theme.window,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.muted,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.LinkVisited: theme.accent,
        QPalette.ColorRole.Accent: theme.accent,
    }
    for role, colour in roles.items():
        result.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.strong_border))
    return result


def set_kind(widget: QWidget, kind: str) -> None:
    """Give a widget a role the stylesheet knows, and restyle it."""
    widget.setProperty("kind", kind)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def contrast(first: str, second: str) -> float:
    """WCAG contrast ratio of two colours, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def stylesheet(theme: Theme) -> str:
    """The application's one stylesheet."""
    values = {name: value for name, value in theme.__dict__.items() if isinstance(value, str)}
    values |= {
        "small": f"{theme.px(TEXT_SMALL)}px",
        "body": f"{theme.px(TEXT_BODY)}px",
        "large": f"{theme.px(TEXT_LARGE)}px",
        "title": f"{theme.px(TEXT_TITLE)}px",
        "radius": f"{RADIUS}px",
    }
    return Template(STYLESHEET).substitute(values)
