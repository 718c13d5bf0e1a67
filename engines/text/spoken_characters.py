"""Runs of words that spell digits and letters, in words or written, and the characters that they come to.

A run goes on as long as words may belong to one number: "four one dash one one", "g b eighty two west", "4111 1111".
What it holds is known only when a word has come that does not belong to it.
"""

from __future__ import annotations

from typing import NamedTuple

from engines.text.cardinals import cardinal
from engines.text.number_words import DIGITS, NUMBER_WORDS, REPEATS, SCALES, SPOKEN_ZERO, TENS
from engines.text.tape import Tape

SURROUNDING_PUNCTUATION = ".,;:!?…()[]{}\"'“”‘’«»"
_LETTER_O = "o"
_BETWEEN = frozenset(
    {"and", "comma", "dash", "dot", "er", "hm", "hyphen", "minus", "period", "point", "slash", "space", "uh", "um"}
)
"""Said between the parts of a number; they belong to a run that has begun."""
_DIGIT_WORDS = frozenset({*NUMBER_WORDS, *SCALES, *REPEATS, SPOKEN_ZERO, _LETTER_O, "plus"})
_RADIO_LETTERS = {
    "alfa": "A",
    "alpha": "A",
    "bravo": "B",
    "charlie": "C",
    "delta": "D",
    "echo": "E",
    "foxtrot": "F",
    "golf": "G",
    "hotel": "H",
    "india": "I",
    "juliet": "J",
    "juliett": "J",
    "kilo": "K",
    "lima": "L",
    "mike": "M",
    "november": "N",
    "oscar": "O",
    "papa": "P",
    "quebec": "Q",
    "romeo": "R",
    "sierra": "S",
    "tango": "T",
    "uniform": "U",
    "victor": "V",
    "whiskey": "W",
    "xray": "X",
    "yankee": "Y",
    "zulu": "Z",
}
_LONGEST_WRITTEN_LETTERS = 6
"""Capitals alone, such as the bank code of an IBAN written in groups, are at most so many."""


class Character(NamedTuple):
    """A digit, a capital letter, "+", or a space for something said in between; from words [first, end)."""

    value: str
    first: int
    end: int


class Run(NamedTuple):
    """Words [first, end) that may be one number."""

    first: int
    end: int
    characters: tuple[Character, ...]


class CharacterReader:
    """Finds runs. `with_letters`: letters belong to them; `with_words`: so do English words for digits and letters."""

    def __init__(self, *, with_letters: bool, with_words: bool) -> None:
        self._with_letters = with_letters
        self._with_words = with_words
        letters = {letter: letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
        self._letters = {**letters, **_RADIO_LETTERS} if with_letters and with_words else {}
        self._words = frozenset({*_DIGIT_WORDS, *self._letters}) if with_words else frozenset[str]()

    def may_begin(self, text: str, key: str) -> bool:
        """Whether a run may begin with a word, as the model spells it and in lower case without punctuation."""
        if key in self._words:
            return True
        if key.isalpha():
            return self._with_letters and text != key and self._is_capitals(text, key)
        return self._is_written(key)

    def run_end(self, texts: list[str], keys: list[str], at: int) -> int:
        """Say where a run ends that begins at `at`."""
        end = at + 1
        while end < len(keys) and (
            (self._with_words and keys[end] in _BETWEEN) or self.may_begin(texts[end], keys[end])
        ):
            end += 1
        return end

    def read(self, keys: list[str], first: int, end: int) -> Run:
        """Say what the words [first, end) spell."""
        tape = Tape(keys[:end])
        characters: list[Character] = []
        at = first
        while at < end:
            spelled, behind = self._spelled(tape, at)
            characters += [Character(character, at, behind) for character in spelled]
            at = behind
        return Run(first, end, tuple(characters))

    def _spelled(self, tape: Tape, at: int) -> tuple[str, int]:
        key = tape.words[at]
        if self._with_words:
            if key in REPEATS:
                repeated, behind = self._spelled(tape, at + 1) if tape.peek(at + 1) else ("", at + 1)
                return repeated[:1] * REPEATS[key] + repeated[1:], behind
            if key in NUMBER_WORDS or key.partition("-")[0] in TENS:
                number = cardinal(tape, at)
                if number is not None:
                    return str(number.value), number.end
            if key == SPOKEN_ZERO:
                return "0", at + 1
            if key == "plus":
                return "+", at + 1
            if key == _LETTER_O:
                return "O", at + 1
            if key in self._letters:
                return self._letters[key], at + 1
            if key in _BETWEEN or key in SCALES:
                return " ", at + 1
            if "-" in key:
                parts = key.split("-")
                return "".join(str(DIGITS[part]) for part in parts if part in DIGITS) or _written(key), at + 1
        return _written(key), at + 1

    def _is_written(self, key: str) -> bool:
        if "@" in key:
            return False
        if any(character.isdecimal() for character in key) or key == "+":
            return True
        return self._with_words and "-" in key and key.partition("-")[0] in NUMBER_WORDS

    def _is_capitals(self, text: str, key: str) -> bool:
        return len(key) <= _LONGEST_WRITTEN_LETTERS and key.upper() in text and key.upper() != key


def _written(key: str) -> str:
    """Give digits, Latin letters and a plus sign of a word that a model wrote; marks between them are left out."""
    return "".join(
        str(int(character)) if character.isdecimal() else character.upper()
        for character in key
        if character.isdecimal() or character == "+" or (character.isascii() and character.isalpha())
    )
