"""What files and links from outside mean; anything unusual means nothing."""

from pathlib import Path

import pytest

from app.__main__ import _wants_window
from app.arrivals import Arrival, is_arrival, understand


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
    arrival = understand(argument)
    assert (arrival.kind, arrival.value) == meant


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert understand("model.GGUF") == Arrival("file", str(tmp_path / "model.GGUF"))
    assert is_arrival("model.GGUF")
    assert not is_arrival("list")


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
