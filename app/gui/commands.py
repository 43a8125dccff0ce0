"""The menus, their shortcuts, and the command palette over all of it. Knows names, not pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMessageBox

from app.gui.chat.conversation_menu import ConversationMenu
from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.help import HelpDialog
from app.gui.parts.command_palette import Command, CommandPalette
from app.gui.parts.words import tr
from app.system.licences import notices
from app.system.updates import Release, newest_release
from app.wording.explain import explain

if TYPE_CHECKING:
    from app.gui.main_window import MainWindow


class Commands(QObject):
    """Every action of the window once: in a menu, with its shortcut, and in the palette."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.actions_by_name: dict[str, QAction] = {}
        self.palette = CommandPalette(window.body)
        self._chat_menu()
        self._conversation_menu()
        self._view_menu()

    def _chat_menu(self) -> None:
        window = self._window
        menu = window.menuBar().addMenu(tr("&Chat"))
        does = window.conversations
        self._add(menu, tr("New chat"), "Ctrl+N", window.new_chat)
        self._add(menu, tr("Choose model"), "Ctrl+L", window.chat_page.choose_model)
        self._add(menu, tr("Remote models"), "", window.show_remotes)
        self._add(menu, tr("Stop answer"), "Ctrl+.", window.chat.stop)
        self._add(menu, tr("Compare answers"), "Ctrl+D", window.chat_page.compare_last)
        self._add(menu, tr("Answer several times and vote"), "Ctrl+Shift+D", window.several.ask)
        menu.addSeparator()
        self._add(menu, tr("Export conversation"), "Ctrl+S", does.export_open)
        self._add(menu, tr("Import conversation"), "", does.import_file)
        self._add(menu, tr("Print"), "Ctrl+P", does.print_open)
        menu.addSeparator()
        self._add(menu, tr("Settings"), "Ctrl+,", window.show_settings)
        self._add(menu, tr("Quit"), "Ctrl+Q", window.close)

    def _conversation_menu(self) -> None:
        menu = self._window.menuBar().addMenu(tr("C&onversation"))
        offered = ConversationMenu(self._window)
        for entry in offered.of_conversation():
            self._add(menu, *entry)
        menu.addSeparator()
        for entry in offered.of_message():
            self._add(menu, *entry)

    def _view_menu(self) -> None:
        window = self._window
        menu = window.menuBar().addMenu(tr("&View"))
        self._add(menu, tr("Show chat"), "Ctrl+1", lambda: window.show_page("chat"))
        self._add(menu, tr("Show models"), "Ctrl+2", lambda: window.show_page("models"))
        self._add(menu, tr("Show speed"), "Ctrl+3", lambda: window.show_page("speed"))
        self._add(menu, tr("Why this speed"), "", window.show_plan)
        self._add(menu, tr("Side panel"), "Ctrl+I", window.toggle_inspector)
        menu.addSeparator()
        self._add(menu, tr("Next pane"), "F6", lambda: window.next_pane(1))
        self._add(menu, tr("Previous pane"), "Shift+F6", lambda: window.next_pane(-1))
        find = window.menuBar().addMenu(tr("&Search"))
        self._add(find, tr("Search this page"), "Ctrl+F", window.search_here)
        self._add(find, tr("Search all conversations"), "Ctrl+Shift+F", window.search_all)
        self._add(find, tr("Command palette"), "Ctrl+K", self.show_palette)
        helps = window.menuBar().addMenu(tr("&Help"))
        self._add(helps, tr("Help"), "F1", self.show_help)
        self._add(helps, tr("Show the tour"), "", window.startup.show_tour)
        self._add(helps, tr("Check for updates"), "", self.check_version)
        self._add(helps, tr("About Stillroom"), "", self.show_about)

    def show_help(self) -> None:
        """The bundled help, with the keys of these menus; it may stay open beside the work."""
        keys = [
            f"| {name} | {action.shortcut().toString()} |"
            for name, action in self.actions_by_name.items()
            if not action.shortcut().isEmpty()
        ]
        table = "\n".join([f"| {tr('Command')} | {tr('Shortcut')} |", "|---|---|", *keys])
        help_dialog = HelpDialog(self._window.theme, table, self._window)
        help_dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        help_dialog.link_clicked.connect(self._window.chat_page.open_link)
        help_dialog.show()

    def check_version(self) -> None:
        """Ask the address in the settings, because the person asked; nothing is downloaded."""
        session = self._window.session
        job = self._window.bridge.call(lambda: newest_release(session.settings, session.paths.hub))
        job.finished.connect(self._show_release)
        job.failed.connect(self._no_answer)

    def _no_answer(self, error: Exception) -> None:
        self._window.toast.show_text(tr(explain(error).sentence))

    def _show_release(self, release: Release) -> None:
        text = tr("You have the latest version.")
        if release.is_newer:
            parts = (tr("Version {0} is available.", release.version), release.page, release.notes)
            text = "\n\n".join(filter(None, parts))
        QMessageBox.information(self._window, tr("Check for updates"), text)

    def show_about(self) -> None:
        """The version, and the licences of everything inside."""
        AboutDialog(notices(), self._window).exec()

    def show_palette(self) -> None:
        """Everything the window can do, models and conversations included, by typing."""
        window = self._window
        commands = [
            Command(name, action.shortcut().toString(), action.trigger)
            for name, action in self.actions_by_name.items()
        ]
        for item in window.library.items:
            commands.append(Command(item.title, tr("model"), self._shows(item.key)))
        for each in window.session.store.conversations():
            commands.append(Command(each.title, tr("conversation"), self._opens(each.id)))
        self.palette.open(commands)

    def _shows(self, key: str) -> Callable[[], None]:
        return lambda: self._window.show_model(key)

    def _opens(self, conversation_id: int) -> Callable[[], None]:
        return lambda: self._window.open_conversation(conversation_id)

    def _add(self, menu: QMenu, text: str, shortcut: str, do: Callable[[], object]) -> None:
        action = QAction(text, self._window)
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        action.triggered.connect(lambda _checked=False: do())
        menu.addAction(action)
        self.actions_by_name[text] = action
