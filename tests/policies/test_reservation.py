"""What a session holds: never less than the truth under a stated worst case, and close to it in the adaptive mode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.reservation import Reservation, ReservationMode, ReservationRules

pytestmark = pytest.mark.unit

WORST_US = 250_000
ADAPTIVE = ReservationRules(
    mode=ReservationMode.adaptive,
    worst_case_us_per_audio_s=WORST_US,
    floor_us_per_audio_s=10_000,
    remembered_slices=3,
    min_observed_audio_ms=200,
)
WORST_CASE = ReservationRules(mode=ReservationMode.worst_case, worst_case_us_per_audio_s=WORST_US)

slices = st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 3_000)), max_size=40)


@given(worst_us=st.integers(1, 10_000_000), grants_us=st.lists(st.integers(0, 5_000_000), max_size=20), data=st.data())
def test_in_the_worst_case_mode_no_slice_costs_more_than_was_held_for_it(
    worst_us: int, grants_us: list[int], data: st.DataObject
) -> None:
    """Over a whole session: compute is granted in any pieces, audio goes as far as they cover, and costs up to the
    stated worst case.
    """
    rules = ReservationRules(mode=ReservationMode.worst_case, worst_case_us_per_audio_s=worst_us)
    reservation = Reservation(rules)
    granted_us = spent_us = sent_ms = 0
    for grant_us in grants_us:
        granted_us += grant_us
        held_us = granted_us - spent_us
        audio_ms = data.draw(st.integers(0, reservation.audio_ms_covered_by(held_us)))
        cost_us = data.draw(st.integers(0, worst_us * audio_ms // 1_000))
        assert cost_us <= held_us
        reservation.observe(cost_us, audio_ms)
        spent_us += cost_us
        sent_ms += audio_ms
        assert reservation.us_per_audio_s == worst_us
    assert spent_us <= granted_us


@given(rules=st.sampled_from([ADAPTIVE, WORST_CASE]), seen=slices)
def test_what_is_held_stays_between_the_floor_and_the_worst_case(
    rules: ReservationRules, seen: list[tuple[int, int]]
) -> None:
    reservation = Reservation(rules)
    for compute_us, audio_ms in seen:
        reservation.observe(compute_us, audio_ms)
        assert rules.floor_us_per_audio_s <= reservation.us_per_audio_s <= WORST_US


@given(seen=slices, audio_ms=st.integers(0, 100_000), held_us=st.integers(-1_000_000, 100_000_000))
def test_what_is_held_for_audio_covers_it_and_what_is_covered_can_be_held(
    seen: list[tuple[int, int]], audio_ms: int, held_us: int
) -> None:
    reservation = Reservation(ADAPTIVE)
    for compute_us, consumed_ms in seen:
        reservation.observe(compute_us, consumed_ms)
    assert reservation.audio_ms_covered_by(reservation.hold_us_for(audio_ms)) >= audio_ms
    assert reservation.hold_us_for(reservation.audio_ms_covered_by(held_us)) <= max(0, held_us)


@given(cost_us=st.integers(5_000, WORST_US // 2), audio_ms=st.lists(st.integers(200, 3_000), min_size=3))
def test_the_adaptive_mode_holds_no_less_than_steady_audio_costs(cost_us: int, audio_ms: list[int]) -> None:
    reservation = Reservation(ADAPTIVE)
    for consumed_ms in audio_ms:
        reservation.observe(cost_us * consumed_ms // 1_000, consumed_ms)
    assert cost_us <= reservation.us_per_audio_s <= 2 * cost_us


def test_the_adaptive_mode_begins_at_the_worst_case_and_goes_to_twice_the_dearest_slice() -> None:
    reservation = Reservation(ADAPTIVE)
    held = []
    for compute_us in (20_000, 50_000, 30_000, 30_000, 30_000, 0, 0, 0):
        reservation.observe(compute_us, 1_000)
        held.append(reservation.us_per_audio_s)
    assert held == [WORST_US, WORST_US, 100_000, 100_000, 60_000, 60_000, 60_000, 10_000]


def test_compute_without_audio_counts_with_the_audio_after_it() -> None:
    reservation = Reservation(ADAPTIVE)
    for compute_us, audio_ms in ((40_000, 0), (10_000, 1_000), (10_000, 100), (10_000, 100), (10_000, 1_000)):
        reservation.observe(compute_us, audio_ms)
    assert reservation.us_per_audio_s == 2 * 100_000


def test_what_waits_and_what_is_to_come_are_wanted_together() -> None:
    assert Reservation(WORST_CASE).wanted_us(backlog_ms=1_500, ahead_ms=2_500) == 4 * WORST_US


@pytest.mark.parametrize(
    "wrong",
    [{"floor_us_per_audio_s": 0}, {"floor_us_per_audio_s": WORST_US + 1}, {"remembered_slices": 0}],
)
def test_rules_that_contradict_themselves_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        ReservationRules(mode=ReservationMode.adaptive, worst_case_us_per_audio_s=WORST_US, **wrong)
