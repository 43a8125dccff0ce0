"""The starter model in a home of its own, quantized by the product."""

from pathlib import Path

from app.library.catalog import starter
from app.paths import Paths
from app.session.session import Session
from app.settings import load as load_settings


def open_session(home: Path) -> Session:
    """A session of its own folder, so that no benchmark touches the user's."""
    return Session(Paths.under(home), load_settings(home / "config" / "settings.json", {})[0])


def starter_q4(home: Path) -> Path:
    """The starter model quantized by the product's own recipe q4_0, made once in `home`."""
    session = open_session(home)
    try:
        entry = starter(session.catalog)
        assert entry is not None
        name = f"{entry.id}-q4_0"
        found = session.library.find(name)
        if found is None:
            session.install(entry.id)
            found, _ = session.quantize(entry.id, "q4_0", name=name, requantize=True)
        return found.path
    finally:
        session.close()
