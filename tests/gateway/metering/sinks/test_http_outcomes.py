"""What an HTTP answer means for the events that were sent."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.metering.sinks.http_outcomes import outcome_of_failure, outcome_of_status, retry_after_ms
from gateway.metering.sinks.interface import Accepted, Outcome, Refused, TryAgain

pytestmark = pytest.mark.unit


def outcome(status: int, *, is_batch: bool = False, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return outcome_of_status(status, named, "why", now_s=1_000.0, is_batch=is_batch)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_yes_is_a_yes(status: int) -> None:
    assert outcome(status) == Accepted()


@pytest.mark.parametrize("status", [400, 402, 406, 409, 413, 415, 422])
def test_a_refused_event_is_refused_for_ever(status: int) -> None:
    assert outcome(status) == Refused(f"status_{status}", "why")
    assert outcome(status, is_batch=True) == Refused(f"status_{status}", "why", is_of_batch=True)


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405, 407])
def test_a_wrong_setting_of_ours_kills_no_event(status: int) -> None:
    assert outcome(status) == TryAgain(f"status_{status}")


@pytest.mark.parametrize("status", [425, 429])
def test_too_early_and_too_many_wait_as_long_as_asked(status: int) -> None:
    assert outcome(status, Retry_After="7") == TryAgain(f"status_{status}", 7_000)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_after_a_failure_nobody_knows_whether_the_receiver_has_it(status: int) -> None:
    assert outcome(status) == TryAgain(f"status_{status}", may_have_arrived=True)


def test_only_without_a_connection_it_is_certain_that_nothing_arrived() -> None:
    refused = aiohttp.ClientConnectorError(None, OSError())  # type: ignore[arg-type]
    assert outcome_of_failure(refused) == TryAgain("unreachable")
    assert outcome_of_failure(TimeoutError()) == TryAgain("timed_out", may_have_arrived=True)
    assert outcome_of_failure(aiohttp.ServerDisconnectedError()) == TryAgain("connection_lost", may_have_arrived=True)


@pytest.mark.parametrize(
    ("text", "wait_ms"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("0", 0),
        ("12", 12_000),
        ("999999999", 3_600_000),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10_000),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(text: str | None, wait_ms: int | None) -> None:
    assert retry_after_ms(text, now_s=1_000.0) == wait_ms


@given(text=st.text(max_size=40))
@example(text="0\x1f")
def test_any_retry_after_is_a_bounded_wait_or_none(text: str) -> None:
    wait_ms = retry_after_ms(text, now_s=0.0)
    assert wait_ms is None or 0 <= wait_ms <= 3_600_000
