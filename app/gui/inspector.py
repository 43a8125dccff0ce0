"""The side panel: the chosen model's plan and the conversation's sampling. Folds away."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.gui.chat.control import ChatControl
from app.gui.chat.sampling_panel import SamplingPanel
from app.gui.models.plan_panel import PlanPanel
from app.gui.parts.controls import ElidedLabel, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M, Theme
from app.gui.parts.words import tr
from app.gui.speed.diagnosis_panel import DiagnosisPanel
from app.session.session import Session
from runtime.backend import LoadReport
from runtime.registry import title as engine_title


class Inspector(QScrollArea):
    """Follows the chosen model and the open conversation."""

    def __init__(
        self,
        session: Session,
        chat: ChatControl,
        diagnosis: DiagnosisPanel,
        theme: Theme,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._chat = chat
        models = chat.models
        self.setObjectName("inspector")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("Side panel"))
        self.name = ElidedLabel("", "heading", Qt.TextElideMode.ElideMiddle)
        self.state = label("", "small", wrap=True)
        self.load_button = button(tr("Load"), "", tr("Load the model into memory now"))
        self.load_button.clicked.connect(self._load_or_unload)
        self.plan = PlanPanel(models, theme)
        self.sampling = SamplingPanel()
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(SPACE_L, SPACE_M, SPACE_L, SPACE_L)
        layout.setSpacing(SPACE_M)
        layout.addWidget(self.name)
        layout.addLayout(row(self.state, 1, self.load_button))
        layout.addWidget(diagnosis)
        layout.addWidget(label(tr("Plan"), "section"))
        layout.addWidget(self.plan)
        layout.addSpacing(SPACE_M)
        layout.addWidget(label(tr("This conversation"), "section"))
        layout.addWidget(self.sampling)
        layout.addStretch(1)
        self.setWidget(body)
        self._wire()
        self._chosen(models.chosen)

    def _wire(self) -> None:
        chat, models = self._chat, self._chat.models
        models.chosen_changed.connect(self._chosen)
        models.loaded_changed.connect(self._loaded)
        models.loading.connect(self._loading)
        models.plan_changed.connect(lambda _plan: self._loaded(models.report))
        chat.opened.connect(lambda _conversation: self._show_sampling())
        self.sampling.sampling_changed.connect(
            lambda changed: chat.set_options(sampling=changed or None)
        )
        self.plan.context.activated.connect(
            lambda _index: chat.set_options(context=self.plan.context.currentData())
        )
        self.sampling.system_changed.connect(lambda text: chat.set_options(system=text or None))
        self.sampling.math_changed.connect(lambda on: chat.set_options(math=on or None))

    def _chosen(self, name: str) -> None:
        self.name.setText(name or tr("No model"))
        self.load_button.setEnabled(bool(name))
        self._loaded(self._chat.models.report)
        self._show_sampling()

    def _show_sampling(self) -> None:
        if not self._chat.models.chosen:
            return
        self.sampling.show_values(
            self._chat.models.recommended(),
            self._chat.option("sampling", dict) or {},
            self._chat.option("system", str) or "",
        )
        self.sampling.show_math(
            offered=self._chat.models.offers_math_hint,
            chosen=self._chat.option("math", bool) is True,
        )

    def _loaded(self, report: LoadReport | None) -> None:
        loaded = self._session.loaded
        models = self._chat.models
        address = models.address(models.chosen)
        if address:
            self.state.setText(tr("Not offline: what you write is sent to {0}", address))
            self.load_button.setEnabled(False)
            return
        here = report is not None and loaded is not None and loaded.target.name == models.chosen
        if not here or report is None or loaded is None:
            self.state.setText(tr("Not loaded; loads with the first message"))
            self.load_button.setText(tr("Load"))
            return
        same = models.plan is None or models.plan.placement == loaded.plan.placement
        self.load_button.setText(tr("Unload") if same else tr("Load again"))
        seconds = f"{report.load_seconds:.1f} s"
        engine = engine_title(report.engine)
        text = tr("Loaded in {0} by {1} {2}", seconds, engine, report.engine_version)
        self.state.setText(text if same else tr("The plan has changed since the model was loaded"))

    def _loading(self, loading: bool) -> None:
        self.load_button.setEnabled(not loading and bool(self._chat.models.chosen))
        if loading:
            self.state.setText(tr("Working…"))
        else:
            self._loaded(self._chat.models.report)

    def _load_or_unload(self) -> None:
        models, loaded = self._chat.models, self._session.loaded
        same = loaded is not None and loaded.target.name == models.chosen
        if same and (models.plan is None or models.plan.placement == loaded.plan.placement):  # type: ignore[union-attr]
            models.unload()
        else:
            models.load()

    def set_theme(self, theme: Theme) -> None:
        self.plan.set_theme(theme)
