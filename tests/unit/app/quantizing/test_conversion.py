"""A conversion, from a checkpoint to an installed model, in its child process."""

from pathlib import Path

import pytest

from app.library.folder import Library
from app.library.targets import resolve
from app.quantizing.conversion import Conversion
from runtime.progress import ignore_progress
from tests.helpers.checkpoints import write_checkpoint


@pytest.mark.parametrize(("recipe", "family"), [("q8_0", "gguf"), ("onnx-q4-b32", "onnx")])
def test_a_checkpoint_becomes_an_installed_model_of_the_recipes_format(
    tmp_path: Path, recipe: str, family: str
) -> None:
    library = Library(tmp_path / "models")
    folder = write_checkpoint("qwen2", tmp_path / "m")
    conversion = Conversion(
        lambda name: resolve(name, (), library), lambda _: None, library, lambda: tmp_path / "log"
    )
    made, report = conversion.quantize(
        str(folder), recipe, ignore_progress, None, name="small", context=0
    )
    assert (made.format, made.recipe, made.source) == (family, recipe, f"quantized from {folder}")
    assert library.find("small") == made
    assert report.target_bytes > 0
