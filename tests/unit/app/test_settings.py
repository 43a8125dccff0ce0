"""Settings: declared once, read from file and environment, saved whole, unknown keys kept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app import settings
from app.errors import SettingsError
from app.settings import DECLARATIONS, Settings


def test_every_setting_is_declared_with_title_help_and_a_valid_default() -> None:
    for name, declaration in DECLARATIONS.items():
        assert declaration.title, name
        assert declaration.help.endswith("."), name
        assert declaration.group, name
        assert settings.parse(name, declaration.default) == declaration.default


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    loaded, problems = settings.load(tmp_path / "none.json")
    assert loaded == Settings()
    assert problems == ()


def test_round_trip_keeps_values_and_unknown_keys(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "settings.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "theme": "dark", "from_the_future": [1, 2]}))
    loaded, problems = settings.load(path)
    assert loaded.theme == "dark"
    assert problems == ()
    settings.save(loaded.with_value("text_scale", "125"), path)
    again, _ = settings.load(path)
    assert (again.theme, again.text_scale) == ("dark", 125)
    assert json.loads(path.read_text())["from_the_future"] == [1, 2]
    assert [p.name for p in path.parent.iterdir()] == ["settings.json"]


def test_environment_beats_file_and_an_override_beats_both(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"theme": "dark", "threads": 3}))
    environment = {"STILLROOM_THEME": "light", "STILLROOM_THREADS": "4"}
    loaded, _ = settings.load(path, environment, threads=5)
    assert (loaded.theme, loaded.threads) == ("light", 5)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("theme", "purple", "choice"),
        ("text_scale", 1000, "range"),
        ("threads", "many", "not_whole"),
        ("threads", True, "not_whole"),
        ("offline", "perhaps", "not_switch"),
        ("hub_endpoint", 4, "not_text"),
        ("no_such_thing", 1, "unknown"),
    ],
)
def test_a_bad_value_names_the_setting_and_what_is_wrong(
    name: str, value: object, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.parse(name, value)
    assert caught.value.facts["key"] == name
    assert caught.value.facts["reason"] == reason


def test_a_bad_value_in_the_file_leaves_the_default_and_is_reported(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("setting left at its default")
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"theme": "purple", "threads": 2}))
    loaded, problems = settings.load(path)
    assert (loaded.theme, loaded.threads) == ("system", 2)
    assert [problem.facts["key"] for problem in problems] == ["theme"]


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_broken_file_gives_defaults_and_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    loaded, problems = settings.load(path)
    assert loaded == Settings()
    assert problems[0].facts["reason"] in ("read", "not_object")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.mkdir()  # os.replace cannot put a file over a folder
    with pytest.raises(SettingsError):
        settings.save(Settings(theme="dark"), path)
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]
