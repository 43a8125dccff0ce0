"""What the word MODEL means: an installed name, a path, a catalog id, or a near miss."""

from pathlib import Path

import pytest

from app.errors import UnknownModel
from app.library.catalog import load_catalog
from app.library.folder import InstalledModel, Library
from app.library.targets import entry_of, reference_of, resolve
from runtime.errors import ModelFileError

CATALOG = load_catalog()
R1 = next(entry for entry in CATALOG if entry.id == "deepseek-r1-distill-qwen-1.5b")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


def install(library: Library, name: str, source: str) -> InstalledModel:
    with library.staging() as staging:
        file = staging / f"{name}.gguf"
        file.write_bytes(b"weights of " + name.encode())
        return library.add(file, name=name, format="gguf", source=source)


def test_installed_before_catalog(library: Library) -> None:
    assert resolve(R1.id, CATALOG, library).path is None
    model = install(library, R1.id, R1.id)
    target = resolve(R1.id, CATALOG, library)
    assert (target.path, target.entry, target.installed) == (model.path, R1, model)


def test_a_path_is_taken_as_it_is(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "my model.gguf"
    file.touch()
    target = resolve(str(file), CATALOG, library)
    assert (target.path, target.entry, target.installed) == (file, None, None)


def test_an_installed_file_is_known_by_its_path(library: Library) -> None:
    model = install(library, "mine", "import")
    assert resolve(str(model.path), CATALOG, library).installed == model


def test_ids_in_any_case(library: Library) -> None:
    target = resolve(R1.id.upper(), CATALOG, library)
    assert (target.name, target.entry) == (R1.id, R1)


@pytest.mark.parametrize("name", ["absent.gguf", "folder/absent", "absent.safetensors"])
def test_a_missing_path_is_a_missing_file(library: Library, name: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        resolve(name, CATALOG, library)
    assert caught.value.facts == {
        "path": name, "reason": "missing", "tokens": None, "detail": None
    }  # fmt: skip


def test_a_near_miss_brings_suggestions(library: Library) -> None:
    install(library, "my-own-model", "import")
    with pytest.raises(UnknownModel) as caught:
        resolve("deepseek-r1-distill-qwen-1.5", CATALOG, library)
    assert caught.value.suggestions[0] == R1.id
    with pytest.raises(UnknownModel) as caught:
        resolve("my-own-modle", CATALOG, library)
    assert caught.value.suggestions[0] == "my-own-model"
    with pytest.raises(UnknownModel) as caught:
        resolve("zzzz", CATALOG, library)
    assert caught.value.facts["suggestions"] == []


def test_the_entry_is_found_through_what_it_was_quantized_from(library: Library) -> None:
    install(library, "original", R1.id)
    install(library, "small", "quantized from original")
    smaller = install(library, "smaller", "quantized from small")
    assert entry_of(smaller, CATALOG, library) == R1
    library.remove("original")
    assert entry_of(smaller, CATALOG, library) is None


def test_sources_in_a_circle_end(library: Library) -> None:
    install(library, "one", "quantized from two")
    two = install(library, "two", "quantized from one")
    assert entry_of(two, CATALOG, library) is None


def test_a_repository_names_its_entry(library: Library) -> None:
    assert R1.repositories.official
    model = install(library, "downloaded", R1.repositories.official)
    assert entry_of(model, CATALOG, library) == R1


def test_a_model_is_measured_against_the_full_precision_weights_of_its_entry(
    library: Library,
) -> None:
    quantized = install(library, "r1-Q4_K_M", str(R1.repositories.gguf))
    other_entry = next(entry for entry in CATALOG if entry.id == "deepseek-r1-distill-qwen-7b")
    install(library, "another-BF16", other_entry.id)
    assert reference_of(quantized, CATALOG, library) is None
    full = install(library, "r1-BF16", str(R1.repositories.gguf))
    stranger = install(library, "other-f16", "someone/other")
    assert reference_of(quantized, CATALOG, library) == full
    assert reference_of(full, CATALOG, library) is None
    assert reference_of(stranger, CATALOG, library) is None


def test_a_model_made_here_is_measured_against_what_it_was_made_from(library: Library) -> None:
    install(library, "mine-f16", "import")
    install(library, "mine-q8_0", "quantized from mine-f16")
    again = install(library, "mine-q4_0", "quantized from mine-q8_0")
    found = reference_of(again, CATALOG, library)
    assert found is not None
    assert found.name == "mine-f16"
