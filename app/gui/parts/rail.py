"""The narrow column that chooses the page."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts import icons
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr

PAGES = ("chat", "models", "speed")


class Rail(QFrame):
    """One button per page, settings at the bottom."""

    page_chosen = Signal(str)
    settings_asked = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.buttons: dict[str, QToolButton] = {}
        self._group = QButtonGroup(self)
        self._logo = QLabel()
        self._logo.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 10, 6, 8)
        layout.setSpacing(4)
        layout.addWidget(self._logo)
        layout.addSpacing(8)
        names = {"chat": tr("Chat"), "models": tr("Models"), "speed": tr("Speed")}
        for page in PAGES:
            made = self._button(names[page])
            made.setCheckable(True)
            made.clicked.connect(lambda _checked=False, page=page: self.page_chosen.emit(page))
            self._group.addButton(made)
            self.buttons[page] = made
            layout.addWidget(made)
        layout.addStretch(1)
        self.settings = self._button(tr("Settings"))
        self.settings.clicked.connect(self.settings_asked)
        layout.addWidget(self.settings)
        self.set_theme(theme)

    def set_page(self, page: str) -> None:
        self.buttons[page].setChecked(True)

    def set_theme(self, theme: Theme) -> None:
        self.setFixedWidth(theme.px(76))
        ratio = max(self.devicePixelRatioF(), 1.0)
        self._logo.setPixmap(icons.pixmap("logo", theme.accent, theme.px(30), ratio))
        for page, each in self.buttons.items():
            self._apply_icon(each, page, theme)
        self._apply_icon(self.settings, "settings", theme)

    def _apply_icon(self, each: QToolButton, icon: str, theme: Theme) -> None:
        side = theme.px(22)
        each.setIcon(icons.icon(icon, theme.text, side))
        each.setIconSize(QSize(side, side))
        each.setMinimumWidth(theme.px(60))

    def _button(self, name: str) -> QToolButton:
        made = QToolButton()
        made.setText(name)
        made.setAccessibleName(name)
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return made
