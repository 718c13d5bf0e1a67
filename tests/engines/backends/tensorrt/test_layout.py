"""Buffers in one block never overlap and are aligned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engines.backends.tensorrt.layout import ALIGNMENT_BYTES, lay_out

pytestmark = pytest.mark.unit


@given(some.dictionaries(some.text(max_size=4), some.integers(0, 5_000), min_size=1))
def test_buffers_are_apart_aligned_and_inside(sizes: dict[str, int]) -> None:
    layout = lay_out(sizes)
    places = sorted((layout.offsets[name], size) for name, size in sizes.items())
    assert all(start % ALIGNMENT_BYTES == 0 for start, _ in places)
    ends = [start + size for start, size in places]
    assert all(end <= start for end, (start, _) in zip(ends, places[1:], strict=False))
    assert ends[-1] <= layout.size_bytes
    assert len({start for start, _ in places}) == len(places)
    assert layout.addresses(1_024) == {name: 1_024 + offset for name, offset in layout.offsets.items()}


def test_a_size_below_zero_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="cannot have -1 bytes"):
        lay_out({"x": -1})
