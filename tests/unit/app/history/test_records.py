"""What a stored message tells of how it was made."""

import msgspec
import pytest

from app.history.records import AnswerFigures, StoredMessage
from quant.json_types import Json
from runtime.generation import GenerationStats

STATS = GenerationStats(
    "r", "stop", 40, 0, 12, 3, 0.2, 0.1, 1.0, 400.0, 9.5, 10**9, stage_seconds={"body": 1.5},
    notices=("thinking_cut",),
)  # fmt: skip


def message(stats: dict[str, Json]) -> StoredMessage:
    return StoredMessage(1, 1, None, "assistant", "A", "", "finished", 0.0, "m", stats)


def test_figures_are_those_that_were_kept() -> None:
    figures = message(msgspec.to_builtins(STATS)).figures
    assert (figures.decode_tps, figures.prompt_tokens, figures.finish_reason) == (9.5, 40, "stop")
    assert (figures.stage_seconds, figures.notices) == ({"body": 1.5}, ("thinking_cut",))


@pytest.mark.parametrize("stats", [{}, {"decode_tps": "fast"}, {"notices": 3}, {"seconds": 2.0}])
def test_a_message_that_tells_nothing_sound_has_none(stats: dict[str, Json]) -> None:
    assert message(stats).figures == AnswerFigures()
