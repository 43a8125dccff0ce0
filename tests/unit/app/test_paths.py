"""Where things are kept, and that one variable moves all of it."""

import sys
from pathlib import Path

import pytest

from app.paths import HOME_VARIABLE, Paths, bundled_folder


def test_one_variable_moves_everything(tmp_path: Path) -> None:
    paths = Paths.default({HOME_VARIABLE: str(tmp_path)})
    for path in (paths.settings, paths.models, paths.history, paths.log, paths.worker_log,
                 paths.hub):  # fmt: skip
        assert path.is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is made before it is written to"


def test_without_it_the_platform_decides() -> None:
    paths = Paths.default({})
    assert paths == Paths.of_platform()
    assert all("stillroom" in str(p) for p in (paths.config, paths.data, paths.cache, paths.logs))


def test_a_relative_home_does_not_follow_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Paths.under(Path("here")).data == tmp_path / "here" / "data"


def test_an_installers_copy_is_found_beside_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "stillroom"))
    assert bundled_folder() is None
    (tmp_path / "starter").mkdir()
    assert bundled_folder() == tmp_path / "starter"
