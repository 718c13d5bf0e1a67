"""Usage events in a meter stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.entries import TabLabels, UsageEvent
from gateway.metering.stream_entries import MalformedEntry, decode_event, encode_event

pytestmark = pytest.mark.unit

_COUNT = st.integers(0, 2**53 - 1)
_TEXT = st.text(max_size=20)
LABELS = st.builds(
    TabLabels,
    session_id=_TEXT,
    org=_TEXT,
    project=_TEXT,
    key=_TEXT,
    plan=_TEXT,
    rater=_TEXT,
    rating_version=_TEXT,
    region=_TEXT,
    add_ons=st.lists(_TEXT, max_size=3).map(tuple),
)
EVENTS = st.builds(
    UsageEvent,
    labels=LABELS,
    first=st.integers(0, 1_000),
    last=st.integers(1_000, 2_000),
    compute_us=_COUNT,
    audio_ms=_COUNT,
    connection_ms=_COUNT,
    audio_before_ms=_COUNT,
    connection_before_ms=_COUNT,
    at_ms=_COUNT,
    is_last=st.booleans(),
)


def as_read(fields: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): text.encode() for name, text in fields.items()}


@given(event=EVENTS)
def test_what_was_written_is_read(event: UsageEvent) -> None:
    assert decode_event(as_read(encode_event(event))) == event


@given(event=EVENTS)
def test_fields_of_a_later_version_are_passed_over(event: UsageEvent) -> None:
    assert decode_event(as_read(encode_event(event) | {"tariff": "night"})) == event


@given(event=EVENTS, data=st.data())
def test_an_entry_without_one_of_its_fields_is_malformed(event: UsageEvent, data: st.DataObject) -> None:
    fields = as_read(encode_event(event))
    del fields[data.draw(st.sampled_from(sorted(fields)))]
    with pytest.raises(MalformedEntry):
        decode_event(fields)


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1e3", "01", " 1", "1\n", "٣", "99999999999999999", "nan"])
def test_what_is_no_plain_decimal_is_malformed(text: str) -> None:
    event = UsageEvent(TabLabels("s", "o", "", "", "p", "audio_second", "v", "r"), 0, 1, 1, 1, 1, 0, 0, 1, is_last=True)
    with pytest.raises(MalformedEntry):
        decode_event(as_read(encode_event(event) | {"compute_us": text}))


@given(fields=st.dictionaries(st.sampled_from([name.encode() for name in ("first", "labels", "at_ms")]), st.binary()))
def test_any_entry_is_read_or_is_malformed(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(MalformedEntry):
        decode_event(fields)
