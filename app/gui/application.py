"""The Qt application around the window: appearance, faults, screenshot mode, a clean end."""

import gc
import logging
import os
import sys
from pathlib import Path

from PySide6.QtCore import (
    QEvent,
    QLibraryInfo,
    QLocale,
    QMessageLogContext,
    QTimer,
    QtMsgType,
    QTranslator,
    qInstallMessageHandler,
)
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from app.gui.main_window import MainWindow
from app.gui.open_requests import OpenRequests
from app.gui.parts import icons, theme
from app.gui.single_instance import Instance
from app.session.session import Session
from app.system.display import NO_DISPLAY
from app.system.open_requests import from_here

log = logging.getLogger(__name__)

TRANSLATIONS = Path(__file__).parent.parent / "translations"
SCREENSHOT_QUIET_MILLISECONDS = 1500
TOUR_AFTER_MILLISECONDS = 800
SETTLED_AFTER_MILLISECONDS = 5000  # everything that lives as long as the window is made


def run_window(session: Session, *, screenshot: Path | None = None, request: str = "") -> int:
    """Open the window and return when it was closed; the session is closed with it.

    screenshot: write a picture of the window there once it is filled, then end. request: a file or
    link to ask about. If a window on the same folders is open, it is handed over to that one.
    """
    application = _application()
    request = from_here(request)
    instance = Instance(session.paths.data, application)
    if screenshot is None and instance.hand_over(request):
        session.close()
        return 0
    application.setApplicationName("Stillroom")
    application.setDesktopFileName("stillroom")
    application.setStyle("Fusion")
    settings = session.settings
    look = theme.choose(settings.theme, settings.text_scale, theme.system_is_dark(application))
    theme.apply(application, look)
    application.setWindowIcon(icons.icon("logo", look.accent, 64))
    translators = install_language(application, settings.language)
    window = MainWindow(session, look)
    window.reports.watch()
    window.show()
    QTimer.singleShot(0, window.start)
    QTimer.singleShot(SETTLED_AFTER_MILLISECONDS, settle_memory)
    requests = OpenRequests(window, window.library, window.show_model, window.search_hub)
    instance.received.connect(requests.take)
    if request:
        QTimer.singleShot(0, lambda: requests.take(request))
    if screenshot is None:
        QTimer.singleShot(TOUR_AFTER_MILLISECONDS, window.offer_tour)
        instance.listen()
    else:
        _take_screenshot(window, screenshot)
    code = application.exec()
    instance.close()
    for translator in translators:
        application.removeTranslator(translator)
    session.close()
    if not window.bridge.close():
        log.error("a job outlived the session; leaving without it")
        logging.shutdown()
        os._exit(code)  # Python would abort in a thread that is still running
    destroy(window)
    return code


def settle_memory() -> None:
    """Take all objects made so far out of the collector's rounds, which would stop frames."""
    gc.collect()
    gc.freeze()
    gc.enable()


def destroy(window: MainWindow) -> None:
    """Delete a closed window now, on its own thread: Python's collector may run on any thread."""
    window.deleteLater()
    QApplication.sendPostedEvents(window, QEvent.Type.DeferredDelete)


def _application() -> QApplication:
    """Qt's application. A display that is named but does not answer ends the program with a
    sentence: Qt itself would abort."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    said: list[str] = []

    def listen(kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
        said.append(text)
        if kind == QtMsgType.QtFatalMsg:
            print(NO_DISPLAY, file=sys.stderr)
            for line in said:
                log.error("Qt: %s", line)
            logging.shutdown()
            os._exit(1)

    before = qInstallMessageHandler(listen)
    application = QApplication(["stillroom"])
    qInstallMessageHandler(before)
    return application


def install_language(application: QApplication, setting: str) -> list[QTranslator]:
    """Translate the window; "system" takes the desktop's language. Keep the result alive.

    Qt's own texts (dialog buttons, context menus) follow where Qt brings them.
    """
    locale = QLocale() if setting == "system" else QLocale(setting)
    QLocale.setDefault(locale)
    if locale.language() == QLocale.Language.English:
        return []
    places = (
        ("stillroom", TRANSLATIONS),
        ("qtbase", Path(QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))),
    )
    installed = []
    for name, folder in places:
        translator = QTranslator(application)
        if translator.load(locale, name, "_", str(folder)):
            application.installTranslator(translator)
            installed.append(translator)
    return installed


def _take_screenshot(window: MainWindow, path: Path) -> None:
    """Wait until nothing runs, then grab the window (from the screen where there is one)."""
    timer = QTimer(window)
    timer.setInterval(SCREENSHOT_QUIET_MILLISECONDS)

    def grab() -> None:
        if window.bridge.busy:
            return
        timer.stop()
        screen = QGuiApplication.primaryScreen()
        picture = screen.grabWindow(window.winId()) if screen else window.grab()
        if picture.isNull():
            picture = window.grab()
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(str(path))
        window.close()

    timer.timeout.connect(grab)
    timer.start()
