"""Settings of receivers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.metering.sinks.settings import AnySinkSettings

pytestmark = pytest.mark.unit

STRIPE = {"api_key": "sk_live_1", "meters": [{"event_name": "speech"}], "customers": {"acme": "cus_1"}}


def parse(kind: str, **settings: Any) -> Any:
    return TypeAdapter(AnySinkSettings).validate_python({"kind": kind, "name": "one"} | settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("carrier_pigeon", {}),
        ("http", {}),
        ("http", {"url": "ftp://example.com"}),
        ("http", {"url": "https://user@example.com"}),
        ("http", {"url": "https://example.com", "token": "a", "token_file": "b"}),
        ("stripe_meter_events", STRIPE | {"customers": {}}),
        ("stripe_meter_events", STRIPE | {"meters": []}),
        ("stripe_meter_events", STRIPE | {"api_key_file": "f"}),
        ("stripe_meter_events", STRIPE | {"api_key": None}),
        ("stripe_meter_events", STRIPE | {"calls_per_s": 1_001}),
        ("stripe_meter_events", STRIPE | {"webhook_secret": "a", "webhook_secret_file": "b"}),
        ("stripe_meter_events", STRIPE | {"customer_template": "everybody"}),
        ("stripe_meter_events", STRIPE | {"meters": [{"event_name": "a"}, {"event_name": "b"}]}),
        ("stripe_meter_events", STRIPE | {"meters": [{"event_name": "a"}, {"event_name": "b", "unit": "block_15s"}]}),
        ("stripe_event_stream", STRIPE | {"batch_events": 101}),
        (
            "stripe_event_stream",
            STRIPE | {"meters": [{"event_name": "a"}, {"event_name": "b", "line": "beam"}], "batch_events": 51},
        ),
    ],
)
def test_what_cannot_work_is_refused(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse(kind, **settings)


def test_secrets_are_stars() -> None:
    settings = parse("stripe_meter_events", **STRIPE, webhook_secret="whsec_1")
    assert "sk_live_1" not in settings.model_dump_json() + repr(settings)
    assert "whsec_1" not in settings.model_dump_json() + repr(settings)


def test_a_line_may_have_a_meter_for_each_unit() -> None:
    meters = [{"event_name": unit, "unit": unit} for unit in ("audio_second", "block_15s")]
    assert len(parse("stripe_meter_events", **(STRIPE | {"meters": meters})).meters) == 2
