"""The plan of the chosen model: picture, predicted figures, controls that re-plan, reasons."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from app.gui.models.placement_picture import PlacementPicture
from app.gui.models.selection import ModelSelection
from app.gui.parts import words
from app.gui.parts.controls import Choice, label, restyle
from app.gui.parts.failures import problem_box
from app.gui.parts.speed_words import time_lines
from app.gui.parts.theme import SPACE_M, SPACE_S, Theme
from app.gui.parts.words import tr
from app.wording.explain import reason_text
from runtime.devices import Device
from runtime.plan import Alternative, Plan
from runtime.registry import title as engine_title

CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)


class PlanPanel(QWidget):
    """Every change re-plans at once; a plan that differs from what is loaded says so."""

    apply_asked = Signal()

    def __init__(self, models: ModelSelection, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self.fit = label("", "muted")
        self.speed = label("", "value", wrap=True)
        self.times = label("", "small", wrap=True)
        self.picture = PlacementPicture(theme)
        self._reasons = label("", "small", wrap=True)
        self._alternatives = QVBoxLayout()
        self._alternatives.setSpacing(2)
        self._problem = QVBoxLayout()
        self.policy = Choice([("auto", tr("automatic")), ("split", tr("split: LM head on CPU")),
                               ("full", tr("full: LM head with the blocks"))])  # fmt: skip
        self.device = Choice([(None, tr("automatic"))])
        self.context = Choice(
            [(None, tr("automatic"))] + [(n, tr("{0} tokens", words.count(n))) for n in CONTEXTS]
        )
        self.kv = Choice([(None, tr("automatic")), ("f16", "f16"), ("q8_0", "q8_0"),
                           ("q4_0", "q4_0")])  # fmt: skip
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_M)
        layout.addWidget(self.fit)
        layout.addWidget(self.speed)
        layout.addWidget(self.times)
        layout.addWidget(self.picture)
        layout.addLayout(self._problem)
        layout.addLayout(self._form(models))
        layout.addWidget(self._reasons)
        layout.addLayout(self._alternatives)
        models.plan_changed.connect(self.show_plan)
        models.planning.connect(self._planning)
        models.problem.connect(self._show_problem)
        self.show_plan(models.plan)

    def _form(self, models: ModelSelection) -> QFormLayout:
        """The choices; each one makes a new plan at once."""
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACE_S)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows = [
            (tr("Placement"), self.policy, "policy"),
            (tr("Device"), self.device, "device"),
            (tr("Context"), self.context, "n_ctx"),
            (tr("KV cache"), self.kv, "kv_type"),
        ]
        for name, box, choice in rows:
            box.setAccessibleName(name)
            caption = label(name, "muted")
            caption.setBuddy(box)
            form.addRow(caption, box)
            box.activated.connect(
                lambda _index, box=box, choice=choice: models.set_choices(
                    **{choice: box.currentData()}
                )
            )
        return form

    def set_devices(self, devices: tuple[Device, ...]) -> None:
        """Offer the usable devices of this machine."""
        chosen = self.device.currentData()
        self.device.clear()
        self.device.addItem(tr("automatic"), None)
        for device in devices:
            if device.usable:
                self.device.addItem(f"{device.id} · {device.name}", device.id)
        self.device.setCurrentIndex(max(self.device.findData(chosen), 0))

    def show_plan(self, plan: Plan | None) -> None:
        """The figures of a plan, or nothing while there is none."""
        self.picture.show_plan(plan, self._models.parts)
        self.picture.setVisible(plan is not None)
        if plan is None:
            self.fit.setText(tr("No plan yet"))
            restyle(self.fit, "muted")
            self.speed.setText("")
            self.times.setText("")
            self._reasons.setText("")
            _clear(self._alternatives)
            return
        _clear(self._problem)
        wording, kind = {
            "fits": (tr("✓ fits"), "good"),
            "tight": (tr("△ tight"), "warning"),
        }[plan.fits]
        self.fit.setText(wording)
        restyle(self.fit, kind)
        self.speed.setText(_speed_words(plan))
        restyle(self.speed, "value" if plan.speed else "small")
        self.times.setText("\n".join(time_lines(plan.speed)))
        self.times.setVisible(plan.speed is not None)
        self._reasons.setText("\n".join(tr(reason_text(reason)) for reason in plan.reasons))
        self._show_alternatives(plan.alternatives)

    def _show_alternatives(self, alternatives: tuple[Alternative, ...]) -> None:
        _clear(self._alternatives)
        if alternatives:
            self._alternatives.addWidget(label(tr("Not chosen"), "section"))
        for each in alternatives:
            devices = "+".join(dict.fromkeys(part.device for part in each.placement.layers))
            engine = engine_title(each.placement.engine)
            text = f"{engine} · {devices} · {words.size(each.memory_total)}"
            if each.decode_tps is not None:
                text += f" · {words.span(each.decode_tps)} tok/s"
            self._alternatives.addWidget(
                label(f"{text}\n{tr(reason_text(each.reason))}", "small", wrap=True)
            )

    def _planning(self) -> None:
        self.context.setCurrentIndex(max(self.context.findData(self._models.choices.n_ctx), 0))
        self.fit.setText(tr("Planning…"))
        restyle(self.fit, "muted")

    def _show_problem(self, error: Exception) -> None:
        _clear(self._problem)
        self._problem.addWidget(problem_box(error))

    def set_theme(self, theme: Theme) -> None:
        self.picture.theme = theme
        self.picture.update()


def _speed_words(plan: Plan) -> str:
    if plan.speed is None:
        return tr("Speed is predicted once this machine has been measured (Speed page).")
    decode = tr("{0} tok/s expected", words.span(plan.speed.decode_tps))
    prefill = tr("prefill {0} tok/s", words.span(plan.speed.prefill_tps))
    return f"{decode}\n{prefill}"


def _clear(layout: QVBoxLayout) -> None:
    while layout.count():
        item = layout.takeAt(0)
        if item is not None and (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
