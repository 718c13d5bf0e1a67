"""The lowest tier ends first, its youngest session first, one for each that waits, and never an equal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.plans import Tier
from policies.shedding import Running, SheddingBook, SheddingLimits, is_above, victim_for

pytestmark = pytest.mark.unit

PREMIUM, STANDARD, ECONOMY = Tier
LIMITS = SheddingLimits(
    grace_ms=1_000, claim_ms=3_000, retry_after_ms=2_000, max_retry_after_ms=9_000, pressure_window_ms=10_000
)
OLD = Running("old", ECONOMY, 10, "here")
YOUNG = Running("young", ECONOMY, 20, "here")
OTHER = Running("other", STANDARD, 30, "here")
ALL = [OTHER, OLD, YOUNG]


def test_of_the_lowest_tier_the_session_that_began_last_ends() -> None:
    assert victim_for(PREMIUM, ALL) == YOUNG
    assert victim_for(PREMIUM, [OTHER, OLD]) == OLD
    assert victim_for(PREMIUM, [OTHER]) == OTHER
    assert victim_for(STANDARD, ALL) == YOUNG


def test_nobody_ends_for_an_equal_or_a_lower_one() -> None:
    assert victim_for(STANDARD, [OTHER]) is None
    assert victim_for(ECONOMY, ALL) is None
    assert victim_for(PREMIUM, []) is None


def test_one_ends_for_each_that_waits_however_often_it_asks() -> None:
    book = SheddingBook(LIMITS)
    assert book.ask(0, "a", PREMIUM, ALL) == YOUNG
    assert book.ask(50, "a", PREMIUM, ALL) is None
    assert book.ask(60, "b", PREMIUM, ALL) == OLD
    assert book.ask(70, "c", STANDARD, ALL) is None
    book.gone("young")
    book.served("a")
    assert book.ask(9_000, "b", PREMIUM, ALL) is None


def test_a_session_that_worked_on_for_long_and_waits_again_may_have_another_slot() -> None:
    book = SheddingBook(LIMITS)
    assert book.ask(0, "a", PREMIUM, ALL) == YOUNG
    book.gone("young")
    assert book.ask(59_000, "a", PREMIUM, [OTHER, OLD]) is None
    assert book.ask(118_000, "a", PREMIUM, [OTHER, OLD]) is None
    assert book.ask(178_000, "a", PREMIUM, [OTHER, OLD]) == OLD


def test_one_that_ends_for_somebody_who_needs_it_no_more_ends_for_the_next() -> None:
    book = SheddingBook(LIMITS)
    assert book.ask(0, "a", PREMIUM, [YOUNG, OLD]) == YOUNG
    book.gone("a")
    assert book.ask(10, "b", STANDARD, [YOUNG, OLD]) is None
    assert book.claim_of("b") is not None
    assert book.ask(20, "c", STANDARD, [YOUNG, OLD]) == OLD


def test_a_slot_that_is_free_again_is_nobodys_after_its_session_was_served() -> None:
    book = SheddingBook(LIMITS)
    book.ask(0, "a", PREMIUM, [YOUNG])
    book.gone("young")
    assert book.promised(STANDARD, 100) == {"here": 1}
    book.served("a")
    assert book.is_idle
    assert book.promised(STANDARD, 100) == {}


def test_a_freed_slot_is_kept_from_those_below_for_a_while() -> None:
    book = SheddingBook(LIMITS)
    book.ask(0, "a", STANDARD, ALL)
    assert book.promised(ECONOMY, 2_999) == {"here": 1}
    assert book.promised(STANDARD, 2_999) == {}
    assert book.promised(PREMIUM, 2_999) == {}
    assert book.promised(ECONOMY, 3_000) == {}


def test_another_is_asked_when_the_one_that_was_chosen_ends_already() -> None:
    book = SheddingBook(LIMITS)
    assert book.ask(0, "a", PREMIUM, ALL) == YOUNG
    book.refused("a")
    assert book.ask(0, "a", PREMIUM, [OTHER, OLD]) == OLD
    assert book.retry_after_ms(0, draw_permille=500) == 2_000


def test_advice_grows_with_pressure_and_is_spread() -> None:
    book = SheddingBook(LIMITS)
    assert [book.retry_after_ms(0, draw_permille=draw) for draw in (0, 500, 999)] == [1_000, 2_000, 2_998]
    running = [Running(str(number), ECONOMY, number, "here") for number in range(8)]
    for number in range(3):
        book.ask(number, f"w{number}", PREMIUM, running)
    assert book.retry_after_ms(100, draw_permille=500) == 6_000
    for number in range(3, 8):
        book.ask(number, f"w{number}", PREMIUM, running)
    assert book.retry_after_ms(100, draw_permille=500) == 9_000
    assert book.retry_after_ms(20_000, draw_permille=500) == 2_000


def test_nobody_is_shed_where_it_is_switched_off() -> None:
    book = SheddingBook(SheddingLimits(is_on=False))
    assert book.ask(0, "a", PREMIUM, ALL) is None
    assert book.is_idle


@pytest.mark.parametrize("wrong", [{"claim_ms": 1_500}, {"retry_after_ms": 0}, {"grace_ms": -1}], ids=str)
def test_limits_that_lose_the_slot_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"claim_ms|retry_after_ms"):
        SheddingLimits(**wrong)  # type: ignore[arg-type]


acts = st.lists(
    st.tuples(st.sampled_from(["ask", "served", "gone", "over"]), st.integers(0, 5), st.integers(0, 400)), max_size=40
)
population = st.lists(
    st.builds(
        lambda number, tier, began, region: Running(f"v{number}", tier, began, region),
        st.integers(0, 9),
        st.sampled_from(Tier),
        st.integers(0, 100),
        st.sampled_from(["here", "there"]),
    ),
    max_size=10,
    unique_by=lambda running: running.session_id,
)


@given(running=population, acts=acts, tiers=st.lists(st.sampled_from(Tier), min_size=6, max_size=6))
def test_never_more_end_than_wait_and_never_an_equal(
    running: list[Running], acts: list[tuple[str, int, int]], tiers: list[Tier]
) -> None:
    book, now_ms, alive = SheddingBook(LIMITS), 0, list(running)
    asked: set[int] = set()
    shed: list[str] = []
    for act, number, gap_ms in acts:
        now_ms += gap_ms
        if act == "ask":
            asked.add(number)
            victim = book.ask(now_ms, f"w{number}", tiers[number], alive)
            if victim is not None:
                assert is_above(tiers[number], victim.tier)
                assert all(not is_above(victim.tier, other.tier) for other in alive if other.session_id not in shed)
                shed.append(victim.session_id)
        elif act == "over" and shed:
            book.gone(shed[number % len(shed)])
            alive = [one for one in alive if one.session_id != shed[number % len(shed)]]
        elif act != "over":
            (book.served if act == "served" else book.gone)(f"w{number}")
        assert len(shed) == len(set(shed))
