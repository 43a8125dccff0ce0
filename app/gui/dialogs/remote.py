"""Remote models in the window: add one, change it, remove it, and see what its server offers.

Every call to the keyring or to a server is made on a thread of its own. Knows no conversation.
"""

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from app.gui.parts.bridge import Bridge
from app.gui.parts.controls import Check, Choice, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M
from app.gui.parts.words import tr
from app.remote.endpoints import Endpoint, api_base
from app.remote.model import RemoteModel
from app.remote.transport import RemoteTimeouts
from app.session.session import Session
from app.wording.explain import explain

_LISTING = RemoteTimeouts(read=20.0)  # a list of models comes faster than an answer


class RemoteDialog(QDialog):
    """The remote models, one of them in fields. `changed` follows every save or removal.

    A name stays: conversations know their models by it.
    """

    changed = Signal()

    def __init__(self, session: Session, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.setWindowTitle(tr("Remote models"))
        self.which = Choice([])
        self.name = QLineEdit()
        self.url = QLineEdit()
        self.url.setPlaceholderText("https://host/v1")
        self.model = QLineEdit()
        self.model.setPlaceholderText(tr("Leave empty if the server offers only one"))
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.proxy = QLineEdit()
        self.proxy.setPlaceholderText(tr("Leave empty to use the system proxy"))
        self.insecure = Check(tr("Allow an address without HTTPS"))
        risk = tr("Prompts and the key can then be read in transit")
        self.insecure.setToolTip(risk)
        self.insecure.setAccessibleDescription(risk)
        self.keep = button(
            tr("Save"), "primary", tr("Save it and ask the server which models it offers")
        )
        self.remove = button(tr("Remove"), "danger", tr("Remove this model and its key"))
        self.status = label("", "muted", wrap=True)
        self._lay_out()
        for field in (self.name, self.url, self.model, self.key, self.proxy):
            field.returnPressed.connect(self._keep)
        self.keep.clicked.connect(self._keep)
        self.remove.clicked.connect(self._remove)
        self.which.currentIndexChanged.connect(self._show)
        self._fill("")

    def _lay_out(self) -> None:
        form = QFormLayout()
        names = {
            self.which: tr("Remote model"), self.name: tr("Name"), self.url: tr("Address"),
            self.model: tr("Model name on the server"), self.key: tr("Access key"),
            self.proxy: tr("Proxy"),
        }  # fmt: skip
        for field, name in names.items():
            field.setAccessibleName(name)
            form.addRow(name, field)
        form.addRow(self.insecure)
        close = button(tr("Close"))
        close.clicked.connect(self.reject)
        text = tr(
            "Use models on OpenAI-compatible servers elsewhere. Not offline: what you write to"
            " one is sent to its address."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        layout.addWidget(label(text, wrap=True))
        layout.addLayout(form)
        layout.addWidget(self.status)
        layout.addLayout(row(self.remove, 1, close, self.keep))
        self.setMinimumWidth(520)

    def _fill(self, name: str) -> None:
        """All remote models to choose from, the one of that name shown; "" for a new one."""
        self.which.blockSignals(True)
        self.which.clear()
        self.which.addItem(tr("New remote model"), Endpoint("", ""))
        for each in self._session.remotes.all():
            self.which.addItem(tr("{0} (not offline: {1})", each.name, each.url), each)
            if each.name == name:
                self.which.setCurrentIndex(self.which.count() - 1)
        self.which.blockSignals(False)
        self._show()

    def _show(self) -> None:
        shown: Endpoint = self.which.currentData()
        self.name.setText(shown.name)
        self.name.setEnabled(not shown.name)
        self.url.setText(shown.url)
        self.model.setText(shown.model)
        self.key.clear()
        self.key.setPlaceholderText(
            tr("Leave empty to keep the saved key; a new address needs it again")
            if shown.name
            else tr("Leave empty for none")
        )
        self.proxy.setText(shown.proxy)
        self.insecure.setChecked(shown.insecure)
        self.remove.setEnabled(bool(shown.name))

    def _run(
        self, work: Callable[[], object], done: Callable[[object], None], before: str = ""
    ) -> None:
        """Work beside the window; a failure is shown after `before`."""
        for each in (self.which, self.keep, self.remove):
            each.setEnabled(False)

        def failed(error: Exception) -> None:
            self.status.setText(f"{before} {tr(explain(error).sentence)}".strip())

        job = self._bridge.call(work)
        job.finished.connect(self._free)
        job.finished.connect(done)
        job.failed.connect(self._free)
        job.failed.connect(failed)

    def _free(self, _outcome: object) -> None:
        self.which.setEnabled(True)
        self.keep.setEnabled(True)
        self.remove.setEnabled(bool(self.which.currentData().name))

    def _keep(self) -> None:
        if not self.keep.isEnabled():
            return
        key = self.key.text().strip()
        texts = [field.text().strip() for field in (self.name, self.url, self.model, self.proxy)]
        name, url, model, proxy = texts
        endpoint = Endpoint(name, api_base(url), model, self.insecure.isChecked(), proxy)

        def work() -> str:
            where = self._session.add_remote(endpoint, key)
            return where or ("before" if self._session.remotes.key(endpoint) else "")

        self._run(work, lambda where: self._kept(endpoint, str(where)))

    def _kept(self, endpoint: Endpoint, where: str) -> None:
        texts = {
            "keyring": tr("Saved, with its key in the system keyring."),
            "file": tr("Saved, with its key in a file that only you can read."),
            "before": tr("Saved with the existing key."),
        }
        kept = texts.get(where, tr("Saved without a key."))
        self.status.setText(kept)
        self._fill(endpoint.name)
        self.changed.emit()
        self._run(
            lambda: self._offered(endpoint.name),
            lambda names: self.status.setText(f"{kept} {_offer(endpoint.model, names)}"),
            before=kept,
        )

    def _offered(self, name: str) -> tuple[str, ...]:
        remote = self._session.remote(name)
        assert remote is not None
        return RemoteModel(replace(remote.transport, timeouts=_LISTING)).models()

    def _remove(self) -> None:
        name = self.name.text()

        def removed(_endpoint: object) -> None:
            self.status.setText(tr("{0} and its key have been removed.", name))
            self._fill("")
            self.changed.emit()

        self._run(lambda: self._session.remotes.remove(name), removed)


def _offer(model: str, names: object) -> str:
    """What a server's list of models means for the one that was entered."""
    assert isinstance(names, tuple)
    listed = ", ".join(names) or tr("no model")
    if model and model not in names:
        return tr("The server does not offer that model. It offers {0}.", listed)
    if not model and len(names) != 1:
        return tr("The server offers {0}. Enter one of them.", listed)
    return tr("The server offers {0}.", listed)
