"""The one window: rail, list, page, side panel, status bar, menus. Owns the pages, has no logic."""

import logging
from functools import partial

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QMainWindow,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui.announcements import Announcements
from app.gui.chat.control import ChatControl
from app.gui.chat.conversation_actions import ConversationActions
from app.gui.chat.conversation_list import ConversationList
from app.gui.chat.conversation_menu import ConversationMenu
from app.gui.chat.conversation_source import ConversationSource
from app.gui.chat.page import ChatPage
from app.gui.chat.several_answers import SeveralAnswers
from app.gui.commands import Commands, Menu
from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.help import HelpDialog
from app.gui.dialogs.newer_version import NewerVersion
from app.gui.dialogs.remote import RemoteDialog
from app.gui.dialogs.tour import Tour, three_steps
from app.gui.inspector import Inspector
from app.gui.models.control import ModelsControl
from app.gui.models.listing import ModelList
from app.gui.models.page import ModelsPage
from app.gui.models.selection import ModelSelection
from app.gui.parts import focus
from app.gui.parts import theme as themes
from app.gui.parts.bridge import Bridge
from app.gui.parts.command_palette import Command
from app.gui.parts.failures import REPORT_ACTION
from app.gui.parts.rail import PAGES, Rail
from app.gui.parts.status_bar import StatusBar
from app.gui.parts.theme import Theme
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.gui.reports import Reports
from app.gui.server_control import ServerControl
from app.gui.settings_control import SettingsControl
from app.gui.speed.diagnosis_panel import DiagnosisPanel
from app.gui.speed.page import SpeedPage
from app.gui.startup import Startup
from app.session.session import Session
from app.settings import Settings
from app.system.licences import notices
from app.wording.explain import pick_text

log = logging.getLogger(__name__)

CLOSE_MILLISECONDS = 8000
INSPECTOR_FROM = 1100  # pixels of window width, at 100 %, below which the side panel folds


