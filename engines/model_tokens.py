"""tokens.txt: the pieces that a model's outputs stand for.

One "piece id" a line. A piece that is a single space is written as nothing, so its line holds the id alone
(sherpa-onnx/csrc/symbol-table.cc).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

BLANKS = ("<blk>", "<eps>", "<blank>")
"""Names of the blank, the most telling first, as sherpa-onnx looks for them."""

_DISAMBIGUATION = re.compile(r"#[0-9]+\Z")
_SHOWN_AT_ONCE = 5


class Vocabulary(NamedTuple):
    """`pieces[i]` is what output i stands for."""

    pieces: tuple[str, ...]
    blank_id: int


_NOTHING = Vocabulary((), -1)


def read_tokens(
    path: Path,
    *,
    vocab_size: int | None,
    max_bytes: int,
    mistakes: list[str],
    may_have_disambiguation: bool = False,
) -> Vocabulary:
    """Read the pieces 0 to `vocab_size`, the blank among them; what is wrong is added to `mistakes`.

    Args:
        vocab_size: without the blank, as the model says it; None where it does not say.
        may_have_disambiguation: symbols such as `#0` behind the pieces, of a decoding graph, are passed over.
    """
    try:
        if path.stat().st_size > max_bytes:
            mistakes.append(f"{path.name} must have at most {max_bytes} bytes")
            return _NOTHING
        content = path.read_bytes()
    except (OSError, RuntimeError) as error:
        mistakes.append(f"{path.name} must be readable beside the model: {error}")
        return _NOTHING
    return parse_tokens(
        path.name,
        content,
        vocab_size=vocab_size,
        mistakes=mistakes,
        may_have_disambiguation=may_have_disambiguation,
    )


def parse_tokens(
    name: str,
    content: bytes,
    *,
    vocab_size: int | None,
    mistakes: list[str],
    may_have_disambiguation: bool = False,
) -> Vocabulary:
    """Read the content of such a file; see `read_tokens`. `name` is what the mistakes call it."""
    mistakes_before = len(mistakes)
    piece_of = _parse(name, content.split(b"\n"), mistakes)
    if may_have_disambiguation and vocab_size is not None:
        piece_of = {
            piece_id: piece
            for piece_id, piece in piece_of.items()
            if piece_id <= vocab_size or not _DISAMBIGUATION.match(piece)
        }
    _check_ids(name, piece_of, vocab_size, mistakes)
    blank_id = _find_blank(name, piece_of, mistakes)
    if len(mistakes) > mistakes_before:
        return _NOTHING
    return Vocabulary(tuple(piece_of[piece_id] for piece_id in range(len(piece_of))), blank_id)


def _parse(name: str, lines: list[bytes], mistakes: list[str]) -> dict[int, str]:
    piece_of: dict[int, str] = {}
    garbled: list[str] = []
    seen_twice: list[str] = []
    pieces_seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        # Only ASCII white space separates: a piece may well be another kind of space.
        parts = line.split()
        if not parts:
            continue
        try:
            piece = " " if len(parts) == 1 else parts[0].decode("utf-8")
        except UnicodeDecodeError:
            garbled.append(f"line {number} (not UTF-8)")
            continue
        if len(parts) > 2 or not parts[-1].isdigit() or len(parts[-1]) > 9:
            garbled.append(f"line {number}")
            continue
        piece_id = int(parts[-1])
        if piece_id in piece_of or piece in pieces_seen:
            seen_twice.append(f"line {number}")
        pieces_seen.add(piece)
        piece_of[piece_id] = piece
    if garbled:
        mistakes.append(f"{name} must hold a piece and its number on each line: {_some(garbled)}")
    if seen_twice:
        mistakes.append(f"{name} must hold each piece and each number once: {_some(seen_twice)}")
    return piece_of


def _check_ids(name: str, piece_of: dict[int, str], vocab_size: int | None, mistakes: list[str]) -> None:
    count = len(piece_of) if vocab_size is None else vocab_size + 1
    missing = [str(piece_id) for piece_id in range(count) if piece_id not in piece_of]
    beyond = [str(piece_id) for piece_id in sorted(piece_of) if piece_id >= count]
    if missing:
        mistakes.append(f"{name} must number its pieces 0 to {count - 1}: no {_some(missing)}")
    if beyond:
        mistakes.append(f"{name} must number its pieces 0 to {count - 1}, not {_some(beyond)}")


def _find_blank(name: str, piece_of: dict[int, str], mistakes: list[str]) -> int:
    id_of = {piece: piece_id for piece_id, piece in piece_of.items()}
    for blank in BLANKS:
        if blank in id_of:
            return id_of[blank]
    mistakes.append(f"{name} must name the blank, one of {', '.join(BLANKS)}")
    return -1


def _some(found: list[str]) -> str:
    shown = ", ".join(found[:_SHOWN_AT_ONCE])
    return shown if len(found) <= _SHOWN_AT_ONCE else f"{shown} and {len(found) - _SHOWN_AT_ONCE} more"
