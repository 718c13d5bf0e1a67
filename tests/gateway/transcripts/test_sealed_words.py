"""Promises of the sealed file: what goes in comes out, anything else is `damaged`."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transcripts.interface import KeptFinal, StoreFailed
from gateway.transcripts.sealed_words import new_sealer, open_words, read_header
from tests.gateway.transcripts.transcript_world import kept_session

pytestmark = pytest.mark.unit

KEY = bytes(range(32))


@given(st.lists(st.lists(st.builds(KeptFinal, st.integers(0, 9), st.integers(0, 9), st.text(max_size=20)), max_size=3)))
def test_batches_come_back_in_their_order(batches: list[list[KeptFinal]]) -> None:
    sealer = new_sealer(KEY, kept_session())
    raw = sealer.header
    for batch in batches:
        raw += sealer.seal(tuple(batch))
        sealer.taken()
    raw += sealer.seal((), is_last=True, is_complete=True)
    opened = open_words(raw, KEY)
    assert (list(opened.finals), opened.is_complete) == ([one for batch in batches for one in batch], True)
    assert read_header(raw)[0] == kept_session()


def test_a_frame_of_another_place_or_file_does_not_open() -> None:
    one, other = new_sealer(KEY, kept_session()), new_sealer(KEY, kept_session())
    first = one.seal((KeptFinal(0, 1, "a"),))
    one.taken()
    second = one.seal((KeptFinal(1, 2, "b"),))
    for raw in (one.header + second + first, other.header + first, one.header + first + first):
        with pytest.raises(StoreFailed, match="damaged"):
            open_words(raw, KEY)


@given(st.binary(max_size=200))
def test_bytes_are_words_or_damaged(raw: bytes) -> None:
    with contextlib.suppress(StoreFailed):
        open_words(raw, KEY)
    with contextlib.suppress(StoreFailed):
        open_words(new_sealer(KEY, kept_session()).header + raw, KEY)
