"""The chat: header with the model, transcript or a first step, composer. Wires control to views."""

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.documents.token_estimate import estimated_tokens
from app.gui.chat.compare_view import CompareView
from app.gui.chat.composer import Composer
from app.gui.chat.control import ChatControl, Delta, prompt_message
from app.gui.chat.find_bar import FindBar
from app.gui.chat.message_view import MessageView
from app.gui.chat.start_view import StartView
from app.gui.chat.transcript import Transcript
from app.gui.parts.controls import ElidedLabel, IconButton, button, label, row
from app.gui.parts.theme import READING_WIDTH, Theme
from app.gui.parts.words import tr
from app.history.records import Attachment, Conversation, StoredMessage
from app.settings import Settings
from runtime.progress import Progress


class ChatPage(QWidget):
    """Shows what `ChatControl` says; every button calls one of its methods."""

    attach_asked = Signal()
    files_dropped = Signal(object)
    models_asked = Signal()
    remotes_asked = Signal()
    inspector_asked = Signal()
    announced = Signal(str)
    deleted = Signal(object)  # a callable that undoes it

    def __init__(
        self, control: ChatControl, settings: Settings, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._control = control
        self._theme = theme
        self._editing: int | None = None
        self._draft: tuple[str, tuple[Attachment, ...]] = ("", ())  # from before the edit
        self._compared: int | None = None  # the question whose answers stand side by side
        self.settings = settings
        self.setObjectName("page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.title = ElidedLabel(tr("New chat"), "heading")
        self.model_button = button(tr("Choose a model"), "quiet", tr("Choose a model (Ctrl+L)"))
        self.model_button.clicked.connect(self.choose_model)
        self.panel_button = IconButton("panel", tr("Show or hide the side panel"), theme)
        self.panel_button.clicked.connect(self.inspector_asked)
        self.transcript = Transcript(theme)
        self.transcript.show_thinking = settings.show_thinking
        self.transcript.built.connect(self._connect)
        self.find_bar = FindBar(self.transcript)
        self.compare_view = CompareView(theme, self.transcript.formulas)
        self.start = StartView(theme)
        self.composer = Composer(theme)
        self.start.suggested.connect(self.composer.set_text)
        self.composer.enter_sends = settings.enter_sends
        self._notice = label("", "small")
        self._notice.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start)
        self._stack.addWidget(self.transcript)
        self._stack.addWidget(self.compare_view)
        self._build()
        self._wire()

    def _build(self) -> None:
        header = QFrame()
        header.setObjectName("pageHeader")
        inside = QHBoxLayout(header)
        inside.setContentsMargins(24, 8, 12, 8)
        inside.addWidget(self.title, 1)
        inside.addWidget(self.model_button)
        inside.addWidget(self.panel_button)
        self._composer_holder = QWidget()
        holder = row(1, spacing=0)
        self.composer.setMaximumWidth(self._theme.px(READING_WIDTH) + 24)
        holder.addWidget(self.composer, 100)
        holder.addStretch(1)
        holder.setContentsMargins(12, 0, 12, 0)
        self._composer_holder.setLayout(holder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.setSpacing(0)
        layout.addWidget(header)
        layout.addWidget(self.find_bar)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._composer_holder)
        layout.addSpacing(4)
        layout.addWidget(self._notice)

    def _wire(self) -> None:
        control, composer = self._control, self.composer
        composer.sent.connect(self._sent)
        composer.stop_asked.connect(control.stop)
        composer.attach_asked.connect(self.attach_asked)
        composer.files_dropped.connect(self.files_dropped)
        composer.edit_last_asked.connect(self._edit_last)
        composer.cancel_asked.connect(self._cancel_edit)
        self.find_bar.closed.connect(composer.text.setFocus)
        composer.changed.connect(self._show_context)
        compared = self.compare_view
        compared.built.connect(lambda view: view.link_clicked.connect(self.open_link))
        compared.kept.connect(self._keep)
        compared.another_asked.connect(self._another)
        compared.left.connect(self._leave_compare)
        control.opened.connect(self._opened)
        control.path_changed.connect(self._show_path)
        control.answer_progress.connect(self._progress)
        control.answer_grew.connect(self._grew)
        control.answer_ended.connect(self._ended)
        control.busy_changed.connect(composer.set_busy)
        control.models.chosen_changed.connect(self._model_chosen)
        control.models.loaded_changed.connect(lambda _report: self._show_context())
        control.models.plan_changed.connect(lambda _plan: self._show_context())

    # -- signals of the control ------------------------------------------------------------------

    def _opened(self, conversation: Conversation | None) -> None:
        self._cancel_edit()
        self.find_bar.hide()
        self._compared = None
        self.transcript.clear()
        self._show_path()
        self.composer.text.setFocus()

    def _show_path(self) -> None:
        conversation = self._control.conversation
        self.title.setText((conversation.title if conversation else "") or tr("New chat"))
        turns = self._control.tree.path(conversation.head_id if conversation else None)
        self.transcript.show_path(turns)
        if self._compared is not None:
            self._show_compared()
        else:
            self._stack.setCurrentWidget(self.transcript if turns else self.start)
        self._show_context()

    def _progress(self, progress: Progress) -> None:
        view = self._streaming_view()
        if view is not None:
            view.show_progress(progress)

    def _grew(self, delta: Delta) -> None:
        view = self._view(delta.message_id)
        if view is not None and (delta.content or delta.reasoning):
            view.grow(delta)

    def _ended(self, message: StoredMessage, error: Exception | None) -> None:
        view = self._view(message.id)
        if view is None:
            return
        view.settle()
        self._show_path()
        if error is not None:
            view.show_error(error)
        self.announced.emit(tr("Answer finished") if error is None else tr("Answer ended early"))

    def _model_chosen(self, name: str) -> None:
        self.model_button.setText(f"{name}  ▾" if name else tr("Choose a model"))
        self.start.set_model(name)

    def _streaming_view(self) -> MessageView | None:
        identity = self._control.streaming_id
        return self._view(identity) if identity is not None else None

    def _view(self, message_id: int) -> MessageView | None:
        """Where a message is seen now."""
        shown = self.transcript if self._compared is None else self.compare_view
        return shown.view(message_id)

    def _show_context(self) -> None:
        """What the next prompt takes: measured where it was, estimated where it is new."""
        report, plan = self._control.models.report, self._control.models.plan
        total = report.n_ctx if report else plan.placement.n_ctx if plan else 0
        conversation = self._control.conversation
        used = estimated_tokens(self._control.option("system", str) or "")
        for turn in self._control.tree.path(conversation.head_id if conversation else None):
            figures = turn.message.figures
            if figures.prompt_tokens is not None:
                answer = figures.generated_tokens - figures.reasoning_tokens
                used = figures.prompt_tokens + answer
            else:
                used += estimated_tokens(prompt_message(turn.message).content)
        used += sum(each.tokens for each in self.composer.attachments)
        used += estimated_tokens(self.composer.text.toPlainText())
        self.composer.set_context(used, total)

    # -- actions of the user ----------------------------------------------------------------------

    def _sent(self, text: str, attachments: object) -> None:
        files: tuple[Attachment, ...] = attachments  # type: ignore[assignment]
        if not self._control.models.chosen:
            self.composer.set_draft(text, files)
            self.choose_model()
            return
        self._leave_compare()
        self.transcript.follow()
        editing = self._editing
        self._end_edit()
        if editing is not None:
            self._control.edit(editing, text, files)
        else:
            self._control.send(text, files)

    def _connect(self, view: MessageView) -> None:
        control = self._control
        view.copy_asked.connect(self.copy)
        view.edit_asked.connect(self.edit)
        view.again_asked.connect(control.regenerate)
        view.continue_asked.connect(control.continue_answer)
        view.delete_asked.connect(self.delete)
        view.branch_asked.connect(control.switch_branch)
        view.compare_asked.connect(self.compare)
        view.link_clicked.connect(self.open_link)

    def delete(self, message_id: int) -> None:
        """Delete a message and what follows it, with a way back."""
        undo = self._control.delete_message(message_id)
        if undo is not None:
            self.deleted.emit(undo)

    def copy(self, message_id: int) -> None:
        QGuiApplication.clipboard().setText(self._control.tree.get(message_id).content)
        self.announced.emit(tr("Copied"))

    def edit(self, message_id: int) -> None:
        if self._editing is None:
            self._draft = (self.composer.text.toPlainText(), self.composer.attachments)
        self._editing = message_id
        message = self._control.tree.get(message_id)
        self.composer.set_draft(message.content, message.attachments)
        self._notice.setText(
            tr("Editing an earlier message. Sending creates a new branch; Esc cancels.")
        )

    # -- answers side by side --------------------------------------------------------------------

    def compare(self, message_id: int) -> None:
        """Show an answer beside the others to its question; ask for a second if it is alone."""
        control = self._control
        self._compared = control.tree.get(message_id).parent_id
        self.compare_view.show_models(control.models.names(), control.models.chosen)
        self._show_compared()
        if len(control.tree.siblings(message_id)) == 1:
            control.regenerate(message_id)
        self.compare_view.another.setFocus()

    def compare_last(self) -> None:
        """Compare the answers to the last question shown."""
        views = self.transcript.views()
        if views and views[-1].message.role == "assistant" and not self._control.busy:
            self.compare(views[-1].message.id)

    def _show_compared(self) -> None:
        assert self._compared is not None
        tree = self._control.tree
        question = tree.get(self._compared)
        self.compare_view.show_answers(
            question.content, tree.branches_below(question.id), busy=self._control.busy
        )
        self._stack.setCurrentWidget(self.compare_view)

    def _another(self, model: str) -> None:
        if self._compared is not None:
            self._control.models.choose(model or self._control.models.chosen)
            self._control.regenerate(
                self._control.tree.branches_below(self._compared)[0].message.id
            )

    def _keep(self, message_id: int) -> None:
        self._compared = None
        self._control.show_branch(message_id)

    def _leave_compare(self) -> None:
        if self._compared is not None:
            self._compared = None
            self._show_path()

    def _edit_last(self) -> None:
        for view in reversed(self.transcript.views()):
            if view.message.role == "user":
                self.edit(view.message.id)
                return

    def _cancel_edit(self) -> None:
        """Leave the message as it is; what was being written before comes back."""
        if self._editing is not None:
            self.composer.set_draft(*self._draft)
            self._end_edit()

    def _end_edit(self) -> None:
        self._editing = None
        self._draft = ("", ())
        self._notice.setText("")

    def choose_model(self) -> None:
        """A menu of what is installed, and of the remote models."""
        menu = QMenu(self)
        models = self._control.models
        for name in models.names():
            address = models.address(name)
            action = menu.addAction(
                tr("{0} (not offline: {1})", name, address) if address else name
            )
            action.setCheckable(True)
            action.setChecked(name == models.chosen)
            action.triggered.connect(lambda _checked=False, name=name: models.choose(name))
        if not menu.isEmpty():
            menu.addSeparator()
        menu.addAction(tr("Get more models…"), self.models_asked.emit)
        menu.addAction(tr("Remote models…"), self.remotes_asked.emit)
        corner = self.model_button.mapToGlobal(self.model_button.rect().bottomLeft())
        menu.popup(corner)

    def open_link(self, address: str) -> None:
        """Ask, then leave it to the web browser."""
        if self.settings.confirm_links:
            question = tr("Open this address in the web browser?") + f"\n\n{address}"
            buttons = QMessageBox.StandardButton
            answer = QMessageBox.question(
                self, tr("Open link"), question, buttons.Open | buttons.Cancel, buttons.Cancel
            )
            if answer != buttons.Open:
                return
        QDesktopServices.openUrl(QUrl(address))

    def use_settings(self, settings: Settings) -> None:
        """Changed settings, for what is shown from now on."""
        self.settings = settings
        self.composer.enter_sends = settings.enter_sends
        self.transcript.show_thinking = settings.show_thinking

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.transcript.set_theme(theme)
        self.compare_view.set_theme(theme)
        self.composer.set_theme(theme)
        self.start.set_theme(theme)
        self.panel_button.set_theme(theme)
