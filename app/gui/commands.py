"""The menus, their shortcuts, and the command palette over all of it. Knows names and callables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QWidget

from app.gui.parts.command_palette import Command, CommandPalette
from app.gui.parts.words import tr


@dataclass(frozen=True)
class Menu:
    """One menu of the window; a command's hint is its shortcut, None a line between commands."""

    title: str
    commands: Sequence[Command | None]


class Commands(QObject):
    """Every action of the window once: in a menu, with its shortcut, and in the palette.

    host: what the palette is opened over. more: what only the palette has, asked for when it opens.
    """

    def __init__(
        self,
        window: QMainWindow,
        host: QWidget,
        menus: Sequence[Menu],
        more: Callable[[], Sequence[Command]],
    ) -> None:
        super().__init__(window)
        self._more = more
        self.actions_by_name: dict[str, QAction] = {}
        self.palette = CommandPalette(host)
        for menu in menus:
            shown = window.menuBar().addMenu(menu.title)
            for command in menu.commands:
                if command is None:
                    shown.addSeparator()
                else:
                    shown.addAction(self._action(command))

    def key_table(self) -> str:
        """The commands that have a key, as a table in Markdown."""
        keys = [
            f"| {name} | {action.shortcut().toString()} |"
            for name, action in self.actions_by_name.items()
            if not action.shortcut().isEmpty()
        ]
        return "\n".join([f"| {tr('Command')} | {tr('Shortcut')} |", "|---|---|", *keys])

    def show_palette(self) -> None:
        """Everything the window can do, by typing."""
        commands = [
            Command(name, action.shortcut().toString(), action.trigger)
            for name, action in self.actions_by_name.items()
        ]
        self.palette.open([*commands, *self._more()])

    def _action(self, command: Command) -> QAction:
        action = QAction(command.name, self)
        if command.hint:
            action.setShortcut(QKeySequence(command.hint))
        action.triggered.connect(lambda _checked=False: command.do())
        self.actions_by_name[command.name] = action
        return action
