"""Gated repositories: where access is asked for, and the box for the token that proves it."""

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QLineEdit, QVBoxLayout

from app.explain import explain
from app.gui.bridge import Bridge
from app.gui.controls import button, label, row
from app.gui.words import tr
from app.session import Session


class AccessBox(QFrame):
    """`saved` follows when a token is kept; it is sent to the hub's own address only.

    page: where access is asked for; where nobody has told, `repo` has its page on the hub.
    """

    saved = Signal()

    def __init__(self, session: Session, bridge: Bridge, page: str, repo: str) -> None:
        super().__init__()
        self._session = session
        self._bridge = bridge
        self.setObjectName("card")
        self.setAccessibleName(tr("Access"))
        text = tr(
            "The owner grants access on request: agree on the hub's page, then enter a token."
        )
        link = button(tr("Open the page"), "", page or repo)
        link.setObjectName("accessPage")
        link.clicked.connect(lambda: self._open(page, repo))
        self.token = QLineEdit()
        self.token.setObjectName("accessToken")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText(tr("Access token"))
        self.token.setAccessibleName(tr("Access token"))
        self.token.returnPressed.connect(self._save)
        self.keep = button(tr("Keep token"), "", tr("In the system's keyring where there is one"))
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
        """Knowing the hub's address may take a moment: a keyring, an import."""
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
