"""What every test has: a home of its own, no network beyond loopback, no screen, a quiet log.

Knows the fixtures that many areas share (the starter model, a session); areas keep theirs at home.
"""

import ipaddress
import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.downloads.starter import install_starter
from app.library.catalog import CatalogEntry, load_catalog, starter
from app.library.folder import InstalledModel, Library
from app.locks import FileLock
from app.paths import HOME_VARIABLE, Paths
from app.session.session import Session
from app.settings import Settings
from quant.recipe import recipe_named
from runtime.process.client import run_job
from runtime.process.job_table import QUANTIZE_GGUF
from runtime.process.job_values import QuantizeArgs

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "build" / "test-models"
# Names a folder with the starter's file or wheel, as an installer would put beside the program.
STARTER_VARIABLE = "STILLROOM_TEST_STARTER"
OUR_LOGGERS = ("app", "runtime", "quant")
QT_FIXTURES = {"qtbot", "qapp", "qtmodeltester"}

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a Qt fixture is a `gui` test."""
    for item in items:
        if QT_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("gui")


# -- network --------------------------------------------------------------------------------------


class NetworkBlocked(RuntimeError):
    """A test reached for something that is not this machine."""


_CABLED: set[str] = set()  # addresses in network namespaces of this machine that a test has made


def _is_local(host: object) -> bool:
    if host is None or host in ("", b"", "localhost", b"localhost") or host in _CABLED:
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: names may be looked up and sockets connected only where no packet leaves."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise NetworkBlocked(f"{event} {address!r}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        if not _is_local(arguments[0]):
            raise NetworkBlocked(f"{event} {arguments[0]!r}")


sys.addaudithook(_refuse_network)


@pytest.fixture
def cabled() -> Iterator[set[str]]:
    """Addresses that this test may reach beyond loopback: it adds those that it has made."""
    yield _CABLED
    _CABLED.clear()


# -- home and log ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def stillroom_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder everything of Stillroom goes to in this test. Nobody has made it yet."""
    home = tmp_path_factory.mktemp("home", numbered=True) / "stillroom"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return home


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


ExpectLog = Callable[[str], None]


@pytest.fixture(autouse=True)
def expect_log() -> Iterator[ExpectLog]:
    """Fails the test on a warning or an error in our own logs that it did not expect.

    A test that wants one calls `expect_log(PATTERN)`; it then fails when none appears.
    """
    patterns: list[str] = []
    collected = _Collected()
    loggers = [logging.getLogger(name) for name in OUR_LOGGERS]
    handlers_before = list(logging.getLogger().handlers)
    for logger in loggers:
        logger.addHandler(collected)
    yield patterns.append
    for logger in loggers:
        logger.removeHandler(collected)
    _close_log_files(handlers_before)
    surprising = [line for line in collected.lines if not any(re.search(p, line) for p in patterns)]
    missing = [p for p in patterns if not any(re.search(p, line) for line in collected.lines)]
    if surprising or missing:
        pytest.fail(f"unexpected in the log: {surprising}; expected and absent: {missing}")


def _close_log_files(before: list[logging.Handler]) -> None:
    """`app.logs.start_logging` adds a file to the root logger; its folder goes with the test."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and handler not in before:
            root.removeHandler(handler)
            handler.close()


# -- the starter model ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def starter_entry() -> CatalogEntry:
    """The built-in starter's catalog entry."""
    entry = starter(load_catalog())
    assert entry is not None
    return entry


@pytest.fixture(scope="session")
def starter_model(starter_entry: CatalogEntry) -> InstalledModel:
    """The starter as installed for tests, once for all runs of this checkout."""
    bundled = os.environ.get(STARTER_VARIABLE)
    assert starter_entry.source is not None
    with FileLock(MODELS / ".fixture.lock"):
        return install_starter(
            starter_entry.source,
            Library(MODELS),
            Path(bundled) if bundled else None,
            name=starter_entry.id,
            licence=starter_entry.licence,
        )


@pytest.fixture(scope="session")
def starter_gguf(starter_model: InstalledModel) -> Path:
    """The starter's file as it comes: Q4_1 with Q8_0 embeddings. Never write to it."""
    return starter_model.path


@pytest.fixture(scope="session")
def starter_q4(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter quantized to Q4_0 by role, by the product itself."""
    target = tmp_path_factory.mktemp("starter") / "starter-q4_0.gguf"
    run_job(QUANTIZE_GGUF, QuantizeArgs(starter_gguf, target, recipe_named("q4_0")))
    return target


@pytest.fixture
def session_parts() -> dict[str, Any]:
    """What `session` is made of besides its home: an area may have its sessions share parts."""
    return {}


@pytest.fixture
def session(
    stillroom_home: Path,
    starter_model: InstalledModel,
    starter_entry: CatalogEntry,
    session_parts: dict[str, Any],
) -> Iterator[Session]:
    """A session on this test's home, with the starter in its library under its catalog id."""
    session = Session(Paths.under(stillroom_home), Settings(), **session_parts)
    session.library.add(
        starter_model.path,
        name=starter_entry.id,
        format="gguf",
        source=starter_entry.id,
        licence=starter_entry.licence,
        digests={starter_model.path.name: starter_model.sha256},
        link=True,
    )
    yield session
    session.close()
