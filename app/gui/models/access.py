"""Gated repositories: where access is asked for, and the token that proves it: keep, check, remove.

Every call to the keyring or the hub is made on a thread of its own.
"""

from collections.abc import Callable

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QDialog, QFrame, QLineEdit, QVBoxLayout, QWidget

from app.gui.parts.bridge import Bridge
from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M
from app.gui.parts.words import tr
from app.session.session import Session
from app.wording.explain import explain


class AccessBox(QFrame):
    """`saved` follows when a token is kept; it is sent to the hub's own address only.

    page: where access is asked for; if not given, the page of `repo` on the hub.
    """

    saved = Signal()

    def __init__(self, session: Session, bridge: Bridge, page: str, repo: str) -> None:
        super().__init__()
        self._session = session
        self._bridge = bridge
        self.setObjectName("card")
        self.setAccessibleName(tr("Access"))
        text = tr(
            "The owner grants access on request. Accept the terms on the model page, then"
            " enter a token."
        )
        link = button(tr("Open model page"), "", page or repo)
        link.setObjectName("accessPage")
        link.clicked.connect(lambda: self._open(page, repo))
        self.token = QLineEdit()
        self.token.setObjectName("accessToken")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText(tr("Access token"))
        self.token.setAccessibleName(tr("Access token"))
        self.token.returnPressed.connect(self._save)
        self.keep = button(tr("Save token"), "", tr("In the system keyring, where there is one"))
        self.keep.setObjectName("accessKeep")
        self.keep.clicked.connect(self._save)
        self._said = label("", "small", wrap=True)
        self._said.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.addWidget(label(text, wrap=True))
        layout.addLayout(row(link, self.token, self.keep))
        layout.addWidget(self._said)

    def _open(self, page: str, repo: str) -> None:
        """Finding the hub's address may take a moment: a keyring, an import."""
        acquisition = self._session.acquisition
        job = self._bridge.call(lambda: page or f"{acquisition.hub.endpoint}/{repo}")
        job.finished.connect(lambda url: QDesktopServices.openUrl(QUrl(url)))
        job.failed.connect(self._refused)

    def _save(self) -> None:
        token, acquisition = self.token.text(), self._session.acquisition
        job = self._bridge.call(lambda: acquisition.tokens.set(acquisition.hub.endpoint, token))
        job.finished.connect(lambda _where: self.saved.emit())
        job.failed.connect(self._refused)

    def _refused(self, error: Exception) -> None:
        self._said.setText(tr(explain(error).sentence))
        self._said.show()


class TokenDialog(QDialog):
    """The token for the hub's address: whether there is one, whose it is, and the way out of it."""

    def __init__(self, session: Session, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.setWindowTitle(tr("Hub access token"))
        self.state = label(tr("Checking…"), wrap=True)
        self.status = label("", "muted", wrap=True)
        self.token = QLineEdit()
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText(tr("Access token"))
        self.token.setAccessibleName(tr("Access token"))
        self.keep = button(tr("Save token"), "", tr("In the system keyring, where there is one"))
        self.check = button(tr("Check"), "", tr("Ask the hub which account the token belongs to"))
        self.remove = button(tr("Remove"), "danger", tr("Delete the token from this machine"))
        close = button(tr("Close"))
        for each, do in (
            (self.keep, self._keep),
            (self.check, self._check),
            (self.remove, self._remove),
            (close, self.reject),
        ):
            each.setAutoDefault(False)
            each.clicked.connect(do)
        self.token.returnPressed.connect(self._keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        layout.addWidget(self.state)
        layout.addLayout(row(self.token, self.keep))
        layout.addWidget(self.status)
        layout.addLayout(row(self.check, self.remove, 1, close))
        self.setMinimumWidth(460)
        self._show_token_state()

    def _run(self, work: Callable[[], object], done: Callable[[object], None]) -> None:
        for each in (self.keep, self.check, self.remove):
            each.setEnabled(False)
        job = self._bridge.call(work)
        job.finished.connect(done)
        job.failed.connect(lambda error: self.status.setText(tr(explain(error).sentence)))
        job.failed.connect(lambda _error: self._enable(True))

    def _enable(self, there: bool) -> None:
        self.keep.setEnabled(True)
        self.check.setEnabled(there)
        self.remove.setEnabled(there)

    def _show_token_state(self) -> None:
        acquisition = self._session.acquisition

        def work() -> tuple[str, bool]:
            endpoint = acquisition.hub.endpoint
            return endpoint, acquisition.tokens.get(endpoint) is not None

        self._run(work, self._show_state)

    def _show_state(self, found: object) -> None:
        assert isinstance(found, tuple)
        endpoint, there = found
        text = tr("A token for {0} is saved.") if there else tr("No token for {0} is saved.")
        self.state.setText(text.format(endpoint))
        self._enable(there)

    def _keep(self) -> None:
        token, acquisition = self.token.text(), self._session.acquisition
        self.token.clear()

        def kept(where: object) -> None:
            names = {"keyring": tr("Saved in the system keyring.")}
            self.status.setText(
                names.get(str(where), tr("Saved in a file that only you can read."))
            )
            self._show_token_state()

        self._run(lambda: acquisition.tokens.set(acquisition.hub.endpoint, token), kept)

    def _check(self) -> None:
        acquisition = self._session.acquisition

        def checked(name: object) -> None:
            self.status.setText(tr("The hub accepted this token; it belongs to {0}.", str(name)))
            self._enable(True)

        self._run(lambda: acquisition.hub.whoami(), checked)

    def _remove(self) -> None:
        acquisition = self._session.acquisition

        def removed(_nothing: object) -> None:
            self.status.setText(tr("Removed."))
            self._show_token_state()

        self._run(lambda: acquisition.tokens.delete(acquisition.hub.endpoint), removed)
