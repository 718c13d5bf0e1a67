"""tokens.txt is read as sherpa-onnx reads it, and what is wrong in it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.model_tokens import Vocabulary, read_tokens

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def read(folder: Path, content: str | bytes, *, vocab_size: int | None = 2) -> tuple[Vocabulary, list[str]]:
    path = folder / "tokens.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    mistakes: list[str] = []
    return read_tokens(path, vocab_size=vocab_size, max_bytes=1_000, mistakes=mistakes), mistakes


def test_pieces_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    vocabulary, mistakes = read(tmp_path, "<blk> 2\nb 1\r\n\u2581a 0\n\n")
    assert vocabulary == Vocabulary(("\u2581a", "b", "<blk>"), 2)
    assert mistakes == []


def test_a_number_alone_stands_for_a_space(tmp_path: Path) -> None:
    assert read(tmp_path, "a 0\n 1\n<blk> 2\n")[0].pieces == ("a", " ", "<blk>")


def test_other_kinds_of_space_are_pieces(tmp_path: Path) -> None:
    assert read(tmp_path, "\u3000 0\n\u00a0 1\n<blk> 2\n")[0].pieces == ("\u3000", "\u00a0", "<blk>")


@pytest.mark.parametrize(("name", "blank_id"), [("<blk>", 0), ("<eps>", 0), ("<blank>", 0)])
def test_the_blank_may_have_any_number_and_three_names(tmp_path: Path, name: str, blank_id: int) -> None:
    assert read(tmp_path, f"{name} 0\na 1\nb 2\n")[0].blank_id == blank_id


def test_the_most_telling_name_is_the_blank(tmp_path: Path) -> None:
    assert read(tmp_path, "<eps> 0\n<blank> 1\n<blk> 2\n")[0].blank_id == 2


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("a 0\n<blk> 2\n", "tokens.txt must number its pieces 0 to 2: no 1"),
        ("a 0\nb 1\n<blk> 2\nc 3\nd 9\n", "tokens.txt must number its pieces 0 to 2, not 3, 9"),
        ("a 0\na 1\n<blk> 2\n", "tokens.txt must hold each piece and each number once: line 2"),
        ("a 0\nb 0\nc 1\n<blk> 2\n", "tokens.txt must hold each piece and each number once: line 2"),
        ("a 0\nb 1\nc 2\n", "tokens.txt must name the blank, one of <blk>, <eps>, <blank>"),
        ("a zero\nb 1\n<blk> 2\n", "tokens.txt must hold a piece and its number on each line: line 1"),
        ("a b 0\nb 1\n<blk> 2\n", "tokens.txt must hold a piece and its number on each line: line 1"),
        ("a -1\nb 1\n<blk> 2\n", "tokens.txt must hold a piece and its number on each line: line 1"),
        (b"\xff 0\nb 1\n<blk> 2\n", "tokens.txt must hold a piece and its number on each line: line 1 (not UTF-8)"),
        ("x" * 1_001, "tokens.txt must have at most 1000 bytes"),
    ],
)
def test_each_mistake_is_told(tmp_path: Path, content: str | bytes, mistake: str) -> None:
    vocabulary, mistakes = read(tmp_path, content)
    assert mistake in mistakes
    assert vocabulary.blank_id == -1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    mistakes: list[str] = []
    read_tokens(tmp_path / "tokens.txt", vocab_size=1, max_bytes=1, mistakes=mistakes)
    assert len(mistakes) == 1


@given(st.binary(max_size=80), st.none() | st.integers(min_value=1, max_value=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fuzz_any_bytes_are_a_vocabulary_or_mistakes(tmp_path: Path, content: bytes, vocab_size: int | None) -> None:
    vocabulary, mistakes = read(tmp_path, content, vocab_size=vocab_size)
    assert bool(mistakes) != (vocabulary.blank_id >= 0)


def test_symbols_of_a_decoding_graph_behind_the_pieces_may_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("<blk> 0\na 1\n#0 2\n#1 3\n")
    mistakes: list[str] = []
    found = read_tokens(path, vocab_size=1, max_bytes=100, mistakes=mistakes, may_have_disambiguation=True)
    assert (found.pieces, mistakes) == (("<blk>", "a"), [])
    read_tokens(path, vocab_size=1, max_bytes=100, mistakes=mistakes)
    assert len(mistakes) == 1
