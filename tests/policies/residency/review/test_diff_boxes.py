"""Boxes are united without adding or losing anything."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.review.diff_boxes import united

pytestmark = pytest.mark.unit

DIMENSIONS = ("a", "b", "c")


def cells(boxes: list[dict[str, frozenset[str]]]) -> list[tuple[str, ...]]:
    return sorted(cell for box in boxes for cell in product(*(sorted(box[name]) for name in DIMENSIONS)))


def test_what_differs_in_one_dimension_is_one_line() -> None:
    boxes = [{"a": frozenset({"x"}), "b": frozenset({value}), "c": frozenset({"z"})} for value in "12"]
    assert united(boxes, DIMENSIONS) == [{"a": {"x"}, "b": {"1", "2"}, "c": {"z"}}]


@given(st.sets(st.tuples(st.sampled_from("xyz"), st.sampled_from("12"), st.sampled_from("+-"))))
def test_the_same_is_covered_and_nothing_twice(chosen: set[tuple[str, str, str]]) -> None:
    boxes = [dict(zip(DIMENSIONS, (frozenset({value}) for value in cell), strict=True)) for cell in sorted(chosen)]
    assert cells(united(boxes, DIMENSIONS)) == sorted(chosen)
