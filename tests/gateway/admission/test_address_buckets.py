"""Buckets by address: what each may take, and what a flood of addresses gains, which is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.address_buckets import NUM_SHARED, AddressBuckets

pytestmark = pytest.mark.unit

SECOND_US = 1_000_000


def buckets(*, per_minute: int = 60, burst: int = 3, max_addresses: int = 100) -> AddressBuckets:
    return AddressBuckets(per_minute=per_minute, burst=burst, max_addresses=max_addresses, secret=b"secret")


def address(number: int) -> bytes:
    return number.to_bytes(8, "big")


def test_an_address_may_take_its_burst_at_once_and_then_its_rate() -> None:
    limit = buckets(per_minute=60, burst=3)
    assert [limit.take(b"a", 0) for _ in range(5)] == [0, 0, 0, SECOND_US, SECOND_US]
    assert limit.take(b"a", SECOND_US - 1) == 1
    assert limit.take(b"a", SECOND_US) == 0
    assert limit.take(b"a", SECOND_US) == SECOND_US


def test_one_address_costs_another_nothing() -> None:
    limit = buckets(burst=1)
    assert limit.take(b"a", 0) == 0
    assert limit.take(b"a", 0) > 0
    assert limit.take(b"b", 0) == 0


def test_looking_takes_nothing() -> None:
    limit = buckets(burst=1)
    assert [limit.wait_us(b"a", 0), limit.wait_us(b"a", 0), limit.take(b"a", 0)] == [0, 0, 0]
    assert limit.wait_us(b"a", 0) == SECOND_US


@given(
    burst=st.integers(1, 5),
    knocks=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 2_500_000)), max_size=60),
)
def test_while_there_is_room_every_address_has_exactly_its_bucket(burst: int, knocks: list[tuple[bytes, int]]) -> None:
    """The oracle counts tokens in millionths."""
    limit = buckets(per_minute=60, burst=burst)
    tokens = dict.fromkeys([b"a", b"b", b"c"], burst * SECOND_US)
    now_us = 0
    for who, later_us in knocks:
        now_us += later_us
        tokens = {name: min(burst * SECOND_US, held + later_us) for name, held in tokens.items()}
        has_one = tokens[who] >= SECOND_US
        assert (limit.take(who, now_us) == 0) == has_one
        tokens[who] -= SECOND_US * has_one


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 300_000)), max_size=200))
def test_the_table_never_grows_beyond_its_bound_and_a_debt_is_never_forgotten(knocks: list[tuple[int, int]]) -> None:
    limit = buckets(per_minute=60, burst=2, max_addresses=4)
    assert [limit.take(b"debtor", 0) for _ in range(3)] == [0, 0, SECOND_US]
    now_us = 0
    for number, later_us in knocks:
        now_us += later_us
        limit.take(address(number), now_us)
        assert len(limit) <= 4
        if now_us < SECOND_US:
            assert limit.wait_us(b"debtor", now_us) == SECOND_US - now_us


def test_many_addresses_get_no_more_than_the_table_and_the_shared_buckets_hold() -> None:
    """20,000 addresses that knock twice each, at once: those without a bucket of their own share what there is."""
    limit = buckets(per_minute=60, burst=1, max_addresses=50)
    let_in = sum(limit.take(address(number), 0) == 0 for number in range(20_000) for _ in range(2))
    assert let_in <= 50 + NUM_SHARED
    assert len(limit) == 50


def test_a_newcomer_finds_room_again_when_old_debts_are_paid() -> None:
    limit = buckets(per_minute=60, burst=2, max_addresses=3)
    for number in range(3):
        limit.take(address(number), 0)
    assert limit.take(b"new", SECOND_US) == 0
    assert limit.take(b"new", SECOND_US) == 0
    assert limit.take(b"new", SECOND_US) > 0
    assert len(limit) == 3


def test_with_whom_an_address_shares_depends_on_a_secret() -> None:
    """Or an attacker could share a victim's bucket."""
    places = {
        AddressBuckets(per_minute=1, burst=1, max_addresses=1, secret=bytes([number]))._place(b"a")
        for number in range(1, 20)
    }
    assert len(places) > 10
