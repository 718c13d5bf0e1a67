"""A sink from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from gateway.metering.sinks.cloud_event_batches import CloudEventBatches
from gateway.metering.sinks.json_lines import JsonLines
from gateway.metering.sinks.making import make_sink
from gateway.metering.sinks.settings import AnySinkSettings
from gateway.metering.sinks.stripe_event_stream import StripeEventStream
from gateway.metering.sinks.stripe_meter_events import StripeMeterEvents

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

STRIPE = {"api_key": "k", "meters": [{"event_name": "speech"}], "customers": {"acme": "cus_1"}}


@pytest.mark.parametrize(
    ("kind", "settings", "made"),
    [
        ("http", {"url": "https://example.com/in"}, CloudEventBatches),
        ("openmeter", {"url": "https://example.com"}, CloudEventBatches),
        ("stripe_meter_events", STRIPE, StripeMeterEvents),
        ("stripe_event_stream", STRIPE, StripeEventStream),
        ("json_lines", {"directory": "."}, JsonLines),
    ],
)
async def test_each_kind_makes_its_sink(kind: str, settings: dict[str, Any], made: type, tmp_path: Path) -> None:
    parsed: Any = TypeAdapter(AnySinkSettings).validate_python({"kind": kind, "name": "one"} | settings)
    sink = make_sink(parsed, source="here")
    assert type(sink) is made
    await sink.aclose()
