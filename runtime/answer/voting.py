"""Picks one of several answers to the same question: by majority, else by agreement.

Knows text only. The majority is over final results in \\boxed{}, as DeepSeek asks for them; answers
without one are compared by the wording they share.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

_SHINGLE = 3  # words
_SPACING = re.compile(r"\\[,;:!]|\\ |\\left|\\right|\$|\s+")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"^(-?)\\frac\{(-?\d+)\}\{(-?\d+)\}$")


@dataclass(frozen=True)
class Pick:
    """The chosen answer. `votes` of `count` answers gave the same result; with the method
    "agreement" it is how many share wording with the chosen one."""

    index: int
    method: Literal["majority", "agreement", "only"]
    votes: int
    count: int
    result: str = ""


def boxed(answer: str) -> str | None:
    """The contents of the last complete \\boxed{...}, braces balanced; None without one."""
    found = None
    for match in re.finditer(r"\\boxed\s*\{", answer):
        depth = 1
        for at in range(match.end(), len(answer)):
            if answer[at] in "{}" and answer[at - 1] != "\\":
                depth += 1 if answer[at] == "{" else -1
            if not depth:
                found = answer[match.end() : at]
                break
    return found


def normalized(result: str) -> str:
    """One spelling for results that mean the same: spacing, text commands, fractions, numbers."""
    text = _SPACING.sub("", _TEXT.sub(r"\1", result)).replace("\\dfrac", "\\frac")
    text = text.replace("\\tfrac", "\\frac").rstrip(".").removesuffix("^\\circ").lower()
    fraction = _FRACTION.match(text)
    if fraction:
        sign, over, under = fraction.groups()
        text = f"{sign}{over}/{under}"
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    try:
        return str(Fraction(plain))
    except (ValueError, ZeroDivisionError):
        return text


def pick_best(answers: Sequence[str]) -> Pick:
    """Choose among answers to one question. Raises ValueError for none.

    Ties go to the earlier answer.
    """
    if not answers:
        raise ValueError("no answers to pick from")
    if len(answers) == 1:
        return Pick(0, "only", 1, 1, boxed(answers[0]) or "")
    results = [normalized(found) if (found := boxed(text)) else None for text in answers]
    votes = Counter(result for result in results if result is not None)
    if votes:
        result, count = votes.most_common(1)[0]
        if count > 1 or len(votes) == 1:
            return Pick(results.index(result), "majority", count, len(answers), result)
    return _by_agreement(answers, results)


def _by_agreement(answers: Sequence[str], results: Sequence[str | None]) -> Pick:
    """The answer whose wording the others share most, summed over the others."""
    shingles = [_shingles(text) for text in answers]
    shared = [
        [(mine & others).total() for at, others in enumerate(shingles) if at != index]
        for index, mine in enumerate(shingles)
    ]
    totals = [sum(row) for row in shared]
    best = totals.index(max(totals))
    agreeing = 1 + sum(1 for count in shared[best] if count)
    return Pick(best, "agreement", agreeing, len(answers), results[best] or "")


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w", text) if _is_cjk(text) else re.findall(r"\w+", text.lower())
    return Counter(zip(*(words[start:] for start in range(_SHINGLE)), strict=False))


def _is_cjk(text: str) -> bool:
    return sum("\u3040" <= character <= "\u9fff" for character in text) * 2 > len(text)
