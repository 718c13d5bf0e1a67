"""Exactly the announced samples are dropped, however they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.resumption.skipping import SkippedHead

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(1, 40), max_size=20), st.integers(0, 300))
def test_the_head_is_dropped_and_the_rest_arrives(piece_samples: list[int], skipped: int) -> None:
    audio = bytes(range(256)) * 8
    arrived: list[bytes] = []
    drops: list[None] = []
    head = SkippedHead(skipped, arrived.append, lambda: drops.append(None))
    at = 0
    for samples in piece_samples:
        head(audio[at : at + 2 * samples])
        at += 2 * samples
    assert b"".join(arrived) == audio[:at][2 * skipped :]
    assert all(arrived)
    assert head.left_samples == max(0, skipped - at // 2)
    assert bool(drops) == bool(skipped and piece_samples)
