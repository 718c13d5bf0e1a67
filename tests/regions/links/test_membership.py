"""Promises of membership: a listing that blinks drops nobody, and what is gone is gone in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.discovery.interface import EngineAddress
from regions.links.membership import Membership, MembershipLimits

pytestmark = pytest.mark.unit

GRACE_MS, RETIRE_MS = 100, 1_000


def of(*addresses: str) -> tuple[EngineAddress, ...]:
    return tuple(EngineAddress(address) for address in addresses)


def membership() -> Membership:
    return Membership(MembershipLimits(GRACE_MS, RETIRE_MS))


def listed(members: Membership, *found: str, at_ms: int, keeps: bool = False) -> None:
    members.listed((), of(*found), keeps=keeps, now_ms=at_ms)


def test_a_listing_that_blinks_drops_nobody() -> None:
    members = membership()
    listed(members, "a", "b", at_ms=0)
    listed(members, "b", at_ms=10)
    assert members.retire_due(10 + GRACE_MS - 1, []) == []
    listed(members, "a", "b", at_ms=10 + GRACE_MS - 1)
    assert members.retire_due(10_000, []) == []
    assert members.is_settled


def test_a_member_that_is_gone_retires_then_leaves_with_its_last_stream_or_at_the_deadline() -> None:
    members = membership()
    listed(members, "a", "b", at_ms=0)
    listed(members, at_ms=0)
    assert members.retire_due(GRACE_MS, ["a"]) == ["a", "b"]
    assert members.retire_due(GRACE_MS, ["a"]) == []
    assert members.remove_due(GRACE_MS, ["a"]) == ["b"]
    assert members.remove_due(GRACE_MS + RETIRE_MS - 1, ["a"]) == []
    assert members.remove_due(GRACE_MS + RETIRE_MS, ["a"]) == ["a"]
    assert members.is_settled


def test_an_engine_that_answers_outlives_a_lease_that_ran_out_but_not_a_line_taken_out() -> None:
    members = membership()
    listed(members, "leased", at_ms=0, keeps=True)
    listed(members, at_ms=0, keeps=True)
    assert members.retire_due(10_000, ["leased"]) == []
    assert members.retire_due(10_001, []) == ["leased"]
    members = membership()
    members.listed(of("named"), (), keeps=True, now_ms=0)
    members.listed((), (), keeps=True, now_ms=0)
    assert members.retire_due(10_000, ["named"]) == ["named"]


def test_a_member_that_comes_back_while_it_retires_stays() -> None:
    members = membership()
    listed(members, "a", at_ms=0)
    listed(members, at_ms=0)
    assert members.retire_due(GRACE_MS, ["a"]) == ["a"]
    listed(members, "a", at_ms=GRACE_MS + 1)
    assert members.remove_due(100_000, []) == []
    assert not members.entries["a"].is_retiring


def test_numbers_are_those_of_the_places_and_are_used_again() -> None:
    members = membership()
    listed(members, "a", "b", "c", at_ms=0)
    listed(members, "a", "c", at_ms=0)
    members.retire_due(GRACE_MS, [])
    members.remove_due(GRACE_MS, [])
    listed(members, "a", "c", "d", "e", at_ms=GRACE_MS)
    assert {address: entry.number for address, entry in members.entries.items()} == {"a": 0, "c": 2, "d": 1, "e": 3}


def test_what_is_known_of_a_member_is_what_was_listed_last() -> None:
    members = membership()
    listed(members, "a", at_ms=0)
    members.listed((), (EngineAddress("a", zone="z"),), keeps=False, now_ms=1)
    assert members.entries["a"].facts.zone == "z"


@given(st.lists(st.tuples(st.integers(0, 60), st.frozensets(st.sampled_from("abcd")), st.booleans()), max_size=40))
def test_nobody_is_taken_off_who_was_listed_within_the_grace(steps: list[tuple[int, frozenset[str], bool]]) -> None:
    members = membership()
    now_ms, last_listed = 0, dict.fromkeys("abcd", -1_000_000)
    for wait_ms, listing, is_busy in steps:
        last_listed |= dict.fromkeys(members.entries.keys() & listing, now_ms)
        now_ms += wait_ms
        listed(members, *sorted(listing), at_ms=now_ms)
        last_listed |= dict.fromkeys(listing, now_ms)
        for address in members.retire_due(now_ms, []):
            assert now_ms - last_listed[address] >= GRACE_MS
        for address in members.remove_due(now_ms, list("abcd") if is_busy else []):
            assert address not in listing
        assert listing <= members.entries.keys()
        numbers = [entry.number for entry in members.entries.values()]
        assert len(set(numbers)) == len(numbers)
    listed(members, at_ms=now_ms)
    members.retire_due(now_ms + GRACE_MS, [])
    members.remove_due(now_ms + GRACE_MS + RETIRE_MS, list("abcd"))
    assert members.entries == {}
