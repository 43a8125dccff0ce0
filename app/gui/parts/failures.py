"""Failures as the window shows them; a fault of the program gets a button that copies a report.

Knows the wording and, by its name alone, the window's action for reports: failures are told in many
places that know no window.
"""

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QPushButton

from app.gui.parts.controls import Problem, button
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.unexpected import is_fault
from app.wording.explain import explain

REPORT_ACTION = "copyReport"  # the object name of the window's action


def problem_box(error: Exception) -> Problem:
    """A failure where it happened: what, why, what to do."""
    words = explain(error)
    action = report_button() if is_fault(error) else None
    return Problem(tr(words.title), tr(words.sentence), tr(words.hint), action)


def report_button() -> QPushButton:
    """Copies a report."""
    made = button(
        tr("Copy bug report"),
        "link",
        tr("Copies versions and log for a bug report, without prompts, paths or names"),
    )
    made.clicked.connect(ask_for_report)
    return made


def show_failure(toast: Toast, error: Exception) -> None:
    """Show a failure that has no place of its own in the window."""
    words = explain(error)
    text = f"{tr(words.title)}. {tr(words.sentence)}"
    if is_fault(error):
        toast.show_text(text, tr("Copy bug report"), ask_for_report)
    else:
        toast.show_text(text)


def ask_for_report() -> None:
    """Do what the menu's "Copy bug report" does."""
    for widget in QApplication.topLevelWidgets():
        action = widget.findChild(QAction, REPORT_ACTION)
        if isinstance(action, QAction):
            action.trigger()
            return
