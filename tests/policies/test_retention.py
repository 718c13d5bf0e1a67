"""Promises of retention: nothing is kept unless everything speaks for it, and nothing is erased that is held."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.retention import (
    KeepingFacts,
    NotErased,
    NotKept,
    Wish,
    keep_until_s,
    reason_not_to_erase,
    reason_not_to_keep,
)

pytestmark = pytest.mark.unit

ALL_SPEAKS_FOR_IT = KeepingFacts(
    wish=Wish("eu-1", 30), here="eu-1", has_subject=True, requires_consent=True, has_consent=True, is_permitted=True
)


def test_words_are_kept_where_everything_speaks_for_it() -> None:
    assert reason_not_to_keep(ALL_SPEAKS_FOR_IT) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"wish": None}, NotKept.not_asked),
        ({"wish": Wish("eu-1", 0)}, NotKept.not_asked),
        ({"here": "us-1"}, NotKept.other_region),
        ({"has_subject": False}, NotKept.no_subject),
        ({"has_consent": False}, NotKept.no_consent),
        ({"is_permitted": False}, NotKept.not_permitted),
    ],
)
def test_one_thing_that_lacks_is_enough(change: dict[str, object], reason: NotKept) -> None:
    assert reason_not_to_keep(replace(ALL_SPEAKS_FOR_IT, **change)) is reason  # type: ignore[arg-type]


@given(
    st.none() | st.builds(Wish, st.sampled_from(["a", "b"]), st.integers(-1, 9)),
    st.sampled_from(["a", "b"]),
    *[st.booleans()] * 4,
)
def test_nothing_is_kept_without_a_wish_for_this_region_and_a_permission(
    wish: Wish | None, here: str, has_subject: bool, requires_consent: bool, has_consent: bool, is_permitted: bool
) -> None:
    facts = KeepingFacts(wish, here, has_subject, requires_consent, has_consent, is_permitted)
    if reason_not_to_keep(facts) is None:
        assert wish is not None
        assert wish.region == here
        assert wish.days > 0
        assert has_subject
        assert is_permitted
        assert has_consent or not requires_consent


def test_the_term_counts_from_the_beginning_and_has_an_end() -> None:
    assert keep_until_s(Wish("eu-1", 2), begun_at_s=1_000) == 1_000 + 2 * 86_400
    assert keep_until_s(Wish("eu-1", 10**9), begun_at_s=0) == 3_650 * 86_400


def test_a_legal_hold_keeps_words_and_so_does_a_policy_that_does_not_permit_their_erasure() -> None:
    assert reason_not_to_erase(has_legal_hold=True, is_permitted=True) is NotErased.legal_hold
    assert reason_not_to_erase(has_legal_hold=False, is_permitted=False) is NotErased.not_permitted
    assert reason_not_to_erase(has_legal_hold=False, is_permitted=True) is None
