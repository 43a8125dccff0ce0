"""Sizes as people write them, and what a model made to one is called."""

import pytest

from app.quantizing.budget import Budget, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4.5GB", 4_500_000_000),
        ("4.5 gb", 4_500_000_000),
        ("700MB", 700_000_000),
        ("1.5G", 1_500_000_000),
        ("2GiB", 2 << 30),
        ("77571136", 77_571_136),
        ("512 b", 512),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "4,5GB", "-1GB", "4.5TB", "4.6 bits", "1e9"])
def test_what_is_no_size_is_not_guessed_at(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_size(text)


def test_a_budget_names_what_is_made_of_it() -> None:
    assert Budget(4_500_000_000).name == "mixed-4.5gb"
    assert Budget(77_571_136).name == "mixed-77.57mb"
    assert Budget(bits=4.6).name == "mixed-4.6bits"
