"""The journal's records in files that may be damaged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.journal_interface import JournaledTab
from gateway.metering.journal_records import (
    Began,
    Billed,
    Damage,
    Gone,
    Named,
    Opened,
    Over,
    Record,
    Recorded,
    Used,
    billed,
    carried,
    event_of,
    frame,
    records_in,
    tab_of,
)
from gateway.metering.windows import events_of
from tests.harness.usage import AT_MS, caller_plan, labels_of, piece_of

pytestmark = pytest.mark.unit

TAB = JournaledTab(labels_of("s"), caller_plan(), 30, 1, 2, 3, [piece_of(30), piece_of(31)], True, 1, 28, 4)
RECORDS: list[Record] = [
    Began(1, AT_MS),
    Opened(7, labels_of("s"), caller_plan()),
    Used(7, piece_of(0)),
    Used(7, piece_of(2**40)),
    Recorded(7, 1),
    Over(7),
    carried(8, TAB),
    Gone(9),
    Named(7, labels_of("s")),
    Billed(7, 0, 29, 300_000, 30_000, 30_030, 0, 0, AT_MS, is_last=False),
]
FILES = st.lists(st.sampled_from(RECORDS), min_size=1, max_size=12)


def test_a_tab_is_carried_whole() -> None:
    assert tab_of(carried(8, TAB)) == TAB


def test_an_event_is_kept_without_its_labels_and_comes_back_with_them() -> None:
    slices = [piece_of(0), piece_of(1)]
    (event,) = events_of(TAB.labels, slices, audio_before_ms=5, connection_before_ms=6, window_slices=30, is_over=True)
    assert event_of(billed(3, event), TAB.labels) == event


@given(records=FILES)
def test_what_was_written_is_read(records: list[Record]) -> None:
    assert list(records_in(b"".join(map(frame, records)))) == records


@given(records=FILES, data=st.data())
def test_a_file_that_ends_anywhere_gives_its_whole_records_and_the_torn_end(
    records: list[Record], data: st.DataObject
) -> None:
    frames = [frame(record) for record in records]
    whole = data.draw(st.integers(0, len(frames) - 1))
    torn = data.draw(st.integers(0, len(frames[whole]) - 1))
    begun = b"".join(frames[:whole])
    found = list(records_in(begun + frames[whole][:torn]))
    assert found == records[:whole] + ([Damage(len(begun), torn, is_tail=True)] if torn else [])


@given(records=FILES, data=st.data())
def test_a_damaged_record_is_told_and_all_others_are_read(records: list[Record], data: st.DataObject) -> None:
    frames = [frame(record) for record in records]
    hit = data.draw(st.integers(0, len(frames) - 1))
    broken = bytearray(frames[hit])
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    file = b"".join([*frames[:hit], bytes(broken), *frames[hit + 1 :]])
    found = list(records_in(file))
    damage = Damage(len(b"".join(frames[:hit])), len(broken), is_tail=hit == len(frames) - 1)
    assert found == [*records[:hit], damage, *records[hit + 1 :]]


@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind_are_damage(data: bytes) -> None:
    damages = list(records_in(data))
    assert sum(damage.length_bytes for damage in damages if isinstance(damage, Damage)) == len(data)


def test_zeros_that_a_lost_write_left_are_damage() -> None:
    written = frame(RECORDS[0])
    assert list(records_in(written + bytes(100))) == [RECORDS[0], Damage(len(written), 100, is_tail=True)]


def test_a_slice_takes_at_most_48_bytes() -> None:
    assert len(frame(Used(4_000, piece_of(10_000, compute_us=200_000)))) <= 48
