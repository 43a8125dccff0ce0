"""What a format is expected to lose on a model, in words: the interval and what it rests on.

Knows `quant.quality.expected_loss`; the window translates the sentences.
"""

from app.wording.sentences import LOSSES
from app.wording.units import format_divergence, format_parameters
from app.wording.worded import Worded, worded
from quant.quality.expected_loss import ExpectedLoss, expected_loss, maker_spread

_DIFFER = 1.3  # times; below it, files of one name are as good as equal


def loss_sentences(label: str, parameters: int, imatrix: bool | None = None) -> list[Worded]:
    """What a file of this label, or a recipe of this name, is expected to lose on a model of so
    many parameters; nothing where that is not known."""
    expected = expected_loss(label, parameters, imatrix)
    if expected is None:
        return []
    facts = {
        "size": format_parameters(parameters),
        "likely": format_divergence(expected.likely),
        "low": format_divergence(expected.low),
        "high": format_divergence(expected.high),
        "basis": _basis(expected),
    }
    sentences = [worded(LOSSES["expected"], facts)]
    if not expected.smallest / 2 <= parameters <= 2 * expected.largest:
        sentences.append(worded(LOSSES["beyond"]))
    return sentences


def maker_sentence(label: str) -> Worded | None:
    """That makers' files of one label differ, where that was measured and is so."""
    spread = maker_spread(label)
    if spread is None or spread.most < _DIFFER * spread.least:
        return None
    least, most = format_divergence(spread.least), format_divergence(spread.most)
    return worded(
        LOSSES["makers"], {"label": label, "least": least, "most": most, "model": spread.model}
    )


def _basis(expected: ExpectedLoss) -> Worded:
    if expected.carried_from is not None:
        return worded(LOSSES["carried"], {"format": expected.carried_from})
    sizes = {
        "smallest": format_parameters(expected.smallest),
        "largest": format_parameters(expected.largest),
    }
    one = sizes["smallest"] == sizes["largest"]
    return worded(LOSSES["published_one" if one else "published"], sizes)
