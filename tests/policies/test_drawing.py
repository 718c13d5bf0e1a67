"""One number drawn gives fair draws, the same ones each time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.drawing import drawn_by_weight, turn_in_draw, unit_draw

pytestmark = pytest.mark.unit


@given(draw=st.integers(0, 1 << 64), salt=st.integers(0, 1 << 40))
def test_a_draw_lies_between_nought_and_one_and_stays_the_same(draw: int, salt: int) -> None:
    assert 0.0 < unit_draw(draw, salt) == unit_draw(draw, salt) < 1.0


@given(draw=st.integers(0, 1 << 32), weights=st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_nothing_without_weight_is_drawn(draw: int, weights: list[int]) -> None:
    weights = [*weights, 1]
    assert weights[drawn_by_weight(weights, draw, salt=0)] > 0


def test_positions_are_drawn_in_proportion_to_their_weights() -> None:
    drawn = Counter(drawn_by_weight([1, 0, 3], draw, salt=7) for draw in range(4_000))
    assert set(drawn) == {0, 2}
    assert drawn[2] == pytest.approx(3_000, abs=100)


def test_names_come_first_in_proportion_to_their_weights() -> None:
    weights = {"a": 1, "b": 3}
    first = Counter(min(weights, key=lambda name: turn_in_draw(name, weights[name], draw)) for draw in range(1_000))
    assert first["b"] == pytest.approx(750, abs=50)


@given(draw=st.integers(0, 999), weight=st.integers(2, 1_000))
def test_less_weight_never_brings_a_name_forward(draw: int, weight: int) -> None:
    assert turn_in_draw("a", weight - 1, draw) > turn_in_draw("a", weight, draw)
