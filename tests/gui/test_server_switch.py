"""The local server as a switch of the settings."""

import socket
from pathlib import Path

import httpx2
from pytestqt.qtbot import QtBot

from app.gui.dialogs.settings import SettingsDialog
from app.gui.parts.bridge import Bridge
from app.gui.server_control import ServerControl
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_on_shows_address_and_key_and_off_ends_it(qtbot: QtBot, tmp_path: Path) -> None:
    session = Session(Paths.under(tmp_path), Settings(server_port=free_port()))
    dialog = SettingsDialog(session.settings)
    qtbot.addWidget(dialog)
    bridge = Bridge(dialog)
    control = ServerControl(session, bridge, dialog)
    control.status_changed.connect(lambda text: dialog.show_note("serve", text))

    def switch(on: bool) -> None:
        session.settings = session.settings.with_value("serve", on)
        with qtbot.waitSignal(control.status_changed, timeout=10_000):
            control.use_settings()

    switch(True)
    address, key = (line.partition(": ")[2] for line in control.text.splitlines())
    models = f"{address}/models"
    assert httpx2.get(models).status_code == 401
    right = {"authorization": f"Bearer {key}"}
    assert httpx2.get(models, headers=right).json() == {"object": "list", "data": []}
    assert key in dialog._notes["serve"].text()
    switch(False)
    assert control.text == ""
    try:
        httpx2.get(models, headers=right)
    except httpx2.ConnectError:
        pass
    else:
        raise AssertionError("it still answers")
    qtbot.waitUntil(lambda: not bridge.busy)
    session.close()


def test_a_port_in_use_is_told(qtbot: QtBot, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(server_port=taken.getsockname()[1], serve=True)
        session = Session(Paths.under(tmp_path), settings)
        dialog = SettingsDialog(session.settings)
        qtbot.addWidget(dialog)
        bridge = Bridge(dialog)
        control = ServerControl(session, bridge, dialog)
        qtbot.waitUntil(lambda: control.text != "", timeout=10_000)
        assert str(settings.server_port) in control.text
        qtbot.waitUntil(lambda: not bridge.busy)
        session.close()
