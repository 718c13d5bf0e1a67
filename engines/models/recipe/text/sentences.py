"""Sentences with their two faces: the label the model learns, and what the synthesiser is given to say.

python -m engines.models.recipe.text.sentences --count 20 --seed 0
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from random import Random

from engines.models.recipe.text.grammar import Grammar
from engines.models.recipe.text.numbers import cardinal, digit_string, minute_of_hour, ordinal
from engines.models.recipe.text.rules import KINDS, RULES
from engines.models.recipe.text.words import LETTERS, WORD_CLASSES, all_words

_SPELLED = "~"
_ROUND_NUMBERS = (1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 1_000_000, 2_000_000)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence.

    Attributes:
        text: the label: words of a-z and apostrophe, one space between them.
        spoken: the same for a synthesiser: spelled letters in upper case, "a" written as "ay" (else it is an article).
    """

    text: str
    spoken: str

    @classmethod
    def from_marked(cls, marked: str) -> Sentence:
        """Read a phrase whose spelled letters carry the mark "~"."""
        words = marked.split()
        return cls(
            text=" ".join(word.removeprefix(_SPELLED) for word in words),
            spoken=" ".join(_spoken(word) for word in words),
        )


class SentenceSource:
    """An endless source of sentences of the domain; the same seed gives the same sentences."""

    def __init__(self, seed: int) -> None:
        """Set up the grammar over its own dice."""
        self._all_words = all_words()
        self._grammar = Grammar(
            Random(seed),
            words=WORD_CLASSES,
            rules={**RULES, "sentence": KINDS},
            slots={
                "number": lambda rng, lowest, highest: cardinal(rng.randint(lowest, highest), rng),
                "hundreds": lambda rng: cardinal(100 * rng.randint(1, 9), rng),
                "round_number": lambda rng: cardinal(rng.choice(_ROUND_NUMBERS), rng),
                "digits": lambda rng, shortest, longest: digit_string(rng, shortest=shortest, longest=longest),
                "minute": minute_of_hour,
                "day_of_month": lambda rng: ordinal(rng.randint(1, 31)),
                "letters": lambda rng, fewest, most: _several(
                    rng, fewest, most, [_SPELLED + letter for letter in LETTERS]
                ),
                "radio_letters": lambda rng, fewest, most: _several(rng, fewest, most, WORD_CLASSES["radio_letter"]),
                "random_words": lambda rng, fewest, most: _several(rng, fewest, most, self._all_words),
                "determined_noun": lambda rng: _with_article(rng, described=False),
                "determined_described_noun": lambda rng: _with_article(rng, described=True),
            },
        )

    def next(self) -> Sentence:
        """Draw a sentence; its kind is drawn by the shares of `rules.KINDS`."""
        return self.of("{sentence}")

    def of(self, template: str) -> Sentence:
        """Draw a sentence from one template, for instance "{money}".

        Raises:
            TemplateMistake: the template names an unknown slot.
        """
        return Sentence.from_marked(self._grammar.phrase(template))


def _spoken(word: str) -> str:
    if not word.startswith(_SPELLED):
        return word
    letter = word.removeprefix(_SPELLED)
    return "ay" if letter == "a" else letter.upper()


def _several(rng: Random, fewest: int, most: int, words: list[str] | tuple[str, ...]) -> str:
    return " ".join(rng.choice(words) for _ in range(rng.randint(fewest, most)))


def _with_article(rng: Random, *, described: bool) -> str:
    """Determiner, adjective if `described`, noun; "a" becomes "an" before a vowel."""
    words = [rng.choice(WORD_CLASSES["determiner"])]
    if described:
        words.append(rng.choice(WORD_CLASSES["adjective"]))
    words.append(rng.choice(WORD_CLASSES["noun"]))
    if words[0] == "a" and words[1][0] in "aeiou":
        words[0] = "an"
    return " ".join(words)


def main() -> None:
    """Print sentences, label and spoken form side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source = SentenceSource(arguments.seed)
    for _ in range(arguments.count):
        sentence = source.next()
        print(f"{sentence.text} | {sentence.spoken}")


if __name__ == "__main__":
    main()
