"""The best of several answers, and DeepSeek's prompt for files."""

import pytest

from runtime.answer.voting import boxed, normalized, pick_best
from runtime.prompt.file_prompt import TextFile, file_prompt


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"so \boxed{42}.", "42"),
        (r"first \boxed{1}, no: \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{unfinished", None),
        (r"\boxed{7} then \boxed{unfinished", "7"),
        ("none", None),
    ],
)
def test_boxed(answer: str, expected: str | None) -> None:
    assert boxed(answer) == expected


@pytest.mark.parametrize(
    "same",
    [
        ("0.5", r"\frac{1}{2}", r"\dfrac{1}{2}", "1/2", r" \tfrac{1}{2} "),
        ("1,000", "1000", "1000.", "1000.0", r"1{,}000".replace("{,}", ",")),
        (r"\text{Paris}", "paris", "Paris."),
        (r"x = 3", "x=3", r"x\,=\;3", "$x=3$"),
        (r"-\frac{3}{4}", "-0.75", "-3/4"),
    ],
)
def test_spellings_of_one_result(same: tuple[str, ...]) -> None:
    assert len({normalized(text) for text in same}) == 1


def test_different_results_stay_different() -> None:
    assert len({normalized(text) for text in ("1", "-1", "1/3", "x", r"\sqrt{2}", "1,2")}) == 6


def test_majority() -> None:
    pick = pick_best([r"\boxed{3}", r"so \boxed{4}", r"\boxed{4.0}", r"\boxed{5}", "no idea"])
    assert (pick.index, pick.method, pick.votes, pick.count) == (1, "majority", 2, 5)
    assert pick.result == "4"


def test_all_different_falls_back_to_shared_wording() -> None:
    answers = [
        r"bananas are radioactive \boxed{1}",
        r"the capital of France is Paris on the Seine \boxed{2}",
        r"the capital of France is Paris indeed \boxed{3}",
    ]
    pick = pick_best(answers)
    assert (pick.index, pick.method, pick.votes) == (1, "agreement", 2)


def test_agreement_without_boxes() -> None:
    pick = pick_best(["cats sleep a lot", "the sky is blue today", "today the sky is blue"])
    assert (pick.index, pick.method) == (1, "agreement")
    chinese = pick_best(["今天天气很好", "巴黎是法国的首都", "法国的首都是巴黎"])
    assert chinese.index == 1


def test_one_and_none() -> None:
    assert pick_best([r"\boxed{9}"]).method == "only"
    with pytest.raises(ValueError, match="no answers"):
        pick_best([])


def test_file_prompt_is_the_documented_one() -> None:
    assert file_prompt([TextFile("a.txt", "text {x}")], "What?") == (
        "[file name]: a.txt\n[file content begin]\ntext {x}\n[file content end]\nWhat?"
    )
    two = file_prompt([TextFile("a", "1"), TextFile("b\nb", "2")], "Q")
    assert two.count("[file content end]") == 2
    assert "[file name]: b b\n" in two
