"""Sentences that remember how they were made, so that a window can say them in its own language."""

from collections.abc import Callable, Mapping


class Facts(dict[str, object]):
    """Facts for a template: a missing one reads as "unknown" instead of failing."""

    def __missing__(self, key: str) -> str:
        return "unknown"


class Worded(str):
    """An English sentence, with its template and facts beside it."""

    template: str
    facts: Mapping[str, object]

    def render(self, translate: Callable[[str], str]) -> str:
        """The sentence from a translated template; facts that are sentences follow."""
        facts = {
            name: fact.render(translate) if isinstance(fact, Worded) else fact
            for name, fact in self.facts.items()
        }
        return translate(self.template).format_map(Facts(facts))


def worded(template: str, facts: Mapping[str, object] | None = None) -> Worded:
    """Fill a template."""
    known = Facts(facts or {})
    made = Worded(template.format_map(known))
    made.template, made.facts = template, known
    return made