class MainWindow(QMainWindow):
    """Wires controls to pages; everything that can take time goes through the bridge."""

    def __init__(self, session: Session, theme: Theme) -> None:
        super().__init__()
        self.session = session
        self.theme = theme
        self.bridge = Bridge(self)
        self.models = ModelSelection(session, self.bridge, self)
        self.chat = ChatControl(session, self.bridge, self.models, self)
        self.library = ModelsControl(session, self.bridge, self)
        self.server = ServerControl(session, self.bridge, self)
        self.setWindowTitle("Stillroom")
        self.setMinimumSize(QSize(720, 480))
        self.resize(1280, 800)
        self._build()
        self._set_widths()
        self.settings = SettingsControl(session, self.bridge, self.server, self.toast, self)
        self.reports = Reports(session.paths, self.bridge, self.toast, self)
        self._wire()
        self.announcements = Announcements(
            self.chat, self.library, self.status, self.toast, self.chat_with, self
        )
        self.announcements.notices.enabled = session.settings.notify
        self.conversation_source.failed.connect(self.announcements.show_error)
        self.startup = Startup(session, self.bridge, self.models, self.library, self.toast, self)
        self.startup.devices_found.connect(self.inspector.plan.set_devices)
        self.commands = Commands(self, self.body, self._menus(), self._palette_only)
        self.commands.actions_by_name[tr("Copy bug report")].setObjectName(REPORT_ACTION)
        self.show_page("chat")

    # -- building --------------------------------------------------------------------------------

    def _build(self) -> None:
        theme, settings = self.theme, self.session.settings
        self.rail = Rail(theme)
        self.conversation_list = ConversationList(theme)
        self.model_list = ModelList(self.library, theme)
        self.chat_page = ChatPage(self.chat, settings, theme)
        self.models_page = ModelsPage(self.library, theme)
        self.speed_page = SpeedPage(self.session, self.bridge, theme)
        self.diagnosis = DiagnosisPanel(self.session, self.bridge)
        self.inspector = Inspector(self.session, self.chat, self.diagnosis, theme)
        self.status = StatusBar(theme)
        self.sidebar = QStackedWidget()
        self.sidebar.setObjectName("sidebar")
        self.sidebar.addWidget(self.conversation_list)
        self.sidebar.addWidget(self.model_list)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.chat_page)
        self.pages.addWidget(self.models_page)
        self.pages.addWidget(self.speed_page)
        self._inspector_wanted = settings.show_inspector
        central = self.body = QWidget()
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        for each in (self.rail, self.sidebar):
            body.addWidget(each)
        body.addWidget(self.pages, 1)
        body.addWidget(self.inspector)
        outer = QVBoxLayout(central)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addLayout(body, 1)
        outer.addWidget(self.status)
        self.setCentralWidget(central)
        self.toast = Toast(central)
        self.conversations = ConversationActions(self.chat, self.bridge, self.toast, self)
        self.conversation_source = ConversationSource(
            self.chat, self.bridge, self.conversation_list, self
        )
        self.several = SeveralAnswers(self.chat, self)
        self.several.picked.connect(lambda pick: self.toast.show_text(tr(pick_text(pick))))

    def _set_widths(self) -> None:
        narrow = self._narrow(self.width())
        self.sidebar.setFixedWidth(self.theme.px(216 if narrow else 256))
        self.inspector.setFixedWidth(self.theme.px(288))
        on_chat = self.pages.currentWidget() is self.chat_page
        self.inspector.setVisible(self._inspector_wanted and on_chat and not narrow)

    def _narrow(self, width: int) -> bool:
        return width < self.theme.px(INSPECTOR_FROM)

    def _wire(self) -> None:
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._system_theme_changed)
        self.rail.page_chosen.connect(self.show_page)
        self.rail.settings_asked.connect(self.settings.show)
        self.settings.changed.connect(self._apply_setting)
        self.speed_page.measured.connect(lambda _profile: self.models.replan())
        self.speed_page.measured.connect(lambda _profile: self.library.replan())
        # The same model may now be there for a faster engine.
        self.library.work_ended.connect(lambda *_: self.models.replan())
        self._wire_conversations()
        self._wire_models()
        chat, status = self.chat, self.status
        chat.answer_ended.connect(lambda message, _error: self.diagnosis.judge(message.figures))
        self.models.chosen_changed.connect(status.show_model)
        self.models.chosen_changed.connect(self._chosen)
        self.models.plan_changed.connect(status.show_plan)
        self.models.loaded_changed.connect(status.show_loaded)
        status.why_asked.connect(self.show_why)
        self.chat_page.models_asked.connect(lambda: self.show_page("models"))
        self.chat_page.inspector_asked.connect(self.toggle_inspector)
        self.chat_page.announced.connect(self.status.announce)
        self.chat_page.deleted.connect(
            lambda undo: self.toast.show_text(tr("Messages deleted"), tr("Undo"), undo)
        )

    def _wire_conversations(self) -> None:
        listed = self.conversation_list
        listed.opened.connect(self.chat.open)
        listed.hit_opened.connect(self._open_hit)
        listed.new_asked.connect(self.new_chat)
        does = self.conversations
        listed.rename_asked.connect(does.rename)
        listed.pin_asked.connect(does.pin)
        listed.folder_asked.connect(does.move)
        listed.delete_asked.connect(does.delete)
        listed.export_asked.connect(does.export)
        does.changed.connect(self.conversation_source.refresh)
        composer = self.chat_page.composer
        self.chat_page.attach_asked.connect(lambda: does.choose_attachments(composer))
        self.chat_page.files_dropped.connect(lambda names: does.attach(composer, names))

    def _wire_models(self) -> None:
        library, start = self.library, self.chat_page.start
        library.items_changed.connect(self._recommend)
        library.work_changed.connect(self._show_work)
        self.model_list.selected.connect(self.models_page.show_item)
        self.model_list.shown.connect(self.models_page.show_items)
        self.models_page.opened.connect(self._open_model)
        self.model_list.announced.connect(self.status.announce)
        self.models_page.announced.connect(self.status.announce)
        self.models_page.chat_asked.connect(self.chat_with)
        self.models_page.library.remotes_asked.connect(self.show_remotes)
        self.chat_page.remotes_asked.connect(self.show_remotes)
        start.get_starter_asked.connect(self._get_starter)
        start.browse_asked.connect(lambda: self.show_page("models"))
        start.banner_asked.connect(self.show_model)

    # -- start -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Fill the window, put the cursor where one types; called once it is shown."""
        self.conversation_source.refresh()
        self.chat_page.composer.text.setFocus()
        self.startup.begin()

    def offer_tour(self) -> None:
        """The tour, at the first start of someone without conversations."""
        if not self.session.settings.tour_seen and not self.session.store.conversations():
            self.show_tour()

    def show_tour(self) -> None:
        """Three steps: ask, choose, read the numbers."""
        self.show_page("chat")
        composer = self.chat_page.composer
        steps = three_steps(composer, self.chat_page.model_button, self.status)
        tour = Tour(self.body, steps)
        tour.ended.connect(lambda: self.settings.remember("tour_seen", True))
        tour.ended.connect(composer.text.setFocus)
        tour.ended.connect(tour.deleteLater)
        tour.begin()

    # -- menus -----------------------------------------------------------------------------------

    def _menus(self) -> tuple[Menu, ...]:
        offered = ConversationMenu(self.chat, self.chat_page, self.conversations)
        conversation = [*offered.of_conversation(), None, *offered.of_message()]
        return (
            Menu(tr("&Chat"), self._chat_commands()),
            Menu(tr("C&onversation"), conversation),
            Menu(tr("&View"), self._view_commands()),
            Menu(tr("&Search"), self._search_commands()),
            Menu(tr("&Help"), self._help_commands()),
        )

    def _chat_commands(self) -> list[Command | None]:
        does = self.conversations
        return [
            Command(tr("New chat"), "Ctrl+N", self.new_chat),
            Command(tr("Choose model"), "Ctrl+L", self.chat_page.choose_model),
            Command(tr("Remote models"), "", self.show_remotes),
            Command(tr("Stop answer"), "Ctrl+.", self.chat.stop),
            Command(tr("Compare answers"), "Ctrl+D", self.chat_page.compare_last),
            Command(tr("Answer several times and vote"), "Ctrl+Shift+D", self.several.ask),
            None,
            Command(tr("Export conversation"), "Ctrl+S", does.export_open),
            Command(tr("Import conversation"), "", does.import_file),
            Command(tr("Print"), "Ctrl+P", does.print_open),
            None,
            Command(tr("Settings"), "Ctrl+,", self.settings.show),
            Command(tr("Quit"), "Ctrl+Q", self.close),
        ]

    def _view_commands(self) -> list[Command | None]:
        return [
            Command(tr("Show chat"), "Ctrl+1", lambda: self.show_page("chat")),
            Command(tr("Show models"), "Ctrl+2", lambda: self.show_page("models")),
            Command(tr("Show speed"), "Ctrl+3", lambda: self.show_page("speed")),
            Command(tr("Why this speed"), "", self.show_plan),
            Command(tr("Side panel"), "Ctrl+I", self.toggle_inspector),
            None,
            Command(tr("Next pane"), "F6", lambda: self.next_pane(1)),
            Command(tr("Previous pane"), "Shift+F6", lambda: self.next_pane(-1)),
        ]

    def _search_commands(self) -> list[Command | None]:
        return [
            Command(tr("Search this page"), "Ctrl+F", self.search_here),
            Command(tr("Search all conversations"), "Ctrl+Shift+F", self.search_all),
            Command(tr("Command palette"), "Ctrl+K", lambda: self.commands.show_palette()),
        ]

    def _help_commands(self) -> list[Command | None]:
        newer = NewerVersion(self.session, self.bridge, self.toast, self)
        return [
            Command(tr("Help"), "F1", self.show_help),
            Command(tr("Show the tour"), "", self.show_tour),
            Command(tr("Check for updates"), "", newer.ask),
            Command(tr("Open log folder"), "", self.reports.open_logs),
            Command(tr("Copy bug report"), "", self.reports.copy),
            Command(tr("About Stillroom"), "", lambda: AboutDialog(notices(), self).exec()),
        ]

    def _palette_only(self) -> list[Command]:
        """Models and conversations, which are in no menu."""
        models = [
            Command(item.title, tr("model"), partial(self.show_model, item.key))
            for item in self.library.items
        ]
        conversations = [
            Command(each.title, tr("conversation"), partial(self.open_conversation, each.id))
            for each in self.session.store.conversations()
        ]
        return models + conversations

    def show_help(self) -> None:
        """The bundled help, with the keys of these menus; it may stay open beside the work."""
        dialog = HelpDialog(self.theme, self.commands.key_table(), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.link_clicked.connect(self.chat_page.open_link)
        dialog.show()

    # -- pages -----------------------------------------------------------------------------------

    def show_page(self, name: str) -> None:
        """Show "chat", "models" or "speed", with its list beside it."""
        index = PAGES.index(name)
        self.pages.setCurrentIndex(index)
        self.sidebar.setCurrentIndex(min(index, 1))
        self.sidebar.setVisible(name != "speed")
        if name == "speed":
            self.speed_page.refresh()
        self.rail.set_page(name)
        self._set_widths()
        if name == "models" and not self.models_page.key and self.library.items:
            self.model_list.select(self.library.items[0].key)

    def toggle_inspector(self) -> None:
        """Show or hide the side panel."""
        visible = self.inspector.isVisible()
        self._inspector_wanted = not visible
        self.settings.remember("show_inspector", not visible)
        self.inspector.setVisible(not visible)

    def show_plan(self) -> None:
        """Show the side panel at the plan."""
        self.show_page("chat")
        self._inspector_wanted = True
        self.inspector.setVisible(True)
        self.inspector.verticalScrollBar().setValue(0)
        self.inspector.plan.picture.setFocus()

    def show_why(self) -> None:
        """Show the side panel with the causes of the last answer's speed."""
        self.show_plan()
        self.diagnosis.ask()

    def show_remotes(self) -> None:
        """The models of other machines: added, changed, removed."""
        dialog = RemoteDialog(self.session, self.bridge, self)
        dialog.changed.connect(self.startup.choose_first)
        dialog.changed.connect(self.models.refresh_loaded)
        dialog.open()

    def _apply_setting(self, settings: Settings, name: str) -> None:
        self.chat_page.use_settings(settings)
        self.announcements.notices.enabled = settings.notify
        self.library.downloads.use_settings(settings)
        if name in ("theme", "text_scale"):
            application = QApplication.instance()
            assert isinstance(application, QApplication)
            self._choose_theme(themes.system_is_dark(application))
        elif name in ("policy", "context", "kv_cache", "engine", "threads"):
            self.models.use_settings()
        elif name == "serve":
            self.server.use_settings()

    def _choose_theme(self, system_is_dark: bool) -> None:
        settings = self.session.settings
        self.set_theme(themes.choose(settings.theme, settings.text_scale, system_is_dark))

    def _system_theme_changed(self, scheme: Qt.ColorScheme) -> None:
        """The desktop has become light or dark: follow it where that is wished."""
        if self.session.settings.theme == "system":
            self._choose_theme(scheme == Qt.ColorScheme.Dark)

    def next_pane(self, step: int) -> None:
        """Move the focus to the next part of the window."""
        around: list[QWidget] = [
            self.rail.buttons["chat"],
            self.conversation_list.view,
            self.model_list.view,
            self.models_page,
            self.chat_page.transcript,
            self.chat_page.compare_view.another,
            self.chat_page.composer.text,
            self.inspector.plan.picture,
            self.status.why,
        ]
        focus.move(around, step)

    def search_here(self) -> None:
        """Find in what the page shows: the open conversation, or the list of models."""
        if self.pages.currentWidget() is self.models_page:
            self.model_list.search.setFocus()
            self.model_list.search.selectAll()
        elif self.pages.currentWidget() is self.chat_page and self.chat.conversation is not None:
            self.chat_page.find_bar.begin()
        else:
            self.search_all()

    def open_conversation(self, conversation_id: int) -> None:
        self.show_page("chat")
        self.chat.open(conversation_id)

    def search_all(self) -> None:
        """Put the cursor into the search over all conversations."""
        self.show_page("chat")
        self.conversation_list.search.setFocus()
        self.conversation_list.search.selectAll()

    def set_theme(self, theme: Theme) -> None:
        """Change the colours and sizes of everything."""
        self.theme = theme
        application = QApplication.instance()
        if isinstance(application, QApplication):
            themes.apply(application, theme)
        for each in (
            self.rail, self.conversation_list, self.model_list, self.chat_page, self.models_page,
            self.speed_page, self.inspector, self.status,
        ):  # fmt: skip
            each.set_theme(theme)
        self._set_widths()

    # -- conversations ---------------------------------------------------------------------------

    def new_chat(self) -> None:
        self.show_page("chat")
        self.conversation_list.set_current(None)
        self.chat.new()

    def _open_hit(self, conversation_id: int, message_id: int) -> None:
        self.chat.open(conversation_id)
        self.chat_page.transcript.scroll_to(message_id)

    # -- models ----------------------------------------------------------------------------------

    def _get_starter(self) -> None:
        for item in self.library.items:
            if item.entry is not None and item.entry.source is not None:
                self.library.install(item.key)
                return

    def _chosen(self, name: str) -> None:
        if name:
            self.settings.remember("last_model", name)

    def chat_with(self, name: str) -> None:
        """A new conversation with this model."""
        self.models.choose(name)
        self.new_chat()

    def _open_model(self, key: str) -> None:
        self.model_list.select(key)
        self.models_page.show_item(key)

    def show_model(self, key: str) -> None:
        self.show_page("models")
        self.model_list.select(key)

    def search_hub(self, repository: str) -> None:
        """Show the models page with what the hub has of this name."""
        self.show_page("models")
        self.model_list.search.setText(repository)
        self.model_list.ask_hub()

    def _show_work(self, key: str) -> None:
        work = self.library.work.get(key)
        self.chat_page.start.show_work(work.progress if work else None, work is not None)

    def _recommend(self) -> None:
        self.chat_page.start.recommend(self.library.items)

    # -- closing ---------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """End the answer and all other work; the worker lives until the session is closed."""
        self.hide()
        self.bridge.cancel_all()
        self.library.downloads.close()
        self.server.close()
        if not self.bridge.close(CLOSE_MILLISECONDS):
            log.warning("some work did not end in time")
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        old = event.oldSize().width()
        if self._narrow(old) != self._narrow(event.size().width()) or old < 0:
            self._set_widths()
