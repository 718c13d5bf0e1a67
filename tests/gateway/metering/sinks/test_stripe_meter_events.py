"""Stripe's meter events, version 1, against a receiver with the documented limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.metering.sinks.interface import Accepted, Outgoing, Refused, TryAgain
from gateway.metering.sinks.settings import StripeMeterEventsSettings
from gateway.metering.sinks.stripe_meter_events import StripeMeterEvents, error_of
from tests.harness.exporter import now_ms, usage_event
from tests.harness.faults import LostReply, Reset, Status
from tests.harness.stripe_receiver import StripeReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def stripe(receiver: StripeReceiver, **settings: Any) -> StripeMeterEvents:
    tree = {
        "kind": "stripe_meter_events",
        "name": "stripe",
        "api_key": receiver.api_key,
        "api_url": receiver.url,
        "meters": [{"event_name": "speech"}],
        "customers": {"acme": "cus_acme", "umbra": "cus_umbra"},
        "timeout_ms": 2_000,
    } | settings
    return StripeMeterEvents(StripeMeterEventsSettings.model_validate(tree))


async def test_a_customers_calls_follow_one_another_and_customers_go_side_by_side(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with StripeReceiver(took_s=0.01) as receiver:
        receiver.customers.add("cus_umbra")
        sink = stripe(receiver)
        batch = outgoing(count=10) + outgoing(count=10, org="umbra")
        assert await sink.deliver(batch) == [Accepted()] * 20
        assert receiver.too_many_at_once == 0
        assert receiver.totals == {("cus_acme", "speech"): 300_000, ("cus_umbra", "speech"): 300_000}
        await sink.aclose()


async def test_an_event_whose_answer_was_lost_is_counted_once(outgoing: Callable[..., list[Outgoing]]) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        receiver.faults.then(LostReply())
        batch = outgoing(count=2)
        assert await sink.deliver(batch) == [
            TryAgain("connection_lost", may_have_arrived=True),
            TryAgain("connection_lost"),
        ]
        assert await sink.deliver(batch) == [Accepted()] * 2
        assert receiver.totals == {("cus_acme", "speech"): 60_000}
        await sink.aclose()


async def test_after_a_failure_the_next_call_has_another_key_and_the_same_identifier(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    """Stripe answers a failed call's key with that failure again."""
    async with StripeReceiver() as receiver:
        receiver.keeps_failures = True
        sink = stripe(receiver)
        receiver.faults.then(Status(500))
        batch = outgoing(count=1)
        assert await sink.deliver(batch) == [TryAgain("status_500", may_have_arrived=True)]
        assert await sink.deliver(batch) == [Accepted()]
        assert receiver.totals == {("cus_acme", "speech"): 30_000}
        await sink.aclose()


async def test_an_identifier_that_stripe_knows_under_another_key_is_accepted(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with StripeReceiver() as receiver:
        first, second = stripe(receiver), stripe(receiver)
        batch = outgoing(count=1)
        assert await first.deliver(batch) == [Accepted()]
        receiver.faults.then(Status(500))
        await second.deliver(batch)
        assert await second.deliver(batch) == [Accepted()]
        assert receiver.totals == {("cus_acme", "speech"): 30_000}
        await first.aclose()
        await second.aclose()


async def test_when_stripe_cannot_take_more_the_rest_of_the_batch_waits(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        receiver.faults.then(Status(429, "2"), Reset())
        assert await sink.deliver(outgoing(count=5)) == [TryAgain("status_429", 2_000)] * 5
        assert receiver.requests == 1
        await sink.aclose()


async def test_what_stripe_would_refuse_is_told_with_its_reason_before_it_is_sent() -> None:
    day_ms = 86_400_000
    events = [
        usage_event("nobody", 1),
        usage_event("acme", 2, at_ms=now_ms() - 36 * day_ms),
        usage_event("acme", 3, at_ms=now_ms() + 600_000),
        usage_event("acme", 4, rater="block_15s"),
    ]
    async with StripeReceiver() as receiver:
        sink = stripe(receiver, meters=[{"event_name": "speech", "unit": "audio_second"}])
        unmapped, old, ahead, other = await sink.deliver([Outgoing(event, event.id) for event in events])
        assert isinstance(unmapped, Refused)
        assert unmapped.reason == "unmapped_org"
        assert isinstance(old, Refused)
        assert old.reason == "too_old"
        assert isinstance(ahead, TryAgain)
        assert ahead.reason == "clock_ahead"
        assert not ahead.is_of_sink
        assert isinstance(other, Refused)
        assert other.reason == "no_meter"
        assert receiver.requests == 0
        await sink.aclose()


async def test_add_ons_and_compute_are_counted_by_meters_of_their_own() -> None:
    event = usage_event("acme", 1, add_ons=("numerals",))
    async with StripeReceiver() as receiver:
        receiver.meters |= {"speech_numerals", "compute"}
        meters = [
            {"event_name": "speech"},
            {"event_name": "speech_numerals", "line": "numerals"},
            {"event_name": "compute", "line": "compute_us"},
        ]
        sink = stripe(receiver, meters=meters)
        assert await sink.deliver([Outgoing(event, event.id)]) == [Accepted()]
        assert receiver.totals == {
            ("cus_acme", "speech"): 30_000,
            ("cus_acme", "speech_numerals"): 30_000,
            ("cus_acme", "compute"): 1_001,
        }
        assert all(identifier.startswith(event.id) for identifier in receiver.arrivals)
        await sink.aclose()


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', '{"error": 3}', "null"])
def test_an_answer_that_is_not_stripes_has_no_error(body: str) -> None:
    assert error_of(body) == {}
