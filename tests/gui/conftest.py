"""The real window on a real session: the starter model, a real worker, a home of its own.

What children found out about the starter and the devices is shared by the sessions of a run.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.planning.inspection import Inspection
from app.planning.machine import probe_in_child
from app.session.session import Session
from runtime.devices import Device
from runtime.process.job_values import ProbeArgs


@pytest.fixture(scope="session")
def found_by_children(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The header of the starter and the devices of this machine, each asked for once in a run."""
    log = tmp_path_factory.mktemp("found") / "worker.log"

    @cache
    def devices(args: ProbeArgs) -> tuple[Device, ...]:
        return probe_in_child(args, log)

    return {"inspection": Inspection(lambda: log), "probe": lambda args, _log: devices(args)}


@pytest.fixture
def session_parts(found_by_children: dict[str, Any]) -> dict[str, Any]:
    return found_by_children


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, session: Session) -> Iterator[MainWindow]:
    """The main window, filled, with the starter chosen and planned."""
    # Style and theme are given to every widget there is: not to those of the test before.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.setStyle("Fusion")
    look = theme.choose("light", 100, False)
    theme.apply(qapp, look)
    window = MainWindow(session, look)
    qtbot.addWidget(window)
    window.show()
    window.start()
    qtbot.waitUntil(
        lambda: window.models.plan is not None and not window.bridge.busy, timeout=20000
    )
    yield window
    window.close()
