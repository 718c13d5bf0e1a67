"""Settings of the exporter."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.metering.exporter.settings import ExporterSettings

pytestmark = pytest.mark.unit

SINK = {"kind": "http", "name": "one", "url": "https://example.com/in"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"sinks": []},
        {"sinks": [SINK, SINK]},
        {"retry": {"max_age_ms": 24 * 3_600_000}},
        {"retry": {"first_ms": 2_000, "max_ms": 1_000}},
        {"remember_days": 34},
        {"dead_after_ms": 3_999, "survey_ms": 2_000},
    ],
)
def test_what_would_bill_twice_or_not_at_all_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ExporterSettings.model_validate({"sinks": [SINK], "state_directory": "s"} | wrong)


def test_the_least_is_a_sink_and_a_place_for_the_sent_log() -> None:
    settings = ExporterSettings.model_validate({"sinks": [SINK], "state_directory": "s"})
    assert settings.retry.max_age_ms < 24 * 3_600_000
