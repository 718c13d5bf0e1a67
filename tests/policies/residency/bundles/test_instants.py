"""Instants are exact, whole seconds, and what is no instant is refused."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.residency.bundles.instants import FAR_S, is_date, seconds_of, seconds_of_toml, text_of

pytestmark = pytest.mark.unit

instants = st.integers(0, FAR_S - 1)


@given(at_s=instants)
def test_an_instant_is_read_as_it_was_written_and_as_python_reads_it(at_s: int) -> None:
    text = text_of(at_s)
    assert seconds_of(text) == at_s
    assert datetime.fromisoformat(text).timestamp() == at_s


@given(at_s=st.integers(100_000, FAR_S - 100_000), minutes=st.integers(-23 * 60, 23 * 60))
def test_an_offset_counts(at_s: int, minutes: int) -> None:
    local = datetime.fromtimestamp(at_s, tz=timezone(timedelta(minutes=minutes)))
    assert seconds_of(local.isoformat()) == at_s
    assert seconds_of(local.strftime("%Y-%m-%dT%H:%M:%S%z")) == at_s


@given(text=st.text(alphabet="0123456789-T:Z+. ", max_size=30) | st.text(max_size=30))
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    try:
        at_s = seconds_of(text, may_be_a_date=True)
    except ValueError:
        return
    assert 0 <= at_s < FAR_S


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.5Z",
        "2026-01-01T00:00:00+24:00",
        "1969-12-31T23:59:59Z",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_what_is_no_whole_second_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026|1969|no date"):
        seconds_of(text)


def test_a_date_alone_is_its_midnight_where_it_may_stand() -> None:
    assert seconds_of("2026-01-01", may_be_a_date=True) == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert is_date("2024-02-29")
    assert not is_date("2026-02-29")
    assert not is_date("2026-01-01T00:00:00Z")


def test_dates_of_toml_need_an_offset_and_whole_seconds() -> None:
    values = tomllib.loads(
        "sound = 2026-01-01T01:00:00+01:00\nlocal = 2026-01-01T00:00:00\nday = 2026-01-01\ntime = 01:00:00\n"
        'part = 2026-01-01T00:00:00.25Z\ntext = "2026-01-01T00:00:00Z"\nearly = 0001-01-01T00:00:00+14:00\n'
    )
    assert seconds_of_toml(values.pop("sound")) == seconds_of("2026-01-01T00:00:00Z")
    for value in values.values():
        with pytest.raises(ValueError, match=r"offset|seconds|years"):
            seconds_of_toml(value)


@pytest.mark.parametrize("at_s", [-1, FAR_S])
def test_what_is_outside_the_years_is_not_written(at_s: int) -> None:
    with pytest.raises(ValueError, match="years"):
        text_of(at_s)
