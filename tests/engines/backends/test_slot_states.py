"""State lies in slots along any axis, and one slot's is never another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.backends.slot_states import SlotStates
from engines.contract import StateShape

pytestmark = pytest.mark.unit

SHAPES = (
    StateShape("first", (3,), 0),
    StateShape("middle", (2, 5), 1),
    StateShape("last", (2, 5), 2),
    StateShape("count", (), 0, is_integer=True),
)
SLOTS = 6


def batch_of(values: list[int]) -> list[np.ndarray]:
    """Tensors in which each row is filled with its value."""
    rows = np.array(values)
    return [
        np.moveaxis(np.broadcast_to(rows.reshape(-1, *[1] * len(s.shape)), (len(values), *s.shape)), 0, s.batch_axis)
        for s in SHAPES
    ]


def values_in(states: SlotStates, slots: list[int]) -> list[set[int]]:
    found: list[set[int]] = [set() for _ in slots]
    for tensor, shape in zip(states.gather(slots), SHAPES, strict=True):
        assert tensor.flags.c_contiguous
        for place in range(len(slots)):
            found[place] |= set(tensor.take(place, axis=shape.batch_axis).ravel().astype(int).tolist())
    return found


def test_all_begin_as_zeros() -> None:
    states = SlotStates(SHAPES, max_slots=SLOTS)
    assert values_in(states, [0, 5]) == [{0}, {0}]
    assert states.bytes_total == SLOTS * sum(shape.size_bytes for shape in SHAPES)


def test_what_is_put_back_is_found_again_and_may_be_forgotten() -> None:
    states = SlotStates(SHAPES, max_slots=SLOTS)
    states.scatter([4, 1], batch_of([7, 8]))
    assert values_in(states, [1, 4, 0]) == [{8}, {7}, {0}]
    states.reset(4)
    assert values_in(states, [1, 4]) == [{8}, {0}]


def test_closing_twice_does_nothing() -> None:
    states = SlotStates(SHAPES, max_slots=SLOTS)
    states.close()
    states.close()
    assert states.bytes_total == 0


@given(
    st.lists(
        st.one_of(
            st.integers(0, SLOTS - 1),
            st.lists(st.integers(0, SLOTS - 1), unique=True, min_size=1, max_size=SLOTS),
        ),
        max_size=20,
    )
)
def test_no_slot_ever_holds_anothers_state(moves: list[int | list[int]]) -> None:
    states = SlotStates(SHAPES, max_slots=SLOTS)
    expected = [0] * SLOTS
    for number, move in enumerate(moves, start=1):
        if isinstance(move, int):
            states.reset(move)
            expected[move] = 0
        else:
            values = [100 * number + slot for slot in move]
            states.scatter(move, batch_of(values))
            for slot, value in zip(move, values, strict=True):
                expected[slot] = value
    assert values_in(states, list(range(SLOTS))) == [{value} for value in expected]
