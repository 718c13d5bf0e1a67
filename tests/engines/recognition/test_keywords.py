"""Phrases are matched by what is spelled, from the beginning of a word to the end of a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import ModelContract
from engines.interface import Keyword
from engines.recognition.keywords import KeywordGraph, PieceIndex
from engines.recognition.words import Spelling

pytestmark = pytest.mark.unit


def spelling_of(*pieces: str) -> Spelling:
    return Spelling(
        ModelContract(
            name="m",
            version="0",
            language="en",
            window_frames=39,
            shift_frames=32,
            subsampling=8,
            feature_dim=80,
            vocab_size=len(pieces),
            blank_id=len(pieces),
            cache_channel_shape=(1, 1, 1),
            cache_time_shape=(1, 1, 1),
            tokens=(*pieces, "<blk>"),
        )
    )


PIECES = (
    "\u2581turn",
    "\u2581t",
    "ur",
    "n",
    "\u2581on",
    "\u2581",
    "on",
    "e",
    "\u2581la",
    "mp",
    "<unk>",
    "<0xC3>",
    "<0xA9>",
)
SPELLING = spelling_of(*PIECES)
INDEX = PieceIndex(SPELLING)
TOKEN = {piece: token for token, piece in enumerate(PIECES)}


def earned(graph: KeywordGraph, *pieces: str) -> tuple[float, float]:
    """Give what the pieces earned for good, and what they would earn if the utterance ended behind them."""
    state, total = graph.start, 0.0
    for piece in pieces:
        state, more = graph.after(state, TOKEN[piece])
        total += more
    return total, total + graph.at_end(state)


def graph(*keywords: tuple[str, int]) -> KeywordGraph:
    return KeywordGraph([Keyword(*keyword) for keyword in keywords], INDEX, SPELLING)


def test_a_phrase_is_spelled_with_the_fewest_pieces() -> None:
    spelled = INDEX.spell("turn  on")
    assert spelled is not None
    assert (spelled.text, spelled.fewest_pieces) == (b"turn on", 2)
    assert {PIECES[token] for token in spelled.pieces} >= {"\u2581turn", "\u2581t", "ur", "n", "\u2581on", "on"}


@pytest.mark.parametrize("phrase", ["", "  ", "turns", "unk", "<unk>", "<blk>", "\u00e8"])
def test_what_the_model_cannot_write_is_not_spelled(phrase: str) -> None:
    assert INDEX.spell(phrase) is None


@pytest.mark.parametrize(("phrase", "text"), [("Turn On", b"turn on"), ("on\u00e9", b"on\xc3\xa9")])
def test_letters_follow_the_model(phrase: str, text: bytes) -> None:
    spelled = INDEX.spell(phrase)
    assert spelled is not None
    assert spelled.text == text


def test_a_model_of_large_letters_gets_large_letters() -> None:
    spelled = PieceIndex(spelling_of("\u2581ON")).spell("on")
    assert spelled is not None
    assert spelled.text == b"ON"


def test_a_phrase_earns_its_boost_for_each_of_the_fewest_pieces_however_it_is_spelled() -> None:
    phrase = graph(("turn on", 1_500))
    assert earned(phrase, "\u2581turn", "\u2581on") == (0.0, pytest.approx(3.0))
    assert earned(phrase, "\u2581t", "ur", "n", "\u2581", "on", "\u2581la") == (pytest.approx(3.0), pytest.approx(3.0))


def test_a_phrase_ends_where_a_word_ends_and_begins_where_one_begins() -> None:
    phrase = graph(("on", 1_000))
    assert earned(phrase, "\u2581on", "e") == (0.0, 0.0)
    assert earned(phrase, "\u2581t", "on") == (0.0, 0.0)
    assert earned(phrase, "\u2581on", "\u2581on", "\u2581la") == (2.0, 2.0)
    assert earned(phrase, "on", "\u2581", "\u2581la") == (1.0, 1.0)


def test_phrases_inside_each_other_add_up() -> None:
    phrases = graph(("turn on lamp", 1_000), ("on", 500))
    assert earned(phrases, "\u2581turn", "\u2581on", "\u2581la", "mp") == (0.5, pytest.approx(4.5))
    assert earned(phrases, "\u2581turn", "\u2581on", "e") == (0.0, 0.0)


def test_what_is_held_grows_along_a_phrase_and_goes_when_it_is_left() -> None:
    phrase = graph(("turn on", 1_000))
    state, held = phrase.start, [phrase.held[phrase.start]]
    for piece in ("\u2581turn", "\u2581on"):
        state, _ = phrase.after(state, TOKEN[piece])
        held.append(phrase.held[state])
    assert held == sorted(held)
    assert held[-1] < 2.0
    state, gained = phrase.after(state, TOKEN["e"])
    assert (phrase.held[state], gained) == (0.0, 0.0)


def test_a_phrase_made_unlikely_holds_nothing_before_it_is_complete() -> None:
    phrase = graph(("turn on", -1_000))
    assert set(phrase.held) == {0.0}
    assert earned(phrase, "\u2581turn", "\u2581on") == (0.0, pytest.approx(-2.0))


def test_every_piece_of_a_phrase_has_its_bonus() -> None:
    phrase = graph(("lamp", 1_000), ("on", -1_000))
    assert {PIECES[token] for token in phrase.bonus.nonzero()[0]} == {"\u2581la", "mp"}


@given(
    st.lists(st.sampled_from(["turn on", "on", "one", "turn lamp"]), unique=True),
    st.lists(st.sampled_from([p for p in PIECES if not p.startswith("<")]), max_size=12),
)
def test_every_phrase_is_counted_wherever_it_stands(phrases: list[str], pieces: list[str]) -> None:
    found = earned(graph(*((phrase, 1_000) for phrase in phrases)), *pieces)[1]
    text = " " + " ".join("".join(pieces).replace("\u2581", " ").split()) + " "
    counts = [sum(text.startswith(f" {phrase} ", at) for at in range(len(text))) for phrase in phrases]
    spelled = [INDEX.spell(phrase) for phrase in phrases]
    expected = sum(count * phrase.fewest_pieces for count, phrase in zip(counts, spelled, strict=True) if phrase)
    assert found == pytest.approx(expected)
