"""The events that an exporter holds for one sink."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.exporter.held_events import HeldEvent, HeldEvents
from gateway.metering.exporter.sent_log import Source
from tests.harness.exporter import usage_event

pytestmark = pytest.mark.unit


def held(number: int, entry: int | None = None) -> HeldEvent:
    event = usage_event("acme", number, at_ms=1)
    return HeldEvent(event.id, event, [Source("acme", b"%d-0" % (number if entry is None else entry))])


def test_events_go_out_in_their_order_and_come_back_when_it_is_time() -> None:
    events = HeldEvents(10)
    one, two, three = held(1), held(2), held(3)
    for each in (one, two, three):
        events.add(each)
    assert events.take(2, now_ms=0) == [one, two]
    events.give_back(one, at_ms=50)
    events.give_back(two, at_ms=40)
    assert events.next_at_ms(now_ms=0) == 0
    assert events.take(9, now_ms=0) == [three]
    assert events.next_at_ms(now_ms=0) == 40
    assert events.take(9, now_ms=39) == []
    assert events.take(9, now_ms=50) == [two, one]
    events.drop([one, two, three])
    assert (len(events), events.room, events.next_at_ms(now_ms=0)) == (0, 10, None)


def test_an_event_that_was_recorded_again_goes_out_once_and_both_entries_with_it() -> None:
    events = HeldEvents(10)
    first = held(1)
    assert events.add(first)
    assert not events.add(held(1, entry=7))
    assert events.carries(Source("acme", b"7-0"))
    assert (len(events), events.room) == (1, 8)
    assert events.take(9, now_ms=0) == [first]
    assert [source.entry for source in first.sources] == [b"1-0", b"7-0"]


def test_an_event_of_a_refused_batch_goes_out_with_fewer_until_it_stands_alone() -> None:
    events = HeldEvents(10)
    suspects = [held(number) for number in range(4)]
    for each in suspects:
        events.add(each)
    batch = events.take(9, now_ms=0)
    for each in batch:
        each.batch_limit = 2
        events.give_back(each, at_ms=0)
    assert events.take(9, now_ms=0) == suspects[:2]
    suspects[2].batch_limit = suspects[3].batch_limit = 1
    assert events.take(9, now_ms=0) == [suspects[2]]
    assert events.take(9, now_ms=0) == [suspects[3]]


@given(limits=st.lists(st.integers(1, 6), min_size=1, max_size=30), most=st.integers(1, 10))
def test_no_batch_is_larger_than_any_of_its_events_allows(limits: list[int], most: int) -> None:
    events = HeldEvents(1_000)
    for number, limit in enumerate(limits):
        one = held(number)
        one.batch_limit = limit
        events.add(one)
    seen = 0
    while batch := events.take(most, now_ms=0):
        assert len(batch) <= min(most, *(each.batch_limit for each in batch))
        seen += len(batch)
    assert seen == len(limits)
