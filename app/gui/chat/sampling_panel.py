"""Sampling of the open conversation: recommended values, what was changed, a way back."""

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_S
from app.gui.parts.words import tr
from runtime.generation import SamplingParams


class SamplingPanel(QWidget):
    """Emits what differs from the recommended values, the system prompt, and whether answers are to
    reason step by step with a boxed result, where the model's makers recommend asking so."""

    sampling_changed = Signal(dict)
    system_changed = Signal(str)
    math_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recommended = SamplingParams()
        self._silent = False
        self.temperature = _number(0.0, 2.0, 0.05, tr("Temperature"))
        self.top_p = _number(0.0, 1.0, 0.01, tr("Top p"))
        self.min_p = _number(0.0, 1.0, 0.01, tr("Min p"))
        self.repeat_penalty = _number(1.0, 2.0, 0.01, tr("Repeat penalty"))
        self.top_k = QSpinBox()
        self.top_k.setRange(0, 1000)
        self.top_k.setAccessibleName(tr("Top k"))
        self.system = QPlainTextEdit()
        self.system.setPlaceholderText(tr("Instructions for every answer (system prompt)"))
        self.system.setAccessibleName(tr("System prompt"))
        self.system.setTabChangesFocus(True)
        self.system.setFixedHeight(72)
        self.system.setProperty("kind", "field")
        self.system.textChanged.connect(self._system_edited)
        self.math = QCheckBox(tr("Step by step, result in a box"))
        self.math.setToolTip(tr("Adds the instruction that DeepSeek recommends for its models"))
        self.math.toggled.connect(self._math_toggled)
        self.reset = button(tr("Use recommended values"), "link")
        self.reset.clicked.connect(self._back)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACE_S)
        for box in self._boxes().values():
            caption = label(box.accessibleName(), "muted")
            caption.setBuddy(box)
            form.addRow(caption, box)
            box.lineEdit().setTextMargins(6, 0, 0, 0)
            box.valueChanged.connect(self._edited)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_S)
        layout.addLayout(form)
        layout.addLayout(row(self.reset, 1))
        layout.addWidget(self.system)
        layout.addWidget(self.math)

    def show_values(
        self, recommended: SamplingParams, changed: Mapping[str, float], system: str
    ) -> None:
        """The values in force: recommended ones with the conversation's own over them."""
        self._silent = True
        self._recommended = recommended
        for name, box in self._boxes().items():
            box.setValue(changed.get(name, getattr(recommended, name)))
        if self.system.toPlainText() != system:
            self.system.setPlainText(system)
        self.reset.setEnabled(bool(changed))
        self._silent = False

    def show_math(self, *, offered: bool, chosen: bool) -> None:
        """Whether the directive for mathematics is asked for; hidden where it is not offered."""
        self._silent = True
        self.math.setVisible(offered)
        self.math.setChecked(chosen)
        self._silent = False

    def _boxes(self) -> dict[str, QDoubleSpinBox | QSpinBox]:
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repeat_penalty": self.repeat_penalty,
        }

    def _edited(self) -> None:
        if self._silent:
            return
        changed = {}
        for name, box in self._boxes().items():
            value = round(box.value(), 3)
            if value != getattr(self._recommended, name):
                changed[name] = value
        self.reset.setEnabled(bool(changed))
        self.sampling_changed.emit(changed)

    def _system_edited(self) -> None:
        if not self._silent:
            self.system_changed.emit(self.system.toPlainText())

    def _math_toggled(self, chosen: bool) -> None:
        if not self._silent:
            self.math_changed.emit(chosen)

    def _back(self) -> None:
        self.show_values(self._recommended, {}, self.system.toPlainText())
        self.sampling_changed.emit({})


def _number(low: float, high: float, step: float, name: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(low, high)
    box.setSingleStep(step)
    box.setDecimals(2)
    box.setAccessibleName(name)
    return box
