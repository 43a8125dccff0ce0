"""Faults of the program while serving: told as such; the log has tracebacks and no prompts."""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from app.logs import start_logging
from app.server import routes
from app.server.pool import ModelPool
from tests.helpers.serving import serving

SECRET = " ".join(("I", "love", "somebody"))


def broken(*_args: object, **_fields: object) -> None:
    raise ValueError(SECRET)


def test_a_fault_in_a_request(
    tmp_path: Path,
    starter_gguf: Path,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str], None],
) -> None:
    expect_log("a request failed")
    log = tmp_path / "stillroom.log"
    start_logging(log)
    monkeypatch.setattr(routes, "chat_requests", broken)
    with serving(tmp_path / "home", starter_gguf) as served:
        answer = served.chat(SECRET)
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "Something went wrong; the log has the details."
    text = log.read_text()
    assert "a request failed\nTraceback (most recent call last):" in text
    assert 'File "app/server/routes.py"' in text
    assert "ValueError: (15 characters withheld)" in text
    assert SECRET not in text


def test_a_fault_that_only_the_loop_sees_and_one_of_a_chore(
    tmp_path: Path,
    starter_gguf: Path,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str], None],
) -> None:
    expect_log("in the server's loop")
    expect_log("a chore of the server ended")
    log = tmp_path / "stillroom.log"
    start_logging(log)

    async def sweep(_pool: ModelPool) -> None:
        asyncio.get_running_loop().create_task(lost())
        await asyncio.sleep(0.05)
        gc.collect()
        broken()

    async def lost() -> None:
        broken()

    monkeypatch.setattr(ModelPool, "sweep", sweep)
    with serving(tmp_path / "home", starter_gguf) as served:
        for _ in range(100):
            if log.exists() and "chore" in log.read_text():
                break
            served.request("GET", "/openapi.json")
    text = log.read_text()
    assert "in the server's loop: Task exception was never retrieved\nTraceback" in text
    assert "a chore of the server ended\nTraceback" in text
    assert SECRET not in text
