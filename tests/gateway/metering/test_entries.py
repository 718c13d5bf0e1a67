"""What is written down of a session's usage."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from hypothesis import given

from gateway.metering.entries import MS_PER_HOUR, UsageEvent
from tests.gateway.metering.test_stream_entries import EVENTS

pytestmark = pytest.mark.unit


@given(event=EVENTS)
def test_an_events_id_follows_from_what_it_covers_and_from_nothing_else(event: UsageEvent) -> None:
    """So that whoever makes it again, from whatever journal, makes the same."""
    assert uuid.UUID(event.id).version == 5
    again = msgspec.structs.replace(event, compute_us=0, audio_ms=0, at_ms=0, is_last=not event.is_last)
    assert again.id == event.id
    assert msgspec.structs.replace(event, last=event.last + 1).id != event.id
    labels = msgspec.structs.replace(event.labels, rating_version=event.labels.rating_version + "x")
    assert msgspec.structs.replace(event, labels=labels).id != event.id


@given(event=EVENTS)
def test_an_event_is_billed_in_the_utc_hour_of_its_end(event: UsageEvent) -> None:
    assert event.hour * MS_PER_HOUR <= event.at_ms < (event.hour + 1) * MS_PER_HOUR


def test_ids_stay_what_they_are_for_ever() -> None:
    """Receivers know events by them: another way of making them would bill what was billed."""
    labels = {"session_id": "s", "org": "o", "project": "", "key": "", "plan": "p", "rater": "r", "region": "x"}
    event = msgspec.convert(
        {"labels": labels | {"rating_version": "v"}, "first": 0, "last": 29, "compute_us": 1, "audio_ms": 1}
        | {"connection_ms": 1, "audio_before_ms": 0, "connection_before_ms": 0, "at_ms": 1, "is_last": False},
        UsageEvent,
    )
    assert event.id == "9aac60ae-2862-5c3f-ac6d-28484bbc400a"
