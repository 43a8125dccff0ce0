"""The folder of KV states: what is kept, what is refused, what goes first."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.answer.kv_state import StateFolder, settings_key, state_name

LIMIT = 1000


def writes(content: bytes, tokens: int = 7) -> Callable[[Path], int]:
    def write(path: Path) -> int:
        path.write_bytes(content)
        return tokens

    return write


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "states", LIMIT)


def read_all(seen: list[bytes]) -> Callable[[Path], int]:
    def read(path: Path) -> int:
        seen.append(path.read_bytes())
        return 7

    return read


def test_a_saved_state_comes_back(folder: StateFolder) -> None:
    state = folder.save("a", "key", writes(b"cells"))
    assert state is not None
    assert (state.tokens, state.bytes) == (7, 5)
    seen: list[bytes] = []
    assert folder.load("a", "key", read_all(seen)) == 7
    assert seen == [b"cells"]


def test_a_state_of_other_settings_is_not_used(folder: StateFolder) -> None:
    folder.save("a", "key", writes(b"cells"))
    assert folder.load("a", "other key", read_all([])) == 0
    assert folder.find("a", "key") is not None


@pytest.mark.parametrize("damage", ["flip", "cut", "manifest", "manifest type"])
def test_a_damaged_state_never_reaches_the_engine(
    folder: StateFolder, tmp_path: Path, damage: str
) -> None:
    folder.save("a", "key", writes(b"cells"))
    path = tmp_path / "states" / "a.kv"
    if damage == "flip":
        path.write_bytes(b"cellt")
    elif damage == "cut":
        path.write_bytes(b"cell")
    else:
        path.with_suffix(".json").write_text("[1]" if damage.endswith("type") else "{")
    seen: list[bytes] = []
    assert folder.load("a", "key", read_all(seen)) == 0
    assert seen == []


def test_a_state_that_the_engine_refuses_is_removed(folder: StateFolder, tmp_path: Path) -> None:
    folder.save("a", "key", writes(b"cells"))
    assert folder.load("a", "key", lambda _: 0) == 0
    assert list((tmp_path / "states").iterdir()) == []


def test_a_state_larger_than_the_folder_is_not_kept(folder: StateFolder, tmp_path: Path) -> None:
    assert folder.save("a", "key", writes(b"x" * (LIMIT + 1))) is None
    assert list((tmp_path / "states").iterdir()) == []


def test_a_failed_write_leaves_nothing_and_keeps_the_older_state(
    folder: StateFolder, tmp_path: Path
) -> None:
    folder.save("a", "key", writes(b"cells"))

    def fail(path: Path) -> int:
        path.write_bytes(b"half")
        raise OSError(28, "no space left")

    assert folder.save("a", "key", fail) is None
    assert folder.find("a", "key") is not None
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["a.json", "a.kv"]


def test_the_longest_unused_state_goes_first(folder: StateFolder, tmp_path: Path) -> None:
    for at, name in enumerate("abc"):
        folder.save(name, "key", writes(b"x" * 300))
        os.utime(tmp_path / "states" / f"{name}.json", (1000 + at, 1000 + at))
    assert folder.load("a", "key", lambda _: 1) == 1  # used now
    folder.save("d", "key", writes(b"x" * 300))
    kept = [name for name in "abcd" if folder.find(name, "key")]
    assert kept == ["a", "c", "d"]


def test_leftovers_of_a_dead_process_are_swept(folder: StateFolder, tmp_path: Path) -> None:
    folder.save("a", "key", writes(b"x"))
    part = tmp_path / "states" / ".b.99.part"
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    folder.trim()
    assert not part.exists()


def test_names_and_keys_differ_with_what_they_stand_for() -> None:
    key = settings_key({"model": "m", "kv": ("f16", "f16")})
    assert key == settings_key({"kv": ("f16", "f16"), "model": "m"})
    assert key != settings_key({"model": "m", "kv": ("q8_0", "f16")})
    assert state_name("one") != state_name("two")
