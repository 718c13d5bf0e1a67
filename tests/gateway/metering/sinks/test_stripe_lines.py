"""What of a usage event Stripe's meters count, and for whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from gateway.metering.sinks.interface import Outgoing
from gateway.metering.sinks.settings import StripeMeterEventsSettings
from gateway.metering.sinks.stripe_lines import MeterLine, StripeLines, event_of
from tests.harness.exporter import usage_event

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

AT_MS = 1_790_000_000_000
NOW_S = AT_MS / 1_000


def lines(**settings: Any) -> StripeLines:
    tree = {
        "kind": "stripe_meter_events",
        "name": "stripe",
        "api_key": "k",
        "meters": [{"event_name": "speech"}],
        "customers": {"acme": "cus_1"},
    } | settings
    return StripeLines(StripeMeterEventsSettings.model_validate(tree))


def test_an_identifier_leads_back_to_its_event() -> None:
    event = usage_event("acme", 1, at_ms=AT_MS, add_ons=("beam",))
    made = lines(meters=[{"event_name": "a"}, {"event_name": "b", "line": "beam"}]).of(event, event.id, now_s=NOW_S)
    assert made == [
        MeterLine(event.id, "a", "cus_1", 30_000, AT_MS),
        MeterLine(f"{event.id}-beam", "b", "cus_1", 30_000, AT_MS),
    ]
    assert {event_of(line.identifier) for line in made if isinstance(line, MeterLine)} == {(event.id, 0)}
    again = Outgoing(event, event.id, times_reported=2).identifier
    assert event_of(again) == event_of(f"{again}-beam") == (event.id, 2)


def test_nothing_is_sent_for_what_counts_for_nothing() -> None:
    event = usage_event("acme", 1, at_ms=AT_MS, compute_us=-1)
    assert lines(meters=[{"event_name": "a", "line": "compute_us"}]).of(event, event.id, now_s=NOW_S) == []


def test_plans_with_different_raters_are_counted_by_different_meters() -> None:
    meters = [{"event_name": unit, "unit": unit} for unit in ("audio_second", "connection_second", "block_15s")]
    chosen = lines(meters=meters)
    for rater, value in (("audio_second", 30_000), ("connection_second", 31_000), ("block_15s", 2)):
        event = usage_event("acme", 1, at_ms=AT_MS, rater=rater)
        assert chosen.of(event, event.id, now_s=NOW_S) == [MeterLine(event.id, rater, "cus_1", value, AT_MS)]


def test_a_changed_file_of_customers_is_read_again_and_a_broken_one_leaves_what_was(tmp_path: Path) -> None:
    file = tmp_path / "customers.toml"
    file.write_text('umbra = "cus_2"\n')
    chosen = lines(customers_file=file)
    event = usage_event("umbra", 1, at_ms=AT_MS)

    def customer() -> object:
        made = chosen.of(event, event.id, now_s=NOW_S)
        return made[0].customer if isinstance(made, list) else made

    assert customer() == "cus_2"
    file.write_text('umbra = "cus_3"\n')
    os.utime(file, ns=(1, 1))
    assert customer() == "cus_3"
    file.write_text("umbra =")
    os.utime(file, ns=(2, 2))
    assert customer() == "cus_3"


def test_a_template_names_everybody_else() -> None:
    event = usage_event("umbra", 1, at_ms=AT_MS)
    (line,) = lines(customer_template="x_{org}_y").of(event, event.id, now_s=NOW_S)  # type: ignore[misc]
    assert line.customer == "x_umbra_y"
