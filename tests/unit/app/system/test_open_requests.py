"""What files and links from outside mean; anything unusual means nothing."""

from pathlib import Path

import pytest

from app.__main__ import _wants_window, restore_library_path
from app.system.open_requests import OpenRequest, from_here, is_open_request, parse


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("stillroom:model/deepseek-r1-distill-qwen-7b", ("model", "deepseek-r1-distill-qwen-7b")),
        ("stillroom://hub/deepseek-ai/DeepSeek-R1", ("hub", "deepseek-ai/DeepSeek-R1")),
        ("stillroom:hub/a/b/", ("hub", "a/b")),
        ("", ("none", "")),
        ("stillroom:", ("none", "")),
        ("stillroom:model/../../etc", ("none", "")),
        ("stillroom:model/--home", ("none", "")),
        ("stillroom:hub/a/b?x=1", ("none", "")),
        ("stillroom:hub/a/b/c", ("none", "")),
        ("stillroom:run/rm", ("none", "")),
        (f"stillroom:model/{'x' * 200}", ("none", "")),
    ],
)
def test_links(argument: str, meant: tuple[str, str]) -> None:
    request = parse(argument)
    assert (request.kind, request.value) == meant


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse("model.GGUF") == OpenRequest("file", str(tmp_path / "model.GGUF"))
    assert is_open_request("model.GGUF")
    assert not is_open_request("list")


def test_a_desktop_s_address_of_a_file_is_its_path() -> None:
    """GIO fills %u with one."""
    assert is_open_request("file:///mnt/models/My%20model.gguf")
    assert parse("file:///mnt/models/My%20model.gguf") == OpenRequest(
        "file", "/mnt/models/My model.gguf"
    )


def test_what_is_handed_over_does_not_depend_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert from_here("model.gguf") == str(tmp_path / "model.gguf")
    assert from_here("stillroom:hub/a/b") == "stillroom:hub/a/b"
    assert from_here("") == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"LD_LIBRARY_PATH": "/opt/stillroom"}, {}),
        (
            {"LD_LIBRARY_PATH": "/opt/stillroom", "LD_LIBRARY_PATH_ORIG": "/usr/local/cuda"},
            {"LD_LIBRARY_PATH": "/usr/local/cuda"},
        ),
        ({"HOME": "/mnt/ann"}, {"HOME": "/mnt/ann"}),
    ],
)
def test_programs_we_start_get_the_system_s_libraries(
    before: dict[str, str], after: dict[str, str]
) -> None:
    restore_library_path(before)
    assert before == after | {"PYINSTALLER_RESET_ENVIRONMENT": "1"}


@pytest.mark.parametrize(
    ("arguments", "window"),
    [
        ([], True),
        (["a.gguf"], True),
        (["stillroom:model/x"], True),
        (["--home", "x", "a.gguf"], True),
        (["--home", "x"], True),
        (["inspect", "a.gguf"], False),
        (["plan", "--json", "a.gguf"], False),
        (["list"], False),
    ],
)
def test_what_opens_the_window(arguments: list[str], window: bool) -> None:
    assert _wants_window(arguments) is window
