"""The window as Qt tells it to assistive technology."""

from collections.abc import Iterator

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QWidget

ROLES = QAccessible.Role
NEED_NAMES = {
    ROLES.Button,
    ROLES.CheckBox,
    ROLES.ComboBox,
    ROLES.EditableText,
    ROLES.List,
    ROLES.Table,
    ROLES.SpinBox,
    ROLES.ProgressBar,
    ROLES.ButtonMenu,
}


def tree(widget: QWidget) -> Iterator[QAccessibleInterface]:
    """All visible objects below a widget, as Qt tells them to assistive technology."""
    waiting = [QAccessible.queryAccessibleInterface(widget)]
    while waiting:
        interface = waiting.pop()
        if interface is None or not interface.isValid() or interface.state().invisible:
            continue
        yield interface
        waiting += [interface.child(i) for i in range(interface.childCount())]


def nameless(widget: QWidget) -> list[str]:
    """Controls without a name, as a readable list. Parts of a control inside it are its own."""
    missing = []
    for interface in tree(widget):
        owner = interface.object()
        inner = isinstance(owner, QWidget) and owner.objectName().startswith("qt_")
        if interface.role() in NEED_NAMES and not interface.text(QAccessible.Text.Name):
            parent = interface.parent()
            if inner or (parent is not None and parent.role() in (ROLES.SpinBox, ROLES.ComboBox)):
                continue
            if parent is not None and parent.role() in (ROLES.ScrollBar, ROLES.PageTabList):
                continue
            missing.append(f"{interface.role().name} {type(owner).__name__}")
    return missing
