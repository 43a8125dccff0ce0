"""Why the last answer was slow: the measured causes, the share of each, and what to do."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.gui.parts.bridge import Bridge
from app.gui.parts.controls import label, restyle
from app.gui.parts.theme import SPACE_S
from app.gui.parts.words import tr
from app.history.records import AnswerFigures
from app.history.runs import is_below_prediction
from app.session.session import Session
from app.wording.explain import cause_words, explain
from runtime.planning.diagnosis import SLOWER, UNEXPLAINED_SHOWN, Diagnosis


class DiagnosisPanel(QWidget):
    """Hidden until it is asked, or until an answer was slower than its predicted range."""

    def __init__(self, session: Session, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.setAccessibleName(tr("Why this speed"))
        self.summary = label("", "strong", wrap=True)
        self._causes = QVBoxLayout()
        self._causes.setSpacing(SPACE_S)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_S)
        layout.addWidget(label(tr("Why this speed"), "section"))
        layout.addWidget(self.summary)
        layout.addLayout(self._causes)
        self.hide()

    def judge(self, figures: AnswerFigures) -> None:
        """Explain a finished answer if it was slower than predicted; hide otherwise."""
        expected = figures.predicted_decode_tps
        if is_below_prediction(expected, figures.decode_tps, figures.generated_tokens):
            self.ask()
        else:
            self.hide()

    def ask(self) -> None:
        """Find the causes of the last answer's speed; memory may be read again for it."""
        self._clear()
        self._show_summary(tr("Analysing the last answer…"), "muted")
        self.show()
        job = self._bridge.call(self._session.why_slow)
        job.finished.connect(self.show_diagnosis)
        job.failed.connect(lambda error: self._show_summary(tr(explain(error).sentence), "muted"))

    def show_diagnosis(self, found: Diagnosis | None) -> None:
        """The causes, heaviest first."""
        self._clear()
        if found is None:
            self._show_summary(tr("No answer with a predicted speed yet."), "muted")
            return
        if found.slowdown > SLOWER:
            self._show_summary(
                tr("{0} times slower than predicted", f"{found.slowdown:.1f}"), "warning"
            )
        else:
            self._show_summary(tr("As fast as predicted"), "good")
        for cause in found.causes:
            what, remedy = cause_words(cause.code)
            self._add(f"{100 * cause.share:.0f} %  {tr(what)}", tr(remedy))
        if found.slowdown > SLOWER and found.unexplained > UNEXPLAINED_SHOWN:
            self._add(
                tr("{0} % not explained by any measurement", f"{100 * found.unexplained:.0f}"), ""
            )

    def _show_summary(self, text: str, kind: str) -> None:
        self.summary.setText(text)
        restyle(self.summary, kind)

    def _add(self, what: str, remedy: str) -> None:
        self._causes.addWidget(label(what, wrap=True))
        if remedy:
            self._causes.addWidget(label(remedy, "small", wrap=True))

    def _clear(self) -> None:
        while self._causes.count():
            item = self._causes.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
