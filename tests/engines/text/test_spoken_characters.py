"""What runs of words spell."""

from __future__ import annotations

import pytest

from engines.text.spoken_characters import CharacterReader

pytestmark = pytest.mark.unit

READER = CharacterReader(with_letters=True, with_words=True)


@pytest.mark.parametrize(
    ("said", "spelled"),
    [
        ("four one double two oh", "41220"),
        ("forty one eleven", "4111"),
        ("forty-one one-two", "4112"),
        ("eight hundred five five five", "800555"),
        ("four dash one", "4 1"),
        ("plus four four", "+44"),
        ("golf bravo two nine", "GB29"),
        ("GB29 NWBK 4111-1111", "GB29NWBK41111111"),
        ("double", ""),
        ("٤١", "41"),
    ],
)
def test_words_are_spelled_out(said: str, spelled: str) -> None:
    keys = said.lower().split()
    assert READER.run_end(said.split(), keys, 0) == len(keys)
    run = READER.read(keys, 0, len(keys))
    assert "".join(character.value for character in run.characters) == spelled


def test_a_run_ends_where_a_word_does_not_belong() -> None:
    keys = ["four", "one", "and", "one", "please"]
    assert READER.may_begin("four", "four")
    assert not READER.may_begin("and", "and")
    assert READER.run_end(keys, keys, 0) == 4


def test_letters_and_words_belong_only_where_they_are_asked_for() -> None:
    digits_only = CharacterReader(with_letters=False, with_words=True)
    assert not digits_only.may_begin("b", "b")
    written_only = CharacterReader(with_letters=True, with_words=False)
    assert not written_only.may_begin("four", "four")
    assert written_only.may_begin("NWBK", "nwbk")
