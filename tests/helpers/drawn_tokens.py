"""Prints the token ids an engine draws with a seed: `drawn_tokens.py MODEL PLACEMENT TEXT COUNT`.

From the whole distribution, for random weights have one likeliest token after any text, and the
smallest difference of a probability shows. A process of its own: RPC servers stay known to an
engine, and their end may end it.
"""

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from runtime.answer.decoding import LoopLimits, TokenLoop
from runtime.generation import SamplingParams
from runtime.plan import Placement
from runtime.progress import CancelToken, ignore_progress
from runtime.registry import open_backend


def drawn_tokens(model: Path, placement: Placement, text: str, count: int) -> list[int]:
    """The ids of `count` tokens after a text, whether or not the model would end before."""
    arguments = [str(model), msgspec.json.encode(placement).decode(), text, str(count)]
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout)
    return found


def main() -> None:
    model, placement, text, count = sys.argv[1:]
    planned = msgspec.json.decode(placement, type=Placement)
    backend = open_backend(planned.engine)
    backend.load(model, planned, ignore_progress, CancelToken())
    prompt = backend.tokenizer.encode(text, parse_special=True)
    outcome = TokenLoop(backend).generate(
        prompt,
        SamplingParams(temperature=1.0, top_k=0, top_p=1.0, seed=1),
        LoopLimits(planned.n_ctx, int(count), detect_loops=False, full_length=True),
        lambda _text, _tokens: True,
        ignore_progress,
        CancelToken(),
    )
    print(json.dumps(outcome.generated))


if __name__ == "__main__":
    main()
