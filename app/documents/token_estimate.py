"""How many tokens a text takes, guessed by its script, until a tokenizer has counted it.

Cautious means over the tokenizers of the catalog's models: a Latin letter is a quarter of a token,
a Chinese character, a kana or a Hangul syllable about one (none but a small vocabulary has more).
"""

import re

_CHARACTERS_PER_TOKEN = 3.6  # English text and code
_DENSE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff]"
)


def estimated_tokens(text: str) -> int:
    """A guess at the tokens of `text`, rather too many than too few."""
    dense = len(_DENSE.findall(text))
    return round(dense + (len(text) - dense) / _CHARACTERS_PER_TOKEN)
