"""Usage events as CloudEvents."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.cloud_events import UnknownRater, cloud_event, encode_batch, encode_single, rfc3339
from gateway.metering.entries import TabLabels, UsageEvent

pytestmark = pytest.mark.unit


def event(**labels: object) -> UsageEvent:
    said = {"rater": "block_15s", "add_ons": ("numerals", "beam")} | labels
    return UsageEvent(
        labels=TabLabels(
            session_id="s1",
            org="acme",
            project="p",
            key="k",
            plan="pro",
            rating_version="v",
            region="r",
            **said,  # type: ignore[arg-type]
        ),
        first=30,
        last=59,
        compute_us=9_007_199_254_740_991,
        audio_ms=16_000,
        connection_ms=17_000,
        audio_before_ms=14_000,
        connection_before_ms=0,
        at_ms=1_790_000_000_007,
        is_last=False,
    )


def test_an_event_says_what_was_used_and_what_it_counts_for() -> None:
    assert cloud_event(event(), source="here") == {
        "specversion": "1.0",
        "id": event().id,
        "source": "here",
        "type": "dev.patchbay.usage.v1",
        "subject": "acme",
        "time": "2026-09-21T14:13:20.007Z",
        "datacontenttype": "application/json",
        "data": {
            "compute_us": 9_007_199_254_740_991,
            "audio_ms": 16_000,
            "connection_ms": 17_000,
            "item": "recognition",
            "unit": "block_15s",
            "quantity": 1,
            "amount": "1",
            "add_ons": {"beam": 1, "numerals": 1},
            "project": "p",
            "key": "k",
            "plan": "pro",
            "rater": "block_15s",
            "rating_version": "v",
            "region": "r",
            "session": "s1",
            "first_slice": 30,
            "last_slice": 59,
            "is_last": False,
        },
    }


def test_the_same_event_is_the_same_bytes_whoever_makes_it() -> None:
    assert encode_single(event(), source="here") == encode_single(event(), source="here")
    assert json.loads(encode_batch([event(), event()], source="here")) == [cloud_event(event(), source="here")] * 2


def test_compute_stays_an_exact_whole_number() -> None:
    assert b'"compute_us":9007199254740991' in encode_single(event(), source="here")


def test_an_unknown_rater_is_not_rated() -> None:
    with pytest.raises(UnknownRater):
        cloud_event(event(rater="moon_phase"), source="here")


@given(at_ms=st.integers(0, 4_102_444_800_000))
def test_times_are_rfc_3339_to_the_millisecond(at_ms: int) -> None:
    assert round(datetime.fromisoformat(rfc3339(at_ms)).timestamp() * 1_000) == at_ms
