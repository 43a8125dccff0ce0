"""The settings, generated from their declarations. Knows types and ranges, not what they mean."""

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.errors import SettingsError
from app.gui.parts.controls import Check, Choice, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M, SPACE_S
from app.gui.parts.words import tr
from app.settings import DECLARATIONS, Declaration, Settings
from app.wording.explain import explain
from runtime.registry import title

HIDDEN_GROUP = "Window"  # remembered by the window itself, nothing to choose
_WORDS = {
    "system": "system default",
    "light": "light",
    "dark": "dark",
    "auto": "automatic",
    "balanced": "balanced",
    "fast": "fast",
    "faithful": "faithful",
    "en": "English",
    "zh_CN": "简体中文",
}


class SettingsDialog(QDialog):
    """Every change takes effect at once; `changed` carries the new settings and the name."""

    changed = Signal(object, str)

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.settings = settings
        self.fields: dict[str, QWidget] = {}
        self._rows: dict[str, QWidget] = {}
        self._headings: dict[str, QWidget] = {}
        self._notes: dict[str, QLabel] = {}
        self._texts: dict[str, QVBoxLayout] = {}
        self.setWindowTitle(tr("Settings"))
        self.resize(620, 600)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search settings"))
        self.search.setAccessibleName(tr("Search settings"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self._problem = label("", "bad", wrap=True)
        self._problem.hide()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(self._all_rows())
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.button(QDialogButtonBox.StandardButton.Close).setText(tr("Close"))
        close.button(QDialogButtonBox.StandardButton.Close).setIcon(QIcon())
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        layout.addWidget(self.search)
        layout.addWidget(self._problem)
        layout.addWidget(area, 1)
        layout.addWidget(close)

    def _all_rows(self) -> QWidget:
        """A row for each declared setting, under the heading of its group."""
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, SPACE_M, 0)
        column.setSpacing(SPACE_M)
        group = ""
        for name, declaration in DECLARATIONS.items():
            if declaration.group == HIDDEN_GROUP:
                continue
            if declaration.group != group:
                group = declaration.group
                heading = label(tr(group), "heading")
                self._headings[group] = heading
                column.addWidget(heading)
            line = self._row(name, declaration)
            self._rows[name] = line
            column.addWidget(line)
        column.addStretch(1)
        return body

    def _row(self, name: str, declaration: Declaration) -> QWidget:
        line = QWidget()
        field = self._field(name, declaration)
        field.setAccessibleName(tr(declaration.title))
        field.setAccessibleDescription(tr(declaration.help))
        self.fields[name] = field
        texts = self._texts[name] = QVBoxLayout()
        texts.setSpacing(2)
        caption = label(tr(declaration.title), "strong")
        caption.setBuddy(field)
        texts.addWidget(caption)
        texts.addWidget(label(tr(declaration.help), "small", wrap=True))
        note = self._notes[name] = label("", "small", wrap=True)
        note.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        note.hide()
        texts.addWidget(note)
        reset = button(tr("Default"), "link", tr("Reset {0} to its default", tr(declaration.title)))
        reset.clicked.connect(lambda: self._reset(name))
        layout = row(spacing=SPACE_S)
        layout.addLayout(texts, 1)
        layout.addWidget(field)
        layout.addWidget(reset)
        line.setLayout(layout)
        return line

    def show_note(self, name: str, text: str) -> None:
        """Show a note under a setting's help; an empty text hides it."""
        self._notes[name].setText(text)
        self._notes[name].setVisible(bool(text))

    def add_button(self, name: str, text: str, do: Callable[[], object]) -> QPushButton:
        """A button below a setting's help, for what goes with it."""
        made = button(text)
        made.clicked.connect(lambda: do())
        self._texts[name].addLayout(row(made, 1))
        return made

    def _field(self, name: str, declaration: Declaration) -> QWidget:
        value = getattr(self.settings, name)
        if declaration.choices:
            choice = Choice(
                [(each, tr(_WORDS.get(each, title(each)))) for each in declaration.choices]
            )
            choice.setCurrentIndex(choice.findData(value))
            choice.activated.connect(lambda _i: self._set(name, choice.currentData()))
            made: QWidget = choice
        elif isinstance(declaration.default, bool):
            check = Check()
            check.setChecked(value)
            check.toggled.connect(lambda on: self._set(name, on))
            return check
        elif isinstance(declaration.default, int):
            number = QSpinBox()
            number.setRange(declaration.minimum or 0, declaration.maximum or 2**31 - 1)
            number.setValue(value)
            number.lineEdit().setTextMargins(6, 0, 0, 0)
            number.editingFinished.connect(lambda: self._set(name, number.value()))
            made = number
        else:
            text = QLineEdit(value)
            if declaration.secret:
                text.setEchoMode(QLineEdit.EchoMode.Password)
            text.editingFinished.connect(lambda: self._set(name, text.text().strip()))
            made = text
        made.setFixedWidth(190)
        return made

    def _set(self, name: str, value: object) -> None:
        if value == getattr(self.settings, name):
            return
        try:
            self.settings = self.settings.with_value(name, value)
        except SettingsError as error:
            self._problem.setText(tr(explain(error).sentence))
            self._problem.show()
            return
        self._problem.hide()
        self.changed.emit(self.settings, name)

    def _reset(self, name: str) -> None:
        default = DECLARATIONS[name].default
        field = self.fields[name]
        if isinstance(field, QComboBox):
            field.setCurrentIndex(field.findData(default))
        elif isinstance(field, QCheckBox):
            field.setChecked(default is True)
        elif isinstance(field, QSpinBox):
            field.setValue(int(default))
        elif isinstance(field, QLineEdit):
            field.setText(str(default))
        self._set(name, default)

    def _filter(self, text: str) -> None:
        wanted = text.lower().split()
        shown_groups = set()
        for name, line in self._rows.items():
            declaration = DECLARATIONS[name]
            title, help_text = declaration.title, declaration.help
            known = f"{name} {tr(title)} {tr(help_text)} {title}".lower()
            visible = all(word in known for word in wanted)
            line.setVisible(visible)
            if visible:
                shown_groups.add(declaration.group)
        for group, heading in self._headings.items():
            heading.setVisible(group in shown_groups)
