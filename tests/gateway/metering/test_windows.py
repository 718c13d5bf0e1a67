"""Where one event ends and the next begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.entries import MS_PER_HOUR, Slice, UsageEvent
from gateway.metering.windows import events_of
from tests.harness.usage import AT_MS, labels_of, piece_of

pytestmark = pytest.mark.unit

LABELS = labels_of("s")
HOUR_AT_MS = (AT_MS // MS_PER_HOUR + 1) * MS_PER_HOUR


def events(slices: list[Slice], *, window_slices: int = 4, is_over: bool = False) -> list[UsageEvent]:
    return list(
        events_of(
            LABELS,
            slices,
            audio_before_ms=500,
            connection_before_ms=600,
            window_slices=window_slices,
            is_over=is_over,
        )
    )


def test_an_event_ends_where_the_next_number_is_a_multiple_of_the_window() -> None:
    covers = [(event.first, event.last) for event in events([piece_of(number) for number in range(2, 10)])]
    assert covers == [(2, 3), (4, 7), (8, 9)]


def test_no_event_goes_over_the_end_of_an_hour() -> None:
    slices = [piece_of(0, at_ms=HOUR_AT_MS - 1), piece_of(1, at_ms=HOUR_AT_MS), piece_of(2, at_ms=HOUR_AT_MS + 1)]
    assert [(event.first, event.last, event.hour) for event in events(slices)] == [
        (0, 0, HOUR_AT_MS // MS_PER_HOUR - 1),
        (1, 2, HOUR_AT_MS // MS_PER_HOUR),
    ]


def test_an_event_says_what_it_covers_and_what_was_before() -> None:
    assert events([piece_of(3), piece_of(4)], is_over=True) == [
        UsageEvent(LABELS, 3, 3, 10_003, 1_000, 1_001, 500, 600, AT_MS + 3_000, is_last=False),
        UsageEvent(LABELS, 4, 4, 10_004, 1_000, 1_001, 1_500, 1_601, AT_MS + 4_000, is_last=True),
    ]


@given(
    first=st.integers(0, 100),
    steps_ms=st.lists(st.integers(-5_000, 2 * MS_PER_HOUR), max_size=30),
    window_slices=st.integers(1, 10),
    cut=st.integers(0, 30),
)
def test_events_cover_each_slice_once_and_the_same_however_they_are_asked_for(
    first: int, steps_ms: list[int], window_slices: int, cut: int
) -> None:
    at_ms, slices = AT_MS, []
    for index, step_ms in enumerate(steps_ms):
        at_ms += step_ms
        slices.append(Slice(first + index, 7 + index, index, 2 * index, at_ms))
    made = events(slices, window_slices=window_slices)
    covered = [number for event in made for number in range(event.first, event.last + 1)]
    assert covered == [piece.number for piece in slices]
    assert sum(event.compute_us for event in made) == sum(piece.compute_us for piece in slices)

    if cut < len(made):
        split = sum(event.last - event.first + 1 for event in made[:cut])
        assert events(slices[:split], window_slices=window_slices) == made[:cut]
