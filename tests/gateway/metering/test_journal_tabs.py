"""The tabs that the journal's records tell of."""

from __future__ import annotations

import pytest

from gateway.metering.entries import Slice, UsageEvent
from gateway.metering.journal_interface import JournaledTab
from gateway.metering.journal_records import Carried, Gone, Opened, Over, Recorded, Used, carried
from gateway.metering.journal_tabs import JournalTabs
from tests.harness.usage import AT_MS, caller_plan, labels_of, piece_of

pytestmark = pytest.mark.unit

LABELS, PLAN = labels_of("s"), caller_plan()


def opened(*, slices: int = 0, window_slices: int = 4) -> JournalTabs:
    tabs = JournalTabs(window_slices=window_slices)
    tabs.apply(Opened(1, LABELS, PLAN))
    for number in range(slices):
        tabs.apply(Used(1, piece_of(number)))
    return tabs


def covers(events: object) -> list[tuple[int, int]]:
    assert isinstance(events, list)
    return [(event.first, event.last) for event in events]


def test_what_is_recorded_becomes_the_events_that_the_script_made() -> None:
    tabs = opened(slices=10)
    assert covers(tabs.apply(Recorded(1, 8))) == [(0, 3), (4, 7)]
    tab = tabs.by_number[1]
    assert tab == JournaledTab(
        LABELS, PLAN, 8, sum(10_000 + number for number in range(8)), 8_000, 8_008, [piece_of(8), piece_of(9)]
    )


def test_a_tab_that_a_sweeper_closed_early_ends_its_event_there() -> None:
    tabs = opened(slices=10)
    assert covers(tabs.apply(Recorded(1, 6))) == [(0, 3), (4, 5)]
    assert covers(tabs.apply(Recorded(1, 10))) == [(6, 7), (8, 9)]


def test_an_event_that_was_ended_early_unheard_ends_there() -> None:
    tabs = opened(slices=12)
    assert covers(tabs.apply(Recorded(1, 8, num_cuts=1, last_cut=6))) == [(0, 3), (4, 5), (6, 7)]
    assert covers(tabs.apply(Recorded(1, 12, num_cuts=1, last_cut=6))) == [(8, 11)]


def test_of_several_events_that_were_ended_early_unheard_only_what_follows_is_certain() -> None:
    tabs = opened(slices=12)
    assert covers(tabs.apply(Recorded(1, 8, num_cuts=2, last_cut=6))) == [(6, 7)]
    assert covers(tabs.apply(Recorded(1, 12, num_cuts=2, last_cut=6))) == [(8, 11)]


def test_a_tab_that_redis_lost_and_knows_again_was_not_cut_since() -> None:
    tabs = opened(slices=12)
    tabs.apply(Recorded(1, 8, num_cuts=1, last_cut=6))
    assert covers(tabs.apply(Recorded(1, 12))) == [(8, 11)]
    assert (tabs.by_number[1].num_cuts, tabs.by_number[1].last_cut) == (0, 0)


def test_the_last_event_of_a_session_that_is_over_says_so() -> None:
    tabs = opened(slices=3)
    tabs.apply(Over(1))
    assert list(tabs.apply(Recorded(1, 3))) == [
        UsageEvent(LABELS, 0, 2, 30_003, 3_000, 3_003, 0, 0, AT_MS + 2_000, is_last=True)
    ]


def test_a_tab_goes_when_it_is_over_and_wholly_recorded() -> None:
    tabs = opened(slices=4)
    tabs.apply(Over(1))
    assert tabs.number_of("s") == 1
    tabs.apply(Recorded(1, 4))
    assert (tabs.number_of("s"), tabs.by_number, tabs.num_slices) == (None, {}, 0)


def test_what_is_said_twice_is_said_once() -> None:
    tabs = opened(slices=4)
    tabs.apply(Used(1, piece_of(3)))
    tabs.apply(Recorded(1, 4))
    assert list(tabs.apply(Recorded(1, 4))) == []
    tabs.apply(Used(1, piece_of(2)))
    assert tabs.by_number[1].slices == []


def test_of_a_tab_that_is_not_there_nothing_is_said() -> None:
    tabs = JournalTabs(window_slices=4)
    for record in (Used(5, piece_of(0)), Over(5), Recorded(5, 1), Gone(5)):
        assert list(tabs.apply(record)) == []
    assert tabs.by_number == {}
    assert tabs.following == 6


def test_an_opened_tab_that_is_opened_again_keeps_its_slices_and_gets_the_labels() -> None:
    tabs = opened(slices=2)
    tabs.apply(Over(1))
    labels = labels_of("s")
    tabs.apply(Opened(1, labels, PLAN))
    assert tabs.by_number[1] == JournaledTab(labels, PLAN, slices=[piece_of(0), piece_of(1)])


def test_a_carried_tab_replaces_what_was_said() -> None:
    tabs = opened(slices=10)
    whole = JournaledTab(LABELS, PLAN, 2, 20_001, 2_000, 2_002, [piece_of(2)])
    tabs.apply(carried(1, whole))
    assert tabs.by_number[1] == whole
    assert tabs.num_slices == 1
    assert tabs.number_of("s") == 1


def test_a_carried_tab_does_not_share_its_slices_with_the_record() -> None:
    record: Carried = carried(1, JournaledTab(LABELS, PLAN, slices=[piece_of(0)]))
    tabs = JournalTabs(window_slices=4)
    tabs.apply(record)
    tabs.apply(Used(1, piece_of(1)))
    assert record.slices == [piece_of(0)]


def test_what_a_damaged_file_lost_is_not_charged_and_no_event_covers_it() -> None:
    tabs = opened(slices=2)
    tabs.apply(Used(1, piece_of(5)))
    tab = tabs.by_number[1]
    nothing = [Slice(number, 0, 0, 0, AT_MS + 5_000) for number in (2, 3, 4)]
    assert tab.slices == [piece_of(0), piece_of(1), *nothing, piece_of(5)]
    assert tab.unproven_below == 5
    tabs.apply(Used(1, piece_of(6)))
    tabs.apply(Used(1, piece_of(7)))
    for number in range(8, 12):
        tabs.apply(Used(1, piece_of(number)))
    assert covers(tabs.apply(Recorded(1, 12))) == [(8, 11)]


def test_what_redis_knows_and_the_journal_lost_counts_as_recorded() -> None:
    tabs = opened(slices=2)
    assert list(tabs.apply(Recorded(1, 8))) == []
    tabs.apply(Used(1, piece_of(8)))
    assert tabs.by_number[1].slices == [piece_of(8)]
