from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webtransport.http3.early_streams import EarlyStreams

pytestmark = pytest.mark.unit


def test_streams_are_taken_by_their_session_the_first_opened_first() -> None:
    early = EarlyStreams(max_streams=4, max_bytes=100)
    assert early.keep(8, 0, b"second", is_ended=False)
    assert early.keep(4, 0, b"fir", is_ended=False)
    assert early.keep(12, 16, b"other", is_ended=False)
    assert early.keep(4, 0, b"st", is_ended=True)
    taken = early.take(0)
    assert [(stream.stream_id, bytes(stream.data), stream.is_ended) for stream in taken] == [
        (4, b"first", True),
        (8, b"second", False),
    ]
    assert early.take(0) == []
    assert len(early) == 1
    assert [stream.stream_id for stream in early.take()] == [12]


def test_a_stream_too_many_is_refused_and_the_others_stay() -> None:
    early = EarlyStreams(max_streams=2, max_bytes=100)
    assert early.keep(4, 0, b"", is_ended=False)
    assert early.keep(8, 0, b"", is_ended=False)
    assert not early.keep(12, 0, b"", is_ended=False)
    assert 4 in early
    assert 12 not in early


def test_bytes_too_many_are_refused_with_their_stream_and_leave_room() -> None:
    early = EarlyStreams(max_streams=2, max_bytes=10)
    assert early.keep(4, 0, bytes(6), is_ended=False)
    assert not early.keep(8, 0, bytes(5), is_ended=False)
    assert early.keep(8, 0, bytes(4), is_ended=False)
    early.drop(4)
    assert early.keep(12, 0, bytes(6), is_ended=False)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.binary(max_size=8), st.booleans()), max_size=60))
def test_what_is_kept_stays_within_its_bounds(steps: list[tuple[int, int, bytes, bool]]) -> None:
    early = EarlyStreams(max_streams=3, max_bytes=20)
    for stream, session, data, takes in steps:
        early.keep(stream * 4, session * 4, data, is_ended=False)
        if takes:
            early.take(session * 4)
        kept = sum(len(each.data) for each in early._streams.values())
        assert early._bytes == kept <= 20
        assert len(early) <= 3
