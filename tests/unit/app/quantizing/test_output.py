"""Paths that a conversion's result is to take: what is one, and what is refused."""

from pathlib import Path

import pytest

from app.errors import OutputRefused
from app.quantizing.output import as_path, check_free, placed
from app.wording.explain import explain


@pytest.mark.parametrize("name", ["mine", "mine-4.5gb", "my model", "gguf"])
def test_a_name_is_no_path(name: str) -> None:
    assert as_path(name) is None


@pytest.mark.parametrize(
    "name", ["out/mine", "./mine", "/tmp/mine", "mine.gguf", "MINE.GGUF", "~/m"]
)
def test_a_path_is_absolute(name: str) -> None:
    path = as_path(name)
    assert path is not None
    assert path.is_absolute()
    assert path.name.lower().startswith("m")


def refusal(path: Path, library: Path, *, folder: bool = False) -> tuple[str, str]:
    with pytest.raises(OutputRefused) as caught:
        check_free(path, library, folder=folder)
    return caught.value.reason, explain(caught.value).sentence


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    library = tmp_path / "models"
    library.mkdir()
    there = tmp_path / "there.gguf"
    there.touch()
    assert refusal(there, library) == ("exists", f"{there} already exists and is not replaced.")
    dangling = tmp_path / "dangling.gguf"
    dangling.symlink_to(tmp_path / "nowhere")
    assert refusal(dangling, library)[0] == "exists"
    assert refusal(library, library) == (
        "is_folder", f"{library} is a folder: name a file to write."
    )  # fmt: skip
    assert refusal(library, library, folder=True)[0] == "exists"
    assert refusal(tmp_path / "no" / "x.gguf", library)[1].startswith(
        f"There is no folder {tmp_path / 'no'}"
    )
    assert refusal(library / "x.gguf", library)[0] == "in_library"
    check_free(tmp_path / "free.gguf", library, folder=False)


def test_the_result_takes_its_place_in_one_step(tmp_path: Path) -> None:
    with placed(tmp_path / "x.gguf") as output:
        output.write_text("whole")
        assert not (tmp_path / "x.gguf").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x.gguf"]
    with placed(tmp_path / "onnx") as output:
        output.mkdir()
        (output / "model.onnx").write_text("whole")
    assert (tmp_path / "onnx" / "model.onnx").is_file()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with placed(tmp_path / "x.gguf") as output:
            output.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_what_appeared_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"

    def late() -> None:
        with placed(path) as output:
            output.write_text("ours")
            path.write_text("another's")

    with pytest.raises(OutputRefused):
        late()
    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]
