"""A dated row outside its dates does not exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.rows import OperatorRow, Project, RegionRow

pytestmark = pytest.mark.unit

DAY_S = 86_400
seconds = st.integers(0, 10_000_000)


def operator(
    effective_from_s: int, expires_at_s: int, *, notice_given_at_s: int | None, notice_days: int
) -> OperatorRow:
    return OperatorRow(
        operator="o",
        provider="p",
        contact="c",
        is_sovereign=False,
        certifications=frozenset(),
        basis="b",
        notice_given_at_s=notice_given_at_s,
        notice_days=notice_days,
        effective_from_s=effective_from_s,
        expires_at_s=expires_at_s,
        approved_by="a",
        approved_at_s=0,
        where="",
    )


@given(begin_s=seconds, end_s=seconds, at_s=seconds)
def test_a_row_is_in_force_from_its_first_second_to_before_its_last(begin_s: int, end_s: int, at_s: int) -> None:
    row = RegionRow(
        region="r",
        country="DE",
        operator="o",
        certifications=frozenset(),
        effective_from_s=begin_s,
        expires_at_s=end_s,
        approved_by="a",
        approved_at_s=0,
        where="",
    )
    assert row.in_force_at(at_s) == (at_s in range(begin_s, end_s))


@given(given_at_s=seconds, days=st.integers(0, 60), begin_s=seconds)
def test_an_operator_is_there_only_when_the_days_of_notice_have_passed(
    given_at_s: int, days: int, begin_s: int
) -> None:
    row = operator(begin_s, 10**9, notice_given_at_s=given_at_s, notice_days=days)
    assert row.starts_at_s == max(begin_s, given_at_s + days * DAY_S)
    assert not row.in_force_at(row.starts_at_s - 1)
    assert row.in_force_at(row.starts_at_s)


def test_without_notice_the_dates_alone_count() -> None:
    assert operator(5, 9, notice_given_at_s=None, notice_days=0).starts_at_s == 5


def test_the_org_of_a_project_is_what_stands_before_the_slash() -> None:
    assert Project("acme/calls/old", "eea").org == "acme"
