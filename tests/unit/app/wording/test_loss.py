"""The loss to expect of a format, in words."""

from app.wording.loss import loss_sentences, maker_sentence
from app.wording.units import format_divergence


def test_the_interval_of_this_size_and_what_it_rests_on() -> None:
    (small,) = loss_sentences("Q4_K_M", 1_500_000_000)
    (large,) = loss_sentences("Q4_K_M", 14_000_000_000)
    assert "a model of 1.5 B parameters" in small
    assert "from published measurements of models of 1.2 B to 27.0 B parameters" in large
    assert small.split(", from")[0] != large.split(", from")[0]


def test_a_recipe_measured_on_the_starter_alone_says_so() -> None:
    (sentence,) = loss_sentences("onnx-q4-fast", 7_000_000_000)
    assert "carried over from Q4_0" in sentence
    assert "less certain" in sentence


def test_a_size_far_from_any_measured_is_said_to_be() -> None:
    within, beyond = (loss_sentences("Q8_0", size) for size in (27_000_000_000, 70_000_000_000))
    assert [len(within), len(beyond)] == [1, 2]
    assert beyond[1] == "No model of this size was measured in this format."


def test_of_an_unknown_format_nothing_is_said() -> None:
    assert loss_sentences("my-own-recipe.json", 7_000_000_000) == []
    assert maker_sentence("my-own-recipe.json") is None


def test_makers_files_of_one_name_differ_where_that_was_measured() -> None:
    sentence = maker_sentence("Q4_K_M")
    assert sentence is not None
    assert "from 0.0087 to 0.035 on Qwen3.5-9B" in sentence
    assert maker_sentence("IQ4_NL") is None  # measured, and as good as equal
    assert maker_sentence("Q6_K") is None


def test_a_loss_has_two_significant_digits() -> None:
    assert [format_divergence(kl) for kl in (1.23, 0.254, 0.0213, 0.00036, -1e-9)] == [
        "1.2",
        "0.25",
        "0.021",
        "0.00036",
        "0",
    ]
